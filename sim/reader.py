"""A simulated reader: cards are laid on it and taken away, from any thread or from the terminal's own.

It has the shape of the terminal's reader port without knowing the terminal. Time is the clock's: with a
`VirtualClock` an exchange takes what the air model says and no real time at all.

Waiting: when the thread that lays cards on the reader also waits for one, no card can come meanwhile, so with
a virtual clock such a wait lets its time pass at once and ends. A wait in any other thread blocks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from cardproto.errors import CardGone, ReaderGone
from sim.air import AirModel, VirtualClock
from sim.card.port import SimCard
from sim.faults import NO_FAULTS, FaultPlan
from sim.field import Field, FieldClock, Presentation


class SimReader:
    """One slot. `present`, `remove` and `unplug` may come from any thread, the port methods from one.

    `last` is the presentation handed out last, with its `exchanges`, `apdu_bytes` and `air_ms`. A removal waits for
    the exchange that is going on, because an exchange has no middle here: use faults to tear one.
    """

    def __init__(self, name: str, clock: FieldClock, air: AirModel | None = None) -> None:
        self._name = name
        self._field = Field(clock, air)
        self._change = threading.Condition(threading.RLock())
        self._on_top: Presentation | None = None
        self._connection: SimConnection | None = None
        self._hand = threading.get_ident()
        self._plugged_in = True
        self._closed = False
        self._looked = False
        self.last: Presentation | None = None

    @property
    def name(self) -> str:
        """As the operator knows the reader."""
        return self._name

    @property
    def exchanges(self) -> int:
        """Card exchanges since the card handed out last was presented."""
        return 0 if self.last is None else self.last.exchanges

    @property
    def lay_there(self) -> bool:
        """The card handed out last was there at the first look after the start, or since the reader was given back."""
        return self.last is not None and self.last.lay_there

    def present(self, card: SimCard, faults: FaultPlan | None = None, *, hold_s: float | None = None) -> None:
        """Lay `card` on the reader; a card already there leaves first.

        `hold_s` makes its holder take it away after that much of the clock's time, mid-exchange if need be;
        None leaves it there until `remove` or a tear.
        """
        with self._change:
            self.remove()
            self._on_top = Presentation(card, self._field, faults or NO_FAULTS, hold_s)
            self._change.notify_all()

    def remove(self) -> None:
        """Take the card away; harmless when there is none."""
        with self._change:
            self._hand = threading.get_ident()
            if self._on_top is not None:
                self._on_top.pull()
                self._on_top = None
            self._change.notify_all()

    def unplug(self) -> None:
        """Pull the reader's cable, the card goes too: waits raise `ReaderGone` until `plug_in`."""
        with self._change:
            self.remove()
            self._plugged_in = False

    def plug_in(self) -> None:
        """Give the reader back; a card laid on it meanwhile lies there."""
        with self._change:
            self._plugged_in = True
            self._looked = False

    def wait_for_card(self, timeout_s: float) -> SimConnection | None:
        """The connection to a card not yet handed out, or None after `timeout_s`. Raises `ReaderGone`."""
        with self._change:
            self._look()
            self._wait(lambda: self._fresh() is not None, timeout_s)
            presentation = self._fresh()
            if presentation is None:
                return None
            presentation.handed_out = True
            self.last = presentation
            self._connection = SimConnection(self, presentation)
            presentation.activate()
            return self._connection

    def wait_for_removal(self, timeout_s: float) -> bool:
        """Whether the card handed out last has left within `timeout_s`. Raises `ReaderGone`."""
        with self._change:
            presentation = self.last
            if presentation is None:
                return True
            self._wait(presentation.leave_when_due, timeout_s)
            return presentation.leave_when_due()

    def release(self) -> None:
        """Reset the card and end the connection; the card stays where it is."""
        with self._change:
            if self._connection is None:
                return
            self._connection.ended = True
            self._connection = None
            if self.last is not None and not self.last.gone:
                self.last.card.power_on()

    def close(self) -> None:
        """End the connection and every wait; later waits end at once."""
        with self._change:
            self.release()
            self._closed = True
            self._change.notify_all()

    def exchange(self, presentation: Presentation, command: bytes) -> bytes:
        """One exchange, safe against a removal from another thread. Raises `TransmissionError`."""
        with self._change:
            try:
                return presentation.exchange(command)
            finally:
                if presentation.gone:
                    self._change.notify_all()

    def _look(self) -> None:
        """The first look finds what lies there already."""
        if not self._looked and self._plugged_in:
            self._looked = True
            if self._on_top is not None:
                self._on_top.lay_there = True

    def _fresh(self) -> Presentation | None:
        presentation = self._on_top
        if presentation is None or presentation.handed_out or presentation.leave_when_due():
            return None
        return presentation

    def _wait(self, done: Callable[[], bool], timeout_s: float) -> None:
        self._refuse_when_unplugged()
        if done() or self._closed:
            return
        clock = self._field.clock
        if isinstance(clock, VirtualClock) and threading.get_ident() == self._hand:
            clock.advance(min(timeout_s, self._until_due_s(clock)))
            return
        ends_at_s = time.monotonic() + timeout_s
        while not done() and not self._closed and self._plugged_in:
            left_s = ends_at_s - time.monotonic()
            if left_s <= 0:
                break
            self._change.wait(min(left_s, self._until_due_s(clock)))
        self._refuse_when_unplugged()

    def _until_due_s(self, clock: FieldClock) -> float:
        """How long the holder will still leave the card there."""
        due = None if self._on_top is None else self._on_top.leaves_at_s
        return float("inf") if due is None else max(0.0, due - clock.monotonic())

    def _refuse_when_unplugged(self) -> None:
        if not self._plugged_in:
            raise ReaderGone(f"{self._name} is unplugged")


class SimConnection:
    """An exclusive connection to the presented card: the terminal's `CardConnection`."""

    def __init__(self, reader: SimReader, presentation: Presentation) -> None:
        self._reader = reader
        self._presentation = presentation
        self.ended = False

    def transmit(self, command: bytes) -> bytes:
        """Raises `CardGone` when the card has left or the connection was released."""
        if self.ended:
            raise CardGone(f"{self._reader.name}: the connection was released")
        return self._reader.exchange(self._presentation, command)
