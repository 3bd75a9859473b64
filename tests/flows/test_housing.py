"""The housing of a terminal is opened: its collector hears of it, at once or as soon as it can be reached."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from sim.desk.disturbance import Disturbance
from terminal.cli.desk import open_desk
from terminal.codes import PeripheryFault
from terminal.errors import JournalFull
from terminal.journal.records import Fault
from terminal.lab.desk.devices import Hands
from tests.flows.live import PATIENCE_S, STATE, LiveTerminal, collector, live_terminal
from tests.flows.test_periphery import POWER
from tests.terminal.cli.conftest import ENVIRONMENT, command

BUS: dict[str, Mapping[str, object]] = {
    "terminal": {"profile": "bus", "number": 7},
    "shift": {"operator": "17", "route": 15},
    "periphery.gpio": {"chip": "sim", "debounce_ms": 0},
    "periphery.power": POWER,
}
LEAVE_ALONE_S = 3600
SEALED = "is sealed, and its key is not here"


class Busy(ThreadingHTTPServer):
    """What stands where the collector should be, and asks to be left alone for an hour."""

    def __init__(self, port: int) -> None:
        self.asked = threading.Semaphore(0)
        super().__init__(("127.0.0.1", port), _Busy)


class _Busy(BaseHTTPRequestHandler):
    server: Busy

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(503)
        self.send_header("Retry-After", str(LEAVE_ALONE_S))
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.server.asked.release()

    def log_message(self, format: str, *_args: object) -> None:
        """Nothing is said."""


@contextmanager
def busy_at(port: int) -> Iterator[Busy]:
    with Busy(port) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def collector_says(folder: Path, *options: str) -> str:
    """What `terminal collector alarms` prints."""
    done = subprocess.run(
        command(("collector", "alarms", "--folder", "collector", *options)),
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    return done.stdout


def alarms(folder: Path) -> list[dict[str, Any]]:
    """What `terminal collector alarms` has of housings."""
    found = json.loads(collector_says(folder, "--json"))["alarms"]
    return [alarm for alarm in found if alarm["kind"] == "housing"]


def alarmed(folder: Path) -> dict[str, Any]:
    """Wait for the alarm."""
    for _ in range(60):
        if found := alarms(folder):
            (alarm,) = found
            return alarm
        threading.Event().wait(0.2)
    raise AssertionError("no alarm")


@contextmanager
def bus(folder: Path, url: str) -> Iterator[LiveTerminal]:
    """A bus whose journal cannot be printed at its end any more."""
    with (
        pytest.raises(AssertionError, match=SEALED),
        live_terminal(folder, **BUS, collector={"url": url}) as terminal,
    ):
        yield terminal


def open_housing(terminal: LiveTerminal) -> None:
    terminal.hand.say("line", name="door", active=True)


def test_a_collector_that_can_be_reached_alarms_at_once(tmp_path: Path) -> None:
    with collector(tmp_path) as url:
        with bus(tmp_path, url) as terminal:
            terminal.tap(terminal.card("adult_purse"))
            open_housing(terminal)
            alarm = alarmed(tmp_path)
        assert (alarm["terminal"], alarm["detail"]) == (7, "housing_fault fault=housing:opened")
    assert "Housing opened: journal key wiped" in " ".join(collector_says(tmp_path).split())


def test_one_that_was_away_for_an_hour_hears_as_soon_as_it_is_back(tmp_path: Path) -> None:
    with collector(tmp_path) as url:
        port = urlsplit(url).port
    assert port is not None
    with bus(tmp_path, url) as terminal:
        with busy_at(port) as busy:
            terminal.tap(terminal.card("adult_purse"))
            assert busy.asked.acquire(timeout=PATIENCE_S)  # from here on it waits for an hour
            terminal.hand.say("clock", step_s=LEAVE_ALONE_S)
            open_housing(terminal)
            for _ in range(2):
                assert busy.asked.acquire(timeout=PATIENCE_S)
            assert not (tmp_path / STATE / "journal.db.key").exists()
        with collector(tmp_path, port):
            assert alarmed(tmp_path)["terminal"] == 7


def test_a_full_journal_takes_the_row_of_it_and_no_other(tmp_path: Path) -> None:
    with open_desk(tmp_path, collector=False) as (_, session):
        town = session.town
        journal, clock = town.terminals["front"].journal, town.clock
        journal.capacity_rows = journal.held
        with pytest.raises(JournalFull):
            session.tap("adult_purse", "front", Disturbance())
        with pytest.raises(JournalFull):
            journal.append(Fault(1, PeripheryFault.POWER_FAILING))
        session.move_devices(Hands(housing=True))
        for _ in range(100):
            faults = [row.record.code for row in journal.rows(0, 100) if isinstance(row.record, Fault)]
            if faults:
                break
            threading.Event().wait(0.1)
        assert faults == [PeripheryFault.TAMPERED]
        clock.advance(timedelta(hours=1).total_seconds())
        session.switch(collector=True)
        assert session.wire.settle(PATIENCE_S)
        found = session.wire.wait_for_report(PATIENCE_S)["alarms"]
        assert [(alarm["kind"], alarm["terminal"]) for alarm in found] == [("housing", 70001)]
