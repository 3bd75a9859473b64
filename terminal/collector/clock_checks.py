"""Which clocks cannot be trusted (O-05), judged by the records and batches that have arrived.

One alarm a day for each terminal and each kind of doubt: a clock that is wrong is wrong all day. A terminal that
meets a card whose period lies ahead marks its row; the alarm is about the terminal that put the card there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from terminal.clock import from_unix_ms
from terminal.collector.alarms import Alarm, AlarmCause, AlarmKind, detail_of
from terminal.collector.store import Receipt
from terminal.decision.flags import CardFlag, TapFlag
from terminal.journal.canteen_records import MealServed
from terminal.journal.records import AnyRecord, CashSale, Committed, Intent, NotCommitted, Unwritten
from terminal.journal.taps import TapId

MINUTE_MS: Final = 60_000
DAY_MS: Final = 24 * 60 * MINUTE_MS
LONGEST_CHAIN: Final = 64
"""So many rows of one card are followed back to the one that put it ahead."""


_AHEAD: Final = frozenset(CardFlag)
_ENDS: Final = (Committed, NotCommitted)
_FLAGGED: Final = (Intent, Unwritten, CashSale)
"""The rows that have flags of their own."""


@dataclass(frozen=True, slots=True)
class ClockLimits:
    """How far a clock may be off. A journal may be late, so its records may be old; they cannot be of the future."""

    ahead_ms: int = 5 * MINUTE_MS
    behind_ms: int = 5 * MINUTE_MS
    back_ms: int = 5 * MINUTE_MS
    oldest_ms: int = 30 * DAY_MS

    @classmethod
    def none(cls) -> ClockLimits:
        """For terminals of a simulation, which live at another time."""
        return cls(*[1 << 62] * 4)


def clock_findings(
    terminal: int,
    records: Sequence[tuple[int, AnyRecord]],
    receipt: Receipt,
    newest_at_ms: int,
    limits: ClockLimits,
    record_of: Callable[[TapId], AnyRecord | None],
    known: Callable[[int], bool],
) -> tuple[list[Alarm], int]:
    """What is suspicious about records that came with one batch after one dated `newest_at_ms` (0: none), and the
    time of the last of them. `record_of` gives a row of any terminal, None for one that has not arrived; `known` says
    whether a terminal has ever sent any, so that a malicious one cannot have alarms about numbers it makes up.
    """
    doubts: set[AlarmCause] = set()
    before_ms, times = newest_at_ms, [record.at_ms for _, record in records]
    for at_ms in times:
        if before_ms and at_ms < before_ms - limits.back_ms:
            doubts.add(AlarmCause.WENT_BACK)
        before_ms = at_ms
    flagged = [
        (record, flags)
        for _, record in records
        if not isinstance(record, _ENDS) and (flags := _flags_of(record))
    ]
    if any(TapFlag.CLOCK_SUSPECT in flags for _, flags in flagged):
        doubts.add(AlarmCause.DOUBTED)
    received_at_ms = receipt.received_at_ms
    if received_at_ms and times:
        if max(times) > received_at_ms + limits.ahead_ms:
            doubts.add(AlarmCause.DATED_AHEAD)
        if min(times) < received_at_ms - limits.oldest_ms:
            doubts.add(AlarmCause.DATED_LONG_AGO)
        ahead_ms = receipt.sent_at_ms - received_at_ms
        if ahead_ms > limits.ahead_ms or -ahead_ms > limits.behind_ms:
            doubts.add(AlarmCause.CLOCK_AHEAD if ahead_ms > 0 else AlarmCause.CLOCK_BEHIND)
    found = [(terminal, doubt) for doubt in sorted(doubts)]
    others = {other if known(other) else 0 for other in _ahead(flagged, record_of)}
    found += [(other, AlarmCause.CARDS_AHEAD) for other in sorted(others)]
    if not found:
        return [], before_ms
    day = f"{from_unix_ms(received_at_ms):%Y-%m-%d}" if received_at_ms else "unknown"
    return [
        Alarm(AlarmKind.CLOCK, number, 0, detail_of(doubt, day=day)) for number, doubt in found
    ], before_ms


def _flags_of(record: AnyRecord) -> tuple[str, ...]:
    if isinstance(record, _FLAGGED):
        return record.flags
    return record.meal.flags if isinstance(record, MealServed) else ()


def _ahead(
    flagged: Sequence[tuple[AnyRecord, tuple[str, ...]]], record_of: Callable[[TapId], AnyRecord | None]
) -> set[int]:
    """The terminals that put cards into a later period, as rows that met such cards say."""
    return {
        _origin(record, record_of)
        for record, flags in flagged
        if isinstance(record, Intent) and not _AHEAD.isdisjoint(flags)
    }


def _origin(marked: Intent, record_of: Callable[[TapId], AnyRecord | None]) -> int:
    """The terminal before the first row that met the card like this, as far as rows have arrived."""
    for _ in range(LONGEST_CHAIN):
        before = record_of((marked.prev_terminal, marked.prev_sequence))
        if not isinstance(before, Intent) or CardFlag.PERIOD_AHEAD not in before.flags:
            break
        marked = before
    return marked.prev_terminal
