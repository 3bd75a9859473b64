"""A tap with a bank card: registered now, charged later by the bank (T-40 to T-43).

The terminal sees neither number nor holder: only whether the card answered, proved itself offline and is in
date, and a token, the keyed hash of its number (D-04).
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from cardproto.resident.limits import LARGEST_MINOR
from cardproto.resident.records.event import FIRST_AT, Event, EventKind, PaidBy
from cardproto.resident.records.rights import Rights
from cardproto.resident.snapshot import CardSnapshot
from terminal.codes import Admission
from terminal.decision.bus.decide import decide_ride
from terminal.decision.bus.effects import BankEffect, FareEffect
from terminal.decision.bus.fare import single_fare
from terminal.decision.bus.guards import already_paid
from terminal.decision.ended import DAY_S
from terminal.decision.flags import RideFlag
from terminal.decision.outcome import DENY_BANK, GRANTS, Decision, Message, Outcome, WritePlan
from terminal.decision.tap import Tap, Trail, accept, rebase
from terminal.policy.base import FareMedium
from terminal.policy.deny_list import EMPTY_DENY_LIST, DenyKind
from terminal.policy.fares.index import MEDIA
from terminal.policy.grants import NO_GRANTS
from terminal.policy.policy import Policy
from terminal.trail import Reason
from terminal.trip.facts import Trip

ORDINARY, BY_BANK = FareEffect.ORDINARY, FareEffect.BANK
BANK: Final = MEDIA.index(FareMedium.BANK_CARD)
NO_UID: Final = bytes(7)
BEFORE_ALL_LISTS: Final = date(2000, 1, 1)


NEVER_EXPIRES: Final = date.min
"""For a card that states no last day: it is past."""


class BankSnapshot(Struct, frozen=True):
    """What one tap learned of a bank card. `expires_on` is its last day, `authenticated` the result of offline
    data authentication, `token` the keyed hash of its number.

    `others` are what else stands for it: the token of the epoch before, and those of its account. `event` is what was
    kept here of its newest ride (None: none was), in the form of a resident card's. `second`: the resident application
    of the same card was asked first and could not pay.
    """

    token: bytes
    expires_on: date
    readable: bool = True
    authenticated: bool = True
    others: tuple[bytes, ...] = ()
    event: Event | None = None
    second: bool = False

    @property
    def tokens(self) -> tuple[bytes, ...]:
        """Everything that a list may name it by."""
        return (self.token, *self.others)


def decide_bank(card: BankSnapshot, policy: Policy, trip: Trip, now: datetime, trail: Trail) -> Decision:
    """Return the decision on a tap; `outcome.charge_minor` is to be charged later, and the plan is for the terminal to
    keep: nothing is written to the card.
    """
    if trip.profile != "bus" or FareMedium.BANK_CARD not in policy.document.profiles.bus.media:
        trail.note(BankEffect.NOT_TAKEN)
        return trail.refuse(Message.UNKNOWN_CARD)
    if card.second:
        trail.note(BankEffect.RESIDENT_FIRST)
    refusal = _refused(card, policy, now, trail)
    if refusal is not None:
        return trail.refuse(refusal)
    tap = rebase(as_resident(card, policy), policy.of_bank_cards(), trip, now)
    if tap.listed:
        trail.lists[GRANTS] = policy.grants.name
    decision = _once(tap, trail) if policy.gtfs is not None else decide_ride(tap, trail)
    plan = decision.write_plan
    if plan is None:
        return decision
    if plan.event.kind is EventKind.CHECK_OUT:  # they are inside: whatever the list's age, they leave
        return _later(card, plan, decision, trail)
    sum_minor = int(decision.outcome.values.get("held_minor", 0)) + plan.event.amount_minor
    return _not_now(policy, trip, sum_minor, trail) or _later(card, plan, decision, trail)


def as_resident(card: BankSnapshot, policy: Policy) -> CardSnapshot:
    """A card that states nothing, with a purse that holds enough for any ride: what is spent is charged later."""
    named, event = card.token, NEVER_USED if card.event is None else card.event
    if policy.grants is not NO_GRANTS:
        named = next((token for token in card.tokens if policy.grants.of(token) is not None), named)
    paid_by = PaidBy.PURSE if event.paid_by is PaidBy.BANK else event.paid_by
    rights = _rights(policy.document.header.region, named, card.expires_on)
    event = event._replace(paid_by=paid_by, balance_after_minor=LARGEST_MINOR)
    return CardSnapshot(NO_UID, rights, event, card.token)


@lru_cache(maxsize=4)
def _rights(region: int, named: bytes, last_day: date) -> Rights:
    """No right at all; where a card's rides are decided one after another, the same for each."""
    return Rights(
        region=region,
        pseudonym=named,
        valid_from=BEFORE_ALL_LISTS,
        valid_to=last_day,
        issued_on=BEFORE_ALL_LISTS,
        revision=0,
    )


NEVER_USED: Final = Event(
    kind=EventKind.ISSUE, at=FIRST_AT, terminal=0, sequence=0, balance_after_minor=0, amount_minor=0
)


def _once(tap: Tap, trail: Trail) -> Decision:
    """A ride by the fares of a feed: each is paid alone, second taps are known."""
    again = already_paid(tap, trail)
    if again is not None:
        return trail.repeat(Message.ALREADY_PAID, again)
    quote = single_fare(tap.policy, tap.trip, tap.local, BANK, trail)
    if quote is None:
        trail.note(FareEffect.UNKNOWN, {"route": tap.trip.route})
        return trail.refuse(Message.FARE_UNKNOWN)
    trail.note(FareEffect.ORDINARY, {"fare_minor": quote.fare_minor})
    outcome = Outcome(Message.OK_PAID, Admission.LET_IN, quote.fare_minor * (1 + tap.trip.companions))
    return accept(tap, trail, outcome, EventKind.RIDE, PaidBy.PURSE, inside=0)


def _not_now(policy: Policy, trip: Trip, sum_minor: int, trail: Trail) -> Decision | None:
    """Why nothing is charged later by this terminal just now, if so."""
    if trip.freshness.bundles_age_s > policy.document.ages.bundles_limited_days * DAY_S:
        trail.note(BankEffect.NOT_LATER)
        return trail.refuse(Message.ONLINE_ONLY)
    return None if _within_stale_list(policy, trip, sum_minor, trail) else trail.refuse(Message.ONLINE_ONLY)


def _later(card: BankSnapshot, plan: WritePlan, ridden: Decision, trail: Trail) -> Decision:
    """The ride as a bank card's: what the purse would have paid is charged later."""
    charge_minor, event = ridden.outcome.charge_minor, plan.event
    trail.reasons = [Reason(BY_BANK, one.inputs) if one.effect is ORDINARY else one for one in trail.reasons]
    paid_by = PaidBy.BANK if event.paid_by is PaidBy.PURSE else event.paid_by
    event = event._replace(paid_by=paid_by, balance_after_minor=0)
    if charge_minor:
        trail.flag(BankEffect.DEFERRED, RideFlag.DEFERRED, {"charge_minor": charge_minor})
    outcome = ridden.outcome
    if card.second and outcome.message == Message.OK_PAID:
        outcome = replace(outcome, message=Message.OK_PAID_BY_BANK)
    return trail.decision(outcome, WritePlan(event))


def _refused(card: BankSnapshot, policy: Policy, now: datetime, trail: Trail) -> Message | None:
    if not card.readable:
        trail.note(BankEffect.UNREADABLE)
        return Message.READ_AGAIN
    if _expired(card.expires_on, policy, now):
        trail.note(BankEffect.EXPIRED, {"expires_on": card.expires_on.isoformat()})
        return Message.EXPIRED
    if not card.authenticated:
        trail.note(BankEffect.NOT_AUTHENTIC)
        return Message.NOT_ACCEPTED
    listed = policy.bank_deny_list
    if listed is EMPTY_DENY_LIST or not policy.document.profiles.bus.deny_lists:
        return None
    if any(listed.contains(DenyKind.BANK_CARD, token) for token in card.tokens):
        trail.note(BankEffect.UNPAID)
        trail.lists[DENY_BANK] = listed.name
        return Message.DENY_LIST
    return None


def _expired(last_day: date, policy: Policy, now: datetime) -> bool:
    """Whether `last_day` is over by the clocks of the region; their day is asked for where it may be."""
    at = now.astimezone(UTC)
    return at.toordinal() >= last_day.toordinal() and at.astimezone(policy.zone).date() > last_day


def _within_stale_list(policy: Policy, trip: Trip, sum_minor: int, trail: Trail) -> bool:
    """T-43: with an old list the bus goes on, for a few taps of a card a day."""
    rule = policy.document.bank
    if trip.freshness.bank_list_age_s <= rule.stale_after_s:
        return True
    taken, taken_minor = trip.bank.taps_today, trip.bank.sum_today_minor
    inputs = {"age_s": trip.freshness.bank_list_age_s, "taps": taken, "of": rule.stale_taps}
    too_much = rule.stale_minor is not None and taken_minor + sum_minor > rule.stale_minor
    if taken >= rule.stale_taps or too_much:
        trail.note(BankEffect.LIST_TOO_OLD, inputs)
        return False
    trail.flag(BankEffect.WITHIN_STALE_CAP, RideFlag.STALE_LIST, inputs)
    return True
