"""Reading a journal beside its writer or at rest. Nothing here can change it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from terminal.journal.chain import Head
from terminal.journal.database import connect_reader, journal_error
from terminal.journal.records import AnyRecord, parse_record

PAGE_ROWS: Final = 1000


class Row(NamedTuple):
    """One durable row."""

    sequence: int
    body: bytes
    hash: bytes

    @property
    def record(self) -> AnyRecord:
        """What the row says; raises `UnreadableRecord`."""
        return parse_record(self.body)


class State(NamedTuple):
    """The one line of state. `base` is the last row that has left, `checkpoint` a head it once had."""

    terminal: int
    base: Head
    acknowledged: int
    checkpoint: Head


def read_state(connection: sqlite3.Connection) -> State:
    """Raises sqlite3.Error."""
    terminal, base, base_hash, acknowledged, checkpoint, checkpoint_hash = connection.execute(
        "SELECT terminal, base_sequence, base_hash, acknowledged, checkpoint_sequence, checkpoint_hash"
        " FROM state"
    ).fetchone()
    return State(terminal, Head(base, base_hash), acknowledged, Head(checkpoint, checkpoint_hash))


class JournalReader:
    """A read-only view of the durable rows; may be shared by threads."""

    def __init__(self, path: Path) -> None:
        """Raises `JournalError` when there is no usable journal at `path`."""
        self._path = path
        self._lock = threading.Lock()
        self._connection = connect_reader(path)

    def state(self) -> State:
        try:
            with self._lock:
                return read_state(self._connection)
        except sqlite3.Error as error:
            raise journal_error(self._path, error) from error

    def rows(self, after: int = 0, limit: int = 200) -> list[Row]:
        """At most `limit` rows with a sequence above `after`, in order."""
        return self._select(
            "SELECT sequence, body, hash FROM row WHERE sequence > ? ORDER BY sequence LIMIT ?", after, limit
        )

    def all_rows(self) -> Iterator[Row]:
        """Every row there is, in order, read a page at a time."""
        after = 0
        while rows := self.rows(after, PAGE_ROWS):
            yield from rows
            after = rows[-1].sequence

    def newest(self, limit: int = 20) -> list[Row]:
        """The last `limit` rows, in order."""
        query = "SELECT sequence, body, hash FROM row ORDER BY sequence DESC LIMIT ?"
        return self._select(query, limit)[::-1]

    def hash_at(self, sequence: int) -> bytes | None:
        """The hash of a row that is still held, or of the place where the held rows begin."""
        found = self._select("SELECT sequence, body, hash FROM row WHERE sequence = ?", sequence)
        if found:
            return found[0].hash
        base = self.state().base
        return base.hash if base.sequence == sequence else None

    def _select(self, query: str, *values: int) -> list[Row]:
        try:
            with self._lock:
                return [Row(*row) for row in self._connection.execute(query, values)]
        except sqlite3.Error as error:
            raise journal_error(self._path, error) from error

    def close(self) -> None:
        with self._lock:
            self._connection.close()
