"""What an operator must look at: each thing once, with how often and when it was seen and who has dealt with it."""

from __future__ import annotations

import sqlite3
from enum import StrEnum
from typing import Final, NamedTuple

MAX_UNKNOWN: Final = 1_000
"""Alarms about strangers are kept apart for so many numbers; anybody could make up more."""

SCHEMA: Final = """
CREATE TABLE alarm (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, terminal INTEGER NOT NULL, sequence INTEGER NOT NULL,
    detail TEXT NOT NULL, times INTEGER NOT NULL, first_at_ms INTEGER NOT NULL, last_at_ms INTEGER NOT NULL,
    acknowledged_at_ms INTEGER, acknowledged_by TEXT NOT NULL DEFAULT '', comment TEXT NOT NULL DEFAULT '',
    UNIQUE (kind, terminal, sequence, detail)
)"""
UPGRADE: Final = (
    "ALTER TABLE alarm ADD COLUMN acknowledged_at_ms INTEGER",
    "ALTER TABLE alarm ADD COLUMN acknowledged_by TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE alarm ADD COLUMN comment TEXT NOT NULL DEFAULT ''",
)
"""From schema 1, whose alarms nobody could acknowledge."""

_RAISE: Final = """
INSERT INTO alarm (kind, terminal, sequence, detail, times, first_at_ms, last_at_ms) VALUES (?, ?, ?, ?, 1, ?,
?) ON CONFLICT (kind, terminal, sequence, detail) DO UPDATE SET times = times + 1, last_at_ms =
excluded.last_at_ms
"""
_FIND: Final = """
INSERT INTO alarm (kind, terminal, sequence, detail, times, first_at_ms, last_at_ms)
SELECT ?1, ?2, ?3, ?4, 1, ?5, ?5
WHERE ?3 = 0 OR NOT EXISTS (SELECT 1 FROM alarm WHERE kind = ?1 AND terminal = ?2 AND sequence = ?3)
ON CONFLICT (kind, terminal, sequence, detail) DO NOTHING
"""
_COLUMNS: Final = (
    "id, kind, terminal, sequence, detail, times, first_at_ms, last_at_ms,"
    " acknowledged_at_ms, acknowledged_by, comment"
)
_OPEN: Final = "acknowledged_at_ms IS NULL OR last_at_ms > acknowledged_at_ms"


class AlarmKind(StrEnum):
    """What an operator must look at; docs/collector.md says what to do about each."""

    OTHER_HASH = "other_hash"  # a row was sent with another content than the one held: tampering
    GAP = "gap"  # rows are missing between what is held and what was sent
    CUT_TAIL = "cut_tail"  # its journal ends before a row it knows it has sent: an old or cut one
    BAD_SIGNATURE = "bad_signature"
    UNKNOWN_TERMINAL = "unknown_terminal"
    WRONG_CERTIFICATE = "wrong_certificate"  # the client certificate is not that of the terminal in the batch
    ENROLMENT_REFUSED = "enrolment_refused"  # somebody tried to enrol with a wrong or spent code
    TMV_MISMATCH = "tmv_mismatch"  # the card's own proof does not fit what the terminal says it did
    TMC_TWICE = "tmc_twice"  # one card counter under two taps: a clone or a rolled-back image
    CONTRADICTION = "contradiction"  # the terminal says "not committed", the card showed otherwise later
    DUPLICATE_ENTITLEMENT = "duplicate_entitlement"  # same pupil, meal kind and service day twice (O-08)
    CLOCK = "clock"  # the terminal's clock cannot be believed (O-05)
    READER = "reader"  # a reader is out of order (T-64)
    UNRESOLVED_OLD = "unresolved_old"  # a tap of unknown end whose card has not come back for too long
    SILENT = "silent"  # nothing heard of a terminal for too long (T-65)
    DISK = "disk"  # the collector's own disk is nearly full: uploads are put off


class Alarm(NamedTuple):
    """`sequence` is 0 when the alarm is about no single row, `terminal` 0 when about none."""

    kind: AlarmKind
    terminal: int
    sequence: int
    detail: str


class SeenAlarm(NamedTuple):
    """An alarm with how often and when it was seen, and who has dealt with it."""

    id: int
    kind: str
    terminal: int
    sequence: int
    detail: str
    times: int
    first_at_ms: int
    last_at_ms: int
    acknowledged_at_ms: int | None
    acknowledged_by: str
    comment: str

    @property
    def open(self) -> bool:
        """Nobody has dealt with it, or it was seen again since."""
        return self.acknowledged_at_ms is None or self.last_at_ms > self.acknowledged_at_ms


def raise_alarm(connection: sqlite3.Connection, alarm: Alarm, at_ms: int) -> None:
    """Keep `alarm`, or count it once more; numbers of strangers beyond `MAX_UNKNOWN` are counted together."""
    if alarm.kind is AlarmKind.UNKNOWN_TERMINAL:
        query = "SELECT count(*), coalesce(sum(terminal = ?), 0) FROM alarm WHERE kind = ?"
        kept, known = connection.execute(query, (alarm.terminal, alarm.kind)).fetchone()
        if kept >= MAX_UNKNOWN and not known:
            alarm = Alarm(alarm.kind, 0, 0, "many more numbers")
    connection.execute(_RAISE, (*alarm, at_ms, at_ms))


def keep_findings(connection: sqlite3.Connection, alarms: list[Alarm], at_ms: int) -> None:
    """Keep what books computed anew may find again: an alarm of that kind about that row is kept once for ever."""
    connection.executemany(_FIND, [(*alarm, at_ms) for alarm in alarms])


def newest(connection: sqlite3.Connection, limit: int, *, only_open: bool) -> list[SeenAlarm]:
    """The newest `limit` alarms, oldest first."""
    where = f"WHERE {_OPEN}" if only_open else ""
    query = f"SELECT {_COLUMNS} FROM alarm {where} ORDER BY last_at_ms DESC, id DESC LIMIT ?"  # noqa: S608 constants
    return [SeenAlarm(*row) for row in connection.execute(query, (limit,))][::-1]


def count_open(connection: sqlite3.Connection) -> int:
    """How many alarms wait for somebody."""
    (count,) = connection.execute(f"SELECT count(*) FROM alarm WHERE {_OPEN}").fetchone()  # noqa: S608 a constant
    return int(count)


def acknowledge(connection: sqlite3.Connection, number: int, by: str, comment: str, at_ms: int) -> bool:
    """Note who has dealt with alarm `number`; whether there is such an alarm. It stays in the history."""
    if connection.execute("SELECT 1 FROM alarm WHERE id = ?", (number,)).fetchone() is None:
        return False
    connection.execute(
        # Never before it was last seen, or a clock set back would leave it open for ever.
        "UPDATE alarm SET acknowledged_at_ms = max(?, last_at_ms), acknowledged_by = ?, comment = ? WHERE id = ?",
        (at_ms, by, comment, number),
    )
    return True
