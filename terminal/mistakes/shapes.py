"""Every value in tables that is of another type than it has to be, not the first one alone; and the tables mended, so
that their meaning can be looked at, too.

The types are msgspec's, so what is found here is what `msgspec.convert` refuses; a test holds the two together.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cache
from typing import Any, Final

from msgspec import inspect

from terminal.mistakes.reading import MOST_MISTAKES
from terminal.mistakes.values import (
    Mended,
    ShapeMistake,
    Surroundings,
    example,
    first_kind,
    plain_value,
    shown,
    written,
)

MOST_KNOWN: Final = 12
"""Names that are listed where none is near."""


def mend(raw: object, root: type, around: Surroundings) -> tuple[Mended, Any]:
    """Everything in `raw` that cannot be read as a `root`, and `raw` with something else in those places."""
    found = Mended(around)
    return found, _value(found, _type_of(root), raw, "")


@cache
def _type_of(root: type) -> inspect.Type:
    return inspect.type_info(root)


def _value(found: Mended, kind: inspect.Type, value: Any, path: str) -> Any:  # noqa: PLR0911 a line for each type
    """`value` where it can be read as `kind`, else something that can."""
    if isinstance(kind, inspect.Metadata):
        return _value(found, kind.type, value, path)
    if isinstance(kind, inspect.UnionType):
        return _one_of(found, kind, value, path)
    if isinstance(kind, inspect.StructType):
        return _table(found, [kind], value, path)
    if isinstance(kind, inspect.VarTupleType | inspect.ListType | inspect.SetType | inspect.FrozenSetType):
        return _list(found, kind, value, path)
    if isinstance(kind, inspect.TupleType):
        return _row(found, kind, value, path)
    if isinstance(kind, inspect.DictType):
        return _mapping(found, kind, value, path)
    if isinstance(kind, inspect.AnyType | inspect.RawType):
        return value
    return value if plain_value(found, kind, value, path) else example(kind, found.around)


def _one_of(found: Mended, kind: inspect.UnionType, value: Any, path: str) -> Any:
    tables = [one for one in kind.types if isinstance(one, inspect.StructType)]
    others = [one for one in kind.types if not isinstance(one, inspect.StructType | inspect.NoneType)]
    if value is None and any(isinstance(one, inspect.NoneType) for one in kind.types):
        return None
    if tables and (isinstance(value, dict) or not others):
        return _table(found, tables, value, path)
    attempts: list[tuple[Mended, Any]] = []
    for one in others:
        attempt = Mended(found.around)
        mended = _value(attempt, one, value, path)
        if not attempt.mistakes:
            return mended
        attempts.append((attempt, mended))
    nearest, mended = min(attempts, key=lambda attempt: _distance(attempt[0]))
    found.mistakes += nearest.mistakes
    found.changed += nearest.changed
    return mended


def _distance(attempt: Mended) -> int:
    """How far a value is from what was tried: one of the right type is nearest."""
    other = any(mistake.code.startswith(("needs_", "unknown_word")) for mistake in attempt.mistakes)
    return len(attempt.mistakes) + (1000 if other else 0)


def _table(found: Mended, kinds: list[inspect.StructType], value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        found.note(path, ShapeMistake.NEEDS_TABLE, given=found.given(value), path=_header(path))
        return example(kinds[0], found.around)
    kind = kinds[0]
    if kind.tag_field is not None:
        said = value.get(kind.tag_field)
        meant = next((one for one in kinds if one.tag == said), None)
        if meant is None:
            return _of_no_kind(found, kinds, value, path)
        kind = meant
    return _fields(found, kind, value, path)


def _of_no_kind(found: Mended, kinds: list[inspect.StructType], value: dict[str, Any], path: str) -> Any:
    """A table whose kind is missing or unknown, as the kind that it is nearest to."""
    key, known = str(kinds[0].tag_field), sorted(str(one.tag) for one in kinds)
    said = value.get(key)
    near = _near(found, said, known) if isinstance(said, str) else []
    at, listed = join(path, key), ", ".join(known)
    if key not in value:
        found.note(path, ShapeMistake.MISSING_KIND, key=key, known=listed)
    elif near:
        found.note(
            at, ShapeMistake.UNKNOWN_KIND_NEAR, at=path, given=found.given(said), near=near[0], known=listed
        )
    else:
        found.note(at, ShapeMistake.UNKNOWN_KIND, at=path, given=found.given(said), known=listed)
    best = max(kinds, key=lambda one: (str(one.tag) in near, len(_keys(one) & value.keys())))
    return _fields(Mended(found.around) if not near else found, best, {**value, key: best.tag}, path)


def _keys(kind: inspect.StructType) -> set[str]:
    return {one.encode_name for one in kind.fields}


def _fields(found: Mended, kind: inspect.StructType, value: dict[str, Any], path: str) -> dict[str, Any]:
    known = {one.encode_name: one for one in kind.fields}
    called = _called(found, kind, value, path)
    mended: dict[str, Any] = {} if kind.tag_field is None else {kind.tag_field: kind.tag}
    for name, key in called.items():
        mended[name] = _value(found, known[name].type, value[key], join(path, key))
    for name, one in known.items():
        if one.required and name not in called:
            found.note(
                path,
                ShapeMistake.MISSING_KEY,
                at=join(path, name),
                key=name,
                example=_line(join(path, name), name, one.type, found.around),
            )
            mended[name] = example(one.type, found.around)
    return mended


def _called(found: Mended, kind: inspect.StructType, value: dict[str, Any], path: str) -> dict[str, str]:
    """The keys of `kind` that the table has, each by what the author calls it: a slip of the pen is understood."""
    known = sorted(_keys(kind))
    called = {name: name for name in known if name in value}
    for key in value:
        if key in called or key == kind.tag_field or not kind.forbid_unknown_fields:
            continue
        free = [name for name in known if name not in called]
        near = _near(found, key, free) or _near(found, key, known)
        if near:
            found.note(join(path, key), ShapeMistake.UNKNOWN_KEY_NEAR, key=_name(found, key), near=near[0])
        else:
            listed = names(known)
            found.note(join(path, key), ShapeMistake.UNKNOWN_KEY, key=_name(found, key), known=listed)
        if near and near[0] in free:
            called[near[0]] = key
    return called


def _near(found: Mended, word: str, known: list[str]) -> list[str]:
    """The one of `known` that was meant; not looked for, a slow thing, where the mistake will not be said any more."""
    return [] if len(found.mistakes) >= MOST_MISTAKES else get_close_matches(word, known, 1)


def _name(found: Mended, key: str) -> str:
    return "…" if found.around.private else shown(key)[1:-1]


def names(known: list[str]) -> str:
    """Some names in one line."""
    return ", ".join(known[:MOST_KNOWN]) + (", …" if len(known) > MOST_KNOWN else "")


def join(path: str, key: str) -> str:
    """The path of `key` in the table at `path`."""
    return f"{path}.{key}" if path else key


def _line(path: str, key: str, kind: inspect.Type, around: Surroundings) -> str:
    """How a missing key may be written."""
    kind = first_kind(kind)
    if isinstance(kind, inspect.StructType | inspect.DictType):
        return f"[{_header(path)}]"
    return f"{key} = {written(example(kind, around))}"


def _header(path: str) -> str:
    return re.sub(r"\[\d+\]", "", path)


def _list(
    found: Mended,
    kind: inspect.VarTupleType | inspect.ListType | inspect.SetType | inspect.FrozenSetType,
    value: Any,
    path: str,
) -> Any:
    if not isinstance(value, list):
        _no_list(found, kind.item_type, value, path)
        return example(kind, found.around)
    if not _has_length(found, kind.min_length, kind.max_length, len(value), path):
        value = value[: kind.max_length]
        value += [example(kind.item_type, found.around)] * ((kind.min_length or 0) - len(value))
    return [_value(found, kind.item_type, one, f"{path}[{index}]") for index, one in enumerate(value)]


def _no_list(found: Mended, item: inspect.Type, value: Any, path: str) -> None:
    if isinstance(value, dict) and isinstance(first_kind(item), inspect.StructType):
        found.note(path, ShapeMistake.NEEDS_TABLES, path=_header(path))
        return
    if isinstance(value, str):
        inside: list[Any] = [one.strip() for one in re.split("[,;]", value)]
    else:
        inside = [value if isinstance(value, int) else example(item, found.around)]
    found.note(path, ShapeMistake.NEEDS_LIST, given=found.given(value), example=written(inside))


def _has_length(found: Mended, least: int | None, most: int | None, length: int, path: str) -> bool:
    if least is not None and length < least:
        found.note(path, ShapeMistake.TOO_SHORT, length=length, least=least)
        return False
    if most is not None and length > most:
        found.note(path, ShapeMistake.TOO_LONG, length=length, most=most)
        return False
    return True


def _row(found: Mended, kind: inspect.TupleType, value: Any, path: str) -> Any:
    size = len(kind.item_types)
    if not isinstance(value, list) or not _has_length(found, size, size, len(value), path):
        if not isinstance(value, list):
            inside = ", ".join(written(example(one, found.around)) for one in kind.item_types)
            found.note(path, ShapeMistake.NEEDS_LIST, given=found.given(value), example=f"[{inside}]")
        return example(kind, found.around)
    pairs = zip(kind.item_types, value, strict=True)
    return [_value(found, one, entry, f"{path}[{index}]") for index, (one, entry) in enumerate(pairs)]


def _mapping(found: Mended, kind: inspect.DictType, value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        found.note(path, ShapeMistake.NEEDS_TABLE, given=found.given(value), path=_header(path))
        return {}
    _has_length(found, kind.min_length, kind.max_length, len(value), path)
    mended = {}
    for key, one in value.items():
        at = join(path, key)
        if plain_value(found, first_kind(kind.key_type), _as_key(kind.key_type, key), at):
            mended[key] = _value(found, kind.value_type, one, at)
    return mended


def _as_key(kind: inspect.Type, key: str) -> Any:
    """Keys are text in every file; where numbers are meant they stand in quotes."""
    return int(key) if isinstance(first_kind(kind), inspect.IntType) and key.isdecimal() else key
