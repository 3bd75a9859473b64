"""A meal: what is served now, whether the pupil is entitled to it today, and who pays for it.

Nothing here looks at a network or a balance: an entitled meal is given (M-37), and for a concession that
reveals health only its effect, the number of meals, enters the trail (D-03).
"""

from __future__ import annotations

from dataclasses import dataclass

from cardproto.resident.records.event import EventKind, PaidBy
from cardproto.resident.records.rights import Concession
from terminal.decision.outcome import Decision, Message, Outcome
from terminal.decision.tap import Tap, Trail, accept
from terminal.policy.meals import MealRule
from terminal.policy.policy import Policy
from terminal.policy.schema_meals import MealEntitlement, MealKind, Portion


@dataclass(frozen=True, slots=True)
class _Grant:
    """One code of the pupil with the entitlement that fits grade and shift."""

    code: int
    rule: MealRule

    @property
    def size(self) -> tuple[int, int]:
        """What `max` compares: the number of meals, then the sum (M-16)."""
        return len(self.rule.entitlement.portions), self.rule.entitlement.day_sum_minor


def decide_meal(tap: Tap, trail: Trail) -> Decision:
    """Return the decision on one tap in the canteen; the card as such has been accepted."""
    kind = tap.policy.meals.kind_at(tap.local.time())
    if kind is None:
        trail.note("M-15", "nothing is served at this hour", {"time": f"{tap.local:%H:%M}"})
        return trail.refuse(Message.MEAL_NOT_ORDERED)
    if tap.meals >> kind.bit & 1:
        trail.note("M-19", "one portion of each kind a day", {"meal": kind.id})
        return trail.refuse(Message.MEAL_ALREADY, {"meal": kind.id})
    portions = [
        portion
        for grant in _combine(_grants(tap, trail), tap.policy, trail)
        for portion in grant.rule.entitlement.portions
        if portion.kind == kind.id
    ]
    if not portions:
        trail.note("M-19", "not entitled to this meal", {"meal": kind.id})
        return trail.refuse(Message.MEAL_NOT_ORDERED)
    return _serve(tap, trail, kind, portions)


def _grants(tap: Tap, trail: Trail) -> list[_Grant]:
    """The meal entitlements of today's concessions, each code once, first slot first."""
    grants: dict[int, _Grant] = {}
    for slot, concession in enumerate(tap.snapshot.rights.concessions):
        rules = None if concession is None else tap.policy.meals.rules.get(concession.code)
        if concession is None or rules is None or concession.code in grants:
            continue
        if not concession.valid_from <= tap.service_date <= concession.valid_to:
            trail.note("M-20", "grant does not hold today", {"slot": slot})
            continue
        rule = next((rule for rule in rules if _fits(rule.entitlement, concession)), None)
        if rule is None:
            trail.note("M-20", "grant does not cover this grade or shift", {"slot": slot})
            continue
        grant = grants[concession.code] = _Grant(concession.code, rule)
        _note_grant(grant, trail)
    return list(grants.values())


def _fits(entitlement: MealEntitlement, concession: Concession) -> bool:
    """Whether grade (low four bits) and shift (high four) of the parameter allow it; 0 is "not stated"."""
    grade, shift = concession.parameter & 0x0F, concession.parameter >> 4 or 1
    if entitlement.shift is not None and entitlement.shift != shift:
        return False
    grades = entitlement.grades
    return grades is None or not grade or grades.first <= grade <= grades.last


def _note_grant(grant: _Grant, trail: Trail) -> None:
    meals = len(grant.rule.entitlement.portions)
    if grant.rule.sensitive:
        trail.note("M-19", "free meals a day", {"meals": meals})
    else:
        trail.note(grant.rule.entitlement.rule, "free meals a day", {"meals": meals, "code": grant.code})


def _combine(grants: list[_Grant], policy: Policy, trail: Trail) -> list[_Grant]:
    """M-16: drop what another code replaces; of the rest keep the largest and what is added to all kept."""
    if len(grants) < 2:
        return grants
    codes = {grant.code for grant in grants}
    rest = [grant for grant in grants if not policy.meals.replaced_by.get(grant.code, frozenset()) & codes]
    rest.sort(key=lambda grant: (*grant.size, -grant.code), reverse=True)
    kept: list[_Grant] = []
    for grant in rest:
        if all(frozenset((grant.code, other.code)) in policy.meals.added for other in kept):
            kept.append(grant)
    meals = len({portion.kind for grant in kept for portion in grant.rule.entitlement.portions})
    trail.note(
        "M-16", "several grounds combined", {"grounds": len(grants), "kept": len(kept), "meals": meals}
    )
    return kept


def _serve(tap: Tap, trail: Trail, kind: MealKind, portions: list[Portion]) -> Decision:
    funded: dict[str, int | str] = {"meal": kind.id, "sum_minor": sum(p.sum_minor for p in portions)}
    for funder in (funder for portion in portions for funder in portion.funders):
        funded[funder.source] = int(funded.get(funder.source, 0)) + funder.sum_minor
    trail.note("M-01", "paid from the budget", funded)
    outcome = Outcome(Message.MEAL_OK, accepted=True, values={"meal": kind.id})
    return accept(tap, trail, outcome, EventKind.MEAL, PaidBy.BUDGET, meals=tap.meals | 1 << kind.bit)
