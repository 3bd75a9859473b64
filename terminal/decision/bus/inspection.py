"""The inspector's tap: is this ride paid? It changes nothing (T-70), and may report misuse (T-71)."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from cardproto.resident.records.event import EventKind
from cardproto.resident.snapshot import CardSnapshot
from terminal.decision.bus.bank import BankSnapshot
from terminal.decision.bus.cover import CONCESSION_SLOTS
from terminal.decision.outcome import Decision, Message, TapContext
from terminal.decision.tap import Tap, Trail, rebase
from terminal.policy.policy import Policy

MISUSE: Final = "misuse"


def inspect(
    snapshot: CardSnapshot | BankSnapshot, policy: Policy, context: TapContext, now: datetime, trail: Trail
) -> Decision:
    """`already_paid` with time and route of the payment on this vehicle, or `permit_none`; never a write."""
    if isinstance(snapshot, BankSnapshot):
        paid = context.taken_today > 0
        trail.note("T-70", "tap of this token on this vehicle" if paid else "no tap of this token here")
        return trail.repeat(Message.ALREADY_PAID) if paid else trail.refuse(Message.PERMIT_NONE)
    tap = rebase(snapshot, policy, context, now)
    if context.misuse:
        _report(tap, trail)
    if not _paid_here(tap):
        trail.note("T-70", "no payment on this vehicle", {"route": snapshot.event.route})
        return trail.refuse(Message.PERMIT_NONE)
    paid_at = f"{snapshot.event.at.astimezone(policy.zone):%H:%M}"
    values: dict[str, int | str] = {"time": paid_at, "route": snapshot.event.route}
    trail.note("T-70", "paid on this vehicle", {**values, "terminal": snapshot.event.terminal})
    return trail.repeat(Message.ALREADY_PAID, values)


def _paid_here(tap: Tap) -> bool:
    event, context = tap.snapshot.event, tap.context
    if event.kind not in (EventKind.RIDE, EventKind.CHECK_IN) or tap.age_s is None:
        return False
    if tap.age_s > tap.policy.document.guards.inspection_s:
        return False
    if context.vehicle:
        return event.terminal in context.vehicle
    return (event.route, event.direction) == (context.route, context.direction)


def _report(tap: Tap, trail: Trail) -> None:
    """Only concessions are personal; the report goes to the operator, who alone may block."""
    if tap.snapshot.event.paid_by in CONCESSION_SLOTS or any(tap.concessions):
        trail.flag("T-71", MISUSE, "concession card in the wrong hands: reported, not blocked")
    else:
        trail.note("T-71", "no concession on this card: nothing to report")
