"""A sale for cash: decided, on record, and only then a ticket (T-53, T-60)."""

from __future__ import annotations

from datetime import datetime

from terminal.clock import unix_ms
from terminal.decision.bus.cash import decide_cash
from terminal.errors import ReceiptError
from terminal.journal.journal import Journal
from terminal.journal.records import CashSale
from terminal.policy.base import FareMedium
from terminal.policy.policy import Policy
from terminal.receipt.request import ReceiptSale
from terminal.trail import recorded
from terminal.trail_words import effect_words
from terminal.trip.facts import Trip
from terminal.trip.stated import stated


def sell_for_cash(
    journal: Journal, policy: Policy, trip: Trip, persons: int, now: datetime, vehicle: str = ""
) -> ReceiptSale:
    """Sell `persons` the ride of `trip`; the sale is durable when this returns.

    Raises `ReceiptError` when nothing may be sold, `JournalError` when it cannot be recorded: then no money may
    be taken.
    """
    decision = decide_cash(policy, trip, persons, now)
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
    )
