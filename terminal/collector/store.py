"""What the collector holds: every record of every terminal, once, and what looked wrong.

    record     (terminal, sequence) -> body, hash    never overwritten, never deleted
    terminal   newest row held, head it last stated
    alarm      what an operator must look at, with how often and when it was seen

A batch is one transaction: the hashes are compared and the rows stored in it, or nothing is.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

from terminal.errors import CollectorError
from terminal.journal.chain import Head, genesis
from terminal.journal.database import transaction
from terminal.sync.wire import Batch, Reason

APPLICATION_ID: Final = 0x52434F4C  # "RCOL"
SCHEMA_VERSION: Final = 1
MAX_UNKNOWN: Final = 1_000
"""Alarms about strangers are kept apart for so many numbers; anybody could make up more."""

_SCHEMA: Final = """
CREATE TABLE record (
    terminal INTEGER, sequence INTEGER, body BLOB NOT NULL, hash BLOB NOT NULL,
    PRIMARY KEY (terminal, sequence)
) WITHOUT ROWID;
CREATE TABLE terminal (
    terminal INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, hash BLOB NOT NULL,
    stated_head INTEGER NOT NULL, sent_at_ms INTEGER NOT NULL, received_at_ms INTEGER NOT NULL
);
CREATE TABLE alarm (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, terminal INTEGER NOT NULL, sequence INTEGER NOT NULL,
    detail TEXT NOT NULL, times INTEGER NOT NULL, first_at_ms INTEGER NOT NULL, last_at_ms INTEGER NOT NULL,
    UNIQUE (kind, terminal, sequence, detail)
)"""

_INSERT_RECORD: Final = "INSERT INTO record VALUES (?, ?, ?, ?) ON CONFLICT (terminal, sequence) DO NOTHING"
_UPSERT_TERMINAL: Final = """
INSERT INTO terminal VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (terminal) DO UPDATE SET
    sequence = excluded.sequence, hash = excluded.hash, stated_head = excluded.stated_head,
    sent_at_ms = max(sent_at_ms, excluded.sent_at_ms), received_at_ms = excluded.received_at_ms
"""
_UPSERT_ALARM: Final = """
INSERT INTO alarm (kind, terminal, sequence, detail, times, first_at_ms, last_at_ms) VALUES (?, ?, ?, ?, 1, ?,
?) ON CONFLICT (kind, terminal, sequence, detail) DO UPDATE SET times = times + 1, last_at_ms =
excluded.last_at_ms
"""


class AlarmKind(StrEnum):
    """What an operator must look at."""

    OTHER_HASH = "other_hash"  # a row was sent with another content than the one held: tampering
    GAP = "gap"  # rows are missing between what is held and what was sent
    CUT_TAIL = (
        "cut_tail"  # the terminal says its journal ends before a row it knows it has sent: an old or cut one
    )
    BAD_SIGNATURE = "bad_signature"
    UNKNOWN_TERMINAL = "unknown_terminal"
    TMV_MISMATCH = "tmv_mismatch"  # the card's own proof does not fit what the terminal says it did
    TMC_TWICE = "tmc_twice"  # one card counter under two taps: a clone or a rolled-back image
    CONTRADICTION = "contradiction"  # the terminal says "not committed", the card showed otherwise later


class Alarm(NamedTuple):
    """`sequence` is 0 when the alarm is about no single row."""

    kind: AlarmKind
    terminal: int
    sequence: int
    detail: str


class SeenAlarm(NamedTuple):
    """An alarm with how often and when it was seen."""

    kind: str
    terminal: int
    sequence: int
    detail: str
    times: int
    first_at_ms: int
    last_at_ms: int


class StoredRecord(NamedTuple):
    """One record as a terminal sent it."""

    terminal: int
    sequence: int
    body: bytes


class TerminalState(NamedTuple):
    """What is known of one terminal. Rows 1 to `sequence` are held; `stated_head` is its newest row as it
    says.
    """

    terminal: int
    sequence: int
    stated_head: int
    received_at_ms: int


class BatchRefused(Exception):
    """The batch does not continue what is held; nothing was stored. `wants` is the row that is missing."""

    def __init__(self, reason: Reason, alarm: Alarm, advice: str, wants: int | None = None) -> None:
        super().__init__(alarm.detail)
        self.advice = advice
        self.reason = reason
        self.alarm = alarm
        self.wants = wants


class CollectorStore:
    """The database, for one writing process; its methods may be called from any thread."""

    def __init__(self, path: Path) -> None:
        """Open or create it. Raises `CollectorError`."""
        self._path = path
        self._lock = threading.Lock()
        with self._reported():
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._prepare()

    def _prepare(self) -> None:
        execute = self._connection.execute
        (application,) = execute("PRAGMA application_id").fetchone()
        (version,) = execute("PRAGMA user_version").fetchone()
        empty = execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
        if not empty and (application, version) != (APPLICATION_ID, SCHEMA_VERSION):
            self._connection.close()
            raise CollectorError(
                f"{self._path} is no collector database of schema {SCHEMA_VERSION}",
                "Give the collector another folder.",
            )
        execute("PRAGMA journal_mode=WAL")
        execute("PRAGMA synchronous=FULL")
        if empty:
            with transaction(self._connection):
                for statement in _SCHEMA.split(";\n"):
                    execute(statement)
                execute(f"PRAGMA application_id={APPLICATION_ID}")
                execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    def receive(self, batch: Batch, hashes: list[bytes], at_ms: int) -> Head:
        """Store the rows of a genuine batch; return the newest row now durably held without a gap before it.

        `hashes` belong to the bodies. Rows already held are compared and left as they are. Raises
        `BatchRefused` after keeping its alarm, `CollectorError` when the disk fails.
        """
        with self._reported(), self._lock:
            try:
                with transaction(self._connection):
                    return self._receive(batch, hashes, at_ms)
            except BatchRefused as refused:
                self._keep_alarm(refused.alarm, at_ms)
                raise

    def _receive(self, batch: Batch, hashes: list[bytes], at_ms: int) -> Head:
        held = self._held(batch.terminal)
        if batch.first > held.sequence + 1:
            detail = f"rows {held.sequence + 1} to {batch.first - 1} are missing"
            alarm = Alarm(AlarmKind.GAP, batch.terminal, held.sequence + 1, detail)
            raise BatchRefused(Reason.GAP, alarm, "send from there", wants=held.sequence + 1)
        self._compare(batch, hashes)
        new = range(held.sequence + 1, batch.last + 1)
        rows = ((batch.terminal, n, batch.bodies[n - batch.first], hashes[n - batch.first]) for n in new)
        self._connection.executemany(_INSERT_RECORD, rows)
        head = Head(batch.last, hashes[-1]) if new else held
        # A head below what is held proves nothing, for a late copy of an older batch states one too, and no clock
        # tells them apart. A terminal that was told of a row beyond its own head says so itself.
        if batch.head_sequence < batch.confirmed_through:
            detail = f"its journal ends at row {batch.head_sequence}, but it has sent row {batch.confirmed_through}"
            self._keep_alarm(Alarm(AlarmKind.CUT_TAIL, batch.terminal, batch.head_sequence, detail), at_ms)
        values = (batch.terminal, *head, batch.head_sequence, batch.sent_at_ms, at_ms)
        self._connection.execute(_UPSERT_TERMINAL, values)
        return head

    def _held(self, terminal: int) -> Head:
        """The newest row held of `terminal`."""
        query = "SELECT sequence, hash FROM terminal WHERE terminal = ?"
        found = self._connection.execute(query, (terminal,)).fetchone()
        return Head(*found) if found else genesis(terminal)

    def _compare(self, batch: Batch, hashes: list[bytes]) -> None:
        """Whatever the batch says about rows already held must be what is held."""
        stated = dict(enumerate(hashes, batch.first))
        stated[batch.first - 1] = batch.previous_hash
        stated.setdefault(batch.head_sequence, batch.head_hash)
        held = dict([genesis(batch.terminal)])
        query = (
            "SELECT sequence, hash FROM record"
            " WHERE terminal = ? AND (sequence BETWEEN ? AND ? OR sequence = ?)"
        )
        span = (batch.terminal, batch.first - 1, batch.last, batch.head_sequence)
        held.update(self._connection.execute(query, span))
        for sequence in sorted(stated.keys() & held.keys()):
            if stated[sequence] != held[sequence]:
                detail = f"row {sequence} has hash {_short(stated[sequence])}, held {_short(held[sequence])}"
                alarm = Alarm(AlarmKind.OTHER_HASH, batch.terminal, sequence, detail)
                raise BatchRefused(Reason.OTHER_HASH, alarm, "keep both journals and call the auditor")

    def keep_alarm(self, alarm: Alarm, at_ms: int) -> None:
        """Keep `alarm`, or count it once more."""
        with self._reported(), self._lock:
            self._keep_alarm(alarm, at_ms)

    def keep_findings(self, alarms: list[Alarm], at_ms: int) -> None:
        """Keep alarms that every reconciliation finds anew; those already kept stay as they are."""
        statement = _UPSERT_ALARM.partition("DO UPDATE")[0] + "DO NOTHING"
        with self._reported(), self._lock, transaction(self._connection):
            self._connection.executemany(statement, [(*alarm, at_ms, at_ms) for alarm in alarms])

    def _keep_alarm(self, alarm: Alarm, at_ms: int) -> None:
        if alarm.kind is AlarmKind.UNKNOWN_TERMINAL:
            query = "SELECT count(*), coalesce(sum(terminal = ?), 0) FROM alarm WHERE kind = ?"
            kept, known = self._connection.execute(query, (alarm.terminal, alarm.kind)).fetchone()
            if kept >= MAX_UNKNOWN and not known:
                alarm = Alarm(alarm.kind, 0, 0, "many more numbers")
        self._connection.execute(_UPSERT_ALARM, (*alarm, at_ms, at_ms))

    def alarms(self, limit: int = 1_000) -> list[SeenAlarm]:
        """The newest `limit` alarms, oldest first."""
        query = (
            "SELECT kind, terminal, sequence, detail, times, first_at_ms, last_at_ms"
            " FROM alarm ORDER BY last_at_ms DESC, id DESC LIMIT ?"
        )
        with self._reported(), self._lock:
            return [SeenAlarm(*row) for row in self._connection.execute(query, (limit,))][::-1]

    def terminals(self) -> list[TerminalState]:
        """What is known of each terminal, by number."""
        query = "SELECT terminal, sequence, stated_head, received_at_ms FROM terminal ORDER BY terminal"
        with self._reported(), self._lock:
            return [TerminalState(*row) for row in self._connection.execute(query)]

    def records(self) -> Iterator[StoredRecord]:
        """Every record, by terminal and sequence, as one view; does not hold up uploads."""
        with self._reported():
            reader = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)
            try:
                query = "SELECT terminal, sequence, body FROM record ORDER BY terminal, sequence"
                yield from map(StoredRecord._make, reader.execute(query))
            finally:
                reader.close()

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise CollectorError(
                f"collector database {self._path} failed: {error}",
                "Check the disk and its rights, then start again.",
            ) from error


def _short(value: bytes) -> str:
    return value.hex()[:16]
