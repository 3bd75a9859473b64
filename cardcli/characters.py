"""Characters that a screen obeys or hides instead of showing, and how they are written where text is printed.

Names, ids and messages come from outside: a roster, a reader, a file's name, another machine. A control character in
one of them moves the cursor or starts a command of the terminal, a format character turns a line around. Files that
people write are refused with them (`first_unseen`); whatever else is printed has them spelled (`visible`,
`visible_json`), and no cell of a table begins what a spreadsheet computes (`plain_cell`).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode's categories: control, format, halves of pairs, private use, separators of lines and paragraphs."""
_LAID_OUT: Final = "\n\t"
_FORMULA: Final = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?")
_BASIC: Final = 0xFFFF


def is_unseen(character: str) -> bool:
    """Whether a screen would not show `character`; spaces of any width are seen."""
    return unicodedata.category(character) in _UNSEEN


def first_unseen(text: str) -> str | None:
    """The first character of `text` that is not seen, line ends and tabs included; None when all are."""
    if text.isprintable():
        return None
    return next(filter(is_unseen, text), None)


def code_point(character: str) -> str:
    """As Unicode names it: U+202E."""
    return f"U+{ord(character):04X}"


def visible(text: str, kept: str = _LAID_OUT) -> str:
    r"""`text` with what is not seen spelled, as \x1b or \u202e; `kept` are the characters that lay it out."""
    if text.isprintable():
        return text
    return "".join(_spelled(one) if one not in kept and is_unseen(one) else one for one in text)


def visible_line(text: str) -> str:
    """The same on one line."""
    return visible(text, kept="")


def visible_json(encoded: bytes) -> bytes:
    """The same JSON, with what is not seen as escapes of JSON: programs read what they would have read."""
    if encoded.isascii() and b"\x7f" not in encoded:
        return encoded
    return "".join(
        _escaped(one) if one not in _LAID_OUT and is_unseen(one) else one for one in encoded.decode()
    ).encode()


def plain_cell(text: str) -> str:
    """`text` as the cell of a table: on one line, and no spreadsheet takes it for a formula. A number stays one.

    A spreadsheet passes over blanks before a formula, so the first character that is none counts.
    """
    shown = visible_line(text)
    if shown.lstrip().startswith(_FORMULA) and not _NUMBER.fullmatch(shown):
        return f"'{shown}"
    return shown


def _spelled(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else _escaped(character)


def _escaped(character: str) -> str:
    number = ord(character)
    if number <= _BASIC:
        return f"\\u{number:04x}"
    pair = character.encode("utf-16-be").hex()
    return f"\\u{pair[:4]}\\u{pair[4:]}"
