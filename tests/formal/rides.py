"""What the product decides for the cards of the model.

Nothing is decided here: `decide` itself, with its periods, check-in and deny list, is asked, on a region small enough
to know every sum in advance.

The region: one free ride in a calendar month by a concession, else the purse; suburban buses with two taps, which hold
the fare to the terminus 40 km away.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

from msgspec import structs

from cardproto.resident.records.event import Event, EventKind, PaidBy
from cardproto.resident.records.rights import Concession, Rights
from cardproto.resident.snapshot import CardSnapshot
from terminal.codes import Admission
from terminal.decision.decide import decide
from terminal.decision.outcome import Decision, Message
from terminal.policy.deny_list import DenyKind
from terminal.policy.policy import Policy
from terminal.trip.facts import ClockState, Place, PlaceQuality, PlaceSource, Spot, Trip
from tests.terminal.decision.region import small

MORNING: Final = datetime(2026, 10, 31, 3, tzinfo=UTC)
"""Six in the morning in the region, on the last day of a month: the next day begins a new one, so does the fortieth."""
DAY_S: Final = 86_400
TERMINUS_M: Final = 40_000
STOP_M: Final = 12_000
RIDES_A_MONTH: Final = 1
PSEUDONYM: Final = b"resident"
UIDS: Final = (b"\x04card-0", b"\x04card-1")
BOTH_DAYS: Final = (date(2026, 1, 1), date(2028, 12, 31))

REGION: Final = small(
    """
[guards]
repeat_s = 2
retap_s = 60
passback_s = 0
[[fares.rules]]
id = "suburban"
kind = "distance"
modes = ["suburban_bus"]
first = { transport_card = 2600, bank_card = 2600, cash = 3000 }
per_km = { transport_card = 200, bank_card = 200, cash = 200 }
longest_m = 60000
base = "transport_card"
[checkin]
scope = [{ modes = ["suburban_bus"] }]
longest_s = 7200
reserve = "held"
mark = "boarded"
[[concessions]]
code = 2
name = "one free ride a month"
fare = { kind = "free" }
limits = [{ kind = "trips", trips = 1, counter = "month" }]
""",
    slots="""
{ name = "held", bits = 16, period = "kept" },
{ name = "boarded", bits = 10, period = "kept" },
{ name = "month", bits = 8, period = "service_month" },
""",
)


def distance_fare_minor(length_m: int) -> int:
    """What a suburban ride costs."""
    return 2600 + 200 * (length_m // 1000)


class Broken(AssertionError):
    """A world that must not be."""


class Clock(NamedTuple):
    """A terminal's clock during one presentation: how many days it is off, and what is known of it."""

    days: int = 0
    suspect: bool = False
    authenticated: bool = False

    @property
    def state(self) -> ClockState:
        """A suspect clock is a confirmed one: otherwise the bus sells nothing."""
        return ClockState(self.suspect, confirmed=self.suspect, authenticated=self.authenticated)


CLOCKS: Final = {
    "right": Clock(),
    "signed": Clock(authenticated=True),
    "a day ahead": Clock(1),
    "a day behind": Clock(-1),
    "40 days ahead": Clock(40),
    "40 days behind": Clock(-40),
    "right, suspect": Clock(0, suspect=True),
    "a day ahead, suspect": Clock(1, suspect=True),
    "a day behind, suspect": Clock(-1, suspect=True),
    "40 days ahead, suspect": Clock(40, suspect=True),
    "40 days behind, suspect": Clock(-40, suspect=True),
}
"""A signed time is right and never suspect; everything else may be said of any clock."""


class Sighting(NamedTuple):
    """What is known of the vehicle's place during one presentation. `behind_m`: it was heard at that distance before
    where the vehicle is, which is where it comes to next."""

    source: PlaceSource = PlaceSource.VEHICLE
    quality: PlaceQuality = PlaceQuality.EXACT
    age_s: int = 0
    behind_m: int = 0
    arriving: bool = False
    silent: bool = False

    @property
    def counts(self) -> bool:
        """Whether it says at all where the vehicle is."""
        return not self.silent and self.age_s <= STALE_S

    @property
    def estimates(self) -> bool:
        return self.counts and (self.age_s > FRESH_S or self.quality is PlaceQuality.ESTIMATED)


FRESH_S: Final = 60
STALE_S: Final = 600
SIGHTINGS: Final = {
    "exact": Sighting(PlaceSource.UNKNOWN),
    "fresh": Sighting(age_s=FRESH_S),
    "arriving": Sighting(behind_m=STOP_M, arriving=True),
    "estimated": Sighting(quality=PlaceQuality.ESTIMATED, behind_m=STOP_M),
    "stale": Sighting(age_s=FRESH_S + 1, behind_m=STOP_M),
    "at its oldest": Sighting(age_s=STALE_S, behind_m=STOP_M),
    "too old": Sighting(age_s=STALE_S + 1, behind_m=STOP_M),
    "contradicted": Sighting(quality=PlaceQuality.CONTRADICTED, silent=True),
    "missing": Sighting(PlaceSource.UNKNOWN, silent=True),
}
"""A place that a source calls exact, and each way in which one is less than that."""


class Rules(NamedTuple):
    """What the terminal keeps to; the tests turn one round at a time to see that the walk notices."""

    intent_before_commit: bool = True
    tell_before_record: bool = True
    unknown_is_open: bool = True
    settle_before_serve: bool = True
    settle_by_card: bool = True
    deny_by_card: bool = True
    inside_after_recovery: bool = True
    inside_by_card: bool = True
    suspect_clock_lifts_nothing: bool = True
    only_signed_time_lowers: bool = True
    lowering_keeps_counters: bool = True
    estimates_never_upward: bool = True
    old_places_are_none: bool = True
    every_exit_closes: bool = True


class Asked(NamedTuple):
    """What a decision is made from. `event` and `other_event` are the newest of this card and of the holder's other
    one, `at_s` is the terminal's time in seconds since `MORNING`."""

    card: int
    event: Event
    other_event: Event | None
    denied: bool
    terminal: int
    sequence: int
    at_s: int
    clock: Clock
    direction: int
    mark_m: int
    companions: int
    check_in: bool
    recovered: bool
    sighting: Sighting = SIGHTINGS["exact"]

    @property
    def known_m(self) -> int:
        """Where it was heard."""
        return max(self.mark_m - self.sighting.behind_m, 0)

    @property
    def exits(self) -> tuple[int, ...]:
        """Where a rider may be who leaves now; none where that is not known."""
        seen = self.sighting
        if not seen.counts:
            return ()
        coming_m = self.known_m + STOP_M
        return (self.known_m, coming_m) if seen.estimates else (coming_m if seen.arriving else self.known_m,)


class Decided(NamedTuple):
    """`written` is the event the card is to hold, None for nothing."""

    message: Message
    let_in: bool
    written: Event | None
    flags: tuple[str, ...] = ()


class Inside(NamedTuple):
    """Who is checked in with a card, as the model saw them board, and from where that counts."""

    mark_m: int
    trip: int
    at_s: int
    persons: int
    free: bool


def issued(card: int) -> Event:
    """The record the issuing point left, under a number of its own for each card."""
    at = MORNING - timedelta(days=30)
    return Event(EventKind.ISSUE, at, 0, card, 1_000_000, 0)


def day_of(event: Event) -> date:
    """The service day the card states."""
    return REGION.service_date(event.at.astimezone(REGION.zone))


def period_of(event: Event) -> date:
    """The card's period day as it says it."""
    return day_of(event) + timedelta(days=event.period_ahead)


def used(event: Event) -> int:
    """How many of the month's rides are counted on the card."""
    return REGION.card.by_name["month"].read(event.counters)


def month(day: date) -> tuple[int, int]:
    return day.year, day.month


def today(at_s: int) -> date:
    """The service day of a time of the model."""
    return REGION.service_date((MORNING + timedelta(seconds=at_s)).astimezone(REGION.zone))


def second_of(event: Event) -> int:
    """The event's time as the model counts it."""
    return int((event.at - MORNING).total_seconds())


def snapshot_of(card: int, event: Event) -> CardSnapshot:
    rights = Rights(
        region=REGION.document.header.region,
        pseudonym=PSEUDONYM,
        valid_from=BOTH_DAYS[0],
        valid_to=BOTH_DAYS[1],
        issued_on=BOTH_DAYS[0],
        revision=1,
        concessions=(Concession(2, 0, *BOTH_DAYS), None, None),
    )
    return CardSnapshot(UIDS[card], rights, event)


class DeniedCard:
    """The first card is on the list; its holder is not."""

    name = "1"

    def contains(self, kind: DenyKind, identity: bytes) -> bool:
        return (kind, identity) == (DenyKind.CARD, UIDS[0])


class DeniedPerson:
    """A list that can say no more than whose card it is."""

    name = "1"

    def contains(self, kind: DenyKind, identity: bytes) -> bool:
        return (kind, identity) == (DenyKind.PERSON, PSEUDONYM)


def policy_of(asked: Asked, rules: Rules) -> Policy:
    if not asked.denied:
        return REGION
    return structs.replace(REGION, deny_list=DeniedCard() if rules.deny_by_card else DeniedPerson())


def trip_of(asked: Asked, rules: Rules) -> Trip:
    place = _place_of(asked, rules)
    clock = asked.clock.state
    if not rules.suspect_clock_lifts_nothing:
        clock = ClockState()
    if not rules.only_signed_time_lowers:
        clock = structs.replace(clock, authenticated=not clock.suspect)
    return Trip(
        "bus",
        asked.terminal,
        asked.sequence,
        shift=1,
        turn=1,
        route=5,
        direction=asked.direction,
        mode="suburban_bus" if asked.check_in else "bus",
        companions=asked.companions,
        place=place,
        clock=clock,
    )


def _place_of(asked: Asked, rules: Rules) -> Place:
    """As the vehicle states it, or as a broken terminal takes it."""
    seen, origin, terminus = asked.sighting, Spot(mark_m=0), Spot(mark_m=TERMINUS_M)
    if seen.silent:
        return Place(source=seen.source, quality=seen.quality, origin=origin, terminus=terminus)
    if seen == SIGHTINGS["exact"]:
        return Place(mark_m=asked.mark_m, terminus=terminus)
    coming = Spot(mark_m=asked.known_m + STOP_M)
    place = Place(
        mark_m=asked.known_m, source=seen.source, quality=seen.quality, age_s=seen.age_s, coming=coming,
        arriving=seen.arriving, origin=origin, terminus=terminus,
    )  # fmt: skip
    if seen.estimates and not rules.estimates_never_upward:
        return structs.replace(place, mark_m=coming.mark_m, quality=PlaceQuality.EXACT, age_s=0)
    return place if rules.old_places_are_none else structs.replace(place, age_s=min(seen.age_s, FRESH_S))


def decided(asked: Asked, rules: Rules) -> Decided:
    """The product's own decision."""
    snapshot = snapshot_of(asked.card, _event_asked(asked, rules))
    now = MORNING + timedelta(seconds=asked.at_s)
    decision = decide(snapshot, policy_of(asked, rules), trip_of(asked, rules), now)
    let_in = decision.outcome.admission is Admission.LET_IN
    if asked.event.inside and not asked.sighting.counts and not rules.every_exit_closes:
        return Decided(Message.FARE_UNKNOWN, let_in=False, written=None)
    return Decided(decision.outcome.message, let_in, _written(asked, decision, rules), decision.flags)


def _event_asked(asked: Asked, rules: Rules) -> Event:
    """The card's newest event, or what a broken terminal makes of it."""
    event, other = asked.event, asked.other_event
    if asked.recovered and not rules.inside_after_recovery:
        return event._replace(inside=0)
    if other is not None and other.inside and not rules.inside_by_card:
        return event._replace(inside=other.inside, at=other.at, route=other.route, direction=other.direction,
            paid_by=other.paid_by, counters=other.counters, counter_layout=other.counter_layout,
        )  # fmt: skip
    return event


def _written(asked: Asked, decision: Decision, rules: Rules) -> Event | None:
    if decision.write_plan is None:
        return None
    event = decision.write_plan.event
    if not rules.lowering_keeps_counters and period_of(event) < period_of(asked.event):
        month_counter = REGION.card.by_name["month"]
        return event._replace(counters=month_counter.write(event.counters, int(uses(event))))
    return event


def uses(event: Event) -> bool:
    """Whether it is one of the month's free rides."""
    return event.kind in (EventKind.RIDE, EventKind.CHECK_IN) and event.paid_by is PaidBy.CONCESSION_A
