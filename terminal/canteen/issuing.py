"""Portions without a tap: for a class, on covered tables, from orders, for a forgotten card (M-30, M-31, M-35)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from terminal.canteen.desk import CanteenDesk
from terminal.canteen.lines import require
from terminal.decision.canteen.serving import Refusal, decide_portion
from terminal.decision.canteen.undo import against_single_issue
from terminal.decision.meal import Serving
from terminal.decision.outcome import NO_VALUES, Message, Outcome, Reason
from terminal.decision.tap import Trail
from terminal.errors import CanteenRefused, JournalError
from terminal.policy.document.meals import BY_SHIFT, MealKind
from terminal.trip.pupil import Pupil


class How(StrEnum):
    """How a portion is issued without a tap (M-30)."""

    CLASS_LIST = "class_list"
    COVERED_TABLE = "covered_table"
    STREAM = "stream"
    PRE_ORDER = "pre_order"
    FORGOTTEN_CARD = "forgotten_card"


@dataclass(frozen=True, slots=True)
class Issued:
    """What came of one pupil of a list. `sequence` is the record's row, None when the journal took none.

    `outcome` is what may be shown to anybody (M-38); `facts` are for the staff.
    """

    pupil: bytes
    outcome: Outcome
    facts: tuple[Reason, ...]
    meal: Serving | None = None
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """One list to serve. `serving` is a meal kind, "by_shift" or empty for the meal of the hour."""

    serving: str
    how: How
    operator: str
    now: datetime
    confirmed_by: str = ""


def issue(desk: CanteenDesk, pupils: Sequence[bytes], batch: Batch) -> list[Issued]:
    """Issue a portion to each of `pupils`, each on his own account and with his own record (M-31).

    That one pupil is refused stops none of the others. Raises `CanteenRefused` when the list as such cannot be
    served: an unknown meal, or nobody to confirm it (M-35).
    """
    if batch.how is How.FORGOTTEN_CARD:
        require(against_single_issue(batch.operator, batch.confirmed_by))
    kinds = desk.policy.meals.kinds
    if batch.serving not in ("", BY_SHIFT) and batch.serving not in kinds:
        known = ", ".join((*kinds, BY_SHIFT))
        raise CanteenRefused(f"no meal {batch.serving!r} in the region document", f"It has: {known}.")
    desk.follow()
    return [_issue(desk, ref, batch) for ref in pupils]


def pupils_of(desk: CanteenDesk, class_id: str, absent: Iterable[bytes], now: datetime) -> list[bytes]:
    """The pupils of a class who are there: all but `absent`, the home schooled and those the attendance misses.

    Raises `CanteenRefused` for a class the roster does not have.
    """
    if desk.roster is None or class_id not in desk.roster.classes:
        known = "none" if desk.roster is None else ", ".join(desk.roster.classes)
        raise CanteenRefused(f"the roster has no class {class_id!r}", f"It has: {known}.")
    day, missing = desk.day_of(now).isoformat(), frozenset(absent)
    return [
        ref
        for ref in desk.roster.classes[class_id]
        if ref not in missing
        and not desk.roster.pupils[ref].home_schooled
        and not desk.ledger.absent(ref, day)
    ]


def _issue(desk: CanteenDesk, ref: bytes, batch: Batch) -> Issued:
    trail = Trail()
    meal = _decide(desk, desk.pupil(ref, batch.now), batch, trail)
    if isinstance(meal, Refusal):
        values = {"meal": meal.meal} if meal.meal else NO_VALUES
        outcome = Outcome(meal.message, accepted=False, values=values)
        desk.note_refusal(ref, batch.how, batch.operator, outcome, trail, batch.now)
        return Issued(ref, outcome, tuple(trail.reasons))
    return _write(desk, ref, meal, batch, trail)


def _write(desk: CanteenDesk, ref: bytes, meal: Serving, batch: Batch, trail: Trail) -> Issued:
    record = desk.meal_record(
        ref,
        meal,
        batch.how,
        tuple(trail.reasons),
        batch.now,
        operator=batch.operator,
        confirmed_by=batch.confirmed_by,
    )
    sequence: int | None = None
    try:
        sequence = desk.append(record)
    except JournalError:
        if not meal.entitled:
            trail.note("O-06", "nothing is sold while the journal takes no records")
            return Issued(ref, Outcome(Message.OUT_OF_ORDER, accepted=False), tuple(trail.reasons))
        trail.reasons.append(desk.write_spare(record))
    outcome = Outcome(Message.MEAL_OK, accepted=True, values={"meal": meal.kind})
    return Issued(ref, outcome, tuple(trail.reasons), meal, sequence)


def _decide(desk: CanteenDesk, pupil: Pupil | None, batch: Batch, trail: Trail) -> Serving | Refusal:
    closed = desk.against_serving(batch.now)
    if closed is not None:
        trail.reasons.append(closed)
        return Refusal(Message.SHIFT_CLOSED)
    if pupil is None:
        trail.note("M-31", "not in the roster of this school")
        return Refusal(Message.UNKNOWN_CARD)
    kind = _kind(desk, pupil, batch)
    if kind is None:
        trail.note("M-15", "nothing is served at this hour", {"serving": batch.serving or "by the clock"})
        return Refusal(Message.MEAL_NOT_ORDERED)
    eaten = pupil.served >> kind.bit & 1
    if batch.how is How.PRE_ORDER and kind.id not in pupil.orders and not eaten:
        trail.note("M-32", "not ordered, or the order is done with", {"meal": kind.id})
        return Refusal(Message.MEAL_NOT_ORDERED)
    day, meals = desk.day_of(batch.now), desk.policy.meals
    return decide_portion(pupil, kind, day, meals, trail, paid_stopped=desk.paid_stopped)


def _kind(desk: CanteenDesk, pupil: Pupil, batch: Batch) -> MealKind | None:
    meals = desk.policy.meals
    if batch.serving == BY_SHIFT:
        return meals.assigned(pupil.shift, pupil.school)
    return (
        meals.kinds[batch.serving] if batch.serving else meals.kind_at(desk.time_of(batch.now), pupil.school)
    )
