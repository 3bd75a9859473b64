"""What opening a journal proves and loads: its newest rows, and what is still open. Never all of it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from terminal.errors import JournalDamaged
from terminal.journal.chain import Head, link
from terminal.journal.database import KEEP_ASIDE
from terminal.journal.open_records import OpenRecords
from terminal.journal.reader import Row, State
from terminal.journal.records import UnreadableRecord, parse_record

TAIL_ROWS: Final = 64


def load_tail(connection: sqlite3.Connection, state: State, path: Path, open_records: OpenRecords) -> Head:
    """Check the newest rows, fold the rows since the last checkpoint into `open_records`, return the head."""
    head = _check_tail(connection, state, path)
    number = 0
    try:
        for number, body in connection.execute("SELECT sequence, body FROM still_open ORDER BY sequence"):
            open_records.apply(number, parse_record(body))
        since = connection.execute(
            "SELECT sequence, body FROM row WHERE sequence > ? ORDER BY sequence",
            (state.checkpoint.sequence,),
        )
        for number, body in since:
            open_records.apply(number, parse_record(body))
    except UnreadableRecord as error:
        raise JournalDamaged(
            f"row {number} of journal {path} is unreadable: {error}",
            "Start the software version that wrote it.",
        ) from error
    return head


def _check_tail(connection: sqlite3.Connection, state: State, path: Path) -> Head:
    """Return the head; raise when the last rows do not follow from one another or a known one is missing."""
    query = "SELECT sequence, body, hash FROM row ORDER BY sequence DESC LIMIT ?"
    tail = [Row(*row) for row in connection.execute(query, (TAIL_ROWS,))][::-1]
    head = Head(tail[-1].sequence, tail[-1].hash) if tail else state.base
    known = max(state.acknowledged, state.checkpoint.sequence, state.base.sequence)
    if head.sequence < known:
        raise JournalDamaged(
            f"journal {path} ends at row {head.sequence}, but it once held row {known}", KEEP_ASIDE
        )
    previous = _before(connection, tail[0], state) if tail else state.base
    for row in tail:
        if row.sequence != previous.sequence + 1:
            raise JournalDamaged(f"row {previous.sequence + 1} of journal {path} is missing", KEEP_ASIDE)
        if link(previous.hash, row.body) != row.hash:
            raise JournalDamaged(f"row {row.sequence} of journal {path} was changed", KEEP_ASIDE)
        previous = Head(row.sequence, row.hash)
    return head


def _before(connection: sqlite3.Connection, row: Row, state: State) -> Head:
    found = connection.execute(
        "SELECT sequence, hash FROM row WHERE sequence < ? ORDER BY sequence DESC LIMIT 1", (row.sequence,)
    ).fetchone()
    return Head(*found) if found else state.base
