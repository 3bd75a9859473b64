"""Changing: what a ride costs while an earlier payment's window is open (T-30 to T-33, T-38)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from msgspec import Struct

from cardproto.resident.limits import MOST_TRANSFERS
from cardproto.resident.records.event import PaidBy
from terminal.decision.bus.concessions import cheapest
from terminal.decision.bus.contracts import by_plan
from terminal.decision.bus.cover import RIDES, Cover
from terminal.decision.bus.effects import TransferEffect
from terminal.decision.bus.remembered import paid_minor, with_paid
from terminal.decision.outcome import NO_VALUES, Message
from terminal.decision.tap import Tap, Trail
from terminal.policy.base import Right
from terminal.policy.fares.index import Quote
from terminal.policy.journeys.index import Transfer
from terminal.policy.scopes import Ride


def by_transfer(tap: Tap, ride: Ride, quote: Quote | None, trail: Trail, *, checked_in: bool) -> Cover | None:
    """The open journey goes on with this ride: free, at its own price, or for what it costs more than was paid."""
    rule, age_s = tap.transfer, tap.journey_age_s
    if rule is None or age_s is None or _refused(tap, rule, age_s, trail):
        return None
    following = _price(tap, rule, ride, quote, trail)
    if following is None:
        return None
    price_minor, counters = following.price_minor, tap.counters
    inputs = {"journey_age_s": age_s, "transfers": tap.transfers, **following.inputs}
    if price_minor:
        inputs["price_minor"] = price_minor
    trail.note((PAID if price_minor else FREE)[rule.rule], inputs)
    if not checked_in:
        counters = with_paid(rule, counters, following.own_minor)
    if rule.once_counter is not None and tap.trip.mode in rule.once:
        counters = rule.once_counter.write(counters, rule.once_counter.read(counters) + 1)
    age_s = 0 if rule.extends else age_s
    ends = (tap.at + timedelta(seconds=rule.window_s - age_s)).astimezone(tap.policy.zone)
    return Cover(
        PaidBy.TRANSFER,
        Message.OK_PAID if price_minor else Message.OK_TRANSFER,
        counters,
        price_minor,
        {"time": f"{ends.hour:02}:{ends.minute:02}"},
        by_fare=rule.paid is not None,
        journey=(age_s, min(tap.transfers + 1, MOST_TRANSFERS)),
    )


DEARER: Final = {"T-31": "reduced_trip", "T-38": "top_up"}
"""What a following ride is that the purse pays for, by rule."""
PAID: Final = {rule: TransferEffect.of(rule, effect) for rule, effect in DEARER.items()}
FREE: Final = {rule: TransferEffect.of(rule, "free_transfer") for rule in ("T-30", "T-32", "T-38")}


class _Following(Struct, frozen=True, gc=False):
    """What a following ride costs, what it would cost of its own (0: that does not matter), and what was looked at."""

    price_minor: int
    own_minor: int = 0
    inputs: Mapping[str, int | str] = NO_VALUES


def opened(tap: Tap, rule: Transfer, counters: int, price_minor: int) -> tuple[int, tuple[int | None, int]]:
    """A payment of `price_minor` opens a journey, 0 where the exit will say how much it was: the counters with its
    beginning, and (age, transfers).
    """
    card = tap.policy.card
    if not tap.counters_known:
        return counters, (None if rule.paid else 0, 0)
    counters &= card.kept_by_journey
    if card.journey is not None:
        counters = card.journey.write(counters, rule.number)
    if rule.once_counter is not None and tap.trip.mode in rule.once:
        counters = rule.once_counter.write(counters, 1)
    if rule.paid is not None:
        counters = with_paid(rule, counters, price_minor)
    return counters, (0, 0)


def otherwise(tap: Tap, ride: Ride, quote: Quote | None, right: Right) -> int | None:
    """What the purse would pay for the ride of its holder by the rights that come after `right`; None: not known."""
    rights = tap.policy.document.profiles.bus.rights
    for later in rights[rights.index(right) + 1 :]:
        if later is Right.CONCESSION:
            choice = cheapest(tap, ride, quote, Trail())
            if choice is not None:
                return choice.price_minor
        elif later is Right.PLAN:
            plan = by_plan(tap, ride, quote, Trail())
            if plan is not None:
                return plan.price_minor
    return None if quote is None else quote.fare_minor


def _refused(tap: Tap, rule: Transfer, age_s: int, trail: Trail) -> bool:
    """Why this ride is no transfer, if it is not."""
    event, trip = tap.snapshot.event, tap.trip
    inputs = {"journey_age_s": age_s, "transfers": tap.transfers}
    if rule.most is not None and tap.transfers >= rule.most:
        trail.note(TransferEffect.of(rule.rule, "none_left"), inputs)
        return True
    if rule.modes is not None and trip.mode not in rule.modes:
        trail.note(TransferEffect.of(rule.rule, "other_mode"), {"mode": trip.mode})
        return True
    same_way = (event.route, event.direction) == (trip.route, trip.direction)
    if event.kind in RIDES and same_way and rule.new_trip_on_same_route:
        trail.note(TransferEffect.SAME_ROUTE, {"route": event.route})
        return True
    if rule.paid is not None and not tap.counters_known:
        trail.note(TransferEffect.PAID_UNREADABLE)
        return True
    return _entered(tap, rule, trail)


def _entered(tap: Tap, rule: Transfer, trail: Trail) -> bool:
    """Whether the mode may be entered once a journey and has been."""
    mode = tap.trip.mode
    if rule.once_counter is None or mode not in rule.once:
        return False
    if tap.counters_known and not rule.once_counter.read(tap.counters):
        return False
    trail.note(TransferEffect.MODE_ENTERED_BEFORE, {"mode": mode})
    return True


def _price(tap: Tap, rule: Transfer, ride: Ride, quote: Quote | None, trail: Trail) -> _Following | None:
    """What the following ride costs; None where an ordinary or concession ride costs less than the reduced one, and
    where a price that has to be compared is not known.
    """
    if rule.paid is not None:
        own_minor = otherwise(tap, ride, quote, Right.TRANSFER)
        return None if own_minor is None else topped_up(tap, rule, own_minor)
    if not rule.price_minor:
        return _Following(0)
    if quote is not None and quote.fare_minor < rule.price_minor:
        trail.note(TransferEffect.ORDINARY_CHEAPER, {"fare_minor": quote.fare_minor})
        return None
    choice = cheapest(tap, ride, quote, Trail())
    if choice is not None and choice.price_minor < rule.price_minor:
        trail.note(TransferEffect.CONCESSION_CHEAPER, {"price_minor": choice.price_minor})
        return None
    return _Following(rule.price_minor)


def topped_up(tap: Tap, rule: Transfer, own_minor: int) -> _Following:
    """What a ride costs for which `own_minor` would be due of its own."""
    paid = paid_minor(rule, tap.counters)
    return _Following(max(own_minor - paid, 0), own_minor, {"own_minor": own_minor, "paid_minor": paid})
