"""A deadline around a card connection: a slow or silent card must not hold the validator."""

from __future__ import annotations

from typing import Final

from cardproto.connection import CardConnection
from cardproto.errors import ExchangeTimeout
from terminal.clock import Clock

TAP_DEADLINE_S: Final = 3.0
"""From the first exchange to the last, recovery included. A sound tap takes about a tenth of it."""


class GuardedConnection:
    """Refuses to start an exchange after the deadline, and reports one that ended after it as a time-out.

    An exchange that never ends is the reader port's business: only it can give up on the hardware.
    """

    def __init__(self, connection: CardConnection, clock: Clock, deadline_s: float = TAP_DEADLINE_S) -> None:
        self._connection = connection
        self._clock = clock
        self._deadline = clock.monotonic() + deadline_s

    def transmit(self, command: bytes) -> bytes:
        self._check()
        answer = self._connection.transmit(command)
        self._check()
        return answer

    def _check(self) -> None:
        if self._clock.monotonic() > self._deadline:
            raise ExchangeTimeout("the card took longer than a tap may take")
