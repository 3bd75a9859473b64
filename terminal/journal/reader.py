"""Reading a journal beside its writer or at rest. Nothing here can change it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from terminal.journal.checkpoint import Checkpoint
from terminal.journal.clock_ledger import ClockLedger, ClockRows
from terminal.journal.database import (
    SQLITE_FAULTS,
    connect_reader,
    contents_of,
    journal_error,
    row_changed,
    state_changed,
)
from terminal.journal.records import parse_record
from terminal.journal.sealed import Broken, JournalKey
from terminal.journal.stored import (
    COLUMNS,
    JournalState,
    Row,
    newest_checkpoint,
    read_row,
    read_state,
    row_before,
)

PAGE_ROWS: Final = 1000

__all__ = ["BrokenRow", "JournalReader", "JournalState", "Row"]


class BrokenRow(NamedTuple):
    """A row that does not hold what was once written there."""

    sequence: int


class JournalReader:
    """A read-only view of the durable rows; may be shared by threads."""

    def __init__(self, path: Path, key: JournalKey | None = None) -> None:
        """Raises `JournalError` when there is no usable journal at `path`, `JournalSealed` without its `key`."""
        self._path = path
        self._lock = threading.Lock()
        self._connection = connect_reader(path)
        try:
            with self._reported():
                self._contents = contents_of(self._connection, path, key)
        except BaseException:
            self._connection.close()
            raise

    def state(self) -> JournalState:
        """Raises `JournalError`; `JournalDamaged` when the line of state was changed."""
        with self._reported(), self._lock:
            try:
                return read_state(self._connection, self._contents)
            except Broken as error:
                raise state_changed(self._path) from error

    def clock(self) -> ClockRows:
        """What the rows say of the terminal's clock; raises `JournalError`, `UnreadableRecord` for newer software's."""
        state, ledger = self.state(), ClockLedger()
        for number, body in state.notes:
            ledger.apply(number, parse_record(body))
        ledger.resume(state.newest_ms)
        after = state.noted.sequence
        while rows := self.rows(after, PAGE_ROWS):
            for row in rows:
                ledger.apply(row.sequence, row.record)
            after = rows[-1].sequence
        return ledger.rows

    @property
    def sealed(self) -> bool:
        """Whether contents lie in the file sealed."""
        return self._contents.key is not None

    def last_sequence(self) -> int:
        """The number of the newest row ever held."""
        with self._reported(), self._lock:
            (last,) = self._connection.execute("SELECT max(sequence) FROM row").fetchone()
        return max(last or 0, self.state().base.sequence)

    def newest_checkpoint(self) -> Checkpoint | None:
        """The last signed checkpoint that was kept; raises `JournalDamaged` when it was changed."""
        with self._reported(), self._lock:
            try:
                return newest_checkpoint(self._connection, self._contents)
            except Broken as error:
                raise state_changed(self._path) from error

    def rows(self, after: int = 0, limit: int = 200) -> list[Row]:
        """At most `limit` rows with a sequence above `after`, in order. Raises `JournalDamaged` at a changed one."""
        return self._select("WHERE sequence > ? ORDER BY sequence LIMIT ?", after, limit)

    def all_rows(self) -> Iterator[Row]:
        """Every row there is, in order, read a page at a time."""
        after = 0
        while rows := self.rows(after, PAGE_ROWS):
            yield from rows
            after = rows[-1].sequence

    def newest(self, limit: int = 20) -> list[Row]:
        """The last `limit` rows, in order."""
        return self._select("ORDER BY sequence DESC LIMIT ?", limit)[::-1]

    def scan(self, after: int = 0) -> Iterator[Row | BrokenRow]:
        """Every row above `after`, a changed one as such: for those who must see the others all the same."""
        while rows := self.scanned(after, PAGE_ROWS):
            yield from rows
            after = rows[-1].sequence

    def scanned(self, after: int, limit: int) -> list[Row | BrokenRow]:
        """At most `limit` rows above `after`, as `scan` gives them."""
        columns = self._columns("WHERE sequence > ? ORDER BY sequence LIMIT ?", after, limit)
        return [self._opened(*row) for row in columns]

    def _opened(self, sequence: int, body: bytes, row_hash: object) -> Row | BrokenRow:
        try:
            return read_row(self._contents, sequence, body, row_hash)
        except Broken:
            return BrokenRow(sequence)

    def hash_at(self, sequence: int) -> bytes | None:
        """The hash of a row that is still held, or of the place where the held rows begin.

        A number that was passed over stands for the row before it (T-63).
        """
        found = self._select("WHERE sequence = ?", sequence)
        if found:
            return found[0].hash
        state = self.state()
        before = row_before(state.skipped, sequence)
        if before != sequence:
            return self.hash_at(before)
        return state.base.hash if state.base.sequence == sequence else None

    def _select(self, where: str, *values: int) -> list[Row]:
        rows = []
        for sequence, body, row_hash in self._columns(where, *values):
            try:
                rows.append(read_row(self._contents, sequence, body, row_hash))
            except Broken as error:
                raise row_changed(self._path, sequence) from error
        return rows

    def _columns(self, where: str, *values: int) -> list[tuple[int, bytes, object]]:
        query = f"SELECT {COLUMNS} FROM row {where}"  # noqa: S608 our own words
        with self._reported(), self._lock:
            return list(self._connection.execute(query, values))

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except SQLITE_FAULTS as error:
            raise journal_error(self._path, error) from error

    def close(self) -> None:
        with self._lock:
            self._connection.close()
