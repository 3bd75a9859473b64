"""How what the terminal knew of a tap is written down.

Together with the region document and what was read from the card this is all a charge follows from
(`terminal.decision.recompute`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, replace
from typing import Any, Final, TypeAlias

from terminal.decision.outcome import TapContext
from terminal.decision.pupil import CanteenContext, Pupil

Fact: TypeAlias = bool | int | str | tuple[int, ...] | dict[str, int]
"""What a journal holds of one thing a terminal knew."""

STATED_APART: Final = frozenset(
    {"profile", "terminal", "sequence", "shift_open", "shift", "turn", "route", "direction", "canteen"}
)
"""What records have a place of their own for, or state otherwise."""
ROSTER: Final = "by_roster"
"""Stands for the pupil of a roster: which grounds he has is in no record."""
SERVED: Final = "served_here"
ANNULLED: Final = "annulled_here"
PUPIL: Final = frozenset({ROSTER, SERVED, ANNULLED})


def stated(context: TapContext) -> dict[str, Fact]:
    """What of `context` differs from what a terminal assumes, without what records state apart."""
    known = _differing(context, STATED_APART) | _differing(context.canteen, frozenset({"pupil"}))
    pupil = context.canteen.pupil
    if pupil is not None and pupil.listed:
        known[ROSTER] = True
    elif pupil is not None:
        known |= {SERVED: pupil.served, ANNULLED: pupil.annulled}
    return known


def restore(context: TapContext, known: Mapping[str, Fact], pupil: Pupil | None = None) -> TapContext:
    """`context` with what `stated` told; the pupil of a roster comes back only as `pupil` given to it."""
    in_canteen = {field.name for field in fields(CanteenContext)}
    canteen: dict[str, Any] = {name: known[name] for name in known.keys() & in_canteen}
    here: dict[str, Any] = {name: known[name] for name in known.keys() - in_canteen - PUPIL}
    if SERVED in known:
        pupil = _unlisted(known)
    restored = replace(context.canteen, **canteen)
    if pupil is not None:
        restored = replace(restored, pupil=pupil)
    return replace(context, canteen=restored, **here)


def _unlisted(known: Mapping[str, Fact]) -> Pupil:
    """A pupil no roster lists: this terminal knows what it has served."""
    served, annulled, school = known[SERVED], known[ANNULLED], known.get("school", "")
    assert isinstance(served, int)
    assert isinstance(annulled, int)
    assert isinstance(school, str)
    return Pupil(b"", school, served=served, annulled=annulled, listed=False)


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
