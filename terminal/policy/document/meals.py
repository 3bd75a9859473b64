"""The canteen's part of a region document: what is served when and where, to whom, and who pays."""

from __future__ import annotations

from datetime import date, time
from typing import Annotated, Final, Literal

from msgspec import Meta

from terminal.policy.base import Fare, Minor, Name, Section, Weekday

MEAL_BITS: Final = 8
LAST_GRADE: Final = 11
SHIFTS: Final = (1, 2)
PARENTS: Final = "parents"
"""The funder that is the pupil's hot-meal account; every other one is a budget."""
ASK: Final = "ask"
"""The cashier is asked before it is given."""
SERVE: Final = "serve"
"""It is given without a question."""
PAID: Final = "paid"
"""The category of a meal to which the pupil has no entitlement."""
BY_SHIFT: Final = "by_shift"
"""The kind of a portion that is whatever the pupil's shift is assigned (M-15)."""

Grade = Annotated[int, Meta(ge=1, le=LAST_GRADE)]
Asked = Literal["ask", "serve"]
Shift = Annotated[int, Meta(ge=SHIFTS[0], le=SHIFTS[-1])]


class MealKind(Section, frozen=True, kw_only=True):
    """Served in [`served_from`, `served_until`); `bit` is its place in the event's mask of the day."""

    id: Name
    bit: Annotated[int, Meta(ge=0, lt=MEAL_BITS)]
    served_from: time
    served_until: time


class Grades(Section, frozen=True, kw_only=True):
    """School grades, both included."""

    first: Grade
    last: Grade

    def include(self, grade: int) -> bool:
        """Whether `grade` is one of them; 0 is "not stated" and contradicts nothing."""
        return not grade or self.first <= grade <= self.last


class MealPrice(Section, frozen=True, kw_only=True):
    """What a pupil without an entitlement to it pays for one portion, from the hot-meal account."""

    kind: Name
    price_minor: Fare
    grades: Grades | None = None


class ShiftMeal(Section, frozen=True, kw_only=True):
    """M-15: the meal a school shift is assigned."""

    shift: Shift
    kind: Name


class Funder(Section, frozen=True, kw_only=True):
    """Who pays how much of one portion (M-01). `parents` is the hot-meal account; budgets have any other name."""

    source: Name
    sum_minor: Minor


class Portion(Section, frozen=True, kw_only=True):
    """One portion a day of this kind; the funders' sums add up to `sum_minor`.

    It is free when no funder is `parents`, else they pay that part (M-12).
    """

    kind: Name
    sum_minor: Fare
    funders: tuple[Funder, ...]


MealRuleId = Literal["M-10", "M-11", "M-12", "M-13", "M-14"]
"""The rule that gives a meal: a grade, special needs, the family, a serving parent, a category of the region."""


class MealEntitlement(Section, frozen=True, kw_only=True):
    """What a concession code gives in the canteen each day. `day_sum_minor` is the sum of its portions.

    `grades` and `shift` narrow it. On a card they are the concession's parameter (low four bits the grade on
    its first day, high four the school shift, 0 = not stated); a roster knows better and wins. A pupil takes
    the first entitlement of the code that does not contradict them; a shift not stated is the first one.
    """

    code: Annotated[int, Meta(ge=1, le=255)]
    rule: MealRuleId
    day_sum_minor: Fare
    portions: tuple[Portion, ...]
    grades: Grades | None = None
    shift: Shift | None = None


class Replace(Section, frozen=True, kw_only=True, tag_field="kind", tag="replace"):
    """M-16: who has both codes gets `winner` only."""

    winner: int
    loser: int


class Add(Section, frozen=True, kw_only=True, tag_field="kind", tag="add"):
    """M-16: who has both codes gets both; where they give the same kind it is one portion with both sums."""

    codes: tuple[int, int]


class Max(Section, frozen=True, kw_only=True, tag_field="kind", tag="max"):
    """M-16: who has both codes gets the one with more meals, of equals the larger sum, then the smaller code."""

    codes: tuple[int, int]


Combination = Replace | Add | Max


class Days(Section, frozen=True, kw_only=True):
    """Dates, both included; `name` is for people."""

    first: date
    last: date
    name: str = ""


class Calendar(Section, frozen=True, kw_only=True):
    """M-17: the days a school is attended from `first` to `last`, as data.

    A day is attended when it falls on one of `weekdays` and into no holiday, or is one of `extra`. Of other days
    the calendar says nothing: then meals are served and flagged, because no child goes hungry for a calendar
    that was not renewed.
    """

    id: Name
    first: date
    last: date
    weekdays: tuple[Weekday, ...]
    holidays: tuple[Days, ...] = ()
    extra: tuple[date, ...] = ()


class MealBreak(Section, frozen=True, kw_only=True):
    """M-17: a break in serving («перерыв в питании»), of the whole school or of these grades or classes only."""

    first: date
    last: date
    name: str = ""
    grades: Grades | None = None
    classes: tuple[str, ...] = ()


class Window(Section, frozen=True, kw_only=True):
    """When one school serves a kind, instead of the kind's own times; several of a kind are its breaks."""

    kind: Name
    served_from: time
    served_until: time


class School(Section, frozen=True, kw_only=True):
    """What one school does differently; a school that is not listed follows the document.

    `calendars` follow one another without a gap (last year's, this year's); with none every day is attended.
    """

    id: Name
    name: str
    by_shift: tuple[ShiftMeal, ...] = ()
    windows: tuple[Window, ...] = ()
    calendars: tuple[Name, ...] = ()
    breaks: tuple[MealBreak, ...] = ()


class CreditNone(Section, frozen=True, tag_field="kind", tag="none"):
    """M-36: the hot-meal account never goes below zero."""


class CreditOneMeal(Section, frozen=True, tag_field="kind", tag="one_meal"):
    """M-36: it may go below zero by the price of the meal that is being served."""


class CreditAmount(Section, frozen=True, kw_only=True, tag_field="kind", tag="amount"):
    """M-36: it may go below zero by so much."""

    limit_minor: Fare


Credit = CreditNone | CreditOneMeal | CreditAmount


class PreOrder(Section, frozen=True, kw_only=True):
    """M-32: orders are taken until `until`, so many school days before.

    `paid_needs_order`: a paid meal is given from an order only. Entitled meals never need one (M-37).
    """

    until: time = time(18)
    school_days_before: Annotated[int, Meta(ge=0, le=10)] = 1
    paid_needs_order: bool = False


class CashierAsked(Section, frozen=True, kw_only=True):
    """What the cashier decides for each pupil ("ask") and what is served without a question ("serve").

    `without_order`: a paid meal that was not ordered. `other_entitlement`: a paid meal for a pupil who is entitled to
    another one today. `not_listed`: a meal that a budget pays, for a card that the school's list does not have.
    """

    without_order: Asked = "ask"
    other_entitlement: Asked = "ask"
    not_listed: Asked = "ask"


class AttendanceCorrection(Section, frozen=True, kw_only=True):
    """M-33: until when a class's attendance of the day may be corrected (the minute itself is too late)."""

    until: time = time(9)


class AnnulmentWindow(Section, frozen=True, kw_only=True):
    """M-34: how long after a record it may be annulled, the last second included."""

    window_s: Annotated[int, Meta(ge=0, le=24 * 3600)] = 300


class SchoolYear(Section, frozen=True, kw_only=True):
    """M-20: the day on which every pupil is one grade higher."""

    month: Annotated[int, Meta(ge=1, le=12)] = 9
    day: Annotated[int, Meta(ge=1, le=28)] = 1


class Meals(Section, frozen=True, kw_only=True):
    """The canteen: what is served when, to whom, and who pays."""

    kinds: tuple[MealKind, ...] = ()
    prices: tuple[MealPrice, ...] = ()
    by_shift: tuple[ShiftMeal, ...] = ()
    entitlements: tuple[MealEntitlement, ...] = ()
    combine: tuple[Combination, ...] = ()
    calendars: tuple[Calendar, ...] = ()
    schools: tuple[School, ...] = ()
    school_year: SchoolYear = SchoolYear()
    credit: Credit = CreditOneMeal()
    pre_order: PreOrder = PreOrder()
    ask: CashierAsked = CashierAsked()
    attendance: AttendanceCorrection = AttendanceCorrection()
    annulment: AnnulmentWindow = AnnulmentWindow()
