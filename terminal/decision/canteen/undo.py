"""What may be changed afterwards, and until when: orders, attendance, annulment, the second confirmation.

Each answers with the reason against it, or None when it may be done.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from terminal.decision.canteen.effects import CorrectionEffect, MealEffect
from terminal.policy.meals.index import MealPolicy
from terminal.trail import Reason


def against_order(placed: datetime, day: date, policy: MealPolicy, school: str) -> Reason | None:
    """M-32: an order for `day` is in time until the cut-off, so many school days before; `placed` is local."""
    rule, last = policy.document.pre_order, day
    for _ in range(rule.school_days_before):
        last = policy.school_day_before(last, school)
    cut_off = datetime.combine(last, rule.until)
    if placed.replace(tzinfo=None) <= cut_off:
        return None
    return Reason(CorrectionEffect.ORDER_TOO_LATE, {"day": last.isoformat(), "until": _time(rule.until)})


def against_attendance(now: datetime, day: date, policy: MealPolicy) -> Reason | None:
    """M-33: the attendance of `day` is corrected before the document's time of that day; `now` is local."""
    until = policy.document.attendance.until
    if now.replace(tzinfo=None) < datetime.combine(day, until):
        return None
    return Reason(CorrectionEffect.ATTENDANCE_TOO_LATE, {"until": _time(until)})


def against_annulment(
    served_at: datetime,
    now: datetime,
    policy: MealPolicy,
    *,
    last: bool,
    day_closed: bool,
    confirmed: bool = False,
) -> Reason | None:
    """M-34: the last record of a pupil, within the window or with a second person, before the day is closed."""
    if day_closed:
        return Reason(MealEffect.DAY_CLOSED)
    if not last:
        return Reason(CorrectionEffect.NOT_THE_LAST)
    window_s = policy.document.annulment.window_s
    age = abs(now - served_at)  # a clock set back must not open the window for ever
    if confirmed or age <= timedelta(seconds=window_s):
        return None
    inputs = {"age_s": int(age.total_seconds()), "window_s": window_s}
    return Reason(CorrectionEffect.ANNULMENT_TOO_LATE, inputs)


def against_single_issue(operator: str, confirmed_by: str) -> Reason | None:
    """M-35: who comes without his card is served from the list, or lent one, when a second person confirms."""
    if confirmed_by and confirmed_by != operator:
        return None
    return Reason(CorrectionEffect.SECOND_PERSON)


def against_not_collected(now: time, served_until: time) -> Reason | None:
    """M-32: an order is not collected only when its serving is over; both are local times of day."""
    if now >= served_until:
        return None
    return Reason(CorrectionEffect.STILL_SERVED, {"until": _time(served_until)})


def _time(of_day: time) -> str:
    return of_day.isoformat(timespec="minutes")
