"""The facts of a trip by name, as rows, scenarios and tests write them: `place.stop`, `inspection.misuse`.

The names are computed from the types, so a field that is added has a name everywhere at once. A row holds only what
differs from what a terminal assumes; with the card as it was read and the region document, a decision can be made
again from it (`terminal.decision.recompute`).

Which grounds a pupil of a roster has is in no row (D-03): only that a roster was asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, Final, TypeAlias, TypeVar, get_args

import msgspec
from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields, replace

from terminal.trip.facts import Trip
from terminal.trip.pupil import Pupil

Fact: TypeAlias = bool | int | str
"""What a row holds of one fact."""
_Part = TypeVar("_Part")

ROW_FIELDS: Final = frozenset({"profile", "terminal", "sequence", "shift", "turn", "route", "direction"})
"""Facts that a row holds in fields of its own."""
PUPIL: Final = "canteen.pupil"
"""Alone it stands for the pupil of a roster."""
_WITHHELD: Final = frozenset({f"{PUPIL}.ref", f"{PUPIL}.school"})
"""The pseudonym is the row's own business, and the school is that of the canteen."""


class UnknownFact(ValueError):
    """The name or the value of a fact is none this software knows; the text says which."""


def fact_names() -> frozenset[str]:
    """The dotted name of every field of `Trip`, parts included; a part that may be missing has a name of its own."""
    return frozenset(_names(Trip, ""))


def stated(trip: Trip) -> dict[str, Fact]:
    """What of `trip` differs from what a terminal assumes, without `ROW_FIELDS`."""
    return dict(_differing(trip, ""))


def restore(trip: Trip, known: Mapping[str, Fact], pupil: Pupil | None = None) -> Trip:
    """`trip` with the facts `known`; `pupil` takes the place of one a roster was asked for.

    Raises `UnknownFact`.
    """
    restored = _filled(trip, known, "")
    at = restored.canteen
    if pupil is not None:
        return replace(restored, canteen=replace(at, pupil=pupil))
    if at.pupil is not None and f"{PUPIL}.school" not in known:
        return replace(restored, canteen=replace(at, pupil=replace(at.pupil, school=at.school)))
    return restored


class _FactField(Struct, frozen=True):
    """One field of a part: what a terminal assumes of it, and the class of the part it holds, if it holds one."""

    name: str
    hint: Any
    assumed: object
    part: type[Any] | None
    optional: bool
    plain: frozenset[str] = frozenset()
    """The facts of the part that it can be made of at once, where what is assumed of it are their own defaults: most
    rows state such parts only.
    """


@cache
def _fields_of(part: Any) -> Mapping[str, _FactField]:
    return {field.name: _fact_field(field) for field in fields(part)}


def _fact_field(field: FieldInfo) -> _FactField:
    options = get_args(field.type) if isinstance(field.type, UnionType) else (field.type,)
    part = next(
        (option for option in options if isinstance(option, type) and issubclass(option, Struct)), None
    )
    assumed = field.default if field.default_factory is NODEFAULT else field.default_factory()
    plain = frozenset() if part is None else _plain_facts(part, assumed)
    return _FactField(field.name, field.type, assumed, part, part is not None and len(options) > 1, plain)


def _plain_facts(part: Any, assumed: object) -> frozenset[str]:
    try:
        usual = assumed is None or part() == assumed
    except TypeError:  # something of it is never assumed
        usual = assumed is None
    return frozenset(name for name, field in _fields_of(part).items() if field.part is None and usual)


def _names(of: Any, within: str) -> Iterator[str]:
    for field in _fields_of(of).values():
        name = within + field.name
        if field.part is None or field.optional:
            yield name
        if field.part is not None:
            yield from _names(field.part, f"{name}.")


def _differing(part: Any, within: str) -> Iterator[tuple[str, Fact]]:
    kind: Any = type(part)
    for field in _fields_of(kind).values():
        value = getattr(part, field.name)
        if value is field.assumed or value == field.assumed:
            continue
        name = within + field.name
        if name in ROW_FIELDS or name in _WITHHELD:
            continue
        if isinstance(value, Pupil) and value.listed:
            yield name, True
        elif field.part is not None:
            yield from list(_differing(value, f"{name}.")) or [(name, True)]
        else:
            yield name, _fact(name, value)


def _fact(name: str, value: object) -> Fact:
    try:
        fact: Fact = msgspec.convert(value.value if isinstance(value, Enum) else value, Fact)
    except msgspec.ValidationError as error:
        raise UnknownFact(f"{name}: {type(value).__name__} does not go into a row") from error
    return fact


def _filled(part: _Part, known: Mapping[str, Fact], within: str) -> _Part:
    """`part` with the facts below `within`, given by the rest of their names."""
    below: dict[str, dict[str, Fact]] = {}
    for name, value in known.items():
        head, _, rest = name.partition(".")
        below.setdefault(head, {})[rest] = value
    changed = {head: _value(part, head, facts, within + head) for head, facts in below.items()}
    return replace(part, **changed)  # type: ignore[type-var]  # every part is a dataclass


def _value(part: Any, name: str, facts: Mapping[str, Fact], within: str) -> object:
    kind: Any = type(part)
    field = _fields_of(kind).get(name)
    if field is None:
        raise UnknownFact(f"{within}: no such fact of a trip")
    if field.part is None:
        return _plain(facts, field.hint, within)
    now = getattr(part, name)
    rest = {key: value for key, value in facts.items() if key}
    if field.plain.issuperset(rest) and (now is None or now is field.assumed):
        with suppress(msgspec.ValidationError):  # said below, with the fact's name
            return msgspec.convert(rest, field.part)
    try:
        now = field.part() if now is None else now
    except TypeError as error:
        raise UnknownFact(f"{within}: not all that it needs is stated") from error
    return _filled(now, rest, f"{within}.")


def _plain(facts: Mapping[str, Fact], hint: Any, name: str) -> object:
    if facts.keys() != {""}:
        raise UnknownFact(f"{name}: has no parts")
    try:
        return msgspec.convert(facts[""], hint)
    except msgspec.ValidationError as error:
        raise UnknownFact(f"{name}: {error}") from error
