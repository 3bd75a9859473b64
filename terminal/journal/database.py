"""The journal's SQLite file: schema, the two ways to open it, and every SQLite error turned into ours.

    row             sequence, body, hash: the journal itself
    state           one line: where the kept rows begin, what is acknowledged, the last checkpoint
    still_open      intents without outcome and the open shift at the last checkpoint, for quick opening
    acknowledgement what the collector confirmed and when, until the retention is over

WAL with synchronous=FULL: a commit is one flush, and a row is visible to readers only after it is durable.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from terminal.errors import JournalDamaged, JournalError, JournalFull, JournalLocked
from terminal.journal.chain import genesis

APPLICATION_ID: Final = 0x524A4E4C  # "RJNL"
SCHEMA_VERSION: Final = 1

_SCHEMA: Final = """
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

_SOUND_STATE: Final = """
SELECT count(*), coalesce(sum(
    typeof(terminal) = 'integer' AND typeof(base_sequence) = 'integer' AND typeof(base_hash) = 'blob'
    AND typeof(acknowledged) = 'integer'
    AND typeof(checkpoint_sequence) = 'integer' AND typeof(checkpoint_hash) = 'blob'
), 0) FROM state
"""
"""(1, 1): there is one line and it holds what SQLite's columns alone do not insist on."""

KEEP_ASIDE: Final = (
    "Move the file aside together with its -wal file, keep both for the auditor, "
    "and go on with a new file under a new terminal number so that no sequence number is used twice."
)


def connect_writer(path: Path, terminal: int) -> sqlite3.Connection:
    """Open or create the journal file for writing. Raises `JournalError` or one of its kinds."""
    connection: sqlite3.Connection | None = None
    try:
        if not path.exists():
            _create(path, terminal)
        connection = _connect(path)
        check_schema(connection, path)
        _use_wal(connection)
    except OSError as error:
        raise not_writable(path, error) from error
    except (sqlite3.Error, JournalError) as error:
        if connection is not None:
            connection.close()
        raise journal_error(path, error) from error
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)


def _use_wal(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("PRAGMA cache_size=-512")


def _create(path: Path, terminal: int) -> None:
    """Make the file under another name first: a journal that is there is whole, an empty file is damage."""
    if wal_of(path).exists():
        # SQLite would fold those rows into the new file.
        raise JournalDamaged(f"{wal_of(path)} is there but {path} is not", KEEP_ASIDE)
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    wal_of(new).unlink(missing_ok=True)
    start = genesis(terminal)
    connection = _connect(new)
    try:
        _use_wal(connection)
        with transaction(connection):
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)
            connection.execute("INSERT INTO state VALUES (1, ?, ?, ?, 0, ?, ?)", (terminal, *start, *start))
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    finally:
        connection.close()
    new.rename(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open the journal file for reading only, beside a running writer or at rest. Raises `JournalError`."""
    if not path.is_file():
        raise JournalError(f"no journal at {path}", "Check the path; `terminal run` creates the journal.")
    # A closed journal on a read-only disk has no -wal and cannot get a -shm; it cannot change either.
    modes = ("mode=ro",) if wal_of(path).exists() else ("mode=ro", "immutable=1")
    for mode in modes:
        uri = f"{path.absolute().as_uri()}?{mode}"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=5)
        try:
            check_schema(connection, path)
        except (sqlite3.Error, JournalError) as error:
            connection.close()
            if isinstance(error, sqlite3.OperationalError) and mode != modes[-1]:
                continue
            raise journal_error(path, error) from error
        return connection
    raise AssertionError("the last mode either returns or raises")


def wal_of(path: Path) -> Path:
    """The write-ahead log beside a database file: it belongs to the database."""
    return path.with_name(path.name + "-wal")


def check_schema(connection: sqlite3.Connection, path: Path) -> None:
    """Raise `JournalDamaged` unless the file is a journal of this schema."""
    if connection.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
        raise JournalDamaged(f"{path} is a database but not a terminal's journal", KEEP_ASIDE)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version != SCHEMA_VERSION:
        raise JournalDamaged(
            f"{path} has journal schema {version}, this software works with {SCHEMA_VERSION}",
            "Start the software version that wrote it.",
        )
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if missing := sorted({"row", "state", "still_open", "acknowledgement"} - tables):
        raise JournalDamaged(f"{path} lost its {missing[0]} table", KEEP_ASIDE)
    if connection.execute(_SOUND_STATE).fetchone() != (1, 1):
        raise JournalDamaged(f"the line of state in {path} was taken out or changed", KEEP_ASIDE)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; the first error survives a failing rollback."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.rollback()
        raise


def journal_error(path: Path, error: sqlite3.Error | JournalError) -> JournalError:
    """The error of ours that `error` means for the journal at `path`; ours pass unchanged."""
    if isinstance(error, JournalError):
        return error
    # Errors of the Python layer itself (a closed connection) carry no SQLite code.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return JournalFull(
            f"no room on the disk for journal {path}",
            "Free space or connect the network so that rows can leave.",
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return JournalDamaged(f"journal {path} is damaged: {error}", KEEP_ASIDE)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return JournalLocked(
            f"journal {path} is in use by another program", "Close the program that has it open."
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return not_writable(path, str(error))
    return JournalError(
        f"journal {path} failed: {error}",
        "Check the disk, then start again; no row once reported as stored is lost.",
    )


def not_writable(path: Path, cause: object) -> JournalError:
    return JournalError(
        f"journal {path} cannot be written: {cause}",
        "Check the directory, its rights, and that the disk is not read-only.",
    )
