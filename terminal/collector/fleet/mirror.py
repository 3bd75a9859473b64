"""PostgreSQL followed into a collector's folder, so that the office's pages, books, settlement and metrics read a fleet
exactly as they read one collector: through `CollectorStore`.

Rows and receipts come one way, terminal by terminal, each stretch in one transaction that also says how far it is.
Alarms go both ways, with who has dealt with them: what the books here find is in the database for every office and
report. Requests, orders and who did what are this folder's own.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.rows import TupleRow

from terminal.collector.alarms import SeenAlarm
from terminal.collector.fleet.database import CONNECT_S, reported_by_fleet, require_prepared, strangers
from terminal.collector.store import CollectorStore
from terminal.errors import CollectorError

ROWS_AT_ONCE: Final = 2_000
LOOK_S: Final = 1.0
AGAIN_S: Final = 5.0
ALARMS_EVERY: Final = 3
"""Looks from one exchange of alarms to the next."""
MOST_ALARMS: Final = 1_000
log: Final = logging.getLogger(__name__)

_TERMINALS: Final = "SELECT terminal, sequence, hash, stated_head, sent_at_ms, received_at_ms FROM terminal"
_ROWS: Final = (
    "SELECT terminal, sequence, body, hash FROM record"
    " WHERE terminal = %s AND sequence > %s AND sequence <= %s ORDER BY sequence LIMIT %s"
)
_RECEIPTS: Final = (
    "SELECT terminal, first, last, sent_at_ms, received_at_ms, envelope FROM receipt"
    " WHERE terminal = %s AND last > %s AND first <= %s"
)
_PUT_ROWS: Final = "INSERT INTO record VALUES (?, ?, ?, ?) ON CONFLICT (terminal, sequence) DO NOTHING"
_PUT_RECEIPTS: Final = (
    "INSERT INTO receipt VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (terminal, first) DO NOTHING"
)
_PUT_TERMINAL: Final = """
INSERT INTO terminal VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (terminal) DO UPDATE SET
    sequence = excluded.sequence, hash = excluded.hash, stated_head = excluded.stated_head,
    sent_at_ms = excluded.sent_at_ms, received_at_ms = excluded.received_at_ms, rows = rows + excluded.rows
"""
_ALARM: Final = (
    "kind, terminal, sequence, detail, times, first_at_ms, last_at_ms,"
    " acknowledged_at_ms, acknowledged_by, comment"
)
_NEWER: Final = "coalesce(excluded.acknowledged_at_ms, 0) > coalesce(alarm.acknowledged_at_ms, 0)"


def _put_alarm(place: str, largest: str) -> str:
    """Either database's statement: what is known of an alarm here and there, together."""
    acknowledged = ", ".join(
        f"{name} = CASE WHEN {_NEWER} THEN excluded.{name} ELSE alarm.{name} END"
        for name in ("acknowledged_at_ms", "acknowledged_by", "comment")
    )
    return (
        f"INSERT INTO alarm ({_ALARM}) VALUES ({', '.join([place] * 10)})"  # noqa: S608 constants
        " ON CONFLICT (kind, terminal, sequence, detail) DO UPDATE SET"
        f" times = {largest}(alarm.times, excluded.times),"
        f" last_at_ms = {largest}(alarm.last_at_ms, excluded.last_at_ms), {acknowledged}"
    )


_KEEP_THERE: Final = _put_alarm("%s", "greatest")
_KEEP_HERE: Final = _put_alarm("?", "max")
_ALARMS_THERE: Final = f"SELECT {_ALARM} FROM alarm ORDER BY last_at_ms DESC, id DESC LIMIT %s"  # noqa: S608 constants


class FollowedTerminal(NamedTuple):
    """One terminal, as either database has it."""

    terminal: int
    sequence: int
    hash: bytes
    stated_head: int
    sent_at_ms: int
    received_at_ms: int


class FleetMirror:
    """Keeps `store` up with the database, in a thread of its own; `arrived` is called when something came."""

    def __init__(self, dsn: str, store: CollectorStore, arrived: Callable[[], None]) -> None:
        self._dsn = dsn
        self._store = store
        self._arrived = arrived
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)
        self.failure: CollectorError | None = None
        """Why the database is not followed at present."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after the stretch in hand."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with (
                    reported_by_fleet(),
                    psycopg.connect(self._dsn, autocommit=True, connect_timeout=CONNECT_S) as connection,
                ):
                    require_prepared(connection)
                    self._follow(connection)
            except CollectorError as error:
                self.failure = error
                log.warning("the fleet's database is not followed: %s", error)
                self._stop.wait(AGAIN_S)

    def _follow(self, connection: psycopg.Connection[TupleRow]) -> None:
        look = 0
        while not self._stop.is_set():
            if self.take_rows(connection):
                self._arrived()
            if look % ALARMS_EVERY == 0:
                self.exchange_alarms(connection)
                self._take_strangers()
            self.failure, look = None, look + 1
            self._stop.wait(LOOK_S)

    def take_rows(self, connection: psycopg.Connection[TupleRow]) -> bool:
        """Bring what the database has and the folder has not; whether anything came."""
        cursor = connection.cursor(binary=True)
        there = [FollowedTerminal(*row) for row in cursor.execute(_TERMINALS)]
        with self._store.changing() as here:
            held = {row[0]: FollowedTerminal(*row) for row in here.execute(_TERMINALS)}
        changed = [one for one in there if _differs(one, held.get(one.terminal))]
        for one in changed:
            at = held.get(one.terminal) or one._replace(sequence=0)
            while not self._stop.is_set() and (after := self._stretch(cursor, one, at)) > at.sequence:
                at = at._replace(sequence=after)
        self._store.note_arrived({one.terminal for one in changed})
        return bool(changed)

    def _stretch(
        self, cursor: psycopg.Cursor[TupleRow], there: FollowedTerminal, held: FollowedTerminal
    ) -> int:
        """The next rows of a terminal, with the batches they came in; the newest row then held."""
        bounds = (there.terminal, held.sequence, there.sequence)
        rows = cursor.execute(_ROWS, (*bounds, ROWS_AT_ONCE)).fetchall()
        last = rows[-1][1] if rows else held.sequence
        receipts = cursor.execute(_RECEIPTS, (there.terminal, held.sequence, last)).fetchall() if rows else []
        with self._store.changing() as here:
            new = _put(here, _PUT_ROWS, rows)
            _put(here, _PUT_RECEIPTS, receipts)
            found = here.execute(f"{_TERMINALS} WHERE terminal = ?", (there.terminal,)).fetchone()
            held_hash = there.hash if found is None else found[2]
            row_hash = rows[-1][3] if rows else held_hash
            state = (there.terminal, last, bytes(row_hash), *there[3:], new)
            here.execute(_PUT_TERMINAL, state)
        return int(last)

    def exchange_alarms(self, connection: psycopg.Connection[TupleRow]) -> None:
        """The newest of both, in both."""
        own = [_stated(one) for one in self._store.alarms(MOST_ALARMS)]
        connection.cursor().executemany(_KEEP_THERE, own)
        found = connection.execute(_ALARMS_THERE, (MOST_ALARMS,)).fetchall()
        new = sorted(set(found) - set(own), key=_when)
        if new:
            with self._store.changing() as here:
                here.executemany(_KEEP_HERE, new)

    def _take_strangers(self) -> None:
        self._store.put_strangers(strangers(self._dsn))


def _differs(there: FollowedTerminal, held: FollowedTerminal | None) -> bool:
    """Whether the database has more, or has heard more of it. One that was put back to an older state has less."""
    if held is None:
        return True
    return there.sequence > held.sequence or there[3:] != held[3:]


def _put(here: sqlite3.Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> int:
    return here.executemany(statement, rows).rowcount if rows else 0


def _stated(alarm: SeenAlarm) -> tuple[Any, ...]:
    return tuple(alarm[1:])


def _when(stated: tuple[Any, ...]) -> tuple[Any, ...]:
    """Older alarms get the lower numbers."""
    return (stated[5], *stated[:4])
