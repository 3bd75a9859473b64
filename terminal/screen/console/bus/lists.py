"""What the crew of a bus looks at: the newest taps, why taps were refused, and the report of a shift (T-66)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from terminal.clock import from_unix_ms
from terminal.fault_texts import fault_text
from terminal.journal.console_records import CrewChanged, OrderDeclared
from terminal.journal.records import Fault, ShiftClosed
from terminal.messages import colour
from terminal.screen.console.actions import Written
from terminal.screen.console.bus.facts import (
    MARKS,
    TapLine,
    newest_faults,
    newest_taps,
    shift_of,
    unsent,
)
from terminal.screen.console.console import ActionRefused
from terminal.screen.console.roles import CREW
from terminal.screen.console.visit import FormFields, Page, View, Visit
from terminal.screen.console.words import short, span
from terminal.support_code import support_code
from terminal.texts import N_
from terminal.trip.shifts import ShiftCount, cash_due

NEWEST: Final = 20
FAULTS: Final = 10
MESSAGE: Final = "message_"
NOTHING: Final = dict.fromkeys(
    ("repeated", "cancelled_sales", "cash_handed_minor", "cash_short_minor", "cash_over_minor", "breaks"), 0
)
"""What most shifts have none of."""


def taps_page(visit: Visit) -> View:
    """The newest taps and sales, and the refusals of the open shift by reason."""
    console = visit.console
    count = console.shift_count()
    totals = {} if count is None else count.totals(console.terminal.journal)
    values = {
        "taps": [_shown(visit, line) for line in newest_taps(console.terminal.journal, NEWEST)],
        "totals": NOTHING | totals,
        "refused": [] if count is None else by_reason(count.refused, visit.language),
        "open": count is not None,
    }
    return View("console/bus_taps.html", values)


def _shown(visit: Visit, line: TapLine) -> dict[str, Any]:
    said = short(line.message, visit.language) if line.message else visit.text(UNKNOWN_END)
    return {
        "at": f"{line.at.astimezone(visit.console.policy.zone):%H:%M:%S}",
        "text": said,
        "line": line,
        "code": support_code(visit.console.terminal.number, line.sequence) if line.sequence else "",
    }


TAKEN_OUT: Final = N_("out of service, by {ref}")
BACK_IN_SERVICE: Final = N_("back in service, by {ref}")
UNKNOWN_END: Final = N_("Not known yet: ask for the card again")


def by_reason(counts: Mapping[str, int], language: str) -> list[dict[str, Any]]:
    """How often each message was given, most often first."""
    lines = [{"text": short(name, language), "count": n, **_mark(name)} for name, n in counts.items() if n]
    return sorted(lines, key=lambda line: (-line["count"], line["text"]))


def _mark(name: str) -> dict[str, str]:
    shade = colour(name)
    return {"colour": shade, "mark": MARKS[shade]}


def report_page(visit: Visit) -> View:
    """The open shift so far, and the button that closes it."""
    console = visit.console
    journal, shift, count = (
        console.terminal.journal,
        console.terminal.journal.open_shift,
        console.shift_count(),
    )
    if shift is None or count is None:
        return View("console/bus_report.html", {"report": None})
    totals = count.totals(journal)
    report = _report(visit, shift.shift, shift.operator_ref, shift.at_ms, None, totals, count)
    return View("console/bus_report.html", {"report": report})


def closed_report_page(visit: Visit) -> View:
    """The report of a closed shift, as it was when it was closed; prints well."""
    console = visit.console
    found = shift_of(console.terminal.journal, visit.query.number("sequence", 1, 10**9))
    if found is None:
        raise ActionRefused(N_("There is no such report on this terminal."))
    opened, closed = found
    operator, since_ms = (opened.operator_ref, opened.at_ms) if opened else ("", closed.at_ms)
    count = None if opened is None else _counted(visit, closed)
    report = _report(visit, closed.shift, operator, since_ms, closed.at_ms, closed.totals, count)
    return View("console/bus_report.html", {"report": report})


def _counted(visit: Visit, closed: ShiftClosed) -> ShiftCount:
    count = ShiftCount(closed.shift)
    count.totals(visit.console.terminal.journal)
    return count


def _report(
    visit: Visit,
    shift: int,
    operator: str,
    since_ms: int,
    until_ms: int | None,
    totals: Mapping[str, int],
    count: ShiftCount | None,
) -> dict[str, Any]:
    console, zone = visit.console, visit.console.policy.zone
    since = from_unix_ms(since_ms).astimezone(zone)
    until = None if until_ms is None else from_unix_ms(until_ms).astimezone(zone)
    during = (fault for fault in newest_faults(console.terminal.journal, 1000) if fault.at_ms >= since_ms)
    faults = [fault for fault in during if until_ms is None or fault.at_ms <= until_ms][:FAULTS]
    ridden = {name.removeprefix(MESSAGE): n for name, n in totals.items() if name.startswith(MESSAGE)}
    refused: Mapping[str, int] = {} if count is None else count.refused
    for not_let_in in (refused, {} if count is None else count.inside):
        for name, n in not_let_in.items():
            ridden[name] = ridden.get(name, 0) - n
    return {
        "shift": shift,
        "operator": operator,
        "day": f"{since:%Y-%m-%d}",
        "since": f"{since:%H:%M}",
        "until": "" if until is None else f"{until:%H:%M}",
        "closed": until is not None,
        "totals": NOTHING | dict(totals),
        "due_minor": cash_due(totals),
        "break_time": span(totals.get("break_s", 0), visit.language),
        "crew": [_crew_line(visit, one) for one in (() if count is None else count.crew)],
        "accepted": by_reason(ridden, visit.language),
        "refused": by_reason(refused, visit.language),
        "faults": [fault_line(visit, fault) for fault in faults],
        "unsent_age": span(unsent(console.terminal.journal, console.clock).age_s, visit.language),
    }


def _crew_line(visit: Visit, one: CrewChanged) -> dict[str, Any]:
    return {
        "at": f"{from_unix_ms(one.at_ms).astimezone(visit.console.policy.zone):%H:%M}",
        "before": one.before_ref,
        "ref": one.operator_ref,
        "due_minor": one.due_minor,
        "sum_minor": one.sum_minor,
    }


def to_open_report(_visit: Visit, _form: FormFields, _written: Written) -> str:
    """What changed is seen in the report of the open shift."""
    return "/report"


def fault_line(visit: Visit, fault: Fault | OrderDeclared) -> dict[str, str]:
    """A fault for a list, in the operator's language."""
    at = f"{from_unix_ms(fault.at_ms).astimezone(visit.console.policy.zone):%d.%m. %H:%M}"
    if isinstance(fault, Fault):
        return {"at": at, "what": fault_text(fault.code, fault.inputs, visit.language)}
    text = BACK_IN_SERVICE if fault.in_order else TAKEN_OUT
    return {"at": at, "what": visit.text(text, ref=fault.operator_ref)}


PAGES: Final[Iterable[Page]] = (
    Page("/taps", CREW, taps_page, N_("Taps")),
    Page("/report", CREW, report_page, N_("Report")),
    Page("/report/{sequence:int}", CREW, closed_report_page),
)
