"""Single taps in the books: those that a later record may still decide, and each card's history of committed ones."""

from __future__ import annotations

import sqlite3
from typing import Final, NamedTuple

from terminal.collector.evidence import END, Evidence, TapId

UNKNOWN_TMC: Final = -1

_COLUMNS: Final = "SELECT terminal, sequence, card, prev_terminal, prev_sequence, evidence FROM watched"
_AT: Final = f"{_COLUMNS} WHERE terminal = ?1 AND sequence = ?2"
_STARTED_FROM: Final = f"{_COLUMNS} WHERE card = ? AND prev_terminal = ? AND prev_sequence = ?"
_CONCERNED: Final = (
    f"{_AT} UNION ALL {_COLUMNS} WHERE card = ?3 AND prev_terminal = ?4 AND prev_sequence = ?5"
)
_INTO_HISTORY: Final = (
    "INSERT INTO history VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING"
    " (SELECT count(*) FROM history WHERE card = ?1 AND tmc = ?2)"
)


class Tap(NamedTuple):
    """An intent as far as it matters to others: its card, the event it started from, and what is known of it."""

    id: TapId
    card: bytes
    start: TapId
    evidence: Evidence


class Watched:
    """Inside the caller's transaction; every look-up goes by an index."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute
        self._early: set[TapId] = set()
        """Rows of the stretch in hand whose event was found on a card before they came."""

    def at(self, tap_id: TapId) -> Tap | None:
        found = self._execute(_AT, tap_id).fetchone()
        return _tap(found) if found else None

    def started_from(self, card: bytes, start: TapId) -> list[Tap]:
        """The watched taps of a card that started from an event."""
        return [_tap(found) for found in self._execute(_STARTED_FROM, (card, *start))]

    def concerned(self, card: bytes, start: TapId) -> tuple[Tap | None, list[Tap]]:
        """The tap that wrote an event, if it is watched, and the card's taps that started from it."""
        found = [_tap(other) for other in self._execute(_CONCERNED, (*start, card, *start))]
        writer = found[0] if found and found[0].id == start else None
        return writer, [tap for tap in found if tap.start == start and tap.card == card]

    def watch(self, tap: Tap, received_at_ms: int) -> None:
        values = (*tap.id, tap.card, *tap.start, tap.evidence, END[tap.evidence].value, received_at_ms)
        self._execute("INSERT INTO watched VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)

    def know(self, tap: Tap) -> None:
        """Keep what is now known of a watched tap."""
        statement = "UPDATE watched SET evidence = ?, end = ? WHERE terminal = ? AND sequence = ?"
        self._execute(statement, (tap.evidence, END[tap.evidence].value, *tap.id))

    def leave(self, tap_id: TapId) -> None:
        """Nothing can change any more."""
        self._execute("DELETE FROM watched WHERE terminal = ? AND sequence = ?", tap_id)

    # Events found on a card before the batch with their own tap came

    def load_early(self, terminal: int, first: int, last: int) -> None:
        """Have the early ones among these rows at hand."""
        query = "SELECT terminal, sequence FROM seen_early WHERE terminal = ? AND sequence BETWEEN ? AND ?"
        self._early = {(row[0], row[1]) for row in self._execute(query, (terminal, first, last))}

    def seen_early(self, event: TapId) -> None:
        self._execute("INSERT INTO seen_early VALUES (?, ?) ON CONFLICT DO NOTHING", event)
        self._early.add(event)

    def was_seen_early(self, row: TapId) -> bool:
        """Whether it was; the note is taken away."""
        if row not in self._early:
            return False
        self._execute("DELETE FROM seen_early WHERE terminal = ? AND sequence = ?", row)
        return True

    # Each card's committed taps

    def into_history(self, tap: Tap, tmc: int | None) -> TapId | None:
        """Keep a committed tap; return the first of the others under the same card counter, which none may share."""
        values = (tap.card, UNKNOWN_TMC if tmc is None else tmc, *tap.id, *tap.start)
        (under_it,) = self._execute(_INTO_HISTORY, values).fetchone()
        if tmc is None or under_it == 1:
            return None
        query = "SELECT terminal, sequence FROM history WHERE card = ? AND tmc = ?"
        found = [(row[0], row[1]) for row in self._execute(query, (tap.card, tmc))]
        return min(other for other in found if other != tap.id)

    def forget_unknown_counter(self, tap: Tap) -> None:
        """Before the tap comes in again with the counter that has become known."""
        statement = "DELETE FROM history WHERE card = ? AND tmc = ? AND terminal = ? AND sequence = ?"
        self._execute(statement, (tap.card, UNKNOWN_TMC, *tap.id))

    def card_went_on(self, card: bytes, start: TapId) -> bool:
        """Whether a tap that started there is known to be committed. Reads one card's history: for rare cases."""
        query = "SELECT 1 FROM history WHERE card = ? AND prev_terminal = ? AND prev_sequence = ? LIMIT 1"
        return self._execute(query, (card, *start)).fetchone() is not None


def _tap(found: tuple[int, int, bytes, int, int, int]) -> Tap:
    return Tap((found[0], found[1]), bytes(found[2]), (found[3], found[4]), found[5])
