"""From what was decided to what is written down."""

from __future__ import annotations

from terminal.decision.meal import Serving
from terminal.decision.outcome import Reason
from terminal.errors import CanteenRefused
from terminal.journal.canteen_records import MealLine


def line_of(meal: Serving, roster: int) -> MealLine:
    """The portion as records hold it; `roster` is the sequence of the roster in force, 0 when there is none."""
    return MealLine(
        school=meal.school,
        class_id=meal.class_id,
        kind=meal.kind,
        day=meal.day.isoformat(),
        sources=dict(meal.sources),
        category=meal.category,
        flags=meal.flags,
        roster=roster,
    )


def require(reason: Reason | None) -> None:
    """Raise `CanteenRefused` for a reason against what was asked."""
    if reason is not None:
        inputs = "".join(f", {name} {value}" for name, value in reason.inputs.items())
        raise CanteenRefused(f"{reason.rule}: {reason.effect}{inputs}", "Nothing was recorded.")
