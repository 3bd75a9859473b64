"""When a service runs and a timeframe holds: calendar days and times of day, as a clock on the wall shows them.

The day is the calendar day of the tap, not the service day: a tap at 00:30 belongs to the new day. A timeframe
includes its start and excludes its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

from msgspec import Struct

from terminal.policy.gtfs.tables import CalendarDate, Exceptional, FeedCalendar, GtfsTables


class Service(Struct, frozen=True):
    """The days of one service; `weekdays` has bit 0 for Monday."""

    weekdays: int = 0
    first: date = date.min
    last: date = date.min
    added: frozenset[date] = frozenset()
    removed: frozenset[date] = frozenset()

    def runs_on(self, day: date) -> bool:
        """Whether `day` belongs to the service: an exception wins over the week."""
        if day in self.added:
            return True
        if day in self.removed:
            return False
        return self.first <= day <= self.last and bool(self.weekdays >> day.weekday() & 1)

    @property
    def never_runs(self) -> bool:
        """No day at all belongs to it."""
        span = (self.last - self.first).days + 1
        return not self.added and not any(
            self.runs_on(date.fromordinal(self.first.toordinal() + offset)) for offset in range(span)
        )


class ServiceWindow(NamedTuple):
    """Seconds after local midnight, start included and end excluded, on the days of `service`."""

    start_s: int
    end_s: int
    service: Service

    def covers(self, local: datetime) -> bool:
        """Whether the wall clock shows a time within."""
        second = local.hour * 3600 + local.minute * 60 + local.second
        return self.start_s <= second < self.end_s and self.service.runs_on(local.date())


def services_of(calendar: Sequence[FeedCalendar], dates: Sequence[CalendarDate]) -> dict[str, Service]:
    """Every service by its id; one that only has dates runs on those."""
    exceptions: dict[str, dict[Exceptional, set[date]]] = {}
    for row in dates:
        kinds = exceptions.setdefault(row.service_id, {kind: set() for kind in Exceptional})
        kinds[row.exception_type].add(row.date)
    weeks = {row.service_id: row for row in calendar}
    return {
        service_id: _service(weeks.get(service_id), exceptions.get(service_id, {}))
        for service_id in (*weeks, *(name for name in exceptions if name not in weeks))
    }


def timeframes_of(tables: GtfsTables, *, include_end: bool) -> dict[str, tuple[ServiceWindow, ...]]:
    """The windows of every timeframe group."""
    services = services_of(tables.calendar, tables.calendar_dates)
    groups: dict[str, list[ServiceWindow]] = {}
    for row in tables.timeframes:
        window = ServiceWindow(row.start_s, row.end_s + include_end, services[row.service_id])
        groups.setdefault(row.timeframe_group_id, []).append(window)
    return {group: tuple(windows) for group, windows in groups.items()}


def _service(week: FeedCalendar | None, exceptions: Mapping[Exceptional, set[date]]) -> Service:
    added = frozenset(exceptions.get(Exceptional.ADDED, ()))
    removed = frozenset(exceptions.get(Exceptional.REMOVED, ()))
    if week is None:
        return Service(added=added, removed=removed)
    days = (week.monday, week.tuesday, week.wednesday, week.thursday, week.friday, week.saturday, week.sunday)
    mask = sum(runs << bit for bit, runs in enumerate(days))
    return Service(mask, week.start_date, week.end_date, added, removed)
