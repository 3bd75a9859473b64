"""The keys of `terminal.toml` as data, for messages, the file `terminal config init` writes, and the documentation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache, reduce
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct, inspect

from terminal.app.config.settings import EXTENSIONS, Option, StationConfig

_PLAIN: Final = {
    inspect.BoolType: "true or false",
    inspect.CustomType: "a path in quotes",
    inspect.StrType: "text in quotes",
    inspect.VarTupleType: "a list of names in quotes",
}
OPTIONS_PURPOSE: Final = "What an extension wants to know, by keys of its own; see docs/api.md."
OPTION_WANTED: Final = "text, a number, true or false, or a list of these"


class Key(Struct, frozen=True):
    """One key of one table. `default` is None where it has none or is not set."""

    table: str
    name: str
    type: Any
    wanted: str
    description: str
    example: object
    default: object

    def takes(self, value: object) -> bool:
        """Whether `value` is of this key's type and within its limits."""
        try:
            msgspec.convert(value, self.type, dec_hook=_path)
        except msgspec.ValidationError:
            return False
        return True

    @property
    def example_line(self) -> str:
        return f"{self.name} = {toml(self.example)}"


@cache
def table_names() -> tuple[str, ...]:
    """The tables whose keys are known, in the order of the file: "lists", "periphery.lamps". After them come those of
    extensions.
    """
    tables: list[str] = []
    for name in StationConfig.__struct_fields__:
        if name != EXTENSIONS:
            inner = [f"{name}.{field.name}" for field in _fields(_table(name)) if _is_table(field)]
            tables += inner or [name]
    return tuple(tables)


def rooms() -> tuple[str, ...]:
    """What stands before the dot of tables that belong together."""
    return tuple(dict.fromkeys(name.partition(".")[0] for name in table_names() if "." in name))


def by_table(data: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in a file by the name of its table, and what is outside of all of them by its own."""
    found: dict[str, Any] = {}
    for name, value in data.items():
        if name in rooms() and isinstance(value, dict):
            found |= {f"{name}.{inner}": content for inner, content in value.items()}
        else:
            found[name] = value
    return found


def nested(tables: Mapping[str, Any]) -> dict[str, Any]:
    """The way back from `by_table`."""
    data: dict[str, Any] = {}
    for name, content in tables.items():
        room, dot, inner = name.partition(".")
        if dot:
            data.setdefault(room, {})[inner] = content
        else:
            data[name] = content
    return data


def in_force(config: StationConfig, table: str) -> Struct:
    """The table of that name in `config`."""
    found: Struct = reduce(getattr, table.split("."), config)
    return found


def takes_option(value: object) -> bool:
    """Whether an extension may be given `value`."""
    try:
        msgspec.convert(value, Option)
    except msgspec.ValidationError:
        return False
    return True


@cache
def keys_of(table: str) -> dict[str, Key]:
    """The keys of one table, in the order of the file."""
    struct = _table(table)
    described = {field.name: field for field in _fields(struct)}
    defaults = struct()
    return {
        field.name: _key(table, field.name, field.type, described[field.name], getattr(defaults, field.name))
        for field in msgspec.structs.fields(struct)
    }


def purpose_of(table: str) -> str:
    """What the table is about, in one sentence."""
    return (_table(table).__doc__ or "").strip()


def toml(value: object) -> str:
    """`value` as it is written in the file."""
    plain = value if isinstance(value, bool | int | float | list | tuple) else str(value)
    return json.dumps(plain, ensure_ascii=False)


def _table(name: str) -> type[msgspec.Struct]:
    struct: type[msgspec.Struct] = StationConfig
    for part in name.split("."):
        kind = next(field.type for field in _fields(struct) if field.name == part)
        assert isinstance(kind, inspect.StructType)
        struct = kind.cls
    return struct


def _is_table(field: inspect.Field) -> bool:
    return isinstance(field.type, inspect.StructType)


def _fields(struct: type[msgspec.Struct]) -> tuple[inspect.Field, ...]:
    found = inspect.type_info(struct)
    assert isinstance(found, inspect.StructType)
    return found.fields


def _key(table: str, name: str, kind: Any, field: inspect.Field, default: object) -> Key:
    assert isinstance(field.type, inspect.Metadata), f"{table}.{name} has no description"
    says = field.type.extra_json_schema or {}
    examples = says.get("examples", [])
    return Key(
        table=table,
        name=name,
        type=kind,
        wanted=_wanted(field.type),
        description=says["description"],
        example=examples[0] if examples else default,
        default=default,
    )


def _wanted(kind: inspect.Type) -> str:
    """What a value of this type is, in words that complete "is not …"."""
    while isinstance(kind, inspect.Metadata | inspect.UnionType):
        kind = kind.type if isinstance(kind, inspect.Metadata) else _set(kind)
    match kind:
        case inspect.IntType():
            return "a whole number" + _limits(kind.ge, kind.le)
        case inspect.FloatType():
            return "a number" + (_limits(kind.ge, kind.le) if kind.gt is None else _above(kind.gt, kind.le))
        case inspect.LiteralType():
            return "one of " + ", ".join(map(toml, kind.values))
        case inspect.StrType(pattern=str()):
            return "a name of small letters, digits and underscores, in quotes"
        case inspect.EnumType():
            return "one of " + ", ".join(toml(member.value) for member in kind.cls)
    return _PLAIN[type(kind)]


def _set(kind: inspect.UnionType) -> inspect.Type:
    """What a key is when it is set."""
    return next(one for one in kind.types if not isinstance(one, inspect.NoneType))


def _limits(least: float | None, most: float | None) -> str:
    if least is None:
        return ""
    return f" from {least:g} to {most}" if most is not None else f" of at least {least:g}"


def _above(least: float, most: float | None) -> str:
    return f" above {least:g}" + ("" if most is None else f", {most:g} at most")


def _path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str) and value:
        return Path(value)
    raise TypeError("Expected a path")
