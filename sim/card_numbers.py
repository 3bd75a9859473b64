"""Where a bank card's number stands in bytes, whatever its tag: for masking, so rather too much than too little.

A number begins as those of a payment scheme do, is as long as theirs (13 to 19 digits), and ends in Luhn's check digit.
It may be packed two digits a byte, begin in the middle of one, or be written as text. A chance hit hides harmless
bytes; that is accepted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

SHORTEST: Final = 13
LONGEST: Final = 19
LONGEST_RUN: Final = 256
"""Digits in a row that are looked at one by one; of more all are taken for a number, which keeps the search short."""
SCHEMES: Final = (
    ("2200", "2204", range(16, 20)),  # Mir
    ("2221", "2720", range(16, 17)),  # Mastercard
    ("300", "305", range(14, 20)),  # Diners
    ("34", "34", range(15, 16)),  # American Express
    ("37", "37", range(15, 16)),
    ("3528", "3589", range(16, 20)),  # JCB
    ("36", "36", range(14, 20)),  # Diners
    ("38", "39", range(14, 20)),
    ("4", "4", range(13, 20, 3)),  # Visa
    ("50", "50", range(13, 20)),  # Maestro
    ("51", "55", range(16, 17)),  # Mastercard
    ("56", "58", range(13, 20)),  # Maestro
    ("60", "60", range(13, 20)),  # Discover, RuPay
    ("62", "65", range(13, 20)),  # UnionPay, Maestro, Discover
    ("67", "67", range(13, 20)),
    ("69", "69", range(13, 20)),
    ("81", "81", range(16, 20)),  # UnionPay
    ("9792", "9792", range(16, 17)),  # Troy
)
"""First and last beginning of a payment scheme's numbers, and their lengths, as schemes have published them."""
_DIGITS: Final = re.compile(r"[0-9]{13,}")
_TEXT: Final = re.compile(rb"[0-9]{13,}")
_LEADING: Final = re.compile(r"[0-9]{0,19}")
_TRAILING: Final = re.compile(r"[0-9]{0,18}$")


def numbers_in(raw: bytes) -> set[int]:
    """Offsets of all bytes that may belong to a card's number."""
    found: set[int] = set()
    for run in _DIGITS.finditer(raw.hex()):
        for first, last in _windows(run[0]):
            found |= set(range((run.start() + first) // 2, (run.start() + last - 1) // 2 + 1))
    for text in _TEXT.finditer(raw):
        for first, last in _windows(text[0].decode()):
            found |= set(range(text.start() + first, text.start() + last))
    return found


def occurrences_of(number: str, raw: bytes) -> set[int]:
    """Offsets of all bytes in which this number stands, packed or as text."""
    found: set[int] = set()
    text = raw.hex()
    at = text.find(number)
    while at >= 0:
        found |= set(range(at // 2, (at + len(number) - 1) // 2 + 1))
        at = text.find(number, at + 1)
    at = raw.find(number.encode())
    while at >= 0:
        found |= set(range(at, at + len(number)))
        at = raw.find(number.encode(), at + 1)
    return found


def packed_number(value: bytes) -> str:
    """The number a data object holds and nothing else: digits, at most one F after them; empty for other content."""
    text = value.hex()
    digits = text.removesuffix("f")
    return digits if SHORTEST <= len(digits) <= LONGEST and digits.isdecimal() else ""


def track_number(value: bytes) -> str:
    """The number before a track's separator (D packed, ^ or = as text); empty where there is none."""
    packed = value.hex().partition("d")[0]
    text = re.match(rb"B?([0-9]{13,19})[\^=]", value)
    if text is not None:
        return text[1].decode()
    return packed if SHORTEST <= len(packed) <= LONGEST and packed.isdecimal() else ""


def cut_at_end(raw: bytes) -> set[int]:
    """Offsets of the digits a piece of an answer ends with: a number may go on in the next one."""
    run = _TRAILING.search(raw.hex())
    length = 0 if run is None else len(run[0])
    return set(range(len(raw) - (length + 1) // 2, len(raw)))


def cut_at_start(raw: bytes) -> set[int]:
    """Offsets of the digits a piece of an answer begins with."""
    run = _LEADING.match(raw.hex())
    return set(range(0 if run is None else (len(run[0]) + 1) // 2))


def _windows(digits: str) -> Iterator[tuple[int, int]]:
    """(first, past the last) of every part that could be a number."""
    if len(digits) > LONGEST_RUN:
        yield 0, len(digits)
        return
    for first in range(len(digits) - SHORTEST + 1):
        for length in _lengths(digits[first : first + 4]):
            last = first + length
            if last <= len(digits) and _passes(digits[first:last]):
                yield first, last


@cache
def _lengths(beginning: str) -> frozenset[int]:
    """How long a number may be that begins with these four digits."""
    fitting = (lengths for low, high, lengths in SCHEMES if low <= beginning[: len(low)] <= high)
    return frozenset(length for lengths in fitting for length in lengths)


def _passes(number: str) -> bool:
    """Luhn's check."""
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in number[-2::-2])
    return (doubled + sum(map(int, number[-1::-2]))) % 10 == 0
