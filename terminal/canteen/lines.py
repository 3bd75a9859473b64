"""From what was decided to what is written down."""

from __future__ import annotations

from terminal.decision.meal import Serving
from terminal.errors import CanteenRefused
from terminal.journal.canteen_records import MealLine
from terminal.trail import Reason
from terminal.trail_steps import step_line


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


def require(reason: Reason | None, currency: str) -> None:
    """Raise `CanteenRefused` for a reason against what was asked; its sums are in `currency`."""
    if reason is not None:
        raise CanteenRefused(step_line(reason, currency, titled=False), "Nothing was recorded.", reason.code)
