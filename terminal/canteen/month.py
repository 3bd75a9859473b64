"""The month table («табель»): each pupil's meals day by day, and what the month comes to (M-40).

Made of the same records as the day reports, so that the days of a month add up to its table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date

from msgspec import Struct, field

from terminal.canteen.ledger import Ledger
from terminal.canteen.report import add_up, require_currency
from terminal.canteen.roster import Roster, class_order


class PupilMonth(Struct):
    """One line: `days` holds, by day of the month, the kinds served; `absent` and `not_collected` are days."""

    class_id: str
    pupil: str
    days: dict[int, tuple[str, ...]] = field(default_factory=dict)
    absent: tuple[int, ...] = ()
    not_collected: tuple[int, ...] = ()
    sources: dict[str, int] = field(default_factory=dict)

    @property
    def noted(self) -> bool:
        """Whether anything is on record of this pupil."""
        return bool(self.days or self.absent or self.not_collected)

    @property
    def meals(self) -> int:
        """Portions in the month."""
        return sum(map(len, self.days.values()))


class MonthTable(Struct, frozen=True):
    """One school, one month ("2026-09"), sums in `currency`. `meals` counts portions by class, category and kind."""

    school: str
    month: str
    currency: str
    pupils: tuple[PupilMonth, ...]
    meals: Mapping[tuple[str, str, str], int]
    sources: Mapping[str, int]
    buffet_minor: int
    left: Mapping[int, int]
    """By terminal, the last row that is no longer held where the table was made: then it may lack days."""

    @property
    def complete(self) -> bool:
        """Whether every record ever made was there to be counted."""
        return not self.left


def month_table(
    ledger: Ledger,
    school: str,
    month: date,
    left: Mapping[int, int],
    currency: str,
    roster: Roster | None = None,
) -> MonthTable:
    """Return the table of `school` for the month `month` lies in; `left` as in `MonthTable`.

    With a `roster` every pupil of it has a line, else those with a record. Raises `CanteenRefused` where a record is
    not in `currency`.
    """
    prefix = f"{month:%Y-%m}-"
    meals = [m for m in ledger.meals.values() if m.day.startswith(prefix) and m.line.school == school]
    twice = ledger.duplicates(m for m in ledger.meals.values() if m.day.startswith(prefix))
    listed = {} if roster is None else roster.pupils
    lines = {ref: PupilMonth(pupil.class_id, pupil.ref) for ref, pupil in listed.items()}
    counts: Counter[tuple[str, str, str]] = Counter()
    sources: dict[str, int] = {}
    for meal in ledger.standing(meals):
        if meal.row in twice:
            continue
        line, served = _line(lines, meal.pupil, meal.line.class_id), meal.line
        day = int(meal.day[-2:])
        line.days[day] = (*line.days.get(day, ()), served.kind)
        add_up(line.sources, served.sources)
        add_up(sources, served.sources)
        counts[served.class_id, served.category, served.kind] += 1
    _add_absences(ledger, school, prefix, lines)
    sales = [s for s in ledger.sales.values() if s.day.startswith(prefix) and s.sale.school == school]
    require_currency([*meals, *sales], currency)
    return MonthTable(
        school=school,
        month=prefix[:-1],
        currency=currency,
        pupils=tuple(sorted(lines.values(), key=lambda line: (class_order(line.class_id), line.pupil))),
        meals=dict(sorted(counts.items(), key=lambda item: (class_order(item[0][0]), item[0]))),
        sources=dict(sorted(sources.items())),
        buffet_minor=sum(sale.sale.sum_minor for sale in sales if sale.row not in ledger.annulments),
        left=dict(left),
    )


def _line(lines: dict[bytes, PupilMonth], pupil: bytes, class_id: str) -> PupilMonth:
    return lines.setdefault(pupil, PupilMonth(class_id, pupil.hex()))


def _add_absences(ledger: Ledger, school: str, prefix: str, lines: dict[bytes, PupilMonth]) -> None:
    for attended in ledger.attendance.values():
        if attended.absent and attended.day.startswith(prefix) and attended.school == school:
            line = _line(lines, attended.pupil, attended.class_id)
            line.absent = (*line.absent, int(attended.day[-2:]))
    for order in ledger.not_collected.values():
        if order.day.startswith(prefix) and order.school == school:
            line = _line(lines, order.pupil, order.class_id)
            line.not_collected = (*line.not_collected, int(order.day[-2:]))
