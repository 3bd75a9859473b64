"""On which line of a TOML file a table, key or entry stands; the standard library's parser does not say.

Libraries that keep a document's form (tomlkit, the one that is maintained) keep comments and order, no lines. This
reads just enough to tell a key from a value, in text that the standard library's parser has taken.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from terminal.mistakes.places import Place

_TOKEN: Final = re.compile(
    r'(?P<text>"""(?:\\.|[^\\])*?"{3,5}'  # strings over several lines may end in two quotes of their own
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*')"
    r"|(?P<gap>\#[^\n]*|[ \t\r]+)"
    r"|(?P<mark>[\n\[\]{}=,])"
    r"|(?P<bare>[^\s\[\]{}=,\"'\#]+)",
    re.DOTALL,
)
_END: Final = "\n"
_OPEN: Final = "["


def toml_lines(text: str) -> dict[Place, int]:
    """The line, from 1, of each table, key and entry of a list by its place. `text` is TOML that parses."""
    return _Reader(text).read()


def statement_at(text: str, line: int, column: int) -> tuple[Place, int, dict[Place, int]]:
    """For an error of the parser at `line` and `column`: the place that the statement there is about, the line it
    begins on, and the lines of what stands before it. An empty place where the statement cannot be read.
    """
    lines = text.split("\n")
    end = sum(len(one) + 1 for one in lines[: line - 1]) + column - 1
    reader = _Reader(text[:end])
    reader.read()
    return reader.last, reader.begins, dict(islice(reader.found.items(), reader.known))


@dataclass(slots=True)
class _Reader:
    """One pass over the tokens. What is cut off or makes no sense ends it: the lines found until then stand."""

    source: str
    found: dict[Place, int] = field(default_factory=dict)
    last: Place = ()
    """What the statement that was read last is about, the line it begins on, and how many places were `known` then."""
    begins: int = 1
    known: int = 0
    table: Place = ()
    lists: dict[Place, int] = field(default_factory=dict)
    tokens: list[tuple[str, int]] = field(default_factory=list)
    at: int = 0

    def read(self) -> dict[Place, int]:
        self.tokens = list(_tokens(self.source))
        while self.at < len(self.tokens):
            token, line = self.tokens[self.at]
            if token == _END:
                self.at += 1
                continue
            self.begins, self.known = line, len(self.found)
            self.last = self._header() if token == _OPEN else self._assignment(self.table)
        return self.found

    def _put(self, place: Place, line: int, above: int) -> None:
        """Notes the line of `place` and of all on the way to it but the first `above`, where none is known yet."""
        for depth in range(above + 1, len(place) + 1):
            self.found.setdefault(place[:depth], line)

    def _header(self) -> Place:
        line, count = self.tokens[self.at][1], 0
        while self._next() == "[":
            self.at += 1
            count += 1
        keys = self._until("]")
        while self._next() == "]":
            self.at += 1
        place = stated = self._placed(keys)
        if count > 1:
            self.lists[place] = self.lists.get(place, -1) + 1
            place = (*place, self.lists[place])
        self._put(place, line, above=0)
        self.table = place
        return stated

    def _placed(self, keys: list[str]) -> Place:
        """Where a header's keys lead: a list of tables on the way stands for its latest entry."""
        place: Place = ()
        for number, key in enumerate(keys):
            place = (*place, key)
            if place in self.lists and number < len(keys) - 1:
                place = (*place, self.lists[place])
        return place

    def _assignment(self, table: Place) -> Place:
        line = self.tokens[self.at][1]
        place = (*table, *self._until("="))
        self._put(place, line, above=len(table))
        self._value(place)
        return place

    def _value(self, place: Place) -> None:
        if self._next() == "[":
            self.at += 1
            self._list(place)
        elif self._next() == "{":
            self.at += 1
            self._inline(place)
        else:
            while self._next() not in ("\n", ",", "]", "}", ""):
                self.at += 1

    def _list(self, place: Place) -> None:
        number = 0
        while (token := self._next()) not in ("]", ""):
            if token in ("\n", ","):
                self.at += 1
                continue
            here, start = (*place, number), self.at
            self._put(here, self.tokens[self.at][1], above=len(place))
            self._value(here)
            self.at += self.at == start  # what makes no sense here is stepped over
            number += 1
        self.at += 1

    def _inline(self, place: Place) -> None:
        while (token := self._next()) not in ("}", ""):
            if token in ("\n", ","):
                self.at += 1
            else:
                start = self.at
                self._assignment(place)
                self.at += self.at == start
        self.at += 1

    def _next(self) -> str:
        return self.tokens[self.at][0] if self.at < len(self.tokens) else ""

    def _until(self, end: str) -> list[str]:
        """The parts of the dotted key up to `end`, which is taken."""
        parts: list[str] = []
        while (token := self._next()) not in (end, "\n", ""):
            parts.append(token)
            self.at += 1
        self.at += self._next() == end
        return _key_parts("".join(parts))


def _tokens(source: str) -> Iterator[tuple[str, int]]:
    line = 1
    for found in _TOKEN.finditer(source):
        token = found[0]
        if found.lastgroup != "gap":
            yield token, line
        line += token.count("\n")


def _key_parts(key: str) -> list[str]:
    """A key as it is written, dotted or quoted, as its parts; the standard library reads the quotes."""
    if '"' not in key and "'" not in key:
        return [part for part in key.split(".") if part]
    parts: list[str] = []
    try:
        value: Any = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError:  # of text that is cut off
        return [key]
    while isinstance(value, dict):
        (part, value), *_ = value.items()
        parts.append(part)
    return parts
