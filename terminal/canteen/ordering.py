"""Orders that staff take at the counter for a coming school day (M-32): beside those the list of pupils brings."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final

from terminal.canteen.counter import CanteenCounter
from terminal.canteen.lines import require
from terminal.clock import unix_ms
from terminal.codes import CanteenFault
from terminal.decision.canteen.undo import against_order
from terminal.errors import CanteenRefused
from terminal.journal.canteen_records import MealOrdered
from terminal.policy.meals.index import SchoolDay

LOOK_AHEAD_DAYS: Final = 30


def next_school_day(counter: CanteenCounter, ref: bytes, now: datetime) -> date:
    """The next day on which meals are served to this pupil; tomorrow where the calendar says nothing."""
    today, listed = counter.day_of(now), None if counter.roster is None else counter.roster.pupils.get(ref)
    class_id, grade = ("", 0) if listed is None else (listed.class_id, listed.grade)
    for ahead in range(1, LOOK_AHEAD_DAYS):
        day = today + timedelta(days=ahead)
        if counter.policy.meals.day_of(day, counter.school, class_id, grade) is SchoolDay.ATTENDED:
            return day
    return today + timedelta(days=1)


def order_meal(
    counter: CanteenCounter,
    ref: bytes,
    kind: str,
    day: date,
    operator: str,
    now: datetime,
    *,
    cancelled: bool = False,
) -> MealOrdered | None:
    """Order a meal for `day`, or take such an order back; None where nothing changes.

    Raises `CanteenRefused` after the cut-off, for an unknown meal or pupil, and for a day that is no coming one.
    """
    counter.follow()
    listed = counter.require_listed(ref)
    counter.require_kind(kind)
    if not counter.day_of(now) < day <= counter.day_of(now) + timedelta(days=LOOK_AHEAD_DAYS):
        raise CanteenRefused(
            f"{day} is no coming day",
            f"Order for one of the next {LOOK_AHEAD_DAYS}.",
            CanteenFault.NOT_UNDERSTOOD,
        )
    placed = now.astimezone(counter.policy.zone)
    require(against_order(placed, day, counter.policy.meals, counter.school), counter.policy.currency)
    if counter.ledger.ordered(ref, day.isoformat(), kind) is not cancelled:
        return None
    record = MealOrdered(
        at_ms=unix_ms(now),
        pupil=ref,
        school=counter.school,
        class_id=listed.class_id,
        day=day.isoformat(),
        kind=kind,
        cancelled=cancelled,
        operator=operator,
    )
    counter.append(record)
    return record
