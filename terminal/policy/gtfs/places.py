"""Where a leg begins and ends, as rules see it: networks of routes, areas and time zones of stops.

Stops that no rule can tell apart share one `Origin` (as the start of a leg) or one set of area keys (as its end), so
a card needs a few bits to remember where its holder boarded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct

from terminal.policy.gtfs.tables import GtfsTables, Stop

BLANK: Final = 0
"""The key of a blank cell; areas and networks count from 1."""
MIXED: Final = -1
"""The network of an effective leg whose legs are of networks that some rule distinguishes."""
Keys = tuple[int, ...]


class Origin(NamedTuple):
    """The start of a leg: keys to look up under `from_area_id`, and whose clock is on the wall."""

    keys: Keys
    zone: ZoneInfo


class FeedPlace(NamedTuple):
    """One stop: index of its `Origin`, keys to look up under `to_area_id`, number of its station, its zone."""

    origin: int
    to_keys: Keys
    station: int
    zone: ZoneInfo

    def is_at(self, stop: int, number: int) -> bool:
        """Whether this stop, of number `number`, is `stop` or one of its platforms."""
        return stop in (number, self.station)


class Places(Struct, frozen=True):
    """`networks` gives the network key of every route, BLANK for a route in none."""

    networks: Mapping[str, int]
    network_names: tuple[str, ...]
    network_keys: Mapping[int, Keys]
    """Keys to look up under `network_id` for each network, and for MIXED."""
    areas: int
    origins: tuple[Origin, ...]
    """The first is the unknown start: it matches only where no rule asks for an area."""
    numbers: Mapping[str, int]
    """Every stop's number by its id; they count from 1."""
    stops: tuple[FeedPlace, ...]
    """By number; the first is the unknown stop."""

    def network_name(self, network: int) -> str:
        """For people."""
        if network == MIXED:
            return "several"
        return self.network_names[network - 1] if network else "none"


def places_of(tables: GtfsTables) -> Places:
    """Index the routes and stops of checked `tables`."""
    rules = tables.fare_leg_rules
    names = tuple(sorted(tables.network_ids))
    network_numbers = {name: number for number, name in enumerate(names, 1)}
    area_numbers = {area.area_id: number for number, area in enumerate(tables.areas, 1)}
    listed = {
        column: frozenset(numbers[value] for rule in rules if (value := getattr(rule, column)) is not None)
        for column, numbers in (
            ("network_id", network_numbers),
            ("from_area_id", area_numbers),
            ("to_area_id", area_numbers),
        )
    }
    wide = tables.uses_rule_priority
    origins, stops = _stops(tables, area_numbers, listed["from_area_id"], listed["to_area_id"])
    return Places(
        networks=_networks_of_routes(tables, network_numbers),
        network_names=names,
        network_keys={
            number: _keys(frozenset((number,) if number else ()), listed["network_id"], wide=wide)
            for number in range(len(names) + 1)
        }
        | {MIXED: (BLANK,) if wide else ()},
        areas=len(area_numbers),
        origins=origins,
        numbers={stop.stop_id: number for number, stop in enumerate(tables.stops, 1)},
        stops=stops,
    )


def _keys(values: frozenset[int], listed: frozenset[int], *, wide: bool) -> Keys:
    """What to look up for something that belongs to `values`, in a column that lists `listed`.

    With rule_priority a blank cell matches whatever it is (`wide`); without, only what the column lists nowhere.
    """
    found = tuple(sorted(values & listed))
    return (*found, BLANK) if wide or not found else found


def _networks_of_routes(tables: GtfsTables, numbers: Mapping[str, int]) -> dict[str, int]:
    assigned = {row.route_id: row.network_id for row in tables.route_networks}
    networks = {}
    for route in tables.routes:
        network = assigned.get(route.route_id, route.network_id)
        networks[route.route_id] = BLANK if network is None else numbers[network]
    return networks


def _stops(
    tables: GtfsTables, numbers: Mapping[str, int], listed_from: frozenset[int], listed_to: frozenset[int]
) -> tuple[tuple[Origin, ...], tuple[FeedPlace, ...]]:
    home, wide = ZoneInfo(tables.time_zone), tables.uses_rule_priority
    unknown = Origin((BLANK,) if not listed_from else (), home)
    origins: dict[Origin, int] = {unknown: 0}
    by_id = {stop.stop_id: stop for stop in tables.stops}
    stations = {stop.stop_id: number for number, stop in enumerate(tables.stops, 1)}
    own: dict[str, set[int]] = {}
    for row in tables.stop_areas:
        own.setdefault(row.stop_id, set()).add(numbers[row.area_id])
    shared: dict[Keys, Keys] = {}
    stops = [FeedPlace(0, (), 0, home)]
    for stop in tables.stops:
        areas = frozenset(_areas(stop, by_id, own))
        station = _station(stop, by_id)
        zone = home if station.stop_timezone is None else ZoneInfo(station.stop_timezone)
        origin = Origin(_keys(areas, listed_from, wide=wide), zone)
        to_keys = _keys(areas, listed_to, wide=wide)
        stops.append(
            FeedPlace(
                origin=origins.setdefault(origin, len(origins)),
                to_keys=shared.setdefault(to_keys, to_keys),
                station=stations[station.stop_id],
                zone=zone,
            )
        )
    return tuple(origins), tuple(stops)


def _areas(stop: Stop, by_id: Mapping[str, Stop], own: Mapping[str, set[int]]) -> set[int]:
    """Its own areas, or those of the location it belongs to: a station passes its areas to its platforms."""
    while stop.stop_id not in own and stop.parent_station is not None:
        stop = by_id[stop.parent_station]
    return own.get(stop.stop_id, set())


def _station(stop: Stop, by_id: Mapping[str, Stop]) -> Stop:
    """The outermost location `stop` belongs to; its time zone holds for everything inside."""
    while stop.parent_station is not None:
        stop = by_id[stop.parent_station]
    return stop
