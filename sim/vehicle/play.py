"""Runs a trip as an on-board computer, a receiver of positions, or into a recording, and breaks it as asked.

What happens is written to `out` as one JSON object a line, so that a program beside it can wait for it. With `steps`
nothing moves by itself: each line of `orders` is one order (`next`, or one of `ORDERS`), so that a test is never late.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from enum import StrEnum
from random import Random
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol, TextIO

from sim.vehicle.publisher import OnBoardComputer
from sim.vehicle.receiver import PositionServer
from sim.vehicle.telegrams import Dialect, VehicleNow
from sim.vehicle.trip import PlannedTrip, TripMoment, VehicleSimFault

if TYPE_CHECKING:
    from sim.vehicle.announcement import Announcement

FLOOD_MESSAGES: Final = 300
JUMP_M: Final = 10_000.0
STRANGER: Final = "127.0.0.2"
LATE_S: Final = 30.0
"""Seconds of the trip by which a late message is late."""


class SimFault(StrEnum):
    """What can go wrong with a vehicle's own account of itself."""

    SILENT = "silent"
    LATE = "late"
    WRONG_ZONE = "wrong-zone"
    WRONG_ORDER = "wrong-order"
    WRONG_LINE = "wrong-line"
    RESTART = "restart"
    FORGET = "forget"
    FLOOD = "flood"
    FOREIGN = "foreign"
    HOSTILE = "hostile"
    OFF_ROUTE = "off-route"
    JUMP = "jump"


class Vehicle(Protocol):
    """One way in which the vehicle makes itself known."""

    faults: frozenset[SimFault]

    def arrive(self, moment: TripMoment) -> None: ...

    def razzia(self, *, on: bool) -> None: ...

    def fault(self, fault: SimFault) -> None:
        """Begin a fault; it lasts until `mend`."""
        ...

    def mend(self) -> None: ...

    def close(self) -> None: ...


class Events:
    """Writes what happens, one JSON object a line, each at once."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lock = threading.Lock()

    def __call__(self, event: dict[str, object]) -> None:
        with self._lock:
            self._out.write(json.dumps(event, ensure_ascii=True) + "\n")
            self._out.flush()


class AsComputer:
    """A publisher of VDV 301."""

    faults = frozenset(set(SimFault) - {SimFault.JUMP})

    def __init__(
        self,
        trip: PlannedTrip,
        host: str,
        port: int,
        dialect: Dialect,
        heartbeat_s: float,
        events: Events,
        instance: str = "",
    ) -> None:
        first = next(trip.moments())
        self._computer = OnBoardComputer(host, port, dialect, heartbeat_s, VehicleNow(trip, first), events)
        self._late = False
        self._held: TripMoment | None = None
        """What is said when the next thing happens."""
        self._announcement = _announced(instance, host, self._computer.port) if instance else None
        events({"ready": f"{host}:{self._computer.port}", "as": "vdv301"})

    def arrive(self, moment: TripMoment) -> None:
        if self._late:
            self._held, moment = moment, self._held or self._computer.now.moment
        self._computer.say(replace(self._computer.now, moment=moment))

    @property
    def says(self) -> VehicleNow:
        """What it says now."""
        return self._computer.now

    def razzia(self, *, on: bool) -> None:
        self._computer.say(replace(self._computer.now, razzia=on))

    def fault(self, fault: SimFault) -> None:
        computer, now = self._computer, self._computer.now
        match fault:
            case SimFault.SILENT:
                computer.silent = True
            case SimFault.LATE:
                self._late = True
            case SimFault.RESTART:
                self._restart()
            case SimFault.FORGET:
                computer.forget("CurrentTariffStop")
            case SimFault.FLOOD:
                computer.flood(FLOOD_MESSAGES)
            case SimFault.HOSTILE:
                computer.hostile()
            case SimFault.FOREIGN:
                last = replace(now.moment, stop=len(now.trip.stops) - 1)
                computer.foreign(STRANGER, replace(now, moment=last))
            case SimFault.WRONG_ZONE:
                computer.say(replace(now, zone=_other_zone(now.trip, now.moment.stop)))
            case SimFault.WRONG_LINE:
                computer.say(replace(now, line=f"{now.trip.line}-other"))
            case SimFault.WRONG_ORDER:
                computer.say(replace(now, trip=replace(now.trip, suffix="-other"), shuffled=True))
            case SimFault.OFF_ROUTE:
                computer.say(replace(now, off_route=True))

    def _restart(self) -> None:
        """On the same port, or on another where that is announced."""
        if self._announcement is None:
            self._computer.restart(self._computer.port)
            return
        self._computer.restart(0)
        self._announcement.move(self._computer.port)

    def mend(self) -> None:
        now = self._computer.now
        self._computer.silent = self._late = False
        now, self._held = replace(now, moment=self._held or now.moment), None
        trip = replace(now.trip, suffix="")
        mended = replace(now, trip=trip, zone=None, line=None, shuffled=False, off_route=False)
        self._computer.say(mended)

    def close(self) -> None:
        self._computer.close()
        if self._announcement is not None:
            self._announcement.close()


def _announced(instance: str, host: str, port: int) -> Announcement:
    try:
        from sim.vehicle.announcement import Announcement  # noqa: PLC0415 an optional package
    except ImportError as error:
        raise VehicleSimFault("--dns-sd needs the package zeroconf", "Install it.") from error
    return Announcement(instance, host, port)


def _other_zone(trip: PlannedTrip, stop: int) -> str:
    """The name of a zone that the stop does not lie in."""
    own = trip.stops[stop].zone
    return next((one.zone for one in trip.stops if one.zone not in {"", own}), f"{own}9")


class AsReceiver:
    """A server of positions, as gpsd is one. One position for each second of the trip between two moments."""

    faults = frozenset(
        {
            SimFault.SILENT,
            SimFault.RESTART,
            SimFault.FLOOD,
            SimFault.HOSTILE,
            SimFault.JUMP,
            SimFault.OFF_ROUTE,
        }
    )

    def __init__(self, trip: PlannedTrip, host: str, port: int, events: Events) -> None:
        if len(trip.shape) < 2:
            raise VehicleSimFault("the stops have no places", "Give them lat and lon in the routes document.")
        self._trip = trip
        self._at_s = 0.0
        self._server = PositionServer(host, port, events)
        self._silent = False
        self._beside_m = 0.0
        events({"ready": f"{host}:{self._server.port}", "as": "gpsd"})

    def arrive(self, moment: TripMoment) -> None:
        while self._at_s < moment.at_s:
            self._at_s = min(self._at_s + 1.0, moment.at_s)
            self._send()
        self._send()

    def _send(self, beside_m: float = 0.0) -> None:
        if not self._silent:
            lat, lon, stands = self._trip.position_at(self._at_s, self._beside_m + beside_m)
            self._server.position(self._at_s, lat, lon, stands=stands)

    def razzia(self, *, on: bool) -> None:
        order = "razzia" if on else "norazzia"
        raise VehicleSimFault(f"a receiver of positions cannot say {order}", "Use --as vdv301.")

    def fault(self, fault: SimFault) -> None:
        match fault:
            case SimFault.SILENT:
                self._silent = True
            case SimFault.RESTART:
                self._server.restart(self._server.port)
            case SimFault.FLOOD:
                for _ in range(FLOOD_MESSAGES):
                    self._send()
            case SimFault.HOSTILE:
                self._server.hostile()
            case SimFault.JUMP:
                self._send(JUMP_M)
            case SimFault.OFF_ROUTE:
                self._leave()

    def _leave(self) -> None:
        """Turn off the way, and drive 400 m away from it."""
        for _ in range(50):
            self._at_s += 1.0
            self._beside_m += 8.0
            self._send()

    def mend(self) -> None:
        self._silent, self._beside_m = False, 0.0

    def close(self) -> None:
        self._server.close()


class AsRecording:
    """A recording, written at once: nothing has to be waited for."""

    faults = frozenset(
        {SimFault.SILENT, SimFault.LATE, SimFault.WRONG_ZONE, SimFault.WRONG_LINE, SimFault.OFF_ROUTE}
    )

    def __init__(self, trip: PlannedTrip, out: TextIO) -> None:
        self._trip = trip
        self._out = out
        self._razzia = False
        self._fault: SimFault | None = None
        self._before_s = 0.0

    def arrive(self, moment: TripMoment) -> None:
        if self._fault is SimFault.SILENT:
            return
        stops, stop = self._trip.stops, self._trip.stops[moment.stop]
        late_s = LATE_S if self._fault is SimFault.LATE else 0.0
        self._before_s = max(self._before_s, moment.at_s + late_s)
        wrong_zone = self._fault is SimFault.WRONG_ZONE
        zone = _other_zone(self._trip, moment.stop) if wrong_zone else stop.zone
        line = self._trip.line + ("-other" if self._fault is SimFault.WRONG_LINE else "")
        report: dict[str, object] = {
            "at_s": round(self._before_s, 1),
            "line": line,
            "direction": self._trip.direction,
        }
        report |= {"stop_ref": stop.ref, "stop_index": moment.stop, "doors_open": moment.doors}
        report |= {"zones": [zone]} if zone else {}
        report |= {"coming_ref": stops[moment.stop + 1].ref} if moment.stop + 1 < len(stops) else {}
        report |= {"off_route": True} if self._fault is SimFault.OFF_ROUTE else {}
        self._out.write(json.dumps(report | {"razzia": self._razzia}, ensure_ascii=False) + "\n")

    def razzia(self, *, on: bool) -> None:
        self._razzia = on

    def fault(self, fault: SimFault) -> None:
        self._fault = fault

    def mend(self) -> None:
        self._fault = None

    def close(self) -> None:
        self._out.flush()


def drive(
    vehicle: Vehicle,
    trip: PlannedTrip,
    speed_up: float,
    faults: Iterable[SimFault],
    seed: int,
    events: Events,
) -> None:
    """The whole trip, once, `speed_up` times faster than the timetable (0 waits for nothing): each fault at a stop of
    its own, until the next stop.
    """
    planned = _planned(vehicle, trip, tuple(faults), Random(seed))  # noqa: S311 repeatable on purpose
    begun_s, broken_at = monotonic(), -1
    for moment in trip.moments():
        if speed_up:
            threading.Event().wait(max(0.0, begun_s + moment.at_s / speed_up - monotonic()))
        if broken_at not in {-1, moment.stop}:
            vehicle.mend()
            events({"mended": moment.stop})
            broken_at = -1
        if moment.stop in planned and broken_at == -1:
            broken_at = moment.stop
            vehicle.arrive(moment)
            fault = planned.pop(moment.stop)
            vehicle.fault(fault)
            events({"fault": fault, "stop": trip.stops[moment.stop].ref})
            continue
        vehicle.arrive(moment)
        _show(trip, moment, events)


def _planned(
    vehicle: Vehicle, trip: PlannedTrip, faults: tuple[SimFault, ...], rng: Random
) -> dict[int, SimFault]:
    """A stop for each fault, the first one apart."""
    for fault in faults:
        _require(vehicle, fault)
    if len(faults) >= len(trip.stops):
        raise VehicleSimFault(f"{len(faults)} faults on {len(trip.stops)} stops", "Name fewer.")
    return dict(zip(sorted(rng.sample(range(1, len(trip.stops)), len(faults))), faults, strict=True))


def _require(vehicle: Vehicle, fault: SimFault) -> None:
    if fault not in vehicle.faults:
        known = ", ".join(sorted(vehicle.faults))
        raise VehicleSimFault(f"{fault} cannot be shown this way", f"Name one of: {known}.")


def _show(trip: PlannedTrip, moment: TripMoment, events: Events) -> None:
    stop = trip.stops[moment.stop]
    events({"stop": stop.ref, "index": moment.stop, "near": moment.near, "at_s": round(moment.at_s, 1)})


ORDERS: Final = ("next", "stop", "razzia", "norazzia", "mend", *SimFault)


def obey(vehicle: Vehicle, trip: PlannedTrip, orders: Iterable[str], events: Events) -> None:
    """One order a line: `next` moment, next `stop` (its doors open), `razzia`, `norazzia`, a fault, or `mend`."""
    moments = trip.moments()
    doing: dict[str, Callable[[], None]] = {
        "next": lambda: _show(trip, _onward(vehicle, moments, doors=False), events),
        "stop": lambda: _show(trip, _onward(vehicle, moments, doors=True), events),
        "razzia": lambda: vehicle.razzia(on=True),
        "norazzia": lambda: vehicle.razzia(on=False),
        "mend": vehicle.mend,
    }
    for order in map(str.strip, orders):
        if not order:
            continue
        if order in doing:
            doing[order]()
        elif order in set(SimFault):
            _require(vehicle, SimFault(order))
            vehicle.fault(SimFault(order))
        else:
            raise VehicleSimFault(f"unknown order {order[:40]!r}", f"Known: {', '.join(ORDERS)}.")
        events({"done": order})


def _onward(vehicle: Vehicle, moments: Iterator[TripMoment], *, doors: bool) -> TripMoment:
    """The next moment, or the next one at a stop."""
    for moment in moments:
        vehicle.arrive(moment)
        if moment.doors or not doors:
            return moment
    raise VehicleSimFault("the trip is over", "Start another.")
