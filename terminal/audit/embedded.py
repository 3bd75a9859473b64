"""One collector's folder as a source of evidence, read beside the running collector or at rest. Nothing is written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

from terminal.audit.gathering import HeldBatch, HeldTerminal
from terminal.collector.books import BOOKS_FILE
from terminal.collector.books_reader import load_marks
from terminal.collector.day_rows import RowSpan, Word, sets_of, stretches_of, words_on
from terminal.collector.days import ServiceCalendar
from terminal.collector.enrolment import Enrolment
from terminal.collector.office import DATABASE_FILE, TERMINALS_FOLDER
from terminal.collector.store import RESTORE, connect
from terminal.errors import CollectorDamaged, CollectorError
from terminal.journal.database import SQLITE_FAULTS, means_damage, said_of

_BATCHES = (
    "SELECT first, last, envelope FROM receipt WHERE terminal = ?1 AND first <= ?3 AND last >= ?2 AND first >="
    " coalesce((SELECT max(first) FROM receipt WHERE terminal = ?1 AND first <= ?2), 0) ORDER BY first"
)


class FolderSource:
    """What a collector's folder holds, as of one moment: the one when it was opened."""

    def __init__(self, folder: Path, records: sqlite3.Connection, books: sqlite3.Connection) -> None:
        self._records = records
        self._books = books
        self._enrolment = Enrolment(folder / TERMINALS_FOLDER)
        # First the books: every row they know of is held.
        books.execute("BEGIN")
        made_for = dict(books.execute("SELECT name, value FROM made_for"))
        self._marks = load_marks(books)
        records.execute("BEGIN")
        self._calendar = ServiceCalendar(ZoneInfo(made_for["zone"]), int(made_for["day_ends_at"]))

    @property
    def calendar(self) -> ServiceCalendar:
        return self._calendar

    def terminals(self) -> list[HeldTerminal]:
        query = "SELECT terminal, sequence, stated_head, sent_at_ms FROM terminal ORDER BY terminal"
        held = {row[0]: row for row in self._records.execute(query)}
        enrolled = set(self._enrolment.numbers())
        found = []
        for number in sorted(held.keys() | enrolled):
            _, sequence, stated_head, sent_at_ms = held.get(number, (number, 0, 0, 0))
            mark = self._marks.get(number)
            booked, booked_at_ms = (mark.sequence, mark.at_ms) if mark else (0, 0)
            found.append(
                HeldTerminal(
                    number, sequence, stated_head, sent_at_ms, booked, booked_at_ms, number in enrolled
                )
            )
        return found

    def keys_of(self, terminal: int) -> list[bytes]:
        return [key.public_bytes_raw() for key in self._enrolment.keys_of(terminal)]

    def stretches(self, day: str) -> Mapping[int, list[RowSpan]]:
        return stretches_of(self._books, day)

    def words_on(self, terminal: int, stretch: RowSpan) -> Iterable[Word]:
        return words_on(self._books, terminal, stretch)

    def sets_of(self, terminal: int, stretch: RowSpan) -> list[int]:
        return sets_of(self._books, terminal, stretch)

    def batches(self, terminal: int, stretch: RowSpan) -> list[HeldBatch]:
        return [HeldBatch(*row) for row in self._records.execute(_BATCHES, (terminal, *stretch))]

    def bodies(self, terminal: int, stretch: RowSpan) -> list[bytes]:
        query = "SELECT body FROM record WHERE terminal = ? AND sequence BETWEEN ? AND ? ORDER BY sequence"
        return [bytes(body) for (body,) in self._records.execute(query, (terminal, *stretch))]


@contextmanager
def folder_source(folder: Path) -> Iterator[FolderSource]:
    """The records and books in `folder`. Raises `CollectorError`, also for what fails while it is used."""
    for name in (DATABASE_FILE, BOOKS_FILE):
        if not (folder / name).is_file():
            raise CollectorError(
                f"there is no {name} in {folder}", "Give --folder; a collector that runs makes it."
            )
    try:
        with ExitStack() as stack:
            records, books = (
                stack.enter_context(closing(connect(_read_only(folder / name), uri=True)))
                for name in (DATABASE_FILE, BOOKS_FILE)
            )
            yield FolderSource(folder, records, books)
    except SQLITE_FAULTS as error:
        if means_damage(error):
            raise CollectorDamaged(
                f"the collector's databases in {folder} are damaged: {said_of(error)}", RESTORE
            ) from error
        raise CollectorError(
            f"the collector's databases in {folder} failed: {error}", "Check the disk and its rights."
        ) from error


def _read_only(path: Path) -> str:
    return f"{path.absolute().as_uri()}?mode=ro"
