"""How often a right may be used: is there a ride left, and what the counters say after it (T-10 to T-13, T-37)."""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

from terminal.decision.bus.effects import ContractEffect
from terminal.decision.outcome import Message
from terminal.decision.tap import Tap, Trail
from terminal.policy.rights.index import RideLimit
from terminal.policy.scopes import Ride, inside

Claims: TypeAlias = list[tuple[RideLimit, int | None, int]]
"""The limits a ride falls under, with the uses so far (None: cannot be read) and how many there are."""
NO_CLAIMS: Final[Claims] = []


class Use(NamedTuple):
    """One more use of a right. `left` after it, None where nothing limits it."""

    counters: int
    left: int | None = None


def claims(limits: tuple[RideLimit, ...], tap: Tap, ride: Ride) -> Claims:
    """The limits that count `ride`. One that depends on an unknown place does."""
    if not limits:
        return NO_CLAIMS
    found: Claims = []
    for limit in limits:
        if limit.areas and inside(limit.areas, ride) is False:
            continue
        used = limit.counter.read(tap.counters) if tap.counters_known else None
        found.append(
            (limit, used, limit.trips if limit.by_month is None else limit.trips_on(tap.service_date))
        )
    return found


def used_up(found: Claims, trail: Trail, reached: Message) -> Message | None:
    """`reached` when one of them leaves no ride; then the ordinary fare is due (T-13).

    It is due as well where the count on the card cannot be read (O-04), under a message of its own.
    """
    for _, used, trips in found:
        if used is None:
            return unreadable(trail)
        if used >= trips:
            trail.note(ContractEffect.LIMIT_REACHED, {"used": used, "of": trips})
            return reached
    return None


def unreadable(trail: Trail) -> Message:
    """A count that was written under another layout is no ride used and no ride left."""
    trail.note(ContractEffect.COUNT_UNREADABLE)
    return Message.COUNT_UNREADABLE


def use(found: Claims, tap: Tap, trail: Trail) -> Use:
    """Count the ride against all of them; none is used up."""
    if not found:
        return Use(tap.counters)
    counters, lefts = tap.counters, []
    for limit, used, trips in found:
        assert used is not None, "used_up was asked first"
        trail.note(limit.effect, {"used": used, "of": trips})
        lefts.append(trips - used - 1)
        counters = limit.counter.write(counters, used + 1)
    return Use(counters, min(lefts))
