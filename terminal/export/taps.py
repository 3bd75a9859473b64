"""Taps with their ends: what the rows of one journal say, one item for each card presented."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from terminal.journal.records import AnyRecord, Committed, Intent, NotCommitted, Refused


class End(StrEnum):
    """How a tap ended, as far as the journal knows."""

    COMMITTED = "committed"
    NOT_COMMITTED = "not_committed"
    OPEN = "open"
    NOTHING_WRITTEN = "nothing_written"


@dataclass(frozen=True, slots=True)
class Tap:
    """One card presented to `terminal`; `sequence` is its row."""

    terminal: int
    sequence: int
    record: Intent | Refused
    end: End

    @property
    def charge_minor(self) -> int:
        """What the card was charged: nothing unless the commit is known."""
        return (
            self.record.charge_minor if isinstance(self.record, Intent) and self.end is End.COMMITTED else 0
        )

    @property
    def accepted(self) -> bool:
        """Whether the rider rode, as far as is known."""
        if isinstance(self.record, Refused):
            return self.record.accepted
        return self.end is End.COMMITTED


def taps(terminal: int, rows: Iterable[tuple[int, AnyRecord]]) -> Iterator[Tap]:
    """The taps among `rows` (sequence and record, in order), each when its end is known; open ones come last."""
    waiting: dict[int, Intent] = {}
    for sequence, record in rows:
        match record:
            case Intent():
                waiting[sequence] = record
            case Refused():
                yield Tap(terminal, sequence, record, End.NOTHING_WRITTEN)
            case Committed(intent=number) if number in waiting:
                yield Tap(terminal, number, waiting.pop(number), End.COMMITTED)
            case NotCommitted(intent=number) if number in waiting:
                yield Tap(terminal, number, waiting.pop(number), End.NOT_COMMITTED)
            case _:
                pass
    for sequence, intent in waiting.items():
        yield Tap(terminal, sequence, intent, End.OPEN)
