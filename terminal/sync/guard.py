"""Sockets that keep to so many seconds and so many bytes, whatever the other side does.

A time-out per read would not do: a server that sends a byte now and then never meets it. Here every read and write gets
what is left of its step, and of the whole exchange.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from typing import Any


class LimitReached(Exception):
    """The exchange cost more than it may; says which limit."""


class TimeUsedUp(LimitReached):
    """It took more time than it may."""


class Stopped(Exception):
    """The exchange was given up from outside."""


class Guard:
    """What is left of one exchange. Begun anew for each."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._until = self._step_until = 0.0
        self._left_bytes = 0
        self.doing = ""

    def begin(self, seconds: float, answer_bytes: int) -> None:
        self._until = self._step_until = self._monotonic() + seconds
        self._left_bytes = answer_bytes

    def step(self, doing: str, seconds: float) -> None:
        """From here on the other side has so long to do something, and never longer than the whole exchange."""
        self.doing = doing
        self._step_until = min(self._until, self._monotonic() + seconds)

    def timeout_s(self) -> float:
        """How long the next read or write may take; raises `TimeUsedUp` when nothing is left."""
        left = self._step_until - self._monotonic()
        if left <= 0:
            raise TimeUsedUp(f"takes too long to {self.doing}")
        return left

    def received(self, count: int) -> None:
        """Raises `LimitReached` when the answer is larger than an answer can be."""
        self._left_bytes -= count
        if self._left_bytes < 0:
            raise LimitReached("answers without end")


class GuardedSocket(socket.socket):
    """A connected socket under a `Guard`."""

    guard: Guard

    def recv_into(self, *arguments: Any) -> int:
        self.settimeout(self.guard.timeout_s())
        count = super().recv_into(*arguments)
        self.guard.received(count)
        return count

    def sendall(self, *arguments: Any) -> None:
        self.settimeout(self.guard.timeout_s())
        super().sendall(*arguments)


class GuardedTlsSocket(ssl.SSLSocket):
    """The same inside TLS."""

    guard: Guard

    def recv_into(self, *arguments: Any) -> int:
        self.settimeout(self.guard.timeout_s())
        count = super().recv_into(*arguments)
        self.guard.received(count)
        return count

    def send(self, *arguments: Any) -> int:
        self.settimeout(self.guard.timeout_s())
        return super().send(*arguments)


def guarded(connected: socket.socket, guard: Guard) -> GuardedSocket:
    """Takes over `connected`."""
    made = GuardedSocket(fileno=connected.detach())
    made.guard = guard
    return made


def guarded_tls(connected: socket.socket, guard: Guard, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    """Takes over `connected` and shakes hands within what is left. Raises OSError (ssl.SSLError) or `LimitReached`."""
    context.sslsocket_class = GuardedTlsSocket
    connected.settimeout(guard.timeout_s())
    made = context.wrap_socket(connected, server_hostname=host)
    assert isinstance(made, GuardedTlsSocket)
    made.guard = guard
    return made
