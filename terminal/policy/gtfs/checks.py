"""What the tables must satisfy beyond their types: keys that are unique, places and times that make sense;
of products and rules, that what they name is there and that each can be read in one way only.

How an error in the tables is reported: a row and a column, which importer and document turn into a place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from terminal.errors import MistakeValues
from terminal.policy.gtfs.feed_mistakes import FeedRowMistake
from terminal.policy.gtfs.tables import (
    FareLegJoinRule,
    FareTransferRule,
    FeedTimeframe,
    GtfsTables,
    LocationType,
    Stop,
)
from terminal.texts import N_

_LOCATIONS: Final = {
    LocationType.PLATFORM: N_("platform"),
    LocationType.STATION: N_("station"),
    LocationType.ENTRANCE: N_("entrance"),
    LocationType.NODE: N_("node"),
    LocationType.BOARDING_AREA: N_("boarding area"),
}
"""Words of the catalogues."""
_PARENT_TYPES: Final = {
    LocationType.PLATFORM: LocationType.STATION,
    LocationType.ENTRANCE: LocationType.STATION,
    LocationType.NODE: LocationType.STATION,
    LocationType.BOARDING_AREA: LocationType.PLATFORM,
}


def tables_problems(tables: GtfsTables) -> Iterator[RowProblem]:
    """Everything wrong with `tables`; nothing when every fare has one meaning."""
    yield from _keys(tables)
    yield from _places(tables)
    yield from _services(tables)
    yield from rule_problems(tables)


def known_time_zone(name: str) -> bool:
    """Whether the time zone database has `name`."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


# keys


def _keys(tables: GtfsTables) -> Iterator[RowProblem]:
    for table, columns in (
        ("stops", ("stop_id",)),
        ("routes", ("route_id",)),
        ("networks", ("network_id",)),
        ("route_networks", ("route_id",)),
        ("areas", ("area_id",)),
        ("stop_areas", ("area_id", "stop_id")),
        ("calendar", ("service_id",)),
        ("calendar_dates", ("service_id", "date")),
        ("rider_categories", ("rider_category_id",)),
        ("fare_media", ("fare_media_id",)),
        ("fare_products", ("fare_product_id", "rider_category_id", "fare_media_id")),
        ("fare_leg_join_rules", ("from_network_id", "to_network_id", "from_stop_id", "to_stop_id")),
    ):
        yield from _unique(table, columns, getattr(tables, table))
    legs = tables.fare_leg_rules
    yield from _unique("fare_leg_rules", _used(LEG_KEY, DRAFT_LEG_KEY, legs), legs)
    transfers = tables.fare_transfer_rules
    yield from _unique("fare_transfer_rules", _used(TRANSFER_KEY, DRAFT_TRANSFER_KEY, transfers), transfers)


LEG_KEY: Final = (
    *("network_id", "from_area_id", "to_area_id"),
    *("from_timeframe_group_id", "to_timeframe_group_id", "fare_product_id"),
)
DRAFT_LEG_KEY: Final = ("service_id", "transfer_only")
TRANSFER_KEY: Final = (
    *("from_leg_group_id", "to_leg_group_id", "fare_product_id"),
    *("transfer_count", "duration_limit"),
)
DRAFT_TRANSFER_KEY: Final = ("filter_fare_product_id", "same_product")


def _used(key: tuple[str, ...], draft: tuple[str, ...], rows: Sequence[Any]) -> tuple[str, ...]:
    """The key of the standard, and of the drafts the columns that some row fills."""
    return (*key, *(column for column in draft if any(map(attrgetter(column), rows))))


def _unique(table: str, columns: tuple[str, ...], rows: Sequence[Any]) -> Iterator[RowProblem]:
    if len(set(map(attrgetter(*columns), rows))) == len(rows):
        return  # so it nearly always is, and found out ten times faster than row by row
    seen: dict[Hashable, int] = {}
    for index, row in enumerate(rows):
        key = tuple(getattr(row, column) for column in columns)
        if key in seen and not getattr(row, "left_out", False):
            shown = ", ".join("—" if part is None else str(part) for part in key)
            if len(columns) == 1:
                yield RowProblem(table, index, columns[0], FeedRowMistake.NOT_UNIQUE, {"value": shown})
            else:
                values = {"value": shown, "columns": ", ".join(columns)}
                yield RowProblem(table, index, "", FeedRowMistake.SAME_KEY, values)
        if not getattr(row, "left_out", False):
            seen.setdefault(key, index)


def _places(tables: GtfsTables) -> Iterator[RowProblem]:
    stops = {stop.stop_id: stop for stop in tables.stops}
    for index, stop in enumerate(tables.stops):
        problem = _parent_problem(stop, stops)
        if problem is not None:
            yield RowProblem("stops", index, "parent_station", *problem)
        if stop.stop_timezone is not None and not known_time_zone(stop.stop_timezone):
            values = {"zone": stop.stop_timezone}
            yield RowProblem("stops", index, "stop_timezone", FeedRowMistake.TIME_ZONE, values)
    networks = {network.network_id for network in tables.networks}
    routes = {route.route_id for route in tables.routes}
    areas = {area.area_id for area in tables.areas}
    if networks or tables.route_networks:
        for index, route in enumerate(tables.routes):
            if route.network_id is not None:
                yield RowProblem("routes", index, "network_id", FeedRowMistake.TWO_NETWORKS)
    yield from resolve("route_networks", "network_id", tables.route_networks, networks, "networks.txt")
    yield from resolve("route_networks", "route_id", tables.route_networks, routes, "routes.txt")
    yield from resolve("stop_areas", "area_id", tables.stop_areas, areas, "areas.txt")
    yield from resolve("stop_areas", "stop_id", tables.stop_areas, stops, "stops.txt")


def _parent_problem(stop: Stop, stops: dict[str, Stop]) -> tuple[FeedRowMistake, MistakeValues] | None:
    if stop.parent_station is None:
        if stop.location_type in (LocationType.PLATFORM, LocationType.STATION):
            return None
        return FeedRowMistake.NO_PARENT, {"thing": _LOCATIONS[stop.location_type]}
    if stop.location_type is LocationType.STATION:
        return FeedRowMistake.STATION_PARENT, {}
    parent, wanted = stops.get(stop.parent_station), _PARENT_TYPES[stop.location_type]
    if parent is None:
        return unresolved(stop.parent_station, stops, "stops.txt")
    if parent.location_type is not wanted:
        station = wanted is LocationType.STATION
        code = FeedRowMistake.PARENT_NO_STATION if station else FeedRowMistake.PARENT_NO_PLATFORM
        return code, {"value": stop.parent_station, "thing": _LOCATIONS[parent.location_type]}
    return None


# services and timeframes


def _services(tables: GtfsTables) -> Iterator[RowProblem]:
    for index, service in enumerate(tables.calendar):
        if service.start_date > service.end_date:
            yield RowProblem("calendar", index, "end_date", FeedRowMistake.ENDS_BEFORE)
    yield from resolve("timeframes", "service_id", tables.timeframes, _service_ids(tables), CALENDARS)
    by_key: defaultdict[tuple[str, str], list[tuple[int, FeedTimeframe]]] = defaultdict(list)
    for index, frame in enumerate(tables.timeframes):
        if frame.start_s >= frame.end_s:
            yield RowProblem("timeframes", index, "end_time", FeedRowMistake.NO_TIME_BETWEEN)
        by_key[frame.timeframe_group_id, frame.service_id].append((index, frame))
    for (group, service_id), frames in by_key.items():
        until = -1
        for index, frame in sorted(frames, key=lambda entry: (entry[1].start_s, entry[0])):
            if frame.start_s < until:
                values = {"group": group, "service": service_id}
                yield RowProblem("timeframes", index, "start_time", FeedRowMistake.OVERLAP, values)
            until = max(until, frame.end_s)


def _service_ids(tables: GtfsTables) -> set[str]:
    return {row.service_id for row in tables.calendar} | {row.service_id for row in tables.calendar_dates}


def rule_problems(tables: GtfsTables) -> Iterator[RowProblem]:
    """Everything wrong with products, leg rules, join rules and transfer rules."""
    yield from _products(tables)
    yield from _leg_rules(tables)
    yield from _join_rules(tables)
    yield from _transfer_rules(tables)


def _products(tables: GtfsTables) -> Iterator[RowProblem]:
    categories = {category.rider_category_id for category in tables.rider_categories}
    media = {medium.fare_media_id for medium in tables.fare_media}
    yield from resolve(
        "fare_products", "rider_category_id", tables.fare_products, categories, "rider_categories.txt"
    )
    yield from resolve("fare_products", "fare_media_id", tables.fare_products, media, "fare_media.txt")
    for index, product in enumerate(tables.fare_products):
        if product.currency != tables.currency:
            values = {"currency": product.currency, "first": tables.currency}
            yield RowProblem("fare_products", index, "currency", FeedRowMistake.TWO_CURRENCIES, values)
    yield from _default_categories(tables)


def _default_categories(tables: GtfsTables) -> Iterator[RowProblem]:
    """Of the categories that may buy a product at most one is the default one."""
    default = {row.rider_category_id for row in tables.rider_categories if row.is_default_fare_category}
    eligible: defaultdict[str, set[str]] = defaultdict(set)
    last: dict[str, int] = {}
    for index, product in enumerate(tables.fare_products):
        who = default if product.rider_category_id is None else default & {product.rider_category_id}
        eligible[product.fare_product_id] |= who
        last[product.fare_product_id] = index
    for product_id, found in eligible.items():
        if len(found) > 1:
            values: dict[str, int | str] = {"product": product_id, "count": len(found)}
            values["categories"] = ", ".join(sorted(found))
            row, code = last[product_id], FeedRowMistake.TWO_DEFAULTS
            yield RowProblem("fare_products", row, "rider_category_id", code, values)


# rules


def _leg_rules(tables: GtfsTables) -> Iterator[RowProblem]:
    rules = tables.fare_leg_rules
    areas = {area.area_id for area in tables.areas}
    groups = {frame.timeframe_group_id for frame in tables.timeframes}
    products = {product.fare_product_id for product in tables.fare_products}
    networks = "networks.txt" if tables.networks else "routes.txt"
    for column, known, where in (
        ("network_id", tables.network_ids, networks),
        ("from_area_id", areas, "areas.txt"),
        ("to_area_id", areas, "areas.txt"),
        ("from_timeframe_group_id", groups, "timeframes.txt"),
        ("to_timeframe_group_id", groups, "timeframes.txt"),
        ("service_id", _service_ids(tables), CALENDARS),
    ):
        yield from resolve("fare_leg_rules", column, rules, known, where)
    yield from resolve("fare_leg_rules", "fare_product_id", rules, products, "fare_products.txt", in_use=True)
    if not tables.uses_rule_priority:
        for index, rule in enumerate(rules):
            if rule.rule_priority is not None:
                yield RowProblem("fare_leg_rules", index, "rule_priority", FeedRowMistake.PRIORITY)


def _join_rules(tables: GtfsTables) -> Iterator[RowProblem]:
    rules = tables.fare_leg_join_rules
    networks, stops = tables.network_ids, {stop.stop_id for stop in tables.stops}
    where = "networks.txt" if tables.networks else "routes.txt"
    yield from resolve("fare_leg_join_rules", "from_network_id", rules, networks, where)
    yield from resolve("fare_leg_join_rules", "to_network_id", rules, networks, where)
    yield from resolve("fare_leg_join_rules", "from_stop_id", rules, stops, "stops.txt")
    yield from resolve("fare_leg_join_rules", "to_stop_id", rules, stops, "stops.txt")
    for index, rule in enumerate(rules):
        for first, second in (("from_network_id", "to_network_id"), ("from_stop_id", "to_stop_id")):
            yield from _both_or_none(index, rule, first, second)


def _both_or_none(index: int, rule: FareLegJoinRule, first: str, second: str) -> Iterator[RowProblem]:
    blank = [column for column in (first, second) if getattr(rule, column) is None]
    if len(blank) == 1:
        there = second if blank[0] == first else first
        yield RowProblem("fare_leg_join_rules", index, blank[0], FeedRowMistake.HALF, {"there": there})


def _transfer_rules(tables: GtfsTables) -> Iterator[RowProblem]:
    rules = tables.fare_transfer_rules
    groups = {rule.leg_group_id for rule in tables.fare_leg_rules if rule.leg_group_id is not None}
    products = {product.fare_product_id for product in tables.fare_products}
    for column, known, where in (
        ("from_leg_group_id", groups, "fare_leg_rules.txt"),
        ("to_leg_group_id", groups, "fare_leg_rules.txt"),
    ):
        yield from resolve("fare_transfer_rules", column, rules, known, where)
    for column in ("fare_product_id", "filter_fare_product_id"):
        yield from resolve("fare_transfer_rules", column, rules, products, "fare_products.txt", in_use=True)
    for index, rule in enumerate(rules):
        for column, code in _transfer_rule_problems(rule):
            values = {"value": rule.transfer_count or 0} if code is FeedRowMistake.NO_COUNT else {}
            yield RowProblem("fare_transfer_rules", index, column, code, values)


def _transfer_rule_problems(rule: FareTransferRule) -> Iterator[tuple[str, FeedRowMistake]]:
    same = rule.from_leg_group_id == rule.to_leg_group_id
    if rule.transfer_count is None and same and rule.from_leg_group_id is not None:
        yield "transfer_count", FeedRowMistake.COUNT_NEEDED
    if rule.transfer_count is not None and not same:
        yield "transfer_count", FeedRowMistake.COUNT_TOO_MUCH
    if rule.transfer_count is not None and (rule.transfer_count == 0 or rule.transfer_count < -1):
        yield "transfer_count", FeedRowMistake.NO_COUNT
    if rule.duration_limit is None and rule.duration_limit_type is not None:
        yield "duration_limit_type", FeedRowMistake.TYPE_ALONE
    if rule.duration_limit is not None and rule.duration_limit_type is None:
        yield "duration_limit_type", FeedRowMistake.NO_TYPE


CALENDARS: Final = "calendar.txt, calendar_dates.txt"
SIMILAR_AMONG: Final = 2000
"""Among so many ids a similar one is looked for; among more it takes too long."""


@dataclass(frozen=True, slots=True)
class RowProblem:
    """`table` as the field of `GtfsTables`, `row` its index there, `column` as in the feed ("" for the row)."""

    table: str
    row: int
    column: str
    code: FeedRowMistake
    values: MistakeValues = field(default_factory=dict)


def resolve(
    table: str,
    column: str,
    rows: Iterable[Any],
    known: Collection[str],
    where: str,
    *,
    in_use: bool = False,
) -> Iterator[RowProblem]:
    """What is named in `column` and is not known; `in_use`: not by rows that are left out."""
    rows = tuple(rows)
    unknown = {
        value for value in set(map(attrgetter(column), rows)) if value is not None and value not in known
    }
    for index, row in enumerate(rows) if unknown else ():
        value = getattr(row, column)
        if value in unknown and not (in_use and row.left_out):
            yield RowProblem(table, index, column, *unresolved(value, known, where))


def near_of(close: list[str]) -> dict[str, str]:
    """A mistake's value for the one name that is like it, if there is one."""
    return {"near": close[0]} if close else {}


def unresolved(value: str, known: Collection[str], where: str) -> tuple[FeedRowMistake, MistakeValues]:
    """A name that is not in the file `where`, with one that is like it where there is one."""
    from difflib import get_close_matches  # noqa: PLC0415 only needed when something is wrong

    close = get_close_matches(value, known, n=1) if len(known) <= SIMILAR_AMONG else []
    near, place = near_of(close), {"value": value, "where": where}
    if where == CALENDARS:
        return FeedRowMistake.NO_SERVICE_NEAR if close else FeedRowMistake.NO_SERVICE, place | near
    return FeedRowMistake.UNRESOLVED_NEAR if close else FeedRowMistake.UNRESOLVED, place | near
