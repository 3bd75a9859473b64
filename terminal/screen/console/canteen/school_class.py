"""Issuing to a class: the tick list, and what came of each pupil (M-31, M-33).

One who is refused stops none of the others. Balances are those of the hot-meal account, which a class teacher may see.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from terminal.canteen.counter import CanteenCounter
from terminal.canteen.issuing import How, Issued, ServingList, foresee
from terminal.decision.canteen.serving import ALL_ANSWERED, QUESTIONS, MealRefusal
from terminal.decision.canteen.undo import against_attendance
from terminal.decision.flags import MealFlag
from terminal.decision.outcome import Message
from terminal.policy.document.meals import BY_SHIFT
from terminal.screen.console.canteen.counter import kind_served, why
from terminal.screen.console.canteen.people import Person, classmates, person
from terminal.trip.pupil import Pupil

HERE: Final = "here"
SERVED: Final = "served"
ABSENT: Final = "absent"
HOME: Final = "home"
WAYS: Final = (How.CLASS_LIST, How.COVERED_TABLE, How.PRE_ORDER)
"""How a class may be served from the list."""


class Tick(Struct, frozen=True):
    """One line of the list. `state` is here, served, absent or home; only who is here can be ticked.

    Ticked are those whom the meal is for; of the others who are here `asks` says what the cashier decides by ticking
    them (flags of `QUESTIONS`), or `message` and `why` what stands against the meal.
    """

    person: Person
    state: str
    ticked: bool
    balance_minor: int | None
    without: tuple[str, ...]
    asks: tuple[str, ...] = ()
    message: str = ""
    why: str = ""

    @property
    def open(self) -> bool:
        """Whether there is anything to tick."""
        return self.state in (HERE, ABSENT) and not self.message


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
    """The list of `class_id` for the meal `serving`, all ticked whom it is for, who are there and did not have it."""
    kind = serving or kind_served(counter, now)
    batch = ServingList(kind, How.CLASS_LIST, "", now)
    lines = tuple(_tick(counter, one, batch) for one in classmates(counter, class_id))
    local = now.astimezone(counter.policy.zone)
    late = against_attendance(local, counter.day_of(now), counter.policy.meals)
    return TickList(class_id, kind, (*counter.policy.meals.kinds, BY_SHIFT), lines, late is None)


def _tick(counter: CanteenCounter, one: Person, batch: ServingList) -> Tick:
    pupil = counter.pupil(one.pupil, batch.now)
    assert pupil is not None, "taken from the roster"
    state = _state(counter, pupil, batch.serving)
    balance_minor = None if pupil.hot is None else pupil.hot.balance_minor
    line = Tick(one, state, state == HERE, balance_minor, tuple(sorted(pupil.forbidden)))
    if state not in (HERE, ABSENT) or not batch.serving:
        return line
    meal, trail = foresee(counter, one.pupil, batch)
    if not isinstance(meal, MealRefusal):
        ordered = meal.entitled or meal.kind in pupil.orders
        return line if ordered else replace(line, ticked=False, asks=(MealFlag.WITHOUT_ORDER,))
    effects = {step.effect for step in trail.reasons}
    asks = tuple(flag for flag, effect in QUESTIONS.items() if effect in effects)
    if asks:
        return replace(line, ticked=False, asks=asks)
    if meal.message in (Message.SHIFT_CLOSED, Message.SERVING_CLOSED):
        return line  # the page's head says so
    return replace(line, ticked=False, message=meal.message, why=why(trail.reasons))


def answers_of(asked: Iterable[str]) -> dict[bytes, frozenset[str]]:
    """What a form says its page had asked of each pupil: fields "REF flag flag"."""
    found: dict[bytes, frozenset[str]] = {}
    for one in asked:
        ref, *flags = one.split(" ")
        with suppress(ValueError):
            found[bytes.fromhex(ref)] = ALL_ANSWERED.intersection(flags)
    return found


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


def _state(counter: CanteenCounter, pupil: Pupil, serving: str) -> str:
    meals = counter.policy.meals
    kind = meals.assigned(pupil.shift, pupil.school) if serving == BY_SHIFT else meals.kinds.get(serving)
    if pupil.home_schooled:
        return HOME
    if kind is not None and pupil.served >> kind.bit & 1:
        return SERVED
    return ABSENT if pupil.absent else HERE
