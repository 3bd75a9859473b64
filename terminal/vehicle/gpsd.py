"""gpsd: positions by its JSON protocol, matched to the stops of the way that the terminal runs.

Crew or schedule state route and direction; the side process is given their stops and shape. Positions say where on
that way the vehicle is, and when it has left it. Without places of its stops a run has no way to match.
"""

from __future__ import annotations

import json
import socket
from datetime import datetime
from time import monotonic
from typing import Any, Final

from terminal.trip.vehicle_report import NO_RUN, SourceSettings, SourceState, VehicleReport, VehicleRun
from terminal.vehicle.shape import Fix, Matcher, OnWay, ShapedWay
from terminal.vehicle.source import SourceBroken, SourceLink

NAME: Final = "gpsd"
WATCH: Final = b'?WATCH={"enable":true,"json":true}\n'
LONGEST_LINE_BYTES: Final = 64 * 1024
CHUNK_BYTES: Final = 16 * 1024
CONNECT_S: Final = 3.0
LOOK_S: Final = 0.5
MOST_LINES: Final = 20
PAUSE_S: Final = 0.05
"""Between two readings: a receiver speaks ten times a second at most, a flood is read in part."""
SILENT_S: Final = 30.0
"""gpsd sends something every second while a receiver is plugged in."""
RETRY_S: Final = 2.0
TWO_D: Final = 2
"""The least mode of a position."""
FASTEST_READING_MPS: Final = 150.0


def read_fix(line: bytes, now_s: float) -> Fix | None:
    """The position in a line of gpsd, None for any other line and while there is none. Its time is that of the
    satellites where stated, else `now_s`.
    """
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict) or said.get("class") != "TPV":
        return None
    mode, lat, lon = said.get("mode"), _number(said, "lat", 90.0), _number(said, "lon", 180.0)
    if not isinstance(mode, int) or mode < TWO_D or lat is None or lon is None:
        return None
    speed = _number(said, "speed", FASTEST_READING_MPS)
    return Fix(_seconds(said.get("time"), now_s), lat, lon, None if speed is None else abs(speed))


def _number(said: dict[str, Any], key: str, limit: float) -> float | None:
    value = said.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= limit else None  # no comparison holds for what is no number


def _seconds(time: object, now_s: float) -> float:
    try:
        return datetime.fromisoformat(time).timestamp() if isinstance(time, str) else now_s
    except (ValueError, OverflowError):
        return now_s


def way_of(run: VehicleRun) -> ShapedWay | None:
    """The way of a run; None where its stops have no places, or do not lie on its shape."""
    places = [(stop.lat, stop.lon) for stop in run.stops if stop.lat is not None and stop.lon is not None]
    if len(places) < len(run.stops):
        return None
    try:
        return ShapedWay(places, run.shape)
    except ValueError:
        return None


def report_of(run: VehicleRun, on: OnWay, heard_s: float, fix: Fix) -> VehicleReport:
    """A place on the way as the terminal hears of it: stops by their order, with a reference where they have one."""
    stop, coming = run.stops[on.stop], None if on.coming is None else run.stops[on.coming]
    return VehicleReport(
        heard_s=heard_s,
        source=NAME,
        line=run.lines[0] if run.lines else str(run.route),
        direction=run.direction,
        stop_ref=stop.refs[0] if stop.refs else "",
        stop_index=on.stop,
        coming_ref="" if coming is None or not coming.refs else coming.refs[0],
        arriving=on.arriving,
        off_route=on.off_route,
        lat=fix.lat,
        lon=fix.lon,
        mark=on.metres,
    )


class Gpsd:
    """The client of gpsd."""

    def __init__(self, settings: SourceSettings) -> None:
        self._address = _address(settings.gpsd)
        self._run = NO_RUN
        self._matcher: Matcher | None = None
        self._heard_s = 0.0

    def serve(self, link: SourceLink) -> None:
        while not link.ended:
            try:
                with socket.create_connection(self._address, CONNECT_S) as connection:
                    connection.sendall(WATCH)
                    self._listen(connection, link)
            except OSError as error:
                link.says(SourceState.UNREACHABLE, f"gpsd at {self._address[0]}:{self._address[1]}: {error}")
            if link.wait(RETRY_S):
                return

    def _listen(self, connection: socket.socket, link: SourceLink) -> None:
        """Until the connection ends. Raises `OSError` for it, and for a line without end."""
        connection.settimeout(LOOK_S)
        held, heard_s = b"", monotonic()
        while not link.wait(0):
            try:
                content = connection.recv(CHUNK_BYTES)
            except TimeoutError:
                if monotonic() - heard_s > SILENT_S:
                    raise TimeoutError("it says nothing") from None
                continue
            if not content:
                raise ConnectionResetError("it has closed the connection")
            link.says(SourceState.LISTENS)
            heard_s = monotonic()
            *lines, held = (held + content).split(b"\n")
            if len(held) > LONGEST_LINE_BYTES:
                raise ConnectionAbortedError("a line without end")
            self._take(lines, link)
            if link.wait(PAUSE_S):
                return

    def _take(self, lines: list[bytes], link: SourceLink) -> None:
        """The newest position decides; some before it are read because the way leads through them."""
        now_s, report = monotonic(), None
        self._follow(link.run)
        for line in lines[-MOST_LINES:]:
            fix = read_fix(line, now_s)
            if fix is not None:
                report = self._match(fix, now_s) or report
        if report is not None:
            link.report(report)

    def _follow(self, run: VehicleRun) -> None:
        if run is not self._run:
            self._run = run
            way = way_of(run)
            self._matcher = None if way is None else Matcher(way)

    def _match(self, fix: Fix, now_s: float) -> VehicleReport | None:
        if self._matcher is None:
            return None
        on = self._matcher.feed(fix)
        if on is None:
            return None
        if not on.off_route:  # beside its way the vehicle is not where it was last
            self._heard_s = now_s
        return report_of(self._run, on, self._heard_s, fix)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) <= 0xFFFF:
        raise SourceBroken(f"gpsd = {text!r} is no HOST:PORT: correct it under [vehicle]")
    return host.removeprefix("[").removesuffix("]"), int(port)
