"""The collector's books: sums, days and open ends, kept up with the records as they arrive.

The records are the truth; the books follow them in a file of their own, some rows at a time, and know how far they
have come. Where the process dies makes no difference: what was booked and the mark behind it are one transaction.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from terminal.collector import books_file
from terminal.collector.booking import Booking, Mark
from terminal.collector.clock_checks import ClockLimits, clock_findings
from terminal.collector.days import By, Calendar, DaySum, FilledCell, day_sums
from terminal.collector.evidence import TapId
from terminal.collector.registry import CardRegistry
from terminal.collector.store import CollectorStore, Receipt, connect
from terminal.collector.totals import Totals
from terminal.errors import CollectorError
from terminal.journal.database import transaction

BOOKS_FILE: Final = "books.db"
STRETCH_ROWS: Final = 2_000
"""So many rows are booked in one transaction; memory and the time a report waits are bounded by it."""

# By skipping from day to day in the index, however many cells a day has.
_DAYS: Final = """
WITH RECURSIVE days(day) AS (
    SELECT max(day) FROM cell UNION ALL
    SELECT (SELECT max(day) FROM cell WHERE cell.day < days.day) FROM days WHERE day IS NOT NULL
) SELECT day FROM days WHERE day IS NOT NULL LIMIT ?
"""
_NAMED: Final = {
    By.TERMINAL: "terminal",
    By.ROUTE: "route",
    By.SCHOOL: "school",
    By.FUNDER: "funder",
}


@dataclass(frozen=True, slots=True)
class BooksSettings:
    """Where the day's border lies, and which clocks are suspicious. Another border begins the books anew."""

    zone: str = "Europe/Moscow"
    day_ends_at: int = 3
    clocks: ClockLimits = field(default_factory=ClockLimits)


class OpenTap(NamedTuple):
    """A tap of unknown end, and when it arrived."""

    terminal: int
    sequence: int
    received_at_ms: int


class Books:
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
        self._path = path
        self._store = store
        self._registry = registry
        self._calendar = Calendar(ZoneInfo(self.settings.zone), self.settings.day_ends_at)
        self._lock = threading.Lock()
        self._last = 0
        self._newest_receipt = 0
        with self._reported():
            self._connection = books_file.open_books(path, self._made_for())
            self._records = store.reader()
            self._marks = self._load_marks()
            held = dict(self._held())
            if any(mark.sequence > held.get(terminal, 0) for terminal, mark in self._marks.items()):
                # The records were put back from a copy: what was booked beyond it must not be counted.
                self._connection.close()
                self._connection = books_file.begin_anew(path, self._made_for())
                self._marks = {}

    def _made_for(self) -> dict[str, str]:
        return {"zone": self.settings.zone, "day_ends_at": str(self.settings.day_ends_at)}

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
                for terminal, _ in news:
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

    def behind(self) -> int:
        """How many rows are held and not booked yet."""
        with self._lock, self._reported():
            return sum(held - self._mark(terminal) for terminal, held in self._news())

    def _begin(self) -> Booking:
        self._newest_receipt = 0
        return Booking(self._connection, self._body_of, self._registry, self._calendar, self._marks)

    def _held(self) -> list[tuple[int, int]]:
        return self._records.execute("SELECT terminal, sequence FROM terminal ORDER BY terminal").fetchall()

    def _news(self) -> list[tuple[int, int]]:
        """Terminals with rows not booked yet, those after the last one served first."""
        news = [(terminal, held) for terminal, held in self._held() if held > self._mark(terminal)]
        return sorted(news, key=lambda item: (item[0] <= self._last, item[0]))

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
            part = [row for row in rows if receipt.first <= row[0] <= receipt.last]
            if not part:
                continue
            records = booking.book(terminal, part, receipt.received_at_ms)
            found, mark.at_ms = clock_findings(terminal, records, receipt, mark.at_ms, self.settings.clocks)
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

    def _load_marks(self) -> dict[int, Mark]:
        rows = self._connection.execute("SELECT terminal, sequence, at_ms, reader FROM mark")
        return {terminal: Mark(sequence, at_ms, reader) for terminal, sequence, at_ms, reader in rows}

    # What the books say

    def totals(self) -> dict[int, Totals]:
        """Counts and money of each terminal, as far as booked."""
        names = [name for name in Totals.__slots__ if name != "refused"]
        with self._reading() as reader:
            query = f"SELECT terminal, {', '.join(names)} FROM total ORDER BY terminal"  # noqa: S608 our names
            totals = {
                row[0]: Totals(**dict(zip(names, row[1:], strict=True))) for row in reader.execute(query)
            }
            for terminal, message, count in reader.execute("SELECT terminal, message, count FROM refusal"):
                totals[terminal].refused[message] = count
        return totals

    def marks(self) -> dict[int, Mark]:
        """How far each terminal is booked, and what was last noticed there."""
        with self._lock:
            return {terminal: replace(mark) for terminal, mark in self._marks.items()}

    def open_taps(self, received_before_ms: int | None = None, limit: int = 1_000) -> list[OpenTap]:
        """Taps of unknown end, the oldest first; only those that arrived before a moment, if one is given."""
        query = (
            "SELECT terminal, sequence, received_at_ms FROM watched WHERE end = 'open'"
            " AND received_at_ms < ? ORDER BY received_at_ms LIMIT ?"
        )
        before = (1 << 62) if received_before_ms is None else received_before_ms
        with self._reading() as reader:
            return [OpenTap(*row) for row in reader.execute(query, (before, limit))]

    def days(self, limit: int = 31) -> list[str]:
        """The newest service days with anything in them, the newest first."""
        with self._reading() as reader:
            return [day for (day,) in reader.execute(_DAYS, (limit,))]

    def day(self, day: str, by: By) -> list[DaySum]:
        """The sums of a service day. Its cost grows with the terminals of that day, not with the records held."""
        name = _NAMED[by]
        query = (
            f"SELECT {name}, what, state, funder = '', sum(count), sum(sum_minor) FROM cell WHERE day = ?"  # noqa: S608
            f" GROUP BY {name}, what, state, funder = '' ORDER BY {name}"
        )
        with self._reading() as reader:
            cells = [
                FilledCell(str(row[0]), row[1], row[2], bool(row[3]), row[4], row[5])
                for row in reader.execute(query, (day,))
            ]
        return day_sums(cells, by)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with (
            self._reported(),
            closing(connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)) as reader,
        ):
            yield reader

    def close(self) -> None:
        with self._lock:
            self._records.close()
            self._connection.close()

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise CollectorError(
                f"the collector's books {self._path} failed: {error}",
                "Check the disk. The records are safe; books that are deleted are made again from them.",
            ) from error
