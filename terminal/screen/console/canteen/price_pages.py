"""The page «Prices and menu»: what the buffet sells, and what is on the menu of a day. For the meal officer.

What is saved is a new edition of the price list, in force from the next sale on; one that was loaded as a file or came
signed is edited like one that was typed here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from functools import partial
from typing import Final

import msgspec
from msgspec import Struct

from cardproto.resident.limits import LARGEST_MINOR
from terminal.canteen.counter import CanteenCounter
from terminal.canteen.documents import ListFile, PriceListDocument, Product
from terminal.canteen.price_list import next_edition
from terminal.canteen.store import CanteenLists
from terminal.codes import SetKind
from terminal.errors import RosterError
from terminal.money import AmountRefused, amount_text, parse_amount
from terminal.screen.console.actions import Written
from terminal.screen.console.canteen.actions import counter_of
from terminal.screen.console.canteen.look import AT, Look, looking
from terminal.screen.console.canteen.words import FOODS
from terminal.screen.console.console import ActionRefused
from terminal.screen.console.roles import Role
from terminal.screen.console.visit import Action, ConsoleArea, FormFields, Page, View, Visit
from terminal.texts import N_

PRICES: Final = frozenset({Role.MEAL_OFFICER})
EMPTY_LINES: Final = 5
MOST_PRODUCTS: Final = 300
MOST_DISHES: Final = 12
LONGEST: Final = 80
MENU_AHEAD: Final = timedelta(days=60)
BAD_PRICE: Final = N_("Line {line}: write roubles and kopecks: 78,02.")
HALF: Final = N_("Line {line}: name or price is missing.")
TWICE: Final = N_("Line {line}: this product stands above already.")
BAD_MENU: Final = N_("A meal has at most {most} dishes of {long} characters.")
NO_DAY: Final = N_("Choose a day from today on.")
NO_SCHOOL: Final = N_("Load the list of pupils first: it says which school this is.")
NOT_TAKEN: Final = N_("The list is not taken: {what}. {advice}")


class PriceLine(Struct, frozen=True):
    """One line of the form: a product, or room for one. `price` is as people write it."""

    id: str = ""
    name: str = ""
    price: str = ""
    foods: tuple[str, ...] = ()


def prices_area() -> ConsoleArea:
    """For `console_app`."""
    return ConsoleArea(
        "canteen",
        pages=(Page(f"{AT}/prices", PRICES, looking(_prices), N_("Prices and menu")),),
        actions=(
            Action(f"{AT}/prices-save", PRICES, _save_prices, partial(_back, "prices"), again=_prices_again),
            Action(f"{AT}/menu-save", PRICES, _save_menu, partial(_back, "menu")),
        ),
    )


def _prices(look: Look) -> View:
    listed = () if look.counter.price_list is None else look.counter.price_list.products.values()
    currency = look.counter.policy.currency
    lines = [
        PriceLine(one.id, one.name, amount_text(one.price_minor, currency).replace(".", ","), one.foods)
        for one in listed
    ]
    return _shown(look, lines)


def _prices_again(visit: Visit, form: FormFields) -> View:
    """With what was typed, and what stands against it."""
    return looking(lambda look: _shown(look, list(_typed(form))))(visit)


def _shown(look: Look, lines: list[PriceLine]) -> View:
    today = look.counter.day_of(look.now)
    day = _day(look.visit.query.text("day")) or today
    prices = look.counter.price_list
    return look.view(
        "prices.html",
        lines=[*lines, *[PriceLine()] * EMPTY_LINES],
        foods=tuple(FOODS),
        day=day.isoformat(),
        first=today.isoformat(),
        dishes={
            kind: () if prices is None else prices.dishes(day, kind)
            for kind in look.counter.policy.meals.kinds
        },
        done=look.visit.query.text("done"),
    )


def _typed(form: FormFields) -> Iterator[PriceLine]:
    """The lines of the form, as many as it has."""
    for number in range(MOST_PRODUCTS):
        if not form.has(f"name.{number}"):
            return
        foods = tuple(food for food in form.all(f"foods.{number}") if food)
        name, price = form.text(f"name.{number}"), form.text(f"price.{number}")
        if name or price:
            yield PriceLine(form.text(f"id.{number}"), name, price, foods)


def _save_prices(visit: Visit, form: FormFields, _written: Written) -> None:
    counter = counter_of(visit)
    _put(visit, products=tuple(_products(counter, list(_typed(form)))))


def _products(counter: CanteenCounter, lines: list[PriceLine]) -> Iterator[Product]:
    """What the lines say. Raises `ActionRefused` for the first that cannot be meant."""
    known = {} if counter.price_list is None else dict(counter.price_list.products)
    names, numbers = set[str](), iter(range(1, 2 * MOST_PRODUCTS + len(known)))
    for number, line in enumerate(lines, 1):
        if not line.name or not line.price:
            raise ActionRefused(HALF, {"line": number})
        if line.name.casefold() in names:
            raise ActionRefused(TWICE, {"line": number})
        names.add(line.name.casefold())
        minor = _minor(line.price, counter.policy.currency)
        if minor is None:
            raise ActionRefused(BAD_PRICE, {"line": number})
        own = line.id if line.id in known else next(_new_names(known, numbers))
        yield Product(id=own, name=line.name[:LONGEST], price_minor=minor, foods=line.foods)


def _new_names(known: Mapping[str, Product], numbers: Iterator[int]) -> Iterator[str]:
    return (name for name in (f"product_{number}" for number in numbers) if name not in known)


def _minor(text: str, currency: str) -> int | None:
    whole, _, part = text.replace("₽", "").replace(" ", "").replace(",", ".").partition(".")
    try:
        minor = parse_amount(f"{whole}.{part or '00'}", currency)
    except AmountRefused:
        return None
    return minor if 0 < minor <= LARGEST_MINOR else None


def _save_menu(visit: Visit, form: FormFields, _written: Written) -> None:
    counter, day = counter_of(visit), _day(form.text("day"))
    today = counter.day_of(visit.console.clock.now())
    if day is None or not today <= day <= today + MENU_AHEAD:
        raise ActionRefused(NO_DAY)
    menu = {(day, kind): _dishes(form.text(f"menu.{kind}")) for kind in counter.policy.meals.kinds}
    _put(visit, menu=menu)


def _dishes(text: str) -> tuple[str, ...]:
    dishes = tuple(line.strip() for line in text.splitlines() if line.strip())
    if len(dishes) > MOST_DISHES or any(len(dish) > LONGEST for dish in dishes):
        raise ActionRefused(BAD_MENU, {"most": MOST_DISHES, "long": LONGEST})
    return dishes


def _put(
    visit: Visit,
    *,
    products: tuple[Product, ...] | None = None,
    menu: Mapping[tuple[date, str], tuple[str, ...]] | None = None,
) -> None:
    """Put the next edition in force: until all of it is on disk the present one counts."""
    counter, active = counter_of(visit), visit.console.terminal.active
    assert active is not None, "a terminal in service has an active set"
    school, now = _school(counter), visit.console.clock.now()
    region = counter.policy.document.header.region
    document = next_edition(counter.price_list, school, region, now, products=products, menu=menu)
    lists = CanteenLists(active)
    try:
        lists.put(SetKind.PRICES, _file(document), now, counter.journal)
    except RosterError as error:
        raise ActionRefused(NOT_TAKEN, {"what": error.what, "advice": error.advice}) from error
    counter.price_list = lists.price_list()


def _school(counter: CanteenCounter) -> str:
    """Which school's list it is: that of the list in force, of the pupils, or the only one of the document."""
    if counter.price_list is not None:
        return counter.price_list.header.school
    schools = tuple(counter.policy.meals.schools)
    if counter.school or len(schools) == 1:
        return counter.school or schools[0]
    raise ActionRefused(NO_SCHOOL)


def _file(document: PriceListDocument) -> ListFile:
    return ListFile("prices.json", msgspec.json.encode(document))


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _back(done: str, _visit: Visit, form: FormFields, _written: Written) -> str:
    day = _day(form.text("day"))
    return f"{AT}/prices?done={done}{'' if day is None else f'&day={day}'}"
