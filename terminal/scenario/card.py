"""The card of a scenario: the author's words as the records a terminal reads, and what an issuing point writes.

Every function raises `ScenarioFileError` where the author's words make no card under the document; the caller adds
the place in the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, time
from typing import Final, TypeVar

from cardproto.errors import FormatError
from cardproto.resident.records.event import (
    FIRST_AT,
    LAST_AT,
    Event,
    EventKind,
    PaidBy,
    build_event,
    parse_event,
)
from cardproto.resident.records.rights import (
    CONCESSION_SLOTS,
    CONTRACT_SLOTS,
    Concession,
    Contract,
    Rights,
    build_rights,
    day_of,
    parse_rights,
)
from cardproto.resident.snapshot import CardSnapshot
from terminal.decision.tap import of_boarding, rebase
from terminal.errors import Mistake
from terminal.policy.base import Thing, unknown
from terminal.policy.grants import GrantTable
from terminal.policy.mistakes import NameMistake
from terminal.policy.policy import Policy
from terminal.scenario.mistakes import PlayMistake, mistakes_at, unplayable
from terminal.scenario.schema import Bought, Card, Grant, IssuingPointVisit, LastEvent, Listed
from terminal.trip.facts import Trip

T = TypeVar("T")
FIRST_DAY: Final = day_of(0)
LAST_DAY: Final = day_of(0xFFFF)
"""The days a card can state."""
UID: Final = bytes(7)
PSEUDONYM: Final = b"scenario"
ISSUING_POINT: Final = 0xFFFFF
"""The number of the issuing and reload point in events; no validator of a scenario should have it."""


def new_card(card: Card, policy: Policy) -> CardSnapshot:
    """The card as the first tap finds it."""
    _require_storable(card)
    region = policy.document.header.region if card.region is None else card.region
    rights = Rights(
        region=region,
        pseudonym=PSEUDONYM,
        valid_from=card.valid_from,
        valid_to=card.valid_to,
        issued_on=card.issued_on or card.valid_from,
        revision=1,
        blocked=card.blocked,
        inactive=card.inactive,
        concessions=_slots(map(_concession, card.concessions), CONCESSION_SLOTS),
        contracts=_slots(map(_contract, card.contracts), CONTRACT_SLOTS),
    )
    return _as_stored(rights, _last_event(card, policy))


def _require_storable(card: Card) -> None:
    """Days and moments that a card can state."""
    days: dict[str, date | None] = {
        name: getattr(card, name) for name in ("valid_from", "valid_to", "issued_on")
    }
    for path, slots in {"concessions": card.concessions, "contracts": card.contracts}.items():
        for index, one in enumerate(slots):
            days |= {f"{path}[{index}].{name}": getattr(one, name) for name in ("valid_from", "valid_to")}
    found = [
        Mistake(
            path, NameMistake.OUT_OF_REACH, {"year": day.year, "first": FIRST_DAY.year, "last": LAST_DAY.year}
        )
        for path, day in days.items()
        if day is not None and not FIRST_DAY <= day <= LAST_DAY
    ]
    if card.last is not None and not FIRST_AT.year <= card.last.at.year < LAST_AT.year:
        reach: dict[str, int | str] = {"first": FIRST_AT.year, "last": LAST_AT.year - 1}
        found.append(Mistake("last.at", NameMistake.OUT_OF_REACH, reach | {"year": card.last.at.year}))
    if found:
        raise unplayable(*found)


def listed(said: Listed | None, holder: bytes = PSEUDONYM) -> GrantTable:
    """What the terminal's own list says of `holder` (O-02)."""
    if said is None:
        return GrantTable(())
    return GrantTable([(holder, said.issued_on, map(_concession, said.concessions))])


def at_issuing_point(
    snapshot: CardSnapshot, visit: IssuingPointVisit, at: datetime, policy: Policy
) -> CardSnapshot:
    """The card after the visit: new rights, and an event that carries the running state over to `at`.

    No period is opened there: the counters stay those of the card's own period day, as on a real card. Those the visit
    sets are of its own day. A contract that is another product or begins on another day starts at 0; one that was only
    prolonged or given more trips goes on counting.
    """
    rights, event = snapshot.rights, snapshot.event
    changed = replace(
        rights,
        revision=rights.revision + 1,
        blocked=rights.blocked if visit.blocked is None else visit.blocked,
        concessions=rights.concessions
        if visit.concessions is None
        else _slots(map(_concession, visit.concessions), CONCESSION_SLOTS),
        contracts=rights.contracts
        if visit.contracts is None
        else _slots(map(_contract, visit.contracts), CONTRACT_SLOTS),
    )
    here = Trip("bus", ISSUING_POINT, 1, shift=1)
    carried = rebase(CardSnapshot(UID, changed, event), policy, here, at)
    carried = carried if visit.counters else of_boarding(carried)
    counters = carried.counters
    slots = zip(rights.contracts, changed.contracts, strict=True)
    for counter, (old, new) in zip(
        policy.contract_counters, slots, strict=False
    ):  # none where nothing counts
        if new is not None and (
            old is None or (old.product, old.valid_from) != (new.product, new.valid_from)
        ):
            counters = counter.write(counters, 0)
    counters = _with_counters(counters, visit.counters, policy)
    riding = event.inside > 0
    written = event._replace(
        kind=EventKind.RELOAD if visit.reload_minor else EventKind.RIGHTS_CHANGE,
        at=carried.at,
        terminal=ISSUING_POINT,
        sequence=event.sequence + 1,
        balance_after_minor=event.balance_after_minor + visit.reload_minor,
        amount_minor=visit.reload_minor,
        route=event.route if riding else 0,
        direction=event.direction if riding else 0,
        paid_by=event.paid_by if riding else PaidBy.NOTHING,
        period_ahead=carried.periods.written,
        journey_age_s=carried.journey_age_s,
        transfers=carried.transfers,
        counter_layout=carried.counter_layout,
        counters=counters,
        meals=carried.meals,
    )
    return _as_stored(changed, written)


def _as_stored(rights: Rights, event: Event) -> CardSnapshot:
    """Through the card's own bytes, so that nothing passes that a card could not hold."""
    try:
        return CardSnapshot(UID, parse_rights(build_rights(rights)), parse_event(build_event(event)))
    except (FormatError, OverflowError) as error:
        raise unplayable(Mistake("", PlayMistake.NO_CARD_HOLDS, {"says": str(error)})) from error


def local_time(at: datetime, policy: Policy) -> datetime:
    """The moment the author meant: without an offset, the region's own time."""
    return at.replace(tzinfo=policy.zone) if at.tzinfo is None else at


def meal_mask(meals: Iterable[str], policy: Policy, at: str = "meals") -> int:
    """The event's bits of these meal kinds, written at `at`."""
    bits = {kind.id: 1 << kind.bit for kind in policy.document.meals.kinds}
    return sum({bits[_known(meal, bits, Thing.MEAL_KIND, at)] for meal in meals})


def _last_event(card: Card, policy: Policy) -> Event:
    if card.last is None:
        noon = datetime.combine(card.issued_on or card.valid_from, time(12), policy.zone)
        return Event(EventKind.ISSUE, max(noon, FIRST_AT), ISSUING_POINT, 1, card.balance_minor, 0)
    with mistakes_at("last"):
        return _stated_event(card.last, card.balance_minor, policy)


def _stated_event(last: LastEvent, balance_minor: int, policy: Policy) -> Event:
    return Event(
        kind=EventKind[last.event.upper()],
        at=local_time(last.at, policy),
        terminal=last.terminal,
        sequence=1,
        balance_after_minor=balance_minor,
        amount_minor=last.amount_minor,
        route=last.route,
        direction=last.direction,
        journey_age_s=last.journey_age_s,
        transfers=last.transfers,
        paid_by=PaidBy[last.paid_by.upper()],
        counter_layout=policy.document.counters.layout,
        meals=meal_mask(last.meals, policy),
        period_ahead=last.period_ahead,
        inside=last.inside,
        counters=_with_counters(0, last.counters, policy),
    )


def _with_counters(counters: int, values: dict[str, int], policy: Policy) -> int:
    slots = {counter.name: counter for counter in policy.counters}
    for name, value in values.items():
        slot = slots[_known(name, slots, Thing.COUNTER, "counters")]
        if value > slot.mask:
            full: dict[str, int | str] = {"counter": name, "value": value, "most": slot.mask}
            raise unplayable(Mistake(f"counters.{name}", PlayMistake.COUNTER_FULL, full))
        counters = slot.write(counters, value)
    return counters


def _known(name: str, known: Iterable[str], thing: Thing, path: str) -> str:
    names = list(known)
    if name not in names:
        raise unplayable(unknown(path, thing, name, names))
    return name


def _slots(filled: Iterable[T], count: int) -> tuple[T | None, ...]:
    return (*filled, *(None,) * count)[:count]


def _concession(grant: Grant) -> Concession:
    parameter = grant.parameter or grant.shift << 4 | grant.grade
    return Concession(grant.code, parameter, grant.valid_from, grant.valid_to)


def _contract(bought: Bought) -> Contract:
    return Contract(bought.product, bought.valid_from, bought.valid_to, bought.trips)
