"""The rows of many terminals in the order of time, from journals, backups and a collector's database, a few at a time.

Files are opened for reading only, beside a running terminal or at rest. What cannot be read is named among the gaps and
left out. The same terminal may be found more than once (a copy, a backup put back, the collector): equal numbers are
one row.

Within a terminal the order is that of its rows. A tap whose clock was in doubt stands where its row stands.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple, Protocol, TypeAlias

from terminal.collector import store
from terminal.errors import BackupError, JournalDamaged, JournalError, TerminalError
from terminal.impact.gaps import GapKind, Gaps
from terminal.journal import database
from terminal.journal.reader import BrokenRow, JournalReader
from terminal.journal.records import (
    AnyRecord,
    CashSale,
    Committed,
    Intent,
    NotCommitted,
    UnreadableRecord,
    Unresolved,
    Unwritten,
    parse_record,
)
from terminal.journal.taps import End
from terminal.operations import archive

MOST_FILES: Final = 100_000
MOST_OPEN: Final = 240
"""Journals open at once: each has up to three files, and 1 024 is a usual limit."""
ROWS_HELD: Final = 20_000
"""About so many rows are in memory, those of all terminals together."""
SMALLEST_PAGE: Final = 8
LARGEST_PAGE: Final = 1_000
_ID_AT: Final = 68
_SQLITE: Final = b"SQLite format 3\0"

Body: TypeAlias = bytes | None
"""A row's bytes; None for one that was damaged."""
NumberedBody: TypeAlias = tuple[int, Body]
OpenJournal: TypeAlias = Callable[[Path], JournalReader]
Unpack: TypeAlias = Callable[[Path, Path], object]
"""Puts the files of a backup into a folder; raises `BackupError` or `KeyFileError`."""


class RowFile(Enum):
    """Files that hold rows."""

    JOURNAL = "journal"
    COLLECTOR = "collector"
    BACKUP = "backup"


class Passed(NamedTuple):
    """A tap, a cash sale, or a late word on a tap, in its order (`order_ms`, then terminal and row)."""

    order_ms: int
    terminal: int
    sequence: int
    record: Intent | Unwritten | CashSale | Committed | NotCommitted
    end: End


class Paged(Protocol):
    """The rows of one terminal in one place."""

    terminal: int
    rows: int
    """How many there are, for the progress bar."""
    begins_after: int
    """The last row that has left, 0 for none."""
    where: str

    def page(self, after: int, limit: int) -> list[NumberedBody]:
        """At most `limit` rows above `after`, in order."""
        ...


class ReaderPool:
    """Readers of journals, the least recently used closed when there are too many."""

    def __init__(self, open_journal: OpenJournal) -> None:
        self._open_journal = open_journal
        self._open: OrderedDict[Path, JournalReader] = OrderedDict()

    def reader(self, path: Path) -> JournalReader:
        """Raises `JournalError` or `KeyFileError`."""
        found = self._open.pop(path, None) or self._open_journal(path)
        self._open[path] = found
        if len(self._open) > MOST_OPEN:
            self._open.popitem(last=False)[1].close()
        return found

    def close(self) -> None:
        for reader in self._open.values():
            reader.close()
        self._open.clear()


class JournalPages:
    """The rows of a journal."""

    def __init__(self, path: Path, pool: ReaderPool) -> None:
        """Raises `JournalError` or `KeyFileError`."""
        reader = pool.reader(path)
        state = reader.state()
        self._path, self._pool = path, pool
        self.terminal = state.terminal
        self.begins_after = state.base.sequence
        self.rows = reader.last_sequence() - state.base.sequence
        self.where = str(path)

    def page(self, after: int, limit: int) -> list[NumberedBody]:
        return [
            (row.sequence, None if isinstance(row, BrokenRow) else row.body)
            for row in self._pool.reader(self._path).scanned(after, limit)
        ]


class CollectorPages:
    """The rows a collector holds of one terminal."""

    begins_after = 0

    def __init__(self, connection: sqlite3.Connection, path: Path, terminal: int, rows: int) -> None:
        self._connection, self._path = connection, path
        self.terminal, self.rows = terminal, rows
        self.where = str(path)

    def page(self, after: int, limit: int) -> list[NumberedBody]:
        query = (
            "SELECT sequence, body FROM record WHERE terminal = ? AND sequence > ? ORDER BY sequence LIMIT ?"
        )
        try:
            return list(self._connection.execute(query, (self.terminal, after, limit)))
        except database.SQLITE_FAULTS as error:
            raise database.journal_error(self._path, error) from error


class RowSources:
    """Everything below one folder that holds rows, by terminal. Close it when done."""

    def __init__(
        self, place: Path, scratch: Path, open_journal: OpenJournal, unpack: Unpack, gaps: Gaps
    ) -> None:
        """Backups are unpacked into `scratch`. Raises `JournalError` when nothing at `place` can be read."""
        self._gaps, self._scratch, self._unpack = gaps, scratch, unpack
        self._pool = ReaderPool(open_journal)
        self._connections: list[sqlite3.Connection] = []
        self._by_terminal: dict[int, list[Paged]] = {}
        problem = self._open_all(_row_files(place))
        if not self._by_terminal:
            self.close()
            raise problem or JournalError(
                f"there is no journal in {place}",
                "Give --journal a folder with the folders, or the journals, of terminals that have run.",
            )

    @property
    def terminals(self) -> frozenset[int]:
        return frozenset(self._by_terminal)

    @property
    def rows(self) -> int:
        """How many rows there are to be read."""
        return sum(paged.rows for places in self._by_terminal.values() for paged in places)

    def in_order(
        self, first_ms: int, before_ms: int, on_rows: Callable[[int], None] = lambda _count: None
    ) -> Iterator[Passed]:
        """Taps, sales and late words of that time, in the order of time; `on_rows` is called with the rows read since.

        A file that fails meanwhile is a gap from there on. Raises `JournalDamaged` where one number has two contents.
        """
        limit = max(SMALLEST_PAGE, min(LARGEST_PAGE, ROWS_HELD // len(self._by_terminal)))
        streams = (
            _within(first_ms, before_ms, _passed(terminal, self._rows(places, limit, on_rows), self._gaps))
            for terminal, places in sorted(self._by_terminal.items())
        )
        return heapq.merge(*streams)

    def close(self) -> None:
        self._pool.close()
        for connection in self._connections:
            connection.close()

    def _open_all(self, paths: Iterable[tuple[Path, RowFile]]) -> TerminalError | None:
        """Open what can be opened; the first reason why one cannot."""
        problem: TerminalError | None = None
        for path, kind in paths:
            try:
                found = self._opened(path, kind)
            except (JournalError, BackupError) as error:
                problem = problem or error
                self._gaps.note(GapKind.JOURNAL_UNREADABLE, file=str(path))
                continue
            for paged in found:
                self._by_terminal.setdefault(paged.terminal, []).append(paged)
        return problem

    def _opened(self, path: Path, kind: RowFile) -> list[Paged]:
        """Raises `JournalError`, `BackupError` or `KeyFileError`."""
        if kind is RowFile.COLLECTOR:
            return self._held_by(path)
        if kind is RowFile.BACKUP:
            folder = self._scratch / str(len(list(self._scratch.iterdir())))
            folder.mkdir()
            self._unpack(path, folder)
            return [self._pages(found, path) for found in sorted(folder.rglob("journal.db"))]
        return [self._pages(path, path)]

    def _pages(self, journal: Path, named: Path) -> JournalPages:
        pages = JournalPages(journal, self._pool)
        pages.where = str(named)
        return pages

    def _held_by(self, path: Path) -> list[Paged]:
        try:
            connection = store.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
            self._connections.append(connection)
            query = "SELECT terminal, count(*) FROM record GROUP BY terminal"
            return [CollectorPages(connection, path, *row) for row in connection.execute(query).fetchall()]
        except database.SQLITE_FAULTS as error:
            raise database.journal_error(path, error) from error

    def _rows(
        self, places: list[Paged], limit: int, on_rows: Callable[[int], None]
    ) -> Iterator[NumberedBody]:
        """The rows of one terminal, each number once."""
        begins_after = min(paged.begins_after for paged in places)
        if begins_after:
            self._gaps.note(GapKind.ROWS_LEFT, places[0].terminal, begins_after)
        if len(places) == 1:
            yield from self._pages_of(places[0], limit, on_rows)
            return
        previous: NumberedBody = (0, None)
        streams = (self._pages_of(paged, limit, on_rows) for paged in places)
        for row in heapq.merge(*streams, key=lambda row: row[0]):
            if row[0] != previous[0]:
                if previous[0]:
                    yield previous
                previous = row
            elif previous[1] is None:
                previous = row
            elif row[1] not in (None, previous[1]):
                raise JournalDamaged(
                    f"terminal {places[0].terminal} has two rows {row[0]}: in "
                    + " and ".join(paged.where for paged in places),
                    "Two machines have run under one number, or one of the files was changed: replay them apart.",
                )
        if previous[0]:
            yield previous

    def _pages_of(self, paged: Paged, limit: int, on_rows: Callable[[int], None]) -> Iterator[NumberedBody]:
        """The rows of a place, up to what cannot be read."""
        after = paged.begins_after
        while page := self._page(paged, after, limit):
            on_rows(len(page))
            yield from page
            after = page[-1][0]

    def _page(self, paged: Paged, after: int, limit: int) -> list[NumberedBody]:
        try:
            return paged.page(after, limit)
        except JournalError:
            if limit > 1:  # the rows before the damage can be read
                return self._page(paged, after, limit // 2)
            self._gaps.note(GapKind.JOURNAL_UNREADABLE, file=paged.where)
            return []


def _row_files(place: Path) -> Iterator[tuple[Path, RowFile]]:
    """What holds rows at or below `place`."""
    if not place.exists():
        raise JournalError(f"there is no {place}", "Give --journal a folder with journals.")
    files = [place] if place.is_file() else (path for path in place.rglob("*") if path.is_file())
    for count, path in enumerate(sorted(files)):
        if count >= MOST_FILES:
            raise JournalError(f"{place} holds more than {MOST_FILES} files", "Give a smaller folder.")
        kind = _kind_of(path)
        if kind is not None:
            yield path, kind


def _kind_of(path: Path) -> RowFile | None:
    """By the first bytes; a journal by its name, too, so that a damaged one is named."""
    try:
        with path.open("rb") as file:
            header = file.read(_ID_AT + 4)
    except OSError as error:
        raise JournalError(f"{path} cannot be read: {error.strerror}", "Check its rights.") from error
    application = int.from_bytes(header[_ID_AT:], "big") if header.startswith(_SQLITE) else 0
    if application == store.APPLICATION_ID:
        return RowFile.COLLECTOR
    if application == database.APPLICATION_ID or path.name == "journal.db":
        return RowFile.JOURNAL
    return RowFile.BACKUP if header.startswith(archive.MAGIC) else None


def _within(first_ms: int, before_ms: int, passed: Iterable[Passed]) -> Iterator[Passed]:
    return (one for one in passed if first_ms <= one.order_ms < before_ms)


def _passed(terminal: int, rows: Iterable[NumberedBody], gaps: Gaps) -> Iterator[Passed]:
    """Each tap when its end is known or the next tap begins, in the order of rows; a word that comes later stands for
    itself.
    """
    order_ms = 0
    waiting: Passed | None = None  # an intent, as if it were committed
    between: list[Passed] = []  # sales and late words after it
    for sequence, record in _records(terminal, rows, gaps):
        if isinstance(record, Intent) or isinstance(record, Unwritten):  # noqa: SIM101 one test of two types is slower
            if waiting is not None:
                yield waiting._replace(end=End.UNRESOLVED)
                yield from between
                between, waiting = [], None
            order_ms = _order_ms(record, order_ms)
            if isinstance(record, Intent):
                waiting = Passed(order_ms, terminal, sequence, record, End.COMMITTED)
            else:
                yield Passed(order_ms, terminal, sequence, record, End.NOTHING_WRITTEN)
        elif isinstance(record, Committed | NotCommitted | Unresolved):
            end = _END[type(record)]
            if waiting is not None and record.intent == waiting.sequence:
                yield waiting if end is End.COMMITTED else waiting._replace(end=end)
                yield from between
                between, waiting = [], None
            elif not isinstance(record, Unresolved):
                late_ms = max(order_ms, record.at_ms)
                between.append(Passed(late_ms, terminal, sequence, record, end))
        elif isinstance(record, CashSale):
            order_ms = _order_ms(record, order_ms)
            between.append(Passed(order_ms, terminal, sequence, record, End.SOLD))
        if waiting is None and between:
            yield from between
            between = []
    if waiting is not None:
        yield waiting._replace(end=End.UNRESOLVED)
    yield from between


_END: Final = {
    Committed: End.COMMITTED,
    NotCommitted: End.NOT_COMMITTED,
    Unresolved: End.UNRESOLVED,
}


def _order_ms(record: Intent | Unwritten | CashSale, previous_ms: int) -> int:
    in_doubt = bool(record.trip) and record.trip.get("clock.suspect")
    return previous_ms if in_doubt and previous_ms else record.at_ms


def _records(terminal: int, rows: Iterable[NumberedBody], gaps: Gaps) -> Iterator[tuple[int, AnyRecord]]:
    previous = 0
    for sequence, body in rows:
        if previous and sequence != previous + 1:
            missing = sequence - previous - 1
            gaps.note(GapKind.NUMBERS_MISSING, terminal, previous + 1, count=missing)
        previous = sequence
        if body is None:
            gaps.note(GapKind.ROW_DAMAGED, terminal, sequence)
            continue
        try:
            yield sequence, parse_record(body)
        except UnreadableRecord:
            gaps.note(GapKind.ROW_NEWER, terminal, sequence)
