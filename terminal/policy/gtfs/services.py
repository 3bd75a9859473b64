"""When a service runs and a timeframe holds: calendar days and times of day, as a clock on the wall shows them.

The day is the calendar day of the tap, not the service day: a tap at 00:30 belongs to the new day. A timeframe
includes its start and excludes its end.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from terminal.policy.gtfs.tables import DAY_S, CalendarDate, Exceptional, FeedCalendar, GtfsTables

HOUR_S: Final = 3600
REMEMBERED: Final = 1024
"""Of how many hours it is remembered which timeframes hold."""


class Service(Struct, frozen=True):
    """The days of one service; `weekdays` has bit 0 for Monday. `also`: only those that are days of this one, too."""

    weekdays: int = 0
    first: date = date.min
    last: date = date.min
    added: frozenset[date] = frozenset()
    removed: frozenset[date] = frozenset()
    also: Service | None = None

    def runs_on(self, day: date) -> bool:
        """Whether `day` belongs to the service: an exception wins over the week."""
        if self.also is not None and not self.also.runs_on(day):
            return False
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


ALWAYS: Final = Service(0b111_1111, date.min, date.max)


class ServiceWindow(NamedTuple):
    """Seconds after local midnight, start included and end excluded, on the days of `service`."""

    start_s: int
    end_s: int
    service: Service

    def covers(self, local: datetime) -> bool:
        """Whether the wall clock shows a time within."""
        second = local.hour * 3600 + local.minute * 60 + local.second
        return self.start_s <= second < self.end_s and self.service.runs_on(local.date())


class _Span(NamedTuple):
    """The timeframes that hold from `begins` until before `ends`, seconds since 1970."""

    begins: int
    ends: int
    held: frozenset[int]


class HeldTimes:
    """Which of a feed's timeframes hold at a moment; what was found is remembered until one of them begins or ends."""

    __slots__ = ("_edges", "_known", "_timeframes")

    def __init__(self, timeframes: Sequence[Sequence[ServiceWindow]]) -> None:
        """`timeframes` by their numbers; 0 is any time."""
        self._timeframes = timeframes
        edges = {edge for windows in timeframes for window in windows for edge in window[:2]}
        self._edges = sorted({0, DAY_S} | {edge for edge in edges if 0 < edge < DAY_S})
        self._known: dict[tuple[ZoneInfo, int], _Span] = {}

    def at(self, moment: int, zone: ZoneInfo) -> frozenset[int]:
        """The numbers of those that hold at `moment`, seconds since 1970, where clocks are those of `zone`."""
        asked = zone, moment // HOUR_S
        span = self._known.get(asked)
        if span is None or not span.begins <= moment < span.ends:
            if len(self._known) == REMEMBERED:
                self._known.clear()
            span = self._known[asked] = self._span(moment, zone)
        return span.held

    def _span(self, moment: int, zone: ZoneInfo) -> _Span:
        local = datetime.fromtimestamp(moment, zone)
        held = frozenset(
            number
            for number, windows in enumerate(self._timeframes)
            if not number or any(window.covers(local) for window in windows)
        )
        second = local.hour * HOUR_S + local.minute * 60 + local.second
        after = bisect_right(self._edges, second)
        begins, ends = moment - second + self._edges[after - 1], moment - second + self._edges[after]
        clocks = {datetime.fromtimestamp(edge, zone).utcoffset() for edge in (begins, moment, ends)}
        return _Span(begins, ends, held) if len(clocks) == 1 else _Span(moment, moment + 1, held)


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


Timeframe = tuple[str | None, str | None]
"""Timeframe group and service that a leg rule asks for at its start; None: any."""


def starts_of(tables: GtfsTables) -> tuple[Timeframe, ...]:
    """Every timeframe there is: the groups, and with them or alone the services that leg rules name."""
    groups = dict.fromkeys((row.timeframe_group_id, None) for row in tables.timeframes)
    rules = dict.fromkeys(
        (rule.from_timeframe_group_id, rule.service_id)
        for rule in tables.fare_leg_rules
        if rule.service_id is not None
    )
    return (*groups, *rules)


def timeframes_of(tables: GtfsTables, *, include_end: bool) -> dict[Timeframe, tuple[ServiceWindow, ...]]:
    """The windows of every timeframe, in the order of `starts_of`."""
    services = services_of(tables.calendar, tables.calendar_dates)
    groups: dict[str, list[ServiceWindow]] = {}
    for row in tables.timeframes:
        window = ServiceWindow(row.start_s, row.end_s + include_end, services[row.service_id])
        groups.setdefault(row.timeframe_group_id, []).append(window)
    found: dict[Timeframe, tuple[ServiceWindow, ...]] = {}
    for group, service in starts_of(tables):
        windows = [ServiceWindow(0, DAY_S, ALWAYS)] if group is None else groups[group]
        found[group, service] = tuple(
            window if service is None else _on_days_of(window, services[service]) for window in windows
        )
    return found


def _on_days_of(window: ServiceWindow, service: Service) -> ServiceWindow:
    both = replace(window.service, also=service) if window.service is not ALWAYS else service
    return window._replace(service=both)


def _service(week: FeedCalendar | None, exceptions: Mapping[Exceptional, set[date]]) -> Service:
    added = frozenset(exceptions.get(Exceptional.ADDED, ()))
    removed = frozenset(exceptions.get(Exceptional.REMOVED, ()))
    if week is None:
        return Service(added=added, removed=removed)
    days = (week.monday, week.tuesday, week.wednesday, week.thursday, week.friday, week.saturday, week.sunday)
    mask = sum(runs << bit for bit, runs in enumerate(days))
    return Service(mask, week.start_date, week.end_date, added, removed)
