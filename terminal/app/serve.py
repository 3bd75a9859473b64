"""Readers by name, and the loop that serves them: presence, taps, background sync, clean stop."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from typing import TYPE_CHECKING, Final

from cardproto.connection import CardConnection
from cardproto.errors import CardError
from terminal.clock import Clock
from terminal.errors import ReaderError
from terminal.journal.records import Fault
from terminal.reader.port import ReaderPort
from terminal.reader.presence import Presence
from terminal.tap import OUT_OF_ORDER, Terminal, take_tap
from terminal.tap_report import TapReport

if TYPE_CHECKING:
    from sim.card.port import SimCard
    from sim.reader import SimReader
    from terminal.app.station import Station
    from terminal.operations.vitals import Vitals

SIM: Final = "sim:"
PCSC: Final = "pcsc"


@dataclass(frozen=True, slots=True)
class CardSource:
    """A reader, and how many taps it will bring (None: until stopped)."""

    port: ReaderPort
    taps: int | None


class CardsInTurn:
    """A simulated reader onto which the given cards are laid one after the other; `keep` is called at the end.

    With `pace_s`, a card comes every so many seconds and lies there for a third of the time; otherwise at once.
    """

    def __init__(
        self, reader: SimReader, cards: Iterator[SimCard], keep: Callable[[], None], pace_s: float = 0.0
    ) -> None:
        self._reader = reader
        self._cards = cards
        self._keep = keep
        self._pace_s = pace_s
        self._next_in_s = pace_s

    @property
    def name(self) -> str:
        return self._reader.name

    def wait_for_card(self, timeout_s: float) -> CardConnection | None:
        if not self._is_time(timeout_s, self._pace_s / 3):
            return None
        card = next(self._cards, None)
        if card is not None:
            self._reader.present(card)
        return self._reader.wait_for_card(timeout_s)

    def wait_for_removal(self, timeout_s: float) -> bool:
        if not self._is_time(timeout_s, self._pace_s * 2 / 3):
            return False
        self._reader.remove()
        return self._reader.wait_for_removal(timeout_s)

    def _is_time(self, timeout_s: float, then_in_s: float) -> bool:
        """Let `timeout_s` of the pace pass; once all of it has passed, the next step is due `then_in_s` later."""
        if self._next_in_s > 0:
            time.sleep(min(timeout_s, self._next_in_s))
            self._next_in_s -= timeout_s
            return False
        self._next_in_s = then_in_s
        return True

    def release(self) -> None:
        self._reader.release()

    def close(self) -> None:
        self._reader.close()
        self._keep()


def reader_for(
    name: str, station: Station, clock: Clock, taps: int | None, pace_s: float | None = None
) -> CardSource:
    """The reader `name` stands for; raises `ReaderError` or `ProfileError` with what to do.

    `pace_s` is for simulated readers, see `CardsInTurn`; with it and without `taps` the cards come for ever.
    """
    if name == PCSC or name.startswith(PCSC + ":"):
        from terminal.reader.pcsc import PcscReader

        return CardSource(PcscReader.open(name.removeprefix(PCSC).removeprefix(":")), taps)
    if not name.startswith(SIM):
        raise ReaderError(f"unknown reader {name!r}", "Use sim:RESIDENT, pcsc or pcsc:NAME.")
    from sim.reader import SimReader
    from terminal.cli.residents import issue_residents, keep_residents
    from terminal.policy.document import load_region

    region = load_region(station.region)
    if name == SIM:
        empty = CardsInTurn(SimReader("empty simulated reader", clock), iter(()), lambda: None)
        return CardSource(empty, taps)
    names = name.removeprefix(SIM).split(",")
    cards = issue_residents(names, region, clock.now().date(), station.keys)
    turns = taps if taps or pace_s else len(cards)
    in_turn = islice(cycle(cards), turns)
    keep = partial(keep_residents, names, cards)
    return CardSource(CardsInTurn(SimReader("simulated reader", clock), in_turn, keep, pace_s or 0.0), turns)


def serve(
    terminal: Terminal,
    cards: CardSource,
    show: Callable[[TapReport], None],
    vitals: Vitals,
    turn: AbstractContextManager[object] | None = None,
    *,
    recorded: Callable[[CardConnection], CardConnection] = lambda connection: connection,
) -> None:
    """Serve cards until the source is exhausted or SIGTERM/SIGINT arrives; then stop cleanly.

    A `JournalError` ends the loop: a terminal that cannot record must not sell. `turn` is held during each tap,
    where others work at the same terminal. `recorded` may wrap each connection, to write down what is said on it.
    `vitals` hears of everything, and of the end last.
    """
    clock = terminal.clock

    def on_card(connection: CardConnection) -> None:
        with turn or nullcontext():
            begun_s = clock.monotonic()
            report = take_tap(recorded(connection), terminal)
            vitals.tap(report, clock.monotonic() - begun_s)
            show(report)

    def on_fault(error: CardError) -> None:
        terminal.signal(OUT_OF_ORDER)
        vitals.reader_failed(type(error).__name__, str(error))
        _note(terminal, f"reader: {type(error).__name__}")

    def on_ready() -> None:
        vitals.reader_works()
        _note(terminal, "reader: works again")

    presence = Presence(cards.port, on_card, on_fault, on_ready=on_ready, on_turn=vitals.turn)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: presence.stop())
    vitals.ready()
    try:
        presence.run(max_taps=cards.taps)
    finally:
        vitals.stopping()
        cards.port.close()


def _note(terminal: Terminal, what: str) -> None:
    """Into the journal, because an outage belongs into the day's report (T-64)."""
    terminal.journal.append(Fault(int(terminal.clock.now().timestamp() * 1000), what=what))
