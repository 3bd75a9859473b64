"""Where the rows of a service day stand: for each day and terminal the stretches of its journal, and for each row that
later ones say something about, where those are.

A row that states a fact of a day (a tap, a sale, a meal) begins a stretch of that day when the stretch in hand is of
another; every other row belongs to the stretch it follows. An ordinary day of a terminal is one stretch, whatever the
clock of another terminal says. Rows are read here once, as they are booked, and a day is found without its history:

    day_rows    day, terminal -> rows `first` to `last`
    day_at      the stretch in hand of each terminal
    day_opened  intents without a word of their terminal that they came true; `denied`: its first word was that not
    day_late    a row outside its stretch that ends an intent or takes a meal or sale back
    day_shown   another row that found the event of such an intent on a card: it came true
    day_set     where the region document that decisions are made from changed
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from terminal.codes import SetKind
from terminal.collector.days import ServiceCalendar
from terminal.collector.evidence import OFFICE
from terminal.journal.canteen_records import Annulment, BuffetSale, CardLent, MealServed
from terminal.journal.console_records import SaleCancelled
from terminal.journal.operation_records import SetActivated
from terminal.journal.records import AnyRecord, CashSale, Committed, Intent, NotCommitted, Unwritten
from terminal.journal.taps import TapId

SCHEMA: Final = (
    """CREATE TABLE day_rows (
    day TEXT, terminal INTEGER, first INTEGER, last INTEGER NOT NULL, PRIMARY KEY (day, terminal, first)
) WITHOUT ROWID""",
    "CREATE TABLE day_at (terminal INTEGER PRIMARY KEY, day TEXT NOT NULL, first INTEGER NOT NULL)",
    """CREATE TABLE day_opened (
    terminal INTEGER, sequence INTEGER, denied INTEGER NOT NULL, PRIMARY KEY (terminal, sequence)
) WITHOUT ROWID""",
    """CREATE TABLE day_late (
    terminal INTEGER, sequence INTEGER, by INTEGER, PRIMARY KEY (terminal, sequence, by)
) WITHOUT ROWID""",
    """CREATE TABLE day_shown (
    terminal INTEGER, sequence INTEGER, by_terminal INTEGER, by_sequence INTEGER,
    PRIMARY KEY (terminal, sequence, by_terminal, by_sequence)
) WITHOUT ROWID""",
    "CREATE TABLE day_set (terminal INTEGER, sequence INTEGER, PRIMARY KEY (terminal, sequence)) WITHOUT ROWID",
)

_SHOWN_EARLY: Final = "INSERT INTO day_shown VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
_SHOWN_OF_OPENED: Final = (
    "INSERT INTO day_shown SELECT ?1, ?2, ?3, ?4 WHERE EXISTS"
    " (SELECT 1 FROM day_opened WHERE terminal = ?1 AND sequence = ?2) ON CONFLICT DO NOTHING"
)
_NOT_NEEDED: Final = (
    "DELETE FROM day_shown WHERE terminal = ?1 AND sequence BETWEEN ?2 AND ?3 AND NOT EXISTS (SELECT 1 FROM day_opened"
    " WHERE day_opened.terminal = ?1 AND day_opened.sequence = day_shown.sequence)"
)


_ENDS: Final = (Committed, NotCommitted)


class RowSpan(NamedTuple):
    """Rows `first` to `last` of one terminal."""

    first: int
    last: int


class Word(NamedTuple):
    """Row `by` says how the tap, meal or sale in row `of` ended: of the same terminal by what it states, `shown` by the
    event that it found on a card."""

    of: TapId
    by: TapId
    shown: bool


def day_of(record: AnyRecord, calendar: ServiceCalendar) -> str | None:
    """The service day of what a record states; None for one that states nothing of a day by itself."""
    match record:
        case Intent():
            return calendar.day_of(record.at_ms) if record.meal is None else record.meal.day
        case MealServed():
            return record.meal.day
        case BuffetSale() | CardLent():
            return record.day
        case Unwritten() | CashSale():
            return calendar.day_of(record.at_ms)
        case _:
            return None


class DayRows:
    """Notes rows within the caller's transaction; `finish` writes what was noted. Not used again after an error."""

    def __init__(
        self, connection: sqlite3.Connection, calendar: ServiceCalendar, reached: Callable[[int], int]
    ) -> None:
        """`reached` is the newest row of a terminal that was noted before."""
        self._connection = connection
        self._calendar = calendar
        self._reached = reached
        self._at: dict[int, tuple[str, int, int]] = {}
        self._stretches: dict[tuple[str, int, int], int] = {}
        self._opened: list[tuple[int, int, bool]] = []
        self._denied: list[TapId] = []
        self._closed: set[TapId] = set()
        self._late: list[tuple[int, int, int]] = []
        self._early: list[tuple[int, int, int, int]] = []
        self._found: list[tuple[int, int, int, int]] = []
        self._sets: list[TapId] = []
        self._taken: list[tuple[int, int, int]] = []

    def take(
        self,
        terminal: int,
        span: RowSpan,
        records: Sequence[tuple[int, AnyRecord]],
        ended: Container[TapId] = frozenset(),
    ) -> None:
        """Note rows that follow those noted before; `records` are those of them that can be read. Taps known to
        have come true by the first word of their terminal are `ended`.
        """
        day, first, _ = self._at.get(terminal) or self._load(terminal)
        words: dict[int, Committed | NotCommitted] = {}
        for _, record in records:
            if isinstance(record, _ENDS):
                words.setdefault(record.intent, record)
        for sequence, record in records:
            if isinstance(record, _ENDS):
                self._end(terminal, sequence, record, first, span, words)
                continue
            other = day_of(record, self._calendar)
            if other is not None and other != day:
                self._keep(terminal, day, first, sequence - 1)
                day, first = other, sequence
            self._note(terminal, sequence, record, first, words, ended)
        self._at[terminal] = (day, first, span.last)
        self._keep(terminal, day, first, span.last)
        self._taken.append((terminal, *span))

    def _load(self, terminal: int) -> tuple[str, int, int]:
        query = "SELECT day, first FROM day_at WHERE terminal = ?"
        found = self._connection.execute(query, (terminal,)).fetchone()
        return (found[0], found[1], self._reached(terminal)) if found else ("", 1, 0)

    def _keep(self, terminal: int, day: str, first: int, last: int) -> None:
        if last >= first:
            self._stretches[day, terminal, first] = last

    def _note(
        self,
        terminal: int,
        sequence: int,
        record: AnyRecord,
        first: int,
        words: Mapping[int, Committed | NotCommitted],
        ended: Container[TapId],
    ) -> None:
        match record:
            case Intent():
                word = words.get(sequence)
                if not isinstance(word, Committed):
                    self._opened.append((terminal, sequence, word is not None))
                event = record.prev_terminal, record.prev_sequence
                if event not in ended or event in self._closed:
                    self._see((terminal, sequence), event)
            case Unwritten() if record.card_ref is not None:
                self._see((terminal, sequence), (record.prev_terminal, record.prev_sequence))
            case Annulment() if record.of < first:
                self._late.append((terminal, record.of, sequence))
            case SaleCancelled() if record.sale < first:
                self._late.append((terminal, record.sale, sequence))
            case SetActivated() if record.kind == SetKind.REGION:
                self._sets.append((terminal, sequence))
            case _:
                pass

    def _end(
        self,
        terminal: int,
        sequence: int,
        record: Committed | NotCommitted,
        first: int,
        span: RowSpan,
        words: Mapping[int, Committed | NotCommitted],
    ) -> None:
        if words[record.intent] is record:
            if not isinstance(record, Committed):
                self._denied.append((terminal, record.intent))
            elif not span.first <= record.intent <= span.last:  # of these rows it was never opened
                self._closed.add((terminal, record.intent))
        if record.intent < first:
            self._late.append((terminal, record.intent, sequence))

    def _see(self, row: TapId, event: TapId) -> None:
        """`row` found `event` on the card."""
        if event[0] == OFFICE:
            return  # it has no rows
        if event[1] > self._reached(event[0]):
            self._early.append((*event, *row))
        else:
            self._found.append((*event, *row))

    def finish(self) -> None:
        """Write what was noted."""
        many = self._connection.executemany
        many(
            "INSERT INTO day_rows VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET last = excluded.last",
            [(*stretch, last) for stretch, last in self._stretches.items()],
        )
        many(
            "INSERT INTO day_at VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET day = excluded.day, first = excluded.first",
            [(terminal, day, first) for terminal, (day, first, _) in self._at.items()],
        )
        many("INSERT INTO day_opened VALUES (?, ?, ?) ON CONFLICT DO NOTHING", self._opened)
        many(_SHOWN_EARLY, self._early)
        many(_SHOWN_OF_OPENED, self._found)
        many("UPDATE day_opened SET denied = 1 WHERE terminal = ? AND sequence = ?", self._denied)
        many("DELETE FROM day_opened WHERE terminal = ? AND sequence = ? AND NOT denied", self._closed)
        many("INSERT INTO day_late VALUES (?, ?, ?) ON CONFLICT DO NOTHING", self._late)
        many("INSERT INTO day_set VALUES (?, ?) ON CONFLICT DO NOTHING", self._sets)
        many(_NOT_NEEDED, self._taken)


def stretches_of(connection: sqlite3.Connection, day: str) -> dict[int, list[RowSpan]]:
    """Where the rows of a day stand, by terminal and row."""
    found: dict[int, list[RowSpan]] = {}
    query = "SELECT terminal, first, last FROM day_rows WHERE day = ? ORDER BY terminal, first"
    for terminal, first, last in connection.execute(query, (day,)):
        found.setdefault(terminal, []).append(RowSpan(first, last))
    return found


def words_on(connection: sqlite3.Connection, terminal: int, stretch: RowSpan) -> Iterable[Word]:
    """The rows elsewhere that say how something in a stretch ended, in the order of what they are about."""
    late = "SELECT sequence, terminal, by, 0 FROM day_late WHERE terminal = ?1 AND sequence BETWEEN ?2 AND ?3"
    shown = (
        "SELECT sequence, by_terminal, by_sequence, 1 FROM day_shown"
        " WHERE terminal = ?1 AND sequence BETWEEN ?2 AND ?3"
    )
    query = f"{late} UNION ALL {shown} ORDER BY 1, 4, 2, 3"
    for sequence, by_terminal, by_sequence, seen in connection.execute(query, (terminal, *stretch)):
        yield Word((terminal, sequence), (by_terminal, by_sequence), bool(seen))


def sets_of(connection: sqlite3.Connection, terminal: int, stretch: RowSpan) -> list[int]:
    """The rows that put region documents in force in a stretch, and the newest before it."""
    query = (
        "SELECT sequence FROM day_set WHERE terminal = ?1 AND sequence <= ?3 AND sequence >= coalesce("
        "(SELECT max(sequence) FROM day_set WHERE terminal = ?1 AND sequence <= ?2), 0) ORDER BY sequence"
    )
    return [int(sequence) for (sequence,) in connection.execute(query, (terminal, *stretch))]
