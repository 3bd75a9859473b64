"""A scenario as the text of a file that `terminal policy run` takes: TOML, with what is not stated left out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from functools import cache
from typing import Any

import msgspec
from msgspec import NODEFAULT, UNSET, Struct

from terminal.scenario.schema import Scenario, ScenarioFile


def file_text(file: ScenarioFile) -> str:
    """The file as TOML; read again it is the same file."""
    lines = [f"{name} = {toml_value(getattr(file, name))}" for name in ("schema", "region", "about")]
    for name, card in file.cards.items():
        lines += ["", f"[cards.{toml_key(name)}]", *_pairs(_stated(card))]
    for scenario in file.scenarios:
        lines += ["", "[[scenarios]]", *_scenario(scenario)]
    for sale in file.sales:
        lines += ["", "[[sales]]", *_pairs(_stated(sale))]
    return "\n".join(lines) + "\n"


def toml_value(value: object) -> str:
    """One value as TOML; texts are escaped as JSON, which TOML's basic strings are a superset of."""
    if isinstance(value, Struct):
        return toml_value(_stated(value))
    if isinstance(value, Mapping):
        inside = ", ".join(f"{toml_key(key)} = {toml_value(item)}" for key, item in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, (datetime, time)):
        return value.isoformat(timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    assert isinstance(value, (bool, int, str)), f"{type(value).__name__} is not part of a scenario"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def toml_key(name: str) -> str:
    """A key, quoted where it has to be."""
    bare = name.isascii() and all(character.isalnum() or character in "_-" for character in name)
    return name if bare and name else json.dumps(name, ensure_ascii=False)


def _scenario(scenario: Scenario) -> Iterator[str]:
    stated = _stated(scenario)
    taps = stated.pop("taps")
    card = stated.pop("card", None)
    yield from _pairs(stated)
    if isinstance(card, str):
        yield f"card = {toml_value(card)}"
    elif card is not None:
        yield from ("", "[scenarios.card]", *_pairs(_stated(card)))
    for tap in taps:
        yield from ("", "[[scenarios.taps]]", *_pairs(_in_reading_order(_stated(tap))))


def _in_reading_order(tap: Mapping[str, Any]) -> dict[str, Any]:
    """The moment first, then the place, and at the end what must come of it."""
    first = {name: tap[name] for name in ("at", "after_s") if name in tap}
    last = {name: tap[name] for name in ("repeat", "expect", "expect_last", "note") if name in tap}
    return first | {name: value for name, value in tap.items() if name not in last} | last


def _pairs(stated: Mapping[str, Any]) -> list[str]:
    return [f"{toml_key(name)} = {toml_value(value)}" for name, value in stated.items()]


def _stated(struct: Struct) -> dict[str, Any]:
    """The fields that say something else than their default; TOML knows no null."""
    pairs = ((name, getattr(struct, name), default) for name, default in _defaults(type(struct)))
    return {name: value for name, value, default in pairs if value is not None and value != default}


@cache
def _defaults(kind: type[Struct]) -> tuple[tuple[str, Any], ...]:
    """The fields of a kind and what they are where nothing is stated; msgspec takes milliseconds to find out."""
    return tuple((field.name, _default(field)) for field in msgspec.structs.fields(kind))


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not NODEFAULT:
        return field.default_factory()
    return UNSET if field.default is NODEFAULT else field.default
