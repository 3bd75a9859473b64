"""What carriers were stated when a month was closed: the rows stay, and what changes later is stated as a correction.

period       a closed month: when, by whom, by which carriers document, and the SHA-256 of its statement
period_line  its lines, each with the service day it is about: of an earlier month, a correction
period_day   what was known of a service day when it was last stated
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final, NamedTuple

NUMBERS: Final = (
    *("rides_proven", "rides_unproven", "rides_cash", "proven_minor", "unproven_minor", "cash_minor"),
    *("moved_proven_minor", "moved_unproven_minor", "rides_open", "unlinked"),
)
SCHEMA: Final = (
    """CREATE TABLE period (
    month TEXT PRIMARY KEY, closed_at_ms INTEGER NOT NULL, by TEXT NOT NULL, carriers TEXT NOT NULL,
    digest BLOB NOT NULL
) WITHOUT ROWID""",
    f"""CREATE TABLE period_line (
    month TEXT, day TEXT, carrier TEXT, route INTEGER, product TEXT, concession TEXT, currency TEXT,
    {", ".join(f"{name} INTEGER NOT NULL" for name in NUMBERS)},
    PRIMARY KEY (day, month, carrier, route, product, concession, currency)
) WITHOUT ROWID""",
    "CREATE TABLE period_day (day TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID",
)


class ClosedMonth(NamedTuple):
    """A month whose statement is fixed. `carriers` is the version of the document it was made by."""

    month: str
    closed_at_ms: int
    by: str
    carriers: str
    digest: bytes


StoredLine = tuple[object, ...]
"""Day, carrier, route, product, concession, currency, and the `NUMBERS`."""


def closed_months(connection: sqlite3.Connection) -> list[ClosedMonth]:
    """In order."""
    return [ClosedMonth._make(row) for row in connection.execute("SELECT * FROM period ORDER BY month")]


def lines_stated(connection: sqlite3.Connection, *, month: str = "", day: str = "") -> list[StoredLine]:
    """The lines of a closed month, or all about one day of any month, as they were stated."""
    query = (
        f"SELECT day, carrier, route, product, concession, currency, {', '.join(NUMBERS)} FROM period_line"  # noqa: S608
    )
    order = "ORDER BY day, carrier, route, product, concession, currency"
    where, value = ("month", month) if month else ("day", day)
    return connection.execute(f"{query} WHERE {where} = ? {order}", (value,)).fetchall()


def day_states(connection: sqlite3.Connection) -> dict[str, bytes]:
    """What was known of each day when it was last stated."""
    return dict(connection.execute("SELECT day, state FROM period_day"))


def close(
    connection: sqlite3.Connection,
    closed: ClosedMonth,
    lines: Iterable[StoredLine],
    states: Iterable[tuple[str, bytes]],
) -> None:
    """Fix the statement of a month, in the caller's transaction."""
    connection.execute("INSERT INTO period VALUES (?, ?, ?, ?, ?)", closed)
    places = ", ".join("?" * (7 + len(NUMBERS)))
    connection.executemany(
        f"INSERT INTO period_line VALUES ({places})",  # noqa: S608 a constant
        [(closed.month, *line) for line in lines],
    )
    connection.executemany(
        "INSERT INTO period_day VALUES (?, ?) ON CONFLICT DO UPDATE SET state = excluded.state", states
    )
