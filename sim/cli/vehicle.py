"""`sim vehicle`: a vehicle that runs a trip of a routes document and says where it is, right or wrong."""

from __future__ import annotations

import signal
import sys
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TextIO

import typer

from sim.image_file import own_file
from sim.vehicle.play import AsComputer, AsReceiver, AsRecording, Events, SimFault, Vehicle, drive, obey
from sim.vehicle.telegrams import Dialect
from sim.vehicle.trip import PlannedTrip, VehicleSimFault, planned_trip


class VehicleAs(StrEnum):
    """As what the vehicle speaks."""

    VDV301 = "vdv301"
    GPSD = "gpsd"
    REPLAY = "replay"


def vehicle(
    routes: Annotated[Path, typer.Option(help="Routes document (TOML).")],
    route: Annotated[int, typer.Option(min=1, help="Number of the route.")],
    direction: Annotated[int, typer.Option(min=0, max=1, help="0, or 1 for the way back.")] = 0,
    speaks: Annotated[VehicleAs, typer.Option("--as", help="Source it stands for.")] = VehicleAs.VDV301,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=0xFFFF, help="Port; 0 takes any free one.")] = 0,
    dialect: Annotated[Dialect, typer.Option(help="Schema of the messages (vdv301).")] = Dialect.VDV22,
    instance: Annotated[
        str, typer.Option("--dns-sd", help="Announce the service under this name (vdv301; needs zeroconf).")
    ] = "",
    heartbeat_s: Annotated[
        float, typer.Option("--heartbeat", min=0.1, help="Seconds between repeated messages (vdv301).")
    ] = 60.0,
    speed_up: Annotated[float, typer.Option(min=0.1, help="How many times faster than the timetable.")] = 1.0,
    faults: Annotated[
        str, typer.Option(help="Faults, each at a stop of its own: " + ", ".join(SimFault) + ".")
    ] = "",
    seed: Annotated[int, typer.Option(help="Seed of the timetable and of where faults occur.")] = 1,
    steps: Annotated[
        bool,
        typer.Option(
            "--steps", help="Move by the orders on standard input only: next, stop, razzia, a fault."
        ),
    ] = False,
    out: Annotated[Path | None, typer.Option(help="File of the recording (replay); default: stdout.")] = None,
) -> None:
    """Run a trip of a routes document as a VDV 301 on-board computer, as gpsd, or into a recording."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    trip, wanted = planned_trip(routes, route, direction, seed), _faults(faults)
    with (
        open(out, "w", encoding="utf-8", opener=own_file) if out is not None else nullcontext(sys.stdout)
    ) as recording:
        recorded = speaks is VehicleAs.REPLAY
        events = Events(sys.stderr if recorded else sys.stdout)
        driven = _vehicle(speaks, trip, (host, port), dialect, heartbeat_s, instance, events, recording)
        try:
            if steps:
                obey(driven, trip, sys.stdin, events)
            else:
                drive(driven, trip, 0.0 if recorded else speed_up, wanted, seed, events)
        except KeyboardInterrupt:
            events({"ended": "on request"})
        finally:
            driven.close()


def _vehicle(
    speaks: VehicleAs,
    trip: PlannedTrip,
    address: tuple[str, int],
    dialect: Dialect,
    heartbeat_s: float,
    instance: str,
    events: Events,
    recording: TextIO,
) -> Vehicle:
    if speaks is VehicleAs.REPLAY:
        return AsRecording(trip, recording)
    if speaks is VehicleAs.GPSD:
        return AsReceiver(trip, *address, events)
    return AsComputer(trip, *address, dialect, heartbeat_s, events, instance)


def _faults(text: str) -> tuple[SimFault, ...]:
    named = [one.strip() for one in text.split(",") if one.strip()]
    unknown = [one for one in named if one not in set(SimFault)]
    if unknown:
        raise VehicleSimFault(f"unknown fault {unknown[0]!r}", f"Known: {', '.join(SimFault)}.")
    return tuple(map(SimFault, named))
