"""What rows of bank cards sealed to the back office, as it came with them; no process of the collector can open it.

    sealed_row   (terminal, sequence) -> hash, body    the body goes once its card has been charged; the hash stays

Sealed bytes are not under the signature of their batch, but their hash is in a row that is: what another hand changed or
took out on the way is not kept, no acknowledgement names it, and its terminal sends it again.
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


def keep(connection: sqlite3.Connection, batch: Batch) -> None:
    """Keep what came sealed with `batch` and is what its rows name, within the transaction that keeps the rows."""
    found = [(number, body, sha256(body).digest()) for number, body in batch.sealed if number <= batch.last]
    kept = ((batch.terminal, n, h, body) for n, body, h in found if _named_by(connection, batch, n) == h)
    connection.executemany(_KEEP, kept)


def held_of(connection: sqlite3.Connection, batch: Batch) -> tuple[int, ...]:
    """Of what came sealed with `batch`, the rows whose bytes are, or were, held here."""
    query = "SELECT hash FROM sealed_row WHERE terminal = ? AND sequence = ?"
    return tuple(
        number
        for number, body in batch.sealed
        if connection.execute(query, (batch.terminal, number)).fetchone() == (sha256(body).digest(),)
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


def _named_by(connection: sqlite3.Connection, batch: Batch, sequence: int) -> bytes:
    """The hash in the row, which came in `batch` or before it; empty where there is none."""
    if sequence >= batch.first:
        return _hash_in(batch.bodies[sequence - batch.first])
    query = "SELECT body FROM record WHERE terminal = ? AND sequence = ?"
    found = connection.execute(query, (batch.terminal, sequence)).fetchone()
    return b"" if found is None else _hash_in(bytes(found[0]))


def _hash_in(body: bytes) -> bytes:
    try:
        found = bank_row(parse_record(body))
    except UnreadableRecord:
        return b""
    return b"" if found is None else found.sealed
