"""Where on one way a position is: projection on the shape of the direction that is run, and the stops along it.

Not map matching: crew or schedule state line and direction, so only one way comes into question. Distances are
metres along the way, positions WGS 84.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

BESIDE_M: Final = 40.0
"""So far beside the way a position still lies on it."""
BACK_M: Final = 100.0
"""A vehicle reverses no further; a position behind that is another branch of the way, or another direction."""
AT_STOP_M: Final = 30.0
"""A stop is reached within this distance, and passed by so much beyond it."""
SLOW_MPS: Final = 2.0
OFF_ROUTE_M: Final = 200.0
"""Driven beside the way before the vehicle counts as off its route."""
FAR_M: Final = 5000.0
"""So far from the way no vehicle is that runs it: a jammed or forged position."""
FASTEST_MPS: Final = 150 / 3.6
"""A jump faster than this is no movement."""
STRETCH: Final = 50
"""Segments that are passed over together where a position is not near any of them."""
EARTH_M: Final = 6_371_000.0
Point = tuple[float, float]
"""Latitude and longitude in degrees."""


class Fix(NamedTuple):
    """One position: `at_s` on a steady clock, `speed_mps` where the receiver knows it."""

    at_s: float
    lat: float
    lon: float
    speed_mps: float | None = None


@dataclass(frozen=True, slots=True)
class OnWay:
    """Where the vehicle is on its way.

    `stop` is the index of the stop it stands at or passed last, `coming` that of the next, None after the last;
    `arriving`: it is all but there. `off_route`: it left the way, and the rest is what was known before.
    """

    metres: float
    stop: int
    coming: int | None
    arriving: bool = False
    off_route: bool = False


class _Projected(NamedTuple):
    """The nearest point of one segment."""

    beside_m: float
    metres: float


class _Stretch(NamedTuple):
    """Some segments that follow each other, and the least rectangle around them in metres."""

    segments: range
    west: float
    south: float
    east: float
    north: float

    def within(self, point: Point, beside_m: float) -> bool:
        """Whether a segment of it may be so near."""
        across = self.west - beside_m <= point[0] <= self.east + beside_m
        return across and self.south - beside_m <= point[1] <= self.north + beside_m


class ShapedWay:
    """A way with its stops. Raises `ValueError` where there are fewer than two stops or a stop lies beside the way."""

    def __init__(self, stops: Sequence[Point], shape: Sequence[Point] = ()) -> None:
        if len(stops) < 2:
            raise ValueError("a way has two stops at least")
        points = shape if len(shape) >= 2 else stops
        self._across = math.cos(math.radians(sum(lat for lat, _ in points) / len(points)))
        self._points = [self._plane(point) for point in points]
        lengths = (math.dist(one, other) for one, other in pairwise(self._points))
        self._metres = [0.0]
        for length in lengths:
            self._metres.append(self._metres[-1] + length)
        self._stretches = [self._stretch(first) for first in range(0, len(self._points) - 1, STRETCH)]
        self.stops = self._along(stops)

    @property
    def length_m(self) -> float:
        return self._metres[-1]

    def distance_m(self, one: Point, other: Point) -> float:
        """In a straight line."""
        return math.dist(self._plane(one), self._plane(other))

    def _plane(self, point: Point) -> Point:
        """Metres east and north; exact enough over the length of a line."""
        lat, lon = math.radians(point[0]), math.radians(point[1])
        return lon * self._across * EARTH_M, lat * EARTH_M

    def _stretch(self, first: int) -> _Stretch:
        segments = range(first, min(first + STRETCH, len(self._points) - 1))
        easts, norths = zip(*self._points[first : segments.stop + 1], strict=True)
        return _Stretch(segments, min(easts), min(norths), max(easts), max(norths))

    def _along(self, stops: Sequence[Point]) -> tuple[float, ...]:
        """The stops' metres, each at or after the one before it."""
        found: list[float] = []
        for number, stop in enumerate(stops):
            behind = found[-1] if found else 0.0
            near = [one for one in self.near(stop, 5 * BESIDE_M) if one.metres >= behind - 1]
            if not near:
                raise ValueError(f"stop {number} lies beside the way, or out of order")
            close = min(near).beside_m + BESIDE_M
            best = next(one for one in near if one.beside_m <= close)  # the first time the way comes by
            found.append(max(behind, min(best, *self._local(near, best)).metres))
        return tuple(found)

    @staticmethod
    def _local(near: Sequence[_Projected], first: _Projected) -> Iterator[_Projected]:
        """What belongs to the same passage as `first`."""
        yield first
        yield from (one for one in near if 0 <= one.metres - first.metres <= 4 * BESIDE_M)

    def near(self, point: Point, beside_m: float) -> list[_Projected]:
        """The nearest point of every segment within `beside_m`, in the order of the way."""
        return list(self._near(point, beside_m))

    def is_near(self, point: Point, beside_m: float) -> bool:
        """Whether any of it is within `beside_m`."""
        return any(True for _ in self._near(point, beside_m))

    def _near(self, point: Point, beside_m: float) -> Iterator[_Projected]:
        here = self._plane(point)
        for stretch in self._stretches:
            if stretch.within(here, beside_m):
                projected = (self._project(here, index) for index in stretch.segments)
                yield from (one for one in projected if one.beside_m <= beside_m)

    def _project(self, here: Point, index: int) -> _Projected:
        (ax, ay), (bx, by) = self._points[index], self._points[index + 1]
        dx, dy = bx - ax, by - ay
        square = dx * dx + dy * dy
        share = 0.0 if square == 0 else ((here[0] - ax) * dx + (here[1] - ay) * dy) / square
        share = min(1.0, max(0.0, share))
        beside = math.dist(here, (ax + share * dx, ay + share * dy))
        return _Projected(beside, self._metres[index] + share * math.sqrt(square))


class Matcher:
    """Follows one vehicle along one way, position by position. Make a new one for every run."""

    def __init__(self, way: ShapedWay) -> None:
        self._way = way
        self._last: Fix | None = None
        self._on: OnWay | None = None
        self._furthest_m = 0.0
        self._beside_m = 0.0
        """Driven since the last position on the way."""

    @property
    def on_way(self) -> OnWay | None:
        """What is known so far; None before the first position on the way."""
        return self._on

    def feed(self, fix: Fix) -> OnWay | None:
        """Where the vehicle is by this position; None when it says nothing: a jump, or nowhere near the way."""
        here, moved = (fix.lat, fix.lon), self._moved(fix)
        if moved is None or not self._way.is_near(here, FAR_M):
            return None
        speed = self._speed(fix, moved)
        self._last = fix
        place = self._choose(self._way.near(here, BESIDE_M), moved)
        if place is None:
            return self._beside(moved)
        self._beside_m = 0.0
        self._furthest_m = max(self._furthest_m, place)
        self._on = self._at(place, speed)
        return self._on

    def _moved(self, fix: Fix) -> float | None:
        """Metres since the last position; None for a jump. A clock that was put back says nothing of how fast that
        was: receivers begin with a wrong day, and one from the future would make all that follows a jump.
        """
        last = self._last
        if last is None:
            return 0.0
        moved = self._way.distance_m((last.lat, last.lon), (fix.lat, fix.lon))
        since_s = fix.at_s - last.at_s
        return moved if since_s < 0 or moved <= max(since_s, 1.0) * FASTEST_MPS else None

    def _speed(self, fix: Fix, moved: float) -> float:
        """Metres a second: the receiver's, or from the last position."""
        if fix.speed_mps is not None:
            return fix.speed_mps
        return SLOW_MPS if self._last is None else moved / max(fix.at_s - self._last.at_s, 1.0)

    def _choose(self, near: list[_Projected], moved: float) -> float | None:
        """Metres along the way; of several passages the one that needs the least driving since the last position."""
        on = self._on
        if on is None:
            return min(near, key=lambda one: (round(one.beside_m / 10), one.metres)).metres if near else None
        ahead = 3 * (moved + self._beside_m) + BACK_M  # a way with bends is longer than a straight line
        least = self._furthest_m - BACK_M
        within = [one for one in near if least <= one.metres <= on.metres + ahead]
        best = min(within, key=lambda one: one.beside_m + _driven(one.metres - on.metres) / 10, default=None)
        at_end = on.metres >= self._way.length_m - OFF_ROUTE_M
        if best is not None or not (at_end or on.off_route):
            return None if best is None else best.metres
        # the next round of a circular line, or a vehicle that comes to its first stop against the way
        again = [one for one in near if one.metres <= (OFF_ROUTE_M if at_end else BACK_M)]
        if again:
            self._on, self._furthest_m = None, 0.0
        return min(again).metres if again else None

    def _beside(self, moved: float) -> OnWay | None:
        """Off the way: the last place holds for `OFF_ROUTE_M`, and is no longer confirmed."""
        self._beside_m += moved
        if self._on is None or self._beside_m < OFF_ROUTE_M:
            return None
        on = self._on
        self._on = OnWay(on.metres, on.stop, on.coming, off_route=True)
        return self._on

    def _at(self, metres: float, speed_mps: float) -> OnWay:
        stops = self._way.stops
        passed = bisect_right(stops, metres - AT_STOP_M) - 1
        if speed_mps < SLOW_MPS:
            passed = max(passed, bisect_right(stops, metres + AT_STOP_M) - 1)
        before = 0 if self._on is None else self._on.stop
        stop = max(passed, before, 0)
        coming = stop + 1 if stop + 1 < len(stops) else None
        arriving = coming is not None and stops[coming] - metres <= AT_STOP_M
        return OnWay(metres, stop, coming, arriving)


def _driven(metres: float) -> float:
    """Metres to there; to reverse is the less likely."""
    return metres if metres >= 0 else -2 * metres
