"""What the canteen's part of a region document must satisfy beyond its types.

Serving times, shifts, calendars and schools are in `terminal.policy.meals.school_checks`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Final

from terminal.policy.document.meals import (
    BY_SHIFT,
    LAST_GRADE,
    PARENTS,
    SHIFTS,
    Grades,
    MealEntitlement,
    MealPrice,
    Meals,
    Portion,
    Replace,
    ShiftMeal,
)
from terminal.policy.document.schema import RegionDocument
from terminal.policy.meals.school_checks import (
    assignment_problems,
    grades_problems,
    school_problems,
    window_problems,
)
from terminal.policy.problem import Problem, unique, unknown

_EVERY_GRADE: Final = Grades(first=1, last=LAST_GRADE)


def meal_problems(document: RegionDocument) -> Iterator[Problem]:
    """Everything wrong with `document.meals`, in reading order."""
    yield from _kinds(document.meals)
    yield from _prices(document.meals)
    yield from assignment_problems("meals.by_shift", document.meals.by_shift, document.meals)
    yield from _entitlements(document)
    yield from _combinations(document.meals)
    yield from school_problems(document.meals)
    for name, limit in (("pre_order", document.meals.pre_order), ("attendance", document.meals.attendance)):
        if limit.until.tzinfo is not None:
            yield Problem(f"meals.{name}.until", "a time with an offset", "Write a local time: 18:00:00.")


def _kinds(meals: Meals) -> Iterator[Problem]:
    yield from unique("meals.kinds", (kind.id for kind in meals.kinds), key="id")
    yield from unique("meals.kinds", (kind.bit for kind in meals.kinds), key="bit")
    for index, kind in enumerate(meals.kinds):
        if kind.id == BY_SHIFT:
            path = f"meals.kinds[{index}].id"
            yield Problem(path, f"`{BY_SHIFT}` means the meal of the shift", "Use another name.")
    yield from window_problems([(f"meals.kinds[{i}]", kind.id, kind) for i, kind in enumerate(meals.kinds)])


def _prices(meals: Meals) -> Iterator[Problem]:
    kinds = {kind.id for kind in meals.kinds}
    for index, price in enumerate(meals.prices):
        if price.kind not in kinds:
            yield unknown(f"meals.prices[{index}].kind", "meal kind", price.kind, sorted(kinds))
        yield from grades_problems(f"meals.prices[{index}]", price.grades)
    for (one, first), (other, second) in combinations(enumerate(meals.prices), 2):
        if first.kind == second.kind and _overlap(first.grades, second.grades):
            yield Problem(
                f"meals.prices[{other}]",
                f"a pupil has two prices for `{first.kind}`, this one and [{one}]",
                "Keep their `grades` apart.",
            )
    for kind in sorted({price.kind for price in meals.prices} & kinds):
        yield from _without_price(kind, [price for price in meals.prices if price.kind == kind])


def _without_price(kind: str, prices: list[MealPrice]) -> Iterator[Problem]:
    priced = [price.grades or _EVERY_GRADE for price in prices]
    missing = [g for g in range(1, LAST_GRADE + 1) if not any(grades.include(g) for grades in priced)]
    if missing:
        yield Problem(
            "meals.prices",
            f"`{kind}` has no price in grade {missing[0]}",
            "State a price for every grade, or none at all when the kind is not for sale.",
        )


def _entitlements(document: RegionDocument) -> Iterator[Problem]:
    codes = {concession.code for concession in document.concessions}
    for index, entitlement in enumerate(document.meals.entitlements):
        path = f"meals.entitlements[{index}]"
        if entitlement.code not in codes:
            yield unknown(f"{path}.code", "concession code", entitlement.code, sorted(codes))
        yield from grades_problems(path, entitlement.grades)
        yield from _portions(path, entitlement, document.meals)
    for (one, first), (other, second) in combinations(enumerate(document.meals.entitlements), 2):
        if first.code == second.code and _same_pupil(first, second):
            yield Problem(
                f"meals.entitlements[{other}]",
                f"a pupil of code {first.code} may fall under this one and under [{one}]",
                "Keep their `grades` or `shift` apart.",
            )


def _portions(path: str, entitlement: MealEntitlement, meals: Meals) -> Iterator[Problem]:
    yield from unique(f"{path}.portions", (portion.kind for portion in entitlement.portions), key="kind")
    for index, portion in enumerate(entitlement.portions):
        at = f"{path}.portions[{index}]"
        yield from _kind_of_portion(at, portion, meals)
        yield from _funders(at, portion, entitlement, meals)
    yield from _assigned_twice(path, entitlement, meals)
    total = sum(portion.sum_minor for portion in entitlement.portions)
    if total != entitlement.day_sum_minor:
        yield Problem(
            f"{path}.day_sum_minor",
            f"the portions cost {total} a day, not {entitlement.day_sum_minor}",
            f"Write {total} or correct the portions.",
        )


def _kind_of_portion(at: str, portion: Portion, meals: Meals) -> Iterator[Problem]:
    kinds = {kind.id for kind in meals.kinds}
    if portion.kind == BY_SHIFT:
        if not meals.by_shift:
            yield Problem(
                f"{at}.kind", "the document assigns no meal to a shift", "Add [[meals.by_shift]] tables."
            )
    elif portion.kind not in kinds:
        yield unknown(f"{at}.kind", "meal kind", portion.kind, sorted(kinds))


def _funders(at: str, portion: Portion, entitlement: MealEntitlement, meals: Meals) -> Iterator[Problem]:
    yield from unique(f"{at}.funders", (funder.source for funder in portion.funders), key="source")
    funded = sum(funder.sum_minor for funder in portion.funders)
    if funded != portion.sum_minor:
        yield Problem(
            f"{at}.funders",
            f"the funders give {funded}, the portion costs {portion.sum_minor}",
            f"Correct a share by {portion.sum_minor - funded:+d} kopecks or change `sum_minor`.",
        )
    parents = sum(funder.sum_minor for funder in portion.funders if funder.source == PARENTS)
    if parents >= portion.sum_minor:
        yield Problem(f"{at}.funders", "parents pay all of it", "Name a budget, or remove the entitlement.")
    for price in meals.prices:
        applies = portion.kind in (BY_SHIFT, price.kind) and _overlap(price.grades, entitlement.grades)
        if applies and parents > price.price_minor:
            yield Problem(
                f"{at}.funders",
                f"parents pay {parents}, more than the {price.price_minor} of a pupil without entitlement",
                "Lower their share: an entitlement never costs more than none.",
            )


def _assigned_twice(path: str, entitlement: MealEntitlement, meals: Meals) -> Iterator[Problem]:
    """A portion by shift must not be a kind the entitlement also names, in any school."""
    kinds = {portion.kind for portion in entitlement.portions}
    if BY_SHIFT not in kinds:
        return
    shifts = SHIFTS if entitlement.shift is None else (entitlement.shift,)
    places: list[Iterable[ShiftMeal]] = [meals.by_shift, *(school.by_shift for school in meals.schools)]
    for assignment in (assignment for place in places for assignment in place):
        if assignment.shift in shifts and assignment.kind in kinds:
            yield Problem(
                f"{path}.portions",
                f"shift {assignment.shift} would have `{assignment.kind}` twice",
                "Name the kinds, or narrow the entitlement to a shift.",
            )
            return


def _same_pupil(one: MealEntitlement, other: MealEntitlement) -> bool:
    apart_by_shift = None not in (one.shift, other.shift) and one.shift != other.shift
    return not apart_by_shift and _overlap(one.grades, other.grades)


def _overlap(one: Grades | None, other: Grades | None) -> bool:
    return one is None or other is None or (one.first <= other.last and other.first <= one.last)


def _combinations(meals: Meals) -> Iterator[Problem]:
    codes = {entitlement.code for entitlement in meals.entitlements}
    seen: set[frozenset[int]] = set()
    losers: dict[int, set[int]] = {}
    for index, rule in enumerate(meals.combine):
        path = f"meals.combine[{index}]"
        pair = (rule.winner, rule.loser) if isinstance(rule, Replace) else rule.codes
        for code in pair:
            if code not in codes:
                yield unknown(path, "code with a meal entitlement", code, sorted(codes))
        if pair[0] == pair[1]:
            yield Problem(path, f"pairs code {pair[0]} with itself", "Name two different codes.")
        if frozenset(pair) in seen:
            yield Problem(path, f"a second rule for the codes {pair[0]} and {pair[1]}", "Keep one of them.")
        seen.add(frozenset(pair))
        if isinstance(rule, Replace):
            losers.setdefault(rule.winner, set()).add(rule.loser)
    if any(_reaches(losers, code, code) for code in losers):
        yield Problem("meals.combine", "the codes replace each other in a circle", "Let one of them win.")


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
