"""What a simulated reader needs of a card: any class of this shape can be laid on it."""

from __future__ import annotations

from typing import Protocol

from sim.card.image import Json


class SimCard(Protocol):
    """A card in or out of the field. Not thread-safe."""

    @property
    def uid(self) -> bytes:
        """The UID anticollision finds."""
        ...

    @property
    def atr(self) -> bytes:
        """What a PC/SC reader reports for it."""
        ...

    def power_on(self) -> None:
        """Enter the field."""
        ...

    def power_off(self) -> None:
        """Leave the field: everything volatile is lost."""
        ...

    def transmit(self, command: bytes) -> bytes:
        """Answer any command. Only a silent card raises (`ExchangeTimeout`)."""
        ...

    def image(self) -> dict[str, Json]:
        """What survives power loss, as JSON values."""
        ...

    def clone(self) -> SimCard:
        """An independent card in the same committed state."""
        ...
