"""How often a terminal may use its keys, so that a stolen one cannot be asked for everything.

A provider that answers without end is an oracle: 10^9 possible card numbers hashed for one purpose are the whole table
that joins a journal's pseudonyms to people, and endless authentications are endless chosen plain text. So each key
name and each purpose has a ceiling of uses a minute and a day.

Six hundred a minute is ten a second: one reader, whose tap takes a third of a second and whose passengers walk, cannot
reach it, even when every card needs two tries and, in a canteen, two tokens (the card and its holder) a try; so no
passenger or pupil ever meets the ceiling. Forty thousand a day is several times what the busiest door boards, and half
of it more meals than a school serves; 10^9 answers take 68 years.

Counts are held in memory and on a clock that is never set; they begin anew when the process does. A provider in a
process of its own keeps them outside the terminal.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct, field

from terminal.clock import Clock
from terminal.errors import KeyLimitReached

MINUTE_S: Final = 60.0
DAY_S: Final = 86_400.0


class Ceiling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At most so many uses within a minute and within a day, each counted from its first use."""

    per_minute: Annotated[int, Meta(ge=1)] = 600
    per_day: Annotated[int, Meta(ge=1)] = 40_000


BUS: Final = Ceiling()


class KeyLimits(Struct, frozen=True):
    """Ceilings of authentications by master key, and of tokens by purpose; `otherwise` where none is named.

    None is no ceiling.
    """

    authentications: Mapping[str, Ceiling] = field(default_factory=dict)
    tokens: Mapping[str, Ceiling] = field(default_factory=dict)
    otherwise: Ceiling | None = BUS


UNLIMITED: Final = KeyLimits(otherwise=None)
"""For an office that makes whole files of pseudonyms, for issuing, and for laboratories that run faster than people."""


class _CountedPeriod(Struct):
    length_s: float
    most: int
    began_s: float = 0.0
    used: int = 0

    def opens_in_s(self, now_s: float) -> float:
        """0 when there is room for one more use."""
        if not self.used or now_s >= self.began_s + self.length_s:
            self.began_s, self.used = now_s, 0
        return 0.0 if self.used < self.most else self.began_s + self.length_s - now_s


class UseCounter:
    """Counts the uses of one provider's keys; callers may be several threads."""

    def __init__(self, limits: KeyLimits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._windows: dict[str, tuple[_CountedPeriod, _CountedPeriod]] = {}
        self._lock = threading.Lock()

    def authentication(self, key: str) -> None:
        """Count one; raises `KeyLimitReached`, and nothing is counted then."""
        self._use(f"authenticate:{key}", self._limits.authentications.get(key, self._limits.otherwise))

    def token(self, purpose: str) -> None:
        """As `authentication`, for a token of this purpose."""
        self._use(f"token:{purpose}", self._limits.tokens.get(purpose, self._limits.otherwise))

    def _use(self, use: str, ceiling: Ceiling | None) -> None:
        if ceiling is None:
            return
        with self._lock:
            windows = self._windows.get(use)
            if windows is None:
                windows = _CountedPeriod(MINUTE_S, ceiling.per_minute), _CountedPeriod(DAY_S, ceiling.per_day)
                self._windows[use] = windows
            now_s = self._clock.monotonic()
            wait_s = max([window.opens_in_s(now_s) for window in windows])
            if not wait_s:
                for window in windows:
                    window.used += 1
                return
        raise KeyLimitReached(use, wait_s, self._clock.now() + timedelta(seconds=wait_s))
