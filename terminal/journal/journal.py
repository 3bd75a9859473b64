"""The terminal's journal: append-only, durable, chained by hash, numbered without reuse or gap.

One `Journal` per file and per process owns it. Every record is one durable commit of its own. `begin` starts
that commit and returns, so that the flush runs while the card works; `append` waits for it. When a flush
fails the journal takes nothing more until it is opened again, because the next row would leave a hole in the
sequence.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from terminal.errors import JournalError, JournalFull, JournalLocked
from terminal.journal.action import stamped
from terminal.journal.chain import Head, link
from terminal.journal.checkpoint import Checkpoint, Notary, sign_checkpoint
from terminal.journal.clock_ledger import ClockRows
from terminal.journal.console_records import OrderDeclared, PlaceSet, TurnStarted
from terminal.journal.database import (
    SQLITE_FAULTS,
    SqliteFault,
    connect_writer,
    contents_of,
    journal_error,
    load_tail,
    not_writable,
    row_changed,
    state_changed,
    transaction,
)
from terminal.journal.lock import FileLock
from terminal.journal.open_records import LastIntent, OpenRecords
from terminal.journal.operation_records import SetActivated
from terminal.journal.reader import JournalReader, Row
from terminal.journal.records import (
    AnyRecord,
    Intent,
    ShiftOpened,
    build_record,
)
from terminal.journal.rewrite import upgrade_if_old
from terminal.journal.room import ADVICE, CAPACITY_ROWS, Fill, fill_of, goes_on, require_number
from terminal.journal.sealed import Broken, Contents, JournalKey
from terminal.journal.stored import (
    JournalState,
    insert_checkpoint,
    insert_row,
    newest_checkpoint,
    read_state,
    row_at,
    write_state,
)
from terminal.journal.writer import Job, Writer

PURGE_SLICE_ROWS: Final = 2_000


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
        self,
        path: Path,
        lock: FileLock,
        connection: sqlite3.Connection,
        contents: Contents,
        capacity_rows: int,
    ) -> None:
        """Use `Journal.open`."""
        self.path = path
        self.terminal = contents.terminal
        self.capacity_rows = capacity_rows
        self.flushes = 0
        """Durable commits of records since opening: exactly one per record."""
        self.notary: Notary | None = None
        """Who signs the checkpoint at a clean shutdown; None: it is not signed."""
        self._file_lock = lock
        self._connection = connection
        self._contents = contents
        self._lock = threading.Lock()
        self._open_records = OpenRecords()
        self._state = _state_in(connection, contents, path)
        """As on the disk; replaced by the writer thread alone."""
        self._assigned = self._durable = load_tail(
            connection, contents, self._state, path, self._open_records
        )
        self.opened_after = self._assigned.sequence
        """The newest row of an earlier process: later ones were never sent before this one opened the journal."""
        self.last_signed = newest_checkpoint(connection, contents)
        """The newest signed checkpoint the file holds."""
        self._reader = JournalReader(path, contents.key)
        self._writer = Writer(connection, self._translate, self._when_quiet)

    @classmethod
    def open(
        cls,
        path: Path,
        terminal: int,
        *,
        key: JournalKey | None = None,
        capacity_rows: int = CAPACITY_ROWS,
    ) -> Journal:
        """Open or create the journal of `terminal` at `path`, sealed under `key`; without one it is plain.

        A journal of an older schema is brought up first, whole or not at all (`terminal.journal.rewrite`). Raises
        `JournalLocked` (another process has it), `JournalSealed` (another key, or none), `JournalDamaged` (not a
        journal, a newer schema, or a broken tail; `terminal.journal.verify` checks all of it), `JournalFull`, or
        `JournalError` (cannot be written, or it belongs to another terminal). Work grows with the rows since the last
        quiet moment, not with all rows.
        """
        lock = _lock(path)
        connection: sqlite3.Connection | None = None
        try:
            upgrade_if_old(path, terminal, key)
            connection = connect_writer(path, Contents(terminal, key))
            contents = contents_of(connection, path, key)
            if contents.terminal != terminal:
                raise JournalError(
                    f"{path} is the journal of terminal {contents.terminal}, not {terminal}",
                    "Give each terminal number a journal file of its own.",
                )
            return cls(path, lock, connection, contents, capacity_rows)
        except BaseException as error:
            if connection is not None:
                connection.close()
            lock.release()
            if isinstance(error, SQLITE_FAULTS):
                raise journal_error(path, error) from error
            raise

    # Writing

    def append(self, record: AnyRecord) -> int:
        """Return the record's sequence once it is durable. Raises as `begin` and `Pending.wait`."""
        return self.begin(record).wait()

    def begin(self, record: AnyRecord, *, sequence: int | None = None) -> Pending:
        """Number and chain the record, start its flush and return at once.

        `sequence` is the number the caller already wrote elsewhere (in a card event); another one is refused.
        Raises `JournalFull` at the stated capacity (except for records that finish something, and entitled meals) and
        `JournalError` after a failed flush, and when the numbers are used up.
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
            if number - self.base.sequence > self.capacity_rows and not goes_on(record):
                raise JournalFull(
                    f"journal {self.path} holds {self.capacity_rows} rows, its stated capacity", ADVICE
                )
            require_number(number, record)
            row = Row(number, body, link(head.hash, body))
            job = self._writer.submit(lambda connection: self._insert(connection, row), vital=True)
            self._assigned = Head(number, row.hash)
            self._open_records.apply(number, record)
        return Pending(number, job)

    def _insert(self, connection: sqlite3.Connection, row: Row) -> None:
        insert_row(connection, self._contents, row)
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
        return self._assigned.sequence - self.base.sequence >= self.capacity_rows

    @property
    def fill(self) -> Fill:
        """How full it is, by its stated capacity and by the disk."""
        return fill_of(self.path, self._assigned.sequence - self.base.sequence, self.capacity_rows)

    @property
    def head(self) -> Head:
        """The newest durable row."""
        return self._durable

    @property
    def base(self) -> Head:
        """The last row that has left; held rows begin after it."""
        return self._state.base

    @property
    def acknowledged_through(self) -> int:
        """Every row up to here is durably held by the collector."""
        return self._state.acknowledged

    @property
    def unsent(self) -> int:
        """How many durable rows the collector has not confirmed."""
        return self._durable.sequence - self._state.acknowledged

    def unresolved(self, card_ref: bytes) -> tuple[int, Intent] | None:
        """The newest intent of this card whose outcome is not known, with its sequence."""
        with self._lock:
            return self._open_records.newest_of(card_ref)

    def open_intents(self) -> list[tuple[int, Intent]]:
        """Every intent whose outcome is not known, oldest first; survives restart and purge."""
        with self._lock:
            return self._open_records.intents()

    @property
    def last_intent(self) -> LastIntent | None:
        """The newest intent, whatever became of it; survives restart and purge."""
        with self._lock:
            return self._open_records.last_intent

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

    @property
    def clock(self) -> ClockRows:
        """What the rows say of the terminal's clock (O-05); survives restart and purge."""
        with self._lock:
            return self._open_records.clock.rows

    def name_versions(self, tariff: str, deny_list: str) -> None:
        """Checkpoints say from now on that decisions are made from these."""
        if self.notary is not None:
            self.notary = replace(self.notary, tariff=tariff, deny_list=deny_list)

    @property
    def activated(self) -> Mapping[str, SetActivated]:
        """What of the active set came into force last, by its kind; survives restart and purge."""
        with self._lock:
            return self._open_records.activated

    def rows(self, after: int = 0, limit: int = 200) -> list[Row]:
        """At most `limit` durable rows with a sequence above `after`, in order."""
        return self._reader.rows(after, limit)

    def hash_at(self, sequence: int) -> bytes | None:
        """The hash of a held row, or of the place where held rows begin; None for anything else."""
        return self._reader.hash_at(sequence)

    # Leaving

    def acknowledge(
        self, through: int, head_hash: bytes, at_ms: int, checkpoint: Checkpoint | None = None
    ) -> None:
        """As `begin_acknowledge`, and wait for it."""
        noted = self.begin_acknowledge(through, head_hash, at_ms, checkpoint)
        if noted is not None:
            noted.wait()

    def begin_acknowledge(
        self, through: int, head_hash: bytes, at_ms: int, checkpoint: Checkpoint | None = None
    ) -> Job | None:
        """Note that the collector durably holds every row up to `through`, confirmed at `at_ms`, and keep the signed
        `checkpoint` these rows were sent under: one flush for both.

        The caller has verified the collector's signature. Raises `JournalError` when the hash at `through` is
        not this journal's own; an acknowledgement of what is already acknowledged changes nothing, and is None. The
        flush runs in the writer thread; `wait` for what is returned.
        """
        if through <= self.acknowledged_through:
            return None
        if self.hash_at(through) != head_hash:
            raise JournalError(
                f"the acknowledgement of row {through} does not fit the journal",
                "Check which collector answers.",
            )
        return self._writer.submit(
            lambda connection: self._acknowledge(connection, through, at_ms, checkpoint), vital=False
        )

    def _acknowledge(
        self, connection: sqlite3.Connection, through: int, at_ms: int, checkpoint: Checkpoint | None
    ) -> None:
        state = self._state._replace(acknowledged=max(self._state.acknowledged, through))
        with transaction(connection):
            connection.execute("INSERT OR REPLACE INTO acknowledgement VALUES (?, ?)", (through, at_ms))
            state = self._keep(connection, state, checkpoint)
            write_state(connection, self._contents, state)
        self._state = state

    def _keep(
        self, connection: sqlite3.Connection, state: JournalState, checkpoint: Checkpoint | None
    ) -> JournalState:
        if checkpoint is None:
            return state
        insert_checkpoint(connection, self._contents, state.checkpoints + 1, checkpoint)
        self.last_signed = checkpoint
        return state._replace(checkpoints=state.checkpoints + 1)

    def purge(self, keep_ms: int, now_ms: int) -> int:
        """Delete the rows acknowledged at least `keep_ms` ago (D-06); return how many left.

        Works in slices, so that a tap never waits for more than one. The numbering goes on where it was. Rows newer
        than the last note of what is still open stay until the next call.
        """
        before = self.base.sequence
        self._writer.submit(self._note_open, vital=False).wait()
        while True:
            start = self.base.sequence
            self._writer.submit(
                lambda connection: self._purge(connection, now_ms - keep_ms), vital=False
            ).wait()
            if self.base.sequence == start:
                return start - before

    def _purge(self, connection: sqlite3.Connection, confirmed_until_ms: int) -> None:
        state = self._state
        (through,) = connection.execute(
            "SELECT max(through) FROM acknowledgement WHERE at_ms <= ?", (confirmed_until_ms,)
        ).fetchone()
        known = min(through or 0, state.acknowledged, state.noted.sequence)
        last = min(known, state.base.sequence + PURGE_SLICE_ROWS)
        if last <= state.base.sequence:
            return
        try:
            row = row_at(connection, self._contents, last)
        except Broken:
            row = None
        if row is None:
            raise row_changed(self.path, last)
        state = state._replace(base=Head(last, row.hash))
        with transaction(connection):
            connection.execute("DELETE FROM row WHERE sequence <= ?", (last,))
            connection.execute("DELETE FROM acknowledgement WHERE through <= ?", (last,))
            write_state(connection, self._contents, state)
        self._state = state

    # Quiet moments and the end

    def checkpoint(self) -> None:
        """Note what is still open and fold the WAL into the database; for quiet moments, as after a sync."""
        self._writer.submit(self._when_quiet, vital=False).wait()

    def _when_quiet(self, connection: sqlite3.Connection) -> None:
        self._note_open(connection)
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _note_open(self, connection: sqlite3.Connection) -> None:
        """Note the open records, so that neither opening nor purging needs the rows up to here any more."""
        state = self._noted()
        if state is None or state == self._state:
            return
        with transaction(connection):
            write_state(connection, self._contents, state)
        self._state = state

    def _noted(self) -> JournalState | None:
        """The line of state with what is open now; None in a busy moment."""
        with self._lock:
            if self._assigned != self._durable:
                return None  # a record is waiting: not quiet, and what is open would run ahead of the rows
            head, still_open = self._assigned, list(self._open_records.all())
            newest_ms = self._open_records.clock.rows.newest_ms
        if head == self._state.noted:
            return self._state
        notes = tuple((number, build_record(record)) for number, record in still_open)
        return self._state._replace(noted=head, notes=notes, newest_ms=newest_ms)

    def _last_words(self, connection: sqlite3.Connection) -> None:
        """A clean end: what is open, and the signed checkpoint of where the journal ends; then fold the log."""
        state, notary = self._noted() or self._state, self.notary
        previous = self._sent_head()
        with transaction(connection):
            if notary is not None and previous is not None:
                signed = sign_checkpoint(notary, self.terminal, previous, previous, self._durable)
                state = self._keep(connection, state, signed)
            if state != self._state:
                write_state(connection, self._contents, state)
        self._state = state
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _sent_head(self) -> Head | None:
        """The last acknowledged row; None in a journal that was changed under our hands."""
        sequence = self._state.acknowledged
        found = self.hash_at(sequence)
        return None if found is None else Head(sequence, found)

    def close(self) -> None:
        """Finish what was begun, note what is still open, leave one file. Harmless when called twice."""
        self._writer.stop(self._last_words, JournalError("the journal is closed", "Open it again."))
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

    def _translate(self, error: SqliteFault | JournalError) -> JournalError:
        return journal_error(self.path, error)


def _state_in(connection: sqlite3.Connection, contents: Contents, path: Path) -> JournalState:
    try:
        return read_state(connection, contents)
    except Broken as error:
        raise state_changed(path) from error


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
