"""A terminal started as a process that a test moves by hand: cards and clock through the socket of [laboratory].

    with started(tmp_path, config_file(tmp_path, …, laboratory=BY_HAND)) as terminal:
        tap = terminal.tap(tmp_path / "card.json")
        terminal.say("clock", step_s=60)

Imports nothing of the product: it speaks as any program may.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "200"}
SOCKET = "hand.sock"
BY_HAND: dict[str, object] = {"control": SOCKET, "clock": True, "starts_at": "2026-09-15T08:00:00+03:00"}
READY = (": ready:", '"event":"ready"')
PATIENCE_S = 60


class HandRefused(Exception):
    """The terminal did not do it; the text is its answer."""


class Hand:
    """The socket of a terminal that serves cards."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE_S)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("rwb")
        self.say("await")

    def say(self, do: str, **more: object) -> dict[str, Any]:
        """Send one command and return its answer; raises `HandRefused` where it was not done."""
        self._lines.write(json.dumps({"do": do, **more}).encode() + b"\n")
        self._lines.flush()
        answer: dict[str, Any] = json.loads(self._lines.readline())
        if not answer.pop("ok"):
            raise HandRefused(f"{answer['what']}. {answer['advice']}")
        return answer

    def tap(self, card: Path) -> dict[str, Any]:
        """Lay the card down, wait for the end of its tap, take it away; the report of the tap."""
        self.say("present", card=str(card))
        report: dict[str, Any] = self.say("await")["tap"]
        self.say("remove")
        return report

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


class TerminalByHand(Hand):
    """One process. `stderr` is what it has said up to when it was ready, and at its end all of it."""

    def __init__(self, process: subprocess.Popen[str], path: Path) -> None:
        self.process = process
        self.socket_path = path
        self.stderr = self._said_until_ready()
        super().__init__(path)

    def _said_until_ready(self) -> str:
        """Raises `HandRefused` with what it said when it ended instead."""
        said, patience = "", threading.Timer(PATIENCE_S, self.process.kill)
        patience.start()
        assert self.process.stderr is not None
        for line in self.process.stderr:
            said += line
            if any(one in line for one in READY):
                patience.cancel()
                return said
        patience.cancel()
        raise HandRefused(said)


@contextmanager
def started(folder: Path, config: Path, *options: object) -> Iterator[TerminalByHand]:
    """`terminal run --config` in `folder`, ready to be moved; ended by its id at the end."""
    command = [sys.executable, "-m", "terminal.cli.app", "run", "--config", config, *options]
    process = subprocess.Popen(
        list(map(str, command)),
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        with closing(TerminalByHand(process, config.parent / SOCKET)) as terminal:
            yield terminal
            said = terminal
    finally:
        process.terminate()
        _, rest = process.communicate(timeout=20)
    said.stderr += rest
