"""The money of a ride: caps, what is held or owed, companions, the purse, and the journey a payment opens."""

from __future__ import annotations

from cardproto.resident.records.event import EventKind
from terminal.decision.caps import capped
from terminal.decision.checkin import check_in, checks_in, held_minor, release
from terminal.decision.cover import Cover
from terminal.decision.outcome import Decision, Message, Outcome
from terminal.decision.tap import Tap, Trail, accept
from terminal.decision.transfers import opened
from terminal.policy.fare_book import Quote
from terminal.policy.scopes import Ride


def settle(tap: Tap, ride: Ride, quote: Quote | None, cover: Cover, trail: Trail) -> Decision | None:
    """The decision on a covered ride, or None when the purse does not hold the money for it."""
    others_minor = _others(tap, quote, cover, trail)
    if others_minor is None:
        return trail.refuse(Message.OUT_OF_ORDER)
    counters, journey = cover.counters, cover.journey
    owed_minor, counters = _owed(tap, counters, trail)
    if cover.price_minor and cover.opens is not None:
        counters, journey = opened(tap, cover.opens, counters)
    due_minor, flags = cover.price_minor * (1 + cover.companions), len(trail.flags)
    rule = checks_in(tap, ride) if cover.by_fare and due_minor and not tap.context.companions else None
    if rule is not None:
        held, _ = capped(tap, ride, cover, due_minor, counters, Trail())
        if not _enough(tap, owed_minor + held, trail):
            return None
        trail.note("T-07", "held until the rider checks out", {"held_minor": held})
        counters = check_in(tap, rule, counters, held)
        outcome = Outcome(
            Message.OK_CHECKIN, accepted=True, charge_minor=owed_minor, values={"held_minor": held}
        )
        kind = EventKind.CHECK_IN
    else:
        due_minor, counters = capped(tap, ride, cover, due_minor, counters, trail)
        charge_minor = owed_minor + due_minor + others_minor
        if charge_minor and not _enough(tap, charge_minor, trail):
            del trail.flags[flags:]  # nothing is charged, so nothing was capped
            return None
        outcome = Outcome(cover.message, accepted=True, charge_minor=charge_minor, values=cover.values)
        kind = EventKind.RIDE
    return accept(
        tap,
        trail,
        outcome,
        kind,
        cover.paid_by,
        counters=counters,
        journey=journey,
        counted=cover.counted,
    )


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
