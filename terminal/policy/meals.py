"""The canteen's part of a region document made ready for deciding: indexed once, at load."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import time
from types import MappingProxyType

from terminal.policy.schema_meals import Add, MealEntitlement, MealKind, Meals, Replace


@dataclass(frozen=True, slots=True)
class MealRule:
    """A meal entitlement with what combining needs; `sensitive` ones show only their effect (D-03)."""

    entitlement: MealEntitlement
    sensitive: bool


@dataclass(frozen=True, slots=True)
class MealPolicy:
    """What a decision in the canteen looks up. Make one with `MealPolicy.of`; it never changes."""

    document: Meals
    kinds: Mapping[str, MealKind]
    rules: Mapping[int, tuple[MealRule, ...]]
    replaced_by: Mapping[int, frozenset[int]]
    added: frozenset[frozenset[int]]

    @classmethod
    def of(cls, meals: Meals, sensitive: Iterable[int]) -> MealPolicy:
        """Index checked `meals`; `sensitive` are the concession codes that reveal health."""
        return cls(
            document=meals,
            kinds=MappingProxyType({kind.id: kind for kind in meals.kinds}),
            rules=MappingProxyType(_rules(meals, frozenset(sensitive))),
            replaced_by=MappingProxyType(_replaced_by(meals)),
            added=frozenset(frozenset(rule.codes) for rule in meals.combine if isinstance(rule, Add)),
        )

    def kind_at(self, of_day: time) -> MealKind | None:
        """The meal served at this local time of day; a window includes its start and not its end."""
        for kind in self.document.kinds:
            if kind.served_from <= of_day < kind.served_until:
                return kind
        return None


def _rules(meals: Meals, sensitive: frozenset[int]) -> dict[int, tuple[MealRule, ...]]:
    rules: dict[int, tuple[MealRule, ...]] = {}
    for entitlement in meals.entitlements:
        code = entitlement.code
        rules[code] = (*rules.get(code, ()), MealRule(entitlement, code in sensitive))
    return rules


def _replaced_by(meals: Meals) -> dict[int, frozenset[int]]:
    winners: dict[int, frozenset[int]] = {}
    for rule in meals.combine:
        if isinstance(rule, Replace):
            winners[rule.loser] = winners.get(rule.loser, frozenset()) | {rule.winner}
    return winners
