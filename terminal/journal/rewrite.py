"""Schema upgrades with a way back: the journal is written anew beside the old file and takes its place by one rename.

    schema 1   plain; state in columns; `still_open` in a table; no signed checkpoints
    schema 2   sealed; signed checkpoints (`terminal.journal.database`)

Every row is checked against the chain on its way, so an upgrade hides nothing that was done to the old file. Whatever
interrupts it, the file in place is either the old one, whole, or the new one, whole; numbers, hashes and what is
acknowledged stay the same. The way back needs the key, writes plain rows, and leaves signed checkpoints behind.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from terminal.errors import JournalDamaged, JournalError, JournalLocked
from terminal.files import put_in_place
from terminal.journal.chain import Head, link
from terminal.journal.database import (
    KEEP_ASIDE,
    SCHEMA_VERSION,
    SQLITE_FAULTS,
    check_schema,
    connect,
    contents_of,
    create_schema,
    journal_error,
    means_damage,
    new_file,
    not_writable,
    row_changed,
    schema_of,
    state_changed,
    transaction,
    wal_of,
)
from terminal.journal.lock import FileLock
from terminal.journal.sealed import Broken, Contents, JournalKey
from terminal.journal.stored import (
    COLUMNS,
    JournalState,
    Row,
    insert_row,
    insert_state,
    read_state,
    rows_between,
)

SLICE_ROWS: Final = 5_000
SCHEMA_1: Final = """
CREATE TABLE row (sequence INTEGER PRIMARY KEY, body BLOB NOT NULL, hash BLOB NOT NULL);
CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    terminal INTEGER NOT NULL,
    base_sequence INTEGER NOT NULL, base_hash BLOB NOT NULL,
    acknowledged INTEGER NOT NULL,
    checkpoint_sequence INTEGER NOT NULL, checkpoint_hash BLOB NOT NULL
);
CREATE TABLE still_open (sequence INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE acknowledgement (through INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL);
"""


class Rewritten(NamedTuple):
    """What was carried over: so many rows, up to `head`."""

    rows: int
    head: Head


def upgrade_if_old(path: Path, terminal: int, key: JournalKey | None) -> Rewritten | None:
    """Bring the journal at `path` to this software's schema, sealed under `key`; None when nothing was to be done.

    The caller holds the file's lock. Raises `JournalDamaged` naming the row that does not fit; the file stays.
    """
    if schema_of(path) != 1:
        return None
    with _leaving(path) as old:
        state = _state_1(old, path)
        if state.terminal != terminal:
            raise JournalError(
                f"{path} is the journal of terminal {state.terminal}, not {terminal}",
                "Give each terminal number a journal file of its own.",
            )
        contents = Contents(terminal, key)
        with new_file(path) as (new, target):
            create_schema(target)
            insert_state(target, contents, state)
            found = _carry(_rows_1(old, state.base), state, path, target, contents)
            _copy_acknowledgements(old, target)
    _swap(new, path)
    return found


def downgrade(path: Path, key: JournalKey | None) -> Rewritten:
    """Write the journal at `path` in schema 1, for software before this one. No other process may have it open.

    Raises `JournalLocked`, `JournalSealed`, or `JournalDamaged` naming the row that does not fit; the file stays.
    """
    lock = FileLock.acquire(path)
    if isinstance(lock, int):
        raise JournalLocked(f"another process ({lock}) uses {path}", "Stop it first.")
    try:
        if schema_of(path) != SCHEMA_VERSION:
            raise JournalError(f"{path} has no schema {SCHEMA_VERSION}", "There is nothing to take back.")
        with _leaving(path) as old:
            check_schema(old, path)
            contents = contents_of(old, path, key)
            try:
                state = read_state(old, contents)
            except Broken as error:
                raise state_changed(path) from error
            if state.skipped:
                raise JournalError(
                    f"numbers of {path} were passed over, which software of schema 1 takes for missing rows",
                    "Send what it holds and wait until rows before that have left, then run this again.",
                )
            plain = Contents(state.terminal, None)
            with new_file(path) as (new, target):
                create_schema(target, SCHEMA_1, 1)
                target.execute(
                    "INSERT INTO state VALUES (1, ?, ?, ?, ?, ?, ?)",
                    (state.terminal, *state.base, state.acknowledged, *state.noted),
                )
                target.executemany("INSERT INTO still_open VALUES (?, ?)", state.notes)
                rows = rows_between(old, contents, state.base.sequence)
                found = _carry(rows, state, path, target, plain)
                _copy_acknowledgements(old, target)
        _swap(new, path)
        return found
    finally:
        lock.release()


def _swap(new: Path, path: Path) -> None:
    try:
        put_in_place(new, path)
    except OSError as error:
        raise not_writable(path, error) from error


@contextmanager
def _leaving(path: Path) -> Iterator[sqlite3.Connection]:
    """The file that will be replaced, with its log folded in: a log left beside another file would be applied to it."""
    try:
        connection = connect(path)
        try:
            (mode,) = connection.execute("PRAGMA journal_mode=DELETE").fetchone()
            log = wal_of(path)
            if mode == "delete" and log.exists() and log.stat().st_size == 0:
                log.unlink()  # a reader made it; there is nothing in it
            if mode != "delete" or log.exists():
                raise JournalLocked(f"journal {path} is being read by another program", "Close that program.")
            yield connection
        finally:
            connection.close()
    except OSError as error:
        raise not_writable(path, error) from error
    except SQLITE_FAULTS as error:
        raise journal_error(path, error) from error


def _carry(
    rows: Iterable[Row], state: JournalState, path: Path, target: sqlite3.Connection, contents: Contents
) -> Rewritten:
    """Copy `rows`, each checked against the one before; the last must reach what the journal is known to have held."""
    previous, count = state.base, 0
    batch: list[Row] = []
    rows_left = iter(rows)
    while True:
        try:
            row = next(rows_left, None)
        except Broken as error:
            raise row_changed(path, previous.sequence + 1) from error
        if row is not None:
            _must_follow(previous, row, path)
            if row.sequence == state.noted.sequence and row.hash != state.noted.hash:
                raise row_changed(path, row.sequence)
            previous, count = Head(row.sequence, row.hash), count + 1
            batch.append(row)
        if batch and (row is None or len(batch) == SLICE_ROWS):
            with transaction(target):
                for one in batch:
                    insert_row(target, contents, one)
            batch = []
        if row is None:
            break
    if previous.sequence < state.newest_number:
        raise JournalDamaged(f"journal {path} was cut after row {previous.sequence}", KEEP_ASIDE)
    return Rewritten(count, previous)


def _must_follow(previous: Head, row: Row, path: Path) -> None:
    if row.sequence != previous.sequence + 1:
        raise JournalDamaged(f"row {previous.sequence + 1} of journal {path} is missing", KEEP_ASIDE)
    if link(previous.hash, row.body) != row.hash:
        raise row_changed(path, row.sequence)


def _state_1(connection: sqlite3.Connection, path: Path) -> JournalState:
    """The line of state of schema 1, with the notes that stood in a table of their own."""
    try:
        line = connection.execute(
            "SELECT terminal, base_sequence, base_hash, acknowledged, checkpoint_sequence, checkpoint_hash FROM state"
        ).fetchone()
        notes = connection.execute("SELECT sequence, body FROM still_open ORDER BY sequence").fetchall()
    except SQLITE_FAULTS as error:
        if not means_damage(error):
            raise
        raise state_changed(path) from error
    if line is None or [type(value) for value in line] != [int, int, bytes, int, int, bytes]:
        raise state_changed(path)
    if not all(isinstance(body, bytes) for _, body in notes):
        raise state_changed(path)
    terminal, base, base_hash, acknowledged, noted, noted_hash = line
    return JournalState(
        terminal, Head(base, base_hash), acknowledged, Head(noted, noted_hash), 0, tuple(notes)
    )


def _rows_1(connection: sqlite3.Connection, base: Head) -> Iterator[Row]:
    query = f"SELECT {COLUMNS} FROM row WHERE sequence > ? ORDER BY sequence"  # noqa: S608 constant
    for sequence, body, row_hash in connection.execute(query, (base.sequence,)):
        yield Row(sequence, body, row_hash)


def _copy_acknowledgements(old: sqlite3.Connection, target: sqlite3.Connection) -> None:
    rows = old.execute("SELECT through, at_ms FROM acknowledgement").fetchall()
    with transaction(target):
        target.executemany("INSERT INTO acknowledgement VALUES (?, ?)", rows)
