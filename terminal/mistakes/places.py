"""Places inside a document: the path that a mistake names, step by step, and what it leads to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

Place = tuple[str | int, ...]
"""The way to a value: keys, and indices of lists."""
_STEP: Final = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
_CALLED_BY: Final = ("name", "id", "code", "number", "day")
"""What authors call an entry by, the best known first."""
_LONGEST_NAME: Final = 60


def steps_of(path: str) -> Place:
    """ "meals.kinds[1].bit" as its steps."""
    return tuple(int(found[1]) if found[1] else found[2] for found in _STEP.finditer(path))


def line_at(path: str, lines: Mapping[Place, int]) -> int | None:
    """The line of `path`, or of the nearest thing around it that has one."""
    place = steps_of(path)
    return next((lines[place[:n]] for n in range(len(place), 0, -1) if place[:n] in lines), None)


def entries_on(path: str, raw: object) -> dict[str, str]:
    """What the author calls each entry of a list on the way to `path`, by the entry's own path."""
    entries: dict[str, str] = {}
    value: Any = raw
    here = ""
    for step in steps_of(path):
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            break
        here += f"[{step}]" if isinstance(step, int) else f".{step}" if here else step
        called = _called(value) if isinstance(step, int) else None
        if called is not None:
            entries[here] = called
    return entries


def _called(entry: object) -> str | None:
    if not isinstance(entry, dict):
        return None
    stated = (entry.get(key) for key in _CALLED_BY)
    found = (one for one in stated if isinstance(one, str | int) and not isinstance(one, bool))
    name = next(found, None)
    return None if name is None else str(name)[:_LONGEST_NAME]


def meet(one: str, other: str) -> bool:
    """Whether one of two paths lies at the other or inside it."""
    short, long = sorted((one, other), key=len)
    return long == short or (bool(short) and long.startswith((f"{short}.", f"{short}[")))
