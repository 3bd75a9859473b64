"""Where exported rows come from: journals of terminals at rest, or everything a collector holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from terminal.app.config.settings import StationConfig
from terminal.app.station import journal_reader
from terminal.collector import reconcile
from terminal.collector.office import DATABASE_FILE
from terminal.collector.registry import CardRegistry
from terminal.collector.store import CollectorStore, StoredRecord
from terminal.errors import CollectorError, TerminalError
from terminal.journal.records import AnyRecord, UnreadableRecord, parse_record
from terminal.journal.taps import NOWHERE_SETTLED, End


@dataclass(frozen=True, slots=True)
class Rows:
    """One terminal's records in order, by row, and what others know of its taps."""

    terminal: int
    rows: Iterable[tuple[int, AnyRecord]]
    settled: Mapping[int, End]


@dataclass(frozen=True, slots=True)
class Sources:
    """The folders of terminals (that of `at` when none is given), or of one collector. The keys of `at` open the
    terminals' sealed journals.
    """

    at: StationConfig
    states: list[Path] | None
    collector: Path | None

    def journals(self) -> Iterator[Rows]:
        """Terminal after terminal; a row of newer software is passed over.

        Raises `TerminalError` when both are given, `JournalError` or `CollectorError` when there is nothing to read.
        """
        if self.collector is not None and self.states:
            raise TerminalError("--state and --collector exclude each other", "Give one of them.")
        if self.collector is not None:
            yield from _held_by(self.collector)
            return
        for state in self.states or [self.at.terminal.state]:
            with journal_reader(state, self.at.keys.file) as reader:
                rows = ((row.sequence, row.body) for row in reader.all_rows())
                yield Rows(reader.state().terminal, _readable(rows), NOWHERE_SETTLED)


def _held_by(folder: Path) -> Iterator[Rows]:
    database = folder / DATABASE_FILE
    if not database.exists():
        raise CollectorError(f"no collector has run in {folder}", "Give --collector a collector's folder.")
    store = CollectorStore(database)
    try:
        settled: dict[int, dict[int, End]] = {}
        for (terminal, sequence), end in reconcile.ends(store.records(), CardRegistry()).items():
            settled.setdefault(terminal, {})[sequence] = end
        for terminal, records in groupby(store.records(), key=_terminal_of):
            rows = ((record.sequence, record.body) for record in records)
            yield Rows(terminal, _readable(rows), settled.get(terminal, {}))
    finally:
        store.close()


def _terminal_of(record: StoredRecord) -> int:
    return record.terminal


def _readable(rows: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, AnyRecord]]:
    for sequence, body in rows:
        try:
            yield sequence, parse_record(body)
        except UnreadableRecord:
            continue
