"""Issuing to a class: the tick list, and what came of each pupil (M-31, M-33).

One who is refused stops none of the others. Balances are those of the hot-meal account, which a class teacher may see.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final

from msgspec import Struct

from terminal.canteen.counter import CanteenCounter
from terminal.canteen.issuing import How, Issued, ServingList, issue
from terminal.decision.canteen.undo import against_attendance
from terminal.policy.document.meals import BY_SHIFT
from terminal.screen.console.canteen.counter import why
from terminal.screen.console.canteen.people import Person, classmates, person
from terminal.trip.pupil import Pupil

HERE: Final = "here"
SERVED: Final = "served"
ABSENT: Final = "absent"
HOME: Final = "home"
WAYS: Final = (How.CLASS_LIST, How.COVERED_TABLE, How.PRE_ORDER)
"""How a class may be served from the list."""


class Tick(Struct, frozen=True):
    """One line of the list. `state` is here, served, absent or home; only who is here can be ticked."""

    person: Person
    state: str
    ticked: bool
    balance_minor: int | None
    without: tuple[str, ...]

    @property
    def open(self) -> bool:
        """Whether there is anything to tick."""
        return self.state in (HERE, ABSENT)


class TickList(Struct, frozen=True):
    """A class before it is served. `kind` is a meal, "by_shift", or empty when nothing is served at this hour."""

    class_id: str
    kind: str
    kinds: tuple[str, ...]
    lines: tuple[Tick, ...]
    attendance_open: bool
    """Whether it may still be corrected who is at school today (M-33)."""

    @property
    def ticked(self) -> int:
        """How many are ticked."""
        return sum(line.ticked for line in self.lines)


class IssueResult(Struct, frozen=True):
    """What came of one pupil; `why` is for the staff, `meal` what was handed out or refused, where it is known."""

    person: Person
    message: str
    served: bool
    why: str
    meal: str = ""


def tick_list(counter: CanteenCounter, class_id: str, serving: str, now: datetime) -> TickList:
    """The list of `class_id` for the meal `serving`, all ticked who are there and were not served yet."""
    kind = serving or _of_the_hour(counter, now)
    lines = []
    for one in classmates(counter, class_id):
        pupil = counter.pupil(one.pupil, now)
        assert pupil is not None, "taken from the roster"
        state = _state(counter, pupil, kind)
        balance_minor = None if pupil.hot is None else pupil.hot.balance_minor
        lines.append(Tick(one, state, state == HERE, balance_minor, tuple(sorted(pupil.forbidden))))
    local = now.astimezone(counter.policy.zone)
    late = against_attendance(local, counter.day_of(now), counter.policy.meals)
    return TickList(class_id, kind, (*counter.policy.meals.kinds, BY_SHIFT), tuple(lines), late is None)


def serve_class(
    counter: CanteenCounter, refs: Iterable[bytes], serving: str, how: How, operator: str, now: datetime
) -> tuple[IssueResult, ...]:
    """Issue to each of `refs`, each with a record of his own. Raises `CanteenRefused` for an unknown meal."""
    return results_of(counter, issue(counter, tuple(refs), ServingList(serving, how, operator, now)))


def results_of(counter: CanteenCounter, issued: Iterable[Issued]) -> tuple[IssueResult, ...]:
    """What was issued, with names and for people."""
    return tuple(
        IssueResult(
            person=person(counter, one.pupil) or Person(one.pupil.hex(), "", ""),
            message=one.outcome.message,
            served=one.outcome.accepted,
            why="" if one.outcome.accepted else why(one.facts),
            meal=str(one.outcome.values.get("meal", "")),
        )
        for one in issued
    )


def ticked_of(counter: CanteenCounter, class_id: str, ticked: Collection[str]) -> tuple[bytes, ...]:
    """Those of `ticked` who are in the class: a form cannot serve other pupils."""
    return tuple(one.pupil for one in classmates(counter, class_id) if one.ref in ticked)


def _of_the_hour(counter: CanteenCounter, now: datetime) -> str:
    if counter.serving:
        return counter.serving
    kind = counter.policy.meals.kind_at(counter.time_of(now), counter.school)
    return "" if kind is None else kind.id


def _state(counter: CanteenCounter, pupil: Pupil, serving: str) -> str:
    meals = counter.policy.meals
    kind = meals.assigned(pupil.shift, pupil.school) if serving == BY_SHIFT else meals.kinds.get(serving)
    if pupil.home_schooled:
        return HOME
    if kind is not None and pupil.served >> kind.bit & 1:
        return SERVED
    return ABSENT if pupil.absent else HERE
