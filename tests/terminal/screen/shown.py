"""Outcomes for displays."""

from __future__ import annotations

from terminal.codes import Admission
from terminal.decision.outcome import Message, Outcome

VALUES: dict[str, int | str] = {
    "n": 44,
    "date": "2026-12-31",
    "time": "09:05",
    "sum_minor": 123400,
    "currency": "RUB",
    "meal": "second_breakfast",
    "p": 15,
}
"""Every value a message may need, each as long as it gets."""


def outcome(message: Message, **values: int | str) -> Outcome:
    return Outcome(message, Admission.LET_IN, values={**VALUES, **values})
