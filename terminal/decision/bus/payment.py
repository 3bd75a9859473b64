"""The money of a ride: caps, what is held or owed, companions, the purse, and the journey a payment opens."""

from __future__ import annotations

from typing import TypeAlias

from cardproto.resident.records.event import EventKind
from terminal.decision.bus.caps import capped
from terminal.decision.bus.checkin import check_in, checks_in, held_minor, release
from terminal.decision.bus.cover import Cover
from terminal.decision.bus.transfers import opened
from terminal.decision.outcome import Decision, Message, Outcome
from terminal.decision.tap import Tap, Trail, accept
from terminal.policy.fares.index import Quote
from terminal.policy.journeys.index import CheckInRule
from terminal.policy.scopes import Ride

Journey: TypeAlias = tuple[int | None, int] | None
"""Age and transfers of the journey after the ride; None: as it was."""


def settle(tap: Tap, ride: Ride, quote: Quote | None, cover: Cover, trail: Trail) -> Decision | None:
    """The decision on a covered ride, or None when the purse does not hold the money for it."""
    others_minor = _others(tap, quote, cover, trail)
    if others_minor is None:
        return trail.refuse(Message.OUT_OF_ORDER)
    owed_minor, counters = _owed(tap, cover.counters, trail)
    journey = cover.journey
    if cover.price_minor and cover.opens is not None:
        counters, journey = opened(tap, cover.opens, counters)
    feed = (
        tap.policy.gtfs is not None
    )  # its free transfers are rides that may still cost something at the exit
    if cover.by_fare and (cover.price_minor or feed) and not tap.context.companions:
        rule = checks_in(tap, ride)
        if rule is not None:
            return _hold(tap, ride, rule, cover, owed_minor, counters, journey, trail)
    return _charge(tap, ride, cover, owed_minor + others_minor, counters, journey, trail)


def _hold(
    tap: Tap,
    ride: Ride,
    rule: CheckInRule,
    cover: Cover,
    owed_minor: int,
    counters: int,
    journey: Journey,
    trail: Trail,
) -> Decision | None:
    """T-07: only what is owed is charged; the price of this ride has to be there."""
    held, _ = capped(tap, ride, cover, cover.price_minor, counters, Trail())
    if not _enough(tap, owed_minor + held, trail):
        return None
    trail.note("T-07", "held until the rider checks out", {"held_minor": held})
    outcome = Outcome(Message.OK_CHECKIN, accepted=True, charge_minor=owed_minor, values={"held_minor": held})
    counters = check_in(tap, rule, counters, held)
    return _accepted(tap, outcome, EventKind.CHECK_IN, cover, counters, journey, trail)


def _charge(
    tap: Tap,
    ride: Ride,
    cover: Cover,
    more_minor: int,
    counters: int,
    journey: Journey,
    trail: Trail,
) -> Decision | None:
    """The price of the ride within its caps, and `more_minor` beside it."""
    flags, price_minor = len(trail.flags), cover.price_minor * (1 + cover.companions)
    due_minor, counters = capped(tap, ride, cover, price_minor, counters, trail)
    charge_minor = due_minor + more_minor
    if charge_minor and not _enough(tap, charge_minor, trail):
        del trail.flags[flags:]  # nothing is charged, so nothing was capped
        return None
    outcome = Outcome(cover.message, accepted=True, charge_minor=charge_minor, values=cover.values)
    return _accepted(tap, outcome, EventKind.RIDE, cover, counters, journey, trail)


def _accepted(
    tap: Tap,
    outcome: Outcome,
    kind: EventKind,
    cover: Cover,
    counters: int,
    journey: Journey,
    trail: Trail,
) -> Decision:
    paid_by, counted = cover.paid_by, cover.counted
    return accept(tap, trail, outcome, kind, paid_by, counters=counters, journey=journey, counted=counted)


def _others(tap: Tap, quote: Quote | None, cover: Cover, trail: Trail) -> int | None:
    """What companions the right does not cover cost together; None when their fare is not known (T-34)."""
    others = tap.context.companions - cover.companions
    if others <= 0:
        return 0
    if quote is None:
        trail.note("T-01", "the fare of the companions is not known", {"companions": others})
        return None
    trail.note("T-34", "the purse pays for others", {"companions": others, "fare_minor": quote.fare_minor})
    return others * quote.fare_minor


def _owed(tap: Tap, counters: int, trail: Trail) -> tuple[int, int]:
    """What an earlier ride without check-out costs: all that was held for it."""
    rule, held = tap.policy.check_in, held_minor(tap)
    if rule is None or not held:
        return 0, counters
    trail.note("T-07", "no check-out: all that was held is charged", {"held_minor": held})
    return held, release(rule, counters)


def _enough(tap: Tap, sum_minor: int, trail: Trail) -> bool:
    balance_minor = tap.snapshot.balance_minor
    if balance_minor >= sum_minor:
        return True
    inputs = {"balance_minor": balance_minor, "charge_minor": sum_minor}
    trail.note("T-34", "not enough money in the purse", inputs)
    return False
