"""The trip a simulated vehicle runs: the stops of a routes document and the timetable between them.

The document is read here by its keys, without the terminal's software, so that the two can contradict each other.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, Final

MOST_BYTES: Final = 16 << 20
SPEED_MPS: Final = 8.0
DWELL_S: Final = 20.0
"""At a stop, and up to half as long again."""
NEAR_M: Final = 80.0
"""So near a stop the vehicle is about to reach it."""
LEFT_M: Final = 40.0
UNKNOWN_M: Final = 500.0
"""Between stops that have no place."""
EARTH_M: Final = 6_371_000.0


class VehicleSimFault(Exception):
    """The vehicle cannot be simulated: `what` is wrong, `advice` what to do."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(f"{what}. {advice}")
        self.what = what
        self.advice = advice


class NearStop(StrEnum):
    """Where the vehicle is, seen from its current stop, in the standard's words."""

    BEFORE = "BeforeStop"
    AT = "AtStop"
    AFTER = "AfterStop"
    BETWEEN = "BetweenStop"


@dataclass(frozen=True, slots=True)
class TripStop:
    """A stop as the vehicle knows it; `zone` is the operator's name of its zone, empty for none."""

    ref: str
    name: str
    zone: str
    lat: float | None
    lon: float | None


@dataclass(frozen=True, slots=True)
class PlannedTrip:
    """A trip; `metres` and `times_s` are those of the arrivals, `leaves_s` of the departures."""

    line: str
    direction: int
    stops: tuple[TripStop, ...]
    shape: tuple[tuple[float, float], ...]
    metres: tuple[float, ...]
    times_s: tuple[float, ...]
    leaves_s: tuple[float, ...]
    suffix: str = ""

    @property
    def ref(self) -> str:
        """What the on-board computer calls the trip."""
        return f"trip-{self.line}-{self.direction}{self.suffix}"

    def moments(self) -> Iterator[TripMoment]:
        """Everything an on-board computer would say something of, in order."""
        last = len(self.stops) - 1
        for stop, (arrives_s, leaves_s) in enumerate(zip(self.times_s, self.leaves_s, strict=True)):
            if stop:
                before_s = arrives_s - NEAR_M / SPEED_MPS
                yield TripMoment(max(self.leaves_s[stop - 1], before_s), stop, NearStop.BEFORE, doors=False)
            yield TripMoment(arrives_s, stop, NearStop.AT, doors=True)
            if stop < last:
                yield TripMoment(leaves_s, stop, NearStop.AFTER, doors=False)
                between_s = min(leaves_s + LEFT_M / SPEED_MPS, self.times_s[stop + 1])
                yield TripMoment(between_s, stop, NearStop.BETWEEN, doors=False)

    def metres_at(self, at_s: float) -> tuple[float, bool]:
        """Metres along the way at that second, and whether the vehicle stands."""
        for stop, (arrives_s, leaves_s) in enumerate(zip(self.times_s, self.leaves_s, strict=True)):
            if at_s <= leaves_s:
                return self.metres[stop] - max(0.0, arrives_s - at_s) * SPEED_MPS, at_s >= arrives_s
        return self.metres[-1], True

    def position_at(self, at_s: float, beside_m: float = 0.0) -> tuple[float, float, bool]:
        """Latitude, longitude and whether the vehicle stands, so far to the right of the way; needs places."""
        metres, stands = self.metres_at(at_s)
        lat, lon = point_at(self.shape, metres)
        ahead, behind = point_at(self.shape, metres + 5), point_at(self.shape, metres - 5)
        across = math.cos(math.radians(lat))
        north, east = ahead[0] - behind[0], (ahead[1] - behind[1]) * across
        share = math.degrees(beside_m / EARTH_M) / (math.hypot(north, east) or 1.0)
        return lat - east * share, lon + north * share / across, stands and not beside_m


@dataclass(frozen=True, slots=True)
class TripMoment:
    """A change on the way: `at_s` since the trip began, the index of the stop, and where the vehicle is by it."""

    at_s: float
    stop: int
    near: NearStop
    doors: bool


def planned_trip(document: Path, route: int, direction: int, seed: int) -> PlannedTrip:
    """The trip of a route's direction; raises `VehicleSimFault`."""
    content = _toml(document)
    try:
        return _planned(document, content, route, direction, seed)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise VehicleSimFault(
            f"{document} is no routes document ({type(error).__name__}: {error})",
            "Correct it: `terminal config check` names the place.",
        ) from error


def _planned(
    document: Path, content: Mapping[str, Any], route: int, direction: int, seed: int
) -> PlannedTrip:
    listed = next((one for one in content.get("routes", ()) if one.get("number") == route), None)
    if listed is None:
        raise VehicleSimFault(f"{document} has no route {route}", "Name one of its routes.")
    stops, shape = _stops(listed, direction)
    if len(stops) < 2:
        raise VehicleSimFault(
            f"route {route} lists no stops for direction {direction}", "List them, or name another route."
        )
    names = _zone_names(content.get("zones", {}))
    known = tuple(_stop(stop, names) for stop in stops)
    line = next(iter(listed.get("lines", ())), str(route))
    places = [(stop.lat, stop.lon) for stop in known if stop.lat is not None and stop.lon is not None]
    way = tuple((float(lat), float(lon)) for lat, lon in shape) or tuple(places)
    return _timed(line, direction, known, way, Random(seed))  # noqa: S311 repeatable on purpose


def _toml(document: Path) -> Mapping[str, Any]:
    try:
        with document.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES} bytes")
        return tomllib.loads(content.decode("utf-8-sig"))
    except OSError as error:
        raise VehicleSimFault(f"{document} cannot be read ({error.strerror})", "Check the path.") from error
    except (ValueError, RecursionError) as error:
        raise VehicleSimFault(f"{document} is no TOML: {error}", "Correct it.") from error


def _stops(route: Mapping[str, Any], direction: int) -> tuple[Sequence[Any], Sequence[Any]]:
    """Stops and shape; a second direction that states none is the first one backwards."""
    directions = route.get("directions", ())
    stated = directions[direction] if direction < len(directions) else {}
    if not stated.get("stops") and direction and directions:
        first = directions[0]
        return first.get("stops", ())[::-1], stated.get("shape") or first.get("shape", ())[::-1]
    return stated.get("stops", ()), stated.get("shape", ())


def _zone_names(zones: Mapping[str, int]) -> dict[int, str]:
    names: dict[int, str] = {}
    for name, number in zones.items():
        names.setdefault(number, name)
    return names


def _stop(stop: Mapping[str, Any], names: Mapping[int, str]) -> TripStop:
    zone = stop.get("zone", 0)
    return TripStop(
        ref=next(iter(stop.get("refs", ())), str(stop["number"])),
        name=stop.get("name", ""),
        zone=names.get(zone, str(zone)) if zone else "",
        lat=stop.get("lat"),
        lon=stop.get("lon"),
    )


def _timed(
    line: str,
    direction: int,
    stops: tuple[TripStop, ...],
    shape: tuple[tuple[float, float], ...],
    rng: Random,
) -> PlannedTrip:
    metres, times_s, leaves_s = [0.0], [0.0], [DWELL_S]
    if shape and _place(stops[0]) is not None:
        metres = [along_m(shape, _place(stops[0]) or shape[0], 0.0)]
    for stop in stops[1:]:
        here = _place(stop)
        metres.append(metres[-1] + UNKNOWN_M if here is None else along_m(shape, here, metres[-1]))
        times_s.append(leaves_s[-1] + (metres[-1] - metres[-2]) / SPEED_MPS)
        leaves_s.append(times_s[-1] + DWELL_S * (1 + rng.random() / 2))
    return PlannedTrip(line, direction, stops, shape, tuple(metres), tuple(times_s), tuple(leaves_s))


def _place(stop: TripStop) -> tuple[float, float] | None:
    return None if stop.lat is None or stop.lon is None else (stop.lat, stop.lon)


def along_m(shape: Sequence[tuple[float, float]], point: tuple[float, float], behind_m: float) -> float:
    """Metres along the way to its point nearest to `point`, beyond `behind_m`, in steps of about five metres."""
    best_m, best, before_m = behind_m, math.inf, 0.0
    for one, other in pairwise(shape):
        length = distance_m(one, other)
        steps = max(1, round(length / 5))
        for step in range(steps + 1):
            metres = before_m + length * step / steps
            share = step / steps
            there = one[0] + share * (other[0] - one[0]), one[1] + share * (other[1] - one[1])
            beside = distance_m(there, point)
            if metres >= behind_m and beside < best:
                best_m, best = metres, beside
        before_m += length
    return best_m


def distance_m(one: tuple[float, float], other: tuple[float, float]) -> float:
    """By the haversine formula."""
    lat1, lon1, lat2, lon2 = map(math.radians, (*one, *other))
    a = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH_M * math.asin(math.sqrt(a))


def point_at(shape: Sequence[tuple[float, float]], metres: float) -> tuple[float, float]:
    """The point so far along the way; the ends for what lies beyond them."""
    for one, other in pairwise(shape):
        length = distance_m(one, other)
        if metres <= length and length > 0:
            share = max(0.0, metres / length)
            return one[0] + share * (other[0] - one[0]), one[1] + share * (other[1] - one[1])
        metres -= length
    return shape[-1]
