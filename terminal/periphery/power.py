"""What becomes of taps while the supply fails or the housing is open.

failing    no tap begins; the running one ends within `CUT_S`; the journal is checkpointed; taps go on when the supply
           is back
tampered   the journal's key is wiped, no tap begins any more, and the collector hears of it as soon as it can
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from cardproto.connection import CardConnection
from cardproto.errors import ExchangeTimeout

if TYPE_CHECKING:
    from terminal.clock import Clock

CUT_S: Final = 0.3
"""From the edge to the end of the running tap; hardware holds the supply for 0.5 s at least (docs/periphery.md)."""


class Power:
    """Hears the two contacts, on their thread. `checkpoint` is called once the running tap has ended, `wipe` at once;
    `lock` is held during each tap.
    """

    def __init__(
        self,
        clock: Clock,
        lock: threading.Lock,
        checkpoint: Callable[[], None],
        wipe: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._lock = lock
        self._checkpoint = checkpoint
        self._wipe = wipe
        self._failing_since_s: float | None = None
        self.tampered = False
        self.failures = 0

    @property
    def failing(self) -> bool:
        """Whether the supply fails now."""
        return self._failing_since_s is not None

    @property
    def serves(self) -> bool:
        """Whether a tap may begin."""
        return not self.failing and not self.tampered

    def supply(self, fails: bool) -> None:
        """The supply fails, or is back."""
        if not fails:
            self._failing_since_s = None
            return
        self._failing_since_s = self._clock.monotonic()
        self.failures += 1
        with self._lock:  # behind the running tap, and before the next
            self._checkpoint()

    def housing(self, opened: bool) -> None:
        """The housing was opened: once is enough."""
        if opened and not self.tampered:
            self.tampered = True
            self._wipe()

    def guarded(self, connection: CardConnection) -> CardConnection:
        """`connection`, on which no exchange begins when the supply has failed for `CUT_S`."""
        return _CutConnection(connection, self._over)

    def _over(self) -> bool:
        since_s = self._failing_since_s
        return since_s is not None and self._clock.monotonic() - since_s > CUT_S


class _CutConnection:
    """What a card has answered is kept: the proof of a commit most of all."""

    def __init__(self, connection: CardConnection, over: Callable[[], bool]) -> None:
        self._connection = connection
        self._over = over

    def transmit(self, command: bytes) -> bytes:
        if self._over():
            raise ExchangeTimeout("the supply fails")
        return self._connection.transmit(command)
