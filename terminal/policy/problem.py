"""How something wrong in a region document is told."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """`path` inside the document ("meals.kinds[1].bit"), what is wrong there, and what to change."""

    path: str
    what: str
    advice: str


def unique(path: str, values: Iterable[Hashable], key: str = "") -> Iterator[Problem]:
    """A problem for each value that stood before; `key` names the field it was taken from."""
    seen: dict[Hashable, int] = {}
    for index, value in enumerate(values):
        if value in seen:
            at = f"{path}[{index}].{key}" if key else f"{path}[{index}]"
            yield Problem(at, f"{value!s} is already used by [{seen[value]}]", "Give each its own.")
        seen.setdefault(value, index)


def unknown(path: str, what: str, value: object, known: Iterable[object]) -> Problem:
    """The problem of a reference to nothing; the advice lists what there is."""
    names = ", ".join(str(name) for name in known) or "none in this document"
    return Problem(path, f"unknown {what} {value!r}", f"Known: {names}.")
