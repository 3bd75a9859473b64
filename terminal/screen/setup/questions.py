"""Everything a first run asks of a school, page by page: one table for pages, checks and answers files.

An answer is a text as a person types it ("78,02", "08:30", "2026-09-01"), kept under the question's name
("meals.breakfast.price"). What is not answered has the question's default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from enum import StrEnum
from typing import Final, TypeAlias

from msgspec import Struct

from cardproto.resident.limits import LARGEST_MINOR, LARGEST_TERMINAL
from terminal.policy.document.meals import LAST_GRADE
from terminal.texts import N_

Texts: TypeAlias = Mapping[str, str]
"""Answers as they were typed, by the question's name."""

YES: Final = "yes"
"""A ticked box; one that is not ticked is empty."""
KINDS: Final = ("breakfast", "lunch", "snack")
"""The meals a school may serve, in the order of a day."""
BY_SHIFT: Final = "by_shift"
FUNDERS: Final = ("federal", "regional", "municipal", "parents")
CATEGORIES: Final = ("primary", "special", "large", "defender", "other")
HOLIDAYS: Final = 10
PAUSES: Final = 3
MOST_MONEY: Final = LARGEST_MINOR
ROUBLES: Final = "RUB"
OWN, REGIONS = "own", "region"
"""Whose keys open the cards: the school's own, or the region's."""


class AnswerKind(StrEnum):
    """What a text must be."""

    TEXT = "text"
    NUMBER = "number"
    MONEY = "money"
    CLOCK = "time"
    DAY = "date"
    CHOICE = "choice"
    SWITCH = "switch"
    FILE = "file"
    """The content of a file, pasted or chosen."""


class AnswerChoice(Struct, frozen=True):
    """One of what may be chosen: what is kept, and its words (a message id, or a name as it is)."""

    value: str
    label: str


class Question(Struct, frozen=True, kw_only=True):
    """`label` and `hint` are message ids. `only_if`: a switch of the same page without which it does not matter, or
    NAME=VALUE of a choice. `default` is a message id where it is a name that the region's language gives.
    """

    name: str
    kind: AnswerKind
    label: str
    hint: str = ""
    default: str = ""
    choices: tuple[AnswerChoice, ...] = ()
    low: int = 0
    high: int = 0
    needed: bool = True
    only_if: str = ""


class QuestionGroup(Struct, frozen=True):
    """Questions that belong together; `switch` turns the whole group on and off."""

    legend: str
    questions: tuple[Question, ...]
    explains: str = ""
    switch: str = ""
    rows: bool = False
    """Many small ones of one kind: shown as a table."""


class SetupPage(Struct, frozen=True):
    """One page: its place in the address, and what it is for."""

    name: str
    title: str
    explains: str
    groups: tuple[QuestionGroup, ...] = ()

    @property
    def questions(self) -> Iterator[Question]:
        """All of the page, in order."""
        return (question for group in self.groups for question in group.questions)


ZONES: Final = (
    ("Europe/Kaliningrad", N_("Kaliningrad, UTC+2")),
    ("Europe/Moscow", N_("Moscow, UTC+3")),
    ("Europe/Volgograd", N_("Volgograd, UTC+3")),
    ("Europe/Samara", N_("Samara, UTC+4")),
    ("Asia/Yekaterinburg", N_("Yekaterinburg, UTC+5")),
    ("Asia/Omsk", N_("Omsk, UTC+6")),
    ("Asia/Novosibirsk", N_("Novosibirsk, UTC+7")),
    ("Asia/Irkutsk", N_("Irkutsk, UTC+8")),
    ("Asia/Yakutsk", N_("Yakutsk, UTC+9")),
    ("Asia/Vladivostok", N_("Vladivostok, UTC+10")),
    ("Asia/Sakhalin", N_("Sakhalin, UTC+11")),
    ("Asia/Kamchatka", N_("Kamchatka, UTC+12")),
)
MEAL_NAMES: Final[Mapping[str, str]] = {
    "breakfast": N_("Breakfast"),
    "lunch": N_("Lunch"),
    "snack": N_("Snack"),
    BY_SHIFT: N_("Meal of the shift"),
}
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


def _school() -> Iterator[QuestionGroup]:
    yield QuestionGroup(
        N_("School"),
        (
            Question(
                name="school.name",
                kind=AnswerKind.TEXT,
                label=N_("Name of the school"),
                hint=N_("As it stands on reports."),
                high=80,
            ),
            Question(
                name="school.region",
                kind=AnswerKind.NUMBER,
                label=N_("Number of the region"),
                hint=N_("As on number plates: 34 is Volgograd region."),
                low=1,
                high=999,
            ),
            Question(
                name="school.zone",
                kind=AnswerKind.CHOICE,
                label=N_("Time"),
                default="Europe/Moscow",
                choices=tuple(AnswerChoice(value, label) for value, label in ZONES),
            ),
        ),
    )
    yield QuestionGroup(
        N_("Terminal"),
        (
            Question(
                name="terminal.number",
                kind=AnswerKind.NUMBER,
                label=N_("Number of the terminal"),
                hint=N_("The first till of the school is 1. It cannot be changed later."),
                default="1",
                low=1,
                high=LARGEST_TERMINAL,
            ),
            Question(
                name="terminal.reader",
                kind=AnswerKind.TEXT,
                label=N_("Card reader"),
                hint=N_("pcsc takes the reader that is connected."),
                default="pcsc",
                high=400,
            ),
        ),
    )


def _keys() -> Iterator[QuestionGroup]:
    yield QuestionGroup(
        N_("Cards"),
        (
            Question(
                name="keys.whose",
                kind=AnswerKind.CHOICE,
                label=N_("Who issues the cards"),
                default=OWN,
                choices=(
                    AnswerChoice(OWN, N_("The school itself: it gets keys of its own")),
                    AnswerChoice(REGIONS, N_("The region: it has sent a key file")),
                ),
            ),
            Question(
                name="keys.file",
                kind=AnswerKind.FILE,
                label=N_("Key file of the region"),
                hint=N_("Choose the file NUMBER.keys that was made for this terminal."),
                high=64 << 10,
                only_if=f"keys.whose={REGIONS}",
            ),
        ),
    )


def _meals() -> Iterator[QuestionGroup]:
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
                    hint=N_("The beginning of the first break."),
                    default=begins,
                    only_if=switch,
                ),
                Question(
                    name=f"meals.{kind}.until",
                    kind=AnswerKind.CLOCK,
                    label=N_("Ends at"),
                    hint=N_("The end of the last break."),
                    default=ends,
                    only_if=switch,
                ),
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


def _categories() -> Iterator[QuestionGroup]:
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


def _calendar() -> Iterator[QuestionGroup]:
    yield QuestionGroup(
        N_("School year"),
        (
            Question(name="calendar.first", kind=AnswerKind.DAY, label=N_("First day")),
            Question(name="calendar.last", kind=AnswerKind.DAY, label=N_("Last day")),
            Question(
                name="calendar.week",
                kind=AnswerKind.CHOICE,
                label=N_("School days a week"),
                default="5",
                choices=(
                    AnswerChoice("5", N_("five, Monday to Friday")),
                    AnswerChoice("6", N_("six, Monday to Saturday")),
                    AnswerChoice("7", N_("seven")),
                ),
            ),
        ),
    )
    yield QuestionGroup(
        N_("Holidays"),
        tuple(q for n in range(1, HOLIDAYS + 1) for q in _span(f"calendar.holiday{n}")),
        explains=N_(
            "No meals on these days. A holiday of one day begins and ends on it. Empty lines do not count."
        ),
        rows=True,
    )
    yield QuestionGroup(
        N_("Breaks in serving"),
        tuple(q for n in range(1, PAUSES + 1) for q in _span(f"calendar.pause{n}")),
        explains=N_("School is open and the canteen is not: a repair, a quarantine."),
        rows=True,
    )


def _span(name: str) -> Iterator[Question]:
    yield Question(name=f"{name}.name", kind=AnswerKind.TEXT, label=N_("Name"), high=60, needed=False)
    for end, label in (("first", N_("First day")), ("last", N_("Last day"))):
        yield Question(name=f"{name}.{end}", kind=AnswerKind.DAY, label=label, needed=False)


def _rules() -> Iterator[QuestionGroup]:
    yield QuestionGroup(
        N_("Orders of parents"),
        (
            Question(
                name="rules.paid_needs_order",
                kind=AnswerKind.SWITCH,
                label=N_("Paid meals by order only"),
                hint=N_("Without it every pupil with money on the account may eat."),
            ),
            Question(
                name="rules.order_until",
                kind=AnswerKind.CLOCK,
                label=N_("Orders are taken the school day before until"),
                default="18:00",
            ),
        ),
    )
    yield QuestionGroup(
        N_("The cashier is asked"),
        (
            Question(
                name="rules.ask_without_order",
                kind=AnswerKind.SWITCH,
                label=N_("Paid meals without an order"),
                hint=N_("Untick it where parents order nothing, or every pupil who pays is a question."),
                default=YES,
            ),
            Question(
                name="rules.ask_other_entitlement",
                kind=AnswerKind.SWITCH,
                label=N_("Paid meals for pupils who are entitled to another meal today"),
                default=YES,
            ),
            Question(
                name="rules.ask_not_listed",
                kind=AnswerKind.SWITCH,
                label=N_("Meals that a budget pays, for cards that are not in the list"),
                default=YES,
            ),
        ),
        explains=N_(
            "What is ticked the cashier decides for each pupil; the rest is served without a question."
        ),
    )
    yield QuestionGroup(
        N_("Corrections"),
        (
            Question(
                name="rules.absent_until",
                kind=AnswerKind.CLOCK,
                label=N_("Absent pupils are marked until"),
                default="09:00",
            ),
            Question(
                name="rules.annul_min",
                kind=AnswerKind.NUMBER,
                label=N_("A meal may be annulled for, minutes"),
                default="5",
                low=0,
                high=24 * 60,
            ),
        ),
    )
    yield QuestionGroup(
        N_("Debts"),
        (
            Question(
                name="rules.credit",
                kind=AnswerKind.CHOICE,
                label=N_("When the account is empty"),
                default="one_meal",
                choices=(
                    AnswerChoice("none", N_("no meal on credit")),
                    AnswerChoice("one_meal", N_("one more meal on credit")),
                    AnswerChoice("amount", N_("credit up to a sum")),
                ),
            ),
            Question(
                name="rules.credit_sum",
                kind=AnswerKind.MONEY,
                label=N_("Largest debt, roubles"),
                only_if="rules.credit=amount",
            ),
        ),
    )


PAGES: Final = (
    SetupPage(
        "school",
        N_("School and terminal"),
        N_("What this terminal is called in reports and where it stands."),
        tuple(_school()),
    ),
    SetupPage(
        "keys",
        N_("Cards and keys"),
        N_(
            "Keys open pupils' cards. A school that issues its cards itself gets keys that no other school has."
        ),
        tuple(_keys()),
    ),
    SetupPage(
        "meals",
        N_("Meals and hours"),
        N_("What is served when, and what it costs a pupil without any category."),
        tuple(_meals()),
    ),
    SetupPage(
        "categories",
        N_("Categories and who pays"),
        N_(
            "For each category: how much of one portion each budget pays, in roubles. What stands under parents is "
            "taken from the pupil's account. An empty line means that the category does not get that meal."
        ),
        tuple(_categories()),
    ),
    SetupPage(
        "calendar",
        N_("Calendar"),
        N_("On which days meals are served."),
        tuple(_calendar()),
    ),
    SetupPage(
        "rules",
        N_("Rules"),
        N_("Usual values stand here. Change what your school does otherwise."),
        tuple(_rules()),
    ),
)
"""The pages with questions, in order. After them come staff and the last look."""
STAFF_PAGE: Final = "staff"
REVIEW_PAGE: Final = "review"
BY_NAME: Final[Mapping[str, Question]] = {
    question.name: question for page in PAGES for question in page.questions
}

_HOLIDAYS_OF_YEAR: Final = (
    (N_("Autumn holidays"), (0, 10, 26), (0, 11, 3)),
    (N_("Day of National Unity"), (0, 11, 4), (0, 11, 4)),
    (N_("Winter holidays"), (0, 12, 31), (1, 1, 11)),
    (N_("Defender of the Fatherland Day"), (1, 2, 23), (1, 2, 23)),
    (N_("Women's Day"), (1, 3, 8), (1, 3, 8)),
    (N_("Spring holidays"), (1, 3, 27), (1, 4, 4)),
    (N_("May holidays"), (1, 5, 1), (1, 5, 3)),
    (N_("Victory Day"), (1, 5, 9), (1, 5, 9)),
)


def defaults(today: date, word: Callable[[str], str]) -> dict[str, str]:
    """What stands on the pages before anything is typed; `word` translates names into the school's language."""
    first = today.year - (today.month < 6)
    found = {
        name: word(one.default) if one.kind is AnswerKind.TEXT and one.default else one.default
        for name, one in BY_NAME.items()
    }
    found["calendar.first"], found["calendar.last"] = f"{first}-09-01", f"{first + 1}-05-31"
    for number, (name, begins, ends) in enumerate(_HOLIDAYS_OF_YEAR, 1):
        found[f"calendar.holiday{number}.name"] = word(name)
        for end, (years, month, day) in (("first", begins), ("last", ends)):
            found[f"calendar.holiday{number}.{end}"] = date(first + years, month, day).isoformat()
    return found


def matters(question: Question, texts: Texts) -> bool:
    """Whether the question is asked, by what else is answered."""
    name, _, wanted = question.only_if.partition("=")
    return not name or texts.get(name, "") == (wanted or YES)
