"""A row as the collector's books take it: what the journal says, as long as its numbers can be meant."""

from __future__ import annotations

from typing import Final

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
    sane = abs(record.at_ms) <= LARGEST_MS
    match record:
        case Intent():
            sane &= abs(record.charge_minor) <= LARGEST_MINOR
            sane &= _numbers(record.prev_terminal, record.prev_sequence) and _number(record.route)
            sane &= record.meal is None or _meal(record.meal)
        case Committed():
            sane &= record.tmc is None or _number(record.tmc)
        case Unwritten():
            sane &= _numbers(record.prev_terminal, record.prev_sequence)
        case CashSale():
            sane &= abs(record.sum_minor) <= LARGEST_MINOR and _number(record.route)
        case MealServed():
            sane &= _meal(record.meal)
        case BuffetSale():
            sane &= all(abs(line.sum_minor) <= LARGEST_MINOR for line in record.lines)
        case _:
            pass
    if isinstance(record, Intent | CashSale | MealServed | BuffetSale):
        sane &= record.currency in DECIMALS or not record.currency
    if not sane:
        raise UnreadableRecord("a number or currency in it is beyond all measure")
    return record


def _number(value: int) -> bool:
    return 0 <= value < LARGEST_NUMBER


def _numbers(first: int, second: int) -> bool:
    return 0 <= first < LARGEST_NUMBER and 0 <= second < LARGEST_NUMBER


def _meal(meal: MealLine) -> bool:
    return all(abs(amount_minor) <= LARGEST_MINOR for amount_minor in meal.sources.values())
