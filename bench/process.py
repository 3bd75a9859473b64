"""A terminal process as the operating system sees it: time to ready, memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.result import Result, at_most
from terminal.app.config.write import new_file

STARTS = 5
READY = """
import resource, sys, time
from pathlib import Path
from terminal.app.compose import open_terminal
from terminal.app.station import Station
from terminal.clock import SystemClock
with open_terminal(Station(1, "bus", Path(sys.argv[1]), "demo"), SystemClock()) as terminal:
    print("ready", flush=True)
    sys.stdin.read()
"""


def start() -> Iterator[Result]:
    """The whole command, its Python included: best of several starts, because the machine is shared."""
    runs = []
    for _ in range(STARTS):
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder) / "terminal.toml"
            values: dict[str, dict[str, object]] = {
                "terminal": {"profile": "bus", "state": folder},
                "reader": {"name": "sim:month_pass"},
                "shift": {"operator": "bench"},
            }
            config.write_text(new_file(values), "utf-8")
            command = [sys.executable, "-m", "terminal.cli.app", "run", "--config", str(config), "--json"]
            begun = time.perf_counter()
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            tap = json.loads(process.stdout.readline())
            runs.append(time.perf_counter() - begun)
            process.communicate()
            assert tap["admission"] == "let_in"
    yield at_most(
        "process start to the end of the first tap",
        sorted(runs)[STARTS // 2],
        "s",
        1.0,
        "median, card issued too",
    )


def memory() -> Iterator[Result]:
    """Resident memory of a terminal that is ready for its first tap."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-c", READY, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        status = Path(f"/proc/{process.pid}/status")
        if not status.exists():
            process.communicate()
            yield Result(
                "resident memory, ready",
                float("nan"),
                "MB",
                "<= 60",
                None,
                f"no /proc on {os.uname().sysname}",
            )
            return
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
        process.communicate()
    yield at_most("resident memory, ready", int(line.split()[1]) / 1024, "MB", 60)
