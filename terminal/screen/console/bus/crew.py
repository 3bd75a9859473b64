"""Who works in the vehicle: another driver takes it over within the shift (T-67), breaks (T-68), and notices of
the office (T-69).
"""

from __future__ import annotations

from typing import Final

from terminal.journal.console_records import BreakDeclared, CrewChanged, NoticeRead
from terminal.screen.console.actions import Written
from terminal.screen.console.bus.shift import NO_SHIFT, unread
from terminal.screen.console.console import ActionRefused
from terminal.screen.console.visit import FormFields, View, Visit
from terminal.texts import N_
from terminal.trip.shifts import cash_due

ALREADY: Final = N_("You drive already.")


def do_take_over(visit: Visit, form: FormFields, _written: Written) -> None:
    """T-67: the shift goes on with another driver, who has counted the cash."""
    console, journal = visit.console, visit.console.terminal.journal
    count = console.shift_count()
    if count is None:
        raise ActionRefused(NO_SHIFT)
    before = journal.driver_ref
    if before == visit.who.ref:
        raise ActionRefused(ALREADY)
    currency, due_minor = console.policy.currency, cash_due(count.totals(journal))
    sum_minor = form.amount("sum", currency)
    changed = CrewChanged(
        console.now_ms(), count.shift, visit.who.ref, before, due_minor, sum_minor, currency
    )
    journal.append(changed)


def do_break(visit: Visit, form: FormFields, _written: Written) -> None:
    """T-68: a break begins, or is over."""
    journal = visit.console.terminal.journal
    shift, begins = journal.open_shift, form.number("begins", 0, 1) == 1
    if shift is None:
        raise ActionRefused(NO_SHIFT)
    if begins == (journal.on_break is not None):
        return
    journal.append(BreakDeclared(visit.console.now_ms(), shift.shift, begins, visit.who.ref))


def office_page(visit: Visit) -> View:
    """Notices of the office, each to be confirmed as read."""
    return View("console/bus_office.html", {"notices": unread(visit)})


def do_read(visit: Visit, form: FormFields, _written: Written) -> None:
    """T-69: a notice of the office was read."""
    journal, notice = visit.console.terminal.journal, form.text("notice")
    shift = journal.open_shift
    if shift is None:
        raise ActionRefused(NO_SHIFT)
    if any(one.id == notice for one in unread(visit)):
        journal.append(NoticeRead(visit.console.now_ms(), shift.shift, notice, visit.who.ref))
