"""The one thread that writes the journal, so that a flush never holds up the card."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final

from terminal.errors import JournalError
from terminal.journal.database import SQLITE_FAULTS, SqliteFault

Work = Callable[[sqlite3.Connection], None]
QUIET_S: Final = 1.0
LONG_QUIET_S: Final = 30.0
FEW_JOBS: Final = 200
"""Fewer are not worth the flushes of a quiet moment, which the next tap may have to wait for; they wait longer."""
MANY_JOBS: Final = 2_000
"""After so many jobs without a quiet second the first free moment counts as quiet: the log stays below 25 MB."""


class Job:
    """One piece of work on its way through the writer thread."""

    __slots__ = ("_error", "_running", "_work", "vital")

    def __init__(self, work: Work, *, vital: bool) -> None:
        self._work = work
        self.vital = vital
        self._running = threading.Lock()  # held until it has ended: made in a tenth of the time of an Event
        self._running.acquire()
        self._error: JournalError | None = None

    def run(self, connection: sqlite3.Connection) -> None:
        self._work(connection)

    def finish(self, error: JournalError | None) -> None:
        self._error = error
        self._running.release()

    def wait(self) -> None:
        """Return when the work is durable; raises `JournalError` when it is not."""
        with self._running:
            pass
        if self._error is not None:
            raise self._error


class Writer:
    """Runs jobs in order. After a vital job failed, every later one fails: a row is never skipped over."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        translate: Callable[[SqliteFault | JournalError], JournalError],
        when_quiet: Work,
    ) -> None:
        """`when_quiet` runs in the writer thread when `FEW_JOBS` were followed by `QUIET_S` seconds of none, or any by
        `LONG_QUIET_S`."""
        self._connection = connection
        self._translate = translate
        self._when_quiet = when_quiet
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._failure: JournalError | None = None
        # A daemon: a program that ends without close() must not hang; what it appended is durable already.
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise what stopped the writer, if anything did."""
        if self._failure is not None:
            raise self._failure

    def submit(self, work: Work, *, vital: bool) -> Job:
        """Queue `work`; returns at once."""
        job = Job(work, vital=vital)
        with self._lock:
            self.check()
            self._jobs.put(job)
        return job

    def stop(self, last: Work, reason: JournalError) -> None:
        """Finish the queue, run `last` if nothing failed, end the thread; later jobs fail with `reason`."""
        with self._lock:
            if self._failure is None:
                self._jobs.put(Job(last, vital=False))
                self._jobs.put(Job(lambda _: self._fail(reason), vital=False))
            self._jobs.put(None)
        self._thread.join()

    def abandon(self, reason: JournalError) -> None:
        """End the thread after the job it is at; whatever else is queued fails with `reason`."""
        with self._lock:
            self._fail(reason)
            self._jobs.put(None)
        self._thread.join()

    def _fail(self, reason: JournalError) -> None:
        self._failure = self._failure or reason

    def _run(self) -> None:
        since_quiet = 0
        try:
            while True:
                pause_s = 0.0 if since_quiet >= MANY_JOBS else QUIET_S
                if since_quiet < FEW_JOBS:
                    pause_s = LONG_QUIET_S
                try:
                    job = self._jobs.get(timeout=pause_s if since_quiet else None)
                except Empty:
                    since_quiet = 0
                    self._run_job(Job(self._when_quiet, vital=False))
                    continue
                if job is None:
                    return
                self._run_job(job)
                since_quiet += 1
        finally:
            self._drain()

    def _run_job(self, job: Job) -> None:
        error: JournalError | None = self._failure
        if error is not None:
            job.finish(error)
            return
        error = _stopped()
        try:
            job.run(self._connection)
            error = None
        except (*SQLITE_FAULTS, JournalError) as cause:
            error = self._translate(cause)
        finally:
            if error is not None and job.vital:
                self._fail(error)
            job.finish(error)

    def _drain(self) -> None:
        """No caller may wait for ever: what is still queued when the thread ends fails."""
        with self._lock:
            self._fail(_stopped())
            while not self._jobs.empty():
                job = self._jobs.get()
                if job is not None:
                    job.finish(self._failure)


def _stopped() -> JournalError:
    return JournalError("the journal writer stopped", "Start the terminal again and report this as a defect.")
