"""Months of settlement. A month is stated from the records as they are; once closed, its statement stays as it was.

What becomes known of a stated day later (rows that come late, a tap of unknown end that is settled, a proof) is stated
with the next month, as a correction: what the records say of the day now, less what was stated of it so far. So all
statements together are always what the records say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import date, timedelta
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from terminal.collector import stated
from terminal.collector.books import BOOKS_FILE
from terminal.collector.books_reader import BooksReader
from terminal.collector.settlement.carriers import CarrierBook, carriers_in
from terminal.collector.settlement.legs import HeldLegs, held_legs
from terminal.collector.settlement.lines import LineKey, LineNumbers, SettledLines, day_lines
from terminal.collector.stated import ClosedMonth
from terminal.collector.store import CollectorStore
from terminal.journal.taps import JournalTap

MONTH: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])", re.ASCII)
KEPT_DAYS: Final = 100
"""Days whose lines a running collector keeps at hand."""
JOURNEY_DAYS: Final = 2
"""A journey lasts 36 hours at most, so what a day comes to depends on so many days before it."""


class Hindrance(StrEnum):
    """Why a month cannot be closed."""

    NOT_OVER = "not_over"
    CLOSED_ALREADY = "closed_already"
    NOT_BOOKED = "not_booked"
    """Rows are held that are not in the books, so they are in no statement."""


class StatementLine(NamedTuple):
    """One line of a month. `earlier`: its day lies before the month, so it corrects or completes what was stated."""

    day: str
    key: LineKey
    numbers: LineNumbers
    earlier: bool


class CarrierStatement(NamedTuple):
    """The statement of a month. `closed` is when it was fixed; None: made from the records as they are now."""

    month: str
    carriers: str
    lines: list[StatementLine]
    closed: ClosedMonth | None
    states: dict[str, bytes]

    @property
    def digest(self) -> bytes:
        """SHA-256 of what it says."""
        said = [_stored(line) for line in self.lines]
        return sha256(msgspec.json.encode((self.month, self.carriers, said))).digest()


class CarrierMonths:
    """The settlement of one collector's folder, whether the collector runs or not. Its methods raise `CollectorError`
    or `CarriersError`.
    """

    def __init__(self, folder: Path, store: CollectorStore) -> None:
        self._folder = folder
        self._books = folder / BOOKS_FILE
        self._store = store
        self._kept: dict[str, tuple[bytes, SettledLines]] = {}

    @property
    def carriers(self) -> CarrierBook:
        """The carriers document as it is now."""
        return carriers_in(self._folder)

    def months(self) -> list[tuple[str, ClosedMonth | None]]:
        """The months with any rows, and the closed ones, the newest first."""
        with self._held() as held:
            found = {day[:7] for day in held.days() if MONTH.match(day)}
        with self._store.changing() as connection:
            closed = {one.month: one for one in stated.closed_months(connection)}
        return [(month, closed.get(month)) for month in sorted(found | closed.keys(), reverse=True)]

    def day(self, day: str) -> SettledLines:
        """A service day as the records are now."""
        book = self.carriers
        with self._held() as held:
            return self._day(held, day, self._state(held, day, book), book)

    def month(self, month: str) -> CarrierStatement:
        """The statement of a month ("2026-09")."""
        with self._store.changing() as connection:
            closed = {one.month: one for one in stated.closed_months(connection)}
            before, known = stated.day_states(connection), {}
            if month in closed:
                return _as_closed(closed[month], stated.lines_stated(connection, month=month))
            for day in before:
                known[day] = _summed(stated.lines_stated(connection, day=day))
        return self._open(month, before, known)

    def _open(self, month: str, before: dict[str, bytes], known: dict[str, SettledLines]) -> CarrierStatement:
        book, last, states = self.carriers, _last_day(month), {}
        lines: list[StatementLine] = []
        with self._held() as held:
            for day in held.days():
                if day > last and MONTH.match(day):
                    continue
                state = self._state(held, day, book)
                if before.get(day) == state:
                    continue
                states[day] = state
                now = self._day(held, day, state, book)
                lines += _difference(month, day, now, known.get(day, {}))
        return CarrierStatement(month, book.version, lines, None, states)

    def rides(self, month: str) -> Iterator[JournalTap]:
        """Every ride and sale of a month's days, as the records are now."""
        with self._held() as held:
            for day in held.days():
                if day[:7] == month:
                    yield from held.taps(day)

    def hindrance(self, month: str, now_ms: int) -> Hindrance | None:
        """Why a month cannot be closed now."""
        with self._store.changing() as connection:
            if any(one.month >= month for one in stated.closed_months(connection)):
                return Hindrance.CLOSED_ALREADY
        with self._held() as held:
            if held.calendar.day_of(now_ms)[:7] <= month:
                return Hindrance.NOT_OVER
        return Hindrance.NOT_BOOKED if BooksReader(self._books, self._store).behind() else None

    def close(self, statement: CarrierStatement, by: str, at_ms: int) -> bool:
        """Fix a statement made from the records; False where its month, or a later one, is closed already."""
        with self._store.changing() as connection:
            months = [one.month for one in stated.closed_months(connection)]
            if statement.closed is not None or any(month >= statement.month for month in months):
                return False
            closed = ClosedMonth(statement.month, at_ms, by, statement.carriers, statement.digest)
            lines = [_stored(line) for line in statement.lines]
            stated.close(connection, closed, lines, statement.states.items())
        return True

    def _held(self) -> AbstractContextManager[HeldLegs]:
        return held_legs(self._books, self._store)

    def _state(self, held: HeldLegs, day: str, book: CarrierBook) -> bytes:
        """The same as long as the day's lines can only be the same."""
        days = [day]
        if MONTH.match(day):
            first = date.fromisoformat(day)
            days += [(first - timedelta(days=ago)).isoformat() for ago in range(1, JOURNEY_DAYS + 1)]
        return sha256(b"".join((book.digest, *(held.state_of(one) for one in days)))).digest()

    def _day(self, held: HeldLegs, day: str, state: bytes, book: CarrierBook) -> SettledLines:
        kept = self._kept.get(day)
        if kept is not None and kept[0] == state:
            return kept[1]
        lines = day_lines(held.day(day), held.leg, book)
        while len(self._kept) >= KEPT_DAYS:
            self._kept.pop(next(iter(self._kept)))
        self._kept[day] = state, lines
        return lines


def added(lines: Iterable[StatementLine], key_of: Callable[[StatementLine], LineKey]) -> SettledLines:
    """The lines added up by what `key_of` leaves of their keys, in order."""
    sums: SettledLines = {}
    for line in lines:
        sums.setdefault(key_of(line), LineNumbers()).add(line.numbers)
    return dict(sorted(sums.items()))


def _difference(month: str, day: str, now: SettledLines, before: SettledLines) -> Iterable[StatementLine]:
    for key in sorted(now.keys() | before.keys()):
        numbers = LineNumbers()
        numbers.add(now.get(key, LineNumbers()))
        numbers.add(before.get(key, LineNumbers()), -1)
        if numbers:
            yield StatementLine(day, key, numbers, earlier=day[:7] != month)


def _summed(rows: Iterable[stated.StoredLine]) -> SettledLines:
    sums: SettledLines = {}
    for row in rows:
        line = _line("", row)
        sums.setdefault(line.key, LineNumbers()).add(line.numbers)
    return sums


def _as_closed(closed: ClosedMonth, rows: Iterable[stated.StoredLine]) -> CarrierStatement:
    lines = [_line(closed.month, row) for row in rows]
    return CarrierStatement(closed.month, closed.carriers, lines, closed, {})


def _line(month: str, row: stated.StoredLine) -> StatementLine:
    day, *rest = row
    key = msgspec.convert(rest[:5], LineKey)
    numbers = LineNumbers(**dict(zip(stated.NUMBERS, msgspec.convert(rest[5:], list[int]), strict=True)))
    return StatementLine(str(day), key, numbers, earlier=str(day)[:7] != month)


def _stored(line: StatementLine) -> stated.StoredLine:
    return (line.day, *line.key, *(getattr(line.numbers, name) for name in stated.NUMBERS))


def _last_day(month: str) -> str:
    return f"{month}-31"
