"""A fleet's rides of bank cards for the back office: read from PostgreSQL, which consumers write.

One process at a time settles them: it holds a lock of the database as long as it is connected. One ledger ever does:
the database knows it from its first run on, since another one would charge everything once more under other names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

import psycopg
from psycopg.rows import TupleRow

from terminal.collector.fleet.recompute import FleetRows
from terminal.errors import CollectorError
from terminal.journal.taps import TapId

BANK_LOCK: Final = 0x52434F4F
LEDGER: Final = "bank.db"
"""What the ledger is called among what a fleet has once (`fleet_identity`)."""
_LOCK: Final = "SELECT pg_try_advisory_lock(%s)"
_CLAIM: Final = "INSERT INTO fleet_identity VALUES (%s, %s) ON CONFLICT DO NOTHING"
_CLAIMED: Final = "SELECT sha256 FROM fleet_identity WHERE name = %s"
_ASKED: Final = (
    "JOIN unnest(%s::bigint[], %s::bigint[]) AS asked (terminal, sequence) USING (terminal, sequence)"
)
_BODIES: Final = f"SELECT terminal, sequence, body FROM record {_ASKED}"  # noqa: S608 constants
_SEALED: Final = f"SELECT terminal, sequence, body FROM sealed_row {_ASKED} WHERE body <> ''"  # noqa: S608 constants
_DROP: Final = (
    "UPDATE sealed_row SET body = '' FROM unnest(%s::bigint[], %s::bigint[]) AS asked (terminal, sequence)"
    " WHERE sealed_row.terminal = asked.terminal AND sealed_row.sequence = asked.sequence"
)


class FleetRides(FleetRows):
    """`terminal.collector.bank.sources.RideSource`, over one connection. Every method raises `CollectorError`."""

    def claim(self, ledger: str) -> None:
        name = sha256(ledger.encode()).hexdigest()
        if self._with(lambda connection: _claimed_by(connection, name)) != name:
            raise CollectorError(
                "another ledger settles the bank cards of this fleet",
                "Give --folder of that ledger, or put its backup there (docs/bank-back-office.md, Fleet).",
            )

    def bodies(self, rows: Sequence[TapId]) -> Mapping[TapId, bytes]:
        return self._of(_BODIES, rows)

    def sealed(self, rows: Sequence[TapId]) -> Mapping[TapId, bytes]:
        return self._of(_SEALED, rows)

    def drop_sealed(self, rows: Sequence[TapId]) -> None:
        """What stays is an empty one: a copy of the batch that comes later finds its place taken."""
        self._with(lambda connection: connection.execute(_DROP, _columns(rows)))

    def _of(self, query: str, rows: Sequence[TapId]) -> dict[TapId, bytes]:
        def work(connection: psycopg.Connection[TupleRow]) -> dict[TapId, bytes]:
            with connection.cursor(binary=True) as cursor:
                return {(row[0], row[1]): bytes(row[2]) for row in cursor.execute(query, _columns(rows))}

        return self._with(work)

    def _opened(self) -> psycopg.Connection[TupleRow]:
        """Raises `CollectorError` where another process settles these rides."""
        connection = super()._opened()
        if connection.execute(_LOCK, (BANK_LOCK,)).fetchone() != (True,):
            connection.close()
            raise CollectorError(
                "another process settles the bank cards of this fleet", "Wait until it has ended."
            )
        return connection


def _claimed_by(connection: psycopg.Connection[TupleRow], name: str) -> Any:
    """The ledger that settles these rides: the first one that asked."""
    connection.execute(_CLAIM, (LEDGER, name))
    found = connection.execute(_CLAIMED, (LEDGER,)).fetchone()
    return None if found is None else found[0]


def _columns(rows: Sequence[TapId]) -> tuple[list[int], list[int]]:
    return [terminal for terminal, _ in rows], [sequence for _, sequence in rows]
