"""Frozen dataclasses as JSON values and back, exactly: bytes as hexadecimal, dataclasses with their name.

Only what a card's memory is made of; anything else is a defect of ours and raises `TypeError`. Reading checks every
type and refuses unknown and missing keys with `ValueError`, naming the place.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Final

CLASS: Final = "is"


def to_plain(value: Any) -> Any:
    """`value` as dicts, lists, strings, integers and booleans."""
    if is_dataclass(value) and not isinstance(value, type):
        return {CLASS: type(value).__name__} | {
            f.name: to_plain(getattr(value, f.name)) for f in fields(value)
        }
    match value:
        case Enum():
            return value.name
        case None | bool() | int() | str():
            return value
        case bytes():
            return value.hex().upper()
        case tuple():
            return [to_plain(item) for item in value]
        case Mapping():
            return {_key(key): to_plain(item) for key, item in value.items()}
        case _:
            raise TypeError(f"{type(value).__name__} is not part of a card")


def from_plain(plain: Any, wanted: Any, where: str) -> Any:
    """The value of type `wanted` that `to_plain` wrote; raises `ValueError` starting with the place in `where`."""
    origin = typing.get_origin(wanted)
    if origin in (typing.Union, types.UnionType):
        return _one_of(plain, typing.get_args(wanted), where)
    if origin is tuple:
        item, _ = typing.get_args(wanted)
        return tuple(from_plain(p, item, f"{where}[{i}]") for i, p in enumerate(_expect(plain, list, where)))
    if origin is not None:
        key, item = typing.get_args(wanted)
        pairs = _expect(plain, dict, where).items()
        return {_unkey(k, key, where): from_plain(p, item, f"{where}.{k}") for k, p in pairs}
    if is_dataclass(wanted):
        return _record(plain, wanted, where)
    return _scalar(plain, wanted, where)


def _one_of(plain: Any, choices: tuple[Any, ...], where: str) -> Any:
    if plain is None and types.NoneType in choices:
        return None
    choices = tuple(choice for choice in choices if choice is not types.NoneType)
    if len(choices) == 1:
        return from_plain(plain, choices[0], where)
    name = _expect(plain, dict, where).get(CLASS)
    for choice in choices:
        if choice.__name__ == name:
            return from_plain(plain, choice, where)
    raise ValueError(f"{where}: {name!r} is none of {', '.join(choice.__name__ for choice in choices)}")


def _record(plain: Any, wanted: Any, where: str) -> Any:
    hints = _hints(wanted)
    given = dict(_expect(plain, dict, where))
    if given.pop(CLASS, wanted.__name__) != wanted.__name__:
        raise ValueError(f"{where}: is no {wanted.__name__}")
    if given.keys() != hints.keys():
        odd = ", ".join(sorted(given.keys() ^ hints.keys()))
        raise ValueError(f"{where}: unknown or missing: {odd}")
    return wanted(**{name: from_plain(given[name], hint, f"{where}.{name}") for name, hint in hints.items()})


@cache
def _hints(wanted: type) -> dict[str, Any]:
    hints = typing.get_type_hints(wanted)
    return {f.name: hints[f.name] for f in fields(wanted)}


def _scalar(plain: Any, wanted: Any, where: str) -> Any:
    if wanted is bytes:
        return _bytes(plain, where)
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        if plain not in wanted.__members__:
            raise ValueError(f"{where}: {plain!r} is none of {', '.join(wanted.__members__)}")
        return wanted[plain]
    return _expect(plain, wanted, where)


def _bytes(plain: Any, where: str) -> bytes:
    try:
        return bytes.fromhex(_expect(plain, str, where))
    except ValueError as error:
        raise ValueError(f"{where}: not hexadecimal") from error


def _expect(plain: Any, wanted: type, where: str) -> Any:
    if type(plain) is not wanted:
        raise ValueError(f"{where}: a {wanted.__name__} belongs here, not {type(plain).__name__}")
    return plain


def _key(key: Any) -> str:
    return key.hex().upper() if isinstance(key, bytes) else str(key)


def _unkey(key: str, wanted: Any, where: str) -> Any:
    if wanted is bytes:
        return _bytes(key, where)
    if not key.isdecimal():
        raise ValueError(f"{where}: {key!r} is no number")
    return int(key)
