"""The end of a canteen's day: its report, and the record after which nothing of it changes any more."""

from __future__ import annotations

from datetime import date, datetime

from terminal.canteen.desk import CanteenDesk
from terminal.canteen.report import DayReport, day_report
from terminal.clock import unix_ms
from terminal.errors import CanteenRefused
from terminal.journal.canteen_records import DayClosed


def report_of(desk: CanteenDesk, day: date, now: datetime) -> DayReport:
    """The report of this terminal's own records for the service day `day`."""
    desk.follow()
    return day_report(desk.ledger, desk.school, day, desk.known(), now)


def close_day(desk: CanteenDesk, operator: str, now: datetime) -> DayReport:
    """Close the service day of `now` and return its report (M-34: from here on nothing is annulled).

    Raises `CanteenRefused` when it is closed already.
    """
    report = report_of(desk, desk.day_of(now), now)
    if report.closed:
        raise CanteenRefused(f"the day {report.day} is closed already", "Print its report instead.")
    desk.append(DayClosed(at_ms=unix_ms(now), day=report.day, operator=operator, totals=report.totals()))
    return report_of(desk, desk.day_of(now), now)
