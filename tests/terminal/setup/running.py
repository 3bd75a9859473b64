"""A first run as a process: `terminal setup` in a folder, its codes, and its end."""

from __future__ import annotations

import random
import re
import signal
import socket
import subprocess
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from threading import Thread

from tests.terminal.cli.conftest import ENVIRONMENT, command


def free_port() -> int:
    """One that stays free while a terminal is down: none of those that the system gives to any connection."""
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no port is free")


PORTS = range(20_000, 32_000)


@dataclass
class FirstRun:
    """A folder, and the process that the product's own command started in it."""

    folder: Path
    options: tuple[object, ...] = ()
    display: int = field(default_factory=free_port)
    pages: int = field(default_factory=free_port)
    process: subprocess.Popen[str] | None = None
    said: Queue[str] = field(default_factory=Queue)
    codes: deque[str] = field(default_factory=deque)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.pages}"

    def command(self, *arguments: object) -> list[str]:
        """The product's command line."""
        return command(arguments)

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(arguments),
            check=False,
            cwd=self.folder,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def start(self) -> None:
        ports = ("--screen-port", self.display, "--console-port", self.pages)
        self.process = subprocess.Popen(
            command(("setup", *ports, *self.options)),
            cwd=self.folder,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said = self.said = Queue()
        stdout = self.process.stdout
        assert stdout is not None

        def listen() -> None:
            with stdout:
                for line in stdout:
                    said.put(line)

        Thread(target=listen, daemon=True).start()
        self.codes.clear()
        self.line("set-up pages")

    def line(self, pattern: str) -> str:
        """The next line of its output in which `pattern` is found; codes that come before are kept."""
        while True:
            line = self.said.get(timeout=40)
            if found := re.search(r"one-time code: (\d{4} \d{4})", line):
                self.codes.append(found[1])
            if re.search(pattern, line):
                return line

    def code(self) -> str:
        """The next one that was not asked for."""
        if not self.codes:
            self.line("one-time code")
        return self.codes.popleft()

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(40)
