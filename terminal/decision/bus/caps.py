"""Caps: what the rides of a day, a week or a month cost at most. The shortest period comes first."""

from __future__ import annotations

from terminal.decision.bus.effects import FareEffect
from terminal.decision.flags import RideFlag
from terminal.decision.tap import Tap, Trail
from terminal.policy.counters.index import Counter
from terminal.policy.journeys.index import RideCap, SpentCap
from terminal.policy.scopes import Ride, inside


def capped(
    tap: Tap,
    ride: Ride,
    code: int | None,
    price_minor: int,
    counters: int,
    trail: Trail,
    *,
    most_minor: int | None = None,
    cheapest: bool = False,
) -> tuple[int, int]:
    """What of `price_minor` is still due, at most `most_minor`, and the counters after it. `cheapest`: where a place of
    the ride is not known, that is in the rider's favour. `code`: the concession it is paid by.

    Counters on a card that cannot be read cap nothing. A ride that the purse is not asked for is under no cap and
    raises none, wherever it goes.
    """
    caps = tap.policy.caps
    if not caps or not tap.counters_known or not price_minor:
        return price_minor, counters
    due_minor = price_minor
    spendings: list[tuple[Counter, int]] = []
    rides: list[Counter] = []
    for cap in caps:
        if cap.concessions and code not in cap.concessions:
            continue
        if isinstance(cap, RideCap):
            if inside(cap.areas, ride) is not False:
                rides.append(cap.counter)
                due_minor = _by_rides(cap, due_minor, counters, trail)
            continue
        limit_minor = cap.only_minor
        if limit_minor is None:
            limit_minor, counters = _limit(cap, ride, counters, cheapest=cheapest)
            if limit_minor is None:
                continue
        counter = cap.spent
        spent = (
            counters >> counter.shift & counter.mask
        )  # its `read`: here it would be the dearest of the loop
        spendings.append((counter, spent))
        left_minor = limit_minor - spent * counter.unit_minor
        if left_minor < due_minor:
            due_minor = _rest(cap, limit_minor, left_minor, due_minor, trail)
    if most_minor is not None and due_minor > most_minor:
        due_minor = most_minor
    for counter, spent in spendings:
        counters = counter.write(counters, spent + due_minor // counter.unit_minor)
    if rides and due_minor:
        for counter in rides:
            counters = counter.write(counters, counter.read(counters) + 1)
    return due_minor, counters


def _tier(cap: SpentCap, ride: Ride, *, cheapest: bool) -> int | None:
    """The cheapest tier the ride is in; where that is unknown, the dearest it may be in, or else the `cheapest`."""
    possible = None
    for number, (_, areas) in enumerate(cap.tiers):
        holds = inside(areas, ride)
        if holds or (holds is None and cheapest):
            return number
        if holds is None:
            possible = number
    return possible


def _limit(cap: SpentCap, ride: Ride, counters: int, *, cheapest: bool) -> tuple[int | None, int]:
    """The cap of the dearest tier so far, this ride's included; None where the ride is in no tier."""
    tier = 0 if cap.everywhere else _tier(cap, ride, cheapest=cheapest)
    if tier is None:
        return None, counters
    level = cap.level
    if level is None:
        return cap.tiers[tier][0], counters
    known = level.read(counters)
    if known == tier:  # as on nearly every tap
        return cap.tiers[tier][0], counters
    last = len(cap.tiers) - 1
    dearest = known if known > tier else tier
    dearest = last if dearest > last else dearest
    return cap.tiers[dearest][0], counters if dearest == known else level.write(counters, dearest)


def _rest(cap: SpentCap, limit_minor: int, left_minor: int, due_minor: int, trail: Trail) -> int:
    """What is due where the period has `left_minor` and less than `due_minor`."""
    if not due_minor:
        return 0
    inputs: dict[str, int | str] = {"cap": cap.id, "limit_minor": limit_minor, "fare_minor": due_minor}
    trail.flag(FareEffect.REST_OF_CAP, RideFlag.CAPPED, inputs)
    return max(left_minor, 0)


def _by_rides(cap: RideCap, due_minor: int, counters: int, trail: Trail) -> int:
    paid = cap.counter.read(counters)
    if not due_minor or paid < cap.trips:
        return due_minor
    trail.flag(FareEffect.RIDES_PAID, RideFlag.CAPPED, {"cap": cap.id, "paid": paid})
    return 0
