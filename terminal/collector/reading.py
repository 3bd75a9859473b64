"""A row as the collector's books take it: what the journal says, as long as its numbers can be meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from terminal.journal.canteen_records import BuffetSale, MealLine, MealServed
from terminal.journal.records import (
    AnyRecord,
    CashSale,
    Committed,
    Intent,
    UnreadableRecord,
    Unwritten,
    parse_record,
)
from terminal.money import DECIMALS

LARGEST_MINOR: Final = 10**12
LARGEST_MS: Final = 1 << 53
LARGEST_NUMBER: Final = 1 << 32


def read_record(body: bytes) -> AnyRecord:
    """The record in a row body. Raises `UnreadableRecord` for what is of newer software, for numbers that no card,
    clock or price has and for currencies that do not exist: an enrolled terminal may be malicious, and such a row must
    not stop the books nor fill them.
    """
    record = parse_record(body)
    sane: Callable[[Any], bool] | None = _SANE.get(type(record))
    if abs(record.at_ms) > LARGEST_MS or (sane is not None and not sane(record)):
        raise UnreadableRecord("a number or currency in it is beyond all measure")
    return record


def _intent(intent: Intent) -> bool:
    return (
        abs(intent.charge_minor) <= LARGEST_MINOR
        and 0 <= intent.prev_terminal < LARGEST_NUMBER
        and 0 <= intent.prev_sequence < LARGEST_NUMBER
        and 0 <= intent.route < LARGEST_NUMBER
        and (intent.meal is None or _meal(intent.meal))
        and _currency(intent.currency)
    )


def _committed(committed: Committed) -> bool:
    return committed.tmc is None or 0 <= committed.tmc < LARGEST_NUMBER


def _unwritten(tap: Unwritten) -> bool:
    return 0 <= tap.prev_terminal < LARGEST_NUMBER and 0 <= tap.prev_sequence < LARGEST_NUMBER


def _cash(sale: CashSale) -> bool:
    return (
        abs(sale.sum_minor) <= LARGEST_MINOR and 0 <= sale.route < LARGEST_NUMBER and _currency(sale.currency)
    )


def _served(served: MealServed) -> bool:
    return _meal(served.meal) and _currency(served.currency)


def _buffet(sale: BuffetSale) -> bool:
    return all(abs(line.sum_minor) <= LARGEST_MINOR for line in sale.lines) and _currency(sale.currency)


def _meal(meal: MealLine) -> bool:
    return all(abs(amount_minor) <= LARGEST_MINOR for amount_minor in meal.sources.values())


def _currency(code: str) -> bool:
    return code in DECIMALS or not code


_SANE: Final[Mapping[type, Callable[[Any], bool]]] = MappingProxyType(
    {
        Intent: _intent,
        Committed: _committed,
        Unwritten: _unwritten,
        CashSale: _cash,
        MealServed: _served,
        BuffetSale: _buffet,
    }
)
"""Of the kinds of rows whose numbers count: whether a card, clock or price can have them."""
