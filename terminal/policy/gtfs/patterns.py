"""A routes document from a GTFS feed: of every route, the stops its vehicles call at most often in each direction.

Trips and their stop times are read here and nowhere else; only the order of stops is taken of them. A stop's or route's
number is the region document's (`[gtfs.stop_ids]`, `[gtfs.route_ids]`), else its id where that is a number, else
the next free one: terminals then need the new pairs in the region document, too.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from cardproto.resident.limits import LARGEST_ROUTE
from terminal.errors import FeedError
from terminal.policy.base import Mode
from terminal.policy.gtfs.files import Feed
from terminal.policy.routes import (
    LARGEST_STOP,
    LARGEST_ZONE,
    DocumentIssue,
    LineRoute,
    RouteDirection,
    RoutesDocument,
    RouteStop,
)

ROUTES: Final = "routes.txt"
STOPS: Final = "stops.txt"
TRIPS: Final = "trips.txt"
STOP_TIMES: Final = "stop_times.txt"
SHAPES: Final = "shapes.txt"
MOST_STOPS: Final = 1000
MOST_POINTS: Final = 20_000
LONGEST_TEXT: Final = 60
LONGEST_ID: Final = 100
BESIDE_M: Final = 5.0
"""How far a point of a shape may lie beside a straight line and still be left out."""
EARTH_M: Final = 6_371_000.0
_SEQUENCE_BITS: Final = 24

_MODES: Final[Mapping[int, Mode]] = {
    **{0: Mode.TRAM, 1: Mode.METRO, 2: Mode.TRAIN, 3: Mode.BUS, 4: Mode.FERRY, 5: Mode.TRAM},
    **{6: Mode.CABLE_CAR, 7: Mode.CABLE_CAR, 11: Mode.TROLLEYBUS, 12: Mode.TRAIN},
}
_EXTENDED: Final[Mapping[int, Mode]] = {
    **{1: Mode.TRAIN, 2: Mode.INTERCITY_BUS, 4: Mode.METRO, 7: Mode.BUS, 8: Mode.TROLLEYBUS, 9: Mode.TRAM},
    **{10: Mode.FERRY, 12: Mode.FERRY, 13: Mode.CABLE_CAR, 14: Mode.CABLE_CAR, 15: Mode.MINIBUS},
}
"""By the hundreds of an extended type."""


@dataclass(frozen=True, slots=True)
class FeedNumbers:
    """Which number stands for which id, as the region document says it: {"15": "bus_15"}."""

    routes: Mapping[str, str] = field(default_factory=dict)
    stops: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FeedRoutes:
    """The document, and what the region document has to say for its numbers: pairs whose number is not the id.

    `left_out` are the ids of routes without a trip of two stops.
    """

    document: RoutesDocument
    route_ids: Mapping[str, str]
    stop_ids: Mapping[str, str]
    left_out: tuple[str, ...]


class _FeedStop(NamedTuple):
    id: str
    name: str
    zone: str
    lat: float | None
    lon: float | None


class _FeedRoute(NamedTuple):
    id: str
    short: str
    long: str
    mode: Mode | None


class _FeedTrip(NamedTuple):
    route: str
    direction: int
    headsign: str
    shape: str


def routes_of_feed(
    feed: Feed, header: DocumentIssue, numbers: FeedNumbers, only: Sequence[str] = ()
) -> FeedRoutes:
    """The routes document of `feed`, with all its routes or those of the ids `only`.
    Raises `FeedError` naming file and line.
    """
    for name in (ROUTES, STOPS, TRIPS, STOP_TIMES):
        if name not in feed:
            raise FeedError(f"{feed.name}: {name} is not in the feed", "Add it: routes are made from trips.")
    stops, every = _stops(feed), _routes(feed)
    unknown = [id for id in only if id not in every]
    if unknown:
        raise FeedError(f"{feed.name}: {ROUTES} has no route {unknown[0]!r}", "Name a route_id of the feed.")
    routes = {id: route for id, route in every.items() if not only or id in only}
    found = _patterns(feed, _trips(feed, every), {stop.id: at for at, stop in enumerate(stops)})
    patterns = {key: pattern for key, pattern in found.items() if key[0] in routes}
    used = {at for pattern in patterns.values() for at in pattern.stops}
    served = {route for route, _direction in patterns}
    stop_numbers = _numbered([stops[at].id for at in sorted(used)], numbers.stops, LARGEST_STOP, STOPS)
    route_numbers = _numbered([id for id in routes if id in served], numbers.routes, LARGEST_ROUTE, ROUTES)
    zones = _zones(stops[at].zone for at in sorted(used))
    shapes = _shapes(feed, {pattern.shape for pattern in patterns.values() if pattern.shape})

    def direction(route: str, number: int) -> RouteDirection:
        pattern = patterns.get((route, number))
        if pattern is None:
            return RouteDirection(name="-")
        listed = tuple(_route_stop(stops[at], stop_numbers, zones) for at in pattern.stops)
        name = pattern.headsign or stops[pattern.stops[-1]].name or "-"
        return RouteDirection(name=name[:LONGEST_TEXT], stops=listed, shape=shapes.get(pattern.shape, ()))

    document = RoutesDocument(
        header=header,
        zones=zones,
        routes=tuple(
            _route(routes[id], number, tuple(direction(id, at) for at in range(_directions(id, patterns))))
            for id, number in route_numbers.items()
        ),
    )
    return FeedRoutes(
        document,
        {str(number): id for id, number in route_numbers.items() if str(number) != id},
        {str(number): id for id, number in stop_numbers.items() if str(number) != id},
        tuple(id for id in routes if id not in served),
    )


def _directions(route: str, patterns: Mapping[tuple[str, int], object]) -> int:
    return 2 if (route, 1) in patterns else 1


def _route(route: _FeedRoute, number: int, directions: tuple[RouteDirection, ...]) -> LineRoute:
    lines = tuple(dict.fromkeys(name for name in (route.short, route.id, str(number)) if name))
    return LineRoute(
        number=number,
        name=(route.long or route.short or route.id)[:LONGEST_TEXT],
        mode=route.mode,
        lines=lines,
        directions=directions,
    )


def _route_stop(stop: _FeedStop, numbers: Mapping[str, int], zones: Mapping[str, int]) -> RouteStop:
    return RouteStop(
        number=numbers[stop.id],
        name=(stop.name or stop.id)[:LONGEST_TEXT],
        zone=zones.get(stop.zone, 0),
        refs=(stop.id,),
        lat=stop.lat,
        lon=stop.lon,
    )


# Files


class _CsvRow:
    """One row by the names of its columns."""

    def __init__(self, file: str, line: int, columns: Mapping[str, int], cells: Sequence[str]) -> None:
        self._file = file
        self._line = line
        self._columns = columns
        self._cells = cells

    def text(self, column: str) -> str:
        """The cell without white space around; empty where column or cell are not there."""
        place = self._columns.get(column, -1)
        return self._cells[place].strip() if 0 <= place < len(self._cells) else ""

    def id(self, column: str) -> str:
        """A cell that must be filled."""
        text = self.text(column)
        if not text or len(text) > LONGEST_ID:
            raise self.wrong(column, f"{text[:40]!r} is no id", f"Write 1 to {LONGEST_ID} characters.")
        return text

    def whole(self, column: str, largest: int, default: int | None = None) -> int:
        text = self.text(column)
        if not text and default is not None:
            return default
        if not (text.isascii() and text.isdecimal()) or len(text) > 9 or int(text) > largest:
            raise self.wrong(column, f"{text[:40]!r} is no number up to {largest}", "Correct it.")
        return int(text)

    def degrees(self, column: str, largest: float) -> float | None:
        text = self.text(column)
        try:
            value = float(text) if text else None
        except ValueError:
            value = math.nan
        if value is not None and not abs(value) <= largest:
            raise self.wrong(
                column, f"{text[:40]!r} is no angle up to {largest:g}", "Write degrees of WGS 84."
            )
        return value

    def wrong(self, column: str, what: str, advice: str) -> FeedError:
        return FeedError(f"{self._file} line {self._line}, column {column}: {what}", advice)


def _rows(feed: Feed, file: str, needed: Iterable[str]) -> Iterator[_CsvRow]:
    rows = feed.stream(file)
    columns = {name.strip(): place for place, name in enumerate(next(rows, (1, []))[1])}
    missing = [name for name in needed if name not in columns]
    if missing:
        raise FeedError(f"{file} has no column {missing[0]}", "Add it.")
    for line, cells in rows:
        yield _CsvRow(file, line, columns, cells)


def _stops(feed: Feed) -> list[_FeedStop]:
    found: dict[str, _FeedStop] = {}
    for row in _rows(feed, STOPS, ("stop_id",)):
        id = row.id("stop_id")
        if id in found:
            raise row.wrong("stop_id", f"{id!r} is there twice", "Remove one of them.")
        lat, lon = row.degrees("stop_lat", 90.0), row.degrees("stop_lon", 180.0)
        both = lat is not None and lon is not None
        zone = row.text("zone_id")
        found[id] = _FeedStop(id, row.text("stop_name"), zone, lat if both else None, lon if both else None)
    return list(found.values())


def _routes(feed: Feed) -> dict[str, _FeedRoute]:
    found: dict[str, _FeedRoute] = {}
    for row in _rows(feed, ROUTES, ("route_id", "route_type")):
        id = row.id("route_id")
        if id in found:
            raise row.wrong("route_id", f"{id!r} is there twice", "Remove one of them.")
        kind = row.whole("route_type", 1999)
        mode = _MODES.get(kind) if kind < 100 else _EXTENDED.get(kind // 100)
        short = row.text("route_short_name")[:LONGEST_ID]
        found[id] = _FeedRoute(id, short, row.text("route_long_name"), mode)
    return found


def _trips(feed: Feed, routes: Mapping[str, object]) -> dict[str, _FeedTrip]:
    found: dict[str, _FeedTrip] = {}
    for row in _rows(feed, TRIPS, ("route_id", "trip_id")):
        route = row.id("route_id")
        if route not in routes:
            raise row.wrong("route_id", f"{route!r} is not in {ROUTES}", "Add it, or correct the id.")
        direction = row.whole("direction_id", 1, 0)
        headsign, shape = row.text("trip_headsign"), row.text("shape_id")
        found[row.id("trip_id")] = _FeedTrip(route, direction, headsign, shape)
    return found


# Patterns


class _Pattern(NamedTuple):
    """The stops of one direction by their place in stops.txt."""

    stops: tuple[int, ...]
    headsign: str
    shape: str


def _patterns(
    feed: Feed, trips: Mapping[str, _FeedTrip], stops: Mapping[str, int]
) -> dict[tuple[str, int], _Pattern]:
    """The most frequent pattern of each route and direction, the longest of those that are equally frequent."""
    counted: dict[tuple[str, int], Counter[_Pattern]] = {}
    often: dict[tuple[str, int], Counter[tuple[int, ...]]] = {}
    for id, calls in _calls(feed, trips, stops).items():
        trip, order = trips[id], tuple(call & ((1 << 32) - 1) for call in sorted(calls))
        if 2 <= len(order) <= MOST_STOPS:
            key = trip.route, trip.direction
            often.setdefault(key, Counter())[order] += 1
            counted.setdefault(key, Counter())[_Pattern(order, trip.headsign, trip.shape)] += 1
    return {key: _best(often[key], counted[key]) for key in often}


def _best(often: Counter[tuple[int, ...]], counted: Counter[_Pattern]) -> _Pattern:
    stops = max(often, key=lambda order: (often[order], len(order), order))
    return max((one for one in counted if one.stops == stops), key=lambda one: (counted[one], one))


def _calls(feed: Feed, trips: Mapping[str, object], stops: Mapping[str, int]) -> dict[str, array[int]]:
    """Trip to its calls, each its sequence and its stop in one number: a feed has millions."""
    found: dict[str, array[int]] = {}
    for row in _rows(feed, STOP_TIMES, ("trip_id", "stop_id", "stop_sequence")):
        trip, stop = row.text("trip_id"), stops.get(row.text("stop_id"))
        if trip not in trips:
            raise row.wrong("trip_id", f"{trip[:40]!r} is not in {TRIPS}", "Add it, or correct the id.")
        if stop is None:
            what = f"{row.text('stop_id')[:40]!r} is not in {STOPS}"
            raise row.wrong("stop_id", what, "Add it, or correct the id.")
        sequence = row.whole("stop_sequence", (1 << _SEQUENCE_BITS) - 1)
        found.setdefault(trip, array("Q")).append(sequence << 32 | stop)
    return found


# Numbers, zones and shapes


def _numbered(ids: Sequence[str], stated: Mapping[str, str], largest: int, file: str) -> dict[str, int]:
    """A number for each id; raises `FeedError` when there are more than fit."""
    numbers: dict[str, int] = {id: int(number) for number, id in stated.items() if number.isdecimal()}
    taken = set(numbers.values())
    for id in ids:
        if id not in numbers and _is_number(id, largest) and int(id) not in taken:
            numbers[id] = int(id)
            taken.add(int(id))
    free = (number for number in range(1, largest + 1) if number not in taken)
    for id in ids:
        if id not in numbers:
            numbers[id] = next(free, 0)
            if not numbers[id]:
                raise FeedError(
                    f"{file} has more rows than the {largest} numbers there are", "Split the feed."
                )
    return {id: numbers[id] for id in ids}


def _is_number(id: str, largest: int) -> bool:
    plain = id.isascii() and id.isdecimal() and len(id) <= 9 and str(int(id)) == id
    return plain and 1 <= int(id) <= largest


def _zones(names: Iterable[str]) -> dict[str, int]:
    """The feed's name of each zone to a number, its own where it is one."""
    found = dict.fromkeys(name for name in names if name)
    return _numbered(list(found), {}, LARGEST_ZONE, f"{STOPS}, column zone_id,")


Point = tuple[float, float]


def _shapes(feed: Feed, wanted: set[str]) -> dict[str, tuple[Point, ...]]:
    """The shapes that are used, without the points that straight lines can do without."""
    if SHAPES not in feed or not wanted:
        return {}
    points: dict[str, list[tuple[int, float, float]]] = {}
    columns = ("shape_id", "shape_pt_lat", "shape_pt_lon", "shape_pt_sequence")
    for row in _rows(feed, SHAPES, columns):
        shape = row.text("shape_id")
        if shape in wanted:
            lat, lon = row.degrees("shape_pt_lat", 90.0), row.degrees("shape_pt_lon", 180.0)
            if lat is None or lon is None:
                raise row.wrong("shape_pt_lat", "a point needs both lat and lon", "Fill both.")
            sequence = row.whole("shape_pt_sequence", 10**9)
            points.setdefault(shape, []).append((sequence, lat, lon))
    return {shape: _thinned([point[1:] for point in sorted(ordered)]) for shape, ordered in points.items()}


def _thinned(points: Sequence[Point]) -> tuple[Point, ...]:
    """By Ramer, Douglas and Peucker, without recursion: a shape may have a hundred thousand points."""
    keep = {0, len(points) - 1}
    due = [(0, len(points) - 1)]
    beside = _beside(points)
    while due:
        first, last = due.pop()
        between = range(first + 1, last)
        far = max(between, key=lambda at: beside(at, first, last), default=None)
        if far is not None and beside(far, first, last) > BESIDE_M:
            keep.add(far)
            due += [(first, far), (far, last)]
    thinned = tuple((round(points[at][0], 6), round(points[at][1], 6)) for at in sorted(keep))
    if len(thinned) > MOST_POINTS:
        raise FeedError(f"{SHAPES}: a shape of {len(thinned)} corners", f"At most {MOST_POINTS} are kept.")
    return thinned if len(thinned) > 1 else ()


def _beside(points: Sequence[Point]) -> Callable[[int, int, int], float]:
    """Metres between a point and the line from one point to another."""
    across = math.cos(math.radians(points[0][0])) if points else 1.0
    plane = [(math.radians(lon) * across * EARTH_M, math.radians(lat) * EARTH_M) for lat, lon in points]

    def distance(at: int, first: int, last: int) -> float:
        (x, y), (ax, ay), (bx, by) = plane[at], plane[first], plane[last]
        dx, dy = bx - ax, by - ay
        square = dx * dx + dy * dy
        share = 0.0 if square == 0 else min(1.0, max(0.0, ((x - ax) * dx + (y - ay) * dy) / square))
        return math.hypot(x - ax - share * dx, y - ay - share * dy)

    return distance
