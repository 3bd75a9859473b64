"""What the collector holds: every record of every terminal, once, and what looked wrong.

    record     (terminal, sequence) -> body, hash    never overwritten, never deleted
    receipt    which rows came with which signed batch, and when
    terminal   newest row held, head it last stated
    alarm      what an operator must look at (`terminal.collector.alarms`)
    stranger   what was tried without a good signature (`terminal.collector.strangers`)
    operation  what was done, by which office user: terminals enrolled and revoked, alarms, roll-outs, users
    request    what waits for a second person, and what became of it (`terminal.collector.approvals`)
    sealed_row what rows of bank cards sealed to the back office (`terminal.collector.sealed_rows`)
    period     months closed for carriers, with what they were stated (`terminal.collector.stated`)

A batch is one transaction: the hashes are compared and the rows stored in it, or nothing is.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from terminal.collector import alarms, approvals, sealed_rows, stated, strangers
from terminal.collector.alarms import Alarm, AlarmCause, AlarmKind, SeenAlarm, detail_of
from terminal.collector.restoring import declared_gap, previous_row
from terminal.collector.strangers import StrangerCount, reduced
from terminal.errors import CollectorDamaged, CollectorError
from terminal.files import make_own
from terminal.journal.chain import Head, genesis
from terminal.journal.database import SQLITE_FAULTS, cannot_be_written, means_damage, said_of, transaction
from terminal.sync.wire import Batch, RefusalCode, encode

RESTORE: Final = (
    "Keep the file with its -wal file for the auditor, and put a backup in its place (docs/collector.md): "
    "terminals send again what it does not have."
)

__all__ = [
    "APPLICATION_ID",
    "SCHEMA_VERSION",
    "Alarm",
    "AlarmKind",
    "BatchRefused",
    "CollectorStore",
    "Operation",
    "OperationCode",
    "Receipt",
    "SeenAlarm",
    "StoredRecord",
    "TerminalState",
]

APPLICATION_ID: Final = 0x52434F4C  # "RCOL"
SCHEMA_VERSION: Final = 5

_TABLES: Final = (
    """CREATE TABLE record (
    terminal INTEGER, sequence INTEGER, body BLOB NOT NULL, hash BLOB NOT NULL,
    PRIMARY KEY (terminal, sequence)
) WITHOUT ROWID""",
    """CREATE TABLE terminal (
    terminal INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, hash BLOB NOT NULL,
    stated_head INTEGER NOT NULL, sent_at_ms INTEGER NOT NULL, received_at_ms INTEGER NOT NULL,
    rows INTEGER NOT NULL
)""",
    """CREATE TABLE receipt (
    terminal INTEGER, first INTEGER, last INTEGER NOT NULL, sent_at_ms INTEGER NOT NULL,
    received_at_ms INTEGER NOT NULL, envelope BLOB NOT NULL,
    PRIMARY KEY (terminal, first)
) WITHOUT ROWID""",
    """CREATE TABLE operation (
    id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, terminal INTEGER NOT NULL, what TEXT NOT NULL,
    about TEXT NOT NULL, by TEXT NOT NULL
)""",
)

_INSERT_RECORD: Final = "INSERT INTO record VALUES (?, ?, ?, ?) ON CONFLICT (terminal, sequence) DO NOTHING"
_INSERT_RECEIPT: Final = (
    "INSERT INTO receipt VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (terminal, first) DO NOTHING"
)
_UPSERT_TERMINAL: Final = """
INSERT INTO terminal VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (terminal) DO UPDATE SET
    sequence = excluded.sequence, hash = excluded.hash, stated_head = excluded.stated_head,
    sent_at_ms = max(sent_at_ms, excluded.sent_at_ms), received_at_ms = excluded.received_at_ms,
    rows = rows + excluded.rows
"""
_DELETE_STRANGER: Final = "DELETE FROM stranger WHERE (kind, address, terminal, detail) = (?, ?, ?, ?)"
_INSERT_STRANGER: Final = "INSERT INTO stranger VALUES (?, ?, ?, ?, ?, ?, ?)"


class StoredRecord(NamedTuple):
    """One record as a terminal sent it."""

    terminal: int
    sequence: int
    body: bytes


class TerminalState(NamedTuple):
    """What is known of one terminal. Of its rows up to `sequence`, `rows` are held: numbers are passed over where it
    was restored on new hardware. `stated_head` is its newest row as it says.
    """

    terminal: int
    sequence: int
    stated_head: int
    received_at_ms: int
    rows: int

    @property
    def unsent(self) -> int:
        """How many rows it said it still had. Numbers passed over are among them until the next batch."""
        return max(0, self.stated_head - self.sequence)


class Receipt(NamedTuple):
    """Rows `first` to `last` came with one batch. `envelope` is that batch without its rows: with their hashes it
    shows the terminal's signature over them (`terminal.sync.wire`).
    """

    first: int
    last: int
    sent_at_ms: int
    received_at_ms: int
    envelope: bytes


class OperationCode(StrEnum):
    """What was done, about a terminal or in the office."""

    CODE_MADE = "code_made"
    ENROLLED = "enrolled"
    KEY_REPLACED = "key_replaced"
    ENROLLED_BY_CODE = "enrolled_by_code"
    KEY_REPLACED_BY_CODE = "key_replaced_by_code"
    RENEWED = "renewed"
    REVOKED = "revoked"
    ACKNOWLEDGED = "acknowledged"
    ASKED = "asked"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    ROLLED_OUT = "rolled_out"
    ROLL_OUT_FAILED = "roll_out_failed"
    SIGNED_IN = "signed_in"
    LOCKED = "locked"
    READ_REFUSED = "read_refused"
    USER_ADDED = "user_added"
    USER_REMOVED = "user_removed"
    USER_CHANGED = "user_changed"
    MONTH_CLOSED = "month_closed"
    CARRIERS_CHANGED = "carriers_changed"
    ORDER_BEGUN = "order_begun"
    ORDER_DONE = "order_done"
    ORDER_MOVED = "order_moved"
    ORDER_DROPPED = "order_dropped"
    CARD_DENIED = "card_denied"
    PERSON_COPIED = "person_copied"
    PERSON_ERASED = "person_erased"


BY_MACHINE: Final = "machine"
BY_TERMINAL: Final = "terminal"
"""Who did it, where it was no office user: a command at the collector's own machine, or a terminal."""


class Operation(NamedTuple):
    """What was done about `terminal` (0: about none). `about` is the beginning of the SHA-256 of the public key it is
    about, the number of an alarm or request, or a user; `by` a user's staff number, `BY_MACHINE` or `BY_TERMINAL`.
    """

    at_ms: int
    terminal: int
    code: OperationCode
    about: str
    by: str


_INSERT_OPERATION: Final = "INSERT INTO operation (at_ms, terminal, what, about, by) VALUES (?, ?, ?, ?, ?)"


class BatchRefused(Exception):
    """The batch does not continue what is held; nothing was stored. `wants` is the row that is missing."""

    def __init__(self, reason: RefusalCode, alarm: Alarm, advice: str, wants: int | None = None) -> None:
        super().__init__(alarms.detail_words(alarm.detail))
        self.advice = advice
        self.reason = reason
        self.alarm = alarm
        self.wants = wants


def connect(path: Path | str, *, uri: bool = False) -> sqlite3.Connection:
    """Open a database of the collector; every one is opened here (the storm's disk counts on it). One that is made is
    its owner's alone; a link in its place is not followed. Raises `sqlite3.Error`.
    """
    if not uri:
        try:
            make_own(Path(path))
        except OSError as error:
            raise sqlite3.OperationalError(f"{error.strerror}") from error
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, uri=uri)


def read_only(path: Path) -> sqlite3.Connection:
    """Open a database of the collector for reading; the caller closes it. Raises `sqlite3.Error`."""
    return connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


class CollectorStore:
    """The database, for one writing process; its methods may be called from any thread."""

    def __init__(self, path: Path) -> None:
        """Open or create it. Raises `CollectorError`."""
        self._path = path
        self._lock = threading.Lock()
        self._arrived: set[int] = set()
        _require_sound_header(path)
        with self._reported():
            self._connection = connect(path)
            self._prepare()

    def _prepare(self) -> None:
        execute = self._connection.execute
        (application,) = execute("PRAGMA application_id").fetchone()
        (version,) = execute("PRAGMA user_version").fetchone()
        empty = execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
        if not empty and (application != APPLICATION_ID or version != SCHEMA_VERSION):
            self._connection.close()
            raise CollectorError(
                f"{self._path} is no collector database of schema {SCHEMA_VERSION}",
                "Give the collector another folder, or start the software version that wrote it.",
            )
        execute("PRAGMA journal_mode=WAL")
        execute("PRAGMA synchronous=FULL")
        execute("PRAGMA secure_delete=ON")  # what a person had erased is not left in pages
        if empty:
            own = alarms.SCHEMA, strangers.SCHEMA, approvals.SCHEMA, sealed_rows.SCHEMA, *stated.SCHEMA
            self._build((*_TABLES, *own))

    def _build(self, statements: tuple[str, ...]) -> None:
        with transaction(self._connection):
            for statement in statements:
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            self._connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    def receive(self, batch: Batch, hashes: list[bytes], at_ms: int) -> Head:
        """Store the rows of a genuine batch; return the newest row now durably held without a gap before it.

        `hashes` belong to the bodies. Rows already held are compared and left as they are. Raises
        `BatchRefused` after keeping its alarm, `CollectorError` when the disk fails.
        """
        with self._reported(), self._lock:
            try:
                with transaction(self._connection):
                    head = self._receive(batch, hashes, at_ms)
                self._arrived.add(batch.terminal)
                return head
            except BatchRefused as refused:
                alarms.raise_alarm(self._connection, refused.alarm, at_ms)
                raise

    def _receive(self, batch: Batch, hashes: list[bytes], at_ms: int) -> Head:
        held = self._held(batch.terminal)
        declared = declared_gap(batch, held) if batch.first > held.sequence else None
        if batch.first > held.sequence + 1 and declared is None:
            detail = detail_of(AlarmCause.ROWS_MISSING, first=held.sequence + 1, last=batch.first - 1)
            alarm = Alarm(AlarmKind.GAP, batch.terminal, held.sequence + 1, detail)
            raise BatchRefused(RefusalCode.GAP, alarm, "send from there", wants=held.sequence + 1)
        self._compare(batch, hashes, held)
        if declared is not None:
            alarms.raise_alarm(self._connection, declared, at_ms)
        new = range(max(held.sequence + 1, batch.first), batch.last + 1)
        rows = ((batch.terminal, n, batch.bodies[n - batch.first], hashes[n - batch.first]) for n in new)
        self._connection.executemany(_INSERT_RECORD, rows)
        sealed_rows.keep(self._connection, batch)
        if new:
            envelope = encode(msgspec.structs.replace(batch, bodies=(), sealed=()))
            receipt = (batch.terminal, new.start, batch.last, batch.sent_at_ms, at_ms, envelope)
            self._connection.execute(_INSERT_RECEIPT, receipt)
        head = Head(batch.last, hashes[-1]) if new else held
        # A head below what is held proves nothing, for a late copy of an older batch states one too, and no clock
        # distinguishes them. A terminal that got an acknowledgement beyond its own head says so itself.
        if batch.head_sequence < batch.confirmed_through:
            detail = detail_of(AlarmCause.ENDS_EARLY, last=batch.head_sequence, sent=batch.confirmed_through)
            alarm = Alarm(AlarmKind.CUT_TAIL, batch.terminal, batch.head_sequence, detail)
            alarms.raise_alarm(self._connection, alarm, at_ms)
        values = (batch.terminal, *head, batch.head_sequence, batch.sent_at_ms, at_ms, len(new))
        self._connection.execute(_UPSERT_TERMINAL, values)
        return head

    def _held(self, terminal: int) -> Head:
        """The newest row held of `terminal`."""
        query = "SELECT sequence, hash FROM terminal WHERE terminal = ?"
        found = self._connection.execute(query, (terminal,)).fetchone()
        return Head(*found) if found else genesis(terminal)

    def _compare(self, batch: Batch, hashes: list[bytes], newest: Head) -> None:
        """Whatever the batch says about rows already held must be what is held, and none may be one that was lost."""
        stated = dict(enumerate(hashes, batch.first))
        previous = previous_row(batch)
        stated[previous] = batch.previous_hash
        stated.setdefault(batch.head_sequence, batch.head_hash)
        held = dict([genesis(batch.terminal)])
        query = (
            "SELECT sequence, hash FROM record"
            " WHERE terminal = ? AND (sequence BETWEEN ? AND ? OR sequence IN (?, ?))"
        )
        span = (batch.terminal, batch.first, batch.last, previous, batch.head_sequence)
        held.update(self._connection.execute(query, span))
        for sequence in sorted(stated.keys() & held.keys()):
            if stated[sequence] != held[sequence]:
                detail = _differs(sequence, stated[sequence], held[sequence])
                alarm = Alarm(AlarmKind.OTHER_HASH, batch.terminal, sequence, detail)
                raise BatchRefused(RefusalCode.OTHER_HASH, alarm, "keep both journals and call the auditor")
        for sequence in range(batch.first, min(batch.last, newest.sequence) + 1):
            if sequence not in held:
                detail = detail_of(AlarmCause.GIVEN_UP, row=sequence)
                alarm = Alarm(AlarmKind.OTHER_HASH, batch.terminal, sequence, detail)
                raise BatchRefused(RefusalCode.OTHER_HASH, alarm, "stop this machine and call the auditor")

    def arrived(self) -> set[int]:
        """The terminals whose batches were taken since this was last asked, or since the store was opened."""
        with self._lock:
            arrived, self._arrived = self._arrived, set()
        return arrived

    def note_arrived(self, terminals: set[int]) -> None:
        """Batches of these were taken by another process."""
        with self._lock:
            self._arrived |= terminals

    def keep_alarm(self, alarm: Alarm, at_ms: int) -> None:
        """Keep `alarm`, or count it once more."""
        with self._reported(), self._lock, transaction(self._connection):
            alarms.raise_alarm(self._connection, alarm, at_ms)

    def keep_findings(self, found: list[Alarm], at_ms: int) -> None:
        """Keep alarms that books computed anew may find again; those already kept stay as they are."""
        if found:
            with self._reported(), self._lock, transaction(self._connection):
                alarms.keep_findings(self._connection, found, at_ms)

    def alarms(
        self, limit: int = 1_000, *, only_open: bool = False, kinds: Collection[AlarmKind] | None = None
    ) -> list[SeenAlarm]:
        """The newest `limit` alarms of these kinds, or of every kind, oldest first."""
        with self._reported(), self._lock:
            return alarms.newest(self._connection, limit, kinds, only_open=only_open)

    def withdrawn(self) -> tuple[str, ...]:
        """The region documents that were taken back from groups of terminals, the newest first."""
        with self._reported(), self._lock:
            return alarms.withdrawn(self._connection)

    def keep_strangers(self, counts: Iterable[StrangerCount]) -> None:
        """Add to what strangers tried."""
        with self._reported(), self._lock, transaction(self._connection):
            held = set(self._strangers())
            kept = set(reduced((*held, *counts)))
            keys = [count[:4] for count in held - kept]
            self._connection.executemany(_DELETE_STRANGER, keys)
            self._connection.executemany(_INSERT_STRANGER, kept - held)

    def put_strangers(self, counts: Iterable[StrangerCount]) -> None:
        """What strangers tried is just this: counted elsewhere."""
        with self._reported(), self._lock, transaction(self._connection):
            self._connection.execute("DELETE FROM stranger")
            self._connection.executemany(_INSERT_STRANGER, counts)

    def strangers(self) -> list[StrangerCount]:
        """What strangers tried, the newest first."""
        with self._reported(), self._lock:
            return reduced(self._strangers())

    def _strangers(self) -> Iterator[StrangerCount]:
        return map(StrangerCount._make, self._connection.execute("SELECT * FROM stranger"))

    def open_alarms(self) -> int:
        """How many alarms are open."""
        with self._reported(), self._lock:
            return alarms.count_open(self._connection)

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: what is written in it is kept together with the row of who did it, or not at all."""
        with self._reported(), self._lock, transaction(self._connection):
            yield self._connection

    def note(self, operation: Operation) -> None:
        """Keep what was done."""
        with self.changing() as connection:
            note(connection, operation)

    def operations(self, terminal: int | None = None, limit: int = 1_000) -> list[Operation]:
        """The newest `limit` things done, about `terminal` or at all; oldest first."""
        query = (
            "SELECT at_ms, terminal, what, about, by FROM operation WHERE ?1 IS NULL OR terminal = ?1"
            " ORDER BY id DESC LIMIT ?2"
        )
        with self._reported(), self._lock:
            rows = self._connection.execute(query, (terminal, limit)).fetchall()
        return [
            Operation(at_ms, number, OperationCode(code), about, by)
            for at_ms, number, code, about, by in reversed(rows)
        ]

    def waiting(self, now_ms: int) -> list[approvals.Approval]:
        """What waits for a second person."""
        with self._reported(), self._lock:
            return approvals.waiting(self._connection, now_ms)

    def decided_requests(self, what: approvals.Act, outcome: approvals.Decided) -> list[tuple[int, str]]:
        """Number and subject of every request of this kind that was decided so, oldest first."""
        query = "SELECT id, subject FROM request WHERE what = ? AND outcome = ? ORDER BY id"
        with self._reported(), self._lock:
            return self._connection.execute(query, (what, outcome)).fetchall()

    def terminals(self) -> list[TerminalState]:
        """What is known of each terminal, by number."""
        query = "SELECT terminal, sequence, stated_head, received_at_ms, rows FROM terminal ORDER BY terminal"
        with self._reported(), self._lock:
            return [TerminalState(*row) for row in self._connection.execute(query)]

    def received_at_ms(self, terminal: int, sequence: int) -> int:
        """When that row arrived; 0 where it is not known."""
        query = (
            "SELECT received_at_ms FROM receipt WHERE terminal = ? AND first <= ? ORDER BY first DESC LIMIT 1"
        )
        with self._reported(), self._lock:
            found = self._connection.execute(query, (terminal, sequence)).fetchone()
        return int(found[0]) if found else 0

    def records(self) -> Iterator[StoredRecord]:
        """Every record, by terminal and sequence, as one view; does not hold up uploads."""
        with self._reported(), closing(self.reader()) as reader:
            query = "SELECT terminal, sequence, body FROM record ORDER BY terminal, sequence"
            yield from map(StoredRecord._make, reader.execute(query))

    def record(self, terminal: int, sequence: int) -> bytes | None:
        """The body of one record; None where it has not come."""
        with self._reported(), self._lock:
            query = "SELECT body FROM record WHERE terminal = ? AND sequence = ?"
            found = self._connection.execute(query, (terminal, sequence)).fetchone()
        return None if found is None else bytes(found[0])

    def sealed(self, terminal: int, sequence: int) -> bytes | None:
        """What a row of a bank card sealed to the back office; None where it has not come, or is gone."""
        with self._reported(), self._lock:
            return sealed_rows.sealed_body(self._connection, terminal, sequence)

    def drop_sealed(self, rows: list[tuple[int, int]]) -> None:
        """Let go what these rows sealed: their cards were charged."""
        with self.changing() as connection:
            sealed_rows.drop(connection, rows)

    def rows_from(self, terminal: int, sequence: int, limit: int) -> list[tuple[int, bytes]]:
        """Sequence and body of so many rows of a terminal, from this one on."""
        with self._reported(), self._lock:
            query = "SELECT sequence, body FROM record WHERE terminal = ? AND sequence >= ? ORDER BY sequence LIMIT ?"
            rows = self._connection.execute(query, (terminal, sequence, limit)).fetchall()
        return [(number, bytes(body)) for number, body in rows]

    def alarms_about(self, terminal: int, sequence: int) -> list[SeenAlarm]:
        """The alarms about one row."""
        with self._reported(), self._lock:
            return alarms.about(self._connection, terminal, sequence)

    def reader(self) -> sqlite3.Connection:
        """A connection of its own that only reads, for one user at a time; the caller closes it."""
        with self._reported():
            return read_only(self._path)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @property
    def path(self) -> Path:
        return self._path

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except SQLITE_FAULTS as error:
            if means_damage(error):
                raise CollectorDamaged(
                    f"collector database {self._path} is damaged: {said_of(error)}", RESTORE
                ) from error
            raise CollectorError(
                f"collector database {self._path} failed: {error}",
                "Check the disk and its rights, then start again.",
            ) from error


def note(connection: sqlite3.Connection, operation: Operation) -> None:
    """Keep what was done, in a transaction of `CollectorStore.changing`."""
    connection.execute(_INSERT_OPERATION, operation)


def _require_sound_header(path: Path) -> None:
    try:
        changed = path.exists() and cannot_be_written(path)
    except OSError as error:
        raise CollectorError(
            f"collector database {path} cannot be read: {error.strerror}", "Check its rights."
        ) from error
    if changed:
        raise CollectorDamaged(f"the header of collector database {path} was changed", RESTORE)


def _differs(row: int, stated: bytes, held: bytes) -> str:
    return detail_of(AlarmCause.HASH_DIFFERS, row=row, stated=_short(stated), held=_short(held))


def _short(value: bytes) -> str:
    return value.hex()[:16]
