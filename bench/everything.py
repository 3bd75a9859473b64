"""A bus terminal with everything configured: CPU and modules until it is ready, and what its process holds.

A tariff with a feed, routes, a deny list and a list of grants of a million entries each, a vehicle source, devices
around the reader, console, display, metrics and a collector that does not answer, after a restart: the lists and
documents are in force already. Beside it a terminal with nothing of that, started in turn with it on the same
machine: their ratio is what is comparable between machines. Sources are compiled beforehand, as an installed package
is.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from bench.feed_decisions import feed_region
from bench.result import Result, at_most
from bench.vehicle import routes_text
from terminal.app.config.write import new_file
from terminal.app.simulated import laboratory_keys
from terminal.app.uplink import COLLECTOR_KEY_FILE
from terminal.keys.file import load_file_keys
from terminal.policy.deny_list import DenyKind, build_deny_list
from terminal.policy.grants import LocalGrants, build_grants
from terminal.policy.keyed_file import ListIssue
from terminal.sync.identity import load_or_create_key, write_public_key

STARTS = 5
LISTED = 1_000_000
REGION = 34
CLOSED_PORT = "http://127.0.0.1:1"
PERIPHERY: dict[str, dict[str, object]] = {
    "periphery.gpio": {"chip": "sim"},
    "periphery.lamps": {"ready": "white", "accepted": "green", "refused": "red", "buzzer": "buzzer"},
    "periphery.barrier": {"line": "gate", "passed": "beam"},
    "periphery.printer": {"device": "no-printer"},
    "periphery.scanner": {"serial": "no-scanner"},
    "periphery.power": {"failing": "supply", "tamper": "door"},
}
"""Every device around the reader; the two with a path of their own are looked for again and again."""
Tables = dict[str, dict[str, object]]


@dataclass(frozen=True, slots=True)
class Start:
    """One start: CPU until ready, and the memory after three taps, all of it and what no file holds (`Anonymous`).

    Pages of files the kernel takes back when it needs them, and it maps a list two megabytes at a time.
    """

    cpu_s: float
    modules: int
    resident_mb: float
    own_mb: float


def start() -> Iterator[Result]:
    """The smallest of several, because the machine is shared."""
    with tempfile.TemporaryDirectory() as folder:
        full, plain = Path(folder) / "full", Path(folder) / "plain"
        tables = {full: _full(full), plain: _plain(plain)}
        runs: dict[Path, list[Start]] = {full: [], plain: []}
        for _ in range(STARTS + 1):
            for state, values in tables.items():
                runs[state].append(_started(state, values))
        best = {state: min(each[1:], key=lambda one: one.cpu_s) for state, each in runs.items()}
    everything, nothing = best[full], best[plain]
    note = f"best of {STARTS} restarts; {nothing.cpu_s:.2f} s with nothing configured"
    yield at_most("CPU to ready, everything configured", everything.cpu_s, "s CPU", 0.6, note)
    ratio = everything.cpu_s / nothing.cpu_s
    yield at_most("CPU to ready, everything against nothing configured", ratio, "times", 1.3)
    yield at_most("modules imported, everything configured", everything.modules, "modules", 700)
    note = f"{everything.resident_mb:.1f} MB resident with pages of files: libraries, and of the lists what was read"
    yield at_most(
        "memory of the tap process that no file holds, everything configured",
        everything.own_mb,
        "MB",
        55,
        note,
    )


def _plain(state: Path) -> Tables:
    state.mkdir()
    return {
        "terminal": {"profile": "bus", "state": str(state)},
        "reader": {"name": "sim:month_pass", "pace_s": 0.2},
        "shift": {"operator": "bench", "route": 15},
    }


def _full(state: Path) -> Tables:
    tables = _plain(state)
    keys, issue = load_file_keys(laboratory_keys()), ListIssue(1, REGION, datetime(2026, 9, 15, tzinfo=UTC))
    nothing = LocalGrants(date(2026, 9, 1), (None, None, None))
    cards = ((DenyKind.CARD, number.to_bytes(7, "big")) for number in range(1, LISTED + 1))
    holders = ((number.to_bytes(8, "big"), nothing) for number in range(1, LISTED + 1))
    build_deny_list(state / "deny", keys.list_key("deny"), issue, cards)
    build_grants(state / "grants", keys.list_key("grants"), issue, holders)
    (state / "routes.toml").write_text(routes_text(REGION))
    (state / "words.jsonl").write_text('{"line": "15", "stop_ref": "s7"}\n')
    write_public_key(state / COLLECTOR_KEY_FILE, load_or_create_key(state / "collector.key").public_key())
    tables["terminal"]["region"] = str(feed_region(state))
    return tables | {
        "lists": {"deny": "deny", "grants": "grants", "routes": "routes.toml"},
        "vehicle": {"source": "replay", "replay": "words.jsonl"},
        "console": {"enabled": True, "port": 0},
        "screen": {"enabled": True, "port": 0},
        "metrics": {"port": 0},
        "collector": {"url": CLOSED_PORT},
        **PERIPHERY,
    }


def _started(state: Path, tables: Tables) -> Start:
    config = state / "terminal.toml"
    config.write_text(new_file(tables), "utf-8")
    command = ["-X", "importtime", "-m", "terminal.cli.app", "run", "--config", str(config), "--json"]
    compiled = {"PYTHONPYCACHEPREFIX": str(state / "compiled"), "PYTHONDONTWRITEBYTECODE": ""}
    process = subprocess.Popen(
        [sys.executable, *command],
        env=os.environ | compiled,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    modules = 0
    while ": ready:" not in (line := process.stderr.readline()):
        assert line, "it ended before it was ready"
        modules += line.startswith("import time:")
    cpu_s = _cpu_s(process.pid)
    for _ in range(3):
        process.stdout.readline()
    memory = _memory_mb(process.pid)
    process.terminate()
    process.communicate()
    return Start(cpu_s, modules, memory["Rss:"], memory["Anonymous:"])


def _cpu_s(pid: int) -> float:
    """User and system time of the process so far, in hundredths."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int) -> dict[str, float]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {line.split()[0]: int(line.split()[1]) / 1024 for line in lines}
