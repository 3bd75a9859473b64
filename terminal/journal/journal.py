"""The terminal's journal: append-only, durable, chained by hash, numbered without reuse or gap.

One `Journal` per file and per process owns it. Every record is one durable commit of its own. `begin` starts
that commit and returns, so that the flush runs while the card works; `append` waits for it. When a flush
fails the journal takes nothing more until it is opened again, because the next row would leave a hole in the
sequence.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Final

from terminal.errors import JournalError, JournalFull, JournalLocked
from terminal.journal.action import stamped
from terminal.journal.canteen_records import Annulment, DayClosed, MealServed
from terminal.journal.chain import Head, link
from terminal.journal.console_records import OrderDeclared, PlaceSet, TurnStarted
from terminal.journal.database import connect_writer, journal_error, not_writable, transaction
from terminal.journal.lock import FileLock
from terminal.journal.open_records import OpenRecords
from terminal.journal.reader import JournalReader, Row, State, read_state
from terminal.journal.records import (
    AnyRecord,
    Committed,
    Intent,
    NotCommitted,
    ShiftClosed,
    ShiftOpened,
    Unresolved,
    build_record,
)
from terminal.journal.tail import load_tail
from terminal.journal.writer import Job, Writer

PURGE_SLICE_ROWS: Final = 2_000
CLOSING: Final = (Committed, NotCommitted, Unresolved, ShiftClosed, Annulment, DayClosed)
"""Records that finish something begun: taken even when the stated capacity is reached."""


class Pending:
    """A record on its way to the disk. Its `sequence` is final at once."""

    __slots__ = ("_job", "sequence")

    def __init__(self, sequence: int, job: Job) -> None:
        self.sequence = sequence
        self._job = job

    def wait(self) -> int:
        """Return the sequence when the record is durable. Raises `JournalError` when it may not be."""
        self._job.wait()
        return self.sequence


class Journal:
    """All methods may be called from any thread; the rows keep the order of the calls."""

    def __init__(
        self, path: Path, lock: FileLock, connection: sqlite3.Connection, state: State, capacity_rows: int
    ) -> None:
        """Use `Journal.open`."""
        self.path = path
        self.terminal = state.terminal
        self.capacity_rows = capacity_rows
        self.flushes = 0
        """Durable commits of records since opening: exactly one per record."""
        self._file_lock = lock
        self._connection = connection
        self._lock = threading.Lock()
        self._open_records = OpenRecords()
        self._base = state.base
        self._acknowledged = state.acknowledged
        self._assigned = self._durable = load_tail(connection, state, path, self._open_records)
        self._reader = JournalReader(path)
        self._writer = Writer(connection, self._translate, self._when_quiet)

    @classmethod
    def open(cls, path: Path, terminal: int, *, capacity_rows: int = 600_000) -> Journal:
        """Open or create the journal of `terminal` at `path`.

        Raises `JournalLocked` (another process has it), `JournalDamaged` (not a journal, another schema, or a
        broken tail; `terminal.journal.verify` checks all of it), `JournalFull`, or `JournalError` (cannot be
        written, or it belongs to another terminal). Work grows with the rows since the last checkpoint, not
        with all rows.
        """
        lock = _lock(path)
        try:
            connection = connect_writer(path, terminal)
        except JournalError:
            lock.release()
            raise
        try:
            state = read_state(connection)
            if state.terminal != terminal:
                raise JournalError(
                    f"{path} is the journal of terminal {state.terminal}, not {terminal}",
                    "Give each terminal number a journal file of its own.",
                )
            return cls(path, lock, connection, state, capacity_rows)
        except (sqlite3.Error, JournalError) as error:
            connection.close()
            lock.release()
            raise journal_error(path, error) from error

    # Writing

    def append(self, record: AnyRecord) -> int:
        """Return the record's sequence once it is durable. Raises as `begin` and `Pending.wait`."""
        return self.begin(record).wait()

    def begin(self, record: AnyRecord, *, sequence: int | None = None) -> Pending:
        """Number and chain the record, start its flush and return at once.

        `sequence` is the number the caller already wrote elsewhere (in a card event); another one is refused.
        Raises `JournalFull` at the stated capacity (except for records that finish something, and entitled meals) and
        `JournalError` after a failed flush.
        """
        record = stamped(record)
        body = build_record(record)
        with self._lock:
            self._writer.check()
            head = self._assigned
            number = head.sequence + 1
            if sequence is not None and sequence != number:
                raise JournalError(
                    f"row {sequence} was expected, but {number} is next", "Take the tap again."
                )
            if number - self._base.sequence > self.capacity_rows and not _goes_on(record):
                raise JournalFull(
                    f"journal {self.path} holds {self.capacity_rows} rows, its stated capacity",
                    "Connect the network so that rows can be sent, acknowledged and purged.",
                )
            row = Row(number, body, link(head.hash, body))
            job = self._writer.submit(lambda connection: self._insert(connection, row), vital=True)
            self._assigned = Head(number, row.hash)
            self._open_records.apply(number, record)
        return Pending(number, job)

    def _insert(self, connection: sqlite3.Connection, row: Row) -> None:
        connection.execute("INSERT INTO row (sequence, body, hash) VALUES (?, ?, ?)", row)
        self.flushes += 1
        self._durable = Head(row.sequence, row.hash)

    # What is known

    @property
    def next_sequence(self) -> int:
        """The number the next record will get."""
        return self._assigned.sequence + 1

    @property
    def full(self) -> bool:
        """The stated capacity is reached: nothing may be sold until rows have left (O-06)."""
        return self._assigned.sequence - self._base.sequence >= self.capacity_rows

    @property
    def head(self) -> Head:
        """The newest durable row."""
        return self._durable

    @property
    def base(self) -> Head:
        """The last row that has left; held rows begin after it."""
        return self._base

    @property
    def acknowledged_through(self) -> int:
        """Every row up to here is durably held by the collector."""
        return self._acknowledged

    @property
    def unsent(self) -> int:
        """How many durable rows the collector has not confirmed."""
        return self._durable.sequence - self._acknowledged

    def unresolved(self, card_ref: bytes) -> tuple[int, Intent] | None:
        """The newest intent of this card whose outcome is not known, with its sequence."""
        with self._lock:
            return self._open_records.newest_of(card_ref)

    def open_intents(self) -> list[tuple[int, Intent]]:
        """Every intent whose outcome is not known, oldest first; survives restart and purge."""
        with self._lock:
            return self._open_records.intents()

    @property
    def open_shift(self) -> ShiftOpened | None:
        """The shift that was opened and not closed; survives restart and purge."""
        with self._lock:
            return self._open_records.shift

    @property
    def open_turn(self) -> TurnStarted | None:
        """The turn of the open shift, once one was started (T-62); survives as the shift does."""
        with self._lock:
            return self._open_records.turn

    @property
    def open_place(self) -> PlaceSet | None:
        """Where the operator says the vehicle is (T-61); None when he says nothing."""
        with self._lock:
            return self._open_records.place

    @property
    def out_of_order(self) -> OrderDeclared | None:
        """The declaration that took the terminal out of service, until another takes it back (T-64)."""
        with self._lock:
            return self._open_records.out_of_order

    def rows(self, after: int = 0, limit: int = 200) -> list[Row]:
        """At most `limit` durable rows with a sequence above `after`, in order."""
        return self._reader.rows(after, limit)

    def hash_at(self, sequence: int) -> bytes | None:
        """The hash of a held row, or of the place where held rows begin; None for anything else."""
        return self._reader.hash_at(sequence)

    # Leaving

    def acknowledge(self, through: int, head_hash: bytes, at_ms: int) -> None:
        """Note that the collector durably holds every row up to `through`, confirmed at `at_ms`.

        The caller has verified the collector's signature. Raises `JournalError` when the hash at `through` is
        not this journal's own; an acknowledgement of what is already acknowledged changes nothing.
        """
        if through <= self._acknowledged:
            return
        if self.hash_at(through) != head_hash:
            raise JournalError(
                f"the acknowledgement of row {through} does not fit the journal",
                "Check which collector answers.",
            )
        self._writer.submit(
            lambda connection: self._acknowledge(connection, through, at_ms), vital=False
        ).wait()

    def _acknowledge(self, connection: sqlite3.Connection, through: int, at_ms: int) -> None:
        with transaction(connection):
            connection.execute("UPDATE state SET acknowledged = ? WHERE acknowledged < ?", (through, through))
            connection.execute("INSERT OR REPLACE INTO acknowledgement VALUES (?, ?)", (through, at_ms))
        self._acknowledged = max(self._acknowledged, through)

    def purge(self, keep_ms: int, now_ms: int) -> int:
        """Delete the rows acknowledged at least `keep_ms` ago (D-06); return how many left.

        Works in slices, so that a tap never waits for more than one. The numbering goes on where it was. Rows newer
        than the last note of what is still open stay until the next call.
        """
        before = self._base.sequence
        self._writer.submit(self._note_open, vital=False).wait()
        while True:
            start = self._base.sequence
            self._writer.submit(
                lambda connection: self._purge(connection, now_ms - keep_ms), vital=False
            ).wait()
            if self._base.sequence == start:
                return start - before

    def _purge(self, connection: sqlite3.Connection, confirmed_until_ms: int) -> None:
        with transaction(connection):
            (through,) = connection.execute(
                "SELECT max(through) FROM acknowledgement WHERE at_ms <= ?", (confirmed_until_ms,)
            ).fetchone()
            noted = read_state(connection).checkpoint.sequence
            last = min(through or 0, noted, self._base.sequence + PURGE_SLICE_ROWS)
            if last <= self._base.sequence:
                return
            (last_hash,) = connection.execute("SELECT hash FROM row WHERE sequence = ?", (last,)).fetchone()
            connection.execute("DELETE FROM row WHERE sequence <= ?", (last,))
            connection.execute("DELETE FROM acknowledgement WHERE through <= ?", (last,))
            connection.execute("UPDATE state SET base_sequence = ?, base_hash = ?", (last, last_hash))
        self._base = Head(last, last_hash)

    # Quiet moments and the end

    def checkpoint(self) -> None:
        """Note what is still open and fold the WAL into the database; for quiet moments, as after a sync."""
        self._writer.submit(self._when_quiet, vital=False).wait()

    def _when_quiet(self, connection: sqlite3.Connection) -> None:
        self._note_open(connection)
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _note_open(self, connection: sqlite3.Connection) -> None:
        """Note the open records, so that neither opening nor purging needs the rows up to here any more."""
        with self._lock:
            if self._assigned != self._durable:
                return  # a record is waiting: not quiet, and what is open would run ahead of the rows
            head, still_open = self._assigned, list(self._open_records.all())
        with transaction(connection):
            connection.execute("DELETE FROM still_open")
            connection.executemany(
                "INSERT INTO still_open VALUES (?, ?)",
                [(number, build_record(record)) for number, record in still_open],
            )
            connection.execute("UPDATE state SET checkpoint_sequence = ?, checkpoint_hash = ?", head)

    def close(self) -> None:
        """Finish what was begun, note what is still open, leave one file. Harmless when called twice."""
        self._writer.stop(self._when_quiet, JournalError("the journal is closed", "Open it again."))
        self._reader.close()
        self._connection.close()
        self._file_lock.release()

    def abandon(self) -> None:
        """End as a crash would: nothing more is written, noted or folded. For tests of what a restart finds."""
        self._writer.abandon(JournalError("the journal was abandoned", "Open it again."))
        try:
            self._connection.close()
        finally:
            self._reader.close()
            self._file_lock.release()

    def _translate(self, error: sqlite3.Error | JournalError) -> JournalError:
        return journal_error(self.path, error)


def _goes_on(record: AnyRecord) -> bool:
    """Whether a full journal still takes `record`: the end of something begun, or an entitled meal (O-06)."""
    if isinstance(record, Intent | MealServed):
        return record.meal is not None and record.meal.entitled
    return isinstance(record, CLOSING)


def _lock(path: Path) -> FileLock:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock.acquire(path)
    except OSError as error:
        raise not_writable(path, error) from error
    if isinstance(lock, int):
        owner = f" (process {lock})" if lock else ""
        raise JournalLocked(
            f"another terminal process{owner} uses {path}",
            "Stop it, or start this terminal with a journal of its own.",
        )
    return lock
