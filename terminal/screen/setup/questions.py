"""Everything a first run asks of a school, page by page: one table for pages, checks and answers files.

What is not answered has the question's default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Final

from cardproto.resident.limits import LARGEST_MINOR, LARGEST_TERMINAL
from terminal.screen.setup.asked import YES, AnswerChoice, AnswerKind, Question, QuestionGroup, SetupPage
from terminal.screen.setup.meal_questions import category_groups, meal_groups
from terminal.texts import N_

HOLIDAYS: Final = 10
PAUSES: Final = 3
PRODUCTS: Final = 20
LONGEST_PRODUCT: Final = 60
TILLS: Final = 3
"""Other tills of the school that may be named."""
LINK_PORT: Final = 8482
MOST_MONEY: Final = LARGEST_MINOR
ROUBLES: Final = "RUB"
TILLS_PAGE: Final = "tills"
STAFF_PAGE: Final = "staff"
REVIEW_PAGE: Final = "review"
OWN, REGIONS = "own", "region"
"""Whose keys open the cards: the school's own, or the region's."""
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
        columns=3,
    )
    yield QuestionGroup(
        N_("Breaks in serving"),
        tuple(q for n in range(1, PAUSES + 1) for q in _span(f"calendar.pause{n}")),
        explains=N_("School is open and the canteen is not: a repair, a quarantine."),
        columns=3,
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


def _buffet() -> Iterator[QuestionGroup]:
    yield QuestionGroup(
        N_("Price list"),
        tuple(question for number in range(1, PRODUCTS + 1) for question in _product(number)),
        explains=N_("Empty lines do not count. It can be changed later on the page of prices."),
        columns=2,
    )


def _product(number: int) -> Iterator[Question]:
    name = f"buffet.product{number}"
    yield Question(
        name=f"{name}.name", kind=AnswerKind.TEXT, label=N_("Product"), high=LONGEST_PRODUCT, needed=False
    )
    yield Question(name=f"{name}.price", kind=AnswerKind.MONEY, label=N_("Price, roubles"), needed=False)


def _tills() -> Iterator[QuestionGroup]:
    yield QuestionGroup(
        N_("This till"),
        (
            Question(
                name="link.listen",
                kind=AnswerKind.TEXT,
                label=N_("Address of this till in the school's network"),
                hint=N_(
                    "As the network's administrator gave it: 192.168.1.11. Empty: there is one till only."
                ),
                high=100,
                needed=False,
            ),
        ),
    )
    for number in range(1, TILLS + 1):
        yield QuestionGroup(
            N_("Another till"),
            (
                Question(
                    name=f"link.till{number}.number",
                    kind=AnswerKind.NUMBER,
                    label=N_("Number of that terminal"),
                    low=1,
                    high=LARGEST_TERMINAL,
                    needed=False,
                ),
                Question(
                    name=f"link.till{number}.address",
                    kind=AnswerKind.TEXT,
                    label=N_("Address of that till"),
                    high=100,
                    needed=False,
                ),
                Question(
                    name=f"link.till{number}.key",
                    kind=AnswerKind.FILE,
                    label=N_("Public key of that till"),
                    hint=N_("Its page of tills shows it; on a terminal at work it is the file terminal.pub."),
                    high=4096,
                    needed=False,
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
        tuple(meal_groups()),
    ),
    SetupPage(
        "categories",
        N_("Categories and who pays"),
        N_(
            "For each category: how much of one portion each budget pays, in roubles. What stands under parents is "
            "taken from the pupil's account. An empty line means that the category does not get that meal."
        ),
        tuple(category_groups()),
    ),
    SetupPage(
        "buffet",
        N_("Buffet"),
        N_("What the buffet sells and for how much. A canteen without a buffet leaves it empty."),
        tuple(_buffet()),
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
    SetupPage(
        TILLS_PAGE,
        N_("Tills of the school"),
        N_("Several tills tell each other what they handed out, so that no portion is given twice."),
        tuple(_tills()),
    ),
)
"""The pages with questions, in order. After them come staff and the last look."""
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
