"""The audit of one day: what it costs, and whether that stays so as history grows behind it.

Days of 20 000 records of 50 terminals each, booked as a collector books them; the second day is audited when little is
held and again when much is. Costs are CPU seconds of this process and rows read from the database.

`python -m bench.audit 10000000` measures the growth to so many records (most of an hour and some 4 GB of disk).
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, cast

from bench.collector import BATCH, KEY, Bench, Fleet
from bench.result import Result, at_least, at_most
from terminal.audit.embedded import FolderSource, folder_source
from terminal.audit.gathering import DaySource
from terminal.audit.making import AuditOrder, make_audit
from terminal.collector.day_rows import RowSpan
from terminal.collector.registry import CardRegistry
from terminal.recompute.documents import DocumentFolder

TERMINALS: Final = 50
CARDS: Final = 20_000
DAY_RECORDS: Final = 20_000
DAY_MS: Final = 24 * 3600 * 1000
LITTLE: Final = 3 * DAY_RECORDS
MUCH: Final = 200_000
MADE_AT_MS: Final = 1_790_000_000_000


class Days(Fleet):
    """The same fleet, one day after another."""

    def day(self) -> Iterator[bytes]:
        """The batches of the next day."""
        began_ms = self._at_ms
        yield from self.batches(DAY_RECORDS)
        self._at_ms = began_ms + DAY_MS


def of_one_day(records: int = MUCH) -> Iterator[Result]:
    """What an audit costs with little and with much held, and what each of its records costs."""
    with tempfile.TemporaryDirectory(prefix="bench-audit-") as name, closing(Bench(Path(name))) as bench:
        fleet, folder, held = Days(1, TERMINALS, CARDS), Path(name), 0
        held = _fill(bench, fleet, held, LITTLE)
        day = bench.books.days()[-2]
        little_s, little_rows = _audited(folder, day)
        held = _fill(bench, fleet, held, records)
        much_s, much_rows = _audited(folder, day)
    note = f"CPU of the audit of a day of {DAY_RECORDS} records with {held} held to one with {LITTLE} held"
    yield at_most("audit_growth", much_s / little_s, "times", 1.2, note)
    note = (
        f"rows read: {much_rows}; one tap in a hundred is settled by a later batch, when its card comes back"
    )
    yield at_most("audit_rows_growth", much_rows / little_rows, "times", 1.3, note)
    yield at_least("audit_records", DAY_RECORDS / much_s, "records/s", 5_000, "CPU of one core")


def _fill(bench: Bench, fleet: Days, held: int, records: int) -> int:
    while held < records:
        bench.take(list(fleet.day()))
        held += DAY_RECORDS
        if records > MUCH and held % 500_000 < DAY_RECORDS:  # a long run says where it is
            print(f"{held} of {records} records", file=sys.stderr, flush=True)
    return held


def _audited(folder: Path, day: str) -> tuple[float, int]:
    """CPU seconds in the fastest of three runs, and the rows read."""
    seconds, rows = [], 0
    for _ in range(3):
        with folder_source(folder) as source:
            counting, start = _Counting(source), time.process_time()
            documents = DocumentFolder(folder / "documents")
            make_audit(cast(DaySource, counting), AuditOrder(day), documents, CardRegistry(), KEY, MADE_AT_MS)
            seconds.append(time.process_time() - start)
            rows = counting.rows
    assert rows >= DAY_RECORDS
    return min(seconds), rows


class _Counting:
    """A source that counts the rows it is asked for."""

    def __init__(self, source: FolderSource) -> None:
        self._source = source
        self.rows = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._source, name)

    def bodies(self, terminal: int, stretch: RowSpan) -> list[bytes]:
        found = self._source.bodies(terminal, stretch)
        self.rows += len(found)
        return found


if __name__ == "__main__":
    for result in of_one_day(int(sys.argv[1]) if sys.argv[1:] else MUCH):
        result.print()
    print(f"batches of {BATCH} records", file=sys.stderr)
