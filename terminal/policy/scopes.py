"""Where and when a rule holds: a ride's place, scopes, seasons and times of the week, ready to be asked.

The checks say what scopes, seasons and references to counters must satisfy, wherever in a document they stand.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from typing import Final

from msgspec import Struct

from terminal.errors import Mistake
from terminal.policy.base import Thing, Weekday, unique, unknown
from terminal.policy.document.counters import CounterSlot, Period
from terminal.policy.document.fares import Timeframe
from terminal.policy.document.rights import Scope, Season
from terminal.policy.document.schema import RegionDocument
from terminal.policy.mistakes import RuleMistake

DAY_S = 24 * 3600
_WEEKDAYS = tuple(Weekday)


class Ride(Struct, frozen=True, gc=False):
    """Where a ride goes. Zones by number, 0 where unknown; `length_m` beyond the boundary, None where unknown."""

    mode: str
    route: int
    zone: int
    to_zone: int
    length_m: int | None


class Area(Struct, frozen=True):
    """One alternative of a scope; None: does not matter."""

    modes: frozenset[str] | None
    routes: frozenset[int] | None
    zones: frozenset[int] | None
    touching: frozenset[int] | None
    longest_m: int | None
    anywhere: bool
    """Nothing but the mode matters, as in most scopes."""

    def holds(self, ride: Ride) -> bool | None:
        """Whether `ride`, which is of one of its modes, is inside; None when that is unknown."""
        if self.routes is not None and ride.route not in self.routes:
            return False
        near, short = self._zones_hold(ride), self._length_holds(ride)
        return False if near is False or short is False else near and short

    def _zones_hold(self, ride: Ride) -> bool | None:
        if self.zones is None and self.touching is None:
            return True
        zones = {zone for zone in (ride.zone, ride.to_zone) if zone}
        if not zones:
            return None
        within = self.zones is None or zones <= self.zones
        return within and (self.touching is None or bool(zones & self.touching))

    def _length_holds(self, ride: Ride) -> bool | None:
        if self.longest_m is None:
            return True
        return None if ride.length_m is None else ride.length_m <= self.longest_m


def inside(areas: tuple[Area, ...], ride: Ride) -> bool | None:
    """Whether `ride` is in one of `areas` (none: everywhere); None when that depends on something unknown."""
    if not areas:
        return True
    answer: bool | None = False
    for area in areas:
        if area.modes is not None and ride.mode not in area.modes:
            continue
        holds = area.anywhere or area.holds(ride)
        if holds:
            return True
        if holds is None:
            answer = None
    return answer


def areas_of(scope: tuple[Scope, ...], zones: Mapping[str, int]) -> tuple[Area, ...]:
    """`scope` with zone names replaced by numbers."""
    return tuple(
        Area(
            modes=frozenset(mode.value for mode in one.modes) or None,
            routes=frozenset(one.routes) or None,
            zones=frozenset(zones[name] for name in one.zones) or None,
            touching=frozenset(zones[name] for name in one.touching) or None,
            longest_m=one.longest_m,
            anywhere=not (one.routes or one.zones or one.touching) and one.longest_m is None,
        )
        for one in scope
    )


class YearlySeason(Struct, frozen=True):
    """T-15: days of the year as month * 100 + day."""

    first: int
    last: int

    @classmethod
    def of(cls, season: Season) -> YearlySeason:
        """Ready `season` for asking."""
        return cls(int(season.first.replace("-", "")), int(season.last.replace("-", "")))

    def holds(self, day: date) -> bool:
        """Whether `day` is in the season; one that ends before it begins runs over New Year."""
        today = day.month * 100 + day.day
        if self.first <= self.last:
            return self.first <= today <= self.last
        return today >= self.first or today <= self.last


class WeekTimes(Struct, frozen=True):
    """Per weekday, Monday first: spans of seconds of the day, their ends excluded, in order and apart."""

    days: tuple[tuple[tuple[int, int], ...], ...]

    @classmethod
    def of(cls, timeframe: Timeframe) -> WeekTimes:
        """The times of `timeframe`."""
        days: list[list[tuple[int, int]]] = [[] for _ in _WEEKDAYS]
        for window in timeframe.windows:
            ends = second_of(window.ends) or DAY_S
            for day in window.days:
                span = (second_of(window.starts), ends + window.end_included)
                days[_WEEKDAYS.index(day)].append(span)
        return cls(tuple(_merged(day) for day in days))

    def include(self, weekday: int, second: int) -> bool:
        """Whether `second` of the day (0 to 86399) of `weekday` (Monday is 0) is one of them."""
        for start, end in self.days[weekday]:  # noqa: SIM110 asked at every tap: a generator costs more
            if start <= second < end:
                return True
        return False

    def at(self, local: datetime) -> bool:
        """Whether a local time is one of them."""
        return self.include(local.weekday(), local.hour * 3600 + local.minute * 60 + local.second)

    def without(self) -> WeekTimes:
        """All other times."""
        return WeekTimes(tuple(_gaps(day) for day in self.days))

    def both(self, other: WeekTimes) -> WeekTimes:
        """The times that are in both."""
        return WeekTimes(
            tuple(
                _merged([(max(a, c), min(b, d)) for a, b in mine for c, d in theirs if max(a, c) < min(b, d)])
                for mine, theirs in zip(self.days, other.days, strict=True)
            )
        )

    def either(self, other: WeekTimes) -> WeekTimes:
        """The times that are in one of them."""
        days = zip(self.days, other.days, strict=True)
        return WeekTimes(tuple(_merged([*mine, *theirs]) for mine, theirs in days))

    def __bool__(self) -> bool:
        return any(self.days)


ALWAYS = WeekTimes((((0, DAY_S),),) * 7)
NEVER = WeekTimes(((),) * 7)


def second_of(of_day: time) -> int:
    """Seconds since midnight, whole ones."""
    return of_day.hour * 3600 + of_day.minute * 60 + of_day.second


def _merged(spans: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        end = min(stop, DAY_S)
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return tuple(merged)


def _gaps(spans: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    edges = [0, *(edge for span in spans for edge in span), DAY_S]
    return tuple((a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b)


DATED: Final = (
    Period.SERVICE_DAY,
    Period.SERVICE_WEEK,
    Period.SERVICE_MONTH,
    Period.HALF_YEAR,
    Period.YEAR,
)
LEAP_YEAR: Final = 2024
DAYS_OF_A_YEAR: Final = 366


def scope_problems(path: str, scope: tuple[Scope, ...], document: RegionDocument) -> Iterator[Mistake]:
    """Everything wrong with a scope at `path`."""
    known = [zone.name for zone in document.zones]
    for index, one in enumerate(scope):
        at = f"{path}[{index}]"
        if one == Scope():
            yield Mistake(at, RuleMistake.EMPTY_SCOPE)
        for key, names in (("zones", one.zones), ("touching", one.touching)):
            yield from unique(f"{at}.{key}", names)
            for number, name in enumerate(names):
                if name not in known:
                    yield unknown(f"{at}.{key}[{number}]", Thing.ZONE, name, known)
        yield from unique(f"{at}.modes", one.modes)
        yield from unique(f"{at}.routes", one.routes)


def season_problems(path: str, season: Season | None, document: RegionDocument) -> Iterator[Mistake]:
    """Days that no year has, and a season the document never sees."""
    if season is None:
        return
    wrong = list(_no_such_days(path, season))
    yield from wrong
    first, end = document.header.valid_from.date(), document.header.valid_to.date()
    if not wrong and not _sees(document, YearlySeason.of(season)):
        yield Mistake(path, RuleMistake.SEASON_NEVER, {"first": str(first), "end": str(end)})


def _no_such_days(path: str, season: Season) -> Iterator[Mistake]:
    for key, day in (("first", season.first), ("last", season.last)):
        month, number = map(int, day.split("-"))
        last = monthrange(LEAP_YEAR, month)[1]
        if number > last:
            yield Mistake(
                f"{path}.{key}", RuleMistake.NO_SUCH_DAY, {"day": day, "last": f"{month:02d}-{last}"}
            )


def _sees(document: RegionDocument, season: YearlySeason) -> bool:
    """Whether some day of the document is in `season`; of leap days only those it really has."""
    first, end = document.header.valid_from.date(), document.header.valid_to.date()
    days = (end - first).days
    near = range(min(days, DAYS_OF_A_YEAR) + 1)
    if any(season.holds(first + timedelta(days=n)) for n in near):
        return True
    return days > DAYS_OF_A_YEAR and any(season.holds(first + timedelta(days=n)) for n in range(days + 1))


def slots_of(document: RegionDocument) -> Mapping[str, CounterSlot]:
    """The counters on the card by name."""
    return {slot.name: slot for slot in document.counters.slots}


def counter_problems(
    path: str,
    name: str,
    document: RegionDocument,
    periods: tuple[Period, ...],
    most: int,
) -> Iterator[Mistake]:
    """Whether `name` is a counter of one of `periods` that can count to `most`."""
    slots = slots_of(document)
    slot = slots.get(name)
    if slot is None:
        yield unknown(path, Thing.COUNTER, name, slots)
        return
    if slot.period not in periods:
        " or ".join(periods)
        yield Mistake(
            path,
            RuleMistake.OTHER_PERIOD,
            {"counter": name, "period": slot.period, "wanted": ", ".join(periods)},
        )
    if most >= 1 << slot.bits:
        yield Mistake(
            path,
            RuleMistake.DOES_NOT_FIT,
            {
                "most": most,
                "bits": slot.bits,
                "counter": name,
                "fits": (1 << slot.bits) - 1,
                "needed": most.bit_length(),
            },
        )
