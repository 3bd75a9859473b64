"""What a service reports to systemd, over the datagram socket named in NOTIFY_SOCKET (sd_notify(3)).

    READY=1       cards can be served
    STATUS=…      one line for `systemctl status`
    WATCHDOG=1    still alive; systemd restarts a service that stops saying it
    STOPPING=1    ending in good order

Without NOTIFY_SOCKET nothing is sent. A manager that does not listen is no reason to stop serving passengers.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from terminal.clock import Clock

if TYPE_CHECKING:
    import socket

PINGS_PER_DEADLINE: Final = 3
"""systemd waits for one; a busy machine may swallow two."""


class ServiceManager:
    """The connection to systemd; without one, every call does nothing."""

    def __init__(self, line: socket.socket | None = None, watchdog_s: float | None = None) -> None:
        """Use `connect`."""
        self._line = line
        self.watchdog_s = watchdog_s
        """How long systemd waits for a sign of life; None when it does not watch this process."""

    @classmethod
    def connect(cls, environment: Mapping[str, str], process: int) -> ServiceManager:
        """The manager that started this process, as its environment says."""
        address = environment.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")):
            return cls()
        import socket  # noqa: PLC0415 only a started service needs it; the first tap does not wait for it

        line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        line.setblocking(False)
        try:
            line.connect("\0" + address[1:] if address.startswith("@") else address)
        except OSError:
            line.close()
            return cls()
        return cls(line, _watchdog_s(environment, process))

    def ready(self, status: str) -> None:
        self._send(f"READY=1\nSTATUS={_one_line(status)}")

    def status(self, status: str) -> None:
        self._send(f"STATUS={_one_line(status)}")

    def alive(self) -> None:
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def _send(self, message: str) -> None:
        if self._line is None:
            return
        try:
            self._line.send(message.encode())
        except OSError:
            return  # a full or vanished queue: what matters is said again, and this thread does not wait


class Watchdog:
    """Says that the loop is alive, from inside the loop: when it hangs, the signs stop."""

    def __init__(self, manager: ServiceManager, clock: Clock) -> None:
        self._manager = manager
        self._clock = clock
        self._next_s = 0.0

    def beat(self) -> None:
        """Call whenever the loop comes round; cheap, because most calls say nothing."""
        deadline_s = self._manager.watchdog_s
        if deadline_s is None:
            return
        now_s = self._clock.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + deadline_s / PINGS_PER_DEADLINE
            self._manager.alive()


def connect() -> ServiceManager:
    """The manager of this very process."""
    return ServiceManager.connect(os.environ, os.getpid())


def _watchdog_s(environment: Mapping[str, str], process: int) -> float | None:
    """From WATCHDOG_USEC, unless WATCHDOG_PID says that it is meant for another process."""
    deadline_us = environment.get("WATCHDOG_USEC", "")
    meant_for = environment.get("WATCHDOG_PID", str(process))
    if not deadline_us.isdigit() or int(deadline_us) == 0 or meant_for != str(process):
        return None
    return int(deadline_us) / 1_000_000


def _one_line(text: str) -> str:
    return " ".join(text.split())
