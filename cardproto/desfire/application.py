"""What an application or the card itself says about its keys, its version and its memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cardproto.desfire.key_types import KeyType
from cardproto.errors import FormatError

PICC_AID: Final = bytes(3)
PICC_AES_KEY: Final = 0x80
"""Key number 0 as ChangeKey names it when the card's own master key becomes an AES key."""
PICC_KEY: Final = {kind: kind << 6 for kind in KeyType}
"""The same for every kind the card's own master key can become."""

_ISO_FILE_IDS: Final = 0x20
_KEY_SETS: Final = 0x10
_KEY_SETS_ENABLED: Final = 0x01
_VERSION_BYTES: Final = 28


@dataclass(frozen=True, slots=True)
class KeySets:
    """An application with several sets of keys (EV2/EV3): how many, how long a key may be, which key rolls them.

    `active_version` is the version of the set in force.
    """

    active_version: int
    count: int
    longest_bytes: int = 16
    roll_key: int = 0

    def to_bytes(self) -> bytes:
        """KS3 and the four bytes it announces."""
        return bytes((_KEY_SETS_ENABLED, self.active_version, self.count, self.longest_bytes, self.roll_key))


@dataclass(frozen=True, slots=True)
class DfName:
    """An application with an ISO identity, as GetDFNames returns it; `aid` most significant byte first."""

    aid: bytes
    iso_id: int
    name: bytes

    @classmethod
    def parse(cls, raw: bytes) -> DfName:
        if not 5 <= len(raw) <= 21:
            raise FormatError("DF name", f"{len(raw)} bytes, expected 5 to 21")
        return cls(raw[:3][::-1], int.from_bytes(raw[3:5], "little"), raw[5:])


@dataclass(frozen=True, slots=True)
class KeySettings:
    """KS1 and KS2 of an application. `change_key` changes the others (14: each itself, 15: none)."""

    key_count: int
    change_key: int = 0
    settings_changeable: bool = True
    free_create_delete: bool = False
    free_listing: bool = False
    master_key_changeable: bool = True
    key_type: KeyType = KeyType.AES
    iso_file_ids: bool = False
    key_sets: KeySets | None = None

    def to_bytes(self) -> bytes:
        """KS1 KS2, and KS3 with what it announces where there are key sets."""
        first = (
            self.change_key << 4
            | self.settings_changeable << 3
            | self.free_create_delete << 2
            | self.free_listing << 1
            | self.master_key_changeable
        )
        sets = self.key_sets
        second = self.key_type << 6 | self.iso_file_ids * _ISO_FILE_IDS | self.key_count
        return (
            bytes((first, second)) if sets is None else bytes((first, second | _KEY_SETS)) + sets.to_bytes()
        )

    @classmethod
    def parse(cls, raw: bytes) -> KeySettings:
        """From exactly KS1 KS2 [KS3 …]; raises `FormatError` for other lengths and unknown kinds of key."""
        if len(raw) < 2:
            raise FormatError("key settings", f"{len(raw)} bytes, expected 2")
        first, second, rest = raw[0], raw[1], raw[2:]
        if second >> 6 == 3:
            raise FormatError("key settings", f"unknown key type in {second:02X}", 1)
        sets = None
        if second & _KEY_SETS and len(rest) == 5 and rest[0] == _KEY_SETS_ENABLED:
            sets = KeySets(rest[1], rest[2], rest[3], rest[4])
        elif rest or second & _KEY_SETS:
            raise FormatError("key settings", f"{len(raw)} bytes, with {second:02X} for KS2", 2)
        return cls(
            key_count=second & 0x0F,
            change_key=first >> 4,
            settings_changeable=bool(first & 8),
            free_create_delete=bool(first & 4),
            free_listing=bool(first & 2),
            master_key_changeable=bool(first & 1),
            key_type=KeyType(second >> 6),
            iso_file_ids=bool(second & _ISO_FILE_IDS),
            key_sets=sets,
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
