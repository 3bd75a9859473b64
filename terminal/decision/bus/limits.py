"""How often a right may be used: is there a ride left, and what the counters say after it (T-10 to T-13, T-37)."""

from __future__ import annotations

from msgspec import Struct

from terminal.decision.bus.effects import ContractEffect
from terminal.decision.outcome import Message
from terminal.decision.tap import Tap, Trail
from terminal.policy.rights.index import RideLimit
from terminal.policy.scopes import Ride, inside
from terminal.trail import Reason


class Use(Struct, frozen=True, gc=False):
    """One more use of a right: the counters with it, how many are `left` after it (None: nothing limits it), and what
    each limit says of it.
    """

    counters: int
    left: int | None = None
    steps: tuple[Reason, ...] = ()


def use(limits: tuple[RideLimit, ...], tap: Tap, ride: Ride, trail: Trail, reached: Message) -> Use | Message:
    """`ride` counted against all of `limits` that it falls under; one that depends on an unknown place counts it.

    Where one of them leaves no ride the ordinary fare is due, and the message is `reached` (T-13); where the count on
    the card cannot be read it is due as well, under a message of its own (O-04).
    """
    if not limits:
        return Use(tap.counters)
    counters, left, steps = tap.counters, None, []
    for limit in limits:
        if limit.areas and inside(limit.areas, ride) is False:
            continue
        if not tap.counters_known:
            return unreadable(trail)
        used = limit.counter.read(tap.counters)
        trips = limit.trips if limit.by_month is None else limit.trips_on(tap.service_date)
        inputs = {"used": used, "of": trips}
        if used >= trips:
            trail.note(ContractEffect.LIMIT_REACHED, inputs)
            return reached
        steps.append(Reason(limit.effect, inputs | _counted_on(limit, tap)))
        rest = trips - used - 1
        left = rest if left is None or rest < left else left
        counters = limit.counter.write(counters, used + 1)
    return Use(counters, left, tuple(steps))


def _counted_on(limit: RideLimit, tap: Tap) -> dict[str, int | str]:
    """On which counter, by its lowest bit (its name may say a category, D-03), and since when: by that a collector adds
    up what terminals counted apart (PHONE).
    """
    since = tap.policy.card.begins(limit.counter.period, tap.period_day)
    return {} if since is None else {"counter": limit.counter.shift, "since": since.isoformat()}


def unreadable(trail: Trail) -> Message:
    """A count that was written under another layout is no ride used and no ride left."""
    trail.note(ContractEffect.COUNT_UNREADABLE)
    return Message.COUNT_UNREADABLE
