"""A made-up school: 600 pupils in 24 classes, what its buffet sells, and cards for some of them.

`terminal setup` makes it at one press, under the public laboratory keys; pictures and browser tests show it.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from sim.card.virtual import VirtualCard
from sim.image_file import save_card
from sim.issuing import issue
from sim.lab_keys import load_lab_keys
from sim.profile import LAB_KEYS, load_profile
from terminal.canteen.documents import (
    MealOrder,
    PriceListDocument,
    PriceListHeader,
    Product,
    RosterDocument,
    RosterGrant,
    RosterHeader,
    RosterPupil,
)
from terminal.files import replace_file
from terminal.keys.file import load_file_keys
from terminal.keys.limits import UNLIMITED
from terminal.keys.provider import person_token
from terminal.lab.world import pseudonym_on

GIRLS: Final = (
    *("Анна", "Вера", "Дарья", "Ева", "Злата", "Ирина", "Кира", "Лада", "Майя", "Нина", "Ольга", "Яна"),
)
BOYS: Final = (
    *("Артём", "Борис", "Глеб", "Денис", "Егор", "Илья", "Лев", "Марк", "Олег", "Пётр", "Роман", "Тимур"),
)
SURNAMES: Final = (
    *("Абрамов", "Белов", "Власов", "Громов", "Дёмин", "Егоров", "Жуков", "Зимин", "Ильин", "Карпов"),
    *("Лаптев", "Миронов", "Носов", "Орлов", "Панов", "Рябов", "Савин", "Титов", "Уваров", "Фомин"),
    *("Цветков", "Чернов", "Шилов", "Яшин", "Баранов"),
)
PRODUCTS: Final = (
    Product(id="bun", name="Булочка с маком", price_minor=3500, foods=("gluten",)),
    Product(id="pie_cabbage", name="Пирожок с капустой", price_minor=4500, foods=("gluten",)),
    Product(id="cheesecake", name="Ватрушка с творогом", price_minor=5500, foods=("gluten", "milk")),
    Product(id="nut_bar", name="Батончик ореховый", price_minor=6000, foods=("nuts", "sugar")),
    Product(id="apple", name="Яблоко", price_minor=2500),
    Product(id="banana", name="Банан", price_minor=4000),
    Product(id="juice", name="Сок яблочный, 0,2 л", price_minor=4500),
    Product(id="water", name="Вода, 0,5 л", price_minor=3000),
    Product(id="tea", name="Чай с лимоном", price_minor=2000, foods=("citrus",)),
    Product(id="cocoa", name="Какао", price_minor=3500, foods=("milk",)),
    Product(id="yoghurt", name="Йогурт питьевой", price_minor=5800, foods=("milk",)),
    Product(id="salad", name="Салат овощной", price_minor=6500),
)
SCHOOL: Final = "school"
REGION: Final = 34
LETTERS: Final = {1: "абв", 2: "абв", **dict.fromkeys(range(3, 12), "аб")}
"""Classes of each grade: 24 in all."""
PUPILS_OF_CLASS: Final = 25
CARDS: Final = (
    *(("pupil_grade3", "3а", 3, place) for place in range(8)),
    *(("pupil_large_family", "7б", 7, place) for place in range(4)),
    *(("pupil_two_meals", "2а", 2, place) for place in range(4)),
)
"""Profile, class, grade and place in the list of those who have a card that taps by itself."""
MEAL_OFFICER, CASHIER, TEACHER = ("1001", "meal_officer"), ("1002", "cashier"), ("1003", "teacher")
ANSWERS: Final[Mapping[str, str]] = {
    "school.name": "Показательная школа",
    "school.region": str(REGION),
    "school.zone": "Europe/Volgograd",
    "meals.breakfast.served": "yes",
    "meals.breakfast.from": "00:00",
    "meals.breakfast.until": "12:00",
    "meals.breakfast.price": "78,02",
    "meals.lunch.served": "yes",
    "meals.lunch.from": "12:00",
    "meals.lunch.until": "23:59",
    "meals.lunch.price": "90,02",
    "meals.snack.served": "",
    "meals.shift1": "breakfast",
    "meals.shift2": "lunch",
    "categories.primary.given": "yes",
    "categories.primary.by_shift.federal": "42,65",
    "categories.primary.by_shift.regional": "21,34",
    "categories.primary.by_shift.municipal": "7,10",
    "categories.special.given": "yes",
    "categories.special.breakfast.regional": "71,09",
    "categories.special.lunch.regional": "79,73",
    "categories.large.given": "yes",
    "categories.large.by_shift.regional": "78,02",
    "rules.ask_without_order": "",
    "rules.ask_other_entitlement": "",
    "calendar.week": "7",
    **{f"calendar.holiday{number}.{end}": "" for number in range(1, 11) for end in ("first", "last")},
}
"""What its pages would say: meals at any hour and every day, so that it can be shown at any. What taps
by itself waits for no cashier: only cards that are not in the list are a question."""


def demonstration_school(
    folder: Path, now: datetime
) -> tuple[Mapping[str, str], str, Sequence[tuple[str, str, str]]]:
    """Make lists and cards in `folder`; its answers, its cards' files as a reader takes them, and its staff."""
    (folder / "lists").mkdir(parents=True)
    (folder / "cards").mkdir()
    cards = _make_cards(folder / "cards", now.date())
    roster = RosterDocument(
        header=RosterHeader(kind="roster", grades_on=date(now.year, now.month, 1), **_header(now)),
        pupils=tuple(_all_pupils(now.date(), cards)),
    )
    prices = PriceListDocument(header=PriceListHeader(kind="price_list", **_header(now)), products=PRODUCTS)
    replace_file(folder / "lists" / "roster.json", msgspec.json.encode(roster))
    replace_file(folder / "lists" / "prices.json", msgspec.json.encode(prices))
    staff = tuple((ref, role, _pin()) for ref, role in (CASHIER, MEAL_OFFICER, TEACHER))
    return ANSWERS, ",".join(f"{number}.json" for number in range(1, len(CARDS) + 1)), staff


def pupil_name(rng: random.Random, place: int) -> str:
    """Surname and first name of the pupil at that place of a class."""
    surname = SURNAMES[place]
    if rng.random() < 0.5:
        return f"{surname} {rng.choice(BOYS)}"
    return f"{surname}а {rng.choice(GIRLS)}"


def _header(now: datetime) -> dict[str, Any]:
    return {
        "schema": 1,
        "school": SCHOOL,
        "region": REGION,
        "sequence": 1,
        "issued_at": now,
        "valid_from": now - timedelta(days=1),
        "valid_to": now + timedelta(days=300),
    }


def _make_cards(folder: Path, today: date) -> dict[tuple[str, int], bytes]:
    """Software cards as image files; the references of their pupils by class and place."""
    masters, keys = load_lab_keys(LAB_KEYS), load_file_keys(LAB_KEYS, UNLIMITED)
    found = {}
    for number, (profile, class_id, _grade, place) in enumerate(CARDS, 1):
        card = issue(load_profile(profile), masters, REGION, today, secrets.token_bytes)
        assert isinstance(card, VirtualCard), "pupils hold resident cards"
        save_card(card, folder / f"{number}.json")
        pseudonym = pseudonym_on(card)
        assert pseudonym is not None, "an issued card has rights"
        found[class_id, place] = person_token(keys, "school", pseudonym)
    return found


def _all_pupils(day: date, cards: Mapping[tuple[str, int], bytes]) -> list[RosterPupil]:
    rng = random.Random(600)  # noqa: S311 the same school each time
    return [
        _pupil(rng, day, f"{grade}{letter}", grade, place, cards)
        for grade, letters in LETTERS.items()
        for letter in letters
        for place in range(PUPILS_OF_CLASS)
    ]


def _pupil(
    rng: random.Random,
    day: date,
    class_id: str,
    grade: int,
    place: int,
    cards: Mapping[tuple[str, int], bytes],
) -> RosterPupil:
    ref = rng.randbytes(8)
    eve = datetime.combine(day - timedelta(days=1), datetime.min.time()).replace(hour=17)
    ordered = grade > 4 and rng.random() < 0.6
    return RosterPupil(
        ref=cards.get((class_id, place), ref).hex(),
        name=pupil_name(rng, place),
        class_id=class_id,
        grade=grade,
        shift=1,
        born=date(day.year - grade - 7, 1 + place % 12, 1 + place),
        grants=_grants(rng, grade, day),
        hot_minor=rng.randrange(0, 90_000, 50),
        buffet_minor=rng.randrange(5_000, 60_000, 100),
        orders=(MealOrder(day=day, kind="breakfast", placed_at=eve),) if ordered else (),
    )


def _grants(rng: random.Random, grade: int, day: date) -> tuple[RosterGrant, ...]:
    codes = [10] if grade <= 4 else []
    chance = rng.random()
    codes += [11] if chance < 0.12 else [12] if chance < 0.3 else []
    first, last = day - timedelta(days=90), day + timedelta(days=270)
    return tuple(RosterGrant(code=code, valid_from=first, valid_to=last, issued_on=first) for code in codes)


def _pin() -> str:
    """Four digits that no rule refuses: the first is neither repeated nor followed up or down."""
    digits = [secrets.randbelow(10) for _ in range(3)]
    return "".join(map(str, (*digits, (digits[-1] + 5) % 10)))
