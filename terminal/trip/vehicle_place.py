"""From what a vehicle reports to the place fares ask for: by the routes document alone, and never by a guess.

The run of the shift stands. A line, a stop, an order of stops or a zone that is not on it is a contradiction, and then
nothing of the report is a place: no stop, no mark, and no zone, least of all zone 0. Decides nothing else: what a stale
or contradicted place costs stands in the region document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from terminal.codes import Trouble, VehicleFault
from terminal.devices import one_line
from terminal.policy.routes import RouteBook, RouteStop
from terminal.trip.facts import NOWHERE, Place, PlaceQuality, PlaceSource, Spot
from terminal.trip.vehicle_report import RunStop, VehicleReport, VehicleRun

_SHOWN_CHARACTERS: Final = 40
CONTRADICTED: Final = Place(source=PlaceSource.VEHICLE, quality=PlaceQuality.CONTRADICTED)


class RunWay(Struct, frozen=True):
    """One direction of a route as reports are looked up on it. `at`: reference to the places it has in the order of
    stops; `zones`: the operator's name of a zone to the region's number.
    """

    route: int
    direction: int
    lines: tuple[str, ...]
    stops: tuple[RouteStop, ...]
    at: Mapping[str, tuple[int, ...]]
    zones: Mapping[str, int]


class PlaceHeard(Struct, frozen=True):
    """What a report says of the place; `trouble` is why it is a contradiction, None where it is none.

    `place` None: it says nothing of the place.
    """

    place: Place | None
    trouble: Trouble | None = None


NOTHING_HEARD: Final = PlaceHeard(None)


class _Contradiction(Exception):
    def __init__(self, code: VehicleFault, heard: str) -> None:
        super().__init__(code)
        self.trouble = Trouble(code, {"heard": one_line(heard)[:_SHOWN_CHARACTERS]})


def way_of(routes: RouteBook, number: int, direction: int) -> RunWay | None:
    """The way of that run; None where the routes document does not have the route."""
    route = routes.get(number)
    if route is None:
        return None
    stops = route.stops(direction)
    at: dict[str, tuple[int, ...]] = {}
    for index, stop in enumerate(stops):
        for reference in stop.called:
            at[reference] = (*at.get(reference, ()), index)
    return RunWay(number, direction, route.called, stops, at, routes.zones)


def run_of(way: RunWay | None, routes: RouteBook) -> VehicleRun:
    """The run as the side process has to know it to find a position on the way."""
    if way is None:
        return VehicleRun()
    route = routes.by_number[way.route]
    shape = route.directions[way.direction].shape if way.direction < len(route.directions) else ()
    if not shape and way.direction and route.directions:
        shape = route.directions[0].shape[::-1]
    return VehicleRun(
        route=way.route,
        direction=way.direction,
        lines=way.lines,
        stops=tuple(RunStop(stop.called, stop.zone, stop.lat, stop.lon) for stop in way.stops),
        shape=shape,
    )


def place_of(report: VehicleReport, way: RunWay | None) -> PlaceHeard:
    """The place that `report` states on `way`, its age left at 0; never raises. Without a way nothing is a place."""
    if way is None:
        return NOTHING_HEARD
    try:
        _require_same_run(report, way)
        return PlaceHeard(_stated(report, way)) if way.stops else NOTHING_HEARD
    except _Contradiction as error:
        return PlaceHeard(CONTRADICTED, error.trouble)


def _require_same_run(report: VehicleReport, way: RunWay) -> None:
    if report.line and report.line not in way.lines:
        raise _Contradiction(VehicleFault.OTHER_LINE, report.line)
    if report.direction is not None and report.direction != way.direction:
        raise _Contradiction(VehicleFault.OTHER_DIRECTION, str(report.direction))
    if report.off_order:
        raise _Contradiction(VehicleFault.OTHER_ORDER, report.trip)


def _stated(report: VehicleReport, way: RunWay) -> Place | None:
    index, sure = _index(report, way)
    zone = _zone(report, way, None if index is None else way.stops[index])
    coming, arriving = _coming(report, way, index)
    if index is None and not zone and coming is NOWHERE:
        return None
    at = Spot(zone=zone) if index is None else _spot(way.stops[index], zone)
    exact = sure and not report.estimated and not report.off_route
    return Place(
        stop=at.stop,
        zone=at.zone,
        mark_m=at.mark_m,
        source=PlaceSource.VEHICLE,
        quality=PlaceQuality.EXACT if exact else PlaceQuality.ESTIMATED,
        coming=coming,
        arriving=arriving,
    )


def _spot(stop: RouteStop, zone: int) -> Spot:
    return Spot(stop.number, stop.zone or zone, stop.mark_m)


def _index(report: VehicleReport, way: RunWay) -> tuple[int | None, bool]:
    """Where in the order of stops the vehicle is, and whether that is beyond doubt."""
    index = report.stop_index
    if report.stop_ref:
        known = way.at.get(report.stop_ref, ())
        if not known:
            raise _Contradiction(VehicleFault.UNKNOWN_STOP, report.stop_ref)
        return _one_of(known, report, way)
    if index is None or not report.line or report.direction is None:
        return None, True
    if index >= len(way.stops):
        raise _Contradiction(VehicleFault.UNKNOWN_STOP, str(index))
    return index, True


def _one_of(known: tuple[int, ...], report: VehicleReport, way: RunWay) -> tuple[int, bool]:
    """Of several stops with one reference that which the next one follows, else that which is nearest in the order."""
    if len(known) == 1:
        return known[0], True
    before = [index for index in known if index + 1 in way.at.get(report.coming_ref, ())]
    if len(before) == 1:
        return before[0], True
    if report.stop_index in known:
        return report.stop_index, True
    index = report.stop_index
    return (known[0] if index is None else min(known, key=lambda one: abs(one - index))), False


def _zone(report: VehicleReport, way: RunWay, stop: RouteStop | None) -> int:
    """The one zone that the names stand for on this way; 0 where they name none or several, and where the document
    translates no names or gives the way's stops no zones.
    """
    on_way = {one.zone for one in way.stops if one.zone}
    if not report.zones or not way.zones or not on_way:
        return 0
    named = {way.zones[name] for name in report.zones if name in way.zones}
    if not named:
        raise _Contradiction(VehicleFault.UNKNOWN_ZONE, " ".join(report.zones))
    possible = named & ({stop.zone} if stop is not None and stop.zone else on_way)
    if not possible:
        raise _Contradiction(VehicleFault.OTHER_ZONE, " ".join(report.zones))
    return possible.pop() if len(possible) == 1 else 0


def _coming(report: VehicleReport, way: RunWay, index: int | None) -> tuple[Spot, bool]:
    """The next stop, and whether the vehicle is all but there; the order of stops must be that of the way."""
    if report.coming_ref:
        known = way.at.get(report.coming_ref, ())
        if not known:
            raise _Contradiction(VehicleFault.UNKNOWN_STOP, report.coming_ref)
        ahead = [one for one in known if index is None or one > index]
        if not ahead:
            raise _Contradiction(VehicleFault.OTHER_ORDER, report.coming_ref)
        return _spot(way.stops[ahead[0]], 0), report.arriving
    if index is None or index + 1 >= len(way.stops):
        return NOWHERE, False
    return _spot(way.stops[index + 1], 0), report.arriving
