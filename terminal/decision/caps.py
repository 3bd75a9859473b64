"""Caps: what the rides of a day, a week or a month cost at most. The shortest period comes first."""

from __future__ import annotations

from terminal.decision.cover import Cover
from terminal.decision.tap import Tap, Trail
from terminal.policy.journeys import FareCap, RideCap, SpentCap
from terminal.policy.scopes import Ride, inside

CAPPED = "capped"


def capped(
    tap: Tap, ride: Ride, cover: Cover, price_minor: int, counters: int, trail: Trail
) -> tuple[int, int]:
    """What of `price_minor` is still due, and the counters after it.

    Counters on a card that cannot be read cap nothing.
    """
    caps = [cap for cap in tap.policy.caps if _applies(cap, cover)] if tap.counters_known else []
    due_minor = price_minor
    open_caps: list[tuple[SpentCap, int]] = []
    for cap in caps:
        if isinstance(cap, RideCap):
            due_minor, counters = _by_rides(cap, ride, due_minor, counters, trail)
            continue
        tier = _tier(cap, ride)
        if tier is None:
            continue
        limit_minor, counters = _limit(cap, tier, counters)
        open_caps.append((cap, limit_minor))
        left_minor = max(limit_minor - cap.spent.read(counters) * cap.spent.unit_minor, 0)
        if left_minor < due_minor:
            inputs: dict[str, int | str] = {
                "cap": cap.id,
                "limit_minor": limit_minor,
                "fare_minor": due_minor,
            }
            trail.flag("CAP", CAPPED, "the rest of the cap", inputs)
            due_minor = left_minor
    for cap, _ in open_caps:
        spent = cap.spent.read(counters) + due_minor // cap.spent.unit_minor
        counters = cap.spent.write(counters, spent)
    return due_minor, counters


def _applies(cap: FareCap, cover: Cover) -> bool:
    return not cap.concessions or cover.code in cap.concessions


def _tier(cap: SpentCap, ride: Ride) -> int | None:
    """The cheapest tier the ride is in; where nobody knows, the dearest it may be in."""
    possible = None
    for number, (_, areas) in enumerate(cap.tiers):
        holds = inside(areas, ride)
        if holds:
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


def _by_rides(cap: RideCap, ride: Ride, due_minor: int, counters: int, trail: Trail) -> tuple[int, int]:
    if inside(cap.areas, ride) is False or not due_minor:
        return due_minor, counters
    paid = cap.counter.read(counters)
    if paid >= cap.trips:
        trail.flag("CAP", CAPPED, "enough rides paid in this period", {"cap": cap.id, "paid": paid})
        return 0, counters
    return due_minor, cap.counter.write(counters, paid + 1)
