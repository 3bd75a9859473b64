"""The terminal's journal: append-only, durable, chained by hash, and no number used twice.

One `Journal` per file and per process owns it. Every record is one durable commit of its own. `begin` starts
that commit and returns, so that the flush runs while the card works; `append` waits for it. When a flush
fails the journal takes nothing more until it is opened again, because the next row would leave a hole in the
sequence.

After an end that was not in order the first row says which numbers are passed over, where any are
(`terminal.journal.numbers`). What the collector confirmed is noted in the commit of the next row.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from terminal.errors import JournalDamaged, JournalError, JournalFull
from terminal.journal.action import stamped
from terminal.journal.chain import Head, link
from terminal.journal.checkpoint import Checkpoint, Notary, sign_checkpoint
from terminal.journal.database import (
    KEEP_ASIDE,
    SCHEMA_VERSION,
    SQLITE_FAULTS,
    SqliteFault,
    connect_reader,
    connect_writer,
    contents_of,
    journal_error,
    require_own,
    row_changed,
    schema_of,
    state_changed,
    transaction,
    wal_of,
)
from terminal.journal.facts import Confirmed, JournalFacts
from terminal.journal.lock import FileLock, acquire_lock
from terminal.journal.mending import mend
from terminal.journal.numbers import (
    NEVER_RESERVED,
    KnownNumbers,
    Numbers,
    Reached,
    boot_id,
    read_known,
    standing_of,
)
from terminal.journal.open_records import OpenRecords
from terminal.journal.operation_records import NumbersSkipped
from terminal.journal.reader import JournalReader, Row
from terminal.journal.records import (
    AnyRecord,
    build_record,
)
from terminal.journal.rewrite import upgrade_if_old
from terminal.journal.room import ADVICE, CAPACITY_ROWS, goes_on, require_number
from terminal.journal.sealed import Broken, Contents, JournalKey
from terminal.journal.stored import (
    JournalState,
    Skipped,
    insert_checkpoint,
    insert_row,
    newest_checkpoint,
    read_state,
    row_at,
    write_state,
)
from terminal.journal.tail import load_tail
from terminal.journal.writer import Job, Writer

PURGE_SLICE_ROWS: Final = 2_000
MOST_CONFIRMED: Final = 32
"""Acknowledgements that wait for the commit of a row; more are noted in one of their own."""


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


class Journal(JournalFacts):
    """All methods may be called from any thread; the rows keep the order of the calls."""

    def __init__(
        self,
        path: Path,
        lock: FileLock,
        connection: sqlite3.Connection,
        contents: Contents,
        capacity_rows: int,
        known: KnownNumbers,
    ) -> None:
        """Use `Journal.open`."""
        self.path = path
        self.terminal = contents.terminal
        self.capacity_rows = capacity_rows
        self.flushes = 0
        """Durable commits of records since opening: exactly one per record."""
        self.notary: Notary | None = None
        self._file_lock = lock
        self._connection = connection
        self._contents = contents
        self._lock = threading.Lock()
        self._lock_of_confirmed = threading.Lock()
        self._open_records = OpenRecords()
        self._state = _state_in(connection, contents, path)
        self._assigned = self._durable = load_tail(
            connection, contents, self._state, path, self._open_records
        )
        self._confirmed: tuple[Confirmed, ...] = ()
        self._skipped = self._state.skipped
        boot = boot_id()
        self._standing = standing_of(self._state, known, self._assigned, boot)
        self._numbers = Numbers(path, contents, known, self._assigned, boot)
        if known is NEVER_RESERVED:
            self._numbers.begin()
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
        lock = acquire_lock(path)
        connection: sqlite3.Connection | None = None
        try:
            known = read_known(path, Contents(terminal, key))
            _require_not_gone(path, known)
            schema = schema_of(path)
            if schema > SCHEMA_VERSION:  # said without a writer, whose end would fold the log
                connect_reader(path).close()
            if schema == SCHEMA_VERSION:
                mended = mend(path, terminal, key, known.newest)
                known = known._replace(seen=mended.seen, mended=mended.aside is not None)
            elif upgrade_if_old(path, terminal, key) is not None and known.absent:
                known = NEVER_RESERVED
            connection = connect_writer(path, Contents(terminal, key))
            contents = contents_of(connection, path, key)
            require_own(path, contents, terminal)
            return cls(path, lock, connection, contents, capacity_rows, known)
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
            number = self.next_sequence
            if sequence is not None and sequence != number:
                raise JournalError(
                    f"row {sequence} was expected, but {number} is next", "Take the tap again."
                )
            if self.held >= self.capacity_rows and not goes_on(record):
                raise JournalFull(
                    f"journal {self.path} holds {self.capacity_rows} rows, its stated capacity", ADVICE
                )
            require_number(number, record)
            self._pass_over(record.at_ms)
            job = self._put(number, record, body)
        return Pending(number, job)

    def _pass_over(self, at_ms: int) -> None:
        """Put on record which numbers nothing will have, before the first row of this process."""
        stored, used, cause = self._standing
        if cause is None:
            return
        span = (self._assigned.sequence + 1, used)
        skip = NumbersSkipped(at_ms, *span, max(stored, span[0] - 1), cause)
        self._skipped += (span,)
        self._put(used + 1, skip, build_record(skip), self._skipped)
        self._standing = Reached(stored, used, None)

    def _put(self, number: int, record: AnyRecord, body: bytes, skipped: Skipped | None = None) -> Job:
        row = Row(number, body, link(self._assigned.hash, body))
        self._numbers.prepare(number)
        job = self._writer.submit(lambda connection: self._insert(connection, row, skipped), vital=True)
        self._assigned = Head(number, row.hash)
        self._open_records.apply(number, record)
        return job

    def _insert(self, connection: sqlite3.Connection, row: Row, skipped: Skipped | None) -> None:
        """The row, and with it what the collector has confirmed meanwhile: one flush."""
        if skipped is None and not self._confirmed:
            insert_row(connection, self._contents, row)
        else:
            state = self._state if skipped is None else self._state._replace(skipped=skipped, anew=False)
            with self._state_kept(connection, state):
                insert_row(connection, self._contents, row)
        self.flushes += 1
        head = Head(row.sequence, row.hash)
        self._numbers.confirm(row.sequence)
        self._numbers.note(head)
        self._durable = head

    @contextmanager
    def _state_kept(
        self, connection: sqlite3.Connection, state: JournalState, signed: Checkpoint | None = None
    ) -> Iterator[None]:
        """A transaction that also writes the line of state, with what was confirmed, and keeps `signed`."""
        confirmed = self._confirmed
        with transaction(connection):
            yield
            state = self._keep(connection, self._with_confirmed(connection, state, confirmed), signed)
            write_state(connection, self._contents, state)
        self._state = state
        with self._lock_of_confirmed:
            self._confirmed = self._confirmed[len(confirmed) :]

    def _with_confirmed(
        self, connection: sqlite3.Connection, state: JournalState, confirmed: tuple[Confirmed, ...]
    ) -> JournalState:
        if not confirmed:
            return state
        through, at_ms = max(one.through for one in confirmed), max(one.at_ms for one in confirmed)
        connection.execute("INSERT OR REPLACE INTO acknowledgement VALUES (?, ?)", (through, at_ms))
        for one in confirmed:
            state = self._keep(connection, state, one.checkpoint)
        return state._replace(acknowledged=max(state.acknowledged, through))

    # Leaving

    def acknowledge(
        self, through: int, head_hash: bytes, at_ms: int, checkpoint: Checkpoint | None = None
    ) -> None:
        """As `take_acknowledgement`, and wait until it is on the disk."""
        self.take_acknowledgement(through, head_hash, at_ms, checkpoint)
        self.settle()

    def take_acknowledgement(
        self, through: int, head_hash: bytes, at_ms: int, checkpoint: Checkpoint | None = None
    ) -> None:
        """The collector durably holds every row up to `through`, confirmed at `at_ms`; the signed `checkpoint` these
        rows were sent under is kept with it.

        The caller has verified the collector's signature. Raises `JournalError` when the hash at `through` is
        not this journal's own; an acknowledgement of what is already acknowledged changes nothing. It reaches the disk
        with the next row, in a quiet moment, with `settle` or at the end: a crash before only has the rows sent again.
        """
        if through <= self.acknowledged_through:
            return
        if self.hash_at(through) != head_hash:
            raise JournalError(
                f"the acknowledgement of row {through} does not fit the journal",
                "Check which collector answers.",
            )
        self._writer.check()
        with self._lock_of_confirmed:
            self._confirmed += (Confirmed(through, at_ms, checkpoint),)
        if len(self._confirmed) >= MOST_CONFIRMED:
            self.settle()

    def settle(self) -> None:
        """Every acknowledgement taken so far is on the disk afterwards. Raises `JournalError`."""
        if self._confirmed:
            self._writer.submit(self._settle, vital=False).wait()

    def _settle(self, connection: sqlite3.Connection) -> None:
        if self._confirmed:
            with self._state_kept(connection, self._state):
                pass

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
        rows = connection.execute(
            "SELECT sequence FROM row WHERE sequence > ? AND sequence <= ? ORDER BY sequence LIMIT ?",
            (state.base.sequence, known, PURGE_SLICE_ROWS),
        ).fetchall()
        if not rows:
            return
        (last,) = rows[-1]
        try:
            row = row_at(connection, self._contents, last)
        except Broken:
            row = None
        if row is None:
            raise row_changed(self.path, last)
        skipped = tuple(span for span in state.skipped if span[0] > last)
        state = state._replace(base=Head(last, row.hash), skipped=skipped)
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
        state = self._noted() or self._state
        if self._confirmed or state != self._state:
            with self._state_kept(connection, state):
                pass

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
        state, signed = self._noted() or self._state, None
        previous = self._sent_head()
        if self.notary is not None and previous is not None:
            signed = sign_checkpoint(self.notary, self.terminal, previous, previous, self._durable)
        if self._confirmed or signed is not None or state != self._state:
            with self._state_kept(connection, state, signed):
                pass
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        self._numbers.close()

    def _sent_head(self) -> Head | None:
        """The last acknowledged row; None in a journal that was changed under our hands."""
        sequence = self.acknowledged_through
        found = self.hash_at(sequence)
        return None if found is None else Head(sequence, found)

    def close(self) -> None:
        """Finish what was begun, note what is still open, leave one file. Harmless when called twice."""
        self._writer.stop(self._last_words, JournalError("the journal is closed", "Open it again."))
        self._numbers.abandon()  # where the last words could not be written
        self._reader.close()
        self._connection.close()
        self._file_lock.release()

    def abandon(self) -> None:
        """End as a crash would: nothing more is written, noted or folded. For tests of what a restart finds."""
        self._writer.abandon(JournalError("the journal was abandoned", "Open it again."))
        self._numbers.abandon()
        try:
            self._connection.close()
        finally:
            self._reader.close()
            self._file_lock.release()

    def _translate(self, error: SqliteFault | JournalError) -> JournalError:
        return self._suspect(journal_error(self.path, error))


def _state_in(connection: sqlite3.Connection, contents: Contents, path: Path) -> JournalState:
    try:
        return read_state(connection, contents)
    except Broken as error:
        raise state_changed(path) from error


def _require_not_gone(path: Path, known: KnownNumbers) -> None:
    """A new journal must not begin where there was one."""
    if path.exists():
        return
    if wal_of(path).exists():  # SQLite would fold those rows into the new file
        raise JournalDamaged(f"{wal_of(path)} is there but {path} is not", KEEP_ASIDE)
    if not known.absent:
        raise JournalDamaged(f"{path} is gone, and what says how far it came is not", KEEP_ASIDE)
