"""What the books say, asked through a connection that only reads: beside the process that keeps them, or at rest."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from terminal.collector.booking import Mark
from terminal.collector.card_names import references
from terminal.collector.days import By, DaySum, FilledCell, ServiceCalendar, day_sums, proof_sums
from terminal.collector.store import CollectorStore, read_only
from terminal.collector.terminal_states import states_of
from terminal.collector.totals import COUNTS, ProofSum, Totals
from terminal.errors import CollectorDamaged, CollectorError
from terminal.journal.database import SQLITE_FAULTS, means_damage, said_of

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


class OpenTap(NamedTuple):
    """A tap of unknown end, and when it arrived."""

    terminal: int
    sequence: int
    received_at_ms: int


class BooksReader:
    """The books of one store. Every method raises `CollectorError` when they cannot be read."""

    def __init__(self, path: Path, store: CollectorStore) -> None:
        self._path = path
        self._store = store

    @property
    def path(self) -> Path:
        return self._path

    def totals(self) -> dict[int, Totals]:
        """Counts and money of each terminal, as far as booked."""
        with self._reading() as reader:
            query = f"SELECT terminal, {', '.join(COUNTS)} FROM total ORDER BY terminal"  # noqa: S608 our names
            totals = {
                row[0]: Totals(**dict(zip(COUNTS, row[1:], strict=True))) for row in reader.execute(query)
            }
            for terminal, message, count in reader.execute("SELECT terminal, message, count FROM refusal"):
                totals[terminal].refused[message] = count
            for terminal, currency, sum_minor in reader.execute(
                "SELECT terminal, currency, sum_minor FROM charged WHERE sum_minor"
            ):
                totals[terminal].charged_minor[currency] = sum_minor
            for terminal, proof, currency, *numbers in reader.execute(
                "SELECT * FROM proof_total WHERE taps ORDER BY terminal, proof, currency"
            ):
                totals[terminal].proofs.setdefault(proof, {})[currency] = ProofSum(*numbers)
        return totals

    def states(self) -> dict[int, dict[str, str]]:
        """What the newest rows of each terminal say of it (`terminal.collector.terminal_states`)."""
        with self._reading() as reader:
            return states_of(reader)

    def marks(self) -> dict[int, Mark]:
        """How far each terminal is booked, and what was last noticed there."""
        with self._reading() as reader:
            return load_marks(reader)

    def behind(self) -> int:
        """How many rows are held and not booked yet."""
        held = sum(state.rows for state in self._store.terminals())
        with self._reading() as reader:
            (booked,) = reader.execute("SELECT coalesce(sum(records), 0) FROM total").fetchone()
        return max(0, held - int(booked))

    def open_taps(self, received_before_ms: int | None = None, limit: int = 1_000) -> list[OpenTap]:
        """Taps of unknown end, the oldest first; only those that arrived before a moment, if one is given."""
        query = (
            "SELECT terminal, sequence, received_at_ms FROM watched WHERE end = 'unresolved'"
            " AND received_at_ms < ? ORDER BY received_at_ms LIMIT ?"
        )
        before = (1 << 62) if received_before_ms is None else received_before_ms
        with self._reading() as reader:
            return [OpenTap(*row) for row in reader.execute(query, (before, limit))]

    def days(self, limit: int = 31) -> list[str]:
        """The newest service days with anything in them, the newest first."""
        with self._reading() as reader:
            return [day for (day,) in reader.execute(_DAYS, (limit,))]

    def references(self, card_ref: bytes) -> frozenset[bytes]:
        """All references of a card that the registry knows, `card_ref` among them: it is looked for under each."""
        with self._reading() as reader:
            return references(reader, card_ref)

    def calendar(self) -> ServiceCalendar:
        """The service days the books are kept by."""
        with self._reading() as reader:
            made_for = dict(reader.execute("SELECT name, value FROM made_for"))
        return ServiceCalendar(ZoneInfo(made_for["zone"]), int(made_for["day_ends_at"]))

    def newest_day(self, now_ms: int) -> str | None:
        """The newest service day with anything in it that has begun at `now_ms`: a later one comes from a clock that
        was ahead."""
        today = self.calendar().day_of(now_ms)
        with self._reading() as reader:
            (newest,) = reader.execute("SELECT max(day) FROM cell WHERE day <= ?", (today,)).fetchone()
        return None if newest is None else str(newest)

    def day(self, day: str, by: By) -> list[DaySum]:
        """The sums of a service day. Its cost grows with the terminals of that day, not with the records held."""
        if by is By.PROOF:
            return self._day_by_proof(day)
        name = _NAMED[by]
        query = (
            f"SELECT {name}, currency, what, state, funder = '', sum(count), sum(sum_minor) FROM cell"  # noqa: S608
            f" WHERE day = ? GROUP BY {name}, currency, what, state, funder = '' ORDER BY {name}, currency"
        )
        with self._reading() as reader:
            cells = [
                FilledCell(str(row[0]), row[1], row[2], row[3], bool(row[4]), row[5], row[6])
                for row in reader.execute(query, (day,))
            ]
        return day_sums(cells, by)

    def _day_by_proof(self, day: str) -> list[DaySum]:
        query = (
            "SELECT proof, currency, what, sum(taps), sum(charged_minor), sum(overstated_minor),"
            " sum(understated_minor) FROM proof_day WHERE day = ? GROUP BY proof, currency, what HAVING sum(taps)"
            " ORDER BY proof, currency"
        )
        with self._reading() as reader:
            return proof_sums(reader.execute(query, (day,)))

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with (
            self._reported(),
            closing(read_only(self._path)) as reader,
        ):
            yield reader

    def _reported(self) -> AbstractContextManager[None]:
        return books_failures(self._path)


@contextmanager
def books_failures(path: Path) -> Iterator[None]:
    """What SQLite says against the books at `path`, as a `CollectorError`."""
    try:
        yield
    except SQLITE_FAULTS as error:
        if means_damage(error):
            raise CollectorDamaged(
                f"the collector's books {path} are damaged: {said_of(error)}",
                "Stop the collector and delete them: they are made again from the records. "
                "If it comes again, `terminal collector backup` checks the records themselves.",
            ) from error
        raise CollectorError(
            f"the collector's books {path} failed: {error}",
            "Check the disk. The records are safe; books that are deleted are made again from them.",
        ) from error


class FollowingBooks(BooksReader):
    """Books that are kept up with the records as they arrive, here or in a process beside."""

    def catch_up(self) -> int:
        """Book more; how many rows it was, 0 when there is nothing left to do here. Raises `CollectorError`."""
        raise NotImplementedError

    def catch_up_with(self, seconds: float, monotonic: Callable[[], float]) -> None:
        """Return when everything is booked or the time is over."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


def load_marks(connection: sqlite3.Connection) -> dict[int, Mark]:
    """How far each terminal is booked."""
    rows = connection.execute("SELECT terminal, sequence, at_ms, reader FROM mark")
    return {terminal: Mark(sequence, at_ms, reader) for terminal, sequence, at_ms, reader in rows}


def made_for(path: Path) -> dict[str, str]:
    """What the days of the books at `path` are made for, by `zone` and `day_ends_at`; empty where there are none."""
    if not path.is_file():
        return {}
    try:
        with closing(read_only(path)) as reader:
            return dict(reader.execute("SELECT name, value FROM made_for"))
    except SQLITE_FAULTS:
        return {}  # the books say so themselves where they are asked for sums
