"""What the canteen's part of a region document must satisfy beyond its types: meals, grounds, serving times,
shifts, calendars and schools."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from itertools import combinations, pairwise
from typing import Final

from terminal.errors import Mistake
from terminal.policy.base import Thing, unique, unknown
from terminal.policy.document.meals import (
    BY_SHIFT,
    LAST_GRADE,
    PARENTS,
    SHIFTS,
    Calendar,
    Days,
    Grades,
    MealBreak,
    MealEntitlement,
    MealKind,
    MealPrice,
    Meals,
    Portion,
    Replace,
    School,
    ShiftMeal,
    Window,
)
from terminal.policy.document.schema import RegionDocument
from terminal.policy.meals.mistakes import MealMistake

_EVERY_GRADE: Final = Grades(first=1, last=LAST_GRADE)


def meal_problems(document: RegionDocument) -> Iterator[Mistake]:
    """Everything wrong with `document.meals`, in reading order."""
    yield from _kinds(document.meals)
    yield from _prices(document.meals)
    yield from assignment_problems("meals.by_shift", document.meals.by_shift, document.meals)
    yield from _entitlements(document)
    yield from _combinations(document.meals)
    yield from school_problems(document.meals)
    for name, limit in (("pre_order", document.meals.pre_order), ("attendance", document.meals.attendance)):
        if limit.until.tzinfo is not None:
            yield Mistake(f"meals.{name}.until", MealMistake.LIMIT_WITH_OFFSET)


def _kinds(meals: Meals) -> Iterator[Mistake]:
    yield from unique("meals.kinds", (kind.id for kind in meals.kinds), key="id")
    yield from unique("meals.kinds", (kind.bit for kind in meals.kinds), key="bit")
    for index, kind in enumerate(meals.kinds):
        if kind.id == BY_SHIFT:
            path = f"meals.kinds[{index}].id"
            yield Mistake(path, MealMistake.RESERVED_KIND, {"kind": BY_SHIFT})
    yield from window_problems([(f"meals.kinds[{i}]", kind.id, kind) for i, kind in enumerate(meals.kinds)])


def _prices(meals: Meals) -> Iterator[Mistake]:
    kinds = {kind.id for kind in meals.kinds}
    for index, price in enumerate(meals.prices):
        if price.kind not in kinds:
            yield unknown(f"meals.prices[{index}].kind", Thing.MEAL_KIND, price.kind, sorted(kinds))
        yield from grades_problems(f"meals.prices[{index}]", price.grades)
    for (one, first), (other, second) in combinations(enumerate(meals.prices), 2):
        if first.kind == second.kind and _overlap(first.grades, second.grades):
            yield Mistake(
                f"meals.prices[{other}]", MealMistake.TWO_PRICES, {"kind": first.kind, "other": one}
            )
    for kind in sorted({price.kind for price in meals.prices} & kinds):
        yield from _without_price(kind, [price for price in meals.prices if price.kind == kind])


def _without_price(kind: str, prices: list[MealPrice]) -> Iterator[Mistake]:
    priced = [price.grades or _EVERY_GRADE for price in prices]
    missing = [g for g in range(1, LAST_GRADE + 1) if not any(grades.include(g) for grades in priced)]
    if missing:
        yield Mistake("meals.prices", MealMistake.GRADE_WITHOUT_PRICE, {"kind": kind, "grade": missing[0]})


def _entitlements(document: RegionDocument) -> Iterator[Mistake]:
    codes = {concession.code for concession in document.concessions}
    for index, entitlement in enumerate(document.meals.entitlements):
        path = f"meals.entitlements[{index}]"
        if entitlement.code not in codes:
            yield unknown(f"{path}.code", Thing.CONCESSION, entitlement.code, sorted(codes))
        yield from grades_problems(path, entitlement.grades)
        yield from _portions(path, entitlement, document.meals)
    for (one, first), (other, second) in combinations(enumerate(document.meals.entitlements), 2):
        if first.code == second.code and _same_pupil(first, second):
            yield Mistake(
                f"meals.entitlements[{other}]",
                MealMistake.TWO_ENTITLEMENTS,
                {"concession": first.code, "other": one},
            )


def _portions(path: str, entitlement: MealEntitlement, meals: Meals) -> Iterator[Mistake]:
    yield from unique(f"{path}.portions", (portion.kind for portion in entitlement.portions), key="kind")
    for index, portion in enumerate(entitlement.portions):
        at = f"{path}.portions[{index}]"
        yield from _kind_of_portion(at, portion, meals)
        yield from _funders(at, portion, entitlement, meals)
    yield from _assigned_twice(path, entitlement, meals)
    total = sum(portion.sum_minor for portion in entitlement.portions)
    if total != entitlement.day_sum_minor:
        yield Mistake(
            f"{path}.day_sum_minor",
            MealMistake.DAY_SUM,
            {"total_minor": total, "stated_minor": entitlement.day_sum_minor},
        )


def _kind_of_portion(at: str, portion: Portion, meals: Meals) -> Iterator[Mistake]:
    kinds = {kind.id for kind in meals.kinds}
    if portion.kind == BY_SHIFT:
        if not meals.by_shift:
            yield Mistake(f"{at}.kind", MealMistake.NO_MEAL_BY_SHIFT)
    elif portion.kind not in kinds:
        yield unknown(f"{at}.kind", Thing.MEAL_KIND, portion.kind, sorted(kinds))


def _funders(at: str, portion: Portion, entitlement: MealEntitlement, meals: Meals) -> Iterator[Mistake]:
    yield from unique(f"{at}.funders", (funder.source for funder in portion.funders), key="source")
    funded = sum(funder.sum_minor for funder in portion.funders)
    if funded != portion.sum_minor:
        yield Mistake(
            f"{at}.funders",
            MealMistake.FUNDERS_SUM,
            {
                "funded_minor": funded,
                "sum_minor": portion.sum_minor,
                "difference_minor": f"{portion.sum_minor - funded:+d}",
            },
        )
    parents = sum(funder.sum_minor for funder in portion.funders if funder.source == PARENTS)
    if parents >= portion.sum_minor:
        yield Mistake(f"{at}.funders", MealMistake.PARENTS_PAY_ALL)
    for price in meals.prices:
        applies = portion.kind in (BY_SHIFT, price.kind) and _overlap(price.grades, entitlement.grades)
        if applies and parents > price.price_minor:
            yield Mistake(
                f"{at}.funders",
                MealMistake.PARENTS_PAY_MORE,
                {"parents_minor": parents, "price_minor": price.price_minor},
            )


def _assigned_twice(path: str, entitlement: MealEntitlement, meals: Meals) -> Iterator[Mistake]:
    """A portion by shift must not be a kind the entitlement also names, in any school."""
    kinds = {portion.kind for portion in entitlement.portions}
    if BY_SHIFT not in kinds:
        return
    shifts = SHIFTS if entitlement.shift is None else (entitlement.shift,)
    places: list[Iterable[ShiftMeal]] = [meals.by_shift, *(school.by_shift for school in meals.schools)]
    for assignment in (assignment for place in places for assignment in place):
        if assignment.shift in shifts and assignment.kind in kinds:
            yield Mistake(
                f"{path}.portions",
                MealMistake.MEAL_TWICE,
                {"shift": assignment.shift, "kind": assignment.kind},
            )
            return


def _same_pupil(one: MealEntitlement, other: MealEntitlement) -> bool:
    apart_by_shift = None not in (one.shift, other.shift) and one.shift != other.shift
    return not apart_by_shift and _overlap(one.grades, other.grades)


def _overlap(one: Grades | None, other: Grades | None) -> bool:
    return one is None or other is None or (one.first <= other.last and other.first <= one.last)


def _combinations(meals: Meals) -> Iterator[Mistake]:
    codes = {entitlement.code for entitlement in meals.entitlements}
    seen: set[frozenset[int]] = set()
    losers: dict[int, set[int]] = {}
    for index, rule in enumerate(meals.combine):
        path = f"meals.combine[{index}]"
        pair = (rule.winner, rule.loser) if isinstance(rule, Replace) else rule.codes
        for code in pair:
            if code not in codes:
                yield unknown(path, Thing.CODE_WITH_MEAL, code, sorted(codes))
        if pair[0] == pair[1]:
            yield Mistake(path, MealMistake.PAIR_WITH_ITSELF, {"concession": pair[0]})
        if frozenset(pair) in seen:
            yield Mistake(path, MealMistake.SECOND_PAIR, {"one": pair[0], "other": pair[1]})
        seen.add(frozenset(pair))
        if isinstance(rule, Replace):
            losers.setdefault(rule.winner, set()).add(rule.loser)
    if any(_reaches(losers, code, code) for code in losers):
        yield Mistake("meals.combine", MealMistake.CIRCLE)


def _reaches(edges: dict[int, set[int]], start: int, goal: int) -> bool:
    todo, seen = list(edges.get(start, ())), set[int]()
    while todo:
        code = todo.pop()
        if code == goal:
            return True
        if code not in seen:
            seen.add(code)
            todo += edges.get(code, ())
    return False


_A_DAY = timedelta(days=1)


def school_problems(meals: Meals) -> Iterator[Mistake]:
    """Everything wrong with `meals.calendars` and `meals.schools`, in reading order."""
    yield from unique("meals.calendars", (calendar.id for calendar in meals.calendars), key="id")
    for index, calendar in enumerate(meals.calendars):
        yield from _calendar(f"meals.calendars[{index}]", calendar, meals)
    yield from unique("meals.schools", (school.id for school in meals.schools), key="id")
    for index, school in enumerate(meals.schools):
        yield from _school(f"meals.schools[{index}]", school, meals)


def window_problems(windows: Sequence[tuple[str, str, MealKind | Window]]) -> Iterator[Mistake]:
    """What is wrong with serving times that hold at one place: (path, kind, times) of each."""
    for path, kind, window in windows:
        if window.served_from.tzinfo is not None or window.served_until.tzinfo is not None:
            yield Mistake(path, MealMistake.SERVING_WITH_OFFSET)
            return
        if window.served_from >= window.served_until:
            yield Mistake(f"{path}.served_until", MealMistake.SERVING_EMPTY, {"kind": kind})
    for (_, one_kind, one), (path, kind, other) in combinations(windows, 2):
        if one.served_from < other.served_until and other.served_from < one.served_until:
            yield Mistake(
                f"{path}.served_from",
                MealMistake.SERVING_OVERLAP,
                {
                    "one": one_kind,
                    "other": kind,
                    "begins": str(one.served_from),
                    "ends": str(one.served_until),
                },
            )


def assignment_problems(path: str, assigned: Sequence[ShiftMeal], meals: Meals) -> Iterator[Mistake]:
    """What is wrong with an assignment of meals to shifts (M-15)."""
    kinds = {kind.id for kind in meals.kinds}
    yield from unique(path, (entry.shift for entry in assigned), key="shift")
    for index, entry in enumerate(assigned):
        if entry.kind not in kinds:
            yield unknown(f"{path}[{index}].kind", Thing.MEAL_KIND, entry.kind, sorted(kinds))
    missing = [shift for shift in SHIFTS if shift not in {entry.shift for entry in assigned}]
    if assigned and missing:
        yield Mistake(path, MealMistake.SHIFT_WITHOUT_MEAL, {"shift": missing[0]})


def grades_problems(path: str, grades: Grades | None) -> Iterator[Mistake]:
    """A range of grades must hold one."""
    if grades is not None and grades.first > grades.last:
        yield Mistake(f"{path}.grades", MealMistake.NO_GRADE)


def _calendar(path: str, calendar: Calendar, meals: Meals) -> Iterator[Mistake]:
    yield from _ordered(path, calendar.first, calendar.last)
    yield from unique(f"{path}.weekdays", calendar.weekdays)
    if not calendar.weekdays:
        yield Mistake(f"{path}.weekdays", MealMistake.NO_SCHOOL_DAY)
    if not any(calendar.id in school.calendars for school in meals.schools):
        yield Mistake(path, MealMistake.SCHOOL_CALENDAR_NOT_USED, {"calendar": calendar.id})
    for index, days in enumerate(calendar.holidays):
        at = f"{path}.holidays[{index}]"
        yield from _ordered(at, days.first, days.last)
        yield from _inside(at, days, calendar)
    for (_, one), (index, other) in combinations(enumerate(calendar.holidays), 2):
        if one.first <= other.last and other.first <= one.last:
            yield Mistake(
                f"{path}.holidays[{index}]",
                MealMistake.HOLIDAYS_OVERLAP,
                {"first": str(one.first), "last": str(one.last)},
            )
    for index, day in enumerate(calendar.extra):
        yield from _inside(f"{path}.extra[{index}]", Days(first=day, last=day), calendar)


def _inside(path: str, days: Days, calendar: Calendar) -> Iterator[Mistake]:
    if days.first < calendar.first or days.last > calendar.last:
        yield Mistake(
            path,
            MealMistake.OUTSIDE_CALENDAR,
            {
                "first": str(days.first),
                "last": str(days.last),
                "begins": str(calendar.first),
                "ends": str(calendar.last),
            },
        )


def _ordered(path: str, first: date, last: date) -> Iterator[Mistake]:
    if first > last:
        yield Mistake(f"{path}.last", MealMistake.ENDS_FIRST)


def _school(path: str, school: School, meals: Meals) -> Iterator[Mistake]:
    kinds = {kind.id: kind for kind in meals.kinds}
    yield from assignment_problems(f"{path}.by_shift", school.by_shift, meals)
    own = []
    for index, window in enumerate(school.windows):
        if window.kind not in kinds:
            yield unknown(f"{path}.windows[{index}].kind", Thing.MEAL_KIND, window.kind, sorted(kinds))
        own.append((f"{path}.windows[{index}]", window.kind, window))
    stated = {kind for _, kind, _ in own}
    rest = [(f"{path}.windows", kind.id, kind) for kind in meals.kinds if kind.id not in stated]
    if own:
        yield from window_problems([*rest, *own])
    yield from _calendars_of(f"{path}.calendars", school, meals)
    for index, pause in enumerate(school.breaks):
        yield from _break(f"{path}.breaks[{index}]", pause)


def _calendars_of(path: str, school: School, meals: Meals) -> Iterator[Mistake]:
    calendars = {calendar.id: calendar for calendar in meals.calendars}
    yield from unique(path, school.calendars)
    for index, name in enumerate(school.calendars):
        if name not in calendars:
            yield unknown(f"{path}[{index}]", Thing.CALENDAR, name, calendars)
    used = sorted((calendars[name] for name in set(school.calendars) & set(calendars)), key=lambda c: c.first)
    yield from _joined(path, used)


def _joined(path: str, calendars: Iterable[Calendar]) -> Iterator[Mistake]:
    for one, other in pairwise(calendars):
        if one.last >= other.first:
            yield Mistake(
                path,
                MealMistake.CALENDARS_OVERLAP,
                {
                    "one": one.id,
                    "other": other.id,
                    "day": str(other.first),
                    "before": str(other.first - _A_DAY),
                },
            )
        elif one.last + _A_DAY < other.first:
            yield Mistake(
                path,
                MealMistake.DAYS_WITHOUT_CALENDAR,
                {"first": str(one.last + _A_DAY), "last": str(other.first - _A_DAY), "calendar": one.id},
            )


def _break(path: str, pause: MealBreak) -> Iterator[Mistake]:
    yield from _ordered(path, pause.first, pause.last)
    yield from grades_problems(path, pause.grades)
    yield from unique(f"{path}.classes", pause.classes)
