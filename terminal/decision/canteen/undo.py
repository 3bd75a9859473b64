"""What may be changed afterwards, and until when: orders, attendance, annulment, the second confirmation.

Each answers with the reason against it, or None when it may be done.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from terminal.decision.outcome import Reason
from terminal.policy.meals.index import MealPolicy


def against_order(placed: datetime, day: date, policy: MealPolicy, school: str) -> Reason | None:
    """M-32: an order for `day` is in time until the cut-off, so many school days before; `placed` is local."""
    rule, last = policy.document.pre_order, day
    for _ in range(rule.school_days_before):
        last = policy.school_day_before(last, school)
    cut_off = datetime.combine(last, rule.until)
    if placed.replace(tzinfo=None) <= cut_off:
        return None
    return Reason("M-32", "ordered after the cut-off", {"cut_off": cut_off.isoformat(timespec="minutes")})


def against_attendance(now: datetime, day: date, policy: MealPolicy) -> Reason | None:
    """M-33: the attendance of `day` is corrected before the document's time of that day; `now` is local."""
    until = datetime.combine(day, policy.document.attendance.until)
    if now.replace(tzinfo=None) < until:
        return None
    return Reason("M-33", "too late for a correction", {"until": until.isoformat(timespec="minutes")})


def against_annulment(
    served_at: datetime, now: datetime, policy: MealPolicy, *, last: bool, day_closed: bool
) -> Reason | None:
    """M-34: the last record of a pupil, within the window, before the day is closed."""
    if day_closed:
        return Reason("M-34", "the day is closed")
    if not last:
        return Reason("M-34", "not the last record of this pupil")
    window_s = policy.document.annulment.window_s
    age = abs(now - served_at)  # a clock set back must not open the window for ever
    if age <= timedelta(seconds=window_s):
        return None
    inputs = {"age_s": int(age.total_seconds()), "window_s": window_s}
    return Reason("M-34", "too late to annul", inputs)


def against_single_issue(operator: str, confirmed_by: str) -> Reason | None:
    """M-35: who comes without his card is served from the list, or lent one, when a second person confirms."""
    if confirmed_by and confirmed_by != operator:
        return None
    return Reason("M-35", "a second person has to confirm")


def against_not_collected(now: time, served_until: time) -> Reason | None:
    """M-32: an order is not collected only when its serving is over; both are local times of day."""
    if now >= served_until:
        return None
    return Reason("M-32", "still being served", {"until": served_until.isoformat(timespec="minutes")})
