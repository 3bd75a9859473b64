"""The support code (код обращения) that a rider or driver reads out, so that the office finds the row of a tap.

    support_code(70001, 5123)              "0H2W-8005-0310"
    row_of_code("0h2w 8oo5 o31o")          (70001, 5123)

Twelve letters and digits of Crockford's Base32 (no I, L, O, U), in groups of four: 2 spare bits that are 0, the
terminal (20), the journal's row (28), and two check symbols of a Reed-Solomon code over GF(32). Any one or two symbols
that were misread or exchanged are noticed; of more, one in 1024 is not. It names no card and no person: it is what the
row is called anyway. Cyrillic letters of the same look count as the Latin ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from cardproto.resident.limits import LARGEST_SEQUENCE, LARGEST_TERMINAL

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
SYMBOLS: Final = 12
CHECKS: Final = 2
GROUP: Final = 4
_ROW_BITS: Final = LARGEST_SEQUENCE.bit_length()
_FIELD: Final = 0b100101
"""x^5 + x^2 + 1, by which symbols are multiplied."""
_HEARD: Final = str.maketrans("OILАВСЕНКМОРТХУЗ", "011ABCEHKM0PTXY3")
_BETWEEN: Final = re.compile(r"[\s\-–—]+")


def support_code(terminal: int, row: int) -> str:
    """The code of `row` of a terminal's journal. Raises ValueError for numbers that no row has."""
    if not 0 < terminal <= LARGEST_TERMINAL or not 0 < row <= LARGEST_SEQUENCE:
        raise ValueError(f"no row is called {terminal}:{row}")
    number = terminal << _ROW_BITS | row
    symbols = [number >> 5 * place & 31 for place in reversed(range(SYMBOLS - CHECKS))]
    code = "".join(ALPHABET[symbol] for symbol in (*symbols, *_checks(symbols)))
    return "-".join(code[start : start + GROUP] for start in range(0, SYMBOLS, GROUP))


def row_of_code(written: str) -> tuple[int, int] | None:
    """Terminal and row that a code names, however it is spaced; None where it is none, or was misread."""
    code = _BETWEEN.sub("", written[:100]).upper().translate(_HEARD)
    if len(code) != SYMBOLS or not set(code) <= set(ALPHABET):
        return None
    symbols = [ALPHABET.index(letter) for letter in code]
    number = 0
    for symbol in symbols[:-CHECKS]:
        number = number << 5 | symbol
    terminal, row = number >> _ROW_BITS, number & LARGEST_SEQUENCE
    sound = _checks(symbols[:-CHECKS]) == tuple(symbols[-CHECKS:])
    return (terminal, row) if sound and 0 < terminal <= LARGEST_TERMINAL and row else None


def _checks(symbols: Sequence[int]) -> tuple[int, int]:
    """What is left of the symbols, as a polynomial, after division by (x + 1)(x + a)."""
    first = second = 0
    for symbol in symbols:
        factor = symbol ^ first
        doubled = factor << 1 ^ (_FIELD if factor & 16 else 0)
        first, second = second ^ doubled ^ factor, doubled
    return first, second
