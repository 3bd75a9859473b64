"""The day report as a page and as a sheet of paper: the same numbers as `terminal canteen report` (M-40).

Nobody is named (D-02), and a ground that reveals health is its effect (D-03): paper leaves the room.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from terminal.canteen.closing import report_of
from terminal.canteen.desk import CanteenDesk
from terminal.canteen.report import DayReport, Finding, Group, ProductSold
from terminal.policy.document.meals import PAID

MEALS_ONLY: Final = "meals_"


@dataclass(frozen=True, slots=True)
class Category:
    """`name` is the document's. Empty: a paid meal, or with `meals` a ground of which only that may be told (D-03)."""

    name: str
    meals: int = 0


@dataclass(frozen=True, slots=True)
class ReportLine:
    """One class, category and meal."""

    group: Group
    category: Category


@dataclass(frozen=True, slots=True)
class ClassLines:
    """The lines of one class and their sum."""

    class_id: str
    lines: tuple[ReportLine, ...]
    total: Group


@dataclass(frozen=True, slots=True)
class ReportPage:
    """The report with what a reader of it wants added up. `agrees`: it equals the records to the kopeck."""

    report: DayReport
    school: str
    classes: tuple[ClassLines, ...]
    total: Group
    products: tuple[tuple[str, ProductSold], ...]
    printed_at: str
    findings: tuple[tuple[str, Finding], ...]

    @property
    def agrees(self) -> bool:
        """Whether every kopeck of the records is in the report."""
        return self.report.control.difference_minor == 0


def report_page(desk: CanteenDesk, now: datetime) -> ReportPage:
    """Today's report. Raises `JournalError` when the records cannot be read."""
    report = report_of(desk, desk.day_of(now), now)
    names = {} if desk.price_list is None else desk.price_list.products
    return ReportPage(
        report=report,
        school=desk.policy.meals.school(report.school).name or report.school,
        classes=_by_class(desk, report),
        total=_total(report.groups, ""),
        products=tuple(
            (names[sold.product].name if sold.product in names else sold.product, sold)
            for sold in report.products
        ),
        printed_at=f"{now.astimezone(desk.policy.zone):%H:%M}",
        findings=(
            *(("uncertain", one) for one in report.uncertain),
            *(("duplicates", one) for one in report.duplicates),
            *(("annulled", one) for one in report.annulled),
        ),
    )


def category_of(desk: CanteenDesk, category: str) -> Category:
    """A category of the records for people."""
    if category == PAID:
        return Category("")
    if category.startswith(MEALS_ONLY):
        return Category("", int(category.removeprefix(MEALS_ONLY)))
    names = {str(concession.code): concession.name for concession in desk.policy.document.concessions}
    return Category(" + ".join(names.get(code, code) for code in category.split("+")))


def _by_class(desk: CanteenDesk, report: DayReport) -> tuple[ClassLines, ...]:
    found: dict[str, list[Group]] = {}
    for group in report.groups:
        found.setdefault(group.class_id, []).append(group)
    return tuple(
        ClassLines(
            class_id,
            tuple(ReportLine(group, category_of(desk, group.category)) for group in groups),
            _total(groups, class_id),
        )
        for class_id, groups in found.items()
    )


def _total(groups: tuple[Group, ...] | list[Group], class_id: str) -> Group:
    total = Group(class_id, "", "")
    for name in ("entitled", "served", "not_collected", "absent"):
        setattr(total, name, sum(getattr(group, name) for group in groups))
    for group in groups:
        total.sources.update(group.sources)
    return total
