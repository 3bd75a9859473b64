"""How the trail of a decision is written down, in short form."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from terminal.decision.outcome import Reason

UNTOLD: Final = "code"
"""What a step looked at and records do not tell: the category (D-03)."""


def compact(facts: Iterable[Reason]) -> tuple[str, ...]:
    """The trail in journal form, in order: "T-12:one ride of the month's limit (used=3, of=50)"."""
    return tuple(map(_compact, facts))


def _compact(reason: Reason) -> str:
    inputs = ", ".join(f"{name}={value}" for name, value in reason.inputs.items() if name != UNTOLD)
    return f"{reason.rule}:{reason.effect}" + (f" ({inputs})" if inputs else "")
