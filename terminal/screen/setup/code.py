"""The one-time code that opens the set-up pages: on the terminal's own display, and nowhere else.

Eight digits, good for a quarter of an hour and once. After five wrong ones there is another, so that guessing never
gets nearer.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from hmac import compare_digest
from threading import Lock
from typing import Final

from terminal.clock import Clock
from terminal.screen.feed import EventFeed

DIGITS: Final = 8
VALID_S: Final = 15 * 60
MOST_WRONG: Final = 5
CHANGED: Final = "code"


class SetupCode:
    """The code of now. `feed` says when it has changed, `said` is called with each."""

    def __init__(self, clock: Clock, said: Callable[[str], None] = lambda _code: None) -> None:
        self.feed: Final[EventFeed[str]] = EventFeed()
        self._clock = clock
        self._said = said
        self._lock = Lock()
        self._digits, self._until_s, self._wrong = "", 0.0, 0
        self._renew()

    @property
    def shown(self) -> str:
        """In two halves, as people read digits. One whose time is over is replaced first."""
        with self._lock:
            if self._over:
                self._renew()
            return _halves(self._digits)

    @property
    def left_s(self) -> float:
        """For how long it is still good."""
        return max(0.0, self._until_s - self._clock.monotonic())

    def take(self, typed: str) -> bool:
        """Whether this is the code; it is spent then. Blanks and hyphens do not matter."""
        digits = "".join(letter for letter in typed if letter.isalnum())
        with self._lock:
            fits = not self._over and compare_digest(digits.encode(), self._digits.encode())
            self._wrong += not fits
            if fits or self._over or self._wrong >= MOST_WRONG:
                self._renew()
            return fits

    @property
    def _over(self) -> bool:
        return self._clock.monotonic() >= self._until_s

    def _renew(self) -> None:
        self._digits = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
        self._until_s, self._wrong = self._clock.monotonic() + VALID_S, 0
        self.feed.publish(CHANGED)
        self._said(_halves(self._digits))


def _halves(digits: str) -> str:
    return f"{digits[: DIGITS // 2]} {digits[DIGITS // 2 :]}"
