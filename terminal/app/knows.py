"""Which facts a terminal of this configuration can know, and whether they are enough for a region document.

Asked when a terminal starts, before another document or list takes effect, and by `terminal policy check --terminal`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from terminal.app.config.settings import CANTEEN, StationConfig
from terminal.errors import RegionDocumentError
from terminal.policy import needs
from terminal.policy.document.schema import RegionDocument
from terminal.policy.needs import Need, unknown_to
from terminal.policy.routes import RouteBook, RouteStop
from terminal.trip.producers import PRODUCERS, FactSource

_NOT_ALWAYS: Final = frozenset(
    {FactSource.ROUTES, FactSource.CREW, FactSource.INSPECTOR, FactSource.COLLECTOR}
)
"""Sources that a terminal may be without."""
_WITHOUT_CONSOLE: Final = frozenset({"shift", "turn", "route", "direction"})
"""What the crew states by `[shift]` or `terminal shift` too."""
_PLACE: Final = "Name a routes document (`routes` under [lists]) and a vehicle source, or enable the console."
_ENDS: Final = (
    "Name a routes document (`routes` under [lists]) that lists the stops of every direction, with theirs."
)
_ASKED: Final = "Enable the console, where the crew asks the rider."
ADVICE: Final[Mapping[str, str]] = MappingProxyType(
    {
        needs.MODE: "Name a routes document (`routes` under [lists]) in which every route states its mode.",
        needs.STOP: _PLACE,
        needs.ZONE: _PLACE,
        needs.MARK: _PLACE,
        needs.TO_ZONE: _ASKED,
        needs.TO_MARK: _ASKED,
        needs.COMPANIONS: _ASKED,
        needs.TERMINUS_ZONE: _ENDS,
        needs.TERMINUS_MARK: _ENDS,
    }
)
"""How a terminal comes to know each fact that may be needed."""


def facts_known(config: StationConfig, routes: RouteBook) -> frozenset[str]:
    """The facts that this configuration has a source for, with these routes."""
    return frozenset(_of_sources(config)) | frozenset(_of_routes(routes))


def _of_sources(config: StationConfig) -> Iterator[str]:
    here = set(FactSource) - _NOT_ALWAYS
    if config.console.enabled:
        here |= {FactSource.CREW, FactSource.INSPECTOR}
    if config.collector.url is not None:
        here.add(FactSource.COLLECTOR)
    for fact, sources in PRODUCERS.items():
        by_vehicle = config.vehicle.source is not None and fact in (needs.STOP, needs.ZONE, needs.MARK)
        if by_vehicle or fact in _WITHOUT_CONSOLE or not here.isdisjoint(sources):
            yield fact


def _of_routes(routes: RouteBook) -> Iterator[str]:
    """What a routes document says of every route it has; of stops, what it says of the ends of some direction."""
    listed = routes.by_number.values()
    if listed and all(route.mode is not None for route in listed):
        yield needs.MODE
    for route in listed:
        for direction in (0, 1):
            if stops := route.stops(direction):
                yield from _of_end("place.origin", stops[0])
                yield from _of_end("place.terminus", stops[-1])


def _of_end(end: str, stop: RouteStop) -> Iterator[str]:
    yield f"{end}.stop"
    if stop.zone:
        yield f"{end}.zone"
    if stop.mark_m is not None:
        yield f"{end}.mark_m"


def unknown_here(config: StationConfig, document: RegionDocument, routes: RouteBook) -> list[Need]:
    """What `document` needs and this terminal cannot know on these routes."""
    if config.terminal.profile == CANTEEN:
        return []
    return unknown_to(document, facts_known(config, routes), routes)


def require_known(config: StationConfig, document: RegionDocument, routes: RouteBook) -> None:
    """Raise `RegionDocumentError` where `document` needs what this terminal cannot know and gives no answer itself."""
    missing = [need for need in unknown_here(config, document, routes) if not need.answered]
    if not missing:
        return
    more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
    header = document.header
    raise RegionDocumentError(
        f"region document {header.id} version {header.version}: {said_of(missing[0])}{more}",
        ADVICE[missing[0].fact],
    )


def said_of(need: Need) -> str:
    """What is missing, in one line."""
    return f"{need.path} depends on {needs.NAMED[need.fact]} ({need.rule}), which this terminal has no source for"
