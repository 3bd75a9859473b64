"""What a medium without a memory of its own would hold: its newest event, kept by the terminal.

A phone, a code or a bank card carries no state. Whether it rode a minute ago, how many trips are left and what was
eaten today is known to the terminal where that happened. One row a reference: the 32 bytes a card would have written,
and the counter of the last code that was shown here, so that a picture of it is no second ride. `keep` is durable when
it returns: one flush. What other terminals of the vehicle or school say of a reference (`others`, over the link) counts
where it is newer, and is not kept here: what happens next is.

Of a bank card there is more: what was taken from it lately, and its tap's record, sealed to the back office, until that
is acknowledged (`terminal.bank_record`).
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
from cardproto.resident.records.event import Event, EventKind, parse_event
from terminal.clock import unix_ms
from terminal.errors import JournalError
from terminal.journal.database import transaction

HELD_FILE: Final = "held.db"
KEPT_FOR: Final = timedelta(days=62)
"""No counter counts longer than a month, and no journey longer than a day."""
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS held"
    " (reference BLOB PRIMARY KEY, at_ms INTEGER NOT NULL, event BLOB NOT NULL, counter INTEGER NOT NULL) WITHOUT ROWID"
)
_MORE: Final = (
    "CREATE TABLE IF NOT EXISTS taken (reference BLOB NOT NULL, at_ms INTEGER NOT NULL, sum_minor INTEGER NOT NULL)",
    "CREATE INDEX IF NOT EXISTS taken_by ON taken (reference, at_ms)",
    "CREATE TABLE IF NOT EXISTS sealed (sequence INTEGER PRIMARY KEY, content BLOB NOT NULL)",
)
"""Of bank cards: what was taken today and the day before, and what waits for the back office, by the tap's row."""
TAKEN_FOR: Final = timedelta(days=2)
_KNOWN: Final = (
    "SELECT 0, event, counter FROM held WHERE reference = ?1 UNION ALL"
    " SELECT 1, at_ms, sum_minor FROM taken WHERE reference = ?1 AND at_ms >= ?2"
)
"""Both at one look: each costs the file's locks."""
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


class TakenLater(Struct, frozen=True):
    """What is kept of a ride that is charged later, beside its event: its row, and the sum; None where a ride has only
    begun that is charged when it ends.
    """

    row: int
    sum_minor: int | None


def charged_with(event: Event) -> int | None:
    """What a bank card's ride is charged with later; None where one has only begun that is charged when it ends."""
    begun = event.kind is EventKind.CHECK_IN and not event.amount_minor
    return None if begun else event.amount_minor


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
        self._sealing: dict[int, bytes] = {}
        self.began_anew = False
        self.others: Callable[[bytes, datetime], Iterable[KeptState]] = lambda _reference, _now: ()
        """What other terminals of the place say of a reference; from memory, at once."""
        self.others_taken: Callable[[bytes, datetime], Iterable[tuple[int, int]]] = lambda _reference, _now: ()
        """What they took from a bank card on the day of that moment, as `known` has it; from memory, at once."""
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

    def keep(self, reference: bytes, held: KeptState, at: datetime, later: TakenLater | None = None) -> None:
        """Keep `held` instead of what was before; what is charged `later`, and what its row has sealed, with it: all or
        nothing, one flush. A counter never falls. Raises `JournalError`: nothing has changed.
        """
        at_ms = unix_ms(at)
        kept = (reference, at_ms, held.event, held.counter)
        if later is None:  # one statement is a transaction of its own
            with self._using():
                self._connection.execute(_KEEP, kept)
            return
        with self._using(), transaction(self._connection):
            self._connection.execute(_KEEP, kept)
            if later.sum_minor is not None:
                self._connection.execute(
                    "INSERT INTO taken VALUES (?, ?, ?)", (reference, at_ms, later.sum_minor)
                )
            sealed = self._sealing.pop(later.row, None)
            if sealed is not None:  # else the collector has it already
                self._connection.execute("INSERT OR REPLACE INTO sealed VALUES (?, ?)", (later.row, sealed))

    def known(
        self, references: Iterable[bytes], now: datetime
    ) -> tuple[KeptState | None, tuple[tuple[int, int], ...]]:
        """Of one card under several `references`: what counts now of all of them, as `newest` says it of one; and when
        something was taken from any of them, here in the last two days and elsewhere today (unix ms), and how much.
        Raises `JournalError`.
        """
        since, taken = unix_ms(now - TAKEN_FOR), list[tuple[int, int]]()
        own, others = None, list[KeptState]()
        for reference in references:
            with self._using():
                rows = self._connection.execute(_KNOWN, (reference, since)).fetchall()
            taken += [(at_ms, sum_minor) for table, at_ms, sum_minor in rows if table]
            taken += self.others_taken(reference, now)
            own = newest_state(
                own, (KeptState(event, counter) for table, event, counter in rows if not table)
            )
            others += self.others(reference, now)
        return newest_state(own, others), tuple(taken)

    def seal(self, row: int, content: bytes) -> None:
        """What the row that is about to be written has sealed: it goes along with that row from its first batch on,
        and is durable once the ride is kept.
        """
        with self._lock:
            self._sealing[row] = content

    def unseal(self, row: int) -> None:
        """The ride of that row was not kept."""
        with self._lock:
            self._sealing.pop(row, None)

    def sealed_between(self, first: int, last: int) -> tuple[tuple[int, bytes], ...]:
        """What these rows have sealed and no one else holds yet, the oldest first."""
        with self._using():
            rows = self._connection.execute(
                "SELECT sequence, content FROM sealed WHERE sequence BETWEEN ? AND ?", (first, last)
            )
            found = dict(rows.fetchall()) | {
                row: content for row, content in self._sealing.items() if first <= row <= last
            }
        return tuple(sorted(found.items()))

    def drop_sealed(self, through: int) -> None:
        """The collector has signed for what rows up to this one sealed."""
        with self._using():
            self._sealing = {row: one for row, one in self._sealing.items() if row > through}
            if self._connection.execute("SELECT 1 FROM sealed WHERE sequence <= ?", (through,)).fetchone():
                self._connection.execute("DELETE FROM sealed WHERE sequence <= ?", (through,))

    def spend(self, reference: bytes, counter: int, at: datetime) -> None:
        """Let no code up to `counter` count again; the event stays. Raises `JournalError`."""
        with self._using():
            self._connection.execute(_SPEND, (reference, unix_ms(at), counter))

    def forget(self, now: datetime) -> int:
        """Drop what is older than `KEPT_FOR`, and say how many; raises `JournalError`."""
        with self._using():
            self._connection.execute("DELETE FROM taken WHERE at_ms < ?", (unix_ms(now - TAKEN_FOR),))
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
    connection.execute("PRAGMA secure_delete=ON")
    for statement in (_SCHEMA, *_MORE):
        connection.execute(statement)
    if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        connection.close()
        raise sqlite3.DatabaseError("the file is damaged")
    return connection
