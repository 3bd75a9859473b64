"""The canteen's part of a region document: what is served when, to whom, and who pays."""

from __future__ import annotations

from datetime import time
from typing import Annotated, Final

from msgspec import Meta

from terminal.policy.schema_base import Fare, Minor, Name, Section

MEAL_BITS: Final = 8


class MealKind(Section, frozen=True, kw_only=True):
    """Served in [`served_from`, `served_until`); `bit` is its place in the event's mask of the day."""

    id: Name
    bit: Annotated[int, Meta(ge=0, lt=MEAL_BITS)]
    served_from: time
    served_until: time


class Funder(Section, frozen=True, kw_only=True):
    """Who pays how much of one portion (M-01)."""

    source: Name
    sum_minor: Minor


class Portion(Section, frozen=True, kw_only=True):
    """One free portion a day of this kind; the funders' sums add up to `sum_minor`."""

    kind: Name
    sum_minor: Fare
    funders: tuple[Funder, ...]


class Grades(Section, frozen=True, kw_only=True):
    """School grades, both included."""

    first: Annotated[int, Meta(ge=1, le=11)]
    last: Annotated[int, Meta(ge=1, le=11)]


class MealEntitlement(Section, frozen=True, kw_only=True):
    """What a concession code gives in the canteen each day. `day_sum_minor` is the sum of its portions.

    `grades` and `shift` narrow it to pupils whose concession parameter says so (low four bits the grade, high
    four the school shift, 0 = not stated). A pupil takes the first entitlement of the code that does not
    contradict the parameter; a shift not stated is the first one.
    """

    code: Annotated[int, Meta(ge=1, le=255)]
    rule: Annotated[str, Meta(pattern=r"^[A-Z]-\d\d$")]
    day_sum_minor: Fare
    portions: tuple[Portion, ...]
    grades: Grades | None = None
    shift: Annotated[int, Meta(ge=1, le=2)] | None = None


class Replace(Section, frozen=True, kw_only=True, tag_field="kind", tag="replace"):
    """M-16: who has both codes gets `winner` only."""

    winner: int
    loser: int


class Add(Section, frozen=True, kw_only=True, tag_field="kind", tag="add"):
    """M-16: who has both codes gets both; where they give the same kind it is one portion with both sums."""

    codes: tuple[int, int]


class Max(Section, frozen=True, kw_only=True, tag_field="kind", tag="max"):
    """M-16: who has both codes gets the one with more meals, then the larger sum. The default."""

    codes: tuple[int, int]


Combination = Replace | Add | Max


class Meals(Section, frozen=True, kw_only=True):
    """The canteen: what is served when, to whom, and who pays."""

    kinds: tuple[MealKind, ...] = ()
    entitlements: tuple[MealEntitlement, ...] = ()
    combine: tuple[Combination, ...] = ()
