"""What a medium without a memory of its own would hold: its newest event, kept by the terminal.

A phone, a code or a bank card carries no state. Whether it rode a minute ago, how many trips are left and what was
eaten today is known to the terminal where that happened. One row a reference: the 32 bytes a card would have written,
and the counter of the last code that was shown here, so that a picture of it is no second ride. `keep` is durable when
it returns: one flush. What other terminals of the vehicle or school say of a reference (`others`, over the link) counts
where it is newer, and is not kept here: what happens next is.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from msgspec import Struct

from cardproto.errors import FormatError
from cardproto.resident.records.event import parse_event
from terminal.clock import unix_ms
from terminal.errors import JournalError

HELD_FILE: Final = "held.db"
KEPT_FOR: Final = timedelta(days=62)
"""No counter counts longer than a month, and no journey longer than a day."""
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS held"
    " (reference BLOB PRIMARY KEY, at_ms INTEGER NOT NULL, event BLOB NOT NULL, counter INTEGER NOT NULL) WITHOUT ROWID"
)
_KEEP: Final = (
    "INSERT INTO held VALUES (?, ?, ?, ?) ON CONFLICT (reference) DO UPDATE SET"
    " at_ms = excluded.at_ms, event = excluded.event, counter = max(counter, excluded.counter)"
)


_SPEND: Final = (
    "INSERT INTO held VALUES (?, ?, X'', ?) ON CONFLICT (reference) DO UPDATE SET"
    " at_ms = excluded.at_ms, counter = max(counter, excluded.counter)"
)


class KeptState(Struct, frozen=True):
    """What is kept of one reference. `event` is empty where none counted yet, `counter` 0 where it showed no code."""

    event: bytes
    counter: int = 0


def newest_state(own: KeptState | None, others: Iterable[KeptState]) -> KeptState | None:
    """The newest event of all, and the highest counter. Where two terminals had not heard of each other, the one event
    counts and the other does not, never both: what that left out is in the rider's favour, and seen at the collector.
    """
    found = own
    for other in others:
        if found is None:
            found = other
            continue
        newer = _at(other.event) > _at(found.event)
        found = KeptState(other.event if newer else found.event, max(found.counter, other.counter))
    return found


def _at(event: bytes) -> float:
    try:
        return parse_event(event).at.timestamp()
    except FormatError:
        return 0.0


class HeldEvents:
    """The newest event of each reference. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        """Opens or makes the file in `folder`; one that is damaged is put aside, and its limits begin anew. Raises
        `JournalError` where none can be made.
        """
        self.path: Final = folder / HELD_FILE
        self._lock = threading.Lock()
        self.began_anew = False
        self.others: Callable[[bytes, datetime], Iterable[KeptState]] = lambda _reference, _now: ()
        """What other terminals of the place say of a reference; from memory, at once."""
        try:
            self._connection = self._opened()
        except sqlite3.DatabaseError as error:
            raise JournalError(
                f"what was done here cannot be kept in {self.path}: {error}",
                "Check the disk and its rights.",
            ) from error

    def newest(self, reference: bytes, now: datetime) -> KeptState | None:
        """What counts now, wherever it happened; None where nothing is known. Raises `JournalError`."""
        return newest_state(self.kept(reference), self.others(reference, now))

    def kept(self, reference: bytes) -> KeptState | None:
        """What was kept here last; None for a reference that was not here for `KEPT_FOR`. Raises `JournalError`."""
        with self._using():
            row = self._connection.execute(
                "SELECT event, counter FROM held WHERE reference = ?", (reference,)
            ).fetchone()
        return None if row is None else KeptState(*row)

    def keep(self, reference: bytes, held: KeptState, at: datetime) -> None:
        """Keep `held` instead of what was before; a counter never falls. Raises `JournalError`: nothing has changed."""
        with self._using():
            self._connection.execute(_KEEP, (reference, unix_ms(at), held.event, held.counter))

    def spend(self, reference: bytes, counter: int, at: datetime) -> None:
        """Let no code up to `counter` count again; the event stays. Raises `JournalError`."""
        with self._using():
            self._connection.execute(_SPEND, (reference, unix_ms(at), counter))

    def forget(self, now: datetime) -> int:
        """Drop what is older than `KEPT_FOR`, and say how many; raises `JournalError`."""
        with self._using():
            return self._connection.execute(
                "DELETE FROM held WHERE at_ms < ?", (unix_ms(now - KEPT_FOR),)
            ).rowcount

    def close(self) -> None:
        """The file can be taken away afterwards."""
        with self._lock:
            self._connection.close()

    def _opened(self) -> sqlite3.Connection:
        try:
            return _open(self.path)
        except sqlite3.OperationalError:  # the disk, not the file
            raise
        except sqlite3.DatabaseError:
            self.began_anew = True
            self.path.replace(self.path.with_suffix(".damaged"))
            for rest in ("-wal", "-shm"):
                self.path.with_name(f"{HELD_FILE}{rest}").unlink(missing_ok=True)
            return _open(self.path)

    @contextlib.contextmanager
    def _using(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise JournalError(
                    f"what was done here cannot be kept in {self.path}: {error}",
                    "Check the disk and its rights.",
                ) from error


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(_SCHEMA)
    if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        connection.close()
        raise sqlite3.DatabaseError("the file is damaged")
    return connection
