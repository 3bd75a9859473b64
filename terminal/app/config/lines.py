"""On which line of a TOML file a table or key stands; the standard library's parser does not say.

For files that parse: this reads just enough to tell a key from a value.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any, Final

_PART: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'  # strings over several lines may end in two quotes of their own
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|\n|[\[\]{}=]|[^\n\[\]{}=\"'\#]+",
    re.DOTALL,
)
_OPENING: Final = frozenset("[{")
_CLOSING: Final = frozenset("]}")
Path = tuple[str, ...]


def lines_of(text: str) -> dict[Path, int]:
    """The line, from 1, of each table and key by its path. What stands in an inline table has the line of the whole.

    `text` is TOML that parses.
    """
    found: dict[Path, int] = {}
    table: Path = ()
    for number, statement in _statements(text.replace("\r\n", "\n")):
        if statement[0] == "[":
            table = _path("".join(part for part in statement if part not in "[]"))
            found.setdefault(table, number)
        else:
            path = table + _path("".join(statement[: statement.index("=")]))
            for depth in range(1, len(path) + 1):
                found.setdefault(path[:depth], number)
    return found


def _statements(text: str) -> Iterator[tuple[int, list[str]]]:
    """The parts of each header or assignment, comments and blank space left out, with the line it begins on."""
    number, begins, depth = 1, 1, 0
    statement: list[str] = []
    for part in _PART.findall(text):
        if part == "\n" and not depth:
            if statement:
                yield begins, statement
            statement = []
        elif part.strip() and part[0] != "#":
            begins = begins if statement else number
            statement.append(part)
            depth += (part in _OPENING) - (part in _CLOSING)
        number += part.count("\n")
    if statement:
        yield begins, statement


def _path(key: str) -> Path:
    """A key as it is written, dotted or quoted, as its parts; the standard library reads the quotes."""
    parts: list[str] = []
    value: Any = tomllib.loads(f"{key.strip()} = 0")
    while isinstance(value, dict):
        (part, value), *_ = value.items()
        parts.append(part)
    return tuple(parts)
