"""What serving times, shifts, calendars and schools of a region document must satisfy beyond their types."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from itertools import combinations, pairwise

from terminal.policy.document.meals import (
    SHIFTS,
    Calendar,
    Days,
    Grades,
    MealBreak,
    MealKind,
    Meals,
    School,
    ShiftMeal,
    Window,
)
from terminal.policy.problem import Problem, unique, unknown

_A_DAY = timedelta(days=1)


def school_problems(meals: Meals) -> Iterator[Problem]:
    """Everything wrong with `meals.calendars` and `meals.schools`, in reading order."""
    yield from unique("meals.calendars", (calendar.id for calendar in meals.calendars), key="id")
    for index, calendar in enumerate(meals.calendars):
        yield from _calendar(f"meals.calendars[{index}]", calendar, meals)
    yield from unique("meals.schools", (school.id for school in meals.schools), key="id")
    for index, school in enumerate(meals.schools):
        yield from _school(f"meals.schools[{index}]", school, meals)


def window_problems(windows: Sequence[tuple[str, str, MealKind | Window]]) -> Iterator[Problem]:
    """What is wrong with serving times that hold at one place: (path, kind, times) of each."""
    for path, kind, window in windows:
        if window.served_from.tzinfo is not None or window.served_until.tzinfo is not None:
            yield Problem(path, "times with an offset", "Write local times such as 07:30:00.")
            return
        if window.served_from >= window.served_until:
            yield Problem(
                f"{path}.served_until",
                f"the serving window of `{kind}` is empty",
                "Put it after `served_from` on the same day.",
            )
    for (_, one_kind, one), (path, kind, other) in combinations(windows, 2):
        if one.served_from < other.served_until and other.served_from < one.served_until:
            yield Problem(
                f"{path}.served_from",
                f"the windows of `{one_kind}` and `{kind}` overlap",
                f"End one before the other begins (`{one_kind}` is {one.served_from} to {one.served_until}).",
            )


def assignment_problems(path: str, assigned: Sequence[ShiftMeal], meals: Meals) -> Iterator[Problem]:
    """What is wrong with an assignment of meals to shifts (M-15)."""
    kinds = {kind.id for kind in meals.kinds}
    yield from unique(path, (entry.shift for entry in assigned), key="shift")
    for index, entry in enumerate(assigned):
        if entry.kind not in kinds:
            yield unknown(f"{path}[{index}].kind", "meal kind", entry.kind, sorted(kinds))
    missing = [shift for shift in SHIFTS if shift not in {entry.shift for entry in assigned}]
    if assigned and missing:
        yield Problem(path, f"shift {missing[0]} is assigned no meal", "Name a kind for every shift.")


def grades_problems(path: str, grades: Grades | None) -> Iterator[Problem]:
    """A range of grades must hold one."""
    if grades is not None and grades.first > grades.last:
        yield Problem(f"{path}.grades", "no grade is included", "Put `first` before `last`.")


def _calendar(path: str, calendar: Calendar, meals: Meals) -> Iterator[Problem]:
    yield from _ordered(path, calendar.first, calendar.last)
    yield from unique(f"{path}.weekdays", calendar.weekdays)
    if not calendar.weekdays:
        yield Problem(f"{path}.weekdays", "no day is attended", 'Name them: ["mon", "tue", …].')
    if not any(calendar.id in school.calendars for school in meals.schools):
        yield Problem(path, f"no school uses calendar `{calendar.id}`", "Name it in a school or remove it.")
    for index, days in enumerate(calendar.holidays):
        at = f"{path}.holidays[{index}]"
        yield from _ordered(at, days.first, days.last)
        yield from _inside(at, days, calendar)
    for (_, one), (index, other) in combinations(enumerate(calendar.holidays), 2):
        if one.first <= other.last and other.first <= one.last:
            yield Problem(
                f"{path}.holidays[{index}]",
                f"overlaps the holiday of {one.first} to {one.last}",
                "Join them or keep them apart.",
            )
    for index, day in enumerate(calendar.extra):
        yield from _inside(f"{path}.extra[{index}]", Days(first=day, last=day), calendar)


def _inside(path: str, days: Days, calendar: Calendar) -> Iterator[Problem]:
    if days.first < calendar.first or days.last > calendar.last:
        yield Problem(
            path,
            f"{days.first} to {days.last} lies outside the calendar, so it can never apply",
            f"Keep it between {calendar.first} and {calendar.last}.",
        )


def _ordered(path: str, first: date, last: date) -> Iterator[Problem]:
    if first > last:
        yield Problem(f"{path}.last", "ends before it begins", "Put it on or after `first`.")


def _school(path: str, school: School, meals: Meals) -> Iterator[Problem]:
    kinds = {kind.id: kind for kind in meals.kinds}
    yield from assignment_problems(f"{path}.by_shift", school.by_shift, meals)
    yield from unique(f"{path}.windows", (window.kind for window in school.windows), key="kind")
    own = {}
    for index, window in enumerate(school.windows):
        if window.kind not in kinds:
            yield unknown(f"{path}.windows[{index}].kind", "meal kind", window.kind, sorted(kinds))
        own[window.kind] = (f"{path}.windows[{index}]", window.kind, window)
    rest = [(f"{path}.windows", kind.id, kind) for kind in meals.kinds if kind.id not in own]
    if own:
        yield from window_problems([*rest, *own.values()])
    yield from _calendars_of(f"{path}.calendars", school, meals)
    for index, pause in enumerate(school.breaks):
        yield from _break(f"{path}.breaks[{index}]", pause)


def _calendars_of(path: str, school: School, meals: Meals) -> Iterator[Problem]:
    calendars = {calendar.id: calendar for calendar in meals.calendars}
    yield from unique(path, school.calendars)
    for index, name in enumerate(school.calendars):
        if name not in calendars:
            yield unknown(f"{path}[{index}]", "calendar", name, calendars)
    used = sorted((calendars[name] for name in set(school.calendars) & set(calendars)), key=lambda c: c.first)
    yield from _joined(path, used)


def _joined(path: str, calendars: Iterable[Calendar]) -> Iterator[Problem]:
    for one, other in pairwise(calendars):
        if one.last >= other.first:
            yield Problem(
                path,
                f"`{one.id}` and `{other.id}` both state {other.first}",
                f"End `{one.id}` on {other.first - _A_DAY}.",
            )
        elif one.last + _A_DAY < other.first:
            yield Problem(
                path,
                f"no calendar states {one.last + _A_DAY} to {other.first - _A_DAY}",
                f"Let `{one.id}` last until {other.first - _A_DAY}; holidays are stated too.",
            )


def _break(path: str, pause: MealBreak) -> Iterator[Problem]:
    yield from _ordered(path, pause.first, pause.last)
    yield from grades_problems(path, pause.grades)
    yield from unique(f"{path}.classes", pause.classes)
