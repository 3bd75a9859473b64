"""What the tables must satisfy beyond their types: keys that are unique, places and times that make sense, and what
`rule_checks` says of rules.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from terminal.policy.gtfs.row_problem import RowProblem, add_or_correct, resolve
from terminal.policy.gtfs.rule_checks import rule_problems
from terminal.policy.gtfs.tables import GtfsTables, LocationType, Stop, Timeframe

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
    yield from _unique(
        "fare_leg_rules",
        (
            *("network_id", "from_area_id", "to_area_id"),
            *("from_timeframe_group_id", "to_timeframe_group_id", "fare_product_id"),
        ),
        tables.fare_leg_rules,
    )
    yield from _unique(
        "fare_transfer_rules",
        ("from_leg_group_id", "to_leg_group_id", "fare_product_id", "transfer_count", "duration_limit"),
        tables.fare_transfer_rules,
    )


def _unique(table: str, columns: tuple[str, ...], rows: Sequence[Any]) -> Iterator[RowProblem]:
    seen: dict[Hashable, int] = {}
    for index, row in enumerate(rows):
        key = tuple(getattr(row, column) for column in columns)
        if key in seen:
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
    services = {row.service_id for row in tables.calendar} | {row.service_id for row in tables.calendar_dates}
    yield from resolve(
        "timeframes", "service_id", tables.timeframes, services, "calendar.txt or calendar_dates.txt"
    )
    by_key: defaultdict[tuple[str, str], list[tuple[int, Timeframe]]] = defaultdict(list)
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
