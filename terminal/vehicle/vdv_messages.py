"""What the TicketValidationService of VDV 301 says, as values (versions 2.1 to 2.4 and the Czech 2.2CZ and 2.3CZ).

Elements are found by name and unknown ones left out, because no two on-board computers follow one schema. A leaf may
be `<X><Value>…</Value></X>` or plain text. `ErrorCode` beside a value: DataEstimated makes it an estimate, any other
makes it no value. Older software says CurrentStopPoint for CurrentTariffStop. The Czech dialect has no `StopRef` and
no operation for the line, which it states with the stop; its zones are structures.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from terminal.vehicle.elements import LONGEST_TEXT, XmlElement, parse_elements

SERVICE: Final = "TicketValidationService"
ESTIMATED: Final = "DataEstimated"
MOST_ZONES: Final = 16
MOST_STOPS: Final = 1000
MOST_NAMES: Final = 8


@dataclass(frozen=True, slots=True)
class StopSaid:
    """A stop: `index` on its trip, counted from 1; `ref` is empty in dialects that state none."""

    index: int | None
    ref: str
    zones: tuple[str, ...] = ()
    line: tuple[str, ...] = ()
    estimated: bool = False

    @property
    def known(self) -> bool:
        """Whether it can be found on a route."""
        return bool(self.ref) or self.index is not None


@dataclass(frozen=True, slots=True)
class TariffStopSaid:
    """The stop fares count from now; None while the on-board computer has none. `trip` refers to its trip."""

    stop: StopSaid | None
    trip: str = ""


@dataclass(frozen=True, slots=True)
class LineSaid:
    """The names of the line that is run, the reference first; none while the vehicle runs no line."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RazziaSaid:
    """Whether an inspection is under way; None where the on-board computer does not know."""

    razzia: bool | None


@dataclass(frozen=True, slots=True)
class VehicleSaid:
    """State of the vehicle; None where unknown."""

    off_route: bool | None
    doors_open: bool | None


@dataclass(frozen=True, slots=True)
class TripSaid:
    """A trip with its stops in order."""

    trip: str
    stops: tuple[StopSaid, ...]


@dataclass(frozen=True, slots=True)
class SubscriptionSaid:
    """Whether messages will come, and at least how often; None where the publisher does not say."""

    active: bool
    heartbeat_s: float | None


@dataclass(frozen=True, slots=True)
class RefusedSaid:
    """The on-board computer cannot answer (`OperationErrorMessage`). `about` is the operation, empty where unknown."""

    about: str


@dataclass(frozen=True, slots=True)
class OtherSaid:
    """A message of no meaning here; `name` is its root element."""

    name: str


Said = (
    TariffStopSaid
    | LineSaid
    | RazziaSaid
    | VehicleSaid
    | TripSaid
    | SubscriptionSaid
    | RefusedSaid
    | OtherSaid
)


def read_message(body: bytes) -> Said:
    """What a message says; raises `XmlRefused` where it is no XML within the limits."""
    root = parse_elements(body)
    name = root.name.removeprefix(SERVICE).removeprefix(".").removeprefix("Get")
    about = name.removesuffix("Response").removesuffix("Data")
    if root.first("OperationErrorMessage") is not None:
        return RefusedSaid(about)
    read = _READERS.get(about)
    return OtherSaid(root.name) if read is None else read(root)


@dataclass(frozen=True, slots=True)
class _Leaf:
    """The text of a leaf that has one."""

    text: str
    estimated: bool = False


_NOTHING: Final = _Leaf("")


def _leaf(parent: XmlElement | None, *path: str) -> _Leaf:
    """The value at `path`, `Value` or plain text; empty where there is none or its `ErrorCode` denies it."""
    found = None if parent is None else parent.first(*path)
    if found is None:
        return _NOTHING
    value = found.first("Value")
    text = found.text if value is None else value.text
    code = found.first("ErrorCode")
    if len(text) > LONGEST_TEXT or not text.isprintable():
        return _NOTHING
    if code is None:
        return _Leaf(text)
    return _Leaf(text, estimated=True) if code.text == ESTIMATED else _NOTHING


def _whole(text: str) -> int | None:
    """A number of at most four digits: no trip has more stops."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 4 else None


def _tariff_stop(root: XmlElement) -> TariffStopSaid:
    data = root.first("CurrentTariffStopData") or root.first("CurrentStopPointData") or root
    stop = data.first("CurrentTariffStop") or data.first("CurrentStopPoint")
    said = None if stop is None else _stop(stop)
    trip = _leaf(data, "CurrentTripRef").text
    return TariffStopSaid(said if said is not None and said.known else None, trip)


def _stop(element: XmlElement) -> StopSaid:
    index, ref = _leaf(element, "StopIndex"), _leaf(element, "StopRef")
    zones = [zone for one in element.every("FareZone")[:MOST_ZONES] for zone in _zone(one)]
    return StopSaid(
        index=_whole(index.text),
        ref=ref.text,
        zones=tuple(dict.fromkeys(zone.text for zone in zones)),
        line=tuple(_line_names(element.first("DisplayContent", "LineInformation"))),
        estimated=index.estimated or ref.estimated or any(zone.estimated for zone in zones),
    )


def _zone(element: XmlElement) -> Iterator[_Leaf]:
    """The name of a zone: a token, or a structure that names the tariff system, too ("PID:3")."""
    plain = _leaf(element)
    if plain.text:
        yield plain
        return
    shorts = (_leaf(element, name) for name in ("FareZoneShortName", "FareZoneID", "FareZoneLongName"))
    name = next((leaf for leaf in shorts if leaf.text), None)
    if name is not None:
        system = _leaf(element, "FareZoneType", "FareZoneTypeName").text
        full = f"{system}:{name.text}" if system else name.text
        if len(full) <= LONGEST_TEXT:
            yield _Leaf(full, name.estimated)


def _line(root: XmlElement) -> LineSaid:
    data = root.first("CurrentLineData") or root
    return LineSaid(tuple(_line_names(data.first("CurrentLine"))))


def _line_names(line: XmlElement | None) -> Iterator[str]:
    names = ("LineRef", "LineNumber", "LineShortName", "LineName", "LineCode")
    found = dict.fromkeys(_leaf(line, name).text for name in names)
    yield from [name for name in found if name][:MOST_NAMES]


def _razzia(root: XmlElement) -> RazziaSaid:
    state = _leaf(root.first("RazziaData") or root, "RazziaState").text
    return RazziaSaid({"razzia": True, "norazzia": False}.get(state.lower()))


def _vehicle(root: XmlElement) -> VehicleSaid:
    data = root.first("VehicleData") or root
    doors = _leaf(data, "DoorOpenState").text
    return VehicleSaid(
        off_route={"offroute": True, "onroute": False}.get(_leaf(data, "RouteDeviation").text.lower()),
        doors_open=_DOORS.get(doors),
    )


_DOORS: Final = MappingProxyType(
    {
        "DoorsOpen": True,
        "SingleDoorOpen": True,
        "AllDoorsClosed": False,
    }  # one closed door says nothing of the others
)


def _trip(root: XmlElement) -> TripSaid:
    data = root.first("TripData") or root
    trip = data.first("TripInformation") or data
    sequence = trip.first("StopSequence")
    points = () if sequence is None else sequence.every("StopPoint")[:MOST_STOPS]
    return TripSaid(_leaf(trip, "TripRef").text, tuple(map(_stop, points)))


def _subscription(root: XmlElement) -> SubscriptionSaid:
    active = _leaf(root, "Active").text.lower()
    return SubscriptionSaid(active in {"true", "1"}, _seconds(_leaf(root, "Heartbeat").text))


_DURATION: Final = re.compile(
    r"(?:PT)?(?:([0-9]{1,3})H)?(?:([0-9]{1,4})M)?(?:([0-9]{1,6}(?:\.[0-9]{1,6})?)S?)?"
)


def _seconds(duration: str) -> float | None:
    """An XML duration below a day ("PT60S", "PT1M"), or plain seconds; None for any other and for none at all."""
    found = _DURATION.fullmatch(duration)
    hours, minutes, seconds = found.groups(default="0") if found else ("0", "0", "0")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds) or None


_READERS: Final[Mapping[str, Callable[[XmlElement], Said]]] = MappingProxyType(
    {
        "CurrentTariffStop": _tariff_stop,
        "CurrentStopPoint": _tariff_stop,
        "CurrentLine": _line,
        "Razzia": _razzia,
        "Vehicle": _vehicle,
        "RetrieveTrip": _trip,
        "Subscribe": _subscription,
        "Unsubscribe": _subscription,
    }
)
