"""What the rows say of the terminal's clock (O-05): whether it is in doubt, and how late it must be at least.

A fold over the records, in order. Rows written in doubt say nothing about the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from terminal.codes import ClockFault
from terminal.journal.operation_records import ClockAccepted, ClockAuthenticated
from terminal.journal.records import AnyRecord, Fault, Intent, Unwritten

CLOCK_DOUBTS: Final = frozenset(ClockFault) - {ClockFault.WORKS}
LATEST_MS: Final = 253_402_300_799_999
"""The end of the year 9999: what no calendar has says nothing about the time."""


class ClockRows(NamedTuple):
    """The newest row of each kind that still counts; an acceptance counts until a time is signed again. `newest_ms` is
    the latest moment of a tap that was taken without a doubt, since the clock was last accepted or a signature ended a
    doubt; 0 without one. Only taps count: the clock is looked at before each, and not before other rows."""

    doubt: Fault | None = None
    authenticated: ClockAuthenticated | None = None
    accepted: ClockAccepted | None = None
    newest_ms: int = 0


class ClockLedger:
    """`rows` as of the records applied so far."""

    def __init__(self) -> None:
        self.rows = ClockRows()
        self._numbers = (0, 0, 0)

    def apply(self, sequence: int, record: AnyRecord) -> None:
        """Take in the record of row `sequence`."""
        doubt, authenticated, accepted, newest_ms = self.rows
        began, signed, vouched = self._numbers
        match record:
            case Fault() if record.code in CLOCK_DOUBTS:
                doubt, began = record, sequence
            case Fault(code=ClockFault.WORKS):
                doubt = None
            case ClockAuthenticated():
                authenticated, signed, accepted = record, sequence, None
                if record.agrees:
                    doubt, newest_ms = None, record.at_ms
            case ClockAccepted():
                accepted, vouched = record, sequence
                doubt, newest_ms = None, record.at_ms
            case Intent() | Unwritten() if doubt is None and 0 < record.at_ms <= LATEST_MS:
                newest_ms = max(newest_ms, record.at_ms)
            case _:
                pass
        self.rows = ClockRows(doubt, authenticated, accepted, newest_ms)
        self._numbers = (began, signed, vouched)

    def resume(self, newest_ms: int) -> None:
        """The rows applied so far were notes of what is open; before them it had become `newest_ms`."""
        self.rows = self.rows._replace(newest_ms=newest_ms)

    def all(self) -> Iterator[tuple[int, AnyRecord]]:
        """The rows that still count, with their numbers; `newest_ms` is kept apart."""
        for number, record in zip(self._numbers, self.rows[:3], strict=True):
            if record is not None:
                yield number, record
