"""Taps with their ends, and cash sales: what the rows of one journal come to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from terminal.journal.records import AnyRecord, CashSale, Committed, Intent, NotCommitted, Refused


class End(StrEnum):
    """How a tap ended, as far as the journal knows."""

    COMMITTED = "committed"
    NOT_COMMITTED = "not_committed"
    OPEN = "open"
    NOTHING_WRITTEN = "nothing_written"
    SOLD = "sold"
    """For cash: no card was involved."""


NOWHERE_SETTLED: Final[Mapping[int, End]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Tap:
    """One card presented to `terminal`, or one cash sale there; `sequence` is its row."""

    terminal: int
    sequence: int
    record: Intent | Refused | CashSale
    end: End

    @property
    def charge_minor(self) -> int:
        """What was taken: from a card nothing unless its commit is known."""
        if isinstance(self.record, CashSale):
            return self.record.sum_minor
        if isinstance(self.record, Intent) and self.end is End.COMMITTED:
            return self.record.charge_minor
        return 0

    @property
    def profile(self) -> str:
        """On which kind of terminal."""
        return "bus" if isinstance(self.record, CashSale) else self.record.profile

    @property
    def riders(self) -> int:
        """How many persons rode on it, as far as is known."""
        if isinstance(self.record, CashSale):
            return self.record.persons
        if not isinstance(self.record, Intent) or self.end is not End.COMMITTED:
            return 0
        companions = self.record.context.get("companions", 0)
        return 1 + companions if isinstance(companions, int) else 1

    @property
    def accepted(self) -> bool:
        """Whether the rider rode, as far as is known."""
        if isinstance(self.record, Refused):
            return self.record.accepted
        return self.end in (End.COMMITTED, End.SOLD)


def taps(
    terminal: int, rows: Iterable[tuple[int, AnyRecord]], settled: Mapping[int, End] = NOWHERE_SETTLED
) -> Iterator[Tap]:
    """The taps and cash sales among `rows` (sequence and record, in order), each when its end is known; open ones
    come last. `settled` are ends known from elsewhere, by the intent's row.
    """
    waiting: dict[int, Intent] = {}
    for sequence, record in rows:
        match record:
            case Intent():
                waiting[sequence] = record
            case CashSale():
                yield Tap(terminal, sequence, record, End.SOLD)
            case Refused():
                yield Tap(terminal, sequence, record, End.NOTHING_WRITTEN)
            case Committed(intent=number) if number in waiting:
                yield Tap(terminal, number, waiting.pop(number), End.COMMITTED)
            case NotCommitted(intent=number) if number in waiting:
                yield Tap(terminal, number, waiting.pop(number), End.NOT_COMMITTED)
            case _:
                pass
    for sequence, intent in waiting.items():
        yield Tap(terminal, sequence, intent, settled.get(sequence, End.OPEN))
