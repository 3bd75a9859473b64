"""What the buffet sells, for how much, and by what a parent may exclude it (M-02)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from terminal.canteen.documents import SCHEMA_VERSION, MenuOfDay, PriceListDocument, PriceListHeader, Product
from terminal.codes import CanteenFault
from terminal.decision.meal import BasketLine
from terminal.errors import CanteenRefused, Mistake
from terminal.policy.base import unique

LASTS: Final = timedelta(days=3650)
"""A list made at the counter, until a newer one replaces it."""
MENU_KEPT: Final = timedelta(days=60)
"""How long a menu of a past day stays in the next list."""


class PriceList(Struct, frozen=True):
    """A checked price list, indexed by product."""

    header: PriceListHeader
    products: Mapping[str, Product]
    menu: Mapping[tuple[date, str], tuple[str, ...]] = MappingProxyType({})
    """By day and kind of meal: the dishes."""

    @classmethod
    def of(cls, document: PriceListDocument) -> PriceList:
        """Index a sound document."""
        products = {product.id: product for product in document.products}
        menu = {(one.day, one.kind): one.dishes for one in document.menu}
        return cls(document.header, MappingProxyType(products), MappingProxyType(menu))

    def dishes(self, day: date, kind: str) -> tuple[str, ...]:
        """What is on the menu of `day` for a meal; empty where the list does not say."""
        return self.menu.get((day, kind), ())

    def basket(self, counts: Mapping[str, int]) -> tuple[BasketLine, ...]:
        """The lines of a sale, by product and how many. Raises `CanteenRefused` for what is not sold."""
        if not counts:
            raise CanteenRefused(
                "nothing is being sold", "Name a product of the price list.", CanteenFault.EMPTY_BASKET
            )
        return tuple(self._line(product, count) for product, count in counts.items())

    def _line(self, product: str, count: int) -> BasketLine:
        sold = self.products.get(product)
        if sold is None:
            known = ", ".join(sorted(self.products))
            raise CanteenRefused(
                f"the price list has no product {product!r}", f"It has: {known}.", CanteenFault.NO_PRODUCT
            )
        if count < 1:
            raise CanteenRefused(f"{count} of {product!r}", "Sell one or more.", CanteenFault.BAD_COUNT)
        return BasketLine(sold.id, count, sold.price_minor, frozenset((sold.id, *sold.foods)))


def next_edition(
    now: PriceList | None,
    school: str,
    region: int,
    moment: datetime,
    *,
    products: Iterable[Product] | None = None,
    menu: Mapping[tuple[date, str], tuple[str, ...]] | None = None,
) -> PriceListDocument:
    """The list in force with other products, or with these dishes added; `moment` is when."""
    listed = {} if now is None else dict(now.products)
    dishes = {**({} if now is None else now.menu), **(menu or {})}
    oldest = moment.date() - MENU_KEPT
    return PriceListDocument(
        header=PriceListHeader(
            kind="price_list",
            schema=SCHEMA_VERSION,
            school=school,
            region=region,
            sequence=1 if now is None else now.header.sequence + 1,
            issued_at=moment,
            valid_from=moment,
            valid_to=moment + LASTS,
        ),
        products=tuple(listed.values() if products is None else products),
        menu=tuple(
            MenuOfDay(day=day, kind=kind, dishes=served)
            for (day, kind), served in sorted(dishes.items())
            if served and day >= oldest
        ),
    )


def price_list_problems(document: PriceListDocument) -> Iterator[Mistake]:
    """Everything in `document` that cannot be meant, in reading order."""
    yield from unique("products", (product.id for product in document.products), key="id")
    yield from unique("menu", ((one.day, one.kind) for one in document.menu))
