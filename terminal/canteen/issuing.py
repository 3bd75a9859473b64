"""Portions without a tap: for a class, on covered tables, from orders, for a forgotten card (M-30, M-31, M-35)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from terminal.canteen.counter import AGAINST_SERVING, CanteenCounter
from terminal.canteen.lines import require
from terminal.codes import Admission, CanteenFault
from terminal.decision.canteen.effects import AccountEffect, MealEffect
from terminal.decision.canteen.serving import (
    Agreed,
    MealRefusal,
    decide_listed,
    kind_for,
    mark_list,
)
from terminal.decision.canteen.undo import against_single_issue
from terminal.decision.meal import Serving
from terminal.decision.outcome import NO_VALUES, Message, Outcome
from terminal.decision.tap import Trail
from terminal.errors import CanteenRefused, JournalError
from terminal.journal.canteen_records import ServedBy
from terminal.policy.document.meals import BY_SHIFT
from terminal.trail import Reason
from terminal.trip.pupil import Pupil

NOTHING_ANSWERED: Final[Mapping[bytes, frozenset[str]]] = MappingProxyType({})


class How(StrEnum):
    """How a portion is issued without a tap (M-30): some of the ways of `ServedBy`."""

    CLASS_LIST = "class_list"
    COVERED_TABLE = "covered_table"
    STREAM = "stream"
    PRE_ORDER = "pre_order"
    FORGOTTEN_CARD = "forgotten_card"
    ASKED = "asked"


class Issued(Struct, frozen=True):
    """What came of one pupil of a list. `sequence` is the record's row, None when the journal took none.

    `outcome` is what bystanders may see (M-38); `facts` are for the staff.
    """

    pupil: bytes
    outcome: Outcome
    facts: tuple[Reason, ...]
    meal: Serving | None = None
    sequence: int | None = None


class ServingList(Struct, frozen=True):
    """One list to serve. `serving` is a meal kind, "by_shift" or empty for the meal of the hour; `answered` is by pupil
    what staff were asked of him and said yes to (flags of `QUESTIONS`).
    """

    serving: str
    how: How
    operator: str
    now: datetime
    confirmed_by: str = ""
    answered: Mapping[bytes, frozenset[str]] = NOTHING_ANSWERED


def issue(counter: CanteenCounter, pupils: Sequence[bytes], batch: ServingList) -> list[Issued]:
    """Issue a portion to each of `pupils`, each on his own account and with his own record (M-31).

    That one pupil is refused stops none of the others. Raises `CanteenRefused` when the list as such cannot be
    served: an unknown meal, or no second person to confirm it (M-35).
    """
    if batch.how is How.FORGOTTEN_CARD:
        require(against_single_issue(batch.operator, batch.confirmed_by), counter.policy.currency)
    kinds = counter.policy.meals.kinds
    if batch.serving not in ("", BY_SHIFT) and batch.serving not in kinds:
        known = ", ".join((*kinds, BY_SHIFT))
        raise CanteenRefused(
            f"no meal {batch.serving!r} in the region document", f"It has: {known}.", CanteenFault.NO_MEAL
        )
    counter.follow()
    return [_issue(counter, ref, batch) for ref in pupils]


def foresee(counter: CanteenCounter, ref: bytes, batch: ServingList) -> tuple[Serving | MealRefusal, Trail]:
    """What `issue` would come to for the pupil `ref`, and why; nothing is written."""
    trail = Trail()
    return _decide(counter, counter.pupil(ref, batch.now), batch, trail), trail


def issue_asked(counter: CanteenCounter, pupil: Pupil, batch: ServingList) -> Issued:
    """Issue the portion that a tap left to the cashier, who said yes: to a pupil of the list, or to one of whom only
    his card speaks (`pupil.listed` is False).
    """
    counter.follow()
    if pupil.listed:
        return _issue(counter, pupil.ref, batch)
    trail = Trail()
    return _written(counter, pupil.ref, _decide(counter, pupil, batch, trail), batch, trail)


def require_whole(counter: CanteenCounter, pupils: Sequence[bytes], batch: ServingList) -> None:
    """M-35: a list that serves fewer than half of whom the meal is for in these pupils' classes is single pupils, and
    a second person confirms it. Raises `CanteenRefused`.
    """
    if batch.how in (How.FORGOTTEN_CARD, How.ASKED) or counter.roster is None:
        return
    listed = counter.roster.pupils
    classes = {listed[ref].class_id for ref in pupils if ref in listed}
    day, there = counter.day_of(batch.now).isoformat(), 0
    for ref in (ref for name in classes for ref in counter.roster.classes[name]):
        if counter.ledger.absent(ref, day) or listed[ref].home_schooled:
            continue
        meal, _ = foresee(counter, ref, batch)
        there += not isinstance(meal, MealRefusal) or meal.message is Message.MEAL_ALREADY
    if 2 * len(pupils) < there:
        require(against_single_issue(batch.operator, batch.confirmed_by), counter.policy.currency)


def pupils_of(counter: CanteenCounter, class_id: str, absent: Iterable[bytes], now: datetime) -> list[bytes]:
    """The pupils of a class who are there: all but `absent`, the home schooled and those the attendance misses.

    Raises `CanteenRefused` for a class the roster does not have.
    """
    if counter.roster is None or class_id not in counter.roster.classes:
        known = "none" if counter.roster is None else ", ".join(counter.roster.classes)
        raise CanteenRefused(
            f"the roster has no class {class_id!r}", f"It has: {known}.", CanteenFault.NO_CLASS
        )
    day, missing = counter.day_of(now).isoformat(), frozenset(absent)
    return [
        ref
        for ref in counter.roster.classes[class_id]
        if ref not in missing
        and not counter.roster.pupils[ref].home_schooled
        and not counter.ledger.absent(ref, day)
    ]


def _issue(counter: CanteenCounter, ref: bytes, batch: ServingList) -> Issued:
    trail = Trail()
    return _written(counter, ref, _decide(counter, counter.pupil(ref, batch.now), batch, trail), batch, trail)


def _written(
    counter: CanteenCounter, ref: bytes, meal: Serving | MealRefusal, batch: ServingList, trail: Trail
) -> Issued:
    if isinstance(meal, MealRefusal):
        values = {"meal": meal.meal} if meal.meal else NO_VALUES
        outcome = Outcome(meal.message, Admission.REFUSED, values=values)
        counter.note_refusal(ref, ServedBy(batch.how), batch.operator, outcome, trail, batch.now)
        return Issued(ref, outcome, tuple(trail.reasons))
    return _write(counter, ref, meal, batch, trail)


def _write(counter: CanteenCounter, ref: bytes, meal: Serving, batch: ServingList, trail: Trail) -> Issued:
    record = counter.meal_record(
        ref,
        meal,
        ServedBy(batch.how),
        tuple(trail.reasons),
        batch.now,
        operator=batch.operator,
        confirmed_by=batch.confirmed_by,
    )
    sequence: int | None = None
    try:
        sequence = counter.append(record)
    except JournalError:
        if not meal.entitled:
            trail.note(AccountEffect.SELLING_STOPPED)
            return Issued(ref, Outcome(Message.SELLING_STOPPED, Admission.REFUSED), tuple(trail.reasons))
        trail.reasons.append(counter.write_spare(record))
    outcome = Outcome(Message.MEAL_OK, Admission.LET_IN, values={"meal": meal.kind})
    return Issued(ref, outcome, tuple(trail.reasons), meal, sequence)


def _decide(
    counter: CanteenCounter, pupil: Pupil | None, batch: ServingList, trail: Trail
) -> Serving | MealRefusal:
    closed = counter.against_serving(batch.now)
    if closed is not None:
        trail.reasons.append(closed)
        return MealRefusal(AGAINST_SERVING[closed.effect])
    if pupil is None:
        trail.note(MealEffect.NOT_LISTED)
        return MealRefusal(Message.PUPIL_UNKNOWN)
    meals, at, suspect = counter.policy.meals, counter.time_of(batch.now), counter.clock_suspect()
    mark_list(counter.policy.document, batch.now, trail, clock_suspect=suspect)
    day = counter.day_of(batch.now)
    kind = kind_for(pupil, meals, batch.serving, pupil.shift, day, at, trail, clock_suspect=suspect)
    if isinstance(kind, MealRefusal):
        return kind
    ordered, stopped = batch.how is How.PRE_ORDER, counter.stopped(batch.now)
    agreed = Agreed(batch.answered.get(pupil.ref, frozenset()), counter.elsewhere(pupil.ref, day))
    return decide_listed(
        pupil, kind, day, meals, trail, ordered=ordered, stopped=stopped, clock_suspect=suspect, agreed=agreed
    )
