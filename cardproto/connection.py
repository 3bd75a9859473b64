"""The seam between everything we know about cards and whatever carries the bytes."""

from __future__ import annotations

from typing import Protocol


class CardConnection(Protocol):
    """One card, connected. PC/SC readers, software cards and recorded transcripts all look like this."""

    def transmit(self, command: bytes) -> bytes:
        """Send one command APDU, return the whole response including its two status bytes.

        Raises `cardproto.errors.TransmissionError` (usually `CardGone`) when no answer came: the card may or
        may not have executed the command.
        """
        ...
