"""What a collector's folder holds, for commands, whether the collector runs or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from terminal.collector.books import BOOKS_FILE
from terminal.collector.books_reader import BooksReader
from terminal.collector.enrolment import Enrolment
from terminal.collector.office import DATABASE_FILE, TERMINALS_FOLDER
from terminal.collector.store import CollectorStore
from terminal.collector.views import OperatorViews
from terminal.collector.watch import WatchLimits
from terminal.errors import CollectorError


@contextmanager
def views_of(folder: Path) -> Iterator[OperatorViews]:
    """Store, books and keys of a collector's folder. Raises `CollectorError`."""
    for name in (DATABASE_FILE, BOOKS_FILE):
        if not (folder / name).is_file():
            raise CollectorError(
                f"there is no {name} in {folder}", "Give --folder; a collector that runs makes it."
            )
    store = CollectorStore(folder / DATABASE_FILE)
    try:
        books = BooksReader(folder / BOOKS_FILE, store)
        yield OperatorViews(store, books, Enrolment(folder / TERMINALS_FOLDER), WatchLimits().silent_ms)
    finally:
        store.close()
