"""A receiver of positions that speaks the JSON protocol of gpsd: a server of its own, without gpsd."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, cast

from sim.vehicle.trip import SPEED_MPS, VehicleSimFault

BEGINS: Final = datetime(2026, 6, 1, 8, tzinfo=UTC)
VERSION: Final = {"class": "VERSION", "release": "3.22", "rev": "3.22", "proto_major": 3, "proto_minor": 14}
WATCH: Final = {"class": "WATCH", "enable": True, "json": True, "nmea": False, "raw": 0, "scaled": False}
DEVICES: Final = {
    "class": "DEVICES",
    "devices": [{"class": "DEVICE", "path": "/dev/ttyS0", "driver": "NMEA0183"}],
}

HOSTILE: Final = (
    b'{"class":"TPV","mode":3,"lat":' + b"9" * 400 + b',"lon":36.6}',
    b'{"class":"TPV","mode":3,"lat":50.6,"lon":36.6,"speed":-' + b"9" * 4000 + b"}",
    b'{"class":"TPV","mode":' + b"9" * 5000 + b',"lat":50.6,"lon":36.6}',
    b'{"class":"TPV","mode":1e999,"lat":NaN,"lon":-Infinity}',
    b'{"class":"TPV","mode":3,"lat":50.6,"lon":170,"time":"0001-01-01T00:00:00+23:59"}',
    b'{"class":["TPV"],"mode":{},"lat":[],"lon":null}',
    b"[" * 60_000,
    b"\x00\xff" * 20_000,
)
"""Lines meant to cost the reader time, memory or its life."""


class PositionServer:
    """Sends what `say` is given to every client that watches."""

    def __init__(self, host: str, port: int, happened: Callable[[dict[str, object]], None]) -> None:
        self.happened = happened
        self._lock = threading.Lock()
        self._watching: set[_Client] = set()
        self._host = host
        self._server = self._serve(port)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def position(self, at_s: float, lat: float, lon: float, *, stands: bool) -> None:
        """A fix: `at_s` of the trip is the satellites' time."""
        speed = 0.0 if stands else SPEED_MPS
        self.say(
            {"class": "TPV", "device": "/dev/ttyS0", "mode": 3, "time": _time(at_s), "lat": round(lat, 7)}
            | {"lon": round(lon, 7), "speed": speed, "epx": 3.0, "epy": 3.0}
        )

    def no_fix(self, at_s: float) -> None:
        """The receiver sees no satellites."""
        self.say({"class": "TPV", "device": "/dev/ttyS0", "mode": 1, "time": _time(at_s)})

    def say(self, message: dict[str, object]) -> None:
        self.send((json.dumps(message) + "\r\n").encode())

    def send(self, content: bytes) -> None:
        """Any bytes, to every client that watches."""
        with self._lock:
            watching = list(self._watching)
        for client in watching:
            client.send(content)

    def hostile(self) -> None:
        """Send what no receiver says."""
        self.send(b"".join(line + b"\n" for line in HOSTILE))

    def restart(self, port: int) -> None:
        """End, close every connection, and come back on `port`."""
        self.close()
        self._server = self._serve(port)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        with self._lock:
            watching = list(self._watching)
        for client in watching:
            client.drop()

    def _serve(self, port: int) -> socketserver.ThreadingTCPServer:
        handler = cast(
            type[socketserver.BaseRequestHandler], type("Watched", (_Client,), {"positions": self})
        )
        try:
            server = _PositionTcp((self._host, port), handler)
        except OSError as error:
            raise VehicleSimFault(
                f"port {port} of {self._host} cannot be used ({error.strerror})", "Name another --port."
            ) from error
        threading.Thread(target=server.serve_forever, args=(0.05,), name="gpsd", daemon=True).start()
        return server

    def watch(self, client: _Client, *, on: bool) -> None:
        with self._lock:
            (self._watching.add if on else self._watching.discard)(client)
        if on:
            self.happened({"watched": True})


class _PositionTcp(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class _Client(socketserver.StreamRequestHandler):
    """One connection: watched from its ?WATCH on."""

    positions: PositionServer

    def handle(self) -> None:
        self.send((json.dumps(VERSION) + "\r\n").encode())
        try:
            for line in iter(lambda: self.rfile.readline(4096), b""):
                if line.startswith(b"?WATCH="):
                    self.send((json.dumps(DEVICES) + "\r\n" + json.dumps(WATCH) + "\r\n").encode())
                    self.positions.watch(self, on=b"true" in line)
        except OSError:
            return  # the client has gone
        finally:
            self.positions.watch(self, on=False)

    def send(self, content: bytes) -> None:
        try:
            self.connection.sendall(content)
        except OSError:
            self.positions.watch(self, on=False)

    def drop(self) -> None:
        try:
            self.connection.shutdown(2)
        except OSError:
            self.positions.watch(self, on=False)


def _time(at_s: float) -> str:
    return (BEGINS + timedelta(seconds=at_s)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
