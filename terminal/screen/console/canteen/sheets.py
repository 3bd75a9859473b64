"""The month table as a page, and both reports as an Excel file: the numbers of `terminal.canteen.report` and `.month`.

The month is worked out from a copy of the records, outside the terminal's lock: a tap does not wait for it. Names are
on the screen; paper and file have them only where the reader asked for them, because a bookkeeper needs them (D-02).
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Final

from msgspec import Struct

from terminal.canteen.counter import CanteenCounter
from terminal.canteen.ledger import Ledger
from terminal.canteen.month import MonthTable, PupilMonth, month_table
from terminal.canteen.report import FIGURES, DayReport, ReportGroup
from terminal.canteen.roster import Roster, class_order
from terminal.export.workbook import Cell, Sum, WorkSheet, workbook
from terminal.money import amount_text
from terminal.screen.console.canteen.report import ReportPage
from terminal.screen.console.canteen.words import Words
from terminal.texts import translator

ABSENT: Final = "absent"
NOT_COLLECTED: Final = "not_collected"


class MonthLine(Struct, frozen=True):
    """One pupil: what stands under each day (kinds of meals, or `ABSENT`, `NOT_COLLECTED`), and the sums."""

    name: str
    ref: str
    class_id: str
    days: tuple[tuple[str, ...], ...]
    meals: int
    sum_minor: int


class MonthPage(Struct, frozen=True):
    """One class of a month table, with the school's sums. `months` are those that records are held of."""

    month: str
    months: tuple[str, ...]
    class_id: str
    classes: tuple[str, ...]
    days: tuple[int, ...]
    lines: tuple[MonthLine, ...]
    table: MonthTable
    school: str
    currency: str

    @property
    def sum_minor(self) -> int:
        """What the meals of the month cost."""
        return sum(self.table.sources.values())


class MonthSource(Struct, frozen=True):
    """What a month table is made of, copied while nothing else worked at the counter."""

    ledger: Ledger
    roster: Roster | None
    school: str
    name: str
    left: Mapping[int, int]
    currency: str
    today: date

    @classmethod
    def of(cls, counter: CanteenCounter, now: datetime) -> MonthSource:
        """At once."""
        base = 0 if counter.journal is None else counter.journal.base.sequence
        return cls(
            ledger=counter.ledger.copy(),
            roster=counter.roster,
            school=counter.school,
            name=counter.policy.meals.school(counter.school).name or counter.school,
            left={counter.terminal: base} if base else {},
            currency=counter.policy.currency,
            today=counter.day_of(now),
        )


def month_page(source: MonthSource, month: str, class_id: str) -> MonthPage:
    """The table of `month` ("2026-09"; anything else: this month), its class `class_id` or the first one."""
    months = tuple(
        sorted({meal.day[:7] for meal in source.ledger.meals.values()} | {f"{source.today:%Y-%m}"})
    )
    chosen = month if month in months else f"{source.today:%Y-%m}"
    first = date.fromisoformat(f"{chosen}-01")
    table = month_table(source.ledger, source.school, first, source.left, source.currency, source.roster)
    classes = tuple(sorted({line.class_id for line in table.pupils} - {""}, key=class_order))
    shown = class_id if class_id in classes else next(iter(classes), "")
    days = tuple(range(1, monthrange(first.year, first.month)[1] + 1))
    lines = sorted(
        (_line(line, source.roster, days) for line in table.pupils if line.class_id == shown),
        key=lambda line: (line.name.casefold(), line.ref),
    )
    return MonthPage(
        month=chosen,
        months=months,
        class_id=shown,
        classes=classes,
        days=days,
        lines=tuple(lines),
        table=table,
        school=source.name,
        currency=source.currency,
    )


def _line(line: PupilMonth, roster: Roster | None, days: tuple[int, ...]) -> MonthLine:
    listed = None if roster is None else roster.pupils.get(bytes.fromhex(line.pupil))
    return MonthLine(
        name="" if listed is None else listed.name,
        ref=line.pupil,
        class_id=line.class_id,
        days=_marks(line, days) if line.noted else ((),) * len(days),
        meals=line.meals,
        sum_minor=sum(line.sources.values()),
    )


def _marks(line: PupilMonth, days: tuple[int, ...]) -> tuple[tuple[str, ...], ...]:
    missed = dict.fromkeys(line.not_collected, (NOT_COLLECTED,)) | dict.fromkeys(line.absent, (ABSENT,))
    marks: dict[int, tuple[str, ...]] = missed | line.days
    return tuple(marks.get(day, ()) for day in days)


def totals_of(page: MonthPage) -> tuple[int, ...]:
    """Portions of the class on each day."""
    none = (ABSENT, NOT_COLLECTED)
    return tuple(
        sum(mark not in none for line in page.lines for mark in line.days[at]) for at in range(len(page.days))
    )


def report_file(page: ReportPage, words: Words) -> bytes:
    """The day report as an XLSX file; it is about no pupil."""
    currency, text = page.report.currency, translator(words.language).gettext
    head = [text("Class"), text("Category"), text("Meal"), *map(words.figure, FIGURES), text("Sum")]

    def figures(group: ReportGroup) -> Iterator[Cell]:
        yield from (getattr(group, name) for name in FIGURES)
        yield _sum(group.sum_minor, currency)

    rows: list[list[Cell]] = [list(head)]
    for of_class in page.classes:
        rows += [
            [
                of_class.class_id,
                words.category(line.category),
                words.meal(line.group.kind),
                *figures(line.group),
            ]
            for line in of_class.lines
        ]
    rows.append([text("School in all"), "", "", *figures(page.total)])
    sold: list[list[Cell]] = [[text("Product"), text("Count"), text("Sum")]]
    sold += [[name, one.count, _sum(one.sum_minor, currency)] for name, one in page.products]
    sheets = [
        WorkSheet(f"{text('Day report')} {page.report.day}", rows, landscape=True),
        _who_pays(page.report, words),
        WorkSheet(text("Sold in the buffet"), sold),
    ]
    return workbook(sheets)


def month_file(source: MonthSource, month: str, words: Words, *, names: bool) -> bytes:
    """The month table of the whole school as an XLSX file, one sheet for all classes."""
    page, text = month_page(source, month, ""), translator(words.language).gettext
    who = text("Pupil")
    rows: list[list[Cell]] = [[text("Class"), who, *map(str, page.days), text("Meals"), text("Sum")]]
    blank = [""] * len(page.days)
    for line in page.table.pupils:
        shown = _line(line, source.roster, page.days)
        marks = ["".join(map(words.mark, day)) if day else "" for day in shown.days] if line.noted else blank
        name = shown.name if names and shown.name else shown.ref
        rows.append([shown.class_id, name, *marks, shown.meals, _sum(shown.sum_minor, page.currency)])
    sheets = [
        WorkSheet(f"{text('Month table')} {page.month}", rows, landscape=True),
        _who_pays(page.table, words),
    ]
    return workbook(sheets)


def _who_pays(sums: DayReport | MonthTable, words: Words) -> WorkSheet:
    """What comes from whom, and the buffet beside it."""
    text = translator(words.language).gettext
    rows: list[list[Cell]] = [[text("Who pays"), text("Sum")]]
    rows += [[words.source(source), _sum(minor, sums.currency)] for source, minor in sums.sources.items()]
    rows.append([text("buffet"), _sum(sums.buffet_minor, sums.currency)])
    return WorkSheet(text("Who pays"), rows)


def _sum(minor: int, currency: str) -> Sum:
    return Sum(amount_text(minor, currency))
