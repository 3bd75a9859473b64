"""Uploading beside the taps: a thread that waits when there is nothing to do and backs off when nobody
answers.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Final

from terminal.clock import Clock
from terminal.errors import JournalError
from terminal.sync.client import SyncClient, SyncReport

RETENTION_MS: Final = 3 * 24 * 3600 * 1000
"""Acknowledged rows stay three more days (D-06)."""


class Backoff:
    """Growing pauses between attempts, each drawn from the upper half so that a fleet does not come back at
    once.
    """

    def __init__(self, rng: random.Random, first_s: float = 1.0, cap_s: float = 300.0) -> None:
        self._rng = rng
        self._first_s = first_s
        self._cap_s = cap_s
        self._attempt = 0

    def next_s(self) -> float:
        """The next pause: at most `cap_s`, at least half of what it could be."""
        longest = min(self._cap_s, self._first_s * 2.0 ** min(self._attempt, 60))
        self._attempt += 1
        return longest * self._rng.uniform(0.5, 1.0)

    def reset(self) -> None:
        self._attempt = 0


class BackgroundSync:
    """Runs a `SyncClient` until stopped. `wake` after a tap; nothing here ever waits for the network in its
    thread.
    """

    def __init__(
        self,
        client: SyncClient,
        clock: Clock,
        backoff: Backoff,
        *,
        gather_s: float = 2.0,
        idle_s: float = 60.0,
        on_report: Callable[[SyncReport], None] | None = None,
    ) -> None:
        """`gather_s` lets some rows come together in a batch, `idle_s` is the longest pause between looks."""
        self._client = client
        self._clock = clock
        self._backoff = backoff
        self._gather_s = gather_s
        self._idle_s = idle_s
        self._on_report = on_report
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sync", daemon=True)
        self.failure: JournalError | None = None
        """What the journal could not do last time; None when all is well."""

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """There are new rows. Returns at once."""
        self._wake.set()

    def stop(self, timeout_s: float = 20.0) -> bool:
        """End after the exchange in progress; return whether it ended in time. The rest is sent next time."""
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            if self._work():
                self._backoff.reset()
                self._rest()
            else:
                self._stop.wait(self._backoff.next_s())

    def _work(self) -> bool:
        """Upload and tidy up; whether everything went well."""
        try:
            report = self._client.sync_once(stop=self._stop.is_set)
            if report.batches and not report.problem:
                self._client.journal.purge(RETENTION_MS, int(self._clock.now().timestamp() * 1000))
                self._client.journal.checkpoint()
        except JournalError as error:
            self.failure = error
            return False
        self.failure = None
        if self._on_report:
            self._on_report(report)
        return report.problem is None

    def _rest(self) -> None:
        if self._wake.wait(self._idle_s):
            self._stop.wait(self._gather_s)
