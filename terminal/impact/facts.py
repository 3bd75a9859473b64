"""What a terminal knew of a tap besides the card, from the row, fast: days hold a million of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from terminal.journal.records import CashSale, Intent, Unwritten
from terminal.trip.facts import FRESH, Freshness, Trip
from terminal.trip.stated import Fact, restore

MOST_KEPT: Final = 20_000
PLACE_AGE: Final = "place"
AGES: Final = {
    "place.age_s": PLACE_AGE,
    "freshness.deny_list_age_s": "deny_list_age_s",
    "freshness.grants_age_s": "grants_age_s",
    "freshness.document_age_s": "document_age_s",
    "freshness.bank_list_age_s": "bank_list_age_s",
    "freshness.bundles_age_s": "bundles_age_s",
}
"""Facts that are others with every tap; the rest is the same for many."""


class TripFacts:
    """Trips from rows; what many rows state alike is made once."""

    def __init__(self) -> None:
        self._kept: dict[tuple[tuple[str, Fact], ...], Trip] = {}

    def trip(self, terminal: int, sequence: int, record: Intent | Unwritten | CashSale) -> Trip:
        """Raises `UnknownFact`."""
        known = record.trip
        kept, ages = self._of(known) if known else (ASSUMED, NO_AGES)
        place_age_s = ages.pop(PLACE_AGE, None) if ages else None
        return Trip(
            profile="bus" if isinstance(record, CashSale) else record.profile,
            terminal=terminal,
            sequence=sequence,
            shift=record.shift,
            turn=record.turn,
            route=record.route,
            direction=record.direction,
            mode=kept.mode,
            companions=kept.companions,
            asked_by=kept.asked_by,
            reader_ok=kept.reader_ok,
            place=kept.place if place_age_s is None else replace(kept.place, age_s=place_age_s),
            clock=kept.clock,
            freshness=Freshness(**ages) if ages else FRESH,
            inspection=kept.inspection,
            razzia=kept.razzia,
            bank=kept.bank,
            canteen=kept.canteen,
        )

    def _of(self, known: Mapping[str, Fact]) -> tuple[Trip, dict[str, int]]:
        """What does not change with every tap, and the ages."""
        rest, ages = dict(known), dict[str, int]()
        for name, kept in AGES.items():
            value = rest.get(name)
            if type(value) is int:
                ages[kept] = value
                del rest[name]
        key = tuple(rest.items())
        found = self._kept.get(key)
        if found is None:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            found = self._kept[key] = restore(ASSUMED, rest)
        return found, ages


ASSUMED: Final = Trip("bus", 0, 0)
NO_AGES: Final[dict[str, int]] = {}
