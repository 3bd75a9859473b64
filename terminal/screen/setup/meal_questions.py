"""What a first run asks of meals: what is served in which breaks, what it costs, and who pays it for whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct

from terminal.policy.document.meals import LAST_GRADE
from terminal.screen.setup.asked import YES, AnswerChoice, AnswerKind, Question, QuestionGroup
from terminal.texts import N_

KINDS: Final = ("breakfast", "lunch", "snack")
"""The meals a school may serve, in the order of a day."""
BY_SHIFT: Final = "by_shift"
FUNDERS: Final = ("federal", "regional", "municipal", "parents")
CATEGORIES: Final = ("primary", "special", "large", "defender", "other")
MEAL_NAMES: Final[Mapping[str, str]] = {
    "breakfast": N_("Breakfast"),
    "lunch": N_("Lunch"),
    "snack": N_("Snack"),
    BY_SHIFT: N_("Meal of the shift"),
}
MORE_BREAKS: Final = (2, 3)
"""Breaks that a meal may have besides its first one."""
_BREAK_BEGINS: Final = {2: N_("Second break begins at"), 3: N_("Third break begins at")}
_BREAK_ENDS: Final = {2: N_("Second break ends at"), 3: N_("Third break ends at")}
_SERVED: Final[Mapping[str, tuple[str, str]]] = {
    "breakfast": ("08:30", "10:30"),
    "lunch": ("11:30", "14:30"),
    "snack": ("15:30", "17:00"),
}
FUNDER_NAMES: Final[Mapping[str, str]] = {
    "federal": N_("federal budget"),
    "regional": N_("regional budget"),
    "municipal": N_("municipal budget"),
    "parents": N_("parents"),
}


class _MealCategory(Struct, frozen=True):
    code: int
    rule: str
    name: str
    first: int
    last: int
    sensitive: bool = False


CATEGORY: Final[Mapping[str, _MealCategory]] = {
    "primary": _MealCategory(10, "M-10", N_("Pupils of grades 1 to 4"), 1, 4),
    "special": _MealCategory(11, "M-11", N_("Pupils with special needs"), 1, LAST_GRADE, sensitive=True),
    "large": _MealCategory(12, "M-12", N_("Large and low-income families"), 1, LAST_GRADE),
    "defender": _MealCategory(13, "M-13", N_("Children of service members"), 1, LAST_GRADE),
    "other": _MealCategory(14, "M-14", N_("Other category of the region"), 1, LAST_GRADE),
}
"""Who eats at whose cost: the code on cards and in lists, the rule, the name it begins with and its grades."""


def meal_groups() -> Iterator[QuestionGroup]:
    for kind in KINDS:
        switch, (begins, ends) = f"meals.{kind}.served", _SERVED[kind]
        yield QuestionGroup(
            MEAL_NAMES[kind],
            (
                Question(
                    name=switch,
                    kind=AnswerKind.SWITCH,
                    label=N_("Is served"),
                    default=YES if kind != "snack" else "",
                ),
                Question(
                    name=f"meals.{kind}.from",
                    kind=AnswerKind.CLOCK,
                    label=N_("Begins at"),
                    hint=N_("The first break, or all of the time in which pupils may come."),
                    default=begins,
                    only_if=switch,
                ),
                Question(
                    name=f"meals.{kind}.until",
                    kind=AnswerKind.CLOCK,
                    label=N_("Ends at"),
                    default=ends,
                    only_if=switch,
                ),
                *_more_breaks(kind, switch),
                Question(
                    name=f"meals.{kind}.price",
                    kind=AnswerKind.MONEY,
                    label=N_("Price for parents, roubles"),
                    hint=N_("What a pupil without any category pays. Empty: not sold."),
                    needed=False,
                    only_if=switch,
                ),
            ),
            switch=switch,
        )
    meals = tuple(AnswerChoice(kind, MEAL_NAMES[kind]) for kind in KINDS)
    yield QuestionGroup(
        N_("Shifts"),
        (
            Question(
                name="meals.shift1",
                kind=AnswerKind.CHOICE,
                label=N_("Meal of the first shift"),
                default="breakfast",
                choices=meals,
            ),
            Question(
                name="meals.shift2",
                kind=AnswerKind.CHOICE,
                label=N_("Meal of the second shift"),
                default="lunch",
                choices=meals,
            ),
        ),
    )


def _more_breaks(kind: str, switch: str) -> Iterator[Question]:
    for number in MORE_BREAKS:
        for end, label in (("from", _BREAK_BEGINS[number]), ("until", _BREAK_ENDS[number])):
            name = f"meals.{kind}.{end}{number}"
            yield Question(name=name, kind=AnswerKind.CLOCK, label=label, needed=False, only_if=switch)


def category_groups() -> Iterator[QuestionGroup]:
    for name, category in CATEGORY.items():
        switch = f"categories.{name}.given"
        sums = tuple(
            Question(
                name=f"categories.{name}.{kind}.{funder}",
                kind=AnswerKind.MONEY,
                label=FUNDER_NAMES[funder],
                needed=False,
                only_if=switch,
            )
            for kind in (BY_SHIFT, *KINDS)
            for funder in FUNDERS
        )
        yield QuestionGroup(
            category.name,
            (
                Question(
                    name=switch,
                    kind=AnswerKind.SWITCH,
                    label=N_("There are such pupils"),
                    default=YES if name == "primary" else "",
                ),
                Question(
                    name=f"categories.{name}.name",
                    kind=AnswerKind.TEXT,
                    label=N_("Name on reports"),
                    default=category.name,
                    high=60,
                    only_if=switch,
                ),
                Question(
                    name=f"categories.{name}.first",
                    kind=AnswerKind.NUMBER,
                    label=N_("From grade"),
                    default=str(category.first),
                    low=1,
                    high=LAST_GRADE,
                    only_if=switch,
                ),
                Question(
                    name=f"categories.{name}.last",
                    kind=AnswerKind.NUMBER,
                    label=N_("To grade"),
                    default=str(category.last),
                    low=1,
                    high=LAST_GRADE,
                    only_if=switch,
                ),
                *sums,
            ),
            switch=switch,
        )
