"""A virtual clock with hands: whoever sits at the desk may set it, also back, as a wrong clock really goes."""

from __future__ import annotations

from datetime import datetime, timedelta

from sim.air import VirtualClock


class DeskClock(VirtualClock):
    """Setting moves the time of day only; `monotonic` never jumps, so delays and deadlines stay what they are."""

    def set(self, moment: datetime) -> None:
        """It is `moment` now; raises `ValueError` for one without an offset."""
        if moment.utcoffset() is None:
            raise ValueError("a clock needs an aware moment")
        with self._lock:
            self._start = moment - timedelta(seconds=self._elapsed_s)
