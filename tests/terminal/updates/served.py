"""A terminal process started by `terminal run --config`, and what it says of each tap and writes into its journal."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from terminal.app.simulated import laboratory_keys
from terminal.app.station import journal_reader
from terminal.journal.records import AnyRecord, parse_record
from tests.config_file import config_file
from tests.terminal.cli.conftest import ENVIRONMENT

PATIENCE_S = 60.0


class Served:
    """One process. `until` waits for what it says; nothing is waited for by the clock alone."""

    def __init__(self, process: subprocess.Popen[str], state: Path) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self.process = process
        self.state = state
        self._taps: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._log: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.raw: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in ((process.stdout, self._taps), (process.stderr, self._log))
        ]
        for reader in self._readers:
            reader.start()

    def tap(self, wanted: Callable[[dict[str, Any]], bool] = lambda _tap: True) -> dict[str, Any]:
        """The next tap that is wanted."""
        return self._next(self._taps, wanted)

    def said(self, event: str, **fields: object) -> dict[str, Any]:
        """The next line of the log with this event and these fields."""
        return self._next(self._log, lambda line: line["event"] == event and line.items() >= fields.items())

    def hang_up(self) -> None:
        self.process.send_signal(signal.SIGHUP)

    def rows(self) -> list[AnyRecord]:
        """Everything in its journal, oldest first."""
        with journal_reader(self.state, laboratory_keys()) as reader:
            return [parse_record(row.body) for row in reader.all_rows()]

    def close(self) -> None:
        """The process has ended."""
        for reader in self._readers:
            reader.join(PATIENCE_S)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()

    def _read(self, stream: IO[str], lines: queue.SimpleQueue[dict[str, Any]]) -> None:
        for line in stream:
            self.raw.append(line)
            if line.startswith("{"):
                lines.put(json.loads(line))

    def _next(
        self, lines: queue.SimpleQueue[dict[str, Any]], wanted: Callable[[dict[str, Any]], bool]
    ) -> dict[str, Any]:
        until_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                line = lines.get(timeout=max(0.01, until_s - time.monotonic()))
            except queue.Empty:
                raise AssertionError("".join(self.raw)) from None
            if wanted(line):
                return line


@contextmanager
def serving(
    folder: Path, card: str, environment: Mapping[str, str] = ENVIRONMENT, **tables: Mapping[str, object]
) -> Iterator[Served]:
    """A bus terminal in `folder`/state to which `card` comes again and again; ended by its own id."""
    state = folder / "state"
    file = config_file(
        folder,
        **{
            "terminal": {"profile": "bus", "state": state, "number": 70001, **tables.pop("terminal", {})},
            "reader": {"name": f"sim:{card}", **({"pace_s": 0.3} if card else {})},
            "shift": {"operator": "17", "route": 15},
            "log": {"format": "json"},
            **tables,
        },
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "terminal.cli.app", "run", "--config", str(file), "--json"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    served = Served(process, state)
    try:
        yield served
    finally:
        process.terminate()
        process.wait(timeout=20)
        served.close()
