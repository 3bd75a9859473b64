"""The canteen's part of a region document made ready for deciding: indexed once, at load.

Schools are named by the caller; one the document does not list, or the empty name, follows the document.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, time, timedelta
from enum import Enum
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from terminal.policy.base import Weekday
from terminal.policy.document.meals import (
    LAST_GRADE,
    PARENTS,
    Add,
    Calendar,
    MealBreak,
    MealEntitlement,
    MealKind,
    Meals,
    Portion,
    Replace,
    School,
    Window,
)

_WEEKDAYS: Final = tuple(Weekday)
_LOOK_BACK_DAYS: Final = 366
_EVERY_DAY: Final = School(id="every_school", name="")


class SchoolDay(Enum):
    """What calendar and breaks say of one day for one pupil (M-17)."""

    ATTENDED = "attended"
    HOLIDAY = "holiday"
    BREAK = "break"
    SILENT = "silent"
    """No calendar of the school states this day."""


class MealRule(Struct, frozen=True):
    """A meal entitlement with what combining needs; `sensitive` ones show only their effect (D-03).

    `subsidy_minor` is what the budgets pay a day, which is what is compared, not what parents add.
    """

    entitlement: MealEntitlement
    sensitive: bool
    subsidy_minor: int


class MealPolicy(Struct, frozen=True):
    """What a decision in the canteen looks up. Make one with `MealPolicy.of`; it never changes."""

    document: Meals
    kinds: Mapping[str, MealKind]
    rules: Mapping[int, tuple[MealRule, ...]]
    replaced_by: Mapping[int, frozenset[int]]
    added: frozenset[frozenset[int]]
    schools: Mapping[str, School]
    calendars: Mapping[str, Calendar]

    @classmethod
    def of(cls, meals: Meals, sensitive: Iterable[int]) -> MealPolicy:
        """Index checked `meals`; `sensitive` are the concession codes that reveal health."""
        return cls(
            document=meals,
            kinds=MappingProxyType({kind.id: kind for kind in meals.kinds}),
            rules=MappingProxyType(_rules(meals, frozenset(sensitive))),
            replaced_by=MappingProxyType(_replaced_by(meals)),
            added=frozenset(frozenset(rule.codes) for rule in meals.combine if isinstance(rule, Add)),
            schools=MappingProxyType({school.id: school for school in meals.schools}),
            calendars=MappingProxyType({calendar.id: calendar for calendar in meals.calendars}),
        )

    def school(self, school: str) -> School:
        """What the document says of `school`."""
        return self.schools.get(school, _EVERY_DAY)

    def windows(self, kind: MealKind, school: str = "") -> tuple[MealKind | Window, ...]:
        """From when until when `school` serves `kind`: in one break or several, in the order of the day."""
        own = (window for window in self.school(school).windows if window.kind == kind.id)
        return tuple(sorted(own, key=lambda window: window.served_from)) or (kind,)

    def window(self, kind: MealKind, school: str = "") -> Window:
        """From the beginning of the first to the end of the last of them."""
        windows = self.windows(kind, school)
        return Window(kind=kind.id, served_from=windows[0].served_from, served_until=windows[-1].served_until)

    def kind_at(self, of_day: time, school: str = "") -> MealKind | None:
        """The meal `school` serves at this local time; a window includes its start and not its end."""
        for kind in self.document.kinds:
            if any(one.served_from <= of_day < one.served_until for one in self.windows(kind, school)):
                return kind
        return None

    def assigned(self, shift: int, school: str = "") -> MealKind | None:
        """M-15: the meal a school shift has; the school's own assignment wins over the document's."""
        for assignment in (*self.school(school).by_shift, *self.document.by_shift):
            if assignment.shift == shift:
                return self.kinds[assignment.kind]
        return None

    def price_minor(self, kind: MealKind, grade: int) -> int | None:
        """What one portion costs a pupil of `grade` (0: not stated) without an entitlement; None: not for sale."""
        for price in self.document.prices:
            if price.kind == kind.id and (price.grades is None or (grade and price.grades.include(grade))):
                return price.price_minor
        return None

    def grade_on(self, grade: int, since: date, day: date) -> int:
        """M-20: the grade on `day` of a pupil who was in `grade` on `since`; past the last one it is 12.

        0 stays "not stated".
        """
        passed = self._school_year(day) - self._school_year(since)
        return min(max(grade + passed, 1), LAST_GRADE + 1) if grade else 0

    def year_ends(self, day: date) -> date:
        """M-20: the last day of the school year of `day`; on the next one every pupil is one grade higher."""
        start = self.document.school_year
        return date(self._school_year(day) + 1, start.month, start.day) - timedelta(days=1)

    def _school_year(self, day: date) -> int:
        start = self.document.school_year
        return day.year - ((day.month, day.day) < (start.month, start.day))

    def day_of(self, day: date, school: str = "", class_id: str = "", grade: int = 0) -> SchoolDay:
        """M-17: whether a pupil of this school, class and grade is served on `day`."""
        own = self.school(school)
        if any(_is_on(pause, day, class_id, grade) for pause in own.breaks):
            return SchoolDay.BREAK
        if not own.calendars:
            return SchoolDay.ATTENDED
        for calendar in (self.calendars[name] for name in own.calendars):
            if calendar.first <= day <= calendar.last:
                return SchoolDay.ATTENDED if _attended(calendar, day) else SchoolDay.HOLIDAY
        return SchoolDay.SILENT

    def school_day_before(self, day: date, school: str = "") -> date:
        """The last school day before `day`; the day before where no calendar knows one."""
        for back in range(1, _LOOK_BACK_DAYS):
            earlier = day - timedelta(days=back)
            if self.day_of(earlier, school) in (SchoolDay.ATTENDED, SchoolDay.SILENT):
                return earlier
        return day - timedelta(days=1)


def subsidy_minor(portion: Portion) -> int:
    """What the budgets pay of a portion."""
    return sum(funder.sum_minor for funder in portion.funders if funder.source != PARENTS)


def _attended(calendar: Calendar, day: date) -> bool:
    if day in calendar.extra:
        return True
    if _WEEKDAYS[day.weekday()] not in calendar.weekdays:
        return False
    return not any(days.first <= day <= days.last for days in calendar.holidays)


def _is_on(pause: MealBreak, day: date, class_id: str, grade: int) -> bool:
    if not pause.first <= day <= pause.last:
        return False
    if pause.classes and class_id not in pause.classes:
        return False
    return pause.grades is None or (grade > 0 and pause.grades.include(grade))


def _rules(meals: Meals, sensitive: frozenset[int]) -> dict[int, tuple[MealRule, ...]]:
    rules: dict[int, tuple[MealRule, ...]] = {}
    for entitlement in meals.entitlements:
        code, subsidy = entitlement.code, sum(subsidy_minor(portion) for portion in entitlement.portions)
        rules[code] = (*rules.get(code, ()), MealRule(entitlement, code in sensitive, subsidy))
    return rules


def _replaced_by(meals: Meals) -> dict[int, frozenset[int]]:
    winners: dict[int, frozenset[int]] = {}
    for rule in meals.combine:
        if isinstance(rule, Replace):
            winners[rule.loser] = winners.get(rule.loser, frozenset()) | {rule.winner}
    return winners
