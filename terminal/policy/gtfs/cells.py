"""What cells of a feed may hold: each reader turns the text of one kind of cell into a value, or raises
the mistake it is."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from enum import IntEnum
from typing import Final, TypeVar

from terminal.money import DECIMALS
from terminal.policy.gtfs.feed_mistakes import FeedCellMistake
from terminal.policy.gtfs.tables import DAY_S, UNLIMITED

_TIME: Final = re.compile(r"([0-9]{1,2}):([0-5][0-9]):([0-5][0-9])")
_DATE: Final = re.compile(r"[0-9]{8}")
_INTEGER: Final = re.compile(r"-?[0-9]{1,9}")
_Enum = TypeVar("_Enum", bound=IntEnum)


class CellError(ValueError):
    """A cell that cannot be used: which mistake it is, with its values."""

    def __init__(self, code: FeedCellMistake, column: str | None = None, **values: int | str) -> None:
        super().__init__(code.value)
        self.code = code
        self.column = column
        self.values = values


def text(cell: str) -> str:
    """Any text."""
    return cell


def integer(cell: str) -> int:
    """A whole number."""
    if _INTEGER.fullmatch(cell) is None:
        raise CellError(FeedCellMistake.NO_INTEGER, value=cell)
    return int(cell)


def not_negative(cell: str) -> int:
    """A whole number from 0."""
    number = integer(cell)
    if number < 0:
        raise CellError(FeedCellMistake.BELOW_0, value=cell)
    return number


def positive(cell: str) -> int:
    """A whole number from 1."""
    number = integer(cell)
    if number < 1:
        raise CellError(FeedCellMistake.BELOW_1, value=cell)
    return number


def transfer_count(cell: str) -> int:
    """-1 for unlimited, or a number from 1."""
    number = integer(cell)
    if number < 1 and number != UNLIMITED:
        raise CellError(FeedCellMistake.NO_COUNT, value=cell)
    return number


def one_of(kind: type[_Enum], code: FeedCellMistake) -> Callable[[str], _Enum]:
    """A reader of one of the numbers of `kind`; another is the mistake `code`."""
    known = {str(member.value): member for member in kind}

    def read(cell: str) -> _Enum:
        if cell not in known:
            raise CellError(code, value=cell)
        return known[cell]

    return read


def flag(cell: str) -> bool:
    """0 or 1."""
    if cell not in ("0", "1"):
        raise CellError(FeedCellMistake.NO_FLAG, value=cell)
    return cell == "1"


def time_of_day(cell: str) -> int:
    """HH:MM:SS or H:MM:SS up to 24:00:00, in seconds after local midnight."""
    found = _TIME.fullmatch(cell)
    if found is None:
        raise CellError(FeedCellMistake.NO_TIME, value=cell)
    seconds = int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3])
    if seconds > DAY_S:
        raise CellError(FeedCellMistake.NEXT_DAY, value=cell)
    return seconds


def day(cell: str) -> dt.date:
    """YYYYMMDD."""
    if _DATE.fullmatch(cell) is not None:
        try:
            return dt.date(int(cell[:4]), int(cell[4:6]), int(cell[6:]))
        except ValueError:
            pass  # digits, but no day of the calendar: the same message as for anything else
    raise CellError(FeedCellMistake.NO_DAY, value=cell)


def currency(cell: str) -> str:
    """A currency of ISO 4217."""
    if cell not in DECIMALS:
        raise CellError(FeedCellMistake.NO_CURRENCY, value=cell)
    return cell
