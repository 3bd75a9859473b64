"""Uploading beside the taps: a thread that waits when there is nothing to do and backs off when there is no
answer.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from terminal.clock import Clock, unix_ms
from terminal.codes import SyncFault
from terminal.errors import CollectorContradicts, JournalError, JournalFull, KeyFileError
from terminal.journal.records import Fault
from terminal.sync.client import SyncClient, SyncReport

RETENTION_MS: Final = 3 * 24 * 3600 * 1000
"""Acknowledged rows stay three more days (D-06)."""
TIDY_S: Final = 600.0
"""Between two looks for rows that may leave, whether or not the network is there."""
HURRY_S: Final = 5.0
"""The longest pause when the collector must hear at once."""
GRACE_S: Final = 2.0
"""How long the exchange in progress may still take when the terminal stops."""


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
        tidy_s: float = TIDY_S,
        on_report: Callable[[SyncReport], None] | None = None,
        errand: Callable[[], None] = lambda: None,
    ) -> None:
        """`errand` is done before each run, in the same thread. `gather_s` lets some rows come together in a batch,
        `idle_s` is the longest pause between looks, `tidy_s` the one between two looks for rows whose retention is
        over."""
        self._client = client
        self._clock = clock
        self._backoff = backoff
        self._gather_s = gather_s
        self._idle_s = min(idle_s, tidy_s)
        self._tidy_s = tidy_s
        self._tidied_s: float | None = None
        self._contradicted = False
        self._on_report = on_report
        self._errand = errand
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._hurry = False
        self._urged = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sync", daemon=True)
        self.failure: JournalError | KeyFileError | None = None
        """What the journal, or the folder of the keys, could not do last time; None when all is well."""

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """There are new rows. Returns at once."""
        self._wake.set()

    def hurry(self) -> None:
        """The collector must hear at once: no pause is longer than `HURRY_S` until it has, and the one under way ends.
        Returns at once, on any thread.
        """
        self._hurry = True
        self._urged.set()
        self._wake.set()

    def stop(self, timeout_s: float = 20.0, grace_s: float = GRACE_S) -> bool:
        """End after the exchange in progress, and give that up after `grace_s`; return whether it ended in
        `timeout_s`. The rest is sent next time.
        """
        self._stop.set()
        self._urged.set()
        self._wake.set()
        if self._thread.ident is None:
            return True  # it never began
        self._thread.join(min(grace_s, timeout_s))
        if self._thread.is_alive():
            self._client.abort()
            self._thread.join(max(0.0, timeout_s - grace_s))
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            report = self._work()
            asked_s = report.retry_after_s if report is not None else None
            if report is not None and report.problem is None:
                self._backoff.reset()
                self._hurry = False
                self._rest(asked_s or 0.0)
            else:
                self._pause(max(self._backoff.next_s(), asked_s or 0.0))

    def _pause(self, pause_s: float) -> None:
        """Before the next attempt; cut short by `hurry` and `stop`."""
        self._urged.wait(min(pause_s, HURRY_S) if self._hurry else pause_s)
        if not self._stop.is_set():
            self._urged.clear()

    def _work(self) -> SyncReport | None:
        """Upload and tidy up; None when the journal failed."""
        try:
            self._errand()
            report = self._client.sync_once(stop=self._stop.is_set)
            self._note_contradiction(report)
            if not self._stop.is_set():
                self._tidy()
        except (JournalError, KeyFileError) as error:
            self.failure = error
            return None
        self.failure = None
        if self._on_report:
            self._on_report(report)
        return report

    def _tidy(self) -> None:
        """Let rows leave whose retention is over: now and then, because it costs flushes that taps may wait for."""
        now_s = self._clock.monotonic()
        if self._tidied_s is not None and now_s - self._tidied_s < self._tidy_s:
            return
        self._tidied_s = now_s
        self._client.journal.purge(RETENTION_MS, self._now_ms())

    def _note_contradiction(self, report: SyncReport) -> None:
        """Once, when it begins: the day's report must show that journal and collector disagree (T-64)."""
        contradicted = isinstance(report.problem, CollectorContradicts)
        if contradicted and not self._contradicted:
            with suppress(JournalFull):
                self._client.journal.append(Fault(self._now_ms(), SyncFault.CONTRADICTED))
        if contradicted or report.problem is None:
            self._contradicted = contradicted

    def _now_ms(self) -> int:
        return unix_ms(self._clock.now())

    def _rest(self, at_least_s: float) -> None:
        """Until there is something new; a collector that asked to be left alone is."""
        if at_least_s:
            self._stop.wait(at_least_s)
        if self._wake.wait(self._idle_s):
            self._stop.wait(self._gather_s)
