"""The wire between the desk's terminals and a real collector process: cut it, stop the collector, watch the queue."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from terminal.app.collector import START_S, enrol, report, start_collector, trust
from terminal.app.uplink import Uplink, sync_client
from terminal.errors import CollectorError, TerminalError
from terminal.lab.desk.town import PLACES, DeskTown

IDLE_S: Final = 0.5
NO_NETWORK: Final = "no network"
COLLECTOR_DOWN: Final = "the collector is down"


class DeskUplink:
    """Uploads in a thread of its own, a moment after each tap; `changed` is called when anything about it changed.

    `network` and `wanted` (the collector shall run) are the two switches. `close` stops thread and collector.
    """

    def __init__(self, town: DeskTown, changed: Callable[[], None], *, collector: bool) -> None:
        self.network = True
        self.wanted = collector
        self.problem = ""
        self.collector_report: dict[str, Any] | None = None
        self._town = town
        self._changed = changed
        self._folder = town.folder / "collector"
        self._process: subprocess.Popen[bytes] | None = None
        self._url = ""
        self._wake = threading.Event()
        self._quiet = threading.Condition()
        self._stop = threading.Event()
        self.lock = threading.Lock()
        """Held while journals are being uploaded; take it before closing journals."""
        for place in PLACES:
            enrol(town.state_of(place), place.number, self._folder)
        self._registry: Path = town.card_registry()
        self._thread = threading.Thread(target=self._run, name="desk wire", daemon=True)
        self._thread.start()

    @property
    def up(self) -> bool:
        """The collector answers requests."""
        return self._process is not None

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    def settle(self, timeout_s: float) -> bool:
        """Wait until both switches are as wanted and everything that can be sent is; False when time ran out."""
        with self._quiet:
            return self._quiet.wait_for(self._done, timeout_s)

    def wait_for_report(self, timeout_s: float) -> dict[str, Any]:
        """The collector's report once it covers everything sent; raises `CollectorError` when none came in time."""
        with self._quiet:
            self._quiet.wait_for(lambda: self._done() and self.collector_report is not None, timeout_s)
        if self.collector_report is None:
            raise CollectorError("no report came", "Check that the network is on and the collector is up.")
        return self.collector_report

    def close(self) -> None:
        """End the thread and the collector."""
        self._stop.set()
        self._wake.set()
        self._thread.join()
        self._end_collector()

    def _run(self) -> None:
        while not self._stop.is_set():
            before = self._seen()
            try:
                self._switch_collector()
                self._upload()
            except TerminalError as error:
                self.problem = error.what
            if self._seen() != before:
                self._changed()
            with self._quiet:
                self._quiet.notify_all()
            self._wake.wait(None if self._done() else IDLE_S)
            self._wake.clear()

    def _done(self) -> bool:
        """Nothing is left to try by itself."""
        if self.up != self.wanted:
            return False
        return not (self.network and self.up) or not self._unsent()

    def _seen(self) -> tuple[bool, str, int, str]:
        return self.up, self.problem, self._unsent(), repr(self.collector_report)

    def _unsent(self) -> int:
        return sum(terminal.journal.unsent for terminal in tuple(self._town.terminals.values()))

    def _switch_collector(self) -> None:
        if self.wanted and self._process is None:
            self._process, self._url = start_collector(self._folder, self._registry)
            for place in PLACES:
                trust(self._town.state_of(place), self._folder)
            self._changed()
        elif not self.wanted and self._process is not None:
            self._end_collector()

    def _end_collector(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        process.wait(START_S)
        assert process.stdout is not None
        process.stdout.close()

    def _upload(self) -> None:
        self.problem = "" if self.network else NO_NETWORK
        if self.network and not self.up:
            self.problem = COLLECTOR_DOWN
        if self.problem:
            return
        with self.lock:
            for place in PLACES:
                terminal = self._town.terminals.get(place.key)
                if terminal is None or self._stop.is_set():
                    return
                uplink = Uplink(self._town.state_of(place), self._url)
                with sync_client(terminal.journal, uplink, self._town.clock) as client:
                    found = client.sync_once(stop=lambda: not self.network or self._stop.is_set())
                if found.problem is not None:
                    raise CollectorError(found.problem.what, found.problem.advice)
        self.collector_report = report(self._url)
