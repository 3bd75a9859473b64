"""Which clocks cannot be trusted (O-05), judged by the records and batches that have arrived.

One alarm a day for each terminal and each kind of doubt: a clock that is wrong is wrong all day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from terminal.clock import from_unix_ms
from terminal.collector.alarms import Alarm, AlarmCause, AlarmKind, detail_of
from terminal.collector.store import Receipt
from terminal.decision.flags import TapFlag
from terminal.journal.records import AnyRecord

MINUTE_MS: Final = 60_000
DAY_MS: Final = 24 * 60 * MINUTE_MS


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
) -> tuple[list[Alarm], int]:
    """What is suspicious about records that came with one batch after one dated `newest_at_ms` (0: none), and the
    time of the last of them.
    """
    doubts: set[AlarmCause] = set()
    before_ms = newest_at_ms
    for _, record in records:
        if before_ms and record.at_ms < before_ms - limits.back_ms:
            doubts.add(AlarmCause.WENT_BACK)
        if TapFlag.CLOCK_SUSPECT in getattr(record, "flags", ()):
            doubts.add(AlarmCause.DOUBTED)
        before_ms = record.at_ms
    received_at_ms = receipt.received_at_ms
    if received_at_ms and records:
        times = [record.at_ms for _, record in records]
        if max(times) > received_at_ms + limits.ahead_ms:
            doubts.add(AlarmCause.DATED_AHEAD)
        if min(times) < received_at_ms - limits.oldest_ms:
            doubts.add(AlarmCause.DATED_LONG_AGO)
        ahead_ms = receipt.sent_at_ms - received_at_ms
        if ahead_ms > limits.ahead_ms or -ahead_ms > limits.behind_ms:
            doubts.add(AlarmCause.CLOCK_AHEAD if ahead_ms > 0 else AlarmCause.CLOCK_BEHIND)
    day = f"{from_unix_ms(received_at_ms):%Y-%m-%d}" if received_at_ms else "unknown"
    details = [detail_of(doubt, day=day) for doubt in sorted(doubts)]
    return [Alarm(AlarmKind.CLOCK, terminal, 0, detail) for detail in details], before_ms
