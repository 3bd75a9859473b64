"""What the rides of one bank card cost, by the rules every other ride is decided by (`terminal.decision`).

A bank card keeps nothing, so the back office keeps it: each card has a resident card's newest event here, with the open
journey and the counters of the day, as if it had been written at each tap. The region document is seen as bank cards
see it (`bank_policy`): their fares, the transfers open to them, caps as for everybody, and no right that stands on a
resident card. There is no second tariff.

Rides go through in the order of their time. One that comes late is put in its place, and those after it are decided
again from the event before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, time
from typing import Final, NamedTuple, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from cardproto.resident.records.event import FIRST_AT, Event, EventKind, build_event, parse_event
from cardproto.resident.records.rights import Rights, day_of
from cardproto.resident.snapshot import CardSnapshot
from terminal.clock import unix_ms
from terminal.decision.decide import decide
from terminal.policy.base import FareMedium, Right
from terminal.policy.document.fares import (
    AnyFareRule,
    DistanceFares,
    FareByMedium,
    FareStep,
    FareTable,
    ZoneMatrix,
)
from terminal.policy.document.journeys import AnyTransfer
from terminal.policy.document.schema import RegionDocument
from terminal.policy.policy import ONE_DAY, Policy
from terminal.trail import TrailEntry, recorded
from terminal.trip.facts import Trip

FULL_MINOR: Final = 2_000_000
"""What the purse of a card that has none holds before each ride: more than a ride costs, and an event can state it."""
_RIGHTS: Final = frozenset({Right.TRANSFER, Right.PURSE})
_FIRST: Final = Event(EventKind.ISSUE, FIRST_AT, 0, 0, FULL_MINOR, 0)
_PSEUDONYM: Final = b"bankcard"
_UID: Final = bytes(7)
_Table = TypeVar("_Table", FareTable, FareStep)
_Prices = TypeVar("_Prices", FareByMedium, ZoneMatrix)


class BankRide(Struct, frozen=True):
    """One proven tap, with what its terminal knew. `document` is the hash of the region document in force there,
    `shown_minor` what the rider was told: no more is ever charged for it.
    """

    terminal: int
    sequence: int
    at: datetime
    trip: Trip
    document: str
    shown_minor: int


class RideFare(NamedTuple):
    """What a ride comes to. `day` is its service day, which ends at `ends_ms`; `event` what the card would hold after
    it. `message` is the answer of the decision, `reasons` its trail.
    """

    terminal: int
    sequence: int
    day: str
    ends_ms: int
    charge_minor: int
    message: str
    reasons: tuple[TrailEntry, ...]
    event: bytes


def bank_policy(document: RegionDocument) -> Policy:
    """The policy of a region as bank cards find it. What needs a card that keeps it is the resident card's alone."""
    bus, feed = document.profiles.bus, document.gtfs
    rights = tuple(one for one in bus.rights if one in _RIGHTS)
    if feed is not None:
        feed = replace(feed, media=replace(feed.media, transport_card=feed.media.bank_card))
    steps = tuple(_priced(step) for step in document.fares.steps)
    seen = replace(
        document,
        profiles=replace(document.profiles, bus=replace(bus, rights=rights)),
        fares=replace(_priced(document.fares), steps=steps),
        transfers=tuple(map(_open_to_bank, document.transfers)),
        returns=(),
        grace=None,
        checkin=None,
        gtfs=feed,
    )
    return Policy.of(seen)


def _open_to_bank(rule: AnyTransfer) -> AnyTransfer:
    """Open to the card that is decided on where it is open to bank cards; it keeps its number."""
    return replace(rule, media=(FareMedium.TRANSPORT_CARD,) if FareMedium.BANK_CARD in rule.media else ())


def _priced(table: _Table) -> _Table:
    by_medium = None if table.by_medium is None else _by_bank(table.by_medium)
    return replace(table, by_medium=by_medium, rules=tuple(map(_rule_by_bank, table.rules)))


def _rule_by_bank(rule: AnyFareRule) -> AnyFareRule:
    if isinstance(rule, DistanceFares):
        return replace(rule, first=_by_bank(rule.first), per_km=_by_bank(rule.per_km))
    return replace(rule, by_medium=_by_bank(rule.by_medium))  # type: ignore[type-var]  # each has its own kind


def _by_bank(prices: _Prices) -> _Prices:
    return replace(prices, transport_card=prices.bank_card or prices.transport_card)


class Journeys:
    """Decides rides of bank cards. `document_of` gives the region document of a hash; None where it is not at hand."""

    def __init__(self, document_of: Callable[[str], RegionDocument | None]) -> None:
        self._document_of = document_of
        self._seen: dict[str, tuple[Policy, Rights]] = {}

    def knows(self, document: str) -> bool:
        """Whether rides under this document can be decided."""
        return self._policy(document) is not None

    def fares(self, rides: Iterable[BankRide], before: bytes = b"") -> Iterator[RideFare]:
        """What `rides` of one card, in order, come to; `before` is its event before the first of them. Every document
        has to be known.
        """
        event = parse_event(before) if before else _FIRST
        for ride in rides:
            known = self._policy(ride.document)
            assert known is not None, "asked before"
            fare, event = _fare(ride, event, *known)
            yield fare

    def _policy(self, document: str) -> tuple[Policy, Rights] | None:
        known = self._seen.get(document)
        if known is None and (region := self._document_of(document)) is not None:
            known = self._seen[document] = bank_policy(region), _nothing(region.header.region)
        return known


def _nothing(region: int) -> Rights:
    """The rights of a card that has none."""
    return Rights(region, _PSEUDONYM, day_of(0), day_of(0xFFFF), day_of(0), 0)


def _fare(ride: BankRide, event: Event, policy: Policy, rights: Rights) -> tuple[RideFare, Event]:
    decision = decide(CardSnapshot(_UID, rights, _filled(event, policy)), policy, ride.trip, ride.at)
    after = event if decision.write_plan is None else decision.write_plan.event
    charge_minor = min(decision.outcome.charge_minor, ride.shown_minor)
    day, ends_ms = _service_day(ride.at, policy)
    fare = RideFare(
        *(ride.terminal, ride.sequence, day, ends_ms, charge_minor, str(decision.outcome.message)),
        *(recorded(decision.facts), build_event(after)),
    )
    return fare, after


def _filled(event: Event, policy: Policy) -> Event:
    """`event` with a full purse, and with counters that this document reads: those of another layout begin anew."""
    if event.counter_layout not in (0, policy.card.layout):
        event = event._replace(counter_layout=0, counters=0, inside=0, journey_age_s=None)
    return event._replace(balance_after_minor=FULL_MINOR)


def _service_day(at: datetime, policy: Policy) -> tuple[str, int]:
    """The service day of `at`, and when it ends."""
    known = policy.service_days.at(at)
    if known.begins <= at < known.ends:
        return known.day.isoformat(), unix_ms(known.ends)
    hour = time(policy.document.header.service_day_end_hour)
    ends = datetime.combine(known.day + ONE_DAY, hour, policy.zone)
    return known.day.isoformat(), unix_ms(ends.astimezone(UTC))
