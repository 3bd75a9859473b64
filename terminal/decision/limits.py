"""How often a right may be used: is there a ride left, and what the counters say after it (T-10 to T-13, T-37)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from terminal.decision.tap import Tap, Trail
from terminal.policy.ride_rights import RideLimit
from terminal.policy.scopes import Ride, inside


@dataclass(frozen=True, slots=True)
class Use:
    """One more use of a right. `left` after it, None where nothing limits it; `counted` by the server."""

    counters: int
    left: int | None = None
    counted: tuple[str, ...] = ()


def used_up(limits: tuple[RideLimit, ...], tap: Tap, ride: Ride, trail: Trail) -> bool:
    """Whether one of the limits `ride` falls under leaves no ride; then the ordinary fare is due (T-13)."""
    for _, used, trips in _uses(limits, tap, ride):
        if used >= trips:
            trail.note("T-13", "limit reached: ordinary fare", {"used": used, "of": trips})
            return True
    return False


def use(limits: tuple[RideLimit, ...], tap: Tap, ride: Ride, trail: Trail) -> Use:
    """Count `ride` against every limit it falls under; none of them is used up."""
    if not limits:
        return Use(tap.counters)
    counters, lefts, counted = tap.counters, [], []
    for limit, used, trips in _uses(limits, tap, ride):
        trail.note(limit.rule, limit.effect, {"used": used, "of": trips})
        lefts.append(trips - used - 1)
        if limit.counter is None:
            counted.append(limit.name)
        else:
            counters = limit.counter.write(counters, used + 1)
    return Use(counters, min(lefts, default=None), tuple(counted))


def _uses(limits: tuple[RideLimit, ...], tap: Tap, ride: Ride) -> Iterator[tuple[RideLimit, int, int]]:
    """The limits that count `ride`, with uses so far and how many there are.

    A count on a card we cannot read is full; one the server never told is 0 (O-04).
    """
    month = tap.service_date.year * 12 + tap.service_date.month
    for limit in limits:
        if limit.areas and inside(limit.areas, ride) is False:
            continue
        trips = limit.trips_in(month)
        if limit.counter is None:
            used = tap.context.counts.get(limit.name, 0)
        else:
            used = limit.counter.read(tap.counters) if tap.counters_known else trips
        yield limit, used, trips
