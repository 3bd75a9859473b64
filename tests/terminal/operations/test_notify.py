"""What systemd hears: over a real datagram socket, from a real `terminal run`."""

from __future__ import annotations

import os
import signal
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from terminal.operations.notify import ServiceManager, Watchdog
from tests.terminal.operations.service import HANGING, Manager, manager, running, waiting_terminal

WATCHDOG_S = 1.5


@pytest.fixture
def systemd() -> Iterator[Manager]:
    with manager() as made:
        yield made


class HandClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> None:
        raise AssertionError("the watchdog has no use for the time of day")


def test_a_terminal_says_when_it_is_ready_alive_and_stopping(systemd: Manager, tmp_path: Path) -> None:
    with running(waiting_terminal(tmp_path / "state"), systemd.environment(WATCHDOG_S)) as process:
        ready = systemd.hear_until("READY")
        assert ready["READY"] == "1"
        assert "terminal 1 (bus) on empty simulated reader" in ready["STATUS"]
        for _ in range(3):
            assert systemd.hear_until("WATCHDOG") == {"WATCHDOG": "1"}
        process.send_signal(signal.SIGTERM)
        assert systemd.hear_until("STOPPING") == {"STOPPING": "1"}
        process.wait(20)
        assert process.returncode == 0


def test_a_loop_that_hangs_says_nothing_more_though_the_process_lives(
    systemd: Manager, tmp_path: Path
) -> None:
    """The page for metrics, served by another thread, still answers: only the loop speaks for the loop."""
    arguments = waiting_terminal(tmp_path / "state", metrics={"port": 0})
    with running(arguments, systemd.environment(WATCHDOG_S), script=HANGING) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        address = next(line.split()[3] for line in process.stderr if ": metrics: " in line)
        systemd.hear_until("WATCHDOG")
        assert process.stdout.readline() == "hangs\n"
        systemd.forget()
        assert systemd.hear(2 * WATCHDOG_S) == {}
        assert process.poll() is None
        with urllib.request.urlopen(address) as page:
            assert b"resident_terminal_info" in page.read()


def test_without_a_manager_nothing_is_said_and_nothing_fails(systemd: Manager) -> None:
    for environment in ({}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": systemd.address + ".gone"}):
        nobody = ServiceManager.connect(environment, os.getpid())
        nobody.ready("nobody hears this")
        Watchdog(nobody, HandClock()).beat()
        nobody.close()
    assert systemd.hear(0.01) == {}


def test_a_manager_that_goes_away_stops_nobody(systemd: Manager) -> None:
    line = ServiceManager.connect({"NOTIFY_SOCKET": systemd.address}, os.getpid())
    line.status("first")
    systemd.close()
    line.status("second")
    line.close()


def test_an_abstract_socket_is_one_too() -> None:
    name = f"rct-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind("\0" + name)
        line = ServiceManager.connect({"NOTIFY_SOCKET": "@" + name}, os.getpid())
        line.ready("a\nb")
        assert heard.recv(100) == b"READY=1\nSTATUS=a b"
        line.close()


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "42"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "43"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_deadline_is_the_one_meant_for_this_process(
    systemd: Manager, environment: dict[str, str], seconds: float | None
) -> None:
    line = ServiceManager.connect({"NOTIFY_SOCKET": systemd.address, **environment}, 42)
    assert line.watchdog_s == seconds
    line.close()


def test_three_signs_of_life_a_deadline_however_fast_the_loop_turns(systemd: Manager) -> None:
    environment = {"NOTIFY_SOCKET": systemd.address, "WATCHDOG_USEC": "30000000"}
    line, clock = ServiceManager.connect(environment, os.getpid()), HandClock()
    watchdog = Watchdog(line, clock)
    for _ in range(300):
        watchdog.beat()
        clock.seconds += 0.1
    said = 0
    while systemd.hear(0.01):
        said += 1
    assert said == 3
    line.close()
