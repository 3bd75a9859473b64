"""One tap as the rules see it: the card's running state carried over to the moment of the tap.

The newest event holds counters, meals and journey of *its* periods. Before any rule looks at them they are
rebased:

- a counter of days, weeks, months or years starts at 0 in another one (T-14). Which period it is of, the card states
  apart from the time of its newest event; `terminal.decision.periods` says how clocks move it;
- a contract's counter starts at 0 when the contract in that slot began after all the card has seen;
- the meals are those of the period day, or where a canteen wrote them of the day it served on (M-19, M-37);
- the journey's age grows by the time since the event; when its window has closed, its counters start at 0, unless the
  ride that is checked in still has to be charged by it (T-38);
- an outward ride whose way back has run out starts at 0 (T-39).

Clocks differ. An event up to `guards.clock_skew_s` ahead of this terminal counts as happening now. From further ahead
one of the two clocks is wrong (O-05): then no journey is open and no second tap is forgiven, because both would be
free rides for as long as the clocks disagree.

Counters written under another layout cannot be read: no counted right is used and the bits stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Final, NamedTuple, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from cardproto.resident.limits import LONGEST_AGE_S
from cardproto.resident.records.event import FIRST_AT, LAST_AT, Event, EventKind, PaidBy
from cardproto.resident.records.rights import CONTRACT_SLOTS, Concession, Contract, Rights
from cardproto.resident.snapshot import CardSnapshot
from terminal.codes import Admission
from terminal.decision.effects import CardEffect
from terminal.decision.flags import CardFlag
from terminal.decision.outcome import NO_VALUES, Decision, Message, Outcome, WritePlan
from terminal.decision.periods import PeriodDays, period_days
from terminal.policy.deny_list import DenyKind, denied
from terminal.policy.grants import NO_GRANTS, GrantList
from terminal.policy.journeys.index import Transfer
from terminal.policy.policy import Policy, ServiceDay
from terminal.policy.rights.index import RideProduct
from terminal.trail import Effect, Reason
from terminal.trip.facts import Trip

DAY_S: Final = 24 * 3600
NO_CONTRACTS: Final = (None,) * CONTRACT_SLOTS
Journey: TypeAlias = tuple[int | None, int] | None
"""Age and transfers of the journey after a ride; None: as it was."""
CANTEEN: Final = "canteen"
"""The profile whose meals are of the day this terminal believes in; elsewhere they are carried by the period."""


class HeldContract(NamedTuple):
    """A contract on the card, by its slot, with the product the document has for it."""

    slot: int
    contract: Contract
    product: RideProduct


class Tap(Struct, frozen=True, gc=False):
    """What a rule may look at. `age_s` is the time since the newest event, None when that lies ahead.

    Rights hold by the `service_date` of this terminal's clock; counts belong to the periods of `period_day`.
    `denied`: what of the card the deny list has. `concessions` are the card's, or the local list's where that is
    newer (`listed`, O-02). `transfer` is the rule of the open journey.
    """

    snapshot: CardSnapshot
    policy: Policy
    trip: Trip
    at: datetime
    service_date: date
    periods: PeriodDays
    age_s: int | None
    bought: tuple[HeldContract, ...]
    counters: int
    counter_layout: int
    counters_known: bool
    meals: int
    journey_age_s: int | None
    transfers: int
    transfer: Transfer | None
    denied: DenyKind | None
    concessions: tuple[Concession | None, ...]
    listed: bool

    @property
    def local(self) -> datetime:
        """`at` by the clocks of the region."""
        return self.at.astimezone(self.policy.zone)

    @property
    def period_day(self) -> date:
        """The card's period day after this tap."""
        return self.periods.day


class Trail(Struct, gc=False):
    """What is collected on the way to a decision: its reasons, its flags, what lapsed (shown with the full fare), and
    the version of each list that spoke of the card.
    """

    reasons: list[Reason] = []
    flags: list[str] = []
    lapsed: Message | None = None
    lists: dict[str, str] = {}

    def note(self, effect: Effect, inputs: Mapping[str, int | str] = NO_VALUES) -> None:
        """Add one step: what a rule did and what it looked at."""
        self.reasons.append(Reason(effect, inputs))

    def flag(self, effect: Effect, flag: str, inputs: Mapping[str, int | str] = NO_VALUES) -> None:
        """Mark the record, and say by which rule."""
        self.flags.append(flag)
        self.note(effect, inputs)

    def adopt(self, other: Trail) -> None:
        """Add what was collected apart from this trail."""
        self.reasons += other.reasons
        self.flags += other.flags

    def refuse(self, message: Message, values: Mapping[str, int | str] = NO_VALUES) -> Decision:
        """No ride, no meal; the card stays as it is."""
        return self._without_write(Outcome(message, Admission.REFUSED, values=values))

    def repeat(
        self, message: Message, admission: Admission, values: Mapping[str, int | str] = NO_VALUES
    ) -> Decision:
        """The ride is already paid: nothing is written, and `admission` says whether this tap opens."""
        return self._without_write(Outcome(message, admission, values=values))

    def _without_write(self, outcome: Outcome) -> Decision:
        return self.decision(outcome, None)

    def decision(self, outcome: Outcome, plan: WritePlan | None) -> Decision:
        """The decision this trail has led to; nothing is added to it any more."""
        return Decision(outcome, plan, tuple(self.reasons), tuple(self.flags), None, self.lists)


def rebase(snapshot: CardSnapshot, policy: Policy, trip: Trip, now: datetime) -> Tap:
    """Carry the card's running state over to `now` (aware), as the module describes."""
    rights, event = snapshot.rights, snapshot.event
    entry = denied(policy.deny_list, rights.pseudonym, snapshot.uid, snapshot.reference)
    concessions, listed = rights.concessions, False
    if policy.grants is not NO_GRANTS:
        concessions, listed = _concessions(rights, policy.grants)
    at = now.astimezone(UTC)
    at = at.replace(microsecond=0) if at.microsecond else at
    today = policy.service_days.at(at)
    periods = _periods(event, policy, trip, at, today)
    age_s = _age_s(event, at, policy)
    layout = policy.card.layout
    known = event.counter_layout in (0, layout)
    riding = event.inside > 0 and _may_end_here(policy, age_s)
    transfer = journey_age_s = None
    if event.journey_age_s is not None:
        transfer = _open_transfer(event, policy, known=known)
        journey_age_s = _journey_age_s(event, age_s, transfer, policy, riding=riding)
    journey_open = journey_age_s is not None
    counters = event.counters
    if known:
        since = event.at if riding else at
        counters = _counters(snapshot, policy, periods, journey_open=journey_open, at=since)
    return Tap(  # by place: twenty names cost a tenth of a decision
        snapshot,
        policy,
        trip,
        at,
        today.day,
        periods,
        age_s,
        () if rights.contracts == NO_CONTRACTS else _bought(rights.contracts, policy),
        counters,
        layout if known else event.counter_layout,
        known,
        event.meals and _meals(event, periods, today.day if trip.profile == CANTEEN else periods.known_day),
        journey_age_s,
        event.transfers if journey_open else 0,
        transfer if journey_open else None,
        entry,
        concessions,
        listed,
    )


def of_boarding(tap: Tap) -> Tap:
    """The same tap when it opens no period: a ride's end is counted in the periods the ride began in (T-07)."""
    if not tap.periods.lifted:
        return tap
    periods, event = tap.periods.kept(), tap.snapshot.event
    counters = tap.counters
    if tap.counters_known:
        open_journey = tap.journey_age_s is not None
        riding = bool(event.inside) and _may_end_here(tap.policy, tap.age_s)
        counters = _counters(
            tap.snapshot,
            tap.policy,
            periods,
            journey_open=open_journey,
            at=event.at if riding else tap.at,
        )
    return replace(tap, periods=periods, counters=counters, meals=_meals(event, periods, periods.known_day))


def _periods(event: Event, policy: Policy, trip: Trip, at: datetime, today: ServiceDay) -> PeriodDays:
    """The period day, by the time the card is going to state; `today` is the service day of `at`."""
    day, stated = today.day, FIRST_AT <= at <= LAST_AT
    if not stated:
        day = policy.service_date(stated_at(at).astimezone(policy.zone))
    if today.begins <= event.at < today.ends:
        event_day = today.day
        if stated and not event.period_ahead and not trip.clock.suspect:  # as on most cards: one day for all
            return PeriodDays(day, day, day, day, day, True)
    else:
        event_day = policy.service_date(event.at.astimezone(policy.zone))
    return period_days(event, event_day, day, trip.clock, stated=stated)


def stated_at(at: datetime) -> datetime:
    """`at` as a card can state it: the nearest time from 2024 to 2058."""
    return at if FIRST_AT <= at <= LAST_AT else min(max(at, FIRST_AT), LAST_AT)


def _bought(contracts: tuple[Contract | None, ...], policy: Policy) -> tuple[HeldContract, ...]:
    products = policy.products
    return tuple(
        HeldContract(slot, contract, products[contract.product])
        for slot, contract in enumerate(contracts)
        if contract is not None and contract.product in products
    )


def seconds(at: datetime) -> int:
    """`at` in seconds since the first time a card can state."""
    since = stated_at(at) - FIRST_AT
    return since.days * DAY_S + since.seconds


def _meals(event: Event, periods: PeriodDays, day: date | None) -> int:
    return event.meals if day is not None and periods.meals_day == day else 0


def _age_s(event: Event, at: datetime, policy: Policy) -> int | None:
    since = at - event.at  # both in whole seconds
    age_s = since.days * DAY_S + since.seconds
    if age_s >= 0:
        return age_s
    return None if age_s < -policy.document.guards.clock_skew_s else 0


def _open_transfer(event: Event, policy: Policy, *, known: bool) -> Transfer | None:
    """The rule the card's journey follows: the one it remembers, or the document's only one.

    Where what it remembers cannot be read, that is the ordinary fare's, if there is one.
    """
    if not policy.transfers:
        return None
    remembered = policy.card.journey
    if remembered is None:
        return policy.transfers[0]
    if not known:
        return policy.ordinary_transfer
    return policy.transfer_by_number.get(remembered.read(event.counters))


def _may_end_here(policy: Policy, age_s: int | None) -> bool:
    """Whether those who are checked in may still tap out: what their ride is charged by stays on the card (T-07)."""
    rule = policy.check_in
    return rule is not None and age_s is not None and age_s <= rule.longest_s


def _journey_age_s(
    event: Event, age_s: int | None, transfer: Transfer | None, policy: Policy, *, riding: bool
) -> int | None:
    if age_s is None or event.journey_age_s is None:
        return None
    if policy.gtfs is not None:  # the feed's own rules say how long a journey lasts
        return min(event.journey_age_s + age_s, LONGEST_AGE_S)
    if transfer is None:
        return None
    journey_age_s = event.journey_age_s + age_s
    if journey_age_s <= transfer.window_s:
        return journey_age_s
    topping_up = riding and transfer.paid is not None and event.paid_by is PaidBy.TRANSFER
    return min(journey_age_s, LONGEST_AGE_S) if topping_up else None


def _concessions(rights: Rights, grants: GrantList) -> tuple[tuple[Concession | None, ...], bool]:
    """O-02: of card and local list, where they differ, the one issued later."""
    local = grants.of(rights.pseudonym)
    if local is None or local.issued_on <= rights.issued_on or local.concessions == rights.concessions:
        return rights.concessions, False
    return local.concessions, True


def _counters(
    snapshot: CardSnapshot, policy: Policy, periods: PeriodDays, *, journey_open: bool, at: datetime
) -> int:
    """The counters in the periods of `periods`; outward rides that cannot be returned from `at` are gone (T-39)."""
    event, card = snapshot.event, policy.card
    if event.counter_layout == 0:
        return 0
    counters = event.counters
    if periods.day > periods.card_day:
        counters = card.carried_over(counters, periods.card_day, periods.day)
    if not journey_open:
        counters &= card.kept_by_journey
    if not counters:
        return 0
    if policy.returns:
        counters = _still_open(policy, counters, event, at)
    contracts, seen = snapshot.rights.contracts, periods.newest_day
    if contracts == NO_CONTRACTS:
        return counters & card.kept_without_contracts
    for slot, counter in enumerate(card.contracts):
        contract = contracts[slot]
        if contract is None or (seen is not None and contract.valid_from > seen):
            counters &= counter.kept
    return counters


def _still_open(policy: Policy, counters: int, event: Event, at: datetime) -> int:
    """`counters` without outward rides that have run out, or whose age is not known because the event lies ahead."""
    newest_s, at_s = seconds(event.at), seconds(at)
    ahead = newest_s - at_s > policy.document.guards.clock_skew_s
    for rule in policy.returns:
        if (ahead and rule.began is not None) or not rule.open_at(counters, newest_s, at_s):
            counters = rule.forgotten(counters)
    return counters


def accept(
    tap: Tap,
    trail: Trail,
    outcome: Outcome,
    kind: EventKind,
    paid_by: PaidBy,
    *,
    counters: int | None = None,
    meals: int | None = None,
    journey: Journey = None,
    inside: int | None = None,
) -> Decision:
    """The ride or meal is on: plan the event and the debit of `outcome.charge_minor`.

    What is not given stays as rebased; `journey` is (age in seconds, transfers used). `inside` is how many
    persons ride on with the card; without it those who are checked in stay so, and the event keeps what their ride
    is: route, direction and what it is paid by.
    """
    periods, period_ahead = tap.periods, 0
    if periods.card_day != periods.today:
        _note_period(tap, trail)
        period_ahead = periods.written
    age_s, transfers = (tap.journey_age_s, tap.transfers) if journey is None else journey
    trip, newest = tap.trip, tap.snapshot.event
    route, direction, kept_by = trip.route, trip.direction, paid_by
    if inside is None and newest.inside:
        route, direction, kept_by = newest.route, newest.direction, newest.paid_by
    charge_minor = outcome.charge_minor
    event = Event(
        kind,
        stated_at(tap.at),
        trip.terminal,
        trip.sequence,
        newest.balance_after_minor - charge_minor,
        charge_minor,
        route,
        direction,
        age_s,
        transfers,
        kept_by,
        tap.counter_layout,
        tap.meals if meals is None else meals,
        tap.counters if counters is None else counters,
        period_ahead,
        newest.inside if inside is None else inside,
        newest.last_order,
    )
    return trail.decision(outcome, WritePlan(event, charge_minor, paid_by))


def _note_period(tap: Tap, trail: Trail) -> None:
    """Mark a card that is too far ahead of this clock, and say which record put it there (O-05)."""
    periods, newest = tap.periods, tap.snapshot.event
    inputs = {"days": periods.lead_days, "terminal": newest.terminal, "sequence": newest.sequence}
    if periods.lowered:
        trail.flag(CardEffect.PERIOD_LOWERED, CardFlag.PERIOD_LOWERED, inputs)
    elif periods.too_far_ahead:
        trail.flag(CardEffect.PERIOD_AHEAD, CardFlag.PERIOD_AHEAD, inputs)
