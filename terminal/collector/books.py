"""The collector's books: sums, days and open ends, kept up with the records as they arrive.

The records are the truth; the books follow them in a file of their own, some rows at a time, and know how far they
have come. Where the process dies makes no difference: what was booked and the mark behind it are one transaction.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from terminal.collector import books_file
from terminal.collector.booking import Booking
from terminal.collector.books_reader import BooksReader, load_marks
from terminal.collector.clock_checks import ClockLimits, clock_findings
from terminal.collector.days import Calendar
from terminal.collector.evidence import TapId
from terminal.collector.registry import CardRegistry
from terminal.collector.store import CollectorStore, Receipt
from terminal.journal.database import transaction

BOOKS_FILE: Final = "books.db"
STRETCH_ROWS: Final = 2_000
"""So many rows are booked in one transaction; memory and the time a report waits are bounded by it."""


@dataclass(frozen=True, slots=True)
class BooksSettings:
    """Where the day's border lies, and which clocks are suspicious. Another border begins the books anew."""

    zone: str = "Europe/Moscow"
    day_ends_at: int = 3
    clocks: ClockLimits = field(default_factory=ClockLimits)


class Books(BooksReader):
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
        self._calendar = Calendar(ZoneInfo(self.settings.zone), self.settings.day_ends_at)
        self._lock = threading.Lock()
        self._last = 0
        self._newest_receipt = 0
        with self._reported():
            self._connection = books_file.open_books(path, self._made_for())
            self._records = store.reader()
            self._marks = load_marks(self._connection)
            held = dict(self._held())
            if any(mark.sequence > held.get(terminal, 0) for terminal, mark in self._marks.items()):
                # The records were put back from a copy: what was booked beyond it must not be counted.
                self._connection.close()
                self._connection = books_file.begin_anew(path, self._made_for())
                self._marks = {}
            self._behind = {
                terminal for terminal, sequence in held.items() if sequence > self._mark(terminal)
            }
            """Terminals that may have rows not booked yet; what arrives is added."""

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
        return Booking(self._connection, self._body_of, self._registry, self._calendar, self._marks)

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

    def close(self) -> None:
        with self._lock:
            self._records.close()
            self._connection.close()
