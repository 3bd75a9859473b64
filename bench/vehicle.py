"""What the vehicle costs a terminal: from its word to the next tap, CPU of a tap, start and memory."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.cards import SteppedClock, bus
from bench.result import Result, at_most
from bench.taps import replayed_cpu_ms
from terminal.app.config.write import new_file
from terminal.clock import SystemClock
from terminal.policy.routes import RouteBook, parse_routes
from terminal.trip.shifts import start_turn
from terminal.trip.vehicle import VehicleLink
from terminal.trip.vehicle_report import SourceSettings, VehicleReport

WORDS = 100
STARTS = 5
STOPS = 40
DEAD_S = 3600.0
HEAD = """
[header]
id = "bench"
version = 1
region = 999
issued_at = 2026-01-01T00:00:00+03:00
[zones]
"A" = 1
[[routes]]
number = 15
name = "Line"
[[routes.directions]]
name = "there"
stops = [
"""
TEXT = (
    HEAD
    + "".join(f'{{ number = {1500 + n}, name = "{n}", zone = 1, refs = ["s{n}"] }},' for n in range(STOPS))
    + "]"
)


def routes_text(region: int) -> str:
    """The same for another region than that of no terminal."""
    return TEXT.replace("region = 999", f"region = {region}")


def routes() -> RouteBook:
    return parse_routes(TEXT.encode(), "bench")


def heard() -> Iterator[Result]:
    """A line in a pipe, the side process, the terminal's thread, and the place that a tap would get."""
    book, samples = routes(), []
    with _link() as (link, pipe):
        for n in range(WORDS):
            stop = n % STOPS
            begun = time.perf_counter()
            os.write(pipe, json.dumps({"line": "15", "stop_ref": f"s{stop}"}).encode() + b"\n")
            while (place := link.place_on(15, 0, book)) is None or place.stop != 1500 + stop:
                time.sleep(0.0002)
            if n:  # the first one waits for the process to start
                samples.append((time.perf_counter() - begun) * 1000)
            time.sleep(0.02)
    note = f"median of {len(samples)}; slowest {max(samples):.1f} ms"
    yield at_most("vehicle's word to the place of a tap", statistics.median(samples), "ms", 20, note)


@contextmanager
def _link() -> Iterator[tuple[VehicleLink, int]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pipe"
        os.mkfifo(path)
        pipe = os.open(path, os.O_RDWR)
        link = VehicleLink(SourceSettings(source="replay", replay=str(path)), SystemClock())
        link.start()
        try:
            yield link, pipe
        finally:
            link.close()
            os.close(pipe)


def tap_cpu() -> Iterator[Result]:
    """Taps with a place of the vehicle in each row against taps without a vehicle."""
    rounds = [(_cpu_ms(None), _cpu_ms(0), _cpu_ms(DEAD_S)) for _ in range(3)]
    without, with_it, dead = (min(values) for values in zip(*rounds, strict=True))
    note = f"{with_it:.3f} ms against {without:.3f} ms"
    yield at_most("terminal CPU of a tap with the vehicle's place", with_it / without, "times", 1.10, note)
    yield at_most("terminal CPU of a tap with a source that is dead", dead / without, "times", 1.10)


def _cpu_ms(silent_s: float | None) -> float:
    """Of a tap whose vehicle was heard that long ago; None: no vehicle."""
    with tempfile.TemporaryDirectory() as folder:
        clock = SteppedClock()
        terminal = bus(Path(folder), clock)
        terminal.routes = routes()
        start_turn(terminal.journal, clock.now(), "bench", 15, 0)
        link = VehicleLink(SourceSettings(source="replay"), clock)
        link.take(
            VehicleReport(
                heard_s=time.monotonic() - (silent_s or 0),
                source="replay",
                line="15",
                stop_ref="s7",
                zones=("A",),
                razzia=True,
            )
        )
        if silent_s is not None:
            terminal.vehicle = link
        try:
            return replayed_cpu_ms(terminal, clock)
        finally:
            link.close()
            terminal.journal.close()


def start() -> Iterator[Result]:
    """The whole command with routes and a vehicle: to ready, and what the tap process holds after a tap."""
    runs, sizes = zip(*(_started() for _ in range(STARTS)), strict=True)
    yield at_most("process start to ready, with a vehicle", sorted(runs)[0], "s", 0.6, f"best of {STARTS}")
    yield at_most("resident memory of the tap process, with a vehicle", max(sizes), "MB", 55, "after a tap")


def _started() -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "routes.toml").write_text(TEXT)
        (Path(folder) / "words.jsonl").write_text('{"line": "15", "stop_ref": "s7"}\n')
        config = Path(folder) / "terminal.toml"
        values: dict[str, dict[str, object]] = {
            "terminal": {"profile": "bus", "state": folder},
            "reader": {"name": "sim:month_pass", "pace_s": 0.2},
            "lists": {"routes": "routes.toml"},
            "shift": {"operator": "bench", "route": 15},
            "vehicle": {"source": "replay", "replay": "words.jsonl"},
        }
        config.write_text(new_file(values), "utf-8")
        command = [sys.executable, "-m", "terminal.cli.app", "run", "--config", str(config), "--json"]
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stderr is not None
        while ": ready:" not in process.stderr.readline():
            pass
        ready_s = time.perf_counter() - begun
        for _ in range(3):
            process.stdout.readline()
        status = Path(f"/proc/{process.pid}/status").read_text()
        process.terminate()
        process.communicate()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return ready_s, int(line.split()[1]) / 1024
