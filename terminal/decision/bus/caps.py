"""Caps: what the rides of a day, a week or a month cost at most. The shortest period comes first."""

from __future__ import annotations

from terminal.decision.bus.cover import Cover
from terminal.decision.bus.effects import FareEffect
from terminal.decision.flags import RideFlag
from terminal.decision.tap import Tap, Trail
from terminal.policy.journeys.index import FareCap, RideCap, SpentCap
from terminal.policy.scopes import Ride, inside


def capped(
    tap: Tap,
    ride: Ride,
    cover: Cover,
    price_minor: int,
    counters: int,
    trail: Trail,
    *,
    most_minor: int | None = None,
    cheapest: bool = False,
) -> tuple[int, int]:
    """What of `price_minor` is still due, at most `most_minor`, and the counters after it. `cheapest`: where a place of
    the ride is not known, that is in the rider's favour.

    Counters on a card that cannot be read cap nothing. A ride that the purse is not asked for is under no cap and
    raises none, wherever it goes.
    """
    caps = tap.policy.caps
    if not caps or not tap.counters_known or not price_minor:
        return price_minor, counters
    due_minor, money, rides = price_minor, [], []
    for cap in caps:
        if not _applies(cap, cover):
            continue
        if isinstance(cap, RideCap):
            if inside(cap.areas, ride) is not False:
                rides.append(cap)
                due_minor = _by_rides(cap, due_minor, counters, trail)
            continue
        tier = _tier(cap, ride, cheapest=cheapest)
        if tier is not None:
            money.append(cap)
            limit_minor, counters = _limit(cap, tier, counters)
            due_minor = _by_money(cap, limit_minor, due_minor, counters, trail)
    due_minor = due_minor if most_minor is None else min(due_minor, most_minor)
    return due_minor, _counted(money, rides, due_minor, counters)


def _counted(money: list[SpentCap], rides: list[RideCap], due_minor: int, counters: int) -> int:
    """The counters with this ride's money, and with the ride itself if it costs any."""
    for cap in money:
        spent = cap.spent.read(counters) + due_minor // cap.spent.unit_minor
        counters = cap.spent.write(counters, spent)
    for trips in rides if due_minor else ():
        counters = trips.counter.write(counters, trips.counter.read(counters) + 1)
    return counters


def _applies(cap: FareCap, cover: Cover) -> bool:
    return not cap.concessions or cover.code in cap.concessions


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


def _limit(cap: SpentCap, tier: int, counters: int) -> tuple[int, int]:
    """The cap of the dearest tier so far, this ride's included."""
    if cap.level is None:
        return cap.tiers[tier][0], counters
    dearest = max(tier, cap.level.read(counters))
    dearest = min(dearest, len(cap.tiers) - 1)
    return cap.tiers[dearest][0], cap.level.write(counters, dearest)


def _by_money(cap: SpentCap, limit_minor: int, due_minor: int, counters: int, trail: Trail) -> int:
    left_minor = max(limit_minor - cap.spent.read(counters) * cap.spent.unit_minor, 0)
    if left_minor >= due_minor:
        return due_minor
    inputs: dict[str, int | str] = {"cap": cap.id, "limit_minor": limit_minor, "fare_minor": due_minor}
    trail.flag(FareEffect.REST_OF_CAP, RideFlag.CAPPED, inputs)
    return left_minor


def _by_rides(cap: RideCap, due_minor: int, counters: int, trail: Trail) -> int:
    paid = cap.counter.read(counters)
    if not due_minor or paid < cap.trips:
        return due_minor
    trail.flag(FareEffect.RIDES_PAID, RideFlag.CAPPED, {"cap": cap.id, "paid": paid})
    return 0
