"""What an application or the card itself says about its keys, its version and its memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cardproto.errors import FormatError

PICC_AID: Final = bytes(3)
KEY_TYPE_AES: Final = 2
PICC_AES_KEY: Final = 0x80
"""Added to key number 0 when the card's own master key becomes an AES key."""

_ISO_FILE_IDS: Final = 0x20
_VERSION_BYTES: Final = 28


@dataclass(frozen=True, slots=True)
class KeySettings:
    """KS1 and KS2 of an application. `change_key` changes the others (14: each itself, 15: none)."""

    key_count: int
    change_key: int = 0
    settings_changeable: bool = True
    free_create_delete: bool = False
    free_listing: bool = False
    master_key_changeable: bool = True
    key_type: int = KEY_TYPE_AES
    iso_file_ids: bool = False

    def to_bytes(self) -> bytes:
        """KS1 KS2."""
        first = (
            self.change_key << 4
            | self.settings_changeable << 3
            | self.free_create_delete << 2
            | self.free_listing << 1
            | self.master_key_changeable
        )
        return bytes((first, self.key_type << 6 | self.iso_file_ids * _ISO_FILE_IDS | self.key_count))

    @classmethod
    def parse(cls, raw: bytes) -> KeySettings:
        """From exactly KS1 KS2; raises `FormatError` for another length, key sets, an unknown type."""
        if len(raw) != 2:
            raise FormatError("key settings", f"{len(raw)} bytes, expected 2")
        first, second = raw
        if second & 0x10 or second >> 6 == 3:
            raise FormatError("key settings", f"unknown key type or key sets in {second:02X}", 1)
        return cls(
            key_count=second & 0x0F,
            change_key=first >> 4,
            settings_changeable=bool(first & 8),
            free_create_delete=bool(first & 4),
            free_listing=bool(first & 2),
            master_key_changeable=bool(first & 1),
            key_type=second >> 6,
            iso_file_ids=bool(second & _ISO_FILE_IDS),
        )


@dataclass(frozen=True, slots=True)
class PartVersion:
    """Seven bytes about hardware or software. `storage` is 2n for 2^n bytes, 2n+1 for somewhat more."""

    vendor: int
    type: int
    subtype: int
    major: int
    minor: int
    storage: int
    protocol: int

    @classmethod
    def parse(cls, raw: bytes) -> PartVersion:
        if len(raw) != 7:
            raise FormatError("version part", f"{len(raw)} bytes, expected 7")
        return cls(*raw)


@dataclass(frozen=True, slots=True)
class Version:
    """GetVersion. `uid` is all zero on a card with random ID; `week` and `year` as printed in BCD."""

    hardware: PartVersion
    software: PartVersion
    uid: bytes
    batch: bytes
    week: int
    year: int

    @classmethod
    def parse(cls, raw: bytes) -> Version:
        """From the three frames joined, exactly 28 bytes."""
        if len(raw) != _VERSION_BYTES:
            raise FormatError("version", f"{len(raw)} bytes, expected {_VERSION_BYTES}")
        hardware, software = PartVersion.parse(raw[:7]), PartVersion.parse(raw[7:14])
        return cls(hardware, software, raw[14:21], raw[21:26], raw[26], raw[27])
