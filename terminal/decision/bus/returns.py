"""The way back of a ride that was paid: it costs less, once (T-39)."""

from __future__ import annotations

from cardproto.resident.records.event import PaidBy
from terminal.decision.bus.cover import Cover
from terminal.decision.bus.effects import ReturnEffect
from terminal.decision.bus.remembered import back_by, fare_ride, known_returns
from terminal.decision.bus.transfers import otherwise
from terminal.decision.outcome import Message
from terminal.decision.tap import Tap, Trail
from terminal.policy.base import Right
from terminal.policy.fares.index import Quote
from terminal.policy.journeys.returns import Return
from terminal.policy.scopes import Ride


def by_return(tap: Tap, ride: Ride, quote: Quote | None, trail: Trail, *, checked_in: bool) -> Cover | None:
    """The purse pays what the way back costs, unless the ride costs less by a right that comes after it. Where riders
    check in, the outward ride stays on the card until the exit.
    """
    rules = known_returns(tap, checked_in=checked_in)
    rule = back_by(tap, ride if checked_in else fare_ride(tap, ride), rules, tap.at) if rules else None
    if rule is None or quote is None:
        return None
    price_minor = rule.price(quote.fare_minor)
    other_minor = otherwise(tap, ride, quote, Right.RETURN)
    if other_minor is not None and other_minor < price_minor:
        trail.note(ReturnEffect.OTHER_CHEAPER, {"price_minor": other_minor})
        return None
    note_way_back(rule, quote, trail)
    return Cover(
        paid_by=PaidBy.PURSE,
        message=trail.lapsed or Message.OK_PAID,
        counters=tap.counters if checked_in else rule.forgotten(tap.counters),
        price_minor=price_minor,
        by_fare=True,
        opens=tap.policy.transfer_by_id.get(quote.opens),
        back=rule,
    )


def note_way_back(rule: Return, quote: Quote, trail: Trail) -> None:
    """Say what the ride back costs instead of its fare."""
    inputs = {"fare_minor": quote.fare_minor, "price_minor": rule.price(quote.fare_minor)}
    trail.note(ReturnEffect.WAY_BACK, {"return": rule.id, **inputs})
