"""What the canteen's part of a region document must satisfy beyond its types."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from terminal.policy.problem import Problem, unique, unknown
from terminal.policy.schema import RegionDocument
from terminal.policy.schema_meals import MealEntitlement, Meals, Replace


def meal_problems(document: RegionDocument) -> Iterator[Problem]:
    """Everything wrong with `document.meals`, in reading order."""
    yield from _kinds(document.meals)
    yield from _entitlements(document)
    yield from _combinations(document.meals)


def _kinds(meals: Meals) -> Iterator[Problem]:
    yield from unique("meals.kinds", (kind.id for kind in meals.kinds), key="id")
    yield from unique("meals.kinds", (kind.bit for kind in meals.kinds), key="bit")
    for index, kind in enumerate(meals.kinds):
        if kind.served_from.tzinfo is not None or kind.served_until.tzinfo is not None:
            yield Problem(
                f"meals.kinds[{index}]", "times with an offset", "Write local times such as 07:30:00."
            )
            return
        if kind.served_from >= kind.served_until:
            yield Problem(
                f"meals.kinds[{index}].served_until",
                f"the serving window of `{kind.id}` is empty",
                "Put it after `served_from` on the same day.",
            )
    for (_, one), (index, other) in combinations(enumerate(meals.kinds), 2):
        if one.served_from < other.served_until and other.served_from < one.served_until:
            yield Problem(
                f"meals.kinds[{index}].served_from",
                f"the windows of `{one.id}` and `{other.id}` overlap",
                f"End one before the other begins (`{one.id}` is {one.served_from} to {one.served_until}).",
            )


def _entitlements(document: RegionDocument) -> Iterator[Problem]:
    codes = {concession.code for concession in document.concessions}
    kinds = {kind.id for kind in document.meals.kinds}
    for index, entitlement in enumerate(document.meals.entitlements):
        path = f"meals.entitlements[{index}]"
        if entitlement.code not in codes:
            yield unknown(f"{path}.code", "concession code", entitlement.code, sorted(codes))
        if entitlement.grades is not None and entitlement.grades.first > entitlement.grades.last:
            yield Problem(f"{path}.grades", "no grade is included", "Put `first` before `last`.")
        yield from _portions(path, entitlement, kinds)
    for (one, first), (other, second) in combinations(enumerate(document.meals.entitlements), 2):
        if first.code == second.code and _same_pupil(first, second):
            yield Problem(
                f"meals.entitlements[{other}]",
                f"a pupil of code {first.code} may fall under this one and under [{one}]",
                "Keep their `grades` or `shift` apart.",
            )


def _portions(path: str, entitlement: MealEntitlement, kinds: set[str]) -> Iterator[Problem]:
    yield from unique(f"{path}.portions", (portion.kind for portion in entitlement.portions), key="kind")
    for index, portion in enumerate(entitlement.portions):
        at, funded = f"{path}.portions[{index}]", sum(funder.sum_minor for funder in portion.funders)
        if portion.kind not in kinds:
            yield unknown(f"{at}.kind", "meal kind", portion.kind, sorted(kinds))
        yield from unique(f"{at}.funders", (funder.source for funder in portion.funders), key="source")
        if funded != portion.sum_minor:
            yield Problem(
                f"{at}.funders",
                f"the funders give {funded}, the portion costs {portion.sum_minor}",
                f"Correct a share by {portion.sum_minor - funded:+d} kopecks or change `sum_minor`.",
            )
    total = sum(portion.sum_minor for portion in entitlement.portions)
    if total != entitlement.day_sum_minor:
        yield Problem(
            f"{path}.day_sum_minor",
            f"the portions cost {total} a day, not {entitlement.day_sum_minor}",
            f"Write {total} or correct the portions.",
        )


def _same_pupil(one: MealEntitlement, other: MealEntitlement) -> bool:
    apart_by_shift = None not in (one.shift, other.shift) and one.shift != other.shift
    if apart_by_shift or one.grades is None or other.grades is None:
        return not apart_by_shift
    return one.grades.first <= other.grades.last and other.grades.first <= one.grades.last


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
