"""A software card whose presentation goes as a fault plan says, for readers that know no faults themselves: vpcd's."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from sim.card.port import SimCard
from sim.faults import FaultPlan
from sim.field import Field, Presentation


class DisturbedCard:
    """One presentation of `card`. Torn, it raises `CardGone`; silent, `ExchangeTimeout`; delays take real time.

    Exchanges count from the first, through resets, as they do on the simulated reader.
    """

    def __init__(self, card: SimCard, faults: FaultPlan) -> None:
        self._card = card
        self._presentation = Presentation(card, Field(_WallClock(), None), faults, hold_s=None)

    @property
    def atr(self) -> bytes:
        """The card's."""
        return self._card.atr

    @property
    def exchanges(self) -> int:
        """With the card itself; pseudo APDUs do not count."""
        return self._presentation.exchanges

    def power_on(self) -> None:
        """Enter the field."""
        self._card.power_on()

    def power_off(self) -> None:
        """Lose everything volatile."""
        self._card.power_off()

    def transmit(self, command: bytes) -> bytes:
        """The card's answer, or the fault's. Raises `CardGone` and `ExchangeTimeout`."""
        return self._presentation.exchange(command)


class _WallClock:
    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 nothing is decided by it: faults only measure how long they last

    def monotonic(self) -> float:
        return time.monotonic()
