"""The collector's books: sums, days and open ends, kept up with the records as they arrive.

The records are the truth; the books follow them in a file of their own, some rows at a time, and know how far they
have come. Where the process dies makes no difference: what was booked and the mark behind it are one transaction.

The file of the books: tables that hold what the records add up to, so that nothing is computed twice.

    mark        how far the records of each terminal are booked, and what was last noticed there
    watched     intents that later records may still decide; all others are only counted
    seen_early  events found on a card before the batch with their own tap came
    history     committed taps of each card with the card's counter and the event they started from
    total       counts of each terminal                  refusal   its refusals by message
    charged     what each terminal charged, by currency
    proof_total what proves each terminal's taps         proof_day the same by service day
    portion     meals by day, pupil and kind (O-08)      annulled  rows taken back      loan   cards lent for a day
    cell        sums of a service day (`terminal.collector.days`)
    card_name   all references of a card, of a registry that knows several (`terminal.collector.card_names`)
    day_*       where the rows of a day stand (`terminal.collector.day_rows`)

Everything here follows from the records: the file may be deleted, and is made again.
"""

from __future__ import annotations

import sqlite3
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from terminal.collector.booking import Booking
from terminal.collector.books_reader import FollowingBooks, load_marks
from terminal.collector.card_names import SCHEMA as NAMES_SCHEMA
from terminal.collector.card_names import keep_names
from terminal.collector.clock_checks import ClockLimits, clock_findings
from terminal.collector.day_rows import SCHEMA as DAY_ROWS_SCHEMA
from terminal.collector.days import ServiceCalendar
from terminal.collector.phones import SCHEMA as PHONES_SCHEMA
from terminal.collector.proof import EvidenceLimits
from terminal.collector.reading import read_record
from terminal.collector.registry import CardRegistry
from terminal.collector.store import CollectorStore, Receipt, connect
from terminal.collector.terminal_states import SCHEMA as STATES_SCHEMA
from terminal.errors import CollectorError
from terminal.journal.database import SQLITE_FAULTS, means_damage, transaction
from terminal.journal.records import AnyRecord, UnreadableRecord
from terminal.journal.taps import TapId

BOOKS_FILE: Final = "books.db"
_NUMBER: Final = itemgetter(0)
STRETCH_ROWS: Final = 2_000
"""So many rows are booked in one transaction; memory and the time a report waits are bounded by it."""


@dataclass(frozen=True, slots=True)
class BooksSettings:
    """Where the day's border lies, which clocks are suspicious, and how much may be unproven. Another border begins the
    books anew."""

    zone: str = "Europe/Moscow"
    day_ends_at: int = 3
    clocks: ClockLimits = field(default_factory=ClockLimits)
    evidence: EvidenceLimits = field(default_factory=EvidenceLimits)

    def made_for(self) -> dict[str, str]:
        """What books are begun anew for."""
        return {"zone": self.zone, "day_ends_at": str(self.day_ends_at)}


class Books(FollowingBooks):
    """The books of one store, for one writing process; methods may be called from any thread."""

    def __init__(
        self,
        path: Path,
        store: CollectorStore,
        registry: CardRegistry,
        settings: BooksSettings | None = None,
    ) -> None:
        """Open or begin them. Raises `CollectorError`."""
        self.settings = settings or BooksSettings()
        super().__init__(path, store)
        self._registry = registry
        self._calendar = ServiceCalendar(ZoneInfo(self.settings.zone), self.settings.day_ends_at)
        self._lock = threading.Lock()
        self._last = 0
        self._newest_receipt = 0
        with self._reported():
            self._connection = open_books(path, self.settings.made_for())
            keep_names(self._connection, registry.others())
            self._records = store.reader()
            self._marks = load_marks(self._connection)
            held = dict(self._held())
            if any(mark.sequence > held.get(terminal, 0) for terminal, mark in self._marks.items()):
                # The records were put back from a copy: what was booked beyond it must not be counted.
                self._connection.close()
                self._connection = begin_anew(path, self.settings.made_for())
                keep_names(self._connection, registry.others())
                self._marks = {}
            self._behind = {
                terminal for terminal, sequence in held.items() if sequence > self._mark(terminal)
            }
            """Terminals that may have rows not booked yet; what arrives is added."""

    # Following the records

    def catch_up(self, rows: int = STRETCH_ROWS) -> int:
        """Book at most `rows` more rows; return how many, 0 when everything held is booked. Raises `CollectorError`."""
        with self._lock, self._reported():
            news = self._news()
            if not news:
                return 0
            booking = self._begin()
            with transaction(self._connection):
                booked = 0
                for terminal in news:
                    booked += self._book(booking, terminal, rows - booked)
                    self._last = terminal
                    if booked >= rows:
                        break
                booking.finish()
                # First the alarms: after a crash in between they are found again, and kept once.
                self._store.keep_findings(booking.findings, self._newest_receipt)
            self._marks.update(booking.marks)
            return booked

    def catch_up_with(self, seconds: float, monotonic: Callable[[], float]) -> None:
        """Book until everything is booked or the time is over."""
        until = monotonic() + seconds
        while self.catch_up() and monotonic() < until:
            pass

    def _begin(self) -> Booking:
        self._newest_receipt = 0
        limits = self.settings.evidence
        return Booking(self._connection, self._body_of, self._registry, self._calendar, limits, self._marks)

    def _held(self) -> list[tuple[int, int]]:
        return self._records.execute("SELECT terminal, sequence FROM terminal ORDER BY terminal").fetchall()

    def _news(self) -> list[int]:
        """Terminals with rows not booked yet, those after the last one served first."""
        self._behind |= self._store.arrived()
        query = "SELECT sequence FROM terminal WHERE terminal = ?"
        for terminal in list(self._behind):
            (held,) = self._records.execute(query, (terminal,)).fetchone()
            if held <= self._mark(terminal):
                self._behind.remove(terminal)
        return sorted(self._behind, key=lambda terminal: (terminal <= self._last, terminal))

    def _mark(self, terminal: int) -> int:
        mark = self._marks.get(terminal)
        return mark.sequence if mark else 0

    def _book(self, booking: Booking, terminal: int, limit: int) -> int:
        """Book rows of one terminal, receipt by receipt."""
        mark = booking.mark_of(terminal)
        query = (
            "SELECT sequence, body FROM record WHERE terminal = ? AND sequence > ? ORDER BY sequence LIMIT ?"
        )
        rows = self._records.execute(query, (terminal, mark.sequence, limit)).fetchall()
        for receipt in self._receipts(terminal, rows[0][0], rows[-1][0]):
            part = rows[
                bisect_left(rows, receipt.first, key=_NUMBER) : bisect_right(rows, receipt.last, key=_NUMBER)
            ]
            if not part:
                continue
            records = booking.book(terminal, part, receipt.received_at_ms)
            found, mark.at_ms = clock_findings(
                terminal,
                records,
                receipt,
                mark.at_ms,
                self.settings.clocks,
                self._record_of,
                self._has_sent,
            )
            booking.findings += found
            self._newest_receipt = max(self._newest_receipt, receipt.received_at_ms)
        return len(rows)

    def _receipts(self, terminal: int, first: int, last: int) -> list[Receipt]:
        """Receipts that cover the rows from `first` to `last`; rows from before there were any get one of their own."""
        query = (
            "SELECT first, last, sent_at_ms, received_at_ms, x'' FROM receipt WHERE terminal = ? AND first <= ?"
            " AND first >= coalesce((SELECT max(first) FROM receipt WHERE terminal = ? AND first <= ?), 0)"
            " ORDER BY first"
        )
        found = [Receipt(*row) for row in self._records.execute(query, (terminal, last, terminal, first))]
        receipts: list[Receipt] = []
        for receipt in found:
            if receipt.first > first:
                receipts.append(Receipt(first, receipt.first - 1, 0, 0, b""))
            if receipt.last >= first:
                receipts.append(receipt)
                first = receipt.last + 1
        return receipts if first > last else [*receipts, Receipt(first, last, 0, 0, b"")]

    def _body_of(self, row: TapId) -> bytes | None:
        found = self._records.execute(
            "SELECT body FROM record WHERE terminal = ? AND sequence = ?", row
        ).fetchone()
        return bytes(found[0]) if found else None

    def _has_sent(self, terminal: int) -> bool:
        query = "SELECT 1 FROM terminal WHERE terminal = ? AND sequence > 0"
        return self._records.execute(query, (terminal,)).fetchone() is not None

    def _record_of(self, row: TapId) -> AnyRecord | None:
        """A row of any terminal; None for one that has not arrived or is of newer software."""
        body = self._body_of(row)
        try:
            return None if body is None else read_record(body)
        except UnreadableRecord:
            return None

    def close(self) -> None:
        with self._lock:
            self._records.close()
            self._connection.close()


APPLICATION_ID: Final = 0x52424F4B  # "RBOK"
BOOKS_VERSION: Final = 7
CACHE_KIB: Final = 32_768
PAGE_BYTES: Final = 1_024
"""A ride of a random card changes one page of the history, whatever else it costs: so pages are small."""
WAL_PAGES: Final = 16_384
"""Pages changed again and again are written back once for so many."""

_SCHEMA: Final = (
    "CREATE TABLE made_for (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE mark (
    terminal INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, at_ms INTEGER NOT NULL, reader TEXT NOT NULL
)""",
    """CREATE TABLE watched (
    terminal INTEGER, sequence INTEGER, card BLOB NOT NULL, prev_terminal INTEGER NOT NULL,
    prev_sequence INTEGER NOT NULL, evidence INTEGER NOT NULL, end TEXT NOT NULL, received_at_ms INTEGER NOT NULL,
    PRIMARY KEY (terminal, sequence)
) WITHOUT ROWID""",
    "CREATE INDEX watched_start ON watched (card, prev_terminal, prev_sequence)",
    "CREATE INDEX watched_open ON watched (received_at_ms) WHERE end = 'unresolved'",
    """CREATE TABLE seen_early (
    terminal INTEGER, sequence INTEGER, card BLOB, PRIMARY KEY (terminal, sequence, card)
) WITHOUT ROWID""",
    """CREATE TABLE history (
    card BLOB, tmc INTEGER, terminal INTEGER, sequence INTEGER,
    prev_terminal INTEGER NOT NULL, prev_sequence INTEGER NOT NULL,
    PRIMARY KEY (card, tmc, terminal, sequence)
) WITHOUT ROWID""",
    """CREATE TABLE total (
    terminal INTEGER PRIMARY KEY, records INTEGER NOT NULL, taps INTEGER NOT NULL, accepted INTEGER NOT NULL,
    inside INTEGER NOT NULL, not_committed INTEGER NOT NULL,
    unresolved_open INTEGER NOT NULL, unresolved_settled INTEGER NOT NULL, unreadable INTEGER NOT NULL
)""",
    """CREATE TABLE proof_total (
    terminal INTEGER, proof TEXT, currency TEXT, taps INTEGER NOT NULL, charged_minor INTEGER NOT NULL,
    overstated_minor INTEGER NOT NULL, understated_minor INTEGER NOT NULL, PRIMARY KEY (terminal, proof, currency)
) WITHOUT ROWID""",
    """CREATE TABLE proof_day (
    day TEXT, terminal INTEGER, what TEXT, currency TEXT, proof TEXT, taps INTEGER NOT NULL,
    charged_minor INTEGER NOT NULL, overstated_minor INTEGER NOT NULL, understated_minor INTEGER NOT NULL,
    PRIMARY KEY (day, terminal, what, currency, proof)
) WITHOUT ROWID""",
    """CREATE TABLE unproven (
    terminal INTEGER, sequence INTEGER, proof TEXT NOT NULL, counted_minor INTEGER NOT NULL,
    PRIMARY KEY (terminal, sequence)
) WITHOUT ROWID""",
    """CREATE TABLE refusal (
    terminal INTEGER, message TEXT, count INTEGER NOT NULL, PRIMARY KEY (terminal, message)
) WITHOUT ROWID""",
    """CREATE TABLE charged (
    terminal INTEGER, currency TEXT, sum_minor INTEGER NOT NULL, PRIMARY KEY (terminal, currency)
) WITHOUT ROWID""",
    """CREATE TABLE portion (
    day TEXT, pupil BLOB, kind TEXT, at_ms INTEGER, terminal INTEGER, sequence INTEGER,
    PRIMARY KEY (day, pupil, kind, at_ms, terminal, sequence)
) WITHOUT ROWID""",
    """CREATE TABLE annulled (
    terminal INTEGER, sequence INTEGER, cash INTEGER, PRIMARY KEY (terminal, sequence, cash)
) WITHOUT ROWID""",
    """CREATE TABLE loan (
    terminal INTEGER, card_ref BLOB, day TEXT, sequence INTEGER, pupil BLOB NOT NULL,
    PRIMARY KEY (terminal, card_ref, day, sequence)
) WITHOUT ROWID""",
    """CREATE TABLE cell (
    day TEXT, terminal INTEGER, route INTEGER, school TEXT, what TEXT, currency TEXT, state TEXT, funder TEXT,
    count INTEGER NOT NULL, sum_minor INTEGER NOT NULL,
    PRIMARY KEY (day, terminal, route, school, what, currency, state, funder)
) WITHOUT ROWID""",
)


def open_books(path: Path, made_for: dict[str, str]) -> sqlite3.Connection:
    """Open the books for writing; books made for something else (another version, zone) are begun anew.

    Raises `CollectorError` for a file that is no books at all; `sqlite3.Error` is the caller's to report.
    """
    made_for = {"version": str(BOOKS_VERSION), **made_for}
    connection = connect(path)
    try:
        fit = _made_fit(connection, path, made_for)
        if fit:
            _tune(connection)
            for statement in (*PHONES_SCHEMA, *NAMES_SCHEMA):  # what phones showed is kept from here on
                connection.execute(statement)
    except BaseException:
        # At once: a connection left to the garbage collector writes to the file after its next owner has opened it.
        connection.close()
        raise
    if not fit:
        connection.close()
        return begin_anew(path, made_for)
    return connection


def _made_fit(connection: sqlite3.Connection, path: Path, made_for: dict[str, str]) -> bool:
    """Whether these are books made for just that; where there are none they are created."""
    if _is_new(connection):
        _create(connection, made_for)
        return True
    if connection.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
        raise CollectorError(
            f"{path} are not the collector's books", "Move the file away; books are made anew."
        )
    return _made_for(connection) == made_for


def _tune(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    # What a power cut takes back is booked again: the marks go back with it.
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint={WAL_PAGES}")


def begin_anew(path: Path, made_for: dict[str, str]) -> sqlite3.Connection:
    """Empty books in place of those at `path`, whose connections are closed."""
    for name in (path.name, path.name + "-wal", path.name + "-shm"):
        path.with_name(name).unlink(missing_ok=True)
    return open_books(path, made_for)


def _is_new(connection: sqlite3.Connection) -> bool:
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return bool(tables == 0)


def _made_for(connection: sqlite3.Connection) -> dict[str, str]:
    """Nothing when the file's content does not show it; a lock or a failing disk raises."""
    try:
        return dict(connection.execute("SELECT name, value FROM made_for"))
    except SQLITE_FAULTS as error:
        if not means_damage(error):
            raise
        return {}


def _create(connection: sqlite3.Connection, made_for: dict[str, str]) -> None:
    connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode=WAL")
    with transaction(connection):
        for statement in (*_SCHEMA, *DAY_ROWS_SCHEMA, *PHONES_SCHEMA, *NAMES_SCHEMA, STATES_SCHEMA):
            connection.execute(statement)
        connection.executemany("INSERT INTO made_for VALUES (?, ?)", made_for.items())
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
