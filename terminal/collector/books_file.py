"""The file of the books: tables that hold what the records add up to, so that nothing is computed twice.

    mark        how far the records of each terminal are booked, and what was last noticed there
    watched     intents that later records may still decide; all others are only counted
    seen_early  events found on a card before the batch with their own tap came
    history     committed taps of each card with the card's counter and the event they started from
    total       counts and money of each terminal        refusal   its refusals by message
    portion     meals by day, pupil and kind (O-08)      annulled  rows taken back      loan   cards lent for a day
    cell        sums of a service day (`terminal.collector.days`)

Everything here follows from the records: the file may be deleted, and is made again.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Final

from terminal.collector.store import connect
from terminal.errors import CollectorError
from terminal.journal.database import transaction

APPLICATION_ID: Final = 0x52424F4B  # "RBOK"
BOOKS_VERSION: Final = 2
CACHE_KIB: Final = 32_768
PAGE_BYTES: Final = 1_024
"""A ride of a random card changes one page of the history, whatever else it costs: so pages are small."""
WAL_PAGES: Final = 16_384
"""Pages changed again and again are written back once for so many."""

_SCHEMA: Final = (
    "CREATE TABLE made_for (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE mark (
    terminal INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, at_ms INTEGER NOT NULL, reader TEXT NOT NULL
)""",
    """CREATE TABLE watched (
    terminal INTEGER, sequence INTEGER, card BLOB NOT NULL, prev_terminal INTEGER NOT NULL,
    prev_sequence INTEGER NOT NULL, evidence INTEGER NOT NULL, end TEXT NOT NULL, received_at_ms INTEGER NOT NULL,
    PRIMARY KEY (terminal, sequence)
) WITHOUT ROWID""",
    "CREATE INDEX watched_start ON watched (card, prev_terminal, prev_sequence)",
    "CREATE INDEX watched_open ON watched (received_at_ms) WHERE end = 'open'",
    """CREATE TABLE seen_early (
    terminal INTEGER, sequence INTEGER, PRIMARY KEY (terminal, sequence)
) WITHOUT ROWID""",
    """CREATE TABLE history (
    card BLOB, tmc INTEGER, terminal INTEGER, sequence INTEGER,
    prev_terminal INTEGER NOT NULL, prev_sequence INTEGER NOT NULL,
    PRIMARY KEY (card, tmc, terminal, sequence)
) WITHOUT ROWID""",
    """CREATE TABLE total (
    terminal INTEGER PRIMARY KEY, records INTEGER NOT NULL, taps INTEGER NOT NULL, accepted INTEGER NOT NULL,
    charged_minor INTEGER NOT NULL, not_committed INTEGER NOT NULL, unresolved_open INTEGER NOT NULL,
    unresolved_settled INTEGER NOT NULL, tmv_verified INTEGER NOT NULL, tmv_failed INTEGER NOT NULL,
    tmv_unchecked INTEGER NOT NULL, unreadable INTEGER NOT NULL
)""",
    """CREATE TABLE refusal (
    terminal INTEGER, message TEXT, count INTEGER NOT NULL, PRIMARY KEY (terminal, message)
) WITHOUT ROWID""",
    """CREATE TABLE portion (
    day TEXT, pupil BLOB, kind TEXT, at_ms INTEGER, terminal INTEGER, sequence INTEGER,
    PRIMARY KEY (day, pupil, kind, at_ms, terminal, sequence)
) WITHOUT ROWID""",
    """CREATE TABLE annulled (
    terminal INTEGER, sequence INTEGER, PRIMARY KEY (terminal, sequence)
) WITHOUT ROWID""",
    """CREATE TABLE loan (
    terminal INTEGER, card_ref BLOB, day TEXT, sequence INTEGER, pupil BLOB NOT NULL,
    PRIMARY KEY (terminal, card_ref, day, sequence)
) WITHOUT ROWID""",
    """CREATE TABLE cell (
    day TEXT, terminal INTEGER, route INTEGER, school TEXT, what TEXT, state TEXT, funder TEXT,
    count INTEGER NOT NULL, sum_minor INTEGER NOT NULL,
    PRIMARY KEY (day, terminal, route, school, what, state, funder)
) WITHOUT ROWID""",
)


def open_books(path: Path, made_for: dict[str, str]) -> sqlite3.Connection:
    """Open the books for writing; books made for something else (another version, zone) are begun anew.

    Raises `CollectorError` for a file that is no books at all; `sqlite3.Error` is the caller's to report.
    """
    made_for = {"version": str(BOOKS_VERSION), **made_for}
    connection = connect(path)
    if _is_new(connection):
        _create(connection, made_for)
    elif connection.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
        connection.close()
        raise CollectorError(
            f"{path} are not the collector's books", "Move the file away; books are made anew."
        )
    elif _made_for(connection) != made_for:
        connection.close()
        return begin_anew(path, made_for)
    connection.execute("PRAGMA journal_mode=WAL")
    # What a power cut takes back is booked again: the marks go back with it.
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint={WAL_PAGES}")
    return connection


def begin_anew(path: Path, made_for: dict[str, str]) -> sqlite3.Connection:
    """Empty books in place of those at `path`, whose connections are closed."""
    for name in (path.name, path.name + "-wal", path.name + "-shm"):
        path.with_name(name).unlink(missing_ok=True)
    return open_books(path, made_for)


def _is_new(connection: sqlite3.Connection) -> bool:
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return bool(tables == 0)


def _made_for(connection: sqlite3.Connection) -> dict[str, str]:
    with suppress(sqlite3.OperationalError):
        return dict(connection.execute("SELECT name, value FROM made_for"))
    return {}


def _create(connection: sqlite3.Connection, made_for: dict[str, str]) -> None:
    connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode=WAL")
    with transaction(connection):
        for statement in _SCHEMA:
            connection.execute(statement)
        connection.executemany("INSERT INTO made_for VALUES (?, ?)", made_for.items())
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
