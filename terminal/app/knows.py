"""Which facts a terminal of this configuration can know, and whether they are enough for a region document.

Asked when a terminal starts, before another document or list takes effect, and by `terminal policy check --terminal`.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from terminal.app.config.rules import takes_bundles
from terminal.app.config.settings import CANTEEN, StationConfig
from terminal.errors import RegionDocumentError
from terminal.journal.journal import Journal
from terminal.policy import needs
from terminal.policy.document.schema import PassengerAsk, RegionDocument
from terminal.policy.needs import Need, unknown_on, unknown_to, zone_unknown
from terminal.policy.routes import RouteBook, RouteStop
from terminal.trip.producers import PRODUCERS, FactSource

_WITHOUT_CONSOLE: Final = frozenset({"shift", "turn", "route", "direction"})
"""What the crew states by `[shift]` or `terminal shift` too."""
_AGES: Final = ("freshness.deny_list_age_s", "freshness.grants_age_s")
_PLACE: Final = "Name a routes document (`routes` under [lists]) and a vehicle source, or enable the console."
_ENDS: Final = (
    "Name a routes document (`routes` under [lists]) that lists the stops of every direction, with theirs."
)
_ASKED: Final = (
    "Enable the console, where the crew asks the rider, or the display, where the document lets riders state it "
    "(`passenger_asks` under [profiles.bus])."
)
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


def facts_known(
    config: StationConfig, routes: RouteBook, asks: Container[PassengerAsk] = ()
) -> frozenset[str]:
    """The facts that this configuration has a source for, with these routes. `asks`: what riders may state by touch."""
    here = _sources(config)
    known = {fact for fact, sources in PRODUCERS.items() if not here.isdisjoint(sources)}
    if config.vehicle.own_source is not None and FactSource.CREW not in here:
        known -= {needs.STOP, needs.ZONE, needs.MARK} - set(_of_stops(routes))
    named = config.lists.deny, config.lists.grants
    known -= {fact for fact, file in zip(_AGES, named, strict=True) if file is None}
    if config.screen.enabled:
        known |= set(_of_touch(asks))
    return frozenset(known | _WITHOUT_CONSOLE) | frozenset(_of_routes(routes))


def _of_touch(asks: Container[PassengerAsk]) -> Iterator[str]:
    """What riders state on the display."""
    for fact, sources in PRODUCERS.items():
        ask = PassengerAsk.COMPANIONS if fact == needs.COMPANIONS else PassengerAsk.DESTINATION
        if FactSource.RIDER in sources and ask in asks:
            yield fact


def _sources(config: StationConfig) -> set[FactSource]:
    """Those that this terminal has; what routes and riders say is another matter."""
    optional = {
        FactSource.ROUTES: False,
        FactSource.RIDER: False,
        FactSource.CREW: config.console.enabled,
        FactSource.INSPECTOR: config.console.enabled,
        FactSource.VEHICLE: config.vehicle.source is not None,
        FactSource.COLLECTOR: config.collector.url is not None,
        FactSource.BUNDLES: takes_bundles(config),
        FactSource.LISTS: config.lists.deny is not None or config.lists.grants is not None,
    }
    return {source for source in FactSource if optional.get(source, True)}


def _of_routes(routes: RouteBook) -> Iterator[str]:
    """What a routes document says of every route it has; of stops, what it says of the ends of some direction."""
    listed = routes.by_number.values()
    if listed and all(route.mode is not None for route in listed):
        yield needs.MODE
    for stops in _ways(routes):
        yield from _of_spot("place.origin", stops[0])
        yield from _of_spot("place.terminus", stops[-1])


def _of_stops(routes: RouteBook) -> Iterator[str]:
    """What our own vehicle sources can say of a place: they look it up among the stops of the run."""
    for stops in _ways(routes):
        for stop in stops:
            yield from _of_spot("place", stop)


def _ways(routes: RouteBook) -> Iterator[tuple[RouteStop, ...]]:
    """Every direction whose stops are listed."""
    for route in routes.by_number.values():
        yield from filter(None, (route.stops(0), route.stops(1)))


def _of_spot(where: str, stop: RouteStop) -> Iterator[str]:
    yield f"{where}.stop"
    if stop.zone:
        yield f"{where}.zone"
    if stop.mark_m is not None:
        yield f"{where}.mark_m"


def unknown_here(config: StationConfig, document: RegionDocument, routes: RouteBook) -> list[Need]:
    """What `document` needs and this terminal cannot know on these routes."""
    if config.terminal.profile == CANTEEN:
        return []
    known = facts_known(config, routes, document.profiles.bus.passenger_asks)
    return unknown_to(document, known, routes)


def require_known(config: StationConfig, document: RegionDocument, routes: RouteBook) -> None:
    """Raise `RegionDocumentError` where `document` needs what this terminal cannot know and gives no answer itself."""
    missing = [need for need in unknown_here(config, document, routes) if not need.answered]
    if not missing:
        if config.terminal.profile != CANTEEN:
            _require_zones(document, routes)
        return
    more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
    header = document.header
    raise RegionDocumentError(
        f"region document {header.id} version {header.version}: {said_of(missing[0])}{more}",
        ADVICE[missing[0].fact],
    )


def _require_zones(document: RegionDocument, routes: RouteBook) -> None:
    """Raise `RegionDocumentError` where `routes` name a zone that `document` does not have."""
    found = zone_unknown(document, routes)
    if found is not None:
        where, number = found
        raise RegionDocumentError(
            f"routes document {routes.version}: {where} lies in zone {number}, which region document "
            f"{document.header.id} version {document.header.version} does not have",
            "Correct the zone there, or add it under [[zones]] of the region document.",
        )


class KnownHere:
    """`require_known` of one running terminal, and `require_run` of the run it is on. Any thread."""

    def __init__(self, config: StationConfig) -> None:
        self._config = config
        self._journal: Journal | None = None

    def runs_by(self, journal: Journal) -> None:
        """From now on the run that `journal` says counts, too."""
        self._journal = journal

    def __call__(self, document: RegionDocument, routes: RouteBook) -> None:
        """Raise `RegionDocumentError` for what is needed and not known."""
        require_known(self._config, document, routes)
        run = None if self._journal is None else self._journal.open_turn or self._journal.open_shift
        if run is not None and self._config.terminal.profile != CANTEEN:
            require_run(document, routes, run.route)


def require_shift(config: StationConfig, document: RegionDocument, routes: RouteBook) -> None:
    """`require_run` of the shift that [shift] opens where none is open."""
    if config.shift.operator is not None and config.terminal.profile != CANTEEN:
        require_run(document, routes, config.shift.route)


def require_run(document: RegionDocument, routes: RouteBook, route: int) -> None:
    """Raise `RegionDocumentError` where `document` needs what `routes` do not say of this route, such as its mode: a
    vehicle on it would sell every ride as a bus does."""
    need = unknown_on(document, route, routes)
    if need is not None:
        header = document.header
        raise RegionDocumentError(
            f"region document {header.id} version {header.version}: {need.path} depends on {needs.NAMED[need.fact]} "
            f"({need.rule}), and the routes document does not state that of route {route}",
            "List the route with its mode in the routes document, or run one that is listed.",
        )


def said_of(need: Need) -> str:
    """What is missing, in one line."""
    return f"{need.path} depends on {needs.NAMED[need.fact]} ({need.rule}), which this terminal has no source for"
