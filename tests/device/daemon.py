"""The PC/SC service the device tests run on: one that runs already, or our own."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sim.vpcd import POLL_S, PORTS

PCSCD = Path("/usr/sbin/pcscd")
RUN_FOLDER = Path("/run/pcscd")
SOCKET = RUN_FOLDER / "pcscd.comm"
DRIVER_CONFIGURATION = Path("/etc/reader.conf.d/vpcd")
FAST_POLL_SOURCE = Path(__file__).with_name("fast_poll.c")
FAST_POLL_S = 0.02
START_TIMEOUT_S = 10.0
LOCK = Path(tempfile.gettempdir()) / "resident-card-terminal-device-tests.lock"
LOCK_TIMEOUT_S = 300.0


class Daemon:
    """`poll_s` is how often it looks at the virtual readers. Only a daemon of our own may be stopped."""

    def __init__(self, folder: Path) -> None:
        self.ours = not is_running()
        self.poll_s = POLL_S
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = folder
        self._environment = dict(os.environ)
        if self.ours:
            self._poll_faster()

    @property
    def settle_s(self) -> float:
        """After so long it has surely looked once."""
        return self.poll_s * 1.5 + 0.01

    def ensure_running(self) -> None:
        """Start our own unless it runs, whatever the test before did to it."""
        if self.ours and (self._process is None or self._process.poll() is not None):
            self.start()

    def start(self, *, readers: bool = True) -> None:
        """Start with the two virtual readers, or without any."""
        self.require_ours()
        configuration = self._folder / ("readers" if readers else "no-readers")
        configuration.mkdir(exist_ok=True)
        if readers:
            shutil.copy(DRIVER_CONFIGURATION, configuration)
        RUN_FOLDER.mkdir(exist_ok=True)
        with (self._folder / "pcscd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [PCSCD, "--foreground", "--config", configuration],
                stdout=log,
                stderr=log,
                env=self._environment,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not (is_running() and (has_virtual_readers() or not readers)):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("pcscd does not start: " + (self._folder / "pcscd.log").read_text())
            time.sleep(0.01)

    def stop(self) -> None:
        """An orderly end, as the system's service manager asks for."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """The end nobody asked for."""
        self._end(signal.SIGKILL)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It is there and answers nothing."""
        self.require_ours()
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        self.require_ours()
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait()
            self._process = None

    def require_ours(self) -> None:
        """Skip the test where the service is not ours to end."""
        if not self.ours:
            pytest.skip("pcscd was running before the tests; they only stop what they started")

    def _poll_faster(self) -> None:
        """With a C compiler at hand; without one everything takes as long as it takes."""
        compiler = shutil.which("cc")
        if compiler is None:
            return
        library = self._folder / "fast_poll.so"
        subprocess.run([compiler, "-shared", "-fPIC", "-o", library, FAST_POLL_SOURCE, "-ldl"], check=True)
        self._environment["LD_PRELOAD"] = str(library)
        self.poll_s = FAST_POLL_S


def is_running() -> bool:
    """A daemon listens on its socket."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(SOCKET)) == 0


def has_virtual_readers() -> bool:
    """The driver listens on both slots' ports (looking is better than connecting, which presents a card)."""
    listening = {
        int(line.split()[1].rpartition(":")[2], 16)
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[3] == "0A"
    }
    return set(PORTS) <= listening


def missing() -> str | None:
    """What the tests cannot do without, in words; None when all is there."""
    if importlib.util.find_spec("smartcard") is None:
        return "pyscard is not installed (needs libpcsclite-dev to build)"
    if is_running():
        return None if has_virtual_readers() else "the running pcscd has no virtual readers (vsmartcard-vpcd)"
    if not PCSCD.exists():
        return "pcscd is not installed (package pcscd)"
    if not DRIVER_CONFIGURATION.exists():
        return "the virtual reader is not installed (package vsmartcard-vpcd)"
    if not os.access(RUN_FOLDER if RUN_FOLDER.exists() else RUN_FOLDER.parent, os.W_OK):
        return f"pcscd does not run, and only root can start it ({RUN_FOLDER} is not writable)"
    return None


@contextmanager
def only_one_test_run() -> Iterator[None]:
    """Two test runs on one machine take turns: there is one pcscd, and the slots' ports are fixed."""
    with LOCK.open("a") as file:
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    pytest.fail(f"another test run has held {LOCK} for {LOCK_TIMEOUT_S:.0f} s")
                time.sleep(0.2)
        yield
