"""Rows and the line of state, between what they say and what the file holds. Every reader and writer goes through here.

A plain row has its body and its hash in columns of their own. A sealed one has both in `body`, and nothing in `hash`:
a chain in the clear would let anybody who guesses a row see whether the guess is right.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from terminal.journal.chain import HASH_BYTES, Head, genesis
from terminal.journal.checkpoint import Checkpoint, build_checkpoint, parse_checkpoint
from terminal.journal.operation_records import NumbersSkipped
from terminal.journal.records import AnyRecord, UnreadableRecord, parse_record
from terminal.journal.sealed import Broken, Contents, SealedPlace

COLUMNS: Final = "sequence, CAST(body AS BLOB), hash"
"""The cast: a column also takes text and numbers put there from outside; such a row must fail the chain."""
MAX_CHECKPOINTS: Final = 4_096
"""The newest are kept; each contains, by the chain, all that older ones proved."""


class Row(NamedTuple):
    """One durable row."""

    sequence: int
    body: bytes
    hash: bytes

    @property
    def record(self) -> AnyRecord:
        """What the row says; raises `UnreadableRecord`."""
        return parse_record(self.body)


Skipped: TypeAlias = tuple[tuple[int, int], ...]
"""The first and the last of numbers that no row has, in order; a row stands behind each last one."""


class JournalState(NamedTuple):
    """The line of state. `base` is the last row that has left. `notes` are the bodies of the records that were open
    when row `noted` was the newest, and `newest_ms` is that of the clock's rows then
    (`terminal.journal.clock_ledger`). `checkpoints` counts the signed checkpoints ever kept; `skipped` are the numbers
    that were passed over behind `base` (T-63). `anew`: it took the place of one that could not be read, and no row of
    it says so yet."""

    terminal: int
    base: Head
    acknowledged: int
    noted: Head
    checkpoints: int = 0
    notes: tuple[tuple[int, bytes], ...] = ()
    newest_ms: int = 0
    skipped: Skipped = ()
    anew: bool = False

    @property
    def newest_number(self) -> int:
        """The number of the newest row this line knows of."""
        last = self.skipped[-1][1] + 1 if self.skipped else 0
        return max(self.acknowledged, self.noted.sequence, self.base.sequence, last)

    @classmethod
    def new(cls, terminal: int) -> JournalState:
        return cls(terminal, genesis(terminal), 0, genesis(terminal))


def row_before(skipped: Skipped, sequence: int) -> int:
    """`sequence`, or the row before the numbers passed over when it is one of them."""
    return next((first - 1 for first, last in skipped if first <= sequence <= last), sequence)


def count_skipped(skipped: Skipped, after: int, through: int) -> int:
    """How many numbers of those above `after`, up to `through`, were passed over."""
    return sum(max(0, min(last, through) - max(first, after + 1) + 1) for first, last in skipped)


def in_order(previous: int, row: Row) -> bool:
    """Whether `row` may stand behind row `previous`: its number is the next, or it says which were passed over."""
    if row.sequence == previous + 1:
        return True
    try:
        record = row.record
    except UnreadableRecord:
        return False
    return isinstance(record, NumbersSkipped) and (record.first, record.last) == (
        previous + 1,
        row.sequence - 1,
    )


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(JournalState).decode


def read_row(contents: Contents, sequence: int, body: bytes, row_hash: Any) -> Row:
    """The row that these columns hold; raises `Broken`."""
    if contents.key is None:
        if not isinstance(row_hash, bytes) or len(row_hash) != HASH_BYTES:
            raise Broken("its hash was changed")
        return Row(sequence, body, row_hash)
    content = contents.open(SealedPlace.ROW, sequence, body)
    return Row(sequence, content[HASH_BYTES:], content[:HASH_BYTES])


def row_columns(contents: Contents, row: Row) -> tuple[int, bytes, bytes]:
    """The columns that hold `row`."""
    if contents.key is None:
        return row
    return row.sequence, contents.close(SealedPlace.ROW, row.sequence, row.hash + row.body), b""


def insert_row(connection: sqlite3.Connection, contents: Contents, row: Row) -> None:
    connection.execute("INSERT INTO row (sequence, body, hash) VALUES (?, ?, ?)", row_columns(contents, row))


def rows_between(
    connection: sqlite3.Connection, contents: Contents, after: int, through: int | None = None
) -> Iterator[Row]:
    """Rows in order; raises `Broken` at one that does not open."""
    for columns in connection.execute(
        f"SELECT {COLUMNS} FROM row WHERE sequence > ? AND sequence <= ? ORDER BY sequence",  # noqa: S608 constant
        (after, (1 << 63) - 1 if through is None else through),
    ):
        yield read_row(contents, *columns)


def row_at(connection: sqlite3.Connection, contents: Contents, sequence: int) -> Row | None:
    """Raises `Broken`."""
    return next(rows_between(connection, contents, sequence - 1, sequence), None)


def read_state(connection: sqlite3.Connection, contents: Contents) -> JournalState:
    """Raises `Broken`."""
    (content,) = connection.execute("SELECT CAST(content AS BLOB) FROM state").fetchone()
    try:
        state = _decode(contents.open(SealedPlace.STATE, 1, content))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Broken(str(error)) from error
    if state.terminal != contents.terminal:
        raise Broken(f"it is of terminal {state.terminal}")
    return state


def write_state(connection: sqlite3.Connection, contents: Contents, state: JournalState) -> None:
    connection.execute(
        "UPDATE state SET content = ?", (contents.close(SealedPlace.STATE, 1, _encode(state)),)
    )


def insert_state(connection: sqlite3.Connection, contents: Contents, state: JournalState) -> None:
    """For a new file."""
    content = contents.close(SealedPlace.STATE, 1, _encode(state))
    connection.execute("INSERT INTO state VALUES (1, ?, ?, ?)", (contents.terminal, contents.key_id, content))


def insert_checkpoint(
    connection: sqlite3.Connection, contents: Contents, number: int, checkpoint: Checkpoint
) -> None:
    """Keep `checkpoint` as the `number`-th; the oldest goes when there are too many."""
    content = contents.close(SealedPlace.CHECKPOINT, number, build_checkpoint(checkpoint))
    connection.execute("INSERT INTO checkpoint VALUES (?, ?)", (number, content))
    connection.execute("DELETE FROM checkpoint WHERE number <= ?", (number - MAX_CHECKPOINTS,))


def read_checkpoint(contents: Contents, number: int, content: bytes) -> Checkpoint:
    """Raises `Broken`."""
    try:
        return parse_checkpoint(contents.open(SealedPlace.CHECKPOINT, number, content))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Broken(str(error)) from error


def newest_checkpoint(connection: sqlite3.Connection, contents: Contents) -> Checkpoint | None:
    """Raises `Broken`."""
    found = connection.execute(
        "SELECT number, CAST(content AS BLOB) FROM checkpoint ORDER BY number DESC LIMIT 1"
    ).fetchone()
    return None if found is None else read_checkpoint(contents, *found)
