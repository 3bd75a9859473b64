"""What the rides of one bank card cost, by the rules its terminals decide by (`terminal.decision.bus.bank`).

A bank card keeps nothing, so each terminal keeps the newest event of the cards it saw, and the back office that of
every card, with all its rides: transfers between vehicles, and the caps of a day. There is no second tariff, and no
more is charged for a ride than its rider was shown. One about which its terminal states what cannot be is free.

Rides go through in the order of their time. One that comes late is put in its place, and those after it are decided
again from the event before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, time
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from cardproto.errors import FormatError
from cardproto.resident.records.event import Event, build_event, parse_event
from terminal.clock import unix_ms
from terminal.decision.bus.bank import NEVER_USED, BankSnapshot
from terminal.decision.decide import decide
from terminal.decision.outcome import Message
from terminal.policy.policy import ONE_DAY, Policy, ServiceDay
from terminal.trail import TrailEntry, recorded
from terminal.trip.facts import Trip

LAST_DAY: Final = date(2099, 12, 31)
"""A card that its terminal let ride was in date."""


class BankRide(Struct, frozen=True):
    """One proven tap, with what its terminal knew. `document` is the hash of the region document in force there,
    `shown_minor` what the rider was shown: no more is ever charged for it.
    """

    terminal: int
    sequence: int
    at: datetime
    trip: Trip
    token: bytes
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


class _Day(NamedTuple):
    """A service day as fares state it."""

    of: ServiceDay | None
    day: str
    ends_ms: int


class Journeys:
    """Decides rides of bank cards. `policy_of` gives what decides under the region document of a hash; None where that
    is not at hand.
    """

    def __init__(self, policy_of: Callable[[str], Policy | None]) -> None:
        self._policy_of = policy_of
        self._seen: dict[str, Policy] = {}
        self._day = _Day(None, "", 0)

    def knows(self, document: str) -> bool:
        """Whether rides under this document can be decided."""
        return self._policy(document) is not None

    def fares(self, rides: Iterable[BankRide], before: bytes = b"") -> Iterator[RideFare]:
        """What `rides` of one card, in order, come to; `before` is its event before the first of them. Every document
        has to be known.
        """
        event = parse_event(before) if before else NEVER_USED
        for ride in rides:
            policy = self._policy(ride.document)
            assert policy is not None, "asked before"
            fare, event = self._fare(ride, event, policy)
            yield fare

    def _fare(self, ride: BankRide, event: Event, policy: Policy) -> tuple[RideFare, Event]:
        layout = event.counter_layout
        if layout and layout != policy.card.layout:  # of another document: its counters begin anew
            event = event._replace(counter_layout=0, counters=0, journey_age_s=None)
        decision = decide(BankSnapshot(ride.token, LAST_DAY, event=event), policy, ride.trip, ride.at)
        after = event if decision.write_plan is None else decision.write_plan.event
        service_day = policy.service_days.at(ride.at)
        if self._day.of is not service_day:  # most rides are of one: the text is made once
            self._day = _Day(service_day, *_service_day(service_day, policy))
        outcome, reasons = decision.outcome, recorded(decision.facts)
        message, charge_minor = str(outcome.message), max(0, min(outcome.charge_minor, ride.shown_minor))
        try:
            held = build_event(after)
        except FormatError:  # its terminal states a route, a direction or as many persons as no bus has
            after, reasons, message, charge_minor = event, (), str(Message.FARE_UNKNOWN), 0
            held = build_event(event)
        day, ends_ms = self._day.day, self._day.ends_ms
        fare = RideFare(ride.terminal, ride.sequence, day, ends_ms, charge_minor, message, reasons, held)
        return fare, after

    def _policy(self, document: str) -> Policy | None:
        known = self._seen.get(document)
        if known is None and (found := self._policy_of(document)) is not None:
            known = self._seen[document] = replace(found, sees_all_rides=True).of_bank_cards()
        return known


def _service_day(known: ServiceDay, policy: Policy) -> tuple[str, int]:
    """A service day by its date, and when it ends."""
    if known.begins < known.ends:
        return known.day.isoformat(), unix_ms(known.ends)
    hour = time(policy.document.header.service_day_end_hour)
    ends = datetime.combine(known.day + ONE_DAY, hour, policy.zone)
    return known.day.isoformat(), unix_ms(ends.astimezone(UTC))
