"""Changing: what a ride costs while an earlier payment's window is open (T-30 to T-33)."""

from __future__ import annotations

from datetime import timedelta

from cardproto.resident.limits import MOST_TRANSFERS
from cardproto.resident.records.event import PaidBy
from terminal.decision.bus.concessions import cheapest
from terminal.decision.bus.cover import RIDES, Cover
from terminal.decision.bus.effects import TransferEffect
from terminal.decision.outcome import Message
from terminal.decision.tap import Tap, Trail
from terminal.policy.fares.index import Quote
from terminal.policy.journeys.index import Transfer
from terminal.policy.scopes import Ride


def by_transfer(tap: Tap, ride: Ride, quote: Quote | None, trail: Trail) -> Cover | None:
    """The open journey goes on with this ride, free or at its own price."""
    rule = tap.transfer
    if rule is None or tap.journey_age_s is None or _refused(tap, rule, trail):
        return None
    price_minor = _price(tap, rule, ride, quote, trail)
    if price_minor is None:
        return None
    inputs = {"journey_age_s": tap.journey_age_s, "transfers": tap.transfers}
    if price_minor:
        inputs["price_minor"] = price_minor
    trail.note(TransferEffect.of(rule.rule, "reduced_trip" if price_minor else "free_transfer"), inputs)
    counters = tap.counters
    if rule.once_counter is not None and tap.trip.mode in rule.once:
        counters = rule.once_counter.write(counters, rule.once_counter.read(counters) + 1)
    age_s = 0 if rule.extends else tap.journey_age_s
    ends = (tap.at + timedelta(seconds=rule.window_s - age_s)).astimezone(tap.policy.zone)
    return Cover(
        paid_by=PaidBy.TRANSFER,
        message=Message.OK_PAID if price_minor else Message.OK_TRANSFER,
        counters=counters,
        price_minor=price_minor,
        values={"time": f"{ends:%H:%M}"},
        journey=(age_s, min(tap.transfers + 1, MOST_TRANSFERS)),
    )


def opened(tap: Tap, rule: Transfer, counters: int) -> tuple[int, tuple[int, int]]:
    """A payment opens a journey: the counters with its beginning, and (age, transfers)."""
    card = tap.policy.card
    if not tap.counters_known:
        return counters, (0, 0)
    counters &= card.kept_by_journey
    if card.journey is not None:
        counters = card.journey.write(counters, rule.number)
    if rule.once_counter is not None and tap.trip.mode in rule.once:
        counters = rule.once_counter.write(counters, 1)
    return counters, (0, 0)


def _refused(tap: Tap, rule: Transfer, trail: Trail) -> bool:
    """Why this ride is no transfer, if it is not."""
    event, trip = tap.snapshot.event, tap.trip
    inputs = {"journey_age_s": tap.journey_age_s or 0, "transfers": tap.transfers}
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
    if rule.once_counter is None or trip.mode not in rule.once:
        return False
    if tap.counters_known and not rule.once_counter.read(tap.counters):
        return False
    trail.note(TransferEffect.MODE_ENTERED_BEFORE, {"mode": trip.mode})
    return True


def _price(tap: Tap, rule: Transfer, ride: Ride, quote: Quote | None, trail: Trail) -> int | None:
    """What the transfer costs; None where an ordinary or concession ride costs less than the reduced one."""
    if not rule.price_minor:
        return 0
    if quote is not None and quote.fare_minor < rule.price_minor:
        trail.note(TransferEffect.ORDINARY_CHEAPER, {"fare_minor": quote.fare_minor})
        return None
    choice = cheapest(tap, ride, quote, Trail())
    if choice is not None and choice.price_minor < rule.price_minor:
        trail.note(TransferEffect.CONCESSION_CHEAPER, {"price_minor": choice.price_minor})
        return None
    return rule.price_minor
