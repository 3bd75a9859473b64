"""The card on its reader, laid on and pulled as acceptance needs it: by a person, by power, or simulated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from cardproto.connection import CardConnection
from cardproto.errors import CardGone
from sim.card.virtual import CLA_READER, VirtualCard
from sim.reader import SimReader
from terminal.clock import Clock
from terminal.errors import ReaderError
from terminal.reader.pcsc import PcscReader

SLICE_S: Final = 0.5
"""No wait is longer: an order to stop is heard in between, and the reader's thread is never held up for long."""


class Rig(Protocol):
    """One card on one reader."""

    @property
    def name(self) -> str: ...

    def connect(self, wait_s: float) -> CardConnection:
        """The card, just powered up. Raises `ReaderError` when none comes within `wait_s`."""
        ...

    def cut_power(self) -> None:
        """The card loses its power and stays where it is; its connection is at an end."""
        ...

    def pull(self, wait_s: float) -> None:
        """Return when the card was taken off the reader. Raises `ReaderError` when that does not happen in time."""
        ...

    def close(self) -> None: ...


class PcscRig:
    """A real reader. `ask` hears what the person at it is to do, as a code."""

    def __init__(self, reader: PcscReader, clock: Clock, ask: Callable[[str], None]) -> None:
        self._reader = reader
        self._clock = clock
        self._ask = ask

    @property
    def name(self) -> str:
        return self._reader.name

    def connect(self, wait_s: float) -> CardConnection:
        until, asked = self._clock.monotonic() + wait_s, False
        while (left := until - self._clock.monotonic()) > 0:
            connection = self._reader.wait_for_card(min(SLICE_S, left))
            if connection is not None:
                return connection
            if not asked:
                self._ask("lay")
                asked = True
        raise ReaderError(
            f"no card stayed on {self.name} within {wait_s:g} s",
            "Lay the same card on the reader and run the same command again.",
        )

    def cut_power(self) -> None:
        self._reader.cut_power()

    def pull(self, wait_s: float) -> None:
        self._ask("pull")
        until = self._clock.monotonic() + wait_s
        while not self._reader.wait_for_removal(SLICE_S):
            if self._clock.monotonic() > until:
                raise ReaderError("the card was not taken off", "Run the same command again.")
        self._reader.cut_power()

    def close(self) -> None:
        self._reader.close()


class SimRig:
    """A software card on a simulated reader: what the command rehearses with. What a person would be asked is said,
    without waiting for it."""

    def __init__(
        self, card: VirtualCard, clock: Clock, ask: Callable[[str], None] = lambda _code: None
    ) -> None:
        self._card = card
        self._ask = ask
        self._reader = SimReader("simulated reader", clock)

    @property
    def name(self) -> str:
        return self._reader.name

    def connect(self, wait_s: float) -> CardConnection:
        self._reader.present(self._card)
        connection = self._reader.wait_for_card(wait_s)
        assert connection is not None, "a card has just been presented"
        return connection

    def cut_power(self) -> None:
        self._reader.release()
        self._reader.remove()

    def pull(self, wait_s: float) -> None:
        del wait_s
        self._ask("pull")
        self._reader.remove()
        self._ask("lay")

    def close(self) -> None:
        self._reader.close()


class Torn:
    """A connection whose card is torn away at card exchange `at`: before the command, or after its answer."""

    def __init__(
        self, connection: CardConnection, at: int, *, answered: bool, tear: Callable[[], None]
    ) -> None:
        self._connection = connection
        self._at = at
        self._answered = answered
        self._tear = tear
        self._count = 0
        self.torn = False

    def transmit(self, command: bytes) -> bytes:
        if self.torn:
            raise CardGone("the card was torn away")
        card = command[:1] != bytes((CLA_READER,))
        self._count += card
        if not card or self._count != self._at:
            return self._connection.transmit(command)
        if self._answered:
            self._connection.transmit(command)
        self.torn = True
        self._tear()
        raise CardGone("the card was torn away, as planned")
