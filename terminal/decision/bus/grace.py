"""Winter grace («довезти ребёнка», T-18): a child without money is taken along, and the debt is counted."""

from __future__ import annotations

from cardproto.resident.records.event import EventKind, PaidBy
from terminal.decision.outcome import Decision, Message, Outcome
from terminal.decision.tap import Tap, Trail, accept
from terminal.policy.scopes import Ride, inside

GRACE = "grace"


def owes_too_much(tap: Tap, trail: Trail) -> bool:
    """Whether the card's debt is full; then it rides no more until a desk has cleared it."""
    rule = tap.policy.grace
    if rule is None or not tap.counters_known:
        return False
    debt = rule.counter.read(tap.counters)
    if debt < rule.trips:
        return False
    trail.note("T-18", "unpaid rides used up: to be cleared in person", {"unpaid": debt, "of": rule.trips})
    return True


def unpaid(tap: Tap, ride: Ride, trail: Trail) -> Decision | None:
    """A ride on credit, when season, mode, concession and debt allow it."""
    rule = tap.policy.grace
    if rule is None or not tap.counters_known or tap.context.companions:
        return None
    if not rule.season.holds(tap.service_date) or not inside(rule.areas, ride) or not _entitled(tap):
        return None
    debt = rule.counter.read(tap.counters) + 1
    trail.flag("T-18", GRACE, "taken along unpaid", {"unpaid": debt, "of": rule.trips})
    outcome = Outcome(Message.OK_BENEFIT, accepted=True, values={"n": rule.trips - debt})
    counters = rule.counter.write(tap.counters, debt)
    return accept(tap, trail, outcome, EventKind.RIDE, PaidBy.GRACE, counters=counters)


def _entitled(tap: Tap) -> bool:
    rule = tap.policy.grace
    return rule is not None and any(
        grant is not None
        and grant.code in rule.concessions
        and grant.valid_from <= tap.service_date <= grant.valid_to
        for grant in tap.concessions
    )
