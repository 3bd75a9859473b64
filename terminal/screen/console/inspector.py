"""The inspector's page: taps become questions, "is this ride paid?", and change nothing (T-70, T-71)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

from terminal.decision.effects import InspectionEffect
from terminal.decision.outcome import Message
from terminal.screen.console.actions import Written
from terminal.screen.console.bus.shift import direction_names, run_in, runs
from terminal.screen.console.roles import Role
from terminal.screen.console.visit import Action, ConsoleArea, FormFields, Page, View, Visit
from terminal.tap_report import TapReport
from terminal.texts import N_
from terminal.trip.build import InspectionRound

INSPECTOR: Final = frozenset({Role.INSPECTOR})
LASTS: Final = timedelta(minutes=15)
"""Then the terminal sells again by itself: a forgotten inspection must not keep a bus from its passengers."""
SHOWN: Final = 6

PAID: Final = N_("Paid")
NOT_PAID: Final = N_("No payment")
CANNOT_TELL: Final = N_("A bank card alone cannot tell: the vehicle's terminal is not heard")
BY_VEHICLE: Final = frozenset({InspectionEffect.PAID_BY_VEHICLE, InspectionEffect.BANK_CARD_SEEN})
"""Nothing is written to a bank card: what is known of it is on the vehicle's record."""
NOT_READ: Final = N_("Not read: present the card again")
RESULTS: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {Message.INSPECTION_PAID: (PAID, "green", "✓"), Message.INSPECTION_UNPAID: (NOT_PAID, "red", "✕")}
)
"""An answer to the inspector: words, colour and mark."""


def inspection_page(visit: Visit) -> View:
    """Start, or the last card and those before it. Nothing shows whose they were."""
    console = visit.console
    inspecting = console.terminal.inspecting
    if inspecting is None or console.clock.now() >= inspecting.ends_at:
        return _start(visit)
    reports = list(reversed(console.taps))
    route = console.routes.get(inspecting.route)
    values = {
        "inspecting": inspecting,
        "route": route,
        "heard": console.terminal.inspected(inspecting, b"").heard,
        "direction": direction_names(visit, route)[inspecting.direction],
        "until": f"{inspecting.ends_at.astimezone(console.policy.zone):%H:%M}",
        "results": [_result(visit, report) for report in reports if not report.of_staff][:SHOWN],
    }
    return View("console/inspection.html", values)


def _start(visit: Visit) -> View:
    """The vehicle to ask for: the turn that is under way here, or that the vehicle's own terminal says over the link,
    unless another is chosen.
    """
    journal, heard = visit.console.terminal.journal, visit.console.terminal.vehicle_run()
    turn = journal.open_turn or journal.open_shift
    route, direction = heard or ((turn.route, turn.direction) if turn else (0, 0))
    values = {
        "runs": runs(visit),
        "directions": direction_names(visit, None),
        "shift": journal.open_shift,
        "heard": heard is not None,
        "route": route,
        "direction": direction,
    }
    return View("console/inspection_start.html", values)


def _result(visit: Visit, report: TapReport) -> dict[str, Any]:
    outcome = report.outcome
    text, colour, mark = RESULTS.get(outcome.message, (NOT_READ, "yellow", "!"))
    effects = {reason.effect for reason in report.reasons}
    if InspectionEffect.BANK_CARD_CANNOT_TELL in effects:
        text, colour, mark = CANNOT_TELL, "yellow", "?"
    return {
        "at": f"{report.at.astimezone(visit.console.policy.zone):%H:%M:%S}",
        "text": text,
        "colour": colour,
        "mark": mark,
        "by_vehicle": bool(effects & BY_VEHICLE),
        "paid_at": outcome.values.get("time", ""),
        "code": report.support_code,
        "reported": InspectionEffect.MISUSE_REPORTED in effects,
    }


def do_start(visit: Visit, form: FormFields, _written: Written) -> None:
    """From now on taps are inspections."""
    console = visit.console
    route, direction = run_in(form)
    misuse = form.number("misuse", 0, 1, 0) == 1
    before = console.terminal.inspecting
    if before is None or console.clock.now() >= before.ends_at:
        console.heard_taps.clear()  # rides until now are no inspections
    console.terminal.inspecting = InspectionRound(route, direction, console.clock.now() + LASTS, misuse)


def do_stop(visit: Visit, _form: FormFields, _written: Written) -> None:
    """Taps are rides again."""
    visit.console.terminal.inspecting = None


def to_inspection(_visit: Visit, _form: FormFields, _written: Written) -> str:
    """The result is seen on the page itself."""
    return "/inspection"


INSPECTIONS: Final = ConsoleArea(
    "bus",
    pages=(Page("/inspection", INSPECTOR, inspection_page, N_("Inspection")),),
    actions=(
        Action("/inspection/start", INSPECTOR, do_start, to_inspection),
        Action("/inspection/stop", INSPECTOR, do_stop, to_inspection),
    ),
)
"""What an inspector works with."""
