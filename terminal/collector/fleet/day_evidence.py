"""A fleet's rows and batches for the audit of a day: read from PostgreSQL as of one moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg.rows import TupleRow

from terminal.collector.fleet.database import CONNECT_S, reported_by_fleet

_TERMINALS: Final = "SELECT terminal, sequence, stated_head, sent_at_ms FROM terminal ORDER BY terminal"
_NEXT: Final = (
    "SELECT sequence, body FROM record WHERE terminal = %s AND sequence > %s AND sequence <= %s"
    " ORDER BY sequence LIMIT %s"
)
_BODIES: Final = (
    "SELECT body FROM record WHERE terminal = %s AND sequence BETWEEN %s AND %s ORDER BY sequence"
)
_BATCHES: Final = (
    "SELECT first, last, envelope FROM receipt WHERE terminal = %(terminal)s AND first <= %(last)s"
    " AND last >= %(first)s AND first >= coalesce((SELECT max(first) FROM receipt"
    " WHERE terminal = %(terminal)s AND first <= %(first)s), 0) ORDER BY first"
)


class DayEvidence:
    """One connection, one view of the database: what consumers store meanwhile is not in it."""

    def __init__(self, connection: psycopg.Connection[TupleRow]) -> None:
        self._connection = connection

    def terminals(self) -> list[tuple[int, int, int, int]]:
        """Number, newest row held, newest row stated and when that was stated, of each terminal."""
        with reported_by_fleet():
            found = self._connection.execute(_TERMINALS).fetchall()
        return [(row[0], row[1], row[2], row[3]) for row in found]

    def rows(self, terminal: int, after: int, through: int, limit: int) -> list[tuple[int, bytes]]:
        """The next rows after one of a terminal."""
        with reported_by_fleet(), self._connection.cursor(binary=True) as cursor:
            found = cursor.execute(_NEXT, (terminal, after, through, limit)).fetchall()
        return [(row[0], bytes(row[1])) for row in found]

    def bodies(self, terminal: int, first: int, last: int) -> list[bytes]:
        """The rows of a stretch."""
        with reported_by_fleet(), self._connection.cursor(binary=True) as cursor:
            found = cursor.execute(_BODIES, (terminal, first, last)).fetchall()
        return [bytes(body) for (body,) in found]

    def batches(self, terminal: int, first: int, last: int) -> list[tuple[int, int, bytes]]:
        """First and last row and envelope of the batches with any row of a stretch."""
        with reported_by_fleet(), self._connection.cursor(binary=True) as cursor:
            asked = {"terminal": terminal, "first": first, "last": last}
            found = cursor.execute(_BATCHES, asked).fetchall()
        return [(row[0], row[1], bytes(row[2])) for row in found]


@contextmanager
def day_evidence(dsn: str) -> Iterator[DayEvidence]:
    """The database as of now. Raises `CollectorError`."""
    with reported_by_fleet():
        connection = psycopg.connect(dsn, connect_timeout=CONNECT_S)
    try:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        yield DayEvidence(connection)
    finally:
        connection.close()
