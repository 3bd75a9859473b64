"""The XML an on-board computer sends as TicketValidationService, in the dialects that are met (VDV 301-2-16).

`vdv22`: schema V2.2. `vdv24`: schema V2.4, with expected times, a namespace and the stops of the short-haul fare.
`cz`: 2.2CZ1.0 of Prague: a stop has no reference, its zones are structures, and there is no operation for the line,
an inspection or the trip.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from xml.sax.saxutils import escape

from sim.vehicle.trip import PlannedTrip, TripMoment

SERVICE: Final = "TicketValidationService"
TIME: Final = "2026-06-01T08:00:00"
"""What clock an on-board computer has does not matter to a validator; a fixed one makes runs repeatable."""


class Dialect(StrEnum):
    """Which schema the on-board computer follows."""

    VDV22 = "vdv22"
    VDV24 = "vdv24"
    CZ = "cz"


OPERATIONS: Final = {
    Dialect.VDV22: ("CurrentTariffStop", "Razzia", "CurrentLine", "VehicleData"),
    Dialect.VDV24: ("CurrentTariffStop", "CurrentShortHaulStops", "Razzia", "CurrentLine", "VehicleData"),
    Dialect.CZ: ("CurrentTariffStop", "VehicleData"),
}


@dataclass(frozen=True, slots=True)
class VehicleNow:
    """What the on-board computer says at one moment; `zone` replaces that of the stop."""

    trip: PlannedTrip
    moment: TripMoment
    razzia: bool = False
    off_route: bool = False
    zone: str | None = None
    estimated: bool = False
    line: str | None = None
    shuffled: bool = False
    """The trip's stops are listed in another order than they are run."""


def telegram(operation: str, now: VehicleNow, dialect: Dialect) -> bytes:
    """The answer to Get`operation`, also sent to subscribers."""
    bodies = {
        "CurrentTariffStop": _tariff_stop,
        "CurrentShortHaulStops": _short_haul,
        "Razzia": lambda now, _dialect: _data("RazziaData", _plain("RazziaState", _razzia(now))),
        "CurrentLine": _line,
        "VehicleData": _vehicle,
    }
    return _document(f"{SERVICE}.Get{operation}Response", bodies[operation](now, dialect), dialect)


def trip_telegram(now: VehicleNow, dialect: Dialect) -> bytes:
    """The answer to RetrieveTripData."""
    order = list(range(len(now.trip.stops)))
    if now.shuffled:
        order.reverse()
    stops = "".join(f"<StopPoint>{_stop(now, stop, dialect)}</StopPoint>" for stop in order)
    location = _plain("LocationState", now.moment.near)
    inside = _leaf("TripRef", now.trip.ref) + f"<StopSequence>{stops}</StopSequence>" + location
    body = _data("TripData", f"<TripInformation>{inside}</TripInformation>")
    return _document(f"{SERVICE}.RetrieveTripDataResponse", body, dialect)


def error_telegram(root: str, says: str, dialect: Dialect) -> bytes:
    """An answer that holds no data."""
    return _document(root, _leaf("OperationErrorMessage", says), dialect)


def subscribed(active: bool, heartbeat_s: float) -> bytes:
    """The answer to Subscribe… and Unsubscribe…."""
    inside = _leaf("Active", "true" if active else "false") + _leaf("Heartbeat", f"PT{heartbeat_s:g}S")
    return _document("SubscribeResponse" if active else "UnsubscribeResponse", inside, Dialect.VDV22)


def _document(root: str, inside: str, dialect: Dialect) -> bytes:
    namespace = ' xmlns="http://www.vdv.de/ibis-ip"' if dialect is Dialect.VDV24 else ""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}{namespace}>{inside}</{root}>'.encode()


def _plain(name: str, value: str) -> str:
    return f"<{name}>{escape(value)}</{name}>"


def _leaf(name: str, value: object, *, language: str = "", error: str = "") -> str:
    inside = _plain("Value", str(value))
    inside += _plain("Language", language) if language else ""
    inside += _plain("ErrorCode", error) if error else ""
    return f"<{name}>{inside}</{name}>"


def _data(name: str, inside: str) -> str:
    return f"<{name}>{_leaf('TimeStamp', TIME)}{inside}</{name}>"


def _tariff_stop(now: VehicleNow, dialect: Dialect) -> str:
    stop = f"<CurrentTariffStop>{_stop(now, now.moment.stop, dialect, now.zone)}</CurrentTariffStop>"
    trip = "" if dialect is Dialect.CZ else _leaf("CurrentTripRef", now.trip.ref)
    return _data("CurrentTariffStopData", stop + trip)


def _short_haul(now: VehicleNow, dialect: Dialect) -> str:
    ahead = range(now.moment.stop, min(now.moment.stop + 3, len(now.trip.stops)))
    stops = "".join(f"<CurrentTariffStop>{_stop(now, stop, dialect)}</CurrentTariffStop>" for stop in ahead)
    return _data("CurrentShortHaulStopsData", stops + _leaf("CurrentTripRef", now.trip.ref))


def _stop(now: VehicleNow, index: int, dialect: Dialect, zone: str | None = None) -> str:
    stop, error = now.trip.stops[index], "DataEstimated" if now.estimated else ""
    language = "cs" if dialect is Dialect.CZ else "de"
    return "".join(
        (
            _leaf("StopIndex", index + 1),
            "" if dialect is Dialect.CZ else _leaf("StopRef", stop.ref, error=error),
            _leaf("StopName", stop.name, language=language),
            _display(now, language),
            _leaf("DepartureExpected", TIME) if dialect is Dialect.VDV24 else "",
            _leaf("DistanceToNextStop", 500),
            *_zones(stop.zone if zone is None else zone, dialect),
        )
    )


def _display(now: VehicleNow, language: str) -> str:
    line = now.line or now.trip.line
    destination = _leaf("DestinationName", now.trip.stops[-1].name, language=language)
    number = _leaf("LineNumber", line) if line.isdigit() else ""
    information = f"<LineInformation>{_leaf('LineName', line, language=language)}{number}</LineInformation>"
    return f"<DisplayContent>{information}<Destination>{destination}</Destination></DisplayContent>"


def _zones(zone: str, dialect: Dialect) -> Iterator[str]:
    if not zone:
        return
    if dialect is not Dialect.CZ:
        yield _leaf("FareZone", zone)
        return
    system, _, name = zone.rpartition(":")
    kind = _leaf("FareZoneTypeName", system, language="cs") if system else ""
    named = "".join(_leaf(f"FareZone{length}Name", name, language="cs") for length in ("Long", "Short"))
    yield f"<FareZone><FareZoneType>{kind}</FareZoneType>{named}</FareZone>"


def _razzia(now: VehicleNow) -> str:
    return "razzia" if now.razzia else "norazzia"


def _line(now: VehicleNow, _dialect: Dialect) -> str:
    line = now.line or now.trip.line
    inside = _leaf("LineRef", line) + _leaf("LineName", line, language="de")
    return _data("CurrentLineData", f"<CurrentLine>{inside}</CurrentLine>")


def _vehicle(now: VehicleNow, dialect: Dialect) -> str:
    doors = "DoorsOpen" if now.moment.doors else "AllDoorsClosed"
    mode = "<PtMainMode>BusSubmode</PtMainMode>" if dialect is Dialect.CZ else "bus"
    inside = _leaf("VehicleRef", "9632") + _plain(
        "RouteDeviation", "offroute" if now.off_route else "onroute"
    )
    return _data(
        "VehicleData", inside + _plain("DoorOpenState", doors) + f"<VehicleMode>{mode}</VehicleMode>"
    )
