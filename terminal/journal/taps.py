"""What the rows of one journal come to: intents with their ends, taps, cash sales. The one fold of the terminal.

Rows come in the order of the journal, from its beginning or from any row after it. The first word on an intent counts,
however much later it stands; a word on an intent that was not among the rows (purged, or before the first of them) is
passed over, and so is `Unresolved`, which leaves the intent open. Held in memory are
the open intents, and what follows the newest cash sale of a shift.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

from msgspec import Struct, structs

from terminal.codes import Admission, TicketKind
from terminal.journal.console_records import SaleCancelled
from terminal.journal.records import (
    AnyRecord,
    CashSale,
    Committed,
    Intent,
    NotCommitted,
    ShiftClosed,
    ShiftOpened,
    Unwritten,
)

TapId: TypeAlias = tuple[int, int]
"""Terminal, and the sequence number of the row a tap has in its journal."""


class End(StrEnum):
    """How a tap ended, as far as is known: one vocabulary for reports, journals and the collector."""

    COMMITTED = "committed"
    RECOVERED = "recovered"
    """Of a presentation: it brought the word that an earlier tap had been committed. That tap is `COMMITTED`."""
    REPEATED = "repeated"
    """Of a presentation: the card had not left since an earlier tap, whose answer was given again. It is no tap."""
    NOT_COMMITTED = "not_committed"
    UNRESOLVED = "unresolved"
    """The card may hold it or not; it is settled when the card comes back, or by the collector."""
    NOTHING_WRITTEN = "nothing_written"
    SOLD = "sold"
    """For cash: no card was involved."""
    CANCELLED = "cancelled"
    """Sold for cash, and the money given back (T-54)."""


NOWHERE_SETTLED: Final[Mapping[int, End]] = MappingProxyType({})


class Settled(Struct, frozen=True):
    """An intent, by its row, and the word on it in row `by`: `word.at_ms` says when, `word.how` from what."""

    sequence: int
    intent: Intent
    by: int
    word: Committed | NotCommitted

    @property
    def end(self) -> End:
        """`COMMITTED` or `NOT_COMMITTED`."""
        return End.COMMITTED if isinstance(self.word, Committed) else End.NOT_COMMITTED


class Intents:
    """The intents that are open after the rows taken so far."""

    def __init__(self) -> None:
        self._open: dict[int, Intent] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __getitem__(self, sequence: int) -> Intent:
        """The open intent in row `sequence`; `KeyError` when that row is none."""
        return self._open[sequence]

    def take(self, sequence: int, record: AnyRecord) -> Settled | None:
        """Take in the record of row `sequence`; return the intent it settles, None when it settles none."""
        match record:
            case Intent():
                self._open[sequence] = record
            case Committed(intent=number) | NotCommitted(intent=number) if number in self._open:
                return Settled(number, self._open.pop(number), sequence, record)
            case _:
                pass
        return None

    def open(self) -> list[tuple[int, Intent]]:
        """Each with its row, oldest first."""
        return list(self._open.items())


class JournalTap(Struct, frozen=True):
    """One card presented to `terminal`, or one cash sale there; `sequence` is its row."""

    terminal: int
    sequence: int
    record: Intent | Unwritten | CashSale
    end: End

    @property
    def charge_minor(self) -> int:
        """What was taken: from a card nothing unless its commit is known."""
        if isinstance(self.record, CashSale):
            return self.record.sum_minor if self.end is End.SOLD else 0
        if isinstance(self.record, Intent) and self.end is End.COMMITTED:
            return self.record.charge_minor
        return 0

    @property
    def profile(self) -> str:
        """On which kind of terminal."""
        return "bus" if isinstance(self.record, CashSale) else self.record.profile

    @property
    def left(self) -> int:
        """How many persons checked out with it (T-07)."""
        if not isinstance(self.record, Intent) or self.end is not End.COMMITTED:
            return 0
        persons = self.record.values.get("left", 0)
        return persons if isinstance(persons, int) else 0

    @property
    def riders(self) -> int:
        """How many persons began a ride with it, as far as is known."""
        if isinstance(self.record, CashSale):
            rides = self.end is End.SOLD and self.record.ticket is not TicketKind.LUGGAGE
            return self.record.persons if rides else 0
        if not isinstance(self.record, Intent) or self.end is not End.COMMITTED or self.left:
            return 0
        companions = self.record.trip.get("companions", 0)
        return 1 + companions if isinstance(companions, int) else 1

    @property
    def admission(self) -> Admission | None:
        """Whether the rider was let in, as far as is known; None while the end is not, and for a write that failed."""
        if isinstance(self.record, Unwritten):
            return self.record.admission
        return Admission.LET_IN if self.end in (End.COMMITTED, End.SOLD) else None

    @property
    def accepted(self) -> bool:
        """Exactly *let in*."""
        return self.admission is Admission.LET_IN


def taps(
    terminal: int, rows: Iterable[tuple[int, AnyRecord]], settled: Mapping[int, End] = NOWHERE_SETTLED
) -> Iterator[JournalTap]:
    """The taps and cash sales among `rows` (sequence and record), each when its end is known; open ones come last. The
    newest sale of a shift can still be cancelled, so it and what follows wait for the next one or the shift's end.
    `settled` are ends known from elsewhere, by the intent's row.
    """
    intents = Intents()
    waiting: list[JournalTap] = []  # the newest sale and what came after it
    for sequence, record in rows:
        match record:
            case CashSale() | ShiftClosed() | ShiftOpened():
                yield from waiting
                waiting = []
            case SaleCancelled() if waiting and waiting[0].sequence == record.sale:
                yield structs.replace(waiting[0], end=End.CANCELLED)
                yield from waiting[1:]
                waiting = []
            case _:
                pass
        known = _ended(terminal, intents, sequence, record)
        if known is not None and (waiting or known.end is End.SOLD):
            waiting.append(known)
        elif known is not None:
            yield known
    yield from waiting
    for sequence, intent in intents.open():
        yield JournalTap(terminal, sequence, intent, settled.get(sequence, End.UNRESOLVED))


def _ended(terminal: int, intents: Intents, sequence: int, record: AnyRecord) -> JournalTap | None:
    """The tap or sale whose end this row says."""
    match record:
        case CashSale():
            return JournalTap(terminal, sequence, record, End.SOLD)
        case Unwritten():
            return JournalTap(terminal, sequence, record, End.NOTHING_WRITTEN)
        case _:
            known = intents.take(sequence, record)
    return None if known is None else JournalTap(terminal, known.sequence, known.intent, known.end)
