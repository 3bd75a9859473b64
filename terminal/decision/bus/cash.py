"""Rides sold for cash on the driver's terminal: the price, or why there is none (T-01, T-53, T-60)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from terminal.codes import TicketKind
from terminal.decision.bus.effects import FareEffect
from terminal.decision.bus.fare import single_fare
from terminal.decision.effects import TerminalEffect
from terminal.decision.ended import note_bundles, note_end
from terminal.decision.outcome import Message
from terminal.decision.place import placed
from terminal.decision.tap import Trail
from terminal.policy.base import FareMedium
from terminal.policy.ends import DocumentEnd
from terminal.policy.fares.index import MEDIA
from terminal.policy.policy import Policy
from terminal.trail import Reason
from terminal.trip.facts import Trip

CASH: Final = MEDIA.index(FareMedium.CASH)


class CashDecision(Struct, frozen=True):
    """`sum_minor` is what all persons pay together; `message` says why nothing is sold when it is None."""

    sum_minor: int | None
    message: Message
    facts: tuple[Reason, ...]
    flags: tuple[str, ...] = ()


def decide_cash(
    policy: Policy, trip: Trip, persons: int, now: datetime, ticket: TicketKind = TicketKind.FULL
) -> CashDecision:
    """Return what `persons` pay in cash for the ride of `trip`, each with a `ticket`; of luggage, so many pieces. Never
    nothing: an unknown fare is a refusal.
    """
    trail = Trail()
    if not trip.reader_ok:
        trail.note(TerminalEffect.OUT_OF_SERVICE)
        return _refused(Message.OUT_OF_ORDER, trail)
    if not trip.shift_open:
        trail.note(TerminalEffect.NO_SHIFT)
        return _refused(Message.SHIFT_CLOSED, trail)
    if trip.on_break:
        trail.note(TerminalEffect.ON_BREAK)
        return _refused(Message.SHIFT_CLOSED, trail)
    end = note_end(policy.document, now, trail, clock_suspect=trip.clock.suspect)
    stopped = note_bundles(policy.document.ages, trip.freshness.bundles_age_s, trail)
    if stopped or end is DocumentEnd.PAST:
        return _refused(Message.OUT_OF_ORDER, trail)
    local = now.astimezone(UTC).replace(microsecond=0).astimezone(policy.zone)
    trip = placed(trip, policy.document.vehicle, trail)
    each_minor = _each(policy, trip, local, ticket, trail)
    if each_minor is None:
        return _refused(Message.FARE_UNKNOWN, trail)
    trail.note(_SOLD_AS[ticket], {"fare_minor": each_minor, "persons": persons})
    return CashDecision(each_minor * persons, Message.OK_PAID, tuple(trail.reasons), tuple(trail.flags))


_SOLD_AS: Final = {
    TicketKind.FULL: FareEffect.CASH,
    TicketKind.CHILD: FareEffect.CHILD,
    TicketKind.LUGGAGE: FareEffect.LUGGAGE,
}


def _each(policy: Policy, trip: Trip, local: datetime, ticket: TicketKind, trail: Trail) -> int | None:
    """The price of one ticket; None where it is not sold, or its fare not known (T-55)."""
    rules = policy.document.cash
    not_sold = {
        TicketKind.CHILD: rules.child_percent is None,
        TicketKind.LUGGAGE: rules.luggage_minor is None,
    }
    if not_sold.get(ticket, False):
        trail.note(FareEffect.NO_SUCH_TICKET, {"ticket": ticket.value})
        return None
    if ticket is TicketKind.LUGGAGE:
        return rules.luggage_minor
    quote = single_fare(policy, trip, local, CASH, trail)
    if quote is None:
        trail.note(FareEffect.UNKNOWN, {"route": trip.route})
        return None
    share = rules.child_percent if ticket is TicketKind.CHILD else None
    return quote.fare_minor if share is None else max(1, (quote.fare_minor * share + 50) // 100)


def _refused(message: Message, trail: Trail) -> CashDecision:
    return CashDecision(None, message, tuple(trail.reasons), tuple(trail.flags))
