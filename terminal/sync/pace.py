"""How many rows one batch carries: what passes the line, found by halving and looking in between."""

from __future__ import annotations

from typing import Final

AGAIN_AFTER: Final = 64
"""So many full batches later a size that once failed is tried again: whatever stood in the way may be gone."""


class BatchSize:
    """The size of the next batch, from 1 to `most`. A size that failed is not tried again for some time: what stands
    in the way, a limit of a proxy or a slow line, is usually still there with the next batch.
    """

    def __init__(self, most: int, begin_with: int | None = None) -> None:
        """`begin_with` is what passed last, where that is known."""
        self._most = most
        self._passes = 0
        self._fails = most + 1
        self._passed = 0
        self.rows = most
        if begin_with is not None and 1 <= begin_with < most:
            self.rows, self._fails = begin_with, begin_with * 2

    def failed(self, sent: int) -> bool:
        """A batch of `sent` rows did not pass, and perhaps because of its size; whether a smaller one can be tried."""
        if sent == 0:
            return False
        self._passed = 0
        self._fails = max(2, sent)
        if sent <= self._passes:
            self._passes = 0
        self.rows = max(1, self._passes or sent // 2)
        return sent > 1

    def passed(self, sent: int) -> None:
        """A batch of `sent` rows was confirmed. A short one shows nothing of larger ones."""
        if sent < self.rows:
            return
        self._passes = self.rows
        self._passed += 1
        between = self._fails - self.rows
        if self._fails > self._most:
            self.rows = min(self._most, self.rows * 2)
        elif self._passed >= AGAIN_AFTER:
            self._passed, self._fails = 0, self._most + 1
            self.rows = min(self._most, self.rows * 2)
        elif between > max(1, self.rows // 4):
            self.rows += between // 2
