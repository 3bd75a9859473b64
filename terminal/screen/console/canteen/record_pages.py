"""What was done lately, and the questions before it is taken back: one record, or a whole list (M-34)."""

from __future__ import annotations

from typing import Final

from terminal.canteen.counter import CanteenCounter
from terminal.canteen.roster import class_order
from terminal.journal.canteen_records import MealServed
from terminal.screen.console.canteen.look import (
    AFTERWARDS,
    AT,
    CASHIER,
    NO_RECORD,
    Look,
    looking,
)
from terminal.screen.console.canteen.report import done_lines, orders_left
from terminal.screen.console.console import ActionRefused, Console
from terminal.screen.console.visit import FormFields, Page, View, Visit
from terminal.texts import N_

LAST_LINES: Final = 30
MOST_LINES: Final = 200
"""On one page: a name finds the others."""
ALL: Final = 1_000_000
ROW_DIGITS: Final = 16


def record_pages() -> tuple[Page, ...]:
    """For the console's area."""
    return (
        Page(f"{AT}/records", AFTERWARDS, looking(_records), N_("Put right")),
        Page(f"{AT}/annul", CASHIER, looking(_annul)),
        Page(f"{AT}/annul-list", CASHIER, _annul_list),
    )


def _records(look: Look) -> View:
    words, every = look.visit.query.text("q"), look.visit.query.text("all") == "1"
    shown = MOST_LINES if every else LAST_LINES
    lines = done_lines(look.counter, look.now, words=words, limit=shown + 1)
    return look.view(
        "records.html",
        lines=lines[:shown],
        more=len(lines) > shown and not every,
        cut=len(lines) > shown and every,
        q=words,
        orders=orders_left(look.counter, look.now),
        marked=look.visit.query.text("marked"),
    )


def _annul(look: Look) -> View:
    return _annul_row(look, look.visit.query.text("row"))


def annul_again(visit: Visit, form: FormFields) -> View:
    """The question again, with what stood against the answer."""
    return looking(lambda look: _annul_row(look, form.text("row")))(visit)


def _annul_row(look: Look, row: str) -> View:
    wanted = {int(row)} if row.isascii() and row.isdecimal() and len(row) < ROW_DIGITS else set[int]()
    line = next(iter(done_lines(look.counter, look.now, rows=wanted)), None)
    if line is None:
        raise ActionRefused(NO_RECORD)
    return look.view("annul.html", line=line)


def owner_of_row(counter: CanteenCounter, row: int) -> bytes:
    """Whose record it is, a pupil of the list or not; raises `ActionRefused`."""
    one = counter.ledger.meals.get((counter.terminal, row)) or counter.ledger.sales.get(
        (counter.terminal, row)
    )
    if one is None:
        raise ActionRefused(NO_RECORD)
    return one.pupil


def list_rows(console: Console, action: str) -> tuple[tuple[int, bytes], ...]:
    """What the form `action` of a class wrote: rows and pupils. Raises `ActionRefused` for no such form."""
    if not any(console.actions.genuine(action, ref, f"{AT}/issue") for ref in console.staff_refs()):
        raise ActionRefused(NO_RECORD)
    written = console.actions.written(action)
    return tuple((row, record.pupil) for row, record in written if isinstance(record, MealServed))


def _annul_list(visit: Visit) -> View:
    return _annul_whole(visit, visit.query.text("list"))


def annul_list_again(visit: Visit, form: FormFields) -> View:
    """The question again, with what stood against the answer."""
    return _annul_whole(visit, form.text("list"))


def _annul_whole(visit: Visit, action: str) -> View:
    rows = {row for row, _ in list_rows(visit.console, action)}

    def show(look: Look) -> View:
        lines = done_lines(look.counter, look.now, limit=ALL, rows=rows)
        left = [line for line in lines if not line.annulled]
        return look.view(
            "annul_list.html",
            action=action,
            lines=left,
            classes=sorted({line.person.class_id for line in left if line.person}, key=class_order),
            late=any(not line.seconds_left for line in left),
        )

    return looking(show)(visit)
