"""One terminal as a process of `terminal run --config`, moved by hand: its socket, its vehicle, its end."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from terminal.decoding import decode_json
from terminal.errors import TerminalError

SOCKET: Final = "hand"
VEHICLE: Final = "vehicle"
CONFIG_FILE: Final = "terminal.toml"
PATIENCE_S: Final = 60.0
CONSOLE: Final = "operator console: "
DISPLAY: Final = "passenger display: "
READY: Final = ": ready:"
IN_FORCE: Final = ": in_force: kind="
KEPT_LINES: Final = 20


class LiveFailed(TerminalError):
    """A terminal that is played with did not do what it was asked for: the run cannot go on."""


class LiveTerminal:
    """The process and everything one says to it. `folder` holds its configuration, state and vehicle."""

    def __init__(self, folder: Path, tables: Mapping[str, Mapping[str, object]]) -> None:
        """Write the configuration; `start` does the rest."""
        self.folder = folder
        self.console = ""
        self.display = ""
        self.starts = 0
        self._tables = tables
        self._said: deque[str] = deque(maxlen=KEPT_LINES)
        self._process: subprocess.Popen[str] | None = None
        self._pipe = -1
        self._reports = 0
        self._socket: socket.socket | None = None
        self._lines: BinaryIO | None = None
        self._change = threading.Condition()
        self._in_force: Counter[str] = Counter()

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def start(self, starts_at: datetime) -> None:
        """Start the process, its clock at `starts_at`; return when it serves cards. Raises `LiveFailed`."""
        self._write_config(starts_at)
        self._open_pipe()
        self._process = subprocess.Popen(  # noqa: S603 our own program
            [sys.executable, "-m", "terminal.cli.app", "run", "--config", str(self.folder / CONFIG_FILE)],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self.starts += 1
        self._reports = 0
        ready = threading.Event()
        threading.Thread(target=self._listen, args=(self._process, ready), daemon=True).start()
        if not ready.wait(PATIENCE_S) or not self._connect():
            raise self._failed("does not start")
        self.say("await", timeout_s=PATIENCE_S)

    def say(self, do: str, **more: object) -> dict[str, Any]:
        """One command and its answer; raises `LiveFailed` where it was refused."""
        if self._lines is None:
            raise self._failed("is not running")
        try:
            self._lines.write(json.dumps({"do": do, **more}).encode() + b"\n")
            self._lines.flush()
            line = self._lines.readline()
        except OSError as error:
            raise self._failed(f"does not answer ({error})") from error
        if not line:
            raise self._failed("has ended")
        answer = decode_json(line, dict[str, Any])
        if not answer["ok"]:
            raise self._failed(f"refused {do!r}: {answer['what']}")
        return answer

    def report(self, **stated: object) -> None:
        """Let the vehicle say so; return when the terminal has heard it."""
        os.write(self._pipe, json.dumps(stated).encode() + b"\n")
        self._reports += 1
        self.say("await", reports=self._reports, timeout_s=PATIENCE_S)

    def publish(self, kinds: Iterable[str]) -> None:
        """Let it look at the files it is given; return when new ones of these kinds are in force."""
        assert self._process is not None, "a terminal that is started looks at its files"
        with self._change:
            wanted = {kind: self._in_force[kind] + 1 for kind in kinds}
            self._process.send_signal(signal.SIGHUP)
            if not self._change.wait_for(lambda: self._hold(wanted), PATIENCE_S):
                raise self._failed(f"does not take {', '.join(wanted)}")

    def _hold(self, wanted: Mapping[str, int]) -> bool:
        return all(self._in_force[kind] >= count for kind, count in wanted.items())

    def kill_vehicle(self) -> None:
        """Kill the process of the vehicle's sources, as a defect of theirs would; the terminal starts another. Return
        when it has ended: what it still read of its recording would be heard by no one.
        """
        found = self.say("status")["vehicle_process"]
        if found is None:
            return
        with suppress(ProcessLookupError):  # it has ended by itself
            process = os.pidfd_open(found)
            try:
                signal.pidfd_send_signal(process, signal.SIGKILL)
                select.select([process], [], [], PATIENCE_S)
            finally:
                os.close(process)

    def crash(self) -> None:
        """End the process as a power cut does; `start` begins again where its folder leaves off."""
        process = self._process
        if process is not None:
            self._process = None
            self._hang_up()
            process.kill()
            process.wait()

    def stop(self) -> None:
        """End the process in good order."""
        process = self._process
        if process is None:
            return
        self._process = None
        self._hang_up()
        process.terminate()
        if process.wait(PATIENCE_S) != 0:
            raise self._failed(f"ended with code {process.returncode}")

    def kill(self) -> None:
        """End the process at once, and for good."""
        self.crash()
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1

    def _hang_up(self) -> None:
        for end in (self._lines, self._socket):
            if end is not None:
                end.close()
        self._lines = self._socket = None

    def _write_config(self, starts_at: datetime) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        laboratory = {"control": SOCKET, "clock": True, "starts_at": starts_at.isoformat()}
        lines = []
        for table, values in {**self._tables, "laboratory": laboratory}.items():
            lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
        (self.folder / CONFIG_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _open_pipe(self) -> None:
        """The vehicle's recording is a pipe, held open at both ends, so that it never comes to an end."""
        path = self.folder / VEHICLE
        if "vehicle" in self._tables and self._pipe < 0:
            path.unlink(missing_ok=True)
            os.mkfifo(path, 0o600)
            self._pipe = os.open(path, os.O_RDWR)

    def _listen(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        assert process.stderr is not None
        with process.stderr as lines:
            for line in lines:
                self._said.append(line.rstrip())
                self._hear_address(line)
                if READY in line:
                    ready.set()
                self._count(line)
        ready.set()

    def _hear_address(self, line: str) -> None:
        """A line that says where one of its screens is."""
        if line.startswith(CONSOLE):
            self.console = line.removeprefix(CONSOLE).strip().rstrip("/")
        if line.startswith(DISPLAY):
            self.display = line.removeprefix(DISPLAY).strip().rstrip("/")

    def _count(self, line: str) -> None:
        """A line of the log that says what is in force now."""
        _, said, words = line.partition(IN_FORCE)
        if said:
            with self._change:
                self._in_force[words.split(maxsplit=1)[0]] += 1
                self._change.notify_all()

    def _connect(self) -> bool:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(2 * PATIENCE_S)
        try:
            self._socket.connect(str(self.folder / SOCKET))
        except OSError:
            return False
        self._lines = cast(BinaryIO, self._socket.makefile("rwb"))
        return True

    def _failed(self, what: str) -> LiveFailed:
        said = "; ".join(self._said)
        return LiveFailed(f"the terminal in {self.folder} {what}: {said}", "See its folder with --keep.")
