"""The thread that keeps the books up with what arrives, and looks once a minute for what did not arrive."""

from __future__ import annotations

import threading
from typing import Final

from terminal.clock import Clock, unix_ms
from terminal.collector.books import Books
from terminal.collector.store import CollectorStore
from terminal.collector.watch import WatchLimits, watch
from terminal.errors import CollectorError

GATHER_S: Final = 0.2
IDLE_S: Final = 5.0
AGAIN_S: Final = 5.0
LOOK_S: Final = 60.0


class Follower:
    """Runs until stopped. Uploads never wait for it: an acknowledgement promises the records, not the sums."""

    def __init__(self, books: Books, store: CollectorStore, limits: WatchLimits, clock: Clock) -> None:
        self._books = books
        self._store = store
        self._limits = limits
        self._clock = clock
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._looked_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="books", daemon=True)
        self.failure: CollectorError | None = None
        """Why the books cannot be kept at present; None when they can."""

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Rows have arrived. Returns at once."""
        self._wake.set()

    def stop(self) -> None:
        """End after the stretch in progress; the rest is booked after the next start."""
        self._stop.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            try:
                while self._books.catch_up() and not self._stop.is_set():
                    pass
                self._look()
                self.failure = None
            except CollectorError as error:
                self.failure = error
                self._stop.wait(AGAIN_S)
                continue
            if self._wake.wait(IDLE_S):
                self._stop.wait(GATHER_S)

    def _look(self) -> None:
        now = self._clock.monotonic()
        if self._looked_at is None or now - self._looked_at >= LOOK_S:
            self._looked_at = now
            watch(self._store, self._books, self._limits, unix_ms(self._clock.now()))
