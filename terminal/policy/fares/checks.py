"""What the ordinary fares of a region document must satisfy: no gap, no overlap, nothing out of reach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, time
from itertools import combinations
from typing import Final

from terminal.policy.base import Mode, Problem, unique, unknown
from terminal.policy.document.fares import (
    AnyFareRule,
    FareSource,
    FareTable,
    Timeframe,
    TimeWindow,
    ZoneFares,
)
from terminal.policy.document.schema import NO_BUS, RegionDocument
from terminal.policy.fares.index import MEDIA, times_of
from terminal.policy.scopes import ALWAYS, NEVER, WeekTimes

Times = Mapping[str, WeekTimes]
OTHER_ROUTE: Final = 0


def fare_problems(document: RegionDocument) -> Iterator[Problem]:
    """Everything wrong with zones, timeframes and fares, in reading order."""
    yield from _no_fares(document)
    yield from unique("zones", (zone.number for zone in document.zones), key="number")
    yield from unique("zones", (zone.name for zone in document.zones), key="name")
    yield from unique("timeframes", (timeframe.id for timeframe in document.timeframes), key="id")
    wrong = [problem for i, one in enumerate(document.timeframes) for problem in _timeframe(i, one)]
    yield from wrong
    if wrong:
        return
    times = {timeframe.id: WeekTimes.of(timeframe) for timeframe in document.timeframes}
    yield from _unused_timeframes(document)
    yield from _steps(document)
    for path, table in tables(document):
        yield from _table(path, table, document, times)


def _no_fares(document: RegionDocument) -> Iterator[Problem]:
    """A document may state no fares at all, but then nothing in it may hang on them."""
    if document.fares.source is not FareSource.NONE:
        return
    hang_on = (
        any(concession.fare is not None for concession in document.concessions),
        document.products,
        document.transfers,
        document.returns,
        document.zones,
        document.timeframes,
        document.checkin,
        document.caps,
        document.grace,
        document.profiles.bus != NO_BUS,
    )
    if any(hang_on):
        what = "rules of rides but no fares"
        yield Problem("fares", what, "Add a [fares] table, or leave everything about rides out.")


def tables(document: RegionDocument) -> list[tuple[str, FareTable]]:
    """The fare tables of a document with their paths."""
    steps = document.fares.steps
    return [("fares", document.fares), *((f"fares.steps[{i}]", step) for i, step in enumerate(steps))]


def _timeframe(index: int, timeframe: Timeframe) -> Iterator[Problem]:
    path = f"timeframes[{index}]"
    if not timeframe.windows:
        yield Problem(f"{path}.windows", "no window: it never holds", "Add a window or remove it.")
    for number, window in enumerate(timeframe.windows):
        yield from _window(f"{path}.windows[{number}]", window)


def _window(path: str, window: TimeWindow) -> Iterator[Problem]:
    if not window.days:
        yield Problem(f"{path}.days", "no day: it never holds", "Name a day of the week.")
    yield from unique(f"{path}.days", window.days)
    if window.starts.tzinfo is not None or window.ends.tzinfo is not None:
        yield Problem(path, "times with an offset", "Write local times such as 07:30:00.")
    elif window.ends != time() and window.starts >= window.ends:
        yield Problem(
            f"{path}.ends", "the window is empty", "Put it after `starts`, or split it at midnight."
        )


def _unused_timeframes(document: RegionDocument) -> Iterator[Problem]:
    rules = [rule for _, table in tables(document) for rule in table.rules]
    used = {name for rule in rules for name in (rule.when, rule.except_when)}
    for index, timeframe in enumerate(document.timeframes):
        if timeframe.id not in used:
            advice = "Name it in `when` or `except_when` of a fare rule, or remove it."
            yield Problem(f"timeframes[{index}]", f"no fare rule uses `{timeframe.id}`", advice)


def _steps(document: RegionDocument) -> Iterator[Problem]:
    header, before = document.header, document.header.valid_from.date()
    for index, step in enumerate(document.fares.steps):
        path, day = f"fares.steps[{index}].valid_from", step.valid_from
        if day <= before:
            advice = f"Put it after {before}, or start the document with these fares."
            yield Problem(path, f"{day} is not after what precedes it", advice)
        if day >= header.valid_to.date():
            yield Problem(path, f"never reached: the document ends on {header.valid_to}", "Remove the step.")
        before = max(before, day)


def _table(path: str, table: FareTable, document: RegionDocument, times: Times) -> Iterator[Problem]:
    yield from unique(f"{path}.rules", (rule.id for rule in table.rules), key="id")
    wrong: list[Problem] = []
    for index, rule in enumerate(table.rules):
        wrong += _rule(f"{path}.rules[{index}]", rule, document, times)
    yield from wrong
    if wrong:
        return
    yield from _overlaps(path, table, times)
    if table.by_medium is None and document.fares.source is FareSource.DOCUMENT:
        yield from _gaps(path, table, document, times)


def _rule(path: str, rule: AnyFareRule, document: RegionDocument, times: Times) -> Iterator[Problem]:
    yield from unique(f"{path}.modes", rule.modes)
    yield from unique(f"{path}.routes", rule.routes)
    for key, name in (("when", rule.when), ("except_when", rule.except_when)):
        if name is not None and name not in times:
            yield unknown(f"{path}.{key}", "timeframe", name, times)
            return
    if not times_of(rule, times):
        yield Problem(path, "`when` and `except_when` leave no time", "Take one of them out.")
    if isinstance(rule, ZoneFares):
        yield from _zone_table(path, rule, {zone.name for zone in document.zones})


def _zone_table(path: str, rule: ZoneFares, known: set[str]) -> Iterator[Problem]:
    yield from unique(f"{path}.zones", rule.zones)
    for index, name in enumerate(rule.zones):
        if name not in known:
            yield unknown(f"{path}.zones[{index}]", "zone", name, sorted(known))
    size = len(rule.zones)
    for medium in MEDIA:
        rows = getattr(rule.by_medium, medium.value)
        if len(rows) != size or any(len(row) != size for row in rows):
            yield Problem(
                f"{path}.by_medium.{medium}",
                f"not {size} rows of {size} prices",
                "Give a price for each zone boarded in and each zone left in.",
            )


def _overlaps(path: str, table: FareTable, times: Times) -> Iterator[Problem]:
    holds = {rule.id: times_of(rule, times) for rule in table.rules}
    numbered = list(enumerate(table.rules))
    anywhere = [(i, rule) for i, rule in numbered if not rule.routes]
    by_route: dict[int, list[tuple[int, AnyFareRule]]] = {}
    for i, rule in numbered:
        for route in rule.routes:
            by_route.setdefault(route, []).append((i, rule))
    seen: set[tuple[int, int]] = set()
    for group in ([*anywhere], *([*anywhere, *rules] for rules in by_route.values())):
        for (i, one), (j, other) in combinations(group, 2):
            pair = (min(i, j), max(i, j))
            if pair in seen:
                continue
            seen.add(pair)
            if _meet(one, other) and holds[one.id].both(holds[other.id]):
                first, second = table.rules[pair[0]], table.rules[pair[1]]
                yield Problem(
                    f"{path}.rules[{pair[1]}]",
                    f"`{second.id}` and `{first.id}` hold for the same ride",
                    "Keep their modes, routes, zones or times apart.",
                )


def _meet(one: AnyFareRule, other: AnyFareRule) -> bool:
    """Whether modes and zones of two rules with a common route have a ride in common."""
    if one.modes and other.modes and not set(one.modes) & set(other.modes):
        return False
    if isinstance(one, ZoneFares) and isinstance(other, ZoneFares):
        return bool(set(one.zones) & set(other.zones))
    return True


def _gaps(path: str, table: FareTable, document: RegionDocument, times: Times) -> Iterator[Problem]:
    """Where a ride would have no fare, for each mode and route that some rule distinguishes."""
    routes = sorted({route for rule in table.rules for route in rule.routes})
    modes = [mode for mode in Mode if any(mode in rule.modes for rule in table.rules)]
    others = [mode for mode in Mode if mode not in modes][:1]
    for route in [OTHER_ROUTE, *routes]:
        for mode in [*others, *modes]:
            rules = [rule for rule in table.rules if _about(rule, mode, route)]
            missing = _missing(rules, document, times)
            if missing is not None:
                where = f"mode {mode}, " + (f"route {route}" if route else "routes not named")
                yield Problem(
                    f"{path}.rules",
                    f"no fare for {where}, {missing}",
                    "Add `by_medium` for every other ride, or a rule that fills the gap.",
                )
                return


def _about(rule: AnyFareRule, mode: Mode, route: int) -> bool:
    return (not rule.modes or mode in rule.modes) and (not rule.routes or route in rule.routes)


def _missing(rules: list[AnyFareRule], document: RegionDocument, times: Times) -> str | None:
    """What rides `rules` leave without a fare, in words."""
    everywhere = _when(rules, times, zones=None)
    if everywhere == ALWAYS:
        return None
    names = [zone.name for zone in document.zones]
    if not any(isinstance(rule, ZoneFares) for rule in rules) or not names:
        return "all zones" + _at(everywhere)
    for zone in names:
        for to_zone in names:
            covered = everywhere.either(_when(rules, times, zones=(zone, to_zone)))
            if covered != ALWAYS:
                return f"zone `{zone}` to `{to_zone}`{_at(covered)}"
    return None


def _when(rules: list[AnyFareRule], times: Times, zones: tuple[str, str] | None) -> WeekTimes:
    """When one of the rules for rides between two zones holds; `zones` None: those for all rides."""
    held = NEVER
    for rule in rules:
        about = (
            zones is not None and set(zones) <= set(rule.zones)
            if isinstance(rule, ZoneFares)
            else zones is None
        )
        if about:
            held = held.either(times_of(rule, times))
    return held


def _at(covered: WeekTimes) -> str:
    """The first uncovered time, unless it is all of the week."""
    if not covered:
        return ""
    for number, spans in enumerate(covered.without().days):
        for start, _ in spans:
            day = date(2024, 1, 1 + number)  # a Monday, for its name
            return f", from {day:%A} {start // 3600:02d}:{start // 60 % 60:02d}"
    return ""
