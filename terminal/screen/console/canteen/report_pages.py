"""The reports of a canteen's console, on the page and as files, and the end of the day."""

from __future__ import annotations

from terminal.canteen.report import FIGURES
from terminal.export.workbook import XLSX
from terminal.screen.console.canteen.look import (
    AT,
    REPORT,
    Look,
    looking,
)
from terminal.screen.console.canteen.report import orders_left, report_page
from terminal.screen.console.canteen.sheets import MonthSource, month_file, month_page, report_file, totals_of
from terminal.screen.console.canteen.words import Words
from terminal.screen.console.visit import Attachment, Page, View, Visit
from terminal.texts import N_


def report_pages() -> tuple[Page, ...]:
    """For the console's area."""
    return (
        Page(f"{AT}/report", REPORT, looking(_report), N_("Day report")),
        Page(f"{AT}/report.xlsx", REPORT, _report_file),
        Page(f"{AT}/month", REPORT, _month),
        Page(f"{AT}/month.xlsx", REPORT, _month_file),
        Page(f"{AT}/close", REPORT, looking(_close)),
    )


def _report(look: Look) -> View:
    page = report_page(look.counter, look.now, look.visit.query.text("day"))
    return look.view("report.html", page=page, figures=FIGURES)


def _report_file(visit: Visit) -> Attachment:
    found: list[Attachment] = []

    def show(look: Look) -> View:
        page = report_page(look.counter, look.now, visit.query.text("day"))
        name = f"day-{page.report.day}.xlsx"
        found.append(Attachment(name, XLSX, report_file(page, look.words)))
        return look.view("report.html")

    looking(show)(visit)
    return found[0]


def _month_source(visit: Visit) -> MonthSource:
    counter = visit.console.terminal.canteen
    assert counter is not None, "the canteen's pages are for a canteen's terminal"
    with visit.console.lock:
        counter.follow()
        return MonthSource.of(counter, visit.console.clock.now())


def _month(visit: Visit) -> View:
    page = month_page(_month_source(visit), visit.query.text("month"), visit.query.text("id"))

    def show(look: Look) -> View:
        return look.view(
            "month.html",
            page=page,
            names=visit.query.text("names") == "1",
            totals=totals_of(page),
            kinds=tuple(look.counter.policy.meals.kinds),
        )

    return looking(show)(visit)


def _month_file(visit: Visit) -> Attachment:
    source, words = _month_source(visit), Words(visit.language)
    month, names = visit.query.text("month"), visit.query.text("names") == "1"
    content = month_file(source, month, words, names=names)
    return Attachment(
        f"month-{month if month.isascii() and len(month) == 7 else 'table'}.xlsx", XLSX, content
    )


def _close(look: Look) -> View:
    page = report_page(look.counter, look.now)
    return look.view(
        "close.html",
        report=page.report,
        total_minor=page.total.sum_minor + page.report.buffet_minor,
        open_orders=sum(one.count for one in orders_left(look.counter, look.now)),
    )
