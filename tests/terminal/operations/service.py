"""A stand-in for systemd: the datagram socket a service talks to, and `terminal run` started as systemd would."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.config_file import config_file
from tests.terminal.cli.conftest import ENVIRONMENT

PATIENCE_S = 30.0
HANGING = """
import sys, threading
from sim.reader import SimReader
from terminal.app import serve
from terminal.cli import app

class HangsAfterAWhile:
    '''A driver that stops answering: its call never returns, and no signal of ours ends it.'''

    def __init__(self, reader):
        self.name, self._reader, self._turns = reader.name, reader, 0

    def wait_for_card(self, timeout_s):
        self._turns += 1
        if self._turns > 4:
            print("hangs", flush=True)
            threading.Event().wait()
        return self._reader.wait_for_card(timeout_s)

    def release(self): pass
    def close(self): pass

serve.reader_for = lambda table, station, clock, extensions: serve.CardSource(
    HangsAfterAWhile(SimReader("a reader", clock)), table.taps
)
sys.argv[0] = "terminal"
app.main()
"""


class Manager:
    """Hears what a service says; each message is its lines by name."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._line.bind(self.address)

    def environment(self, watchdog_s: float | None = None) -> dict[str, str]:
        watched = {} if watchdog_s is None else {"WATCHDOG_USEC": str(int(watchdog_s * 1_000_000))}
        return {**ENVIRONMENT, "NOTIFY_SOCKET": self.address, **watched}

    def hear(self, timeout_s: float = PATIENCE_S) -> dict[str, str]:
        """The next message; empty when none comes in time."""
        self._line.settimeout(timeout_s)
        try:
            message = self._line.recv(4096).decode()
        except TimeoutError:
            return {}
        return dict(line.split("=", 1) for line in message.splitlines())

    def hear_until(self, name: str) -> dict[str, str]:
        while message := self.hear():
            if name in message:
                return message
        raise AssertionError(f"{name} was not said")

    def forget(self) -> None:
        """Drop what was said up to now."""
        while self.hear(0.01):
            pass

    def close(self) -> None:
        self._line.close()


@contextmanager
def manager() -> Iterator[Manager]:
    # Not below pytest's folders: the address of a socket holds 108 bytes at most.
    with tempfile.TemporaryDirectory(prefix="rct") as folder:
        made = Manager(Path(folder))
        try:
            yield made
        finally:
            made.close()


@contextmanager
def running(
    arguments: list[object], environment: dict[str, str] | None = None, script: str | None = None
) -> Iterator[subprocess.Popen[str]]:
    """`terminal run …` (or `script` instead of the program) while the block runs; ended by its own id."""
    program = ["-c", script] if script else ["-m", "terminal.cli.app"]
    process = subprocess.Popen(
        [sys.executable, *program, "run", *map(str, arguments)],
        env=environment or ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=10 if script is None else 0.5)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()


def waiting_terminal(state: Path, **tables: Mapping[str, object]) -> list[object]:
    """Options of a bus terminal on an empty reader, which serves until it is stopped; `tables` of its file."""
    file = config_file(
        state.with_name(f"{state.name}.config"),
        terminal={"profile": "bus", "state": state},
        reader={"name": "sim:"},
        shift={"operator": "17"},
        **tables,
    )
    return ["--config", file]
