"""How a decision is written down: its trail in short form, and what the terminal knew of the tap.

Together with the region document and what was read from the card this is all a charge follows from
(`terminal.decision.recompute`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields, replace
from typing import Any, Final, TypeAlias

from terminal.decision.outcome import Reason, TapContext
from terminal.decision.pupil import CanteenContext

Fact: TypeAlias = bool | int | str | tuple[int, ...] | dict[str, int]
"""What a journal holds of one thing a terminal knew."""

STATED_APART: Final = frozenset(
    {"profile", "terminal", "sequence", "shift_open", "shift", "turn", "route", "direction", "canteen"}
)
"""What records have a place of their own for, or state otherwise."""
UNTOLD: Final = "code"
"""What a step looked at and records do not tell: the category (D-03)."""
ROSTER: Final = "by_roster"
"""Stands for the pupil: who that is, and which grounds he has, is in no record."""


def compact(facts: Iterable[Reason]) -> tuple[str, ...]:
    """The trail in journal form, in order: "T-12:one ride of the month's limit (used=3, of=50)"."""
    return tuple(map(_compact, facts))


def stated(context: TapContext) -> dict[str, Fact]:
    """What of `context` differs from what a terminal assumes, without what records state apart."""
    known = _differing(context, STATED_APART) | _differing(context.canteen, frozenset({"pupil"}))
    if context.canteen.pupil is not None:
        known[ROSTER] = True
    return known


def restore(context: TapContext, known: Mapping[str, Fact]) -> TapContext:
    """`context` with what `stated` told; the pupil of a roster cannot come back."""
    in_canteen = {field.name for field in fields(CanteenContext)}
    canteen: dict[str, Any] = {name: known[name] for name in known.keys() & in_canteen}
    here: dict[str, Any] = {name: known[name] for name in known.keys() - in_canteen - {ROSTER}}
    return replace(context, canteen=replace(context.canteen, **canteen), **here)


def _compact(reason: Reason) -> str:
    inputs = ", ".join(f"{name}={value}" for name, value in reason.inputs.items() if name != UNTOLD)
    return f"{reason.rule}:{reason.effect}" + (f" ({inputs})" if inputs else "")


def _differing(what: TapContext | CanteenContext, apart: frozenset[str]) -> dict[str, Fact]:
    found: dict[str, Fact] = {}
    for field in fields(what):
        value = getattr(what, field.name)
        if field.name not in apart and value != _default(field):
            found[field.name] = dict(value) if isinstance(value, Mapping) else value
    return found


def _default(field: Field[Any]) -> object:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default
