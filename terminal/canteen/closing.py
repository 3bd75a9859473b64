"""The end of a canteen's day: its report, and the record after which nothing of it changes any more."""

from __future__ import annotations

from datetime import date, datetime

from terminal.canteen.counter import CanteenCounter
from terminal.canteen.report import DayReport, day_report
from terminal.clock import unix_ms
from terminal.decision.canteen.effects import MealEffect
from terminal.errors import CanteenRefused
from terminal.journal.canteen_records import DayClosed


def report_of(counter: CanteenCounter, day: date) -> DayReport:
    """The report of this terminal's own records for the service day `day`."""
    counter.follow()
    return day_report(counter.ledger, counter.school, day, counter.known(), counter.policy.currency)


def close_day(counter: CanteenCounter, operator: str, now: datetime) -> DayReport:
    """Close the service day of `now` and return its report (M-34: from here on nothing is annulled).

    Raises `CanteenRefused` when it is closed already.
    """
    report = report_of(counter, counter.day_of(now))
    if report.closed:
        raise CanteenRefused(
            f"the day {report.day} is closed already", "Print its report instead.", MealEffect.DAY_CLOSED
        )
    counter.append(
        DayClosed(
            at_ms=unix_ms(now),
            day=report.day,
            operator=operator,
            totals=report.totals(),
            currency=counter.policy.currency,
        )
    )
    return report_of(counter, counter.day_of(now))
