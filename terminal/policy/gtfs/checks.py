"""What the tables must satisfy beyond their types: keys that are unique, places and times that make sense;
of products and rules, that what they name is there and that each can be read in one way only.

How an error in the tables is reported: a row and a column, which importer and document turn into a place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from terminal.policy.gtfs.tables import (
    FareLegJoinRule,
    FareTransferRule,
    FeedTimeframe,
    GtfsTables,
    LocationType,
    Stop,
)

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
            shown = ", ".join("blank" if part is None else str(part) for part in key)
            yield RowProblem(
                table,
                index,
                columns[0] if len(columns) == 1 else "",
                f"({shown}) stands in an earlier row, too"
                if len(columns) > 1
                else f"{shown!r} is not unique",
                f"Let the rows differ in {', '.join(columns)}, or remove one."
                if len(columns) > 1
                else "Give each its own.",
            )
        if not getattr(row, "left_out", False):
            seen.setdefault(key, index)


def _places(tables: GtfsTables) -> Iterator[RowProblem]:
    stops = {stop.stop_id: stop for stop in tables.stops}
    for index, stop in enumerate(tables.stops):
        problem = _parent_problem(stop, stops)
        if problem is not None:
            yield RowProblem("stops", index, "parent_station", *problem)
        if stop.stop_timezone is not None and not known_time_zone(stop.stop_timezone):
            yield RowProblem(
                "stops",
                index,
                "stop_timezone",
                f"unknown time zone {stop.stop_timezone!r}",
                "Use a name of the IANA database such as Europe/Volgograd.",
            )
    networks = {network.network_id for network in tables.networks}
    routes = {route.route_id for route in tables.routes}
    areas = {area.area_id for area in tables.areas}
    if networks or tables.route_networks:
        for index, route in enumerate(tables.routes):
            if route.network_id is not None:
                yield RowProblem(
                    "routes",
                    index,
                    "network_id",
                    "is filled although networks.txt or route_networks.txt is there",
                    "Keep one way of naming networks: clear the column or remove those files.",
                )
    yield from resolve("route_networks", "network_id", tables.route_networks, networks, "networks.txt")
    yield from resolve("route_networks", "route_id", tables.route_networks, routes, "routes.txt")
    yield from resolve("stop_areas", "area_id", tables.stop_areas, areas, "areas.txt")
    yield from resolve("stop_areas", "stop_id", tables.stop_areas, stops, "stops.txt")


def _parent_problem(stop: Stop, stops: dict[str, Stop]) -> tuple[str, str] | None:
    name = stop.location_type.name.lower().replace("_", " ")
    if stop.parent_station is None:
        if stop.location_type in (LocationType.PLATFORM, LocationType.STATION):
            return None
        return f"is blank for a location of type {name}", "Name the location it belongs to."
    if stop.location_type is LocationType.STATION:
        return "is filled for a station", "Leave it blank: a station has no parent."
    parent, wanted = stops.get(stop.parent_station), _PARENT_TYPES[stop.location_type]
    if parent is None:
        return f"{stop.parent_station!r} is not in stops.txt", add_or_correct(
            stop.parent_station, stops, "stops.txt"
        )
    if parent.location_type is not wanted:
        is_a = parent.location_type.name.lower().replace("_", " ")
        return (
            f"{stop.parent_station!r} is of type {is_a}",
            f"The parent of a location of type {name} is of type {wanted.name.lower()}.",
        )
    return None


# services and timeframes


def _services(tables: GtfsTables) -> Iterator[RowProblem]:
    for index, service in enumerate(tables.calendar):
        if service.start_date > service.end_date:
            yield RowProblem(
                "calendar", index, "end_date", "is before start_date", "Let it be start_date or later."
            )
    where = "calendar.txt or calendar_dates.txt"
    yield from resolve("timeframes", "service_id", tables.timeframes, _service_ids(tables), where)
    by_key: defaultdict[tuple[str, str], list[tuple[int, FeedTimeframe]]] = defaultdict(list)
    for index, frame in enumerate(tables.timeframes):
        if frame.start_s >= frame.end_s:
            yield RowProblem(
                "timeframes", index, "end_time", "is not after start_time", "Split it at midnight."
            )
        by_key[frame.timeframe_group_id, frame.service_id].append((index, frame))
    for (group, service_id), frames in by_key.items():
        until = -1
        for index, frame in sorted(frames, key=lambda entry: (entry[1].start_s, entry[0])):
            if frame.start_s < until:
                yield RowProblem(
                    "timeframes",
                    index,
                    "start_time",
                    f"overlaps another timeframe of group {group!r} and service {service_id!r}",
                    "Let it begin where the other ends.",
                )
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
            yield RowProblem(
                "fare_products",
                index,
                "currency",
                f"{product.currency} beside {tables.currency} in an earlier row",
                "A purse counts one currency: make a feed for each.",
            )
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
            yield RowProblem(
                "fare_products",
                last[product_id],
                "rider_category_id",
                f"product {product_id!r} has {len(found)} default categories: {', '.join(sorted(found))}",
                "Mark only one of them in rider_categories.txt with is_default_fare_category = 1.",
            )


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
        ("service_id", _service_ids(tables), "calendar.txt or calendar_dates.txt"),
    ):
        yield from resolve("fare_leg_rules", column, rules, known, where)
    yield from resolve("fare_leg_rules", "fare_product_id", rules, products, "fare_products.txt", in_use=True)
    if not tables.uses_rule_priority:
        for index, rule in enumerate(rules):
            if rule.rule_priority is not None:
                yield RowProblem(
                    "fare_leg_rules",
                    index,
                    "rule_priority",
                    "is filled although uses_rule_priority is false",
                    "Set uses_rule_priority, or leave priorities out.",
                )


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
        yield RowProblem(
            "fare_leg_join_rules", index, blank[0], f"is blank beside {there}", "Fill both or neither."
        )


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
        for column, what, advice in _transfer_rule_problems(rule):
            yield RowProblem("fare_transfer_rules", index, column, what, advice)


def _transfer_rule_problems(rule: FareTransferRule) -> Iterator[tuple[str, str, str]]:
    same = rule.from_leg_group_id == rule.to_leg_group_id
    if rule.transfer_count is None and same and rule.from_leg_group_id is not None:
        yield (
            "transfer_count",
            "is blank although both groups are the same",
            "Write -1 for no limit, or a count.",
        )
    if rule.transfer_count is not None and not same:
        yield (
            "transfer_count",
            "is filled although the groups differ",
            "Leave it blank: a count is for transfers within one group.",
        )
    if rule.transfer_count is not None and (rule.transfer_count == 0 or rule.transfer_count < -1):
        yield "transfer_count", f"{rule.transfer_count} is no number of transfers", "Write 1 or more, or -1."
    if rule.duration_limit is None and rule.duration_limit_type is not None:
        yield "duration_limit_type", "is filled without duration_limit", "Add the limit or clear the type."
    if rule.duration_limit is not None and rule.duration_limit_type is None:
        yield "duration_limit_type", "is blank beside duration_limit", "Write 0, 1, 2 or 3."


SIMILAR_AMONG: Final = 2000
"""Among so many ids a similar one is looked for; among more it takes too long."""


@dataclass(frozen=True, slots=True)
class RowProblem:
    """`table` as the field of `GtfsTables`, `row` its index there, `column` as in the feed ("" for the row)."""

    table: str
    row: int
    column: str
    what: str
    advice: str


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
            yield RowProblem(
                table, index, column, f"{value!r} is not in {where}", add_or_correct(value, known, where)
            )


def add_or_correct(value: str, known: Collection[str], where: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 only needed when something is wrong

    close = get_close_matches(value, known, n=1) if len(known) <= SIMILAR_AMONG else []
    return f"Did you mean {close[0]!r}?" if close else f"Add it to {where}, or correct the id."
