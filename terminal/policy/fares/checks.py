"""What the ordinary fares of a region document must satisfy: no gap, no overlap, nothing out of reach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import time
from itertools import combinations
from typing import Final

from terminal.errors import Mistake
from terminal.policy.base import Mode, Thing, Weekday, unique, unknown
from terminal.policy.document.fares import (
    AnyFareRule,
    FareSource,
    FareTable,
    Timeframe,
    TimeWindow,
    ZoneFares,
)
from terminal.policy.document.schema import NO_BUS, RegionDocument
from terminal.policy.fares.index import MEDIA, media_tables, priced_media, times_of
from terminal.policy.mistakes import RuleMistake
from terminal.policy.scopes import ALWAYS, NEVER, WeekTimes

Times = Mapping[str, WeekTimes]
OTHER_ROUTE: Final = 0


def fare_problems(document: RegionDocument) -> Iterator[Mistake]:
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
    yield from _media(document)
    yield from _unused_timeframes(document)
    yield from _steps(document)
    for path, table in tables(document):
        yield from _table(path, table, document, times)


def _no_fares(document: RegionDocument) -> Iterator[Mistake]:
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
        yield Mistake("fares", RuleMistake.RIDES_WITHOUT_FARES)


def tables(document: RegionDocument) -> list[tuple[str, FareTable]]:
    """The fare tables of a document with their paths."""
    steps = document.fares.steps
    return [("fares", document.fares), *((f"fares.steps[{i}]", step) for i, step in enumerate(steps))]


def _timeframe(index: int, timeframe: Timeframe) -> Iterator[Mistake]:
    path = f"timeframes[{index}]"
    if not timeframe.windows:
        yield Mistake(f"{path}.windows", RuleMistake.NO_WINDOW)
    for number, window in enumerate(timeframe.windows):
        yield from _window(f"{path}.windows[{number}]", window)


def _window(path: str, window: TimeWindow) -> Iterator[Mistake]:
    if not window.days:
        yield Mistake(f"{path}.days", RuleMistake.NO_DAY)
    yield from unique(f"{path}.days", window.days)
    if window.starts.tzinfo is not None or window.ends.tzinfo is not None:
        yield Mistake(path, RuleMistake.TIMES_WITH_OFFSET)
    elif window.ends != time() and window.starts >= window.ends:
        yield Mistake(f"{path}.ends", RuleMistake.EMPTY_WINDOW)


def _unused_timeframes(document: RegionDocument) -> Iterator[Mistake]:
    rules = [rule for _, table in tables(document) for rule in table.rules]
    used = {name for rule in rules for name in (rule.when, rule.except_when)}
    for index, timeframe in enumerate(document.timeframes):
        if timeframe.id not in used:
            yield Mistake(f"timeframes[{index}]", RuleMistake.TIMEFRAME_NOT_USED, {"timeframe": timeframe.id})


def _steps(document: RegionDocument) -> Iterator[Mistake]:
    header, before = document.header, document.header.valid_from.date()
    for index, step in enumerate(document.fares.steps):
        path, day = f"fares.steps[{index}].valid_from", step.valid_from
        if day <= before:
            yield Mistake(path, RuleMistake.STEP_TOO_EARLY, {"day": str(day), "before": str(before)})
        if day >= header.valid_to.date():
            yield Mistake(path, RuleMistake.STEP_TOO_LATE, {"end": str(header.valid_to)})
        before = max(before, day)


def _table(path: str, table: FareTable, document: RegionDocument, times: Times) -> Iterator[Mistake]:
    yield from unique(f"{path}.rules", (rule.id for rule in table.rules), key="id")
    wrong: list[Mistake] = []
    for index, rule in enumerate(table.rules):
        wrong += _rule(f"{path}.rules[{index}]", rule, document, times)
    yield from wrong
    if wrong:
        return
    yield from _overlaps(path, table, times)
    if table.by_medium is None and document.fares.source is FareSource.DOCUMENT:
        yield from _gaps(path, table, document, times)


def _rule(path: str, rule: AnyFareRule, document: RegionDocument, times: Times) -> Iterator[Mistake]:
    yield from unique(f"{path}.modes", rule.modes)
    yield from unique(f"{path}.routes", rule.routes)
    for key, name in (("when", rule.when), ("except_when", rule.except_when)):
        if name is not None and name not in times:
            yield unknown(f"{path}.{key}", Thing.TIMEFRAME, name, times)
            return
    if not times_of(rule, times):
        yield Mistake(path, RuleMistake.NO_TIME_LEFT)
    if isinstance(rule, ZoneFares):
        yield from _zone_table(path, rule, {zone.name for zone in document.zones})


def _media(document: RegionDocument) -> Iterator[Mistake]:
    """Who may pay has a price, everywhere; of a medium that is not taken none is asked for."""
    if document.fares.source is not FareSource.DOCUMENT:
        return
    priced = priced_media(document.fares)
    taken = document.profiles.bus.media
    needed = [medium for number, medium in enumerate(MEDIA) if medium in taken or number in priced]
    for path, table in media_tables(document.fares):
        for medium in needed:
            if not getattr(table, medium.value):
                yield Mistake(path, RuleMistake.MEDIUM_WITHOUT_PRICE, {"medium": medium.value})
    for path, fares in tables(document):
        for index, rule in enumerate(fares.rules):
            base = getattr(rule, "base", None)
            if base is not None and base not in needed:
                values = {"medium": base.value}
                yield Mistake(f"{path}.rules[{index}].base", RuleMistake.BASE_WITHOUT_PRICE, values)


def _zone_table(path: str, rule: ZoneFares, known: set[str]) -> Iterator[Mistake]:
    yield from unique(f"{path}.zones", rule.zones)
    for index, name in enumerate(rule.zones):
        if name not in known:
            yield unknown(f"{path}.zones[{index}]", Thing.ZONE, name, sorted(known))
    size = len(rule.zones)
    for medium in MEDIA:
        rows = getattr(rule.by_medium, medium.value)
        if (rows and len(rows) != size) or any(len(row) != size for row in rows):
            yield Mistake(f"{path}.by_medium.{medium}", RuleMistake.NOT_SQUARE, {"size": size})


def _overlaps(path: str, table: FareTable, times: Times) -> Iterator[Mistake]:
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
                yield Mistake(
                    f"{path}.rules[{pair[1]}]",
                    RuleMistake.RULES_OVERLAP,
                    {"rule": second.id, "other": first.id},
                )


def _meet(one: AnyFareRule, other: AnyFareRule) -> bool:
    """Whether modes and zones of two rules with a common route have a ride in common."""
    if one.modes and other.modes and not set(one.modes) & set(other.modes):
        return False
    if isinstance(one, ZoneFares) and isinstance(other, ZoneFares):
        return bool(set(one.zones) & set(other.zones))
    return True


def _gaps(path: str, table: FareTable, document: RegionDocument, times: Times) -> Iterator[Mistake]:
    """Where a ride would have no fare, for each mode and route that some rule distinguishes."""
    routes = sorted({route for rule in table.rules for route in rule.routes})
    modes = [mode for mode in Mode if any(mode in rule.modes for rule in table.rules)]
    others = [mode for mode in Mode if mode not in modes][:1]
    for route in [OTHER_ROUTE, *routes]:
        for mode in [*others, *modes]:
            rules = [rule for rule in table.rules if _about(rule, mode, route)]
            missing = _missing(rules, document, times)
            if missing is not None:
                values: dict[str, int | str] = {"mode": mode.value, "route": route}
                yield Mistake(f"{path}.rules", RuleMistake.NO_FARE, values | missing)
                return


def _about(rule: AnyFareRule, mode: Mode, route: int) -> bool:
    return (not rule.modes or mode in rule.modes) and (not rule.routes or route in rule.routes)


def _missing(rules: list[AnyFareRule], document: RegionDocument, times: Times) -> dict[str, int | str] | None:
    """What rides `rules` leave without a fare: the zones and the first time, "*" for all of them."""
    everywhere = _when(rules, times, zones=None)
    if everywhere == ALWAYS:
        return None
    names = [zone.name for zone in document.zones]
    if not any(isinstance(rule, ZoneFares) for rule in rules) or not names:
        return {"zones": "*", "begins": _at(everywhere)}
    for zone in names:
        for to_zone in names:
            covered = everywhere.either(_when(rules, times, zones=(zone, to_zone)))
            if covered != ALWAYS:
                return {"zones": f"{zone} - {to_zone}", "begins": _at(covered)}
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
    """The first uncovered time, "*" where it is all of the week."""
    if not covered:
        return "*"
    for day, spans in zip(Weekday, covered.without().days, strict=True):
        for start, _ in spans:
            return f"{day} {start // 3600:02d}:{start // 60 % 60:02d}"
    return "*"
