"""The facts of a trip by name, as rows, scenarios and tests write them: `place.stop`, `inspection.misuse`.

The names are computed from the types, so a field that is added has a name everywhere at once. A row holds only what
differs from what a terminal assumes; with the card as it was read and the region document, a decision can be made
again from it (`terminal.decision.recompute`).

Which grounds a pupil of a roster has is in no row (D-03): only that a roster was asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from enum import Enum
from types import UnionType
from typing import Any, Final, TypeAlias, TypeVar, get_args, get_type_hints

import msgspec

from terminal.trip.facts import Trip
from terminal.trip.pupil import Pupil

Fact: TypeAlias = bool | int | str | tuple[int, ...] | dict[str, int]
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


def _names(of: type[Any], within: str) -> Iterator[str]:
    for name, hint in _hints(of).items():
        part, optional = _part_in(hint)
        if part is None or optional:
            yield within + name
        if part is not None:
            yield from _names(part, f"{within}{name}.")


def _hints(of: Any) -> dict[str, Any]:
    hints = get_type_hints(of)
    return {field.name: hints[field.name] for field in fields(of)}


def _part_in(hint: Any) -> tuple[type[Any] | None, bool]:
    """The part a field of this type holds, None for a plain value, and whether the part may be missing."""
    options = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    part = next((option for option in options if is_dataclass(option) and isinstance(option, type)), None)
    return part, part is not None and len(options) > 1


def _differing(part: Any, within: str) -> Iterator[tuple[str, Fact]]:
    for field in fields(part):
        name, value = within + field.name, getattr(part, field.name)
        if name in ROW_FIELDS or name in _WITHHELD or value == _assumed(field):
            continue
        if isinstance(value, Pupil) and value.listed:
            yield name, True
        elif is_dataclass(value):
            yield from list(_differing(value, f"{name}.")) or [(name, True)]
        else:
            yield name, _fact(name, value)


def _assumed(field: Field[Any]) -> object:
    return field.default_factory() if field.default_factory is not MISSING else field.default


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


def _value(part: object, field: str, facts: Mapping[str, Fact], name: str) -> object:
    hint = _hints(type(part)).get(field)
    if hint is None:
        raise UnknownFact(f"{name}: no such fact of a trip")
    kind, _ = _part_in(hint)
    if kind is None:
        return _plain(facts, hint, name)
    now = getattr(part, field)
    rest = {key: value for key, value in facts.items() if key}
    return _filled(kind() if now is None else now, rest, f"{name}.")


def _plain(facts: Mapping[str, Fact], hint: Any, name: str) -> object:
    if facts.keys() != {""}:
        raise UnknownFact(f"{name}: has no parts")
    try:
        return msgspec.convert(facts[""], hint)
    except msgspec.ValidationError as error:
        raise UnknownFact(f"{name}: {error}") from error
