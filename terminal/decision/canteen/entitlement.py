"""Which meals of a day a pupil is entitled to, and on what ground: M-10 to M-16, M-20, O-02.

For a ground that reveals health only its effect, the number of meals, enters the trail and the category (D-03).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final

from msgspec import Struct

from terminal.decision.canteen.effects import GroundEffect
from terminal.decision.tap import Trail
from terminal.policy.document.meals import BY_SHIFT, PAID, MealEntitlement, Portion
from terminal.policy.meals.index import MealPolicy, MealRule
from terminal.trail import CATEGORY
from terminal.trip.pupil import MealGrant, Pupil

FIRST_SHIFT: Final = 1


class Entitlement(Struct, frozen=True):
    """What a pupil gets on a day: the portions of each kind (several where grounds add), and the category."""

    portions: Mapping[str, tuple[Portion, ...]]
    category: str = PAID


class _Ground(Struct, frozen=True):
    """A grant that holds, with the rule of its code that fits grade and shift."""

    code: int
    shift: int
    rule: MealRule

    @property
    def size(self) -> tuple[int, int]:
        """What `max` compares: the number of meals, then the subsidy of the day (M-16)."""
        return len(self.rule.entitlement.portions), self.rule.subsidy_minor


def entitlement(
    pupil: Pupil, policy: MealPolicy, day: date, trail: Trail, *, clock_suspect: bool = False
) -> Entitlement:
    """Return what `pupil` is entitled to on `day`, whether or not it was served already.

    A suspect clock's day ends no grant and moves no pupil into another grade (M-37): it is the one the grant states.
    """
    grounds = _combine(_grounds(pupil, policy, day, trail, clock_suspect), policy, trail)
    portions: dict[str, tuple[Portion, ...]] = {}
    for ground in grounds:
        for portion in ground.rule.entitlement.portions:
            kind = _kind_of(portion, ground, policy, pupil.school)
            if kind is not None:
                portions[kind] = (*portions.get(kind, ()), portion)
    return Entitlement(portions, _category(grounds, len(portions)))


def newest_of(card: Iterable[MealGrant], listed: Iterable[MealGrant], trail: Trail) -> tuple[MealGrant, ...]:
    """O-02: the grants of card and list together; of one code the newer issue, a block of the list always."""
    grants: dict[int, MealGrant] = {}
    for grant in card:
        grants.setdefault(grant.code, grant)
    for grant in listed:
        held = grants.get(grant.code)
        if held is not None and not grant.blocked and grant.issued_on <= held.issued_on:
            continue
        if held is not None:
            trail.note(GroundEffect.LIST_NEWER, {"issued_on": str(grant.issued_on)})
        grants[grant.code] = grant
    return tuple(grants.values())


def _grounds(
    pupil: Pupil, policy: MealPolicy, today: date, trail: Trail, clock_suspect: bool
) -> list[_Ground]:
    """The rules of today's grants, each code once, in the order of the grants."""
    grounds: dict[int, _Ground] = {}
    for slot, grant in enumerate(pupil.grants):
        rules = policy.rules.get(grant.code)
        if rules is None or grant.code in grounds:
            continue
        if grant.blocked:
            trail.note(GroundEffect.BLOCKED, {"slot": slot})
            continue
        day = grant.valid_from if clock_suspect else today
        if not grant.valid_from <= day <= grant.valid_to:
            trail.note(GroundEffect.NOT_TODAY, {"slot": slot})
            continue
        grade = pupil.grade or policy.grade_on(grant.grade, grant.valid_from, day)
        shift = pupil.shift or grant.shift or FIRST_SHIFT
        rule = next((rule for rule in rules if _fits(rule.entitlement, grade, shift)), None)
        if rule is None:
            trail.note(GroundEffect.OTHER_GRADE_OR_SHIFT, {"slot": slot, "grade": grade})
            continue
        ground = grounds[grant.code] = _Ground(grant.code, shift, rule)
        _note(ground, trail)
    return list(grounds.values())


def _fits(entitlement: MealEntitlement, grade: int, shift: int) -> bool:
    if entitlement.shift is not None and entitlement.shift != shift:
        return False
    return entitlement.grades is None or entitlement.grades.include(grade)


def _note(ground: _Ground, trail: Trail) -> None:
    entitlement = ground.rule.entitlement
    meals = len(entitlement.portions)
    free = ground.rule.subsidy_minor == entitlement.day_sum_minor
    effect = "free_meals" if free else "part_price_meals"
    if ground.rule.sensitive:
        trail.note(GroundEffect.of("M-19", effect), {"meals": meals})
    else:
        inputs: dict[str, int | str] = {"meals": meals, CATEGORY: ground.code}
        trail.note(GroundEffect.of(entitlement.rule, effect), inputs)


def _combine(grounds: list[_Ground], policy: MealPolicy, trail: Trail) -> list[_Ground]:
    """M-16: drop what another code replaces; of the rest keep the largest and what is added to all kept."""
    if len(grounds) < 2:
        return grounds
    codes = {ground.code for ground in grounds}
    rest = [ground for ground in grounds if not policy.replaced_by.get(ground.code, frozenset()) & codes]
    rest.sort(key=lambda ground: (*ground.size, -ground.code), reverse=True)
    kept: list[_Ground] = []
    for ground in rest:
        if all(frozenset((ground.code, other.code)) in policy.added for other in kept):
            kept.append(ground)
    meals = len({portion.kind for ground in kept for portion in ground.rule.entitlement.portions})
    trail.note(GroundEffect.COMBINED, {"grounds": len(grounds), "kept": len(kept), "meals": meals})
    return kept


def _kind_of(portion: Portion, ground: _Ground, policy: MealPolicy, school: str) -> str | None:
    """M-15: the kind of a portion that follows the shift; None when the shift is assigned nothing."""
    if portion.kind != BY_SHIFT:
        return portion.kind
    assigned = policy.assigned(ground.shift, school)
    return None if assigned is None else assigned.id


def _category(grounds: list[_Ground], meals: int) -> str:
    if not grounds:
        return PAID
    if any(ground.rule.sensitive for ground in grounds):
        return f"meals_{meals}"
    return "+".join(str(code) for code in sorted(ground.code for ground in grounds))
