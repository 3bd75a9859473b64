"""Mistakes in words of every language there is a catalogue for, and as data for programs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeVar

from terminal.errors import DocumentError, Mistake
from terminal.mistakes.places import steps_of
from terminal.texts import translator

Refusal = TypeVar("Refusal", bound=DocumentError)
ENGLISH: Final = "en"
THING: Final = "thing"
"""The value that says what a name stands for, a word of the catalogues itself."""
MOST_CHARACTERS: Final = 300
"""Of one value."""


class _Values(dict[str, int | str]):
    """A value that a mistake lacks is said to be unknown: words never hide a mistake."""

    def __missing__(self, key: str) -> str:
        return "—"


def said(mistake: Mistake, language: str = ENGLISH) -> tuple[str, str]:
    """What is wrong, and what to write instead."""
    texts = translator(language)
    values = _Values({key: _plain(value) for key, value in mistake.values.items()})
    if THING in values:
        values[THING] = texts.gettext(str(values[THING]))
    code = mistake.code
    return texts.gettext(code.what).format_map(values), texts.gettext(code.advice).format_map(values)


def _plain(value: int | str) -> int | str:
    """On one line, and with nothing that a screen would obey."""
    if isinstance(value, int):
        return value
    short = value if len(value) <= MOST_CHARACTERS else f"{value[:MOST_CHARACTERS]}…"
    return "".join(letter if letter.isprintable() else "·" for letter in short)


def place_of(mistake: Mistake) -> str:
    """The path with what the author calls the entries on it: concessions[1] "student".fare."""
    shown, path = "", ""
    for step in steps_of(mistake.path):
        piece = f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
        path += piece
        shown += piece
        if path in mistake.entries:
            shown += f' "{_plain(mistake.entries[path])}"'
    return shown


def line_of(mistake: Mistake, language: str = ENGLISH) -> str:
    """One line, the place first as editors read it: file, line, path, what, advice."""
    what, advice = said(mistake, language)
    file = mistake.file if mistake.line is None else f"{mistake.file}:{mistake.line}"
    return ": ".join(part for part in (file, place_of(mistake), f"{what}. {advice}") if part)


def as_data(mistake: Mistake, language: str = ENGLISH) -> dict[str, Any]:
    """A mistake for programs: code and values are to be relied on, the words are for people."""
    what, advice = said(mistake, language)
    return {
        "file": mistake.file,
        "line": mistake.line,
        "path": mistake.path,
        "entries": dict(mistake.entries),
        "code": mistake.code.value,
        "values": dict(mistake.values),
        "what": what,
        "advice": advice,
    }


def refusal(error: type[Refusal], mistakes: Iterable[Mistake]) -> Refusal:
    """The error that carries `mistakes`, of which there is one at least; its sentence says the first."""
    found = tuple(mistakes)
    what, advice = said(found[0])
    file = found[0].file if found[0].line is None else f"{found[0].file}:{found[0].line}"
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    sentence = ": ".join(part for part in (file, place_of(found[0]), f"{what}{more}") if part)
    return error(sentence, advice, found)
