"""The reset answer, as far as a terminal may use it: what kind of thing lies on the reader, not whose it is.

ISO 7816-3 for contact cards; PC/SC part 3 for what a contactless reader makes up. A resident card may look
like a processor card on one interface and like storage on another, so no profile is chosen by the ATR alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import reduce
from operator import xor
from typing import Final

from cardproto.errors import FormatError

MAX_ATR_BYTES: Final = 33
WHERE: Final = "ATR"
_STORAGE_HEAD: Final = bytes.fromhex("804F0CA000000306")
_STORAGE_BYTES: Final = 15
_CONTACTLESS_BYTES: Final = (0x80, 0x01)


class StorageCard(IntEnum):
    """Card names of PC/SC part 3 supplement; readers use FFxx for what they do not know."""

    MIFARE_CLASSIC_1K = 0x0001
    MIFARE_CLASSIC_4K = 0x0002
    MIFARE_ULTRALIGHT = 0x0003
    SRIX4K = 0x0007
    TAG_IT = 0x0012
    ICODE_SLI = 0x0014
    MIFARE_MINI = 0x0026
    JEWEL = 0x002F
    TOPAZ = 0x0030
    MIFARE_PLUS_SL1_2K = 0x0036
    MIFARE_PLUS_SL1_4K = 0x0037
    MIFARE_PLUS_SL2_2K = 0x0038
    MIFARE_PLUS_SL2_4K = 0x0039
    MIFARE_ULTRALIGHT_C = 0x003A
    FELICA = 0x003B
    MIFARE_ULTRALIGHT_EV1 = 0x003D


@dataclass(frozen=True, slots=True)
class Storage:
    """What a reader says of a contactless storage card: standard (03: ISO 14443 A part 3) and card name."""

    standard: int
    name: int

    @property
    def card(self) -> StorageCard | None:
        """The known card with this name; None for others and for a reader's own codes."""
        try:
            return StorageCard(self.name)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Atr:
    """A checked reset answer. `interface` are TA1, TB1, ... in order, `protocols` the T values offered."""

    raw: bytes
    protocols: tuple[int, ...]
    interface: bytes
    historical: bytes

    @property
    def contactless(self) -> bool:
        """Whether it has the form PC/SC part 3 gives to contactless cards: 3B 8n 80 01."""
        return self.raw[0] == 0x3B and self.raw[1] >> 4 == 8 and tuple(self.interface) == _CONTACTLESS_BYTES

    @property
    def storage(self) -> Storage | None:
        """The storage card named in the historical bytes, or None for a processor card."""
        found = self.historical
        if not self.contactless or len(found) != _STORAGE_BYTES or not found.startswith(_STORAGE_HEAD):
            return None
        return Storage(found[8], int.from_bytes(found[9:11], "big"))


def parse_atr(raw: bytes) -> Atr:
    """The reset answer in exactly these bytes; raises `FormatError` for a wrong shape, length or check byte.

    The check byte (TCK) makes everything after the first byte xor to zero; a T=0-only answer has none.
    """
    if not 2 <= len(raw) <= MAX_ATR_BYTES:
        raise FormatError(WHERE, f"{len(raw)} bytes; 2 to {MAX_ATR_BYTES} are possible")
    if raw[0] not in (0x3B, 0x3F):
        raise FormatError(WHERE, f"first byte {raw[0]:02X} is neither 3B nor 3F", 0)
    protocols, interface, at = _interface(raw)
    historical = raw[at : at + (raw[1] & 0x0F)]
    checked = any(protocols)
    if len(raw) != at + (raw[1] & 0x0F) + checked:
        raise FormatError(WHERE, f"{len(raw)} bytes do not fit what its format byte announces", 1)
    if checked and reduce(xor, raw[1:]):
        raise FormatError(WHERE, "check byte is wrong", len(raw) - 1)
    return Atr(raw, protocols or (0,), interface, historical)


def _interface(raw: bytes) -> tuple[tuple[int, ...], bytes, int]:
    """(protocols, interface bytes, offset of the historical bytes); each TDi announces the next group."""
    protocols: list[int] = []
    found, at, announced = bytearray(), 2, raw[1] >> 4
    while announced:
        group = raw[at : at + announced.bit_count()]
        if len(group) < announced.bit_count():
            raise FormatError(WHERE, "ends inside its interface bytes", at)
        found += group
        at += len(group)
        if not announced & 8:
            break
        protocols.append(group[-1] & 0x0F)
        announced = group[-1] >> 4
    return tuple(protocols), bytes(found), at
