"""The buffet: what there is, what this pupil may have of it, and what the basket comes to (M-01, M-02).

The page asks the same decision as the sale itself, so that what it says beforehand is what will happen. The basket
lives in the address of the page: a reload loses nothing, and nothing is sold before the button is pressed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Final

from msgspec import Struct

from terminal.canteen.counter import CanteenCounter
from terminal.canteen.documents import Product
from terminal.decision.canteen.buffet import decide_sale
from terminal.decision.tap import Trail
from terminal.screen.console.canteen.counter import why
from terminal.screen.console.canteen.people import Person, person
from terminal.trip.pupil import Pupil

COUNT: Final = "n."
"""Begins the name of a form's field that says how many of a product."""
MOST_OF_ONE: Final = 20
"""So many of one product in one sale are taken for a slip of the finger."""


class Ware(Struct, frozen=True):
    """One product of the shelf. `forbidden`: the parents excluded it, so it cannot be put into the basket."""

    id: str
    name: str
    price_minor: int
    count: int
    forbidden: bool
    fits: bool
    """It is what was searched for."""

    @property
    def sum_minor(self) -> int:
        """What the basket's pieces of it cost."""
        return self.count * self.price_minor


class Till(Struct, frozen=True):
    """The buffet for one pupil, or the shelf alone while no pupil is chosen.

    `refusal` says beforehand why this basket would not be sold. `left_minor` is how much can be spent today:
    account and limits together; None where there is no account.
    """

    person: Person | None
    wares: tuple[Ware, ...]
    sum_minor: int
    balance_minor: int | None
    left_minor: int | None
    limited: bool
    refusal: str | None
    why: str
    without: tuple[str, ...]

    @property
    def basket(self) -> tuple[Ware, ...]:
        """What is in it."""
        return tuple(ware for ware in self.wares if ware.count)


def till(
    counter: CanteenCounter, ref: bytes | None, counts: Mapping[str, int], words: str, now: datetime
) -> Till:
    """The page for the pupil `ref` with this basket; products that are not sold are left out of it."""
    pupil = None if ref is None else counter.pupil(ref, now)
    products = () if counter.price_list is None else tuple(counter.price_list.products.values())
    wares = tuple(_ware(product, counts, pupil, words) for product in products)
    sum_minor = sum(ware.sum_minor for ware in wares)
    left_minor = None if pupil is None else _left_minor(pupil)
    balance = None if pupil is None or pupil.buffet is None else pupil.buffet.balance_minor
    message, reason = _verdict(counter, pupil, wares, now)
    return Till(
        person=None if pupil is None else person(counter, pupil.ref),
        wares=wares,
        sum_minor=sum_minor,
        balance_minor=balance,
        left_minor=left_minor,
        limited=left_minor is not None and balance is not None and left_minor < balance,
        refusal=message,
        why=reason,
        without=() if pupil is None else tuple(sorted(pupil.forbidden)),
    )


def basket_of(field: Callable[[str], str], products: Iterable[str]) -> dict[str, int]:
    """Counts by product from the fields `n.PRODUCT`; what is no number from 1 to 20 is left out or made one."""
    counts = {}
    for product in products:
        said = field(COUNT + product)
        if said.isascii() and said.isdecimal() and (count := min(int(said[:4]), MOST_OF_ONE)):
            counts[product] = count
    return counts


def products_of(counter: CanteenCounter) -> tuple[str, ...]:
    """What the buffet sells; nothing while there is no price list."""
    return () if counter.price_list is None else tuple(counter.price_list.products)


def _ware(product: Product, counts: Mapping[str, int], pupil: Pupil | None, words: str) -> Ware:
    forbidden = pupil is not None and not pupil.forbidden.isdisjoint((product.id, *product.foods))
    wanted = words.casefold().split()
    return Ware(
        id=product.id,
        name=product.name or product.id,
        price_minor=product.price_minor,
        count=0 if forbidden else counts.get(product.id, 0),
        forbidden=forbidden,
        fits=all(word in product.name.casefold() for word in wanted),
    )


def _verdict(
    counter: CanteenCounter, pupil: Pupil | None, wares: tuple[Ware, ...], now: datetime
) -> tuple[str | None, str]:
    counts = {ware.id: ware.count for ware in wares if ware.count}
    if pupil is None or counter.price_list is None or not counts:
        return None, ""
    trail = Trail()
    decision = decide_sale(pupil, counter.price_list.basket(counts), trail, stopped=counter.stopped(now))
    if decision.outcome.accepted:
        return None, ""
    return decision.outcome.message, why(decision.facts)


def _left_minor(pupil: Pupil) -> int | None:
    if pupil.buffet is None:
        return None
    rooms = [pupil.buffet.balance_minor]
    if pupil.limits.buffet_minor is not None:
        rooms.append(pupil.limits.buffet_minor - pupil.spent_buffet_minor)
    if pupil.limits.day_minor is not None:
        rooms.append(pupil.limits.day_minor - pupil.spent_minor)
    return max(min(rooms), 0)
