"""The trail of a decision: which rule did what, and what it looked at. Codes and numbers only.

A trail is decided, recorded, compared and sent as codes; `terminal.trail_words` makes words from them. Every room has
its own closed enum of effects: a misspelt code is found before it runs, and a mended sentence changes no record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Self

import msgspec

CATEGORY: Final = "code"
"""The input that names a concession's category: it may be shown with a decision and is never recorded (D-03)."""

NO_INPUTS: Final[Mapping[str, int | str]] = MappingProxyType({})


class Effect(StrEnum):
    """Base of the rooms' enums. A value is "<rule id in lower case>:<effect>", such as "t-12:month_trip"."""

    @classmethod
    def of(cls, rule: str, effect: str) -> Self:
        """The member for what several rules do alike; raises `ValueError` when `rule` does no such thing."""
        return cls(f"{rule.lower()}:{effect}")

    @property
    def code(self) -> str:
        """The plain string that is recorded and sent."""
        return self.value

    @property
    def rule(self) -> str:
        """The rule's id, such as "T-12"."""
        return rule_of(self.value)


class Reason(msgspec.Struct, frozen=True, gc=False):
    """One step of a trail while it is decided. Strings among `inputs` are codes, ids, days ("2026-09-15") or times of
    day ("14:30"); a moment is a number of seconds since 1970 under a name that ends in `_at`.
    """

    effect: Effect
    inputs: Mapping[str, int | str] = NO_INPUTS

    @property
    def code(self) -> str:
        """The effect's code."""
        return (
            self.effect._value_
        )  # at every step of every trail: `value` is a descriptor, and takes twice as long

    @property
    def rule(self) -> str:
        """The rule's id, such as "T-12"."""
        return self.effect.rule


class TrailEntry(msgspec.Struct, frozen=True, array_like=True):
    """One step of a trail as rows hold it: the effect's code and what was looked at. A row of other software may hold a
    code that this one has no enum member for.
    """

    code: str
    inputs: dict[str, int | str] = {}

    @property
    def rule(self) -> str:
        """The rule's id, such as "T-12"."""
        return rule_of(self.code)


def recorded(facts: Iterable[Reason]) -> tuple[TrailEntry, ...]:
    """The trail as it is written down, in order, without categories (D-03)."""
    return tuple([TrailEntry(fact.code, _without_category(fact.inputs)) for fact in facts])


def rule_of(code: str) -> str:
    """The id of the rule in an effect's code."""
    return code.partition(":")[0].upper()


def _without_category(inputs: Mapping[str, int | str]) -> dict[str, int | str]:
    kept = dict(inputs) if inputs else {}
    kept.pop(CATEGORY, None)
    return kept
