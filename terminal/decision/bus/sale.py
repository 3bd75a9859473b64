"""Whether a product may be sold today, for which month, at what price (T-16); for reload points and the driver."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta

from msgspec import Struct

from terminal.decision.bus.effects import FareEffect
from terminal.policy.document.rights import Product, SaleWindow
from terminal.policy.policy import Policy
from terminal.trail import Reason


class Sale(Struct, frozen=True):
    """`first` and `last` are the days the product would be sold for; `price_minor` None: not in this document."""

    allowed: bool
    first: date
    last: date
    price_minor: int | None
    facts: tuple[Reason, ...]


def may_sell(policy: Policy, product_id: int, month: date, today: date) -> Sale:
    """Whether a product for the month of `month` is sold on the service day `today`.

    Raises `KeyError` for a product the document does not have.
    """
    product = _product(policy, product_id)
    first = month.replace(day=1)
    last = first.replace(day=monthrange(first.year, first.month)[1])
    opens, closes = _window(product.sold, first, last)
    allowed = opens <= today <= closes
    reason = Reason(
        FareEffect.SOLD_TODAY if allowed else FareEffect.NOT_SOLD_TODAY,
        {"product": product_id, "opens": opens.isoformat(), "closes": closes.isoformat()},
    )
    return Sale(allowed, first, last, product.price_minor, (reason,))


def _product(policy: Policy, product_id: int) -> Product:
    for product in policy.document.products:
        if product.id == product_id:
            return product
    raise KeyError(product_id)


def _window(sold: SaleWindow | None, first: date, last: date) -> tuple[date, date]:
    """The days of sale of a month; a day the month does not have is its last one."""
    if sold is None:
        return first, last
    opens = _day(first - timedelta(days=1) if sold.month_before else first, sold.opens_day)
    return opens, _day(first, sold.closes_day)


def _day(month: date, number: int) -> date:
    return month.replace(day=min(number, monthrange(month.year, month.month)[1]))
