"""What cells of a feed may hold: each reader turns the text of one kind of cell into a value, or says what to write."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from enum import IntEnum
from typing import Final, TypeVar

from terminal.money import DECIMALS
from terminal.policy.gtfs.tables import DAY_S, UNLIMITED

_TIME: Final = re.compile(r"([0-9]{1,2}):([0-5][0-9]):([0-5][0-9])")
_DATE: Final = re.compile(r"[0-9]{8}")
_INTEGER: Final = re.compile(r"-?[0-9]{1,9}")
_Enum = TypeVar("_Enum", bound=IntEnum)


class CellError(ValueError):
    """A cell that cannot be used: `what` is wrong, `advice` says what to write."""

    def __init__(self, what: str, advice: str, column: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.advice = advice
        self.column = column


def text(cell: str) -> str:
    """Any text."""
    return cell


def integer(cell: str) -> int:
    """A whole number."""
    if _INTEGER.fullmatch(cell) is None:
        raise CellError(f"{cell!r} is not a whole number", "Write digits only.")
    return int(cell)


def not_negative(cell: str) -> int:
    """A whole number from 0."""
    number = integer(cell)
    if number < 0:
        raise CellError(f"{cell} is below 0", "Write 0 or more.")
    return number


def positive(cell: str) -> int:
    """A whole number from 1."""
    number = integer(cell)
    if number < 1:
        raise CellError(f"{cell} is below 1", "Write 1 or more, or leave it blank for no limit.")
    return number


def transfer_count(cell: str) -> int:
    """-1 for unlimited, or a number from 1."""
    number = integer(cell)
    if number < 1 and number != UNLIMITED:
        raise CellError(f"{cell} is no number of transfers", "Write 1 or more, or -1 for no limit.")
    return number


def one_of(kind: type[_Enum]) -> Callable[[str], _Enum]:
    """A reader of one of the numbers of `kind`."""
    known = {str(member.value): member for member in kind}
    names = ", ".join(f"{member.value} ({member.name.lower().replace('_', ' ')})" for member in kind)

    def read(cell: str) -> _Enum:
        if cell not in known:
            raise CellError(f"{cell!r} is not defined", f"Write one of {names}.")
        return known[cell]

    return read


def flag(cell: str) -> bool:
    """0 or 1."""
    if cell not in ("0", "1"):
        raise CellError(f"{cell!r} is neither 0 nor 1", "Write 0 or 1.")
    return cell == "1"


def time_of_day(cell: str) -> int:
    """HH:MM:SS or H:MM:SS up to 24:00:00, in seconds after local midnight."""
    found = _TIME.fullmatch(cell)
    if found is None:
        raise CellError(f"{cell!r} is not a time of day", "Write it as 07:30:00.")
    seconds = int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3])
    if seconds > DAY_S:
        raise CellError(
            f"{cell} is after 24:00:00", "A timeframe lies within one calendar day: split it at midnight."
        )
    return seconds


def day(cell: str) -> dt.date:
    """YYYYMMDD."""
    if _DATE.fullmatch(cell) is not None:
        try:
            return dt.date(int(cell[:4]), int(cell[4:6]), int(cell[6:]))
        except ValueError:
            pass  # digits, but no day of the calendar: the same message as for anything else
    raise CellError(f"{cell!r} is not a day", "Write it as 20260630.")


def currency(cell: str) -> str:
    """A currency of ISO 4217."""
    if cell not in DECIMALS:
        raise CellError(f"unknown currency {cell!r}", "Write a code of ISO 4217 such as RUB.")
    return cell
