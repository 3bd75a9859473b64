"""The journal's SQLite file: schema, the two ways to open it, and every SQLite error turned into ours.

    row             sequence, body, hash: the journal itself
    state           one line: whose journal, under which key; and, sealed with it, where the kept rows begin, what is
                    acknowledged, and what was open at the last quiet moment (`terminal.journal.stored.JournalState`)
    checkpoint      number, content: signed checkpoints, the newest few thousand
    acknowledgement what the collector confirmed and when, until the retention is over

Contents are sealed (`terminal.journal.sealed`) unless the journal has no key. WAL with synchronous=FULL: a commit is
one flush, and a row is visible to readers only after it is durable.

Opening proves and loads the newest rows and what is still open, never all of it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path
from typing import Final, NoReturn, TypeAlias

from cardproto.resident.limits import LARGEST_TERMINAL
from terminal.errors import (
    JournalDamaged,
    JournalError,
    JournalFull,
    JournalLocked,
    JournalSealed,
    OtherSoftware,
)
from terminal.files import make_own, put_in_place
from terminal.journal.room import ADVICE, LOG_BYTES, no_room
from terminal.journal.sealed import Contents, JournalKey
from terminal.journal.stored import (
    JournalState,
    insert_state,
)

APPLICATION_ID: Final = 0x524A4E4C  # "RJNL"
SCHEMA_VERSION: Final = 2
TABLES: Final = frozenset({"row", "state", "checkpoint", "acknowledgement"})

SCHEMA: Final = """
CREATE TABLE row (sequence INTEGER PRIMARY KEY, body BLOB NOT NULL, hash BLOB NOT NULL);
CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    terminal INTEGER NOT NULL, key_id BLOB NOT NULL, content BLOB NOT NULL
);
CREATE TABLE checkpoint (number INTEGER PRIMARY KEY, content BLOB NOT NULL);
CREATE TABLE acknowledgement (through INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL);
"""

_STATEMENTS: Final = tuple(statement for part in SCHEMA.split(";") if (statement := part.strip()))
"""As SQLite keeps them: a bit flipped in one may give a table that opens and answers otherwise."""

SqliteFault: TypeAlias = sqlite3.Error | UnicodeDecodeError | MemoryError
SQLITE_FAULTS: Final = (sqlite3.Error, UnicodeDecodeError, MemoryError)
"""What the sqlite3 module raises over a file: names that are no UTF-8, and lengths no memory holds, raise as such."""

_CONTENT_CODES: Final = frozenset(
    {
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_ERROR,  # an unknown file format, or a column gone: our statements fit every sound file
        sqlite3.SQLITE_TOOBIG,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_FORMAT,
    }
)
_MOST_A_SOUND_FILE_ASKS: Final = 1 << 24
_MAGIC: Final = b"SQLite format 3\0"
_HEADER_BYTES: Final = 100
_WRITE_VERSION_AT: Final = 18
_VERSION_AT: Final = 60
_APPLICATION_AT: Final = 68
_NEWEST_WRITE_VERSION: Final = b"\x02"  # WAL; SQLite opens a file that states a higher one for reading only

_SOUND_STATE: Final = """
SELECT count(*), coalesce(sum(
    typeof(terminal) = 'integer' AND terminal BETWEEN 0 AND ?
    AND typeof(key_id) = 'blob' AND typeof(content) = 'blob'
), 0) FROM state
"""
"""(1, 1): there is one line and it holds what SQLite's columns alone do not insist on."""

NO_KEY: Final = (
    "Restore the journal's key file and give --keys the key file it was made with; without them, or once the key was "
    "wiped, these rows cannot be read: put the terminal on a new journal under a new terminal number."
)
FREE_SPACE: Final = f"Free space, then start again. {ADVICE}"
KEEP_ASIDE: Final = (
    "Move the file aside together with its -wal file, keep both for the auditor, "
    "and go on with a new file under a new terminal number so that no sequence number is used twice."
)


def connect_writer(path: Path, contents: Contents) -> sqlite3.Connection:
    """Open or create the journal file for writing. Raises `JournalError` or one of its kinds."""
    connection: sqlite3.Connection | None = None
    try:
        if not path.exists():
            _create(path, contents)
        if cannot_be_written(path):
            raise JournalDamaged(f"the header of journal {path} was changed", KEEP_ASIDE)
        connection = connect(path)
        check_schema(connection, path)
        _use_wal(connection)
    except OSError as error:
        raise not_writable(path, error) from error
    except (*SQLITE_FAULTS, JournalError) as error:
        if connection is not None:
            connection.close()
        raise_ours(path, error)
    return connection


def contents_of(connection: sqlite3.Connection, path: Path, key: JournalKey | None) -> Contents:
    """What opens the contents of this file: raises `JournalSealed` when `key` is not the one that does."""
    terminal, key_id = connection.execute("SELECT terminal, key_id FROM state").fetchone()
    if key is None and key_id:
        raise JournalSealed(f"journal {path} is sealed, and its key is not here", NO_KEY)
    if key is not None and not key_id:
        raise JournalDamaged(f"journal {path} is not sealed, but this terminal seals its journal", KEEP_ASIDE)
    if key is not None and key.id != key_id:
        raise JournalSealed(
            f"journal {path} is sealed under key {key_id.hex()}, here is {key.id.hex()}", NO_KEY
        )
    return Contents(terminal, key)


def sealed_for(path: Path) -> tuple[int, bytes] | None:
    """Whose the journal at `path` is, and the id of the key it is sealed under; None when that cannot be read."""
    try:
        connection = connect_reader(path)
    except JournalError:
        return None
    try:
        terminal, key_id = connection.execute("SELECT terminal, key_id FROM state").fetchone()
    finally:
        connection.close()
    return terminal, bytes(key_id)


def require_own(path: Path, contents: Contents, terminal: int) -> None:
    """Raise `JournalError` when the journal at `path` is another terminal's."""
    if contents.terminal != terminal:
        raise JournalError(
            f"{path} is the journal of terminal {contents.terminal}, not {terminal}",
            "Correct --number or --state: each terminal number has a folder of its own.",
        )


def require_owner(path: Path, terminal: int) -> None:
    """Raise as `require_own`, before anything sealed beside the journal is tried with the wrong number. One that is
    not there or cannot be read is passed over: who opens it says so.
    """
    found = sealed_for(path)
    if found is not None:
        require_own(path, Contents(found[0], None), terminal)


def connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)


def _use_wal(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute(f"PRAGMA journal_size_limit={LOG_BYTES}")
    connection.execute("PRAGMA cache_size=-512")


def _create(path: Path, contents: Contents) -> None:
    """Make the file under another name first: a journal that is there is whole, an empty file is damage."""
    with new_file(path) as (new, connection):
        _use_wal(connection)
        with transaction(connection):
            create_schema(connection)
            insert_state(connection, contents, JournalState.new(contents.terminal))
    put_in_place(new, path)


@contextmanager
def new_file(path: Path) -> Iterator[tuple[Path, sqlite3.Connection]]:
    """An empty database beside `path`; whatever a crash left there is removed."""
    new = path.with_name(path.name + ".new")
    for leftover in (new, wal_of(new), new.with_name(new.name + "-journal")):
        leftover.unlink(missing_ok=True)
    make_own(new)
    connection = connect(new)
    try:
        yield new, connection
    finally:
        connection.close()


def create_schema(
    connection: sqlite3.Connection, schema: str = SCHEMA, version: int = SCHEMA_VERSION
) -> None:
    for statement in schema.split(";\n"):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={version}")


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
        except (*SQLITE_FAULTS, JournalError) as error:
            connection.close()
            if isinstance(error, sqlite3.OperationalError) and mode != modes[-1]:
                continue
            raise_ours(path, error)
        return connection
    raise AssertionError("the last mode either returns or raises")


def wal_of(path: Path) -> Path:
    """The write-ahead log beside a database file: it belongs to the database."""
    return path.with_name(path.name + "-wal")


def schema_of(path: Path) -> int:
    """The schema of the journal at `path`, 0 when there is none. Raises `JournalError` for what is no journal.

    Read from the header alone: SQLite would fold a log beside it, which may be damaged.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise not_writable(path, error.strerror) from error
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise JournalDamaged(f"journal {path} is damaged: file is not a database", KEEP_ASIDE)
    if int.from_bytes(header[_APPLICATION_AT : _APPLICATION_AT + 4], "big") != APPLICATION_ID:
        raise _no_journal(path)
    return int.from_bytes(header[_VERSION_AT : _VERSION_AT + 4], "big")


def _version(connection: sqlite3.Connection, path: Path) -> int:
    if connection.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
        raise _no_journal(path)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _no_journal(path: Path) -> JournalDamaged:
    return JournalDamaged(f"{path} is a database but not a terminal's journal", KEEP_ASIDE)


def check_schema(connection: sqlite3.Connection, path: Path) -> None:
    """Raise `JournalDamaged` unless the file is a sound journal, `OtherSoftware` for one of another schema."""
    version = _version(connection, path)
    if version != SCHEMA_VERSION:
        older = version < SCHEMA_VERSION
        raise OtherSoftware(
            f"{path} has journal schema {version}, this software works with {SCHEMA_VERSION}",
            "Run `terminal journal upgrade` first; starting the terminal does it, too."
            if older
            else "Start the software version that wrote it.",
        )
    tables = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
    if missing := sorted(TABLES - tables.keys()):
        raise JournalDamaged(f"{path} lost its {missing[0]} table", KEEP_ASIDE)
    if not set(_STATEMENTS) <= set(tables.values()):
        raise JournalDamaged(f"the columns of a table in {path} were changed", KEEP_ASIDE)
    if connection.execute(_SOUND_STATE, (LARGEST_TERMINAL,)).fetchone() != (1, 1):
        raise state_changed(path)


def state_changed(path: Path) -> JournalDamaged:
    return JournalDamaged(f"the line of state in {path} was taken out or changed", KEEP_ASIDE)


def row_changed(path: Path, sequence: int) -> JournalDamaged:
    return JournalDamaged(f"row {sequence} of journal {path} was changed", KEEP_ASIDE)


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


def means_damage(error: SqliteFault) -> bool:
    """Whether only the content of a database explains `error`: no lock, right or disk, and no full one."""
    if isinstance(error, MemoryError):
        return not _memory_is_short()
    code = _code_of(error)
    if code is None:
        # Of the sqlite3 module itself: text that is no UTF-8. Wrong use (a closed connection) is a ProgrammingError.
        return isinstance(error, UnicodeDecodeError | sqlite3.OperationalError)
    return code in _CONTENT_CODES


def said_of(error: SqliteFault) -> str:
    """The error's own words, for a person."""
    return str(error) or "a length that no memory holds"


def _memory_is_short() -> bool:
    """Whether not even what a sound row or page could need is left: then SQLite's request was no damaged length."""
    try:
        bytearray(_MOST_A_SOUND_FILE_ASKS)
    except MemoryError:
        return True
    return False


def _code_of(error: SqliteFault) -> int | None:
    """SQLite's primary result code; None when SQLite itself did not fail."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def cannot_be_written(path: Path) -> bool:
    """Whether the database's header forbids SQLite to write, which then looks like a missing right.

    Only before the file is opened: closing another handle of it drops this process's locks. Raises OSError.
    """
    with path.open("rb") as file:
        header = file.read(_WRITE_VERSION_AT + 1)
    return header.startswith(_MAGIC) and header[_WRITE_VERSION_AT:] > _NEWEST_WRITE_VERSION


def raise_ours(path: Path, error: SqliteFault | JournalError) -> NoReturn:
    """Raise what `journal_error` gives, with its cause; an error of ours goes on as it is."""
    if isinstance(error, JournalError):
        raise error
    raise journal_error(path, error) from error


def journal_error(path: Path, error: SqliteFault | JournalError) -> JournalError:
    """The error of ours that `error` means for the journal at `path`; ours pass unchanged."""
    if isinstance(error, JournalError):
        return error
    if means_damage(error):
        return JournalDamaged(f"journal {path} is damaged: {said_of(error)}", KEEP_ASIDE)
    if isinstance(error, MemoryError):
        return JournalError(
            f"there is no memory left to read journal {path}", "Free memory, then start again."
        )
    return _disk_error(path, error)


def _disk_error(path: Path, error: sqlite3.Error | UnicodeDecodeError) -> JournalError:
    """What is not the content's doing: room, locks, rights, the disk."""
    code = _code_of(error)
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        reason = "the disk is full" if code == sqlite3.SQLITE_FULL else no_room(path)
        if reason:
            return JournalFull(f"no room on the disk for journal {path}: {reason}", FREE_SPACE)
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


def file_error(path: Path, error: OSError) -> JournalError:
    """The error of ours for a file beside the journal."""
    if error.errno in (ENOSPC, EDQUOT, EFBIG):
        return JournalFull(f"no room on the disk for {path}: {error.strerror}", FREE_SPACE)
    return not_writable(path, error.strerror)
