"""Rides of bank cards in the ledger: what terminals said of them, what was found of their proof, what they come to.

mark     terminal -> the newest row that was gone through, and the region document in force after it
ride     (terminal, sequence) -> a tap that was counted: its token, what was found of its proof, what it comes to
proof    what no two rides may have in common: a card's counter and its signature
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from terminal.collector.bank.journeys import RideFare
from terminal.journal.taps import TapId
from terminal.trail import TrailEntry

TABLES: Final = (
    """CREATE TABLE mark (
    terminal INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, document TEXT NOT NULL
)""",
    """CREATE TABLE ride (
    terminal INTEGER, sequence INTEGER, at_ms INTEGER NOT NULL, token BLOB NOT NULL, document TEXT NOT NULL,
    shown_minor INTEGER NOT NULL, currency TEXT NOT NULL, state TEXT NOT NULL, why TEXT NOT NULL DEFAULT '',
    card INTEGER, day TEXT NOT NULL DEFAULT '', ends_ms INTEGER NOT NULL DEFAULT 0,
    charge_minor INTEGER NOT NULL DEFAULT 0, message TEXT NOT NULL DEFAULT '', reasons BLOB NOT NULL DEFAULT x'',
    event BLOB NOT NULL DEFAULT x'', settled INTEGER NOT NULL DEFAULT 0, dropped INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (terminal, sequence)
) WITHOUT ROWID""",
    "CREATE INDEX ride_of_card ON ride (card, at_ms, terminal, sequence) WHERE card IS NOT NULL",
    "CREATE INDEX ride_in_state ON ride (state, terminal, sequence)",
    "CREATE INDEX ride_kept ON ride (card) WHERE settled = 1 AND dropped = 0",
    "CREATE INDEX ride_unsettled ON ride (card) WHERE settled = 0 AND state = 'decided'",
    "CREATE TABLE proof (digest BLOB PRIMARY KEY, terminal INTEGER NOT NULL, sequence INTEGER NOT NULL) WITHOUT ROWID",
)


class RideState(StrEnum):
    """How far a ride has come."""

    OPEN = "open"
    """Its terminal has not said yet whether the rider was let in."""
    WAITING = "waiting"
    """What it sealed has not been opened, or has not come."""
    PROVEN = "proven"
    """The card's signature was verified; what it comes to is not decided, or to be decided again."""
    DECIDED = "decided"
    UNPROVEN = "unproven"
    """Nothing shows that the card was there: it is never charged. `why` is an `UnprovenCause`."""
    VOID = "void"
    """The rider was not let in."""


class LedgerRide(NamedTuple):
    """A ride as the ledger has it; `card` 0 while it is not known."""

    terminal: int
    sequence: int
    at_ms: int
    token: bytes
    document: str
    shown_minor: int
    currency: str
    state: RideState
    why: str
    card: int
    day: str
    charge_minor: int
    message: str
    reasons: tuple[TrailEntry, ...]


class DueRide(NamedTuple):
    """What of a decided ride no charge has asked for yet; below 0: too much was charged."""

    terminal: int
    sequence: int
    day: str
    ends_ms: int
    currency: str
    due_minor: int


_RIDE: Final = (
    "terminal, sequence, at_ms, token, document, shown_minor, currency, state, why, coalesce(card, 0), day,"
    " charge_minor, message, reasons"
)
_OWED: Final = """SELECT r.terminal, r.sequence, r.day, r.ends_ms, r.currency,
    r.charge_minor - coalesce(
        (SELECT sum(i.amount_minor) FROM item i WHERE (i.terminal, i.sequence) = (r.terminal, r.sequence)), 0
    ) AS due
FROM ride r WHERE r.card = ? AND r.state = 'decided' AND due <> 0 ORDER BY r.at_ms, r.terminal, r.sequence"""
_reasons = msgspec.msgpack.Decoder(tuple[TrailEntry, ...]).decode
_encode = msgspec.msgpack.Encoder().encode


class RideTable:
    """What the ledger has of rides, over its connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._execute = connection.execute

    def mark(self, terminal: int) -> tuple[int, str]:
        """The newest row of `terminal` that was gone through, and the document in force after it."""
        found = self._execute(
            "SELECT sequence, document FROM mark WHERE terminal = ?", (terminal,)
        ).fetchone()
        return found or (0, "")

    def put_mark(self, terminal: int, sequence: int, document: str) -> None:
        self._execute("INSERT OR REPLACE INTO mark VALUES (?, ?, ?)", (terminal, sequence, document))

    def put(self, row: TapId, at_ms: int, token: bytes, document: str, shown: tuple[int, str]) -> None:
        """A tap that was counted; `shown` is the sum its rider was shown, and the currency."""
        self._execute(
            "INSERT INTO ride (terminal, sequence, at_ms, token, document, shown_minor, currency, state)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (*row, at_ms, token, document, *shown, RideState.OPEN),
        )

    def end(self, row: TapId, state: RideState) -> None:
        """Its terminal has said whether the rider was let in; the first word counts."""
        self._execute(
            "UPDATE ride SET state = ? WHERE terminal = ? AND sequence = ? AND state = ?",
            (state, *row, RideState.OPEN),
        )

    def keep_proofs(self, digests: Iterable[bytes], row: TapId) -> bool:
        """Note what no other ride may have in common with `row`; False, and nothing noted, where one has."""
        found = tuple(digests)
        for digest in found:
            query = "SELECT terminal, sequence FROM proof WHERE digest = ?"
            if self._execute(query, (digest,)).fetchone() not in (None, row):
                return False
        for digest in found:
            self._execute("INSERT INTO proof VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (digest, *row))
        return True

    def judge(self, row: TapId, state: RideState, why: str = "", card: int | None = None) -> None:
        """What was found of the ride's proof."""
        self._execute(
            "UPDATE ride SET state = ?, why = ?, card = ? WHERE terminal = ? AND sequence = ?",
            (state, why, card, *row),
        )

    def judge_anew(self, causes: Iterable[str]) -> None:
        """Rides that are unproven for one of `causes` wait for their proof once more."""
        self._connection.executemany(
            "UPDATE ride SET state = 'waiting', why = '' WHERE state = 'unproven' AND why = ?",
            ((cause,) for cause in causes),
        )

    def in_state(self, state: RideState, limit: int, after: TapId = (0, 0)) -> list[LedgerRide]:
        """So many rides in `state` after that row, in the order of their rows."""
        query = (
            f"SELECT {_RIDE} FROM ride WHERE state = ? AND (terminal, sequence) > (?, ?)"  # noqa: S608 ours
            " ORDER BY terminal, sequence LIMIT ?"
        )
        return [_ride(row) for row in self._execute(query, (state, *after, limit))]

    def get(self, row: TapId) -> LedgerRide | None:
        """The ride in this row."""
        query = f"SELECT {_RIDE} FROM ride WHERE terminal = ? AND sequence = ?"  # noqa: S608 ours
        found = self._execute(query, row).fetchone()
        return None if found is None else _ride(found)

    def count(self, state: RideState) -> int:
        return int(self._execute("SELECT count(*) FROM ride WHERE state = ?", (state,)).fetchone()[0])

    def undecided(self) -> list[int]:
        """The cards with a proven ride that is not decided."""
        query = "SELECT DISTINCT card FROM ride WHERE state = ? ORDER BY card"
        return [card for (card,) in self._execute(query, (RideState.PROVEN,))]

    def to_decide(self, card: int) -> tuple[bytes, list[LedgerRide]]:
        """The event of `card` before its first ride that is not decided, and all rides from that one on."""
        first = self._execute(
            "SELECT at_ms, terminal, sequence FROM ride WHERE card = ? AND state = ?"
            " ORDER BY at_ms, terminal, sequence LIMIT 1",
            (card, RideState.PROVEN),
        ).fetchone()
        if first is None:
            return b"", []
        before = self._execute(
            "SELECT event FROM ride WHERE card = ? AND (at_ms, terminal, sequence) < (?, ?, ?)"
            " ORDER BY at_ms DESC, terminal DESC, sequence DESC LIMIT 1",
            (card, *first),
        ).fetchone()
        query = (
            f"SELECT {_RIDE} FROM ride WHERE card = ? AND (at_ms, terminal, sequence) >= (?, ?, ?)"  # noqa: S608 ours
            " ORDER BY at_ms, terminal, sequence"
        )
        return (before[0] if before else b""), [_ride(row) for row in self._execute(query, (card, *first))]

    def put_fares(self, fares: Iterable[RideFare]) -> None:
        self._connection.executemany(
            "UPDATE ride SET state = 'decided', day = ?, ends_ms = ?, charge_minor = ?, message = ?, reasons = ?,"
            " event = ?, settled = 0 WHERE terminal = ? AND sequence = ?",
            (
                (
                    *(one.day, one.ends_ms, one.charge_minor, one.message, _encode(one.reasons), one.event),
                    *(one.terminal, one.sequence),
                )
                for one in fares
            ),
        )

    def due(self, card: int) -> list[DueRide]:
        """What of the decided rides of `card` no charge has asked for, in their order."""
        return [DueRide(*row) for row in self._execute(_OWED, (card,))]

    def settle(self, card: int) -> None:
        """Look no more at rides of `card` of which nothing is due, until they are decided again."""
        open_rows = {(one.terminal, one.sequence) for one in self.due(card)}
        query = "SELECT terminal, sequence FROM ride WHERE card = ? AND state = 'decided' AND settled = 0"
        done = [row for row in self._execute(query, (card,)) if row not in open_rows]
        self._connection.executemany("UPDATE ride SET settled = 1 WHERE terminal = ? AND sequence = ?", done)

    def droppable(self) -> list[int]:
        """The cards with a settled ride whose sealed record is kept."""
        query = "SELECT DISTINCT card FROM ride WHERE settled = 1 AND dropped = 0 ORDER BY card"
        return [card for (card,) in self._execute(query)]

    def to_drop(self, card: int) -> list[TapId]:
        """The settled rides of `card` whose sealed records are kept."""
        query = "SELECT terminal, sequence FROM ride WHERE card = ? AND settled = 1 AND dropped = 0"
        return [(terminal, sequence) for terminal, sequence in self._execute(query, (card,))]

    def note_dropped(self, rows: Iterable[TapId]) -> None:
        self._connection.executemany("UPDATE ride SET dropped = 1 WHERE terminal = ? AND sequence = ?", rows)

    def of_card(self, card: int) -> list[LedgerRide]:
        """Every proven ride of `card`, in order."""
        query = f"SELECT {_RIDE} FROM ride WHERE card = ? ORDER BY at_ms, terminal, sequence"  # noqa: S608 ours
        return [_ride(row) for row in self._execute(query, (card,))]

    def kept_of(self, card: int) -> list[LedgerRide]:
        """The newest rides of `card` whose sealed records are kept."""
        query = (
            f"SELECT {_RIDE} FROM ride WHERE card = ? AND dropped = 0"  # noqa: S608 ours
            " ORDER BY at_ms DESC, terminal, sequence LIMIT 10"
        )
        return [_ride(row) for row in self._execute(query, (card,))]

    def first_since(self, card: int, since_ms: int) -> LedgerRide | None:
        """The first decided ride of `card` since that time."""
        query = (
            f"SELECT {_RIDE} FROM ride WHERE card = ? AND at_ms >= ? AND state = 'decided'"  # noqa: S608 ours
            " ORDER BY at_ms, terminal, sequence LIMIT 1"
        )
        found = self._execute(query, (card, since_ms)).fetchone()
        return None if found is None else _ride(found)


def _ride(row: tuple[object, ...]) -> LedgerRide:
    ride = LedgerRide._make(row)
    reasons = _reasons(bytes(row[-1])) if row[-1] else ()  # type: ignore[call-overload]  # a column of bytes
    return ride._replace(state=RideState(ride.state), reasons=reasons)
