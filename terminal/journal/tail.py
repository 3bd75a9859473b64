"""The end of a journal at a start: its newest rows are proven, and what they leave open is known again."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from terminal.errors import JournalDamaged, OtherSoftware
from terminal.journal.chain import Head, link
from terminal.journal.database import KEEP_ASIDE, row_changed
from terminal.journal.open_records import OpenRecords
from terminal.journal.records import UnreadableRecord, parse_record
from terminal.journal.sealed import Broken, Contents
from terminal.journal.stored import (
    COLUMNS,
    JournalState,
    Row,
    in_order,
    newest_checkpoint,
    read_row,
    row_at,
    row_before,
    rows_between,
)

TAIL_ROWS: Final = 64


def load_tail(
    connection: sqlite3.Connection,
    contents: Contents,
    state: JournalState,
    path: Path,
    open_records: OpenRecords,
) -> Head:
    """Check the newest rows, fold the rows since the last note into `open_records`, return the head."""
    head = _check_tail(connection, contents, state, path)
    _check_known(connection, contents, state, head, path)
    number = 0
    try:
        for number, body in state.notes:
            open_records.apply(number, parse_record(body))
        open_records.clock.resume(state.newest_ms)
        for row in rows_between(connection, contents, state.noted.sequence):
            number = row.sequence
            open_records.apply(number, row.record)
    except UnreadableRecord as error:
        raise OtherSoftware(
            f"row {number} of journal {path} is unreadable: {error}",
            "Start the software version that wrote it.",
        ) from error
    except Broken as error:
        raise row_changed(path, number + 1) from error
    return head


def _check_tail(connection: sqlite3.Connection, contents: Contents, state: JournalState, path: Path) -> Head:
    """Return the head; raise when the last rows do not follow from one another or a known one is missing."""
    query = f"SELECT {COLUMNS} FROM row ORDER BY sequence DESC LIMIT ?"  # noqa: S608 constant
    columns = [
        found for found in connection.execute(query, (TAIL_ROWS + 1,)) if found[0] > state.base.sequence
    ][::-1]
    tail = [_open(contents, path, *row) for row in columns]
    head = Head(tail[-1].sequence, tail[-1].hash) if tail else state.base
    known = state.newest_number
    if head.sequence < known:
        raise JournalDamaged(
            f"journal {path} ends at row {head.sequence}, but it once held row {known}", KEEP_ASIDE
        )
    if len(tail) > TAIL_ROWS:
        previous, *tail = tail
    else:
        previous = Row(state.base.sequence, b"", state.base.hash)
    for row in tail:
        if not in_order(previous.sequence, row):
            raise JournalDamaged(f"row {previous.sequence + 1} of journal {path} is missing", KEEP_ASIDE)
        if link(previous.hash, row.body) != row.hash:
            raise row_changed(path, row.sequence)
        previous = row
    return head


def _open(contents: Contents, path: Path, sequence: int, body: bytes, row_hash: object) -> Row:
    try:
        return read_row(contents, sequence, body, row_hash)
    except Broken as error:
        raise row_changed(path, sequence) from error


def _check_known(
    connection: sqlite3.Connection, contents: Contents, state: JournalState, head: Head, path: Path
) -> None:
    """The journal must still hold what it noted in a quiet moment, and what the terminal last signed for."""
    try:
        signed = newest_checkpoint(connection, contents)
    except Broken as error:
        raise JournalDamaged(f"the newest signed checkpoint in {path} was changed", KEEP_ASIDE) from error
    claims = [state.noted] if signed is None else [state.noted, signed.head]
    for claim in claims:
        if claim.sequence > head.sequence:
            raise JournalDamaged(
                f"journal {path} ends at row {head.sequence}, but row {claim.sequence} was signed for",
                KEEP_ASIDE,
            )
        if claim.sequence < state.base.sequence:
            continue
        if hash_of(connection, contents, state, claim.sequence) != claim.hash:
            raise JournalDamaged(
                f"row {claim.sequence} of journal {path} was changed: a checkpoint knew another hash",
                KEEP_ASIDE,
            )


def hash_of(
    connection: sqlite3.Connection, contents: Contents, state: JournalState, sequence: int
) -> bytes | None:
    """The hash of a held row, or of the last one that has left; None for any other and for a changed row.

    A number that was passed over stands for the row before it.
    """
    sequence = row_before(state.skipped, sequence)
    if sequence == state.base.sequence:
        return state.base.hash
    try:
        row = row_at(connection, contents, sequence)
    except Broken:
        return None
    return None if row is None else row.hash
