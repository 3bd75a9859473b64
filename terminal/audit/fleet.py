"""A fleet's database as a source of evidence, with an index of days of its own.

The embedded collector notes where the rows of a day stand as it books them. A fleet keeps no books: the index is a
file beside the keys (`days.db`), which follows the rows by a mark for each terminal before each audit. So the first
audit reads all history once, and each later one what came since. The file is made again when it is deleted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from terminal.audit.gathering import HeldBatch, HeldTerminal
from terminal.collector.day_rows import (
    SCHEMA,
    DayRows,
    RowSpan,
    Word,
    sets_of,
    stretches_of,
    words_on,
)
from terminal.collector.days import ServiceCalendar
from terminal.collector.enrolment import Enrolment
from terminal.collector.fleet.day_evidence import DayEvidence, day_evidence
from terminal.collector.office import TERMINALS_FOLDER
from terminal.collector.reading import read_record
from terminal.errors import CollectorError
from terminal.journal.database import SQLITE_FAULTS, transaction
from terminal.journal.records import AnyRecord, UnreadableRecord

DAYS_FILE: Final = "days.db"
DAYS_VERSION: Final = "1"
STRETCH_ROWS: Final = 2_000
_TABLES: Final = (
    "CREATE TABLE made_for (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE day_mark (terminal INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, at_ms INTEGER NOT NULL)",
    *SCHEMA,
)
_MOVE: Final = (
    "INSERT INTO day_mark VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET sequence = excluded.sequence,"
    " at_ms = max(at_ms, excluded.at_ms)"
)


class FleetSource:
    """What a fleet's database holds, as of one moment; the index has followed it so far."""

    def __init__(
        self, folder: Path, evidence: DayEvidence, index: sqlite3.Connection, calendar: ServiceCalendar
    ) -> None:
        self._evidence = evidence
        self._index = index
        self._calendar = calendar
        self._enrolment = Enrolment(folder / TERMINALS_FOLDER)
        self._held = evidence.terminals()
        self._marks: dict[int, tuple[int, int]] = {}
        self._follow()

    @property
    def calendar(self) -> ServiceCalendar:
        return self._calendar

    def terminals(self) -> list[HeldTerminal]:
        held = {row[0]: row for row in self._held}
        enrolled = set(self._enrolment.numbers())
        found = []
        for number in sorted(held.keys() | enrolled):
            _, sequence, stated_head, sent_at_ms = held.get(number, (number, 0, 0, 0))
            mark = self._marks.get(number, (0, 0))
            found.append(HeldTerminal(number, sequence, stated_head, sent_at_ms, *mark, number in enrolled))
        return found

    def keys_of(self, terminal: int) -> list[bytes]:
        return [key.public_bytes_raw() for key in self._enrolment.keys_of(terminal)]

    def stretches(self, day: str) -> Mapping[int, list[RowSpan]]:
        return stretches_of(self._index, day)

    def words_on(self, terminal: int, stretch: RowSpan) -> Iterable[Word]:
        return words_on(self._index, terminal, stretch)

    def sets_of(self, terminal: int, stretch: RowSpan) -> list[int]:
        return sets_of(self._index, terminal, stretch)

    def batches(self, terminal: int, stretch: RowSpan) -> list[HeldBatch]:
        return [HeldBatch(*row) for row in self._evidence.batches(terminal, *stretch)]

    def bodies(self, terminal: int, stretch: RowSpan) -> list[bytes]:
        return self._evidence.bodies(terminal, *stretch)

    # The index

    def _follow(self) -> None:
        marks = self._index.execute("SELECT terminal, sequence, at_ms FROM day_mark")
        self._marks = {terminal: (sequence, at_ms) for terminal, sequence, at_ms in marks}
        for terminal, held, *_ in self._held:
            while self._marks.get(terminal, (0, 0))[0] < held and self._note(terminal, held):
                pass

    def _note(self, terminal: int, held: int) -> bool:
        """Note the next rows of a terminal; whether there were any."""
        after, at_ms = self._marks.get(terminal, (0, 0))
        rows = self._evidence.rows(terminal, after, held, STRETCH_ROWS)
        if not rows:
            return False
        records = [(sequence, record) for sequence, body in rows if (record := _readable(body)) is not None]
        span = RowSpan(rows[0][0], rows[-1][0])
        at_ms = max([at_ms, *(record.at_ms for _, record in records)])
        with transaction(self._index):
            noted = DayRows(self._index, self._calendar, lambda number: self._marks.get(number, (0, 0))[0])
            noted.take(terminal, span, records)
            noted.finish()
            self._index.execute(_MOVE, (terminal, span.last, at_ms))
        self._marks[terminal] = (span.last, at_ms)
        return True


def _readable(body: bytes) -> AnyRecord | None:
    try:
        return read_record(body)
    except UnreadableRecord:
        return None


@contextmanager
def fleet_source(folder: Path, dsn: str, zone: ZoneInfo, day_ends_at: int) -> Iterator[FleetSource]:
    """The database at `dsn`, with the keys of the gateway in `folder`. Raises `CollectorError`."""
    made_for = {"version": DAYS_VERSION, "zone": zone.key, "day_ends_at": str(day_ends_at)}
    try:
        with day_evidence(dsn) as evidence, closing(_index(folder / DAYS_FILE, made_for)) as index:
            yield FleetSource(folder, evidence, index, ServiceCalendar(zone, day_ends_at))
    except (*SQLITE_FAULTS, OSError) as error:
        raise CollectorError(
            f"the index of days {folder / DAYS_FILE} failed: {error}",
            "Check the folder and its rights; the file may be deleted and is made again.",
        ) from error


def _index(path: Path, made_for: Mapping[str, str]) -> sqlite3.Connection:
    """The index at `path`; one made for another border of the day, or unfinished, is begun anew."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,)
        if tables and dict(connection.execute("SELECT name, value FROM made_for")) == made_for:
            return connection
    except BaseException:
        connection.close()
        raise
    if tables:
        connection.close()
        path.unlink()
        return _index(path, made_for)
    with transaction(connection):
        for statement in _TABLES:
            connection.execute(statement)
        connection.executemany("INSERT INTO made_for VALUES (?, ?)", made_for.items())
    return connection
