"""A tap with a bank card: registered now, charged later by the bank (T-40 to T-43).

The terminal sees neither number nor holder: only whether the card answered, proved itself offline and is in
date, and a token, the keyed hash of its number (D-04).
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Final

from msgspec import Struct

from terminal.codes import Admission
from terminal.decision.bus.effects import BankEffect, FareEffect
from terminal.decision.bus.fare import single_fare
from terminal.decision.ended import DAY_S
from terminal.decision.flags import RideFlag
from terminal.decision.outcome import Decision, Message, Outcome
from terminal.decision.tap import Trail
from terminal.policy.base import FareMedium
from terminal.policy.deny_list import DenyKind
from terminal.policy.fares.index import MEDIA
from terminal.policy.policy import Policy
from terminal.trip.facts import Trip

BANK: Final = MEDIA.index(FareMedium.BANK_CARD)


class BankSnapshot(Struct, frozen=True):
    """What one tap learned of a bank card. `expires_on` is its last day, `authenticated` the result of offline
    data authentication, `token` the keyed hash of its number.
    """

    token: bytes
    expires_on: date
    readable: bool = True
    authenticated: bool = True


def decide_bank(card: BankSnapshot, policy: Policy, trip: Trip, now: datetime, trail: Trail) -> Decision:
    """Return the decision on a tap; `outcome.charge_minor` is to be charged later, nothing is written."""
    local = now.astimezone(UTC).replace(microsecond=0).astimezone(policy.zone)
    if trip.profile != "bus" or FareMedium.BANK_CARD not in policy.document.profiles.bus.media:
        trail.note(BankEffect.NOT_TAKEN)
        return trail.refuse(Message.UNKNOWN_CARD)
    refusal = _refused(card, policy, local.date(), trail)
    if refusal is not None:
        return trail.refuse(refusal)
    quote = single_fare(policy, trip, local, BANK, trail)
    if quote is None:
        trail.note(FareEffect.UNKNOWN, {"route": trip.route})
        return trail.refuse(Message.FARE_UNKNOWN)
    sum_minor = quote.fare_minor * (1 + trip.companions)
    if trip.freshness.bundles_age_s > policy.document.ages.bundles_limited_days * DAY_S:
        trail.note(BankEffect.NOT_LATER)
        return trail.refuse(Message.ONLINE_ONLY)
    if not _within_stale_list(policy, trip, sum_minor, trail):
        return trail.refuse(Message.ONLINE_ONLY)
    trail.note(FareEffect.BANK, {"fare_minor": quote.fare_minor})
    trail.flag(BankEffect.DEFERRED, RideFlag.DEFERRED, {"charge_minor": sum_minor})
    outcome = Outcome(Message.OK_PAID, Admission.LET_IN, charge_minor=sum_minor)
    return Decision(outcome, None, tuple(trail.reasons), tuple(trail.flags))


def _refused(card: BankSnapshot, policy: Policy, today: date, trail: Trail) -> Message | None:
    if not card.readable:
        trail.note(BankEffect.UNREADABLE)
        return Message.READ_AGAIN
    if not card.authenticated:
        trail.note(BankEffect.NOT_AUTHENTIC)
        return Message.NOT_ACCEPTED
    if today > card.expires_on:
        trail.note(BankEffect.EXPIRED, {"expires_on": card.expires_on.isoformat()})
        return Message.EXPIRED
    if policy.document.profiles.bus.deny_lists and policy.bank_deny_list.contains(
        DenyKind.BANK_CARD, card.token
    ):
        trail.note(BankEffect.UNPAID)
        return Message.DENY_LIST
    return None


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
