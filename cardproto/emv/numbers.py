"""A card's number and dates. A number shows itself masked, whatever form the card gave it in."""

from __future__ import annotations

from calendar import monthrange
from datetime import date
from functools import lru_cache
from typing import Final

from cardproto.errors import FormatError

NUMBER_DIGITS: Final = range(8, 20)
_FIRST, _LAST = 6, 4
_LONG_ENOUGH: Final = 16
"""Shorter numbers show their last digits only: at least six always stay hidden (PCI DSS 3.4.1 allows 6 and 4)."""
_CENTURY_TURNS: Final = 50
_SEPARATOR: Final = "D"


class Pan:
    """A card's number: `str`, `repr` and every format are masked; `in_clear` is for keyed hashes and comparisons.

    It can be compared and hashed, not pickled.
    """

    __slots__ = ("_digits",)

    def __init__(self, digits: str) -> None:
        if not (digits.isascii() and digits.isdigit()) or len(digits) not in NUMBER_DIGITS:
            raise FormatError("card number", f"{len(digits)} characters that are not 8 to 19 digits")
        self._digits = digits

    @property
    def in_clear(self) -> str:
        """The digits. Never to be shown, logged, stored or put into an error."""
        return self._digits

    @property
    def masked(self) -> str:
        """First six and last four digits of a long one, the last four of a short one: `220000******0004`."""
        first = _FIRST if len(self._digits) >= _LONG_ENOUGH else 0
        hidden = len(self._digits) - first - _LAST
        return self._digits[:first] + "*" * hidden + self._digits[-_LAST:]

    def __repr__(self) -> str:
        return f"Pan({self.masked})"

    def __str__(self) -> str:
        return self.masked

    def __format__(self, spec: str) -> str:
        return format(self.masked, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pan) and other._digits == self._digits

    def __hash__(self) -> int:
        return hash(self._digits)

    def __reduce__(self) -> str:
        raise TypeError("a card's number is not written anywhere")


def parse_pan(value: bytes) -> Pan:
    """Tag 5A or the field of a certificate: digits, then F to the end. Raises `FormatError`."""
    return Pan(value.hex().upper().rstrip("F"))


def parse_track_2(value: bytes) -> tuple[Pan, date]:
    """Tag 57: digits, D, expiry YYMM, then what no part of this package reads. Raises `FormatError`."""
    digits, separator, rest = value.hex().upper().partition(_SEPARATOR)
    if not separator:
        raise FormatError("track 2", "has no separator")
    return Pan(digits), month_end(rest[2:4], rest[:2])


def parse_date(value: bytes) -> date:
    """Tag 5F24, 5F25: YYMMDD, 00 to 49 being 20xx. Raises `FormatError`."""
    digits = value.hex()
    if len(value) != 3 or not digits.isdigit():
        raise FormatError("date", "is not six digits")
    try:
        return date(_year(digits[:2]), int(digits[2:4]), int(digits[4:]))
    except ValueError:
        raise FormatError("date", "is no day of the calendar") from None


@lru_cache(256)
def month_end(month: str, year: str) -> date:
    """The last day of a month given as two digits each: what expires in a month holds until then."""
    if not (month.isdigit() and year.isdigit() and len(month) == len(year) == 2 and 1 <= int(month) <= 12):
        raise FormatError("month of expiry", "is no month")
    return date(_year(year), int(month), monthrange(_year(year), int(month))[1])


def _year(digits: str) -> int:
    return int(digits) + (2000 if int(digits) < _CENTURY_TURNS else 1900)
