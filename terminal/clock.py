"""The one place that reads clocks, and the one that turns times into the milliseconds records hold and back."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class Clock(Protocol):
    """Wall time for records, monotonic time for deadlines. The simulator's virtual clock fits too."""

    def now(self) -> datetime:
        """Aware UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed point; never goes back."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 this is the one place

    def monotonic(self) -> float:
        return time.monotonic()


def unix_ms(at: datetime) -> int:
    """Whole milliseconds since 1970, rounded down; exact in every year. A time without a zone is a `TypeError`."""
    return (at - _EPOCH) // _MILLISECOND


def from_unix_ms(ms: int) -> datetime:
    """The aware UTC time of these milliseconds since 1970; `OverflowError` outside the years 1 to 9999."""
    return _EPOCH + timedelta(milliseconds=ms)
