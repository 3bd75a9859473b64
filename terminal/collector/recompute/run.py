"""The follower as a process: beside the collector that serves one folder, as its child or started by itself.

It opens the records to read, the alarms to add to, and its own ledger to write; a lock keeps a second one out. A child
ends when its parent does: it reads the pipe that only the parent holds open.
"""

from __future__ import annotations

import gc
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from terminal.clock import Clock, SystemClock, unix_ms
from terminal.collector.alarms import Alarm
from terminal.collector.days import ServiceCalendar
from terminal.collector.recompute.follow import RecomputeFollower, RowSource
from terminal.collector.recompute.ledger import LEDGER_FILE, VerdictLedger
from terminal.collector.store import CollectorStore
from terminal.errors import CollectorError
from terminal.journal.lock import FileLock
from terminal.recompute import DOCUMENTS_FOLDER
from terminal.recompute.documents import DocumentFolder

IDLE_S: Final = 0.5
AGAIN_S: Final = 5.0
END_S: Final = 10.0
LOOK_S: Final = 60.0
GARBAGE_AFTER: Final = 50_000
"""New objects between two looks for cycles, of which deciding makes none."""
NICE: Final = 10
"""Below the intake, which is not to wait for it."""


class FollowSettings(Struct, frozen=True):
    """`folder` holds the ledger, and the documents where they have no folder of their own. `stated_ms`: a terminal that
    has said nothing of its own rows for so long is an alarm.
    """

    folder: Path
    zone: str = "Europe/Moscow"
    day_ends_at: int = 3
    grants_key: bytes | None = None
    stated_ms: int = 48 * 3_600_000

    @property
    def documents(self) -> Path:
        return self.folder / DOCUMENTS_FOLDER

    @property
    def ledger(self) -> Path:
        return self.folder / LEDGER_FILE


class StoredRows:
    """The rows of an embedded collector's folder."""

    def __init__(self, store: CollectorStore) -> None:
        self._store = store
        self._reader = store.reader()

    def held(self) -> Mapping[int, int]:
        with self._reported():
            return dict(self._reader.execute("SELECT terminal, sequence FROM terminal"))

    def rows(self, terminal: int, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        query = (
            "SELECT sequence, body FROM record WHERE terminal = ? AND sequence > ? ORDER BY sequence LIMIT ?"
        )
        with self._reported():
            return self._reader.execute(query, (terminal, after, limit)).fetchall()

    def received_at_ms(self, terminal: int, sequence: int) -> int:
        return self._store.received_at_ms(terminal, sequence)

    def keep_findings(self, found: list[Alarm], at_ms: int) -> None:
        self._store.keep_findings(found, at_ms)

    def close(self) -> None:
        self._reader.close()

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise CollectorError(
                f"the records {self._store.path} cannot be read: {error}", "Check the disk; nothing was lost."
            ) from error


def follow(
    source: RowSource,
    settings: FollowSettings,
    *,
    once: bool,
    ended: Callable[[], bool],
    on_ready: Callable[[], None] = lambda: None,
    log: Callable[[str], None] = lambda _text: None,
    clock: Clock | None = None,
) -> int:
    """Follow `source` until `ended`, or with `once` until nothing is left; return how many rows were gone through.

    Raises `CollectorError` at the start, and with `once`; later a failure is logged and tried again.
    """
    clock, stop, done, looked_s = clock or SystemClock(), threading.Event(), 0, float("-inf")
    calendar = ServiceCalendar(ZoneInfo(settings.zone), settings.day_ends_at)
    gc.set_threshold(GARBAGE_AFTER)
    with lone(settings.ledger), closing(VerdictLedger(settings.ledger, made_for(settings))) as ledger:
        documents = DocumentFolder(settings.documents, settings.grants_key)
        follower = RecomputeFollower(source, ledger, documents, calendar, lambda: unix_ms(clock.now()))
        on_ready()
        while not ended():
            try:
                went = follower.step()
                if not went and clock.monotonic() - looked_s >= LOOK_S:
                    looked_s = clock.monotonic()
                    follower.look(settings.stated_ms)
            except CollectorError as error:
                if once:
                    raise
                log(str(error))
                stop.wait(AGAIN_S)
                continue
            done += went
            if not went and once:
                return done
            if not went:
                stop.wait(IDLE_S)
    return done


def made_for(settings: FollowSettings) -> dict[str, str]:
    """What a ledger's days are made for: another border begins it anew."""
    return {"zone": settings.zone, "day_ends_at": str(settings.day_ends_at)}


@contextmanager
def lone(ledger: Path) -> Iterator[None]:
    """The one follower of this ledger, as long as the block runs; raises `CollectorError` while there is another."""
    try:
        ledger.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock.acquire(ledger)
    except OSError as error:
        raise CollectorError(
            f"{ledger.parent} cannot be used: {error.strerror}", "Check its path and rights."
        ) from error
    if isinstance(lock, int):
        raise CollectorError(
            f"another follower (process {lock}) recomputes the rows of {ledger.parent}",
            "A running collector has one: leave it to that, or start the collector with --no-recompute.",
        )
    try:
        yield
    finally:
        lock.release()


def parent_gone(pipe: int) -> Callable[[], bool]:
    """Whether the process that holds the other end of `pipe` open has ended."""
    gone = threading.Event()

    def wait() -> None:
        with suppress(OSError):
            while os.read(pipe, 1):
                pass
        gone.set()

    threading.Thread(target=wait, name="parent", daemon=True).start()
    return gone.is_set


class FollowerProcess:
    """The follower as a child of the collector that serves: started again when it ends by itself."""

    def __init__(self, arguments: Sequence[str], log: Callable[[str], None]) -> None:
        """`arguments` of `terminal collector recompute`."""
        self._command = [sys.executable, "-m", "terminal.cli.app", "collector", "recompute", *arguments]
        self._log = log
        self._stop = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="recompute", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._process = subprocess.Popen(
                    self._command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
                )
            except OSError as error:
                self._log(f"the follower that recomputes cannot be started: {error.strerror}")
            else:
                code = self._process.wait()
                if not self._stop.is_set():
                    self._log(f"the follower that recomputes ended with code {code} and is started again")
            self._stop.wait(AGAIN_S)

    def stop(self) -> None:
        """End it after the stretch in progress."""
        self._stop.set()
        process = self._process
        if process is not None and process.poll() is None:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
        if self._thread.ident is not None:
            self._thread.join()
