"""What later records may still change in the books: meals, sales and single taps.

Of meals and sales they hold which count, which were taken back, and which a pupil got twice (O-08).

Of the meals of one pupil, day and kind that were not annulled, the first by the clock counts; the later ones are
duplicates, kept and listed, not charged. It makes no difference in which order they arrive.

Of single taps they hold those that a later record may still decide, and each card's history of committed ones.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, Final, NamedTuple, TypeAlias

from terminal.collector.alarms import Alarm, AlarmCause, AlarmKind, detail_of
from terminal.collector.days import (
    CountState,
    DayLine,
    ServiceCalendar,
    line_of_cash,
    line_of_meal,
    line_of_sale,
)
from terminal.collector.evidence import END, OFFICE, Evidence
from terminal.journal.canteen_records import Annulment, BuffetSale, MealLine, MealServed, owner_of
from terminal.journal.console_records import SaleCancelled
from terminal.journal.records import AnyRecord, CashSale, Intent
from terminal.journal.taps import TapId

Fill: TypeAlias = Callable[[DayLine, CountState, int], None]
"""Adds a line to the day's cells so many times; -1 takes it out."""

_MEMBERS = (
    "SELECT at_ms, terminal, sequence FROM portion WHERE day = ? AND pupil = ? AND kind = ?"
    " ORDER BY at_ms, terminal, sequence"
)
_LENT = (
    "SELECT pupil FROM loan WHERE terminal = ? AND card_ref = ? AND day = ? AND sequence < ?"
    " ORDER BY sequence DESC LIMIT 1"
)


class Portions:
    """What is sold and given without a card of its own in the books, inside the caller's transaction."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        record_of: Callable[[TapId], AnyRecord | None],
        fill: Fill,
        found: list[Alarm],
        calendar: ServiceCalendar,
    ) -> None:
        self._execute = connection.execute
        self._record_of = record_of
        self._fill = fill
        self._found = found
        self._calendar = calendar

    def give(self, row: TapId, at_ms: int, pupil: bytes, meal: MealLine, currency: str) -> None:
        """Book a portion known to have been given."""
        line = line_of_meal(row[0], meal, currency)
        if self._is_annulled(row):
            self._fill(line, CountState.ANNULLED, 1)
            return
        portion = (meal.day, pupil, meal.kind)
        others = [(found[0], (found[1], found[2])) for found in self._execute(_MEMBERS, portion)]
        self._execute("INSERT INTO portion VALUES (?, ?, ?, ?, ?, ?)", (*portion, at_ms, *row))
        if not others:
            self._fill(line, CountState.COUNTED, 1)
        elif (at_ms, row) < others[0]:
            self._fill(line, CountState.COUNTED, 1)
            self._move(others[0][1], CountState.COUNTED, CountState.DUPLICATE)
            self._find(others[0][1], row, meal)
        else:
            self._fill(line, CountState.DUPLICATE, 1)
            self._find(row, others[0][1], meal)

    def sell(self, row: TapId, sale: BuffetSale) -> None:
        """Book a buffet sale."""
        state = CountState.ANNULLED if self._is_annulled(row) else CountState.COUNTED
        self._fill(line_of_sale(row[0], sale), state, 1)

    def sell_cash(self, row: TapId, sale: CashSale) -> None:
        """Book a sale for cash (T-53)."""
        state = CountState.ANNULLED if self._is_annulled(row, cash=True) else CountState.COUNTED
        self._fill(line_of_cash(row[0], sale, self._calendar), state, 1)

    def lend(self, row: TapId, card_ref: bytes, day: str, pupil: bytes) -> None:
        """On `day` the card stands for `pupil` at this terminal (M-35)."""
        self._execute("INSERT INTO loan VALUES (?, ?, ?, ?, ?)", (row[0], card_ref, day, row[1], pupil))

    def holder_of(self, row: TapId, intent: Intent, meal: MealLine) -> bytes:
        """Whose meal a tap is: the pupil its card was lent to, or the person, whichever card of his it was."""
        lent = self._execute(_LENT, (row[0], intent.card_ref, meal.day, row[1])).fetchone()
        return bytes(lent[0]) if lent else owner_of(intent.card_ref, intent.person_ref)

    def take_back(self, terminal: int, record: Annulment | SaleCancelled) -> None:
        """What the record says has not been; a meal's record takes back no cash, and a sale's no meal."""
        if isinstance(record, Annulment):
            self._annul((terminal, record.of))
        else:
            self._cancel((terminal, record.sale))

    def _cancel(self, row: TapId) -> None:
        """The cash sale in `row` counts as not having been (T-54), now or as soon as it is known to have been."""
        if not self._is_annulled(row, cash=True):
            self._execute("INSERT INTO annulled VALUES (?, ?, 1)", row)
            if isinstance(self._record_of(row), CashSale):
                self._move(row, CountState.COUNTED, CountState.ANNULLED)

    def _annul(self, row: TapId) -> None:
        """The meal or buffet sale in `row` counts as not having been (M-34), now or as soon as it is known to have
        been.
        """
        if self._is_annulled(row):
            return
        self._execute("INSERT INTO annulled VALUES (?, ?, 0)", row)
        match self._record_of(row):
            case BuffetSale():
                self._move(row, CountState.COUNTED, CountState.ANNULLED)
            case MealServed() as served:
                self._take_back(row, served.at_ms, served.pupil, served.meal)
            case Intent(meal=MealLine() as meal) as intent:
                self._take_back(row, intent.at_ms, self.holder_of(row, intent, meal), meal)
            case _:
                pass

    def _take_back(self, row: TapId, at_ms: int, pupil: bytes, meal: MealLine) -> None:
        portion = (meal.day, pupil, meal.kind)
        given = [(found[1], found[2]) for found in self._execute(_MEMBERS, portion)]
        if row not in given:
            return  # a tap of unknown end: nothing was given yet
        self._execute(
            "DELETE FROM portion WHERE day = ? AND pupil = ? AND kind = ? AND at_ms = ? AND terminal = ?"
            " AND sequence = ?",
            (*portion, at_ms, *row),
        )
        self._move(row, CountState.COUNTED if row == given[0] else CountState.DUPLICATE, CountState.ANNULLED)
        if row == given[0] and len(given) > 1:
            self._move(given[1], CountState.DUPLICATE, CountState.COUNTED)

    def _is_annulled(self, row: TapId, *, cash: bool = False) -> bool:
        query = "SELECT 1 FROM annulled WHERE terminal = ? AND sequence = ? AND cash = ?"
        return self._execute(query, (*row, cash)).fetchone() is not None

    def _move(self, row: TapId, before: CountState, after: CountState) -> None:
        line = self._line_of(row)
        self._fill(line, before, -1)
        self._fill(line, after, 1)

    def _line_of(self, row: TapId) -> DayLine:
        match self._record_of(row):
            case BuffetSale() as sale:
                return line_of_sale(row[0], sale)
            case CashSale() as sold:
                return line_of_cash(row[0], sold, self._calendar)
            case (Intent(meal=MealLine() as meal) | MealServed(meal=meal)) as given:
                return line_of_meal(row[0], meal, given.currency)
            case other:
                raise AssertionError(f"row {row} was booked as a meal and is {type(other).__name__}")

    def _find(self, row: TapId, first: TapId, meal: MealLine) -> None:
        detail = detail_of(
            AlarmCause.MEAL_TWICE, meal=meal.kind, day=meal.day, row=first[1], terminal=first[0]
        )
        self._found.append(Alarm(AlarmKind.DUPLICATE_ENTITLEMENT, *row, detail))


UNKNOWN_TMC: Final = -1

_COLUMNS: Final = "SELECT terminal, sequence, card, prev_terminal, prev_sequence, evidence FROM watched"
_AT: Final = f"{_COLUMNS} WHERE terminal = ?1 AND sequence = ?2"
_STARTED_FROM: Final = f"{_COLUMNS} WHERE card = ? AND prev_terminal = ? AND prev_sequence = ?"
_CONCERNED: Final = (
    f"{_AT} UNION ALL {_COLUMNS} WHERE card = ?3 AND prev_terminal = ?4 AND prev_sequence = ?5"
)
_ARE_WATCHED: Final = (
    "WITH asked (a, b) AS (VALUES {}) SELECT a, b FROM asked"
    " CROSS JOIN watched ON terminal = a AND sequence = b"
)
_ARE_STARTED: Final = (
    "WITH asked (a, b, c) AS (VALUES {}) SELECT DISTINCT a, b, c FROM asked"
    " CROSS JOIN watched INDEXED BY watched_start ON card = a AND prev_terminal = b AND prev_sequence = c"
)
_HISTORIES: Final = (
    "WITH asked (a, b) AS (VALUES {}) SELECT a, tmc, terminal, sequence FROM asked"
    " CROSS JOIN history ON card = a AND tmc BETWEEN b - 1 AND b"
)
_INTO_HISTORY: Final = (
    "INSERT INTO history VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING"
    " (SELECT count(*) FROM history WHERE card = ?1 AND tmc = ?2),"
    " EXISTS (SELECT 1 FROM history WHERE card = ?1 AND tmc = ?2 - 1 AND terminal = ?5 AND sequence = ?6)"
)


ASKED_AT_ONCE: Final = 64
"""Keys are asked for by so many or a multiple, the rest without a value, so that SQLite knows the statement already."""


@cache
def _of_keys(query: str, fields: int, places: int) -> str:
    one = f"({', '.join('?' * fields)})"
    return query.format(", ".join([one] * places))


class Neighbours(NamedTuple):
    """What a card's history has around a tap: the first other one `under` the same card counter, which none may share,
    and whether the event it found is `linked`: that of a tap under the counter before."""

    under: TapId | None
    linked: bool


class WatchedTap(NamedTuple):
    """An intent as far as it matters to others: its card, the event it started from, and what is known of it."""

    id: TapId
    card: bytes
    start: TapId
    evidence: Evidence


class Watched:
    """Inside the caller's transaction; every look-up goes by an index.

    `expect` asks once for all rows of a batch what nearly every tap asks in vain; `keep` writes their history at once.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._execute = connection.execute
        self._unwatched: set[TapId] = set()
        """Events whose tap is known not to be watched."""
        self._unstarted: set[tuple[bytes, TapId]] = set()
        """Of which cards no watched tap started from which events."""
        self._under: dict[tuple[bytes, int], tuple[TapId, ...]] = {}
        """The histories of some cards under some counters, with what is not written yet."""
        self.ended: set[TapId] = set()
        """Events of taps that are in their card's history by the word of their terminal: none of them is watched."""
        self._unwritten: list[tuple[bytes, int, int, int, int, int]] = []
        self._early: dict[TapId, set[bytes]] = {}
        """Rows of the stretch in hand whose event was found before they came, and on which cards."""

    def expect(self, taps: Sequence[tuple[bytes, TapId, int | None]]) -> None:
        """Look up what will be asked of taps: the card of each, the event it started from, and the card's counter where
        it is known.
        """
        self.keep()
        asked = [(card, tmc) for card, _, tmc in taps if tmc]
        under = self._under = {}
        for card, tmc in asked:
            under[card, tmc] = under[card, tmc - 1] = ()
        for card, tmc, *row in set(self._asked(_HISTORIES, asked)):
            under[card, tmc] += ((row[0], row[1]),)
        self.ended = {start for card, start, tmc in taps if tmc and start in under[card, tmc - 1]}
        self._unstarted = {(card, start) for card, start, _ in taps}
        self._unwatched = {start for _, start in self._unstarted}
        for terminal, sequence in self._asked(_ARE_WATCHED, list(self._unwatched - self.ended)):
            self._unwatched.discard((terminal, sequence))
        for card, *start in self._asked(_ARE_STARTED, [(card, *start) for card, start in self._unstarted]):
            self._unstarted.discard((card, (start[0], start[1])))

    def keep(self) -> None:
        """Write what came into the histories."""
        self._connection.executemany("INSERT INTO history VALUES (?, ?, ?, ?, ?, ?)", self._unwritten)
        self._unwritten.clear()

    def _asked(self, query: str, keys: Sequence[tuple[Any, ...]]) -> Iterable[tuple[Any, ...]]:
        """What is found of these keys, all of them looked up by the index, in one statement."""
        if not keys:
            return ()
        fields = len(keys[0])
        places = -(-len(keys) // ASKED_AT_ONCE) * ASKED_AT_ONCE
        values = [value for key in keys for value in key]
        values += [None] * (places * fields - len(values))
        return self._connection.execute(_of_keys(query, fields, places), values).fetchall()

    def _of_history(self, statement: str, values: Sequence[object]) -> sqlite3.Cursor:
        if self._unwritten:
            self.keep()
        return self._connection.execute(statement, values)

    def at(self, tap_id: TapId) -> WatchedTap | None:
        found = self._execute(_AT, tap_id).fetchone()
        return _tap(found) if found else None

    def started_from(self, card: bytes, start: TapId) -> list[WatchedTap]:
        """The watched taps of a card that started from an event."""
        return [_tap(found) for found in self._execute(_STARTED_FROM, (card, *start))]

    def concerned(self, card: bytes, start: TapId) -> tuple[WatchedTap | None, list[WatchedTap]]:
        """The tap that wrote an event, if it is watched, and the card's taps that started from it."""
        if start in self._unwatched and (card, start) in self._unstarted:
            return None, []
        found = [_tap(other) for other in self._execute(_CONCERNED, (*start, card, *start))]
        writer = found[0] if found and found[0].id == start else None
        return writer, [tap for tap in found if tap.start == start and tap.card == card]

    def watch(self, tap: WatchedTap, received_at_ms: int) -> None:
        values = (*tap.id, tap.card, *tap.start, tap.evidence, END[tap.evidence].value, received_at_ms)
        self._execute("INSERT INTO watched VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        self._unwatched.discard(tap.id)
        self._unstarted.discard((tap.card, tap.start))

    def know(self, tap: WatchedTap) -> None:
        """Keep what is now known of a watched tap."""
        statement = "UPDATE watched SET evidence = ?, end = ? WHERE terminal = ? AND sequence = ?"
        self._execute(statement, (tap.evidence, END[tap.evidence].value, *tap.id))

    def leave(self, tap_id: TapId) -> None:
        """Nothing can change any more."""
        self._execute("DELETE FROM watched WHERE terminal = ? AND sequence = ?", tap_id)

    # Events found on a card before the batch with their own tap came

    def load_early(self, terminal: int, first: int, last: int) -> dict[TapId, set[bytes]]:
        """Have the early ones among these rows at hand, with the cards on which they were found."""
        query = (
            "SELECT terminal, sequence, card FROM seen_early WHERE terminal = ? AND sequence BETWEEN ? AND ?"
        )
        self._early = {}
        for row in self._execute(query, (terminal, first, last)):
            self._early.setdefault((row[0], row[1]), set()).add(bytes(row[2]))
        return self._early

    def seen_early(self, event: TapId, card: bytes) -> None:
        self._execute("INSERT INTO seen_early VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (*event, card))
        self._early.setdefault(event, set()).add(card)

    def cards_seen_early(self, row: TapId) -> set[bytes]:
        """The cards on which its event was found; the note is taken away."""
        cards = self._early.pop(row, None)
        if cards is None:
            return set()
        self._execute("DELETE FROM seen_early WHERE terminal = ? AND sequence = ?", row)
        return cards

    # Each card's committed taps

    def goes_on(self, row: TapId, card: bytes, start: TapId, tmc: int | None) -> bool:
        """Keep a tap that the card proves in its history, if that is all there is to it: it found the event made under
        the counter before, or one of the office, and no other tap is known that started there, has its counter, or
        found its event.
        """
        if tmc is None or row in self._early or (card, start) not in self._unstarted:
            return False
        key = (card, tmc)
        before = self._under.get((card, tmc - 1))
        if before is None or self._under.get(key) != ():
            return False
        if start not in before and (start[0] != OFFICE or start not in self._unwatched):
            return False
        self._under[key] = (row,)
        self._unwritten.append((card, tmc, *row, *start))
        return True

    def into_history(self, tap: WatchedTap, tmc: int | None) -> Neighbours:
        """Keep a tap that happened; return what is around it."""
        values = (tap.card, UNKNOWN_TMC if tmc is None else tmc, *tap.id, *tap.start)
        if tmc is not None and (before := self._under.get((tap.card, tmc - 1))) is not None:
            under = self._under.get((tap.card, tmc))
            if under is not None:
                first = min(under, default=None)
                self._under[tap.card, tmc] = (*under, tap.id)
                self._unwritten.append(values)
                return Neighbours(first, tap.start in before)
        self._under.pop((tap.card, values[1]), None)
        under_it, linked = self._of_history(_INTO_HISTORY, values).fetchone()
        if tmc is None or under_it == 1:
            return Neighbours(None, bool(linked))
        query = "SELECT terminal, sequence FROM history WHERE card = ? AND tmc = ?"
        found = [(row[0], row[1]) for row in self._of_history(query, (tap.card, tmc))]
        return Neighbours(min(other for other in found if other != tap.id), bool(linked))

    def counter_of(self, card: bytes, row: TapId) -> int | None:
        """The card counter under which a tap is in its card's history. Reads that: for rare cases."""
        query = "SELECT tmc FROM history WHERE card = ? AND terminal = ? AND sequence = ? AND tmc >= 0"
        found = self._of_history(query, (card, *row)).fetchone()
        return None if found is None else int(found[0])

    def found_by(self, card: bytes, event: TapId) -> list[tuple[TapId, int]]:
        """The card's taps that found an event, with their counters, where those are known. For rare cases."""
        query = (
            "SELECT terminal, sequence, tmc FROM history WHERE card = ? AND prev_terminal = ? AND prev_sequence = ?"
            " AND tmc >= 0 ORDER BY terminal, sequence"
        )
        return [((row[0], row[1]), row[2]) for row in self._of_history(query, (card, *event))]

    def forget_unknown_counter(self, tap: WatchedTap) -> None:
        """Before the tap comes in again with the counter that has become known."""
        statement = "DELETE FROM history WHERE card = ? AND tmc = ? AND terminal = ? AND sequence = ?"
        self._of_history(statement, (tap.card, UNKNOWN_TMC, *tap.id))

    def card_went_on(self, card: bytes, start: TapId) -> bool:
        """Whether a tap that started there is known to be committed. Reads one card's history: for rare cases."""
        query = "SELECT 1 FROM history WHERE card = ? AND prev_terminal = ? AND prev_sequence = ? LIMIT 1"
        return self._of_history(query, (card, *start)).fetchone() is not None


def _tap(found: tuple[int, int, bytes, int, int, int]) -> WatchedTap:
    return WatchedTap((found[0], found[1]), bytes(found[2]), (found[3], found[4]), found[5])
