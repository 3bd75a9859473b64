"""The routes document: what vehicles of a region run, in which mode, and by which stops, in order.

    [header]
    id = "city_routes"
    version = 3
    region = 31
    issued_at = 2026-11-29T00:00:00+03:00

    [zones]                       # how on-board computers call the region document's zones, where they name any
    "2203" = 4

    [[routes]]
    number = 15
    name = "Вокзал — Университет"
    mode = "tram"
    lines = ["15", "K15"]         # how on-board computers call it; the number where this is left out

    [[routes.directions]]         # direction 0, then direction 1
    name = "к Университету"
    stops = [
      { number = 1501, name = "Вокзал", zone = 1, mark_m = 0, refs = ["de:1501"], lat = 50.6, lon = 36.6 },
      { number = 1502, name = "Университет", zone = 2, mark_m = 4100 },
    ]

    [[notices]]                   # notices of the office; each driver confirms them
    id = "mira_closed"
    text = "Ул. Мира закрыта до 18:00, объезд по Советской"
    routes = [15]                 # of all routes where this is left out; `terminals` likewise
    valid_to = 2026-11-30T18:00:00+03:00

A second direction that states no stops runs through those of the first backwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final

from msgspec import Meta, field

from cardproto.resident.limits import LARGEST_ROUTE
from terminal.errors import Mistake, RegionDocumentError
from terminal.mistakes.document import parsed, read
from terminal.mistakes.form import FileForm
from terminal.policy.base import Mode, Name, Section, Version, moment_problems, unique
from terminal.policy.mistakes import RoutesMistake

LARGEST_STOP: Final = 0xFFFFFF
LARGEST_ZONE: Final = 255
MOST_BYTES: Final = 16 * 1024 * 1024
Text = Annotated[str, Meta(min_length=1, max_length=60)]
Reference = Annotated[str, Meta(min_length=1, max_length=100)]
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]


class DocumentIssue(Section, frozen=True, kw_only=True):
    """Which issue of a document or list this is; a later one of the same `id` and `region` replaces it.

    `valid_from`: when it takes effect; at once where that is left out.
    """

    id: Name
    version: Version
    region: Annotated[int, Meta(ge=1, le=0xFFFF)]
    issued_at: Annotated[datetime, Meta(tz=True)]
    valid_from: Annotated[datetime, Meta(tz=True)] | None = None


class RouteStop(Section, frozen=True, kw_only=True):
    """A stop of one direction. `zone` is the region document's number, `mark_m` metres beyond the city boundary, each
    where fares depend on it; `refs` are what on-board computers call it, its number where that is left out; `lat` and
    `lon` (WGS 84) where it lies.
    """

    number: Annotated[int, Meta(ge=1, le=LARGEST_STOP)]
    name: Text
    zone: Annotated[int, Meta(ge=0, le=LARGEST_ZONE)] = 0
    mark_m: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    refs: Annotated[tuple[Reference, ...], Meta(max_length=16)] = ()
    lat: Latitude | None = None
    lon: Longitude | None = None

    @property
    def called(self) -> tuple[str, ...]:
        """What on-board computers call it."""
        return self.refs or (str(self.number),)


class RouteDirection(Section, frozen=True, kw_only=True):
    """One direction of a route; `shape` are points (latitude, longitude) of the way, where the stops are too few."""

    name: Text
    stops: Annotated[tuple[RouteStop, ...], Meta(max_length=1000)] = ()
    shape: Annotated[tuple[tuple[Latitude, Longitude], ...], Meta(max_length=20_000)] = ()


class LineRoute(Section, frozen=True, kw_only=True):
    """One route. `mode` may be left out where no price of the region depends on it; `lines` are what on-board
    computers call it, its number where that is left out.
    """

    number: Annotated[int, Meta(ge=1, le=LARGEST_ROUTE)]
    name: Text
    mode: Mode | None = None
    lines: Annotated[tuple[Reference, ...], Meta(max_length=16)] = ()
    directions: Annotated[tuple[RouteDirection, ...], Meta(max_length=2)] = ()

    @property
    def called(self) -> tuple[str, ...]:
        """What on-board computers call it."""
        return self.lines or (str(self.number),)

    def stops(self, direction: int) -> tuple[RouteStop, ...]:
        """As the vehicle comes to them; empty where they are not listed."""
        stated = self.directions[direction].stops if direction < len(self.directions) else ()
        if not stated and direction and self.directions:
            return self.directions[0].stops[::-1]
        return stated


class OfficeNotice(Section, frozen=True, kw_only=True):
    """A short message to the crews of these routes and terminals (none named: all), from `valid_from`, included, to
    `valid_to`, excluded. A changed text is a new notice with an `id` of its own.
    """

    id: Name
    text: Annotated[str, Meta(min_length=1, max_length=280)]
    routes: Annotated[tuple[int, ...], Meta(max_length=1000)] = ()
    terminals: Annotated[tuple[int, ...], Meta(max_length=1000)] = ()
    valid_from: Annotated[datetime, Meta(tz=True)] | None = None
    valid_to: Annotated[datetime, Meta(tz=True)] | None = None

    def concerns(self, terminal: int, route: int, now: datetime) -> bool:
        """Whether the crew of that terminal on that route is to read it now."""
        begun = self.valid_from is None or self.valid_from <= now
        over = self.valid_to is not None and self.valid_to <= now
        here = (not self.routes or route in self.routes) and (
            not self.terminals or terminal in self.terminals
        )
        return begun and not over and here


class RoutesDocument(Section, frozen=True, kw_only=True):
    """All routes a terminal may run on, and notices of the office. `zones`: an on-board computer's name of a
    zone to the region's number.
    """

    header: DocumentIssue
    routes: Annotated[tuple[LineRoute, ...], Meta(max_length=10_000)] = ()
    notices: Annotated[tuple[OfficeNotice, ...], Meta(max_length=50)] = ()
    zones: dict[Reference, Annotated[int, Meta(ge=1, le=LARGEST_ZONE)]] = field(default_factory=dict)


@dataclass(frozen=True)
class RouteBook:
    """A routes document made ready for asking."""

    document: RoutesDocument | None = None

    @property
    def version(self) -> str:
        """Which document this is ("city_routes:3"); empty for none."""
        header = None if self.document is None else self.document.header
        return "" if header is None else f"{header.id}:{header.version}"

    @cached_property
    def by_number(self) -> Mapping[int, LineRoute]:
        """In the document's order."""
        listed = () if self.document is None else self.document.routes
        return MappingProxyType({route.number: route for route in listed})

    def notices(self, terminal: int, route: int, now: datetime) -> tuple[OfficeNotice, ...]:
        """What the crew of that terminal on that route is to read now."""
        listed = () if self.document is None else self.document.notices
        return tuple(notice for notice in listed if notice.concerns(terminal, route, now))

    @cached_property
    def zones(self) -> Mapping[str, int]:
        """An on-board computer's name of a zone to the region's number."""
        return MappingProxyType({} if self.document is None else self.document.zones)

    def get(self, number: int) -> LineRoute | None:
        return self.by_number.get(number)

    def stops(self, number: int, direction: int) -> tuple[RouteStop, ...]:
        """The stops of a route's direction in order; empty where nothing is listed."""
        route = self.get(number)
        return () if route is None else route.stops(direction)


NO_ROUTES: Final = RouteBook()


def load_routes(path: Path, called: str = "") -> RouteBook:
    """The routes document at `path`; raises `RegionDocumentError` with all its mistakes, naming the file or what it is
    `called`."""
    return RouteBook(read(ROUTES, path, called))


def parse_routes(content: bytes, name: str) -> RouteBook:
    """The routes document in `content`; `name` is the file in `RegionDocumentError`s."""
    return RouteBook(parsed(ROUTES, content, name))


def _problems(document: RoutesDocument) -> Iterator[Mistake]:
    header = document.header
    yield from moment_problems({"header.issued_at": header.issued_at, "header.valid_from": header.valid_from})
    yield from unique("routes", (route.number for route in document.routes), "number")
    yield from unique("notices", (notice.id for notice in document.notices), "id")
    for index, notice in enumerate(document.notices):
        moments = {"valid_from": notice.valid_from, "valid_to": notice.valid_to}
        yield from moment_problems({f"notices[{index}].{name}": at for name, at in moments.items()})
    for index, route in enumerate(document.routes):
        for direction in (0, 1):
            stops, path = route.stops(direction), f"routes[{index}].directions[{direction}].stops"
            if len(stops) == 1:
                yield Mistake(path, RoutesMistake.ONE_STOP)
            yield from _without_place(stops, path)


ROUTES: Final = FileForm(RoutesDocument, RegionDocumentError, checks=_problems, most_bytes=MOST_BYTES)


def _without_place(stops: Iterable[RouteStop], path: str) -> Iterator[Mistake]:
    for index, stop in enumerate(stops):
        if (stop.lat is None) != (stop.lon is None):
            yield Mistake(f"{path}[{index}]", RoutesMistake.HALF_A_PLACE)
