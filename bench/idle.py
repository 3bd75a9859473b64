"""A terminal that waits, and one that never stops working: what it costs, and that it does not grow.

python -m bench idle              20 000 taps
python -m bench.idle 100000       as many as one likes
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from bench.result import Result, at_most
from cardproto.connection import CardConnection
from sim.air import VirtualClock
from sim.reader import SimReader
from terminal.app.collector import collector_process, enrol, trust
from terminal.app.compose import open_terminal
from terminal.app.config.write import new_file
from terminal.app.serve import CardSource, serve
from terminal.app.simulated import issue_residents
from terminal.app.station import SOFTWARE, Station
from terminal.app.uplink import Uplink, background_sync
from terminal.operations.log import Form, Level, Log
from terminal.operations.metrics import terminal_metrics
from terminal.operations.notify import ServiceManager
from terminal.operations.text_format import render
from terminal.operations.vitals import Identity, Vitals
from terminal.policy.load import load_region
from terminal.tap_report import TapReport
from terminal.trip.shifts import open_shift

TAPS = 20_000
CARDS = 60
"""Each comes back after ten minutes, when it is a new ride."""
SETTLING_S = 5.0
WATCHED_S = 20.0
NUMBER = 1
MB = 1024
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where journals of a hundred thousand taps lie: how fast a disk flushes is measured elsewhere."""


class Size(NamedTuple):
    """A process as the kernel sees it."""

    rss_kb: int
    threads: int
    handles: int


def waiting() -> Iterator[Result]:
    """CPU of a real `terminal run` on an empty reader, background sync and metrics on, scraped once meanwhile."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        state, address = Path(folder) / "terminal", _collector(Path(folder), stack)
        config = Path(folder) / "terminal.toml"
        values: dict[str, dict[str, object]] = {
            "terminal": {"profile": "bus", "state": state},
            "reader": {"name": "sim:"},
            "collector": {"url": address},
            "shift": {"operator": "17"},
            "metrics": {"port": 0},
        }
        config.write_text(new_file(values), "utf-8")
        command = [sys.executable, "-m", "terminal.cli.app", "run", "--config", str(config)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            page = next(line.split()[3] for line in process.stderr if ": metrics: " in line)
            time.sleep(SETTLING_S)
            begun_s, cpu_s = time.monotonic(), _cpu_s(process.pid)
            urllib.request.urlopen(page).read()
            time.sleep(WATCHED_S)
            share = (_cpu_s(process.pid) - cpu_s) / (time.monotonic() - begun_s)
            process.terminate()
            process.communicate()
    yield at_most("CPU of a terminal that waits for cards, sync on", share * 100, "%", 1)


def working(taps: int = TAPS) -> Iterator[Result]:
    """Growth of a terminal process between the first tenth of its taps and the last; all are paid with a pass."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder, ExitStack() as stack:
        state, address = Path(folder) / "terminal", _collector(Path(folder), stack)
        command = [sys.executable, "-m", "bench.idle", "child", str(state), str(taps), address]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    first, last = (Size(*map(int, line.split())) for line in done.stdout.splitlines())
    grown = (last.rss_kb - first.rss_kb) / MB
    yield at_most(f"growth of memory over {taps} taps", grown, "MB", 2, f"ends at {last.rss_kb / MB:.0f} MB")
    yield at_most(f"growth of threads over {taps} taps", last.threads - first.threads, "threads", 0)
    yield at_most(f"growth of file handles over {taps} taps", last.handles - first.handles, "handles", 0)


def _collector(folder: Path, stack: ExitStack) -> str:
    """A collector process that knows the terminal, and the other way round."""

    enrol(folder / "terminal", NUMBER, folder / "collector")
    address = stack.enter_context(collector_process(folder / "collector"))
    trust(folder / "terminal", folder / "collector")
    return address


def _cpu_s(process: int) -> float:
    """User and system time, all threads."""
    after_name = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def _serve(state: Path, taps: int, address: str) -> None:
    """The child: presence loop, taps, journal, log, metrics and background sync as `terminal run` puts them together,
    on a clock that moves ten seconds with each card. What time it is by the collector's clock is therefore not heard.
    """

    clock = VirtualClock(datetime(2026, 9, 1, 5, tzinfo=UTC))
    region = load_region("demo")
    cards = issue_residents(["month_pass"] * CARDS, region.header.region, clock.now().date())
    served = 0

    reader = SimReader("bench", clock)

    class OneAfterTheOther:
        """Every card of the row comes and goes, ten seconds apart."""

        name = "bench"

        def wait_for_card(self, timeout_s: float) -> CardConnection | None:
            clock.advance(10)
            reader.present(cards[served % CARDS])
            return reader.wait_for_card(timeout_s)

        def wait_for_removal(self, timeout_s: float) -> bool:
            reader.remove()
            return reader.wait_for_removal(timeout_s)

        def release(self) -> None:
            reader.release()

        def close(self) -> None:
            reader.close()

    with ExitStack() as stack:
        terminal = stack.enter_context(open_terminal(Station(NUMBER, "bus", state, "demo"), clock))
        nowhere = stack.enter_context(Path(os.devnull).open("w"))
        identity = Identity(NUMBER, "bus", SOFTWARE, state, "bench")
        log = Log(NUMBER, clock, Form.JSON, Level.INFO, nowhere.write)
        vitals = Vitals(identity, terminal.journal, clock, terminal.clock_watch, log, ServiceManager())
        uplink = background_sync(
            terminal.journal,
            Uplink(state, address),
            clock,
            vitals.synced,
            on_time=lambda _at_ms: None,
            on_withdrawn=lambda _editions: None,
            on_identity=vitals.identified,
        )
        sync = stack.enter_context(uplink)
        assert sync is not None
        sync.start()
        open_shift(terminal.journal, clock.now(), "17", "bus")

        def show(report: TapReport) -> None:
            nonlocal served
            assert report.outcome.accepted, report.outcome
            served += 1
            sync.wake()
            if served % 1_000 == 0:
                render(terminal_metrics(vitals))
            if served in (taps // 10, taps):
                print(*_size(), flush=True)

        serve(terminal, CardSource(OneAfterTheOther(), taps), show, vitals)


def _size() -> Size:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    handles = len(list(Path("/proc/self/fd").iterdir()))
    return Size(int(status["VmRSS"].split()[0]), int(status["Threads"]), handles)


if __name__ == "__main__":
    if sys.argv[1] == "child":
        _serve(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    else:
        for result in working(int(sys.argv[1])):
            result.print()
