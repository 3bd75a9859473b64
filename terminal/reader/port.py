"""The seam between the presence loop and whatever carries cards: PC/SC or a simulated reader.

Only primitives and `cardproto` types cross it, so that a simulated reader needs no import from the terminal.
"""

from __future__ import annotations

from typing import Protocol

from cardproto.connection import CardConnection


class ReaderPort(Protocol):
    """One slot that holds at most one card. All calls come from one thread."""

    @property
    def name(self) -> str:
        """As the operator knows the reader."""
        ...

    def wait_for_card(self, timeout_s: float) -> CardConnection | None:
        """Block until a card is presented that was not yet handed out; None when `timeout_s` passed first.

        A card already on the reader at the first call counts as presented. The connection is exclusive. A card
        that cannot be woken is presented, too, and says so at its first exchange: its holder must hear of it.
        Raises `ReaderGone` or `ServiceGone`; the caller waits and calls again, and the port re-establishes itself.
        """
        ...

    def wait_for_removal(self, timeout_s: float) -> bool:
        """Block until the card handed out last has left (also when it was swapped quickly); False on time-out.

        Raises `ReaderGone` or `ServiceGone` when it cannot be known; a card that still lies there when reader or
        service come back may then be presented again.
        """
        ...

    def release(self) -> None:
        """End the conversation and reset the card, so that it never stays authenticated. Harmless when it is gone."""
        ...

    def close(self) -> None:
        """Give everything back to the operating system."""
        ...
