"""A bus terminal and the vehicle it stands in, as two processes on loopback: orders to the one, rows of the other."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import IO, Any, Final, TypeAlias

from terminal.app.station import journal_reader
from terminal.journal.records import AnyRecord, Fault, Intent, Unwritten, parse_record
from tests.config_file import config_file
from tests.terminal.cli.conftest import ENVIRONMENT
from tests.terminal.operations.service import running

PATIENCE_S: Final = 40.0
LINE_15: Final = """
[header]
id = "city_routes"
version = 1
region = 34
issued_at = 2026-06-01T00:00:00+03:00

[zones]
"A" = 1
"PID:1" = 1
"B" = 2

[[routes]]
number = 15
name = "Station - University"
mode = "bus"
lines = ["15"]

[[routes.directions]]
name = "to University"
stops = [
  { number = 1501, name = "Station", zone = 1, refs = ["de:1501"], lat = 50.600, lon = 36.600 },
  { number = 1502, name = "Market", zone = 1, refs = ["de:1502"], lat = 50.605, lon = 36.600 },
  { number = 1503, name = "Park", zone = 2, refs = ["de:1503"], lat = 50.610, lon = 36.605 },
  { number = 1504, name = "University", zone = 2, refs = ["de:1504"], lat = 50.615, lon = 36.605 },
]

[[routes.directions]]
name = "to Station"
"""
"""A routes document of one line through two zones."""

TapRow: TypeAlias = Intent | Unwritten


def routes_file(folder: Path) -> Path:
    path = folder / "routes.toml"
    path.write_text(LINE_15, "utf-8")
    return path


class _Lines:
    """What a process prints, line by line, as it comes."""

    def __init__(self, stream: IO[str]) -> None:
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self._lines.put(line)
        self._lines.put(None)

    def next(self, until_s: float) -> str:
        """Fails at the end, and when nothing comes in time."""
        try:
            line = self._lines.get(timeout=max(0.01, until_s - monotonic()))
        except queue.Empty:
            raise AssertionError("nothing was printed in time") from None
        assert line is not None, "the process has ended"
        return line


class SimVehicle:
    """`sim vehicle --steps`, driven order by order."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._orders = process.stdin
        self._lines = _Lines(process.stdout)
        self.events: list[dict[str, Any]] = []
        self._ordered_at = 0
        self.address = str(self.hear("ready")["ready"])

    def hear(self, key: str, value: object = None) -> dict[str, Any]:
        """The first event since the last order that has `key`, of that value where one is given."""
        until_s, at = monotonic() + PATIENCE_S, self._ordered_at
        while True:
            if at == len(self.events):
                self.events.append(json.loads(self._lines.next(until_s)))
            event = self.events[at]
            if key in event and value in (None, event[key]):
                return event
            at += 1

    def order(self, order: str) -> None:
        """Returns when it has been carried out."""
        self._ordered_at = len(self.events)
        self._orders.write(order + "\n")
        self._orders.flush()
        self.hear("done", order)


@contextmanager
def sim_vehicle(routes: Path, speaks: str, *options: object) -> Iterator[SimVehicle]:
    """A vehicle on route 15 that moves by orders; ended by its own id."""
    arguments = ["vehicle", "--routes", routes, "--route", 15, "--as", speaks, "--steps", *options]
    process = subprocess.Popen(
        [sys.executable, "-m", "sim.cli.app", *map(str, arguments)],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield SimVehicle(process)
    finally:
        process.terminate()
        process.wait(10)
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            stream.close()


class BusRun:
    """A running terminal whose cards come by themselves, several a second: every tap is a row."""

    def __init__(self, process: subprocess.Popen[str], state: Path) -> None:
        assert process.stdout is not None
        self.process = process
        self._printed = _Lines(process.stdout)
        self._state = state
        self._printed.next(monotonic() + PATIENCE_S)  # from the first tap on there is a journal

    def rows(self) -> list[AnyRecord]:
        with journal_reader(self._state) as reader:
            return [parse_record(row.body) for row in reader.all_rows()]

    def taps(self) -> list[TapRow]:
        return [row for row in self.rows() if isinstance(row, Intent | Unwritten)]

    def next_tap(self) -> TapRow:
        """The row of a tap that begins after this call."""
        seen = len(self.taps())
        return self.tap_that(lambda _row: True, after=seen)

    def tap_that(self, holds: Callable[[TapRow], bool], after: int = 0) -> TapRow:
        """The newest tap once its row is as wanted; fails when that does not happen in time."""
        until_s = monotonic() + PATIENCE_S
        while True:
            taps = self.taps()
            if len(taps) > after and holds(taps[-1]):
                return taps[-1]
            try:
                self._printed.next(until_s)
            except AssertionError as error:
                raise AssertionError(f"{error}; last: {taps[-1].trip if taps else None}") from error

    def fact(self, **wanted: object) -> TapRow:
        """The newest tap once it states these of its place: `fact(stop=1502, zone=1)`; None for what is not stated."""
        named = {f"place.{name}": value for name, value in wanted.items()}
        return self.tap_that(lambda row: all(row.trip.get(name) == value for name, value in named.items()))

    def fault_that(self, code: str) -> None:
        """Returns once a row says that."""
        self.tap_that(lambda _row: code in self.faults())

    def faults(self) -> list[str]:
        return [row.code for row in self.rows() if isinstance(row, Fault)]


@contextmanager
def bus_run(folder: Path, routes: Path, vehicle: Mapping[str, object]) -> Iterator[BusRun]:
    """`terminal run --config` on route 15 with that `[vehicle]` table."""
    state = folder / "bus"
    file = config_file(
        folder / "config",
        terminal={"profile": "bus", "state": state, "region": "demo"},
        reader={"name": "sim:month_pass,adult_purse", "pace_s": 0.2},
        lists={"routes": routes},
        shift={"operator": "17", "route": 15, "direction": 0},
        vehicle=vehicle,
    )
    with running(["--config", file]) as process:
        assert process.stderr is not None
        _Lines(process.stderr)
        yield BusRun(process, state)
