"""Who works in the vehicle: another driver takes it over within the shift (T-67), and breaks (T-68)."""

from __future__ import annotations

from typing import Final

from terminal.journal.console_records import BreakDeclared, CrewChanged
from terminal.screen.console.actions import Written
from terminal.screen.console.bus.shift import NO_SHIFT
from terminal.screen.console.console import ActionRefused
from terminal.screen.console.visit import FormFields, Visit
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
