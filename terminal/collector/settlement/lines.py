"""A service day by carrier, route, product and concession: what was taken, and what of it transfers move.

Money stands where it was taken, proven by the cards or not in columns of their own, and cash beside. A journey's money
is divided over its legs by the document's key; what that moves stands in columns of its own on the day of the tap that
moved it, and all of a day's movements add up to nothing: so a day's money is the money of its records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, TypeAlias

from msgspec import Struct

from terminal.collector.settlement.carriers import CarrierBook, SplitKey
from terminal.collector.settlement.legs import RideLeg
from terminal.collector.settlement.split import divided
from terminal.collector.stated import NUMBERS
from terminal.journal.taps import TapId

MOST_TAPS: Final = 64
"""Of one journey; a chain that goes on longer was never a card's."""
TOGETHER: Final = "together"


class LineKey(NamedTuple):
    """Whose line it is. `concession` is its code as text, `TOGETHER` for those settled as one, "" for none."""

    carrier: str
    route: int
    product: str
    concession: str
    currency: str


class LineNumbers(Struct):
    """The columns of a line: rides by what they count as, and minor units of its currency.

    `moved_*` is what transfers bring (above 0) or take. `unlinked`: rides that continue a journey whose earlier taps
    have not come: their money is not divided yet.
    """

    rides_proven: int = 0
    rides_unproven: int = 0
    rides_cash: int = 0
    proven_minor: int = 0
    unproven_minor: int = 0
    cash_minor: int = 0
    moved_proven_minor: int = 0
    moved_unproven_minor: int = 0
    rides_open: int = 0
    unlinked: int = 0

    @property
    def due_minor(self) -> int:
        """What the carrier gets for it."""
        taken = self.proven_minor + self.unproven_minor + self.cash_minor
        return taken + self.moved_proven_minor + self.moved_unproven_minor

    def add(self, other: LineNumbers, times: int = 1) -> None:
        for name in COLUMNS:
            setattr(self, name, getattr(self, name) + times * getattr(other, name))

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in COLUMNS)


COLUMNS: Final = NUMBERS
SettledLines: TypeAlias = dict[LineKey, LineNumbers]
LegAt: TypeAlias = Callable[[TapId], RideLeg | None]


def day_lines(legs: Iterable[RideLeg], leg_at: LegAt, book: CarrierBook) -> SettledLines:
    """The lines of a day's legs; `leg_at` finds the earlier taps of a journey."""
    lines: SettledLines = {}
    for leg in legs:
        numbers = lines.setdefault(key_of(leg, book), LineNumbers())
        if leg.charge_minor is None:
            numbers.rides_open += leg.persons
            continue
        _count(numbers, leg, leg.charge_minor)
        if not leg.goes_on or book.split is SplitKey.NONE:
            continue
        journey = _journey(leg, leg_at)
        if journey is None:
            numbers.unlinked += 1
            continue
        _move(lines, journey, book, 1)
        _move(lines, journey[:-1], book, -1)
        # What the tap took itself stands in its line already.
        name = "moved_proven_minor" if leg.proven else "moved_unproven_minor"
        setattr(numbers, name, getattr(numbers, name) - leg.charge_minor)
    return {key: numbers for key, numbers in lines.items() if numbers}


def key_of(leg: RideLeg, book: CarrierBook) -> LineKey:
    """Where a leg is counted."""
    concession = TOGETHER if leg.concession in book.together else str(leg.concession or "")
    return LineKey(book.carrier_of(leg.route, leg.day), leg.route, leg.product, concession, leg.currency)


def _count(numbers: LineNumbers, leg: RideLeg, charge_minor: int) -> None:
    sort = "cash" if leg.proof is None else "proven" if leg.proven else "unproven"
    setattr(numbers, f"rides_{sort}", getattr(numbers, f"rides_{sort}") + leg.persons)
    setattr(numbers, f"{sort}_minor", getattr(numbers, f"{sort}_minor") + charge_minor)


def _journey(last: RideLeg, leg_at: LegAt) -> list[RideLeg] | None:
    """The taps of the journey up to `last`, in order; None where one of them has not come, or was another card's."""
    journey = [last]
    while journey[0].goes_on:
        earlier = leg_at(journey[0].previous)
        if earlier is None or earlier.charge_minor is None or len(journey) == MOST_TAPS:
            return None
        if (earlier.card, earlier.currency) != (last.card, last.currency):
            return None
        journey.insert(0, earlier)
    return journey


def _move(lines: SettledLines, journey: list[RideLeg], book: CarrierBook, times: int) -> None:
    """Bring each leg's line its share of the journey's money; an exit's own share is its ride's."""
    rides = [leg for leg in journey if not leg.leaves]
    if not rides:
        return
    keys = [key_of(leg, book) for leg in rides]
    weights = [book.weight_of(key.carrier) if book.split is SplitKey.WEIGHTS else 1 for key in keys]
    for name, proven in (("moved_proven_minor", True), ("moved_unproven_minor", False)):
        taken_minor = sum(leg.charge_minor or 0 for leg in journey if leg.proven is proven)
        for key, share in zip(keys, divided(taken_minor, weights), strict=True):
            numbers = lines.setdefault(key, LineNumbers())
            setattr(numbers, name, getattr(numbers, name) + times * share)
