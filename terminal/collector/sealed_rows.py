"""What rows of bank cards sealed to the back office, as it came with them; no process of the collector can open it.

    sealed_row   (terminal, sequence) -> hash, body    the body goes once its card has been charged; the hash stays

Sealed bytes are not under the signature of their batch, but their hash is in a row that is: where another hand changed
them on the way, the batch is refused, and its terminal sends it again. Where they were taken out, the row is kept, the
acknowledgement does not name them, and the terminal sends both again. A row may also come without them from a terminal
that dropped them after an acknowledgement to a collector that was put back from a backup since: its ride cannot be
proven.
"""

from __future__ import annotations

import sqlite3
from hashlib import sha256
from typing import Final

from cardproto.errors import FormatError
from terminal.decision.bank_row import BankRow, bank_row_in, bank_row_of
from terminal.journal.records import AnyRecord, Intent, UnreadableRecord, Unwritten, parse_record
from terminal.sync.wire import Batch

SCHEMA: Final = """CREATE TABLE sealed_row (
    terminal INTEGER, sequence INTEGER, hash BLOB NOT NULL, body BLOB, PRIMARY KEY (terminal, sequence)
) WITHOUT ROWID"""
_KEEP: Final = "INSERT INTO sealed_row VALUES (?, ?, ?, ?) ON CONFLICT (terminal, sequence) DO NOTHING"


def bank_row(record: AnyRecord) -> BankRow | None:
    """What a row says of a bank card; None for one of another medium, and for one that says what no software wrote."""
    try:
        if isinstance(record, Intent):
            return bank_row_in(record.proof)
        return bank_row_of(record.read) if isinstance(record, Unwritten) else None
    except FormatError:
        return None


def not_of_its_row(batch: Batch) -> int | None:
    """The first row whose sealed bytes are not those that it names; None where all are."""
    seen: set[int] = set()
    for sequence, body in batch.sealed:
        if sequence in seen or not batch.first <= sequence <= batch.last:
            return sequence
        seen.add(sequence)
        if _hash_in(batch.bodies[sequence - batch.first]) != sha256(body).digest():
            return sequence
    return None


def keep(connection: sqlite3.Connection, batch: Batch) -> None:
    """Keep what came sealed with `batch`, within the transaction that keeps its rows."""
    connection.executemany(
        _KEEP, ((batch.terminal, number, sha256(body).digest(), body) for number, body in batch.sealed)
    )


def sealed_body(connection: sqlite3.Connection, terminal: int, sequence: int) -> bytes | None:
    """What the row sealed; None where it has not come, or is gone."""
    found = connection.execute(
        "SELECT body FROM sealed_row WHERE terminal = ? AND sequence = ?", (terminal, sequence)
    ).fetchone()
    return None if found is None or found[0] is None else bytes(found[0])


def drop(connection: sqlite3.Connection, rows: list[tuple[int, int]]) -> None:
    """Let the bodies of these rows go, within a transaction."""
    connection.executemany("UPDATE sealed_row SET body = NULL WHERE terminal = ? AND sequence = ?", rows)


def _hash_in(body: bytes) -> bytes:
    try:
        found = bank_row(parse_record(body))
    except UnreadableRecord:
        return b""
    return b"" if found is None else found.sealed
