"""PostgreSQL, as consumers write it and reports read it.

Many consumers may store at once: each locks the terminals of its group, in the order of their numbers, so that rows
of one terminal are stored by one of them at a time. If ever that were not enough, the key (terminal, sequence) is:
then every row of the group is compared with what is there, and only what is missing is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.resources import files
from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import UniqueViolation
from psycopg.rows import TupleRow

from terminal.collector.alarms import (
    MOST_OPEN,
    Alarm,
    AlarmCause,
    AlarmKind,
    SeenAlarm,
    editions_in,
)
from terminal.collector.fleet.shelving import Arrival, RowId, Shelving, TerminalRow, repeated
from terminal.collector.store import StoredRecord, TerminalState
from terminal.collector.strangers import StrangerCount, reduced
from terminal.errors import CollectorError
from terminal.journal.chain import Head, genesis
from terminal.sync.wire import MOST_WITHDRAWN

SCHEMA_VERSION: Final = 2
PREPARE_LOCK: Final = 0x52434F4C
STRANGERS_LOCK: Final = 0x52434F4D
READ_ROWS: Final = 20_000
CONNECT_S: Final = 10

_SCHEMA: Final = "SELECT max(version) FROM fleet_schema"
_LOCK: Final = (
    "SELECT terminal, sequence, hash, stated_head, sent_at_ms, received_at_ms, rows FROM terminal"
    " WHERE terminal = ANY(%s) ORDER BY terminal FOR UPDATE"
)
_NEW_TERMINAL: Final = "INSERT INTO terminal VALUES (%s, 0, %s, 0, 0, 0, 0) ON CONFLICT DO NOTHING"
_HELD: Final = (
    "SELECT terminal, sequence, hash FROM record JOIN unnest(%s::bigint[], %s::bigint[])"
    " AS asked (terminal, sequence) USING (terminal, sequence)"
)
_COPY: Final = "COPY record (terminal, sequence, body, hash) FROM STDIN (FORMAT BINARY)"
_ROW_TYPES: Final = ("int8", "int8", "bytea", "bytea")
_MOVE: Final = (
    "UPDATE terminal SET sequence = %s, hash = %s, stated_head = %s, sent_at_ms = %s, received_at_ms = %s,"
    " rows = %s WHERE terminal = %s"
)
_KEEP_ALARM: Final = (
    # As in the embedded collector: what a terminal has beyond `MOST_OPEN` open ones of a kind is one more.
    "INSERT INTO alarm (kind, terminal, sequence, detail, times, first_at_ms, last_at_ms)"  # noqa: S608 constants
    f" SELECT kind, terminal, CASE WHEN many THEN 0 ELSE sequence END,"
    f" CASE WHEN many THEN '{AlarmCause.MANY_MORE}' ELSE detail END, 1, first_at_ms, last_at_ms FROM"
    " (SELECT %s::text AS kind, %s::bigint AS terminal, %s::bigint AS sequence, %s::text AS detail,"
    " %s::bigint AS first_at_ms, %s::bigint AS last_at_ms) AS new CROSS JOIN LATERAL"
    f" (SELECT new.terminal <> 0 AND count(*) >= {MOST_OPEN} AS many FROM (SELECT 1 FROM alarm AS kept"
    " WHERE kept.kind = new.kind AND kept.terminal = new.terminal"
    " AND (kept.acknowledged_at_ms IS NULL OR kept.last_at_ms > kept.acknowledged_at_ms)"
    f" AND kept.detail <> '{AlarmCause.MANY_MORE}'"
    f" AND NOT (kept.sequence = new.sequence AND kept.detail = new.detail) LIMIT {MOST_OPEN}) AS others) AS counted"
    " ON CONFLICT (kind, terminal, sequence, detail)"
)
_COUNT_ALARM: Final = _KEEP_ALARM + " DO UPDATE SET times = alarm.times + 1, last_at_ms = excluded.last_at_ms"
_WITHDRAWN: Final = "SELECT detail FROM alarm WHERE kind = %s ORDER BY id DESC LIMIT %s"
_RECEIPT: Final = "INSERT INTO receipt VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
_SEALED: Final = "INSERT INTO sealed_row VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
_STRANGERS: Final = "SELECT kind, address, terminal, detail, times, first_at_ms, last_at_ms FROM stranger"
_DELETE_STRANGER: Final = "DELETE FROM stranger WHERE (kind, address, terminal, detail) = (%s, %s, %s, %s)"
_INSERT_STRANGER: Final = "INSERT INTO stranger VALUES (%s, %s, %s, %s, %s, %s, %s)"
_REFUSE: Final = "INSERT INTO refused_message VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"


class FleetDatabase:
    """One connection, for one task at a time. Every method raises `CollectorError` when the database fails."""

    def __init__(self, connection: psycopg.AsyncConnection[TupleRow]) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, dsn: str) -> FleetDatabase:
        """Connect, and check the schema."""
        with reported_by_fleet():
            connection = await psycopg.AsyncConnection.connect(
                dsn, autocommit=True, connect_timeout=CONNECT_S
            )
            try:
                _require_schema(await (await connection.execute(_SCHEMA)).fetchone())
            except (psycopg.Error, CollectorError):
                await connection.close()
                raise
        return cls(connection)

    async def close(self) -> None:
        await self._connection.close()

    async def head(self, terminal: int) -> Head:
        """The newest row held of `terminal` without a gap before it."""
        with reported_by_fleet():
            query = "SELECT sequence, hash FROM terminal WHERE terminal = %s"
            found = await self._connection.execute(query, (terminal,))
            row = await found.fetchone()
        return Head(*row) if row else genesis(terminal)

    async def store(self, arrivals: Sequence[Arrival]) -> Shelving:
        """Store what is new among `arrivals`, given in the order of the stream, in one transaction.

        When it returns, everything but its `late` is durable: rows, alarms, and whole what was refused.
        """
        with reported_by_fleet():
            async with self._connection.transaction():
                terminals = await self._lock({arrival.terminal for arrival in arrivals})
                try:
                    async with self._connection.transaction():
                        return await self._store(arrivals, terminals, all_rows=False)
                except UniqueViolation:
                    return await self._store(arrivals, terminals, all_rows=True)

    async def _lock(self, numbers: set[int]) -> dict[int, TerminalRow]:
        found = await self._locked(numbers)
        if missing := sorted(numbers - found.keys()):
            async with self._connection.cursor() as cursor:
                rows = [(number, genesis(number).hash) for number in missing]
                await cursor.executemany(_NEW_TERMINAL, rows)
            found |= await self._locked(set(missing))
        return found

    async def _locked(self, numbers: set[int]) -> dict[int, TerminalRow]:
        found = await self._connection.execute(_LOCK, (list(numbers),))
        return {row[0]: TerminalRow(Head(*row[1:3]), *row[3:]) for row in await found.fetchall()}

    async def _store(
        self, arrivals: Sequence[Arrival], locked: dict[int, TerminalRow], *, all_rows: bool
    ) -> Shelving:
        terminals = {number: replace(row) for number, row in locked.items()}
        asked = repeated(arrivals, terminals, all_rows=all_rows)
        shelving = Shelving(terminals, await self._held(asked) if asked else {})
        for arrival in arrivals:
            shelving.put(arrival)
        async with self._connection.cursor() as cursor:
            if shelving.rows:
                async with cursor.copy(_COPY) as copy:
                    copy.set_types(_ROW_TYPES)
                    for row in shelving.rows:
                        await copy.write_row(row)
            if shelving.receipts:
                await cursor.executemany(_RECEIPT, shelving.receipts)
            if shelving.sealed:
                await cursor.executemany(_SEALED, shelving.sealed)
            moved = [
                (*row.head, row.stated_head, row.sent_at_ms, row.received_at_ms, row.rows, number)
                for number, row in shelving.terminals.items()
                if row != locked[number]
            ]
            if moved:
                await cursor.executemany(_MOVE, moved)
            for arrival, reason in shelving.refused:
                values = (arrival.stream, arrival.number, reason, arrival.data, arrival.at_ms)
                await cursor.execute(_REFUSE, values)
            if shelving.alarms:
                await cursor.executemany(_COUNT_ALARM, [(*a, at, at) for a, at in shelving.alarms])
        return shelving

    async def _held(self, rows: set[RowId]) -> dict[RowId, bytes]:
        terminals, sequences = zip(*sorted(rows), strict=True)
        found = await self._connection.execute(_HELD, (list(terminals), list(sequences)))
        return {(terminal, sequence): row_hash for terminal, sequence, row_hash in await found.fetchall()}

    async def refuse(self, stream: str, number: int, reason: str, data: bytes, at_ms: int) -> None:
        """Keep a message that cannot be read."""
        with reported_by_fleet():
            await self._connection.execute(_REFUSE, (stream, number, reason, data, at_ms))

    async def keep_alarms(self, alarms: Iterable[tuple[Alarm, int]]) -> None:
        """Keep alarms with their moments, or count them once more."""
        with reported_by_fleet():
            async with self._connection.cursor() as cursor:
                await cursor.executemany(_COUNT_ALARM, [(*alarm, at, at) for alarm, at in alarms])

    async def keep_strangers(self, counts: Iterable[StrangerCount]) -> None:
        """Add to what strangers tried; consumers take turns."""
        with reported_by_fleet():
            async with self._connection.transaction(), self._connection.cursor() as cursor:
                await cursor.execute("SELECT pg_advisory_xact_lock(%s)", (STRANGERS_LOCK,))
                await cursor.execute(_STRANGERS)
                held = {StrangerCount(*row) for row in await cursor.fetchall()}
                kept = set(reduced((*held, *counts)))
                await cursor.executemany(_DELETE_STRANGER, [count[:4] for count in held - kept])
                await cursor.executemany(_INSERT_STRANGER, list(kept - held))


def completed(dsn: str, password: str = "") -> str:
    """The connection string with `password` in it, if there is one. Raises `CollectorError`, which quotes neither."""
    try:
        return make_conninfo(dsn, password=password) if password else make_conninfo(dsn)
    except psycopg.Error:
        raise CollectorError(
            "this is no PostgreSQL connection string",
            "Write it as 'host=db.example dbname=resident user=resident', or postgresql://resident@db.example/resident.",
        ) from None


def password_in(dsn: str) -> bool:
    """Whether a password stands in the connection string. Raises `CollectorError`."""
    return "password" in conninfo_to_dict(completed(dsn))


def prepare(dsn: str) -> None:
    """Create the tables, or leave them as they are; those of a later program are left alone and refused."""
    text = files("terminal.collector.fleet").joinpath("schema.sql").read_text("utf-8")
    with reported_by_fleet(), psycopg.connect(dsn, connect_timeout=CONNECT_S) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (PREPARE_LOCK,))
        there = connection.execute("SELECT to_regclass('fleet_schema')").fetchone()
        if there is not None and there[0] is not None:
            _require_schema(connection.execute(_SCHEMA).fetchone())
        connection.execute(text.encode())


def require_prepared(connection: psycopg.Connection[TupleRow]) -> None:
    """Raises `CollectorError` for a database of another schema."""
    _require_schema(connection.execute(_SCHEMA).fetchone())


def _require_schema(row: tuple[int | None] | TupleRow | None) -> None:
    """Raises `CollectorError` for tables of another schema; none at all are not prepared."""
    version = row[0] if row else None
    if version != SCHEMA_VERSION:
        raise CollectorError(
            f"the database has schema {version}, this program works with {SCHEMA_VERSION}",
            "Use the program the database was prepared with.",
        )


@contextmanager
def _connected(dsn: str) -> Iterator[psycopg.Connection[TupleRow]]:
    """A transaction in a database whose schema was checked. Raises `CollectorError`."""
    with reported_by_fleet(), psycopg.connect(dsn, connect_timeout=CONNECT_S) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        _require_schema(connection.execute(_SCHEMA).fetchone())
        yield connection


def records(dsn: str) -> Iterator[StoredRecord]:
    """Every record, by terminal and sequence, as one view; does not hold up consumers."""
    with _connected(dsn) as connection, connection.cursor("records") as cursor:
        cursor.itersize = READ_ROWS
        cursor.execute("SELECT terminal, sequence, body FROM record ORDER BY terminal, sequence", binary=True)
        yield from map(StoredRecord._make, cursor)


def withdrawn_editions(dsn: str) -> tuple[str, ...]:
    """The region documents that were taken back from groups of terminals, the newest first. Raises `CollectorError`."""
    with _connected(dsn) as connection:
        found = connection.execute(_WITHDRAWN, (AlarmKind.WITHDRAWN, MOST_WITHDRAWN)).fetchall()
    return editions_in(str(detail) for (detail,) in found)


def keep_findings(dsn: str, alarms: Iterable[Alarm], at_ms: int) -> None:
    """Keep alarms that every reconciliation finds anew; those already kept stay as they are."""
    with _connected(dsn) as connection:
        values = [(*alarm, at_ms, at_ms) for alarm in alarms]
        connection.cursor().executemany(_KEEP_ALARM + " DO NOTHING", values)


def alarms(dsn: str, limit: int = 1_000) -> list[SeenAlarm]:
    """The newest `limit` alarms, oldest first."""
    query = (
        "SELECT id, kind, terminal, sequence, detail, times, first_at_ms, last_at_ms,"
        " acknowledged_at_ms, acknowledged_by, comment FROM alarm ORDER BY last_at_ms DESC, id DESC LIMIT %s"
    )
    with _connected(dsn) as connection:
        return [SeenAlarm(*row) for row in connection.execute(query, (limit,))][::-1]


def strangers(dsn: str) -> list[StrangerCount]:
    """What strangers tried at all gateways, the newest first."""
    with _connected(dsn) as connection:
        return reduced(StrangerCount(*row) for row in connection.execute(_STRANGERS))


def terminals(dsn: str) -> list[TerminalState]:
    """What is known of each terminal, by number."""
    query = "SELECT terminal, sequence, stated_head, received_at_ms, rows FROM terminal ORDER BY terminal"
    with reported_by_fleet(), psycopg.connect(dsn, connect_timeout=CONNECT_S) as connection:
        return [TerminalState(*row) for row in connection.execute(query)]


@contextmanager
def reported_by_fleet() -> Iterator[None]:
    """Errors of PostgreSQL become ours."""
    try:
        yield
    except psycopg.Error as error:
        what = (str(error).strip() or type(error).__name__).partition("\n")[0]
        raise CollectorError(
            f"PostgreSQL: {what}",
            "Check the connection string, its password (--database-password-file or ~/.pgpass), the server, and run "
            "`terminal fleet prepare`.",
        ) from error
