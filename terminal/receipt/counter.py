"""A sale for cash: decided, on record, and only then a ticket (T-53, T-60); and how one is taken back (T-54)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from terminal.clock import unix_ms
from terminal.codes import TicketKind
from terminal.decision.bus.cash import decide_cash
from terminal.errors import ReceiptError
from terminal.journal.console_records import SaleCancelled
from terminal.journal.journal import Journal
from terminal.journal.records import CashSale
from terminal.policy.base import FareMedium
from terminal.policy.policy import Policy
from terminal.receipt.request import ReceiptSale
from terminal.trail import recorded
from terminal.trail_words import effect_words
from terminal.trip.facts import Trip
from terminal.trip.shifts import LastSale, require_shift_of
from terminal.trip.stated import stated


def sell_for_cash(
    journal: Journal,
    policy: Policy,
    trip: Trip,
    persons: int,
    now: datetime,
    vehicle: str = "",
    ticket: TicketKind = TicketKind.FULL,
) -> ReceiptSale:
    """Sell `persons` the ride of `trip`, each with a `ticket`; the sale is durable when this returns.

    Raises `ReceiptError` when nothing may be sold, `JournalError` when it cannot be recorded or the open shift is one
    of another kind of terminal, as a canteen's: then no money may be taken.
    """
    require_shift_of(journal, trip.profile)
    decision = decide_cash(policy, trip, persons, now, ticket)
    if decision.sum_minor is None:
        last = decision.facts[-1]
        raise ReceiptError(
            f"nothing can be sold: {last.rule}, {effect_words(last.code)}", "Put that right and sell again."
        )
    sequence = journal.append(
        CashSale(
            at_ms=unix_ms(now.replace(microsecond=0)),
            shift=trip.shift,
            turn=trip.turn,
            route=trip.route,
            direction=trip.direction,
            persons=persons,
            sum_minor=decision.sum_minor,
            tariff=policy.tariff,
            reasons=recorded(decision.facts),
            trip=stated(trip),
            flags=decision.flags,
            currency=policy.currency,
            ticket=ticket,
        )
    )
    return ReceiptSale(
        terminal=trip.terminal,
        sequence=sequence,
        at=now.replace(microsecond=0),
        medium=FareMedium.CASH,
        sum_minor=decision.sum_minor,
        currency=policy.currency,
        route=trip.route,
        direction=trip.direction,
        persons=persons,
        vehicle=vehicle,
        kind=ticket,
    )


class CancelRefusal(StrEnum):
    """Why a sale for cash is not cancelled (T-54)."""

    NEVER = "never"
    """The region's document allows none."""
    NOT_LAST = "not_last"
    CANCELLED = "cancelled"
    TOO_LATE = "too_late"


def cancel_left_s(policy: Policy, sale: CashSale, now: datetime) -> int:
    """For how many seconds more the sale may be cancelled; 0 where it may not. A clock set back gains no time."""
    return max(0, policy.document.cash.cancel_within_s - abs(unix_ms(now) - sale.at_ms) // 1000)


def refused_to_cancel(
    policy: Policy, last: LastSale | None, sale: int, now: datetime
) -> CancelRefusal | None:
    """Why the sale in row `sale` cannot be cancelled now; None: it can. `last` is the newest of the open shift."""
    if not policy.document.cash.cancel_within_s:
        return CancelRefusal.NEVER
    if last is None or last.sequence != sale:
        return CancelRefusal.NOT_LAST
    if last.cancelled:
        return CancelRefusal.CANCELLED
    return None if cancel_left_s(policy, last.sale, now) else CancelRefusal.TOO_LATE


def cancel_sale(journal: Journal, last: LastSale, now: datetime, operator_ref: str) -> None:
    """Take the sale back; its money may be given back when this returns. Raises `JournalError`."""
    sale = last.sale
    journal.append(
        SaleCancelled(unix_ms(now), sale.shift, last.sequence, sale.sum_minor, sale.currency, operator_ref)
    )
