"""A fleet's rows for the follower: read from PostgreSQL, which consumers write; alarms go there, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

import psycopg
from psycopg.rows import TupleRow

from terminal.collector.alarms import Alarm
from terminal.collector.fleet.database import CONNECT_S, keep_findings, reported_by_fleet

T = TypeVar("T")

_HELD: Final = "SELECT terminal, sequence FROM terminal WHERE sequence > 0"
_ROWS: Final = (
    "SELECT sequence, body FROM record WHERE terminal = %s AND sequence > %s ORDER BY sequence LIMIT %s"
)
_RECEIVED: Final = (
    "SELECT received_at_ms FROM receipt WHERE terminal = %s AND first <= %s ORDER BY first DESC LIMIT 1"
)


class FleetRows:
    """One connection, opened again after it was lost. Every method raises `CollectorError`."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: psycopg.Connection[TupleRow] | None = None

    def held(self) -> Mapping[int, int]:
        return self._with(lambda connection: dict(connection.execute(_HELD).fetchall()))

    def rows(self, terminal: int, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        def work(connection: psycopg.Connection[TupleRow]) -> list[tuple[int, bytes]]:
            cursor = connection.cursor(binary=True)
            return [(row[0], bytes(row[1])) for row in cursor.execute(_ROWS, (terminal, after, limit))]

        return self._with(work)

    def received_at_ms(self, terminal: int, sequence: int) -> int:
        """When that row arrived; 0 where it is not known."""
        found = self._with(lambda connection: connection.execute(_RECEIVED, (terminal, sequence)).fetchone())
        return int(found[0]) if found else 0

    def keep_findings(self, found: list[Alarm], at_ms: int) -> None:
        with reported_by_fleet():
            keep_findings(self._dsn, found, at_ms)

    def _with(self, work: Callable[[psycopg.Connection[TupleRow]], T]) -> T:
        with reported_by_fleet():
            try:
                if self._connection is None:
                    self._connection = self._opened()
                return work(self._connection)
            except psycopg.Error:
                self.close()
                raise

    def _opened(self) -> psycopg.Connection[TupleRow]:
        return psycopg.connect(self._dsn, autocommit=True, connect_timeout=CONNECT_S)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
