"""Service days, and days written relative to the day a card is issued: `today`, `-30d`, `month_end+1d`."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

GRAMMAR: Final = "today, +30d, -30d, month_start, month_end, month_end+1d, or a date like 2026-09-01"
_RELATIVE: Final = re.compile(r"(today|month_start|month_end)?([+-]\d{1,5}d)?")


@dataclass(frozen=True, slots=True)
class RelativeDay:
    """A day that becomes a date when the issue day is known."""

    anchor: str | date
    offset_days: int

    def on(self, today: date) -> date:
        """The date, when `today` is the issue day. Raises `OverflowError` outside the calendar."""
        return self._anchored(today) + timedelta(days=self.offset_days)

    def _anchored(self, today: date) -> date:
        match self.anchor:
            case "month_start":
                return today.replace(day=1)
            case "month_end":
                return today.replace(day=calendar.monthrange(today.year, today.month)[1])
            case date() as fixed:
                return fixed
            case _:
                return today


def parse_day(text: str) -> RelativeDay:
    """The day `text` means; raises `ValueError` with the grammar."""
    relative = _RELATIVE.fullmatch(text)
    if relative is not None and text:
        return RelativeDay(relative[1] or "today", int((relative[2] or "0d")[:-1]))
    try:
        return RelativeDay(date.fromisoformat(text), 0)
    except ValueError as error:
        raise ValueError(f"{text!r} is no day; write {GRAMMAR}") from error


def service_days(zone: str, end_hour: int) -> Callable[[datetime], date]:
    """The service day of a moment: before `end_hour` local time it is still the day before.

    Raises `ValueError` for a zone that does not exist.
    """
    try:
        local = ZoneInfo(zone)
    except (KeyError, OSError) as error:
        raise ValueError(f"no time zone {zone!r}") from error
    return lambda at: (at.astimezone(local) - timedelta(hours=end_hour)).date()
