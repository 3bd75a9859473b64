"""Turns a type error in a region document into a place in the file and something to do about it."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any, Final

import msgspec
from msgspec import inspect

from terminal.errors import RegionDocumentError
from terminal.policy.document.schema import RegionDocument

_PLACE: Final = re.compile(r"^(?P<problem>.*?)(?: - at `(?P<key>key in )?\$(?P<path>.*)`)?$", re.DOTALL)
_QUOTED: Final = re.compile(r"[`'](?P<word>[^`']*)[`']")
_STEP: Final = re.compile(r"\.?([A-Za-z_]\w*)|\[(\d+|\.\.\.)\]")


def explain(error: msgspec.ValidationError, raw: object, name: str) -> RegionDocumentError:
    """Return the error to raise for document `raw` of file `name`: "file: path: problem" and an advice."""
    what, advice = place_of(error, raw, RegionDocument)
    return RegionDocumentError(f"{name}: {what}", advice)


def place_of(error: msgspec.ValidationError, raw: object, root: type) -> tuple[str, str]:
    """Return "path: problem" and an advice for `raw`, which should have been a `root`."""
    found = _PLACE.match(str(error))
    assert found is not None, "the pattern matches every text"
    path, problem = (found["path"] or "").lstrip("."), found["problem"]
    here, value = _follow(path, raw, root)
    return f"{path or 'top level'}: {_plain(problem)}", _advice(problem, here, value)


def _plain(problem: str) -> str:
    problem = problem.replace("Object", "table").replace("object", "table")
    return problem[:1].lower() + problem[1:]


def _advice(problem: str, here: list[inspect.Type], value: object) -> str:
    """`here` holds the types that may stand at the place of the error (several in a union)."""
    quoted = _QUOTED.search(problem)
    word = quoted["word"] if quoted else ""
    tables = [kind for kind in here if isinstance(kind, inspect.StructType)]
    if "unknown field" in problem:
        tag = value.get("kind") if isinstance(value, dict) else None
        meant = [table for table in tables if table.tag == tag] or tables
        return _did_you_mean(word, {field.encode_name for table in meant for field in table.fields})
    if "missing required field" in problem:
        return f"Add the key `{word}`."
    choices = {str(table.tag) for table in tables if table.tag}
    choices |= {
        str(member.value) for kind in here if isinstance(kind, inspect.EnumType) for member in kind.cls
    }
    choices |= {str(v) for kind in here if isinstance(kind, inspect.LiteralType) for v in kind.values}
    if "nvalid" in problem and choices:
        return _did_you_mean(word, choices)
    return f"Correct the value {value!r}." if isinstance(value, str | int | float) else "Correct the value."


def _did_you_mean(word: str, known: set[str]) -> str:
    close = get_close_matches(word, known, n=1)
    hint = f"Did you mean `{close[0]}`? " if close else ""
    return f"{hint}Known here: {', '.join(sorted(known))}."


def _follow(path: str, raw: object, root: type) -> tuple[list[inspect.Type], object]:
    """Return the types allowed at `path` and the value the author put there."""
    types: list[inspect.Type] = [inspect.type_info(root)]
    value: Any = raw
    for key, index in _STEP.findall(path):
        if key == "kind":  # the error is about the tag itself: stay at the table that carries it
            break
        types = [step for kind in types for step in _into(kind, key)]
        try:
            value = value[key or int(index)]
        except (KeyError, IndexError, TypeError, ValueError):
            value = None
    return types, value


def _into(kind: inspect.Type, key: str) -> list[inspect.Type]:
    """The types one step below `kind`: of the field `key`, or of the items when `key` is empty."""
    if isinstance(kind, inspect.StructType):
        below = [field.type for field in kind.fields if field.encode_name == key]
    else:
        items = getattr(kind, "item_type", None) or getattr(kind, "value_type", None)
        below = [items] if items is not None else list(getattr(kind, "item_types", ()))[:1]
    return [alternative for entry in below for alternative in getattr(entry, "types", (entry,))]
