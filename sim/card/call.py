"""One command on its way through the card."""

from __future__ import annotations

from dataclasses import dataclass

from cardproto.desfire.messaging import CommMode
from sim.card.files import CardFile


@dataclass(slots=True)
class Call:
    """The gate fills `file`, `mode` and what it knows of the data's length, the messaging `data`.

    `content` says that it is about a file's content. `plain_bytes` is how long the enciphered data is when that
    is known, and `other_key` that the checksum of a new key follows it (ChangeKey); both are for the old kinds of
    messaging, whose padding does not say where the data ends. `cuts` are the lengths of the first frames of an
    answer that is not simply cut every 59 bytes.
    """

    ins: int
    header: bytes
    mode: CommMode
    content: bool = False
    data: bytes = b""
    file: CardFile | None = None
    plain_bytes: int | None = None
    other_key: bool = False
    cuts: tuple[int, ...] = ()

    @property
    def open_ended(self) -> bool:
        """It reads "to the end", without saying how much that is."""
        return len(self.header) == 7 and not any(self.header[4:7])

    def trailer_bytes(self, crc_bytes: int) -> int:
        """What follows the data's checksum."""
        return crc_bytes if self.other_key else 0
