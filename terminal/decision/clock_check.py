"""Whether the terminal's clock can be trusted (O-05), judged by readings the caller takes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from terminal.codes import ClockFault, Trouble

LARGEST_JUMP_S: Final = 300


@dataclass(frozen=True, slots=True)
class Reading:
    """Wall clock and the clock that only runs forward, taken together."""

    wall: datetime
    monotonic_s: float


def clock_doubt(before: Reading, now: Reading, newest_record_at: datetime | None = None) -> Trouble | None:
    """Why the clock is suspect, or None: it jumped by more than five minutes, or lies before the last record."""
    if newest_record_at is not None and now.wall < newest_record_at:
        behind_s = int((newest_record_at - now.wall).total_seconds())
        return Trouble(ClockFault.BEHIND, {"behind_s": behind_s})
    passed_s = (now.wall - before.wall).total_seconds()
    jump_s = passed_s - (now.monotonic_s - before.monotonic_s)
    if abs(jump_s) > LARGEST_JUMP_S:
        return Trouble(ClockFault.JUMPED, {"jump_s": round(jump_s)})
    return None
