"""What a restart must know: intents whose outcome is unknown, the last intent whatever its outcome, the shift with its
turn, place, crew and break, whether the terminal was taken out of service, whether its clock is in doubt, and what of
its active set is in force. A fold over the records, in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from terminal.journal.clock_ledger import ClockLedger
from terminal.journal.console_records import BreakDeclared, CrewChanged, OrderDeclared, PlaceSet, TurnStarted
from terminal.journal.operation_records import SetActivated
from terminal.journal.records import (
    AnyRecord,
    Intent,
    ShiftClosed,
    ShiftOpened,
)
from terminal.journal.taps import End, Intents, Settled


class LastIntent(NamedTuple):
    """The newest intent of a journal, by its row; `end` is `UNRESOLVED` while no word on it is there."""

    sequence: int
    intent: Intent
    end: End


class OpenRecords:
    """The state a restart must know without reading the whole journal."""

    def __init__(self) -> None:
        self._intents = Intents()
        self._by_card: dict[bytes, list[int]] = {}
        self._last: tuple[int, Intent] | None = None
        self._word: tuple[int, Settled] | None = None
        self._shift: tuple[int, ShiftOpened] | None = None
        self._turn: tuple[int, TurnStarted] | None = None
        self._place: tuple[int, PlaceSet] | None = None
        self._crew: tuple[int, CrewChanged] | None = None
        self._break: tuple[int, BreakDeclared] | None = None
        self._out_of_order: tuple[int, OrderDeclared] | None = None
        self._activated: dict[str, tuple[int, SetActivated]] = {}
        self.clock = ClockLedger()

    def apply(self, sequence: int, record: AnyRecord) -> None:
        """Take in the record of row `sequence`; records that open or close nothing are passed over."""
        self.clock.apply(sequence, record)
        settled = self._intents.take(sequence, record)
        if settled is not None:
            self._forget(settled)
            if self._last is not None and settled.sequence == self._last[0]:
                self._word = (sequence, settled)
        match record:
            case Intent():
                self._last, self._word = (sequence, record), None
                self._by_card.setdefault(record.card_ref, []).append(sequence)
            case ShiftOpened():
                self._end_shift()
                self._shift = (sequence, record)
            case ShiftClosed():
                self._end_shift()
            case CrewChanged():
                self._crew = (sequence, record)
            case BreakDeclared():
                self._break = (sequence, record) if record.begins else None
            case TurnStarted():
                self._turn, self._place = (sequence, record), None
            case PlaceSet():
                self._place = (sequence, record) if record.known else None
            case OrderDeclared():
                self._out_of_order = None if record.in_order else (sequence, record)
            case SetActivated():
                self._activated[record.kind] = (sequence, record)
            case _:
                pass

    def _end_shift(self) -> None:
        self._shift = self._turn = self._place = self._crew = self._break = None

    def _forget(self, settled: Settled) -> None:
        waiting = self._by_card[settled.intent.card_ref]
        waiting.remove(settled.sequence)
        if not waiting:
            del self._by_card[settled.intent.card_ref]

    def newest_of(self, card_ref: bytes) -> tuple[int, Intent] | None:
        """The newest open intent of a card, with its sequence."""
        waiting = self._by_card.get(card_ref)
        return (waiting[-1], self._intents[waiting[-1]]) if waiting else None

    def intents(self) -> list[tuple[int, Intent]]:
        """All open intents, oldest first."""
        return self._intents.open()

    @property
    def last_intent(self) -> LastIntent | None:
        """The newest intent of all, None before the first."""
        if self._last is None:
            return None
        return LastIntent(*self._last, End.UNRESOLVED if self._word is None else self._word[1].end)

    @property
    def shift(self) -> ShiftOpened | None:
        return self._shift[1] if self._shift else None

    @property
    def turn(self) -> TurnStarted | None:
        return self._turn[1] if self._turn else None

    @property
    def place(self) -> PlaceSet | None:
        return self._place[1] if self._place else None

    @property
    def crew(self) -> CrewChanged | None:
        return self._crew[1] if self._crew else None

    @property
    def on_break(self) -> BreakDeclared | None:
        return self._break[1] if self._break else None

    @property
    def out_of_order(self) -> OrderDeclared | None:
        return self._out_of_order[1] if self._out_of_order else None

    @property
    def activated(self) -> Mapping[str, SetActivated]:
        """The newest row of each kind."""
        return {kind: record for kind, (_, record) in self._activated.items()}

    def all(self) -> Iterable[tuple[int, AnyRecord]]:
        """Every open record with its sequence: applied in order to an empty fold they give this one."""
        open_now: list[tuple[int, AnyRecord]] = [
            *self._intents.open(),
            *self.clock.all(),
            *self._activated.values(),
        ]
        if self._last is not None and self._word is not None:
            open_now += [self._last, (self._word[0], self._word[1].word)]
        declared = (self._shift, self._turn, self._place, self._crew, self._break, self._out_of_order)
        open_now += [one for one in declared if one]
        return sorted(open_now, key=lambda item: item[0])
