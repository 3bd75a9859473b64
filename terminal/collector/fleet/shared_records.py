"""The records of terminals that all gateways of a fleet share: PostgreSQL has them, and each gateway's folder a copy.

A change is a transaction of the database, one at a time whichever gateway or command makes it: it begins with what the
database holds of the terminal, and is in the folder when it is in the database. Each gateway follows the changes of the
others (LISTEN, and a look every few seconds). So batches are checked with the files alone, as in an embedded collector,
and go on while the database is down; enrolments and renewals then wait.

    enrolment_file   7.json and 7.code, as an embedded collector's folder has them, and in which order they changed
    fleet_identity   the SHA-256 of the collector's public key and of the authority: the same at every gateway
    operation        what was done about terminals, as in an embedded collector
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
from psycopg.rows import TupleRow

from terminal.collector.enrolment import RecordFiles
from terminal.collector.fleet.database import CONNECT_S, reported_by_fleet
from terminal.collector.store import Operation
from terminal.decoding import read_within
from terminal.errors import CollectorError

RECORDS_LOCK: Final = 0x52434F4E
CHANNEL: Final = "resident_enrolment"
LOOK_S: Final = 5.0
AGAIN_S: Final = 2.0
FETCHED_AT_ONCE: Final = 500
MOST_FILE_BYTES: Final = 8 << 20
log: Final = logging.getLogger(__name__)

_NAME: Final = re.compile(r"[1-9][0-9]{0,7}\.(json|code)")
_HELD: Final = "SELECT name, content FROM enrolment_file WHERE name = ANY(%s)"
_CHANGED: Final = (
    "SELECT name, content, change FROM enrolment_file WHERE change > %s ORDER BY change LIMIT %s"
)
_KEEP: Final = (
    "INSERT INTO enrolment_file SELECT %s, %s, coalesce(max(change), 0) + 1 FROM enrolment_file"
    " ON CONFLICT (name) DO UPDATE SET content = excluded.content, change = excluded.change"
)
_SAME: Final = "INSERT INTO fleet_identity VALUES (%s, %s) ON CONFLICT DO NOTHING"
_IDENTITY: Final = "SELECT name, sha256 FROM fleet_identity"
_NOTE: Final = "INSERT INTO operation (at_ms, terminal, what, key, by) VALUES (%s, %s, %s, %s, %s)"


class OtherIdentity(CollectorError):
    """Terminals that another gateway serves would believe nothing of this one."""


class SharedRecords(RecordFiles):
    """The files of one gateway or command, kept in the database. Every method raises `CollectorError`.

    `identity` names what must be the same at every gateway, by its SHA-256 (hex); the first gateway states it.
    """

    def __init__(self, directory: Path, dsn: str, identity: Mapping[str, str] | None = None) -> None:
        super().__init__(directory)
        self._dsn = dsn
        self._identity = dict(identity or {})
        self._connection: psycopg.Connection[TupleRow] | None = None
        self._changed: dict[str, bytes | None] = {}

    @contextmanager
    def changing(self, terminal: int) -> Iterator[None]:
        names = [f"{terminal}.json", f"{terminal}.code"]
        with super().changing(terminal):
            with self._transaction() as connection:
                self._connection, self._changed = connection, {}
                try:
                    self._bring(connection.execute(_HELD, (names,)).fetchall(), names)
                    yield
                finally:
                    self._connection = None
            self._put(self._changed.items())

    def write(self, name: str, content: bytes) -> None:
        assert self._connection is not None, "only inside `changing`"
        with reported_by_fleet():
            self._connection.execute(_KEEP, (name, content))
        self._changed[name] = content

    def remove(self, name: str) -> None:
        assert self._connection is not None, "only inside `changing`"
        with reported_by_fleet():
            self._connection.execute(_KEEP, (name, None))
        self._changed[name] = None

    def note(self, operation: Operation) -> None:
        """Keep what was done about a terminal."""
        with reported_by_fleet(), psycopg.connect(self._dsn, connect_timeout=CONNECT_S) as connection:
            connection.execute(_NOTE, operation)

    def require_same(self) -> None:
        """Raises `CollectorError` when another gateway has other keys, or the database cannot be reached."""
        with reported_by_fleet(), psycopg.connect(self._dsn, connect_timeout=CONNECT_S) as connection:
            self._require_same(connection)

    def follow(self, connection: psycopg.Connection[TupleRow], after: int) -> int:
        """Bring what changed after the change `after` into the folder; return the newest that was brought."""
        while True:
            with super().changing(0):
                found = connection.execute(_CHANGED, (after, FETCHED_AT_ONCE)).fetchall()
                self._put((name, content) for name, content, _ in found)
            if not found:
                return after
            after = int(found[-1][2])

    @contextmanager
    def _transaction(self) -> Iterator[psycopg.Connection[TupleRow]]:
        with reported_by_fleet(), psycopg.connect(self._dsn, connect_timeout=CONNECT_S) as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (RECORDS_LOCK,))
            self._require_same(connection)
            yield connection
            connection.execute("SELECT pg_notify(%s, '')", (CHANNEL,))

    def _require_same(self, connection: psycopg.Connection[TupleRow]) -> None:
        for one in self._identity.items():
            connection.execute(_SAME, one)
        fleets: dict[str, str] = dict(connection.execute(_IDENTITY).fetchall())
        for name, own in self._identity.items():
            if fleets[name] != own:
                raise OtherIdentity(
                    f"{name} of this gateway is not that of the fleet's other gateways",
                    "Copy collector.key, ca.key and ca.crt from the first gateway into this one's folder.",
                )

    def _bring(self, held: Iterable[tuple[str, bytes | None]], names: list[str]) -> None:
        """Into the folder what the database holds under these names, and into the database what it has never had:
        records that were put into the folder by hand.
        """
        found = dict(held)
        self._put(found.items())
        for name in names:
            if name not in found and (self.directory / name).exists():
                self.write(name, read_within(self.directory / name, MOST_FILE_BYTES))

    def _put(self, files: Iterable[tuple[str, bytes | None]]) -> None:
        for name, content in files:
            if not _NAME.fullmatch(name):
                continue  # no name of ours: it would lead elsewhere
            if content is None:
                super().remove(name)
            elif not self._has(name, content):
                super().write(name, content)

    def _has(self, name: str, content: bytes) -> bool:
        try:
            return (self.directory / name).read_bytes() == content
        except OSError:
            return False


class RecordsFollower:
    """Keeps a gateway's folder up with the database, in a thread of its own, from the time it is started."""

    def __init__(self, records: SharedRecords, dsn: str) -> None:
        self._records = records
        self._dsn = dsn
        self._stop = threading.Event()
        self._connection: psycopg.Connection[TupleRow] | None = None
        self._thread = threading.Thread(target=self._run, name="records", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End it within `LOOK_S`; a daemon thread, it holds up no end of the process."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with reported_by_fleet():
                    self._follow()
            except CollectorError as error:
                log.warning("records of terminals are not brought up to date: %s", error)
                self._stop.wait(AGAIN_S)

    def _follow(self) -> None:
        """From the beginning: the database may have been put back to an older state meanwhile."""
        with psycopg.connect(self._dsn, autocommit=True, connect_timeout=CONNECT_S) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            after = 0
            while not self._stop.is_set():
                after = self._records.follow(connection, after)
                for _ in connection.notifies(timeout=LOOK_S, stop_after=1):
                    pass
