"""The day report as a page and as a sheet of paper: the same numbers as `terminal canteen report` (M-40).

There are no names (D-02), and a ground that reveals health is its effect (D-03): paper leaves the room.

Beside it, what was done lately and may still be put right (M-32, M-34), for all pupils or for one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping
from datetime import date, datetime
from typing import Final

from msgspec import Struct

from terminal.canteen.closing import report_of
from terminal.canteen.counter import CanteenCounter
from terminal.canteen.ledger import LedgerSale, Meal
from terminal.canteen.report import DayReport, Finding, ProductSold, ReportGroup
from terminal.clock import from_unix_ms
from terminal.decision.canteen.undo import against_annulment, against_not_collected
from terminal.policy.document.meals import PAID, MealKind
from terminal.screen.console.canteen.people import Person, fitting, person
from terminal.trail import Reason

MEALS_ONLY: Final = "meals_"


class Category(Struct, frozen=True):
    """`name` is the document's. Empty: a paid meal, or with `meals` a ground of which only that may be shown (D-03)."""

    name: str
    meals: int = 0


class ReportLine(Struct, frozen=True):
    """One class, category and meal."""

    group: ReportGroup
    category: Category


class ClassLines(Struct, frozen=True):
    """The lines of one class and their sum."""

    class_id: str
    lines: tuple[ReportLine, ...]
    total: ReportGroup


class ReportPage(Struct, frozen=True):
    """The report with what a reader of it wants added up. `agrees`: it equals the records to the minor unit."""

    report: DayReport
    days: tuple[str, ...]
    """Those whose records are held, the newest first; the first is today."""
    school: str
    classes: tuple[ClassLines, ...]
    total: ReportGroup
    products: tuple[tuple[str, ProductSold], ...]
    printed_at: str
    findings: tuple[tuple[str, Finding], ...]
    people: Mapping[str, Person | None]
    """Who the findings are about, for the screen; paper has the reference alone (D-02)."""

    @property
    def today(self) -> bool:
        """Whether it is of the day that is; an earlier one can be printed, and nothing of it changes."""
        return self.report.day == self.days[0]

    @property
    def agrees(self) -> bool:
        """Whether every minor unit of the records is in the report, and every pupil in its columns."""
        return self.report.control.difference_minor == 0 and all(one.adds_up for one in self.report.groups)


def report_days(counter: CanteenCounter, now: datetime) -> tuple[str, ...]:
    """Today, and the days before whose records are held whole, the newest first."""
    today, ledger = counter.day_of(now).isoformat(), counter.ledger
    served = {meal.day for meal in ledger.meals.values()} | {sale.day for sale in ledger.sales.values()}
    held = sorted(day for day in served | ledger.closed_days if day < today)
    whole = held if counter.journal is None or not counter.journal.base.sequence else held[1:]
    return (today, *reversed(whole))


def report_page(counter: CanteenCounter, now: datetime, day: str = "") -> ReportPage:
    """The report of `day` ("2026-09-15"; one that is not held: today). Raises `JournalError` when the records cannot be
    read."""
    days = report_days(counter, now)
    report = report_of(counter, date.fromisoformat(day if day in days else days[0]))
    findings = (
        *(("uncertain", one) for one in report.uncertain),
        *(("duplicates", one) for one in report.duplicates),
        *(("annulled", one) for one in report.annulled),
    )
    names = {} if counter.price_list is None else counter.price_list.products
    return ReportPage(
        report=report,
        days=days,
        school=counter.policy.meals.school(report.school).name or report.school,
        classes=_by_class(counter, report),
        total=ReportGroup.total(report.groups),
        products=tuple(
            (names[sold.product].name if sold.product in names else sold.product, sold)
            for sold in report.products
        ),
        printed_at=f"{now.astimezone(counter.policy.zone):{'%H:%M' if report.day == days[0] else '%d.%m.%Y %H:%M'}}",
        findings=findings,
        people={one.pupil: person(counter, bytes.fromhex(one.pupil)) for _, one in findings},
    )


def category_of(counter: CanteenCounter, category: str) -> Category:
    """A category of the records for people."""
    if category == PAID:
        return Category("")
    if category.startswith(MEALS_ONLY):
        return Category("", int(category.removeprefix(MEALS_ONLY)))
    names = {str(concession.code): concession.name for concession in counter.policy.document.concessions}
    return Category(" + ".join(names.get(code, code) for code in category.split("+")))


def _by_class(counter: CanteenCounter, report: DayReport) -> tuple[ClassLines, ...]:
    found: dict[str, list[ReportGroup]] = {}
    for group in report.groups:
        found.setdefault(group.class_id, []).append(group)
    return tuple(
        ClassLines(
            class_id,
            tuple(ReportLine(group, category_of(counter, group.category)) for group in groups),
            ReportGroup.total(groups, class_id),
        )
        for class_id, groups in found.items()
    )


class DoneLine(Struct, frozen=True):
    """One meal or sale. `seconds_left` is how long it may still be annulled, 0 when it may not.

    `meal` is empty for a sale, which then states `sum_minor`; the price of a meal is not shown at the counter.
    """

    row: int
    at: str
    person: Person | None
    ref: str
    meal: str
    sum_minor: int
    annulled: bool
    seconds_left: int
    with_second: bool = False
    """It may be annulled when a second person confirms."""


class OrdersLeft(Struct, frozen=True):
    """Orders of one meal that were not collected; they can be marked when its serving is `over`."""

    kind: str
    until: str
    count: int
    over: bool


def done_lines(
    counter: CanteenCounter,
    now: datetime,
    *,
    of: bytes | None = None,
    limit: int = 30,
    words: str = "",
    rows: Container[int] | None = None,
) -> tuple[DoneLine, ...]:
    """Today's meals and sales, the newest first: of one pupil, of those whom `words` fit (name, class), or of `rows`
    of this terminal.
    """
    fits = fitting(counter, words)
    day = counter.day_of(now).isoformat()
    made: list[Meal | LedgerSale] = [*counter.ledger.meals.values(), *counter.ledger.sales.values()]
    today = [
        one
        for one in made
        if one.day == day
        and of in (None, one.pupil)
        and (rows is None or one.row[1] in rows)
        and fits(one.pupil)
    ]
    newest = sorted(today, key=lambda one: (one.at_ms, one.row), reverse=True)[:limit]
    return tuple(_line(counter, one, now) for one in newest)


def orders_left(counter: CanteenCounter, now: datetime) -> tuple[OrdersLeft, ...]:
    """For each meal with orders today: how many were not collected."""
    known, day = counter.known(), counter.day_of(now)
    if known is None:
        return ()
    counts: Counter[str] = Counter()
    at_counter = counter.ledger.who_ordered(day.isoformat())
    for ref, listed in known.roster.pupils.items():
        if listed.orders or ref in at_counter:
            counts.update(known.open_orders(listed, day))
    kinds = (kind for kind in counter.policy.meals.kinds.values() if kind.id in counts)
    return tuple(_left(counter, kind, counts[kind.id], now) for kind in kinds)


def _left(counter: CanteenCounter, kind: MealKind, count: int, now: datetime) -> OrdersLeft:
    until = counter.policy.meals.window(kind, counter.school).served_until
    over = against_not_collected(counter.time_of(now), until) is None
    return OrdersLeft(kind.id, f"{until:%H:%M}", count, over)


def _line(counter: CanteenCounter, one: Meal | LedgerSale, now: datetime) -> DoneLine:
    made = from_unix_ms(one.at_ms)
    annulled = one.row in counter.ledger.annulments
    left = 0 if annulled else _seconds_left(counter, one, made, now)
    return DoneLine(
        row=one.row[1],
        at=f"{made.astimezone(counter.policy.zone):%H:%M:%S}",
        person=person(counter, one.pupil),
        ref=one.pupil.hex(),
        meal=one.line.kind if isinstance(one, Meal) else "",
        sum_minor=0 if isinstance(one, Meal) else one.sale.sum_minor,
        annulled=annulled,
        seconds_left=left,
        with_second=not annulled and not left and _against(counter, one, made, now, confirmed=True) is None,
    )


def _against(
    counter: CanteenCounter, one: Meal | LedgerSale, made: datetime, now: datetime, *, confirmed: bool
) -> Reason | None:
    newest = counter.ledger.newest_of(one.pupil)
    last = newest is not None and newest.row == one.row
    closed = one.day in counter.ledger.closed_days or counter.journal is None
    meals = counter.policy.meals
    return against_annulment(made, now, meals, last=last, day_closed=closed, confirmed=confirmed)


def _seconds_left(counter: CanteenCounter, one: Meal | LedgerSale, made: datetime, now: datetime) -> int:
    if _against(counter, one, made, now, confirmed=False) is not None:
        return 0
    window_s = counter.policy.meals.document.annulment.window_s
    return max(window_s - int(abs(now - made).total_seconds()), 1)
