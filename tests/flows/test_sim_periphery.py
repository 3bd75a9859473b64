"""A developer without hardware: the commands of docs/periphery.md, as they stand there, and each order of its table."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from operator import eq
from pathlib import Path
from queue import Empty, Queue
from shlex import split
from typing import Any

from tests.terminal.cli.conftest import ENVIRONMENT, command

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/periphery.md").read_text("utf-8").partition("## Without hardware")[2]
PATIENCE_S = 30.0
PROGRAMS = {"terminal": "terminal.cli.app", "sim": "sim.cli.app"}


def block(kind: str) -> str:
    """The page's block of that kind."""
    found = re.search(rf"```{kind}\n(.*?)```", PAGE, re.S)
    assert found is not None
    return found[1]


class Said:
    """What a process says, one JSON object a line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._events: Queue[dict[str, Any]] = Queue()
        self.heard: list[dict[str, Any]] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._events.put(json.loads(line))

    def order(self, order: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()

    def until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next event for which that holds."""
        try:
            while not holds(event := self._events.get(timeout=PATIENCE_S)):
                self.heard.append(event)
        except Empty:
            raise AssertionError(self.heard) from None
        self.heard.append(event)
        return event


@contextmanager
def started(folder: Path, words: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A command of the page, until the block ends."""
    process = subprocess.Popen(
        command(tuple(words[1:]), PROGRAMS[words[0]]),
        cwd=folder,
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, said


def test_the_page_leads_to_a_terminal_with_every_device(tmp_path: Path) -> None:
    (tmp_path / "devices.toml").write_text(block("toml"), "utf-8")
    new, beside, run = map(split, block("sh").splitlines())
    subprocess.run(
        command(tuple(new[1:]), PROGRAMS["sim"]), cwd=tmp_path, env=ENVIRONMENT, check=True, timeout=60
    )
    with started(tmp_path, beside) as process, started(tmp_path, run) as terminal:
        assert terminal.stderr is not None
        while ": ready:" not in terminal.stderr.readline():
            pass
        devices = Said(process)
        assert devices.until(lambda said: "printer" in said)["scanner"] == "devices/qr"
        devices.until(lambda said: said == {"line": "lamp_white", "active": True})

        devices.order("tap card.json")
        assert devices.until(lambda said: "tap" in said)["tap"]["end"] == "committed"
        for event in (
            {"line": "lamp_green", "active": True},
            {"line": "gate_open", "active": True},
            {"paper": "Маршрут: 15"},
            {"cut": True},
        ):
            assert event in devices.heard or devices.until(partial(eq, event))
        devices.order("contact gate_passed on")
        devices.until(lambda said: said == {"line": "gate_open", "active": False})
        devices.order("contact gate_passed off")
        for order in (
            "paper 0",
            "paper 5",
            "paper",
            "printer silent",
            "printer works",
            "half T-2",
            "flood 3",
        ):
            devices.order(order)
            devices.until(partial(eq, {"done": order}))

        devices.order("scan TICKET-1")
        devices.until(lambda said: said == {"done": "scan TICKET-1"})
        devices.order("contact power_fail on")
        devices.until(lambda said: said == {"line": "lamp_red", "active": True})
        devices.order("contact power_fail off")
        devices.until(lambda said: said == {"line": "lamp_white", "active": True})

        for wrong in ("contact none on", "tap none.json", "paper -1", "open sesame"):
            devices.order(wrong)
            assert devices.until(lambda said: "error" in said)["advice"]
        assert process.poll() is None


def test_a_folder_that_holds_a_file_of_that_name_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "printer").write_text("mine")
    done = subprocess.run(
        command(("periphery", tmp_path), PROGRAMS["sim"]),
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 50
    assert done.stderr.count("\n") == 1
    assert "is no link. Name a folder of its own." in done.stderr
    assert (tmp_path / "printer").read_text() == "mine"
