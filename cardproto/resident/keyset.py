"""Master keys of a region and the keys of one card made from them, as raw bytes: for issuing points only.

Terminals never hold these classes with real keys; their key provider authenticates for them, by `diversifier`.

Keys come in generations. A card is issued with one generation active and the next ones in its spare key sets, so that
it can be rolled to them later without any key travelling over the air.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Final

from cardproto.desfire.crypto import BLOCK, AesKey
from cardproto.desfire.diversify import an10922_aes128
from cardproto.resident.layout import AID, KEY_VERSION, KeyNo

UID_BYTES: Final = 7
IDENTIFY_MASTER: Final = "validate"


class _SecretBytes:
    """Several AES-128 keys, 16 bytes each, whose bytes never show in a repr."""

    __slots__ = ()

    def __post_init__(self) -> None:
        for name, value in self._keys():
            if len(value) != BLOCK:
                raise ValueError(f"key {name!r} is not {BLOCK} bytes")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def _keys(self) -> Iterator[tuple[str, bytes]]:
        for field in fields(self):  # type: ignore[arg-type]  # its subclasses are dataclasses
            value = getattr(self, field.name)
            if isinstance(value, bytes):
                yield field.name, value


@dataclass(frozen=True, slots=True, repr=False)
class ResidentKeys(_SecretBytes):
    """The keys of one card. `version` is what their version bytes say; `spare` are the generations after them."""

    picc: bytes
    application: bytes
    validate: bytes
    reload: bytes
    inspect: bytes
    entitle: bytes
    identify: bytes
    order: bytes
    roll: bytes
    transaction_mac: bytes
    version: int = KEY_VERSION
    spare: tuple[ResidentKeys, ...] = ()

    def application_key(self, number: KeyNo) -> bytes:
        """The key that goes into an application key slot."""
        key: bytes = getattr(self, number.name.lower())
        return key


@dataclass(frozen=True, slots=True, repr=False)
class MasterKeys(_SecretBytes):
    """A region's master keys of one generation, and the generations after it; the keys of a card follow from them."""

    picc: bytes
    application: bytes
    validate: bytes
    reload: bytes
    inspect: bytes
    entitle: bytes
    order: bytes
    roll: bytes
    transaction_mac: bytes
    version: int = KEY_VERSION
    spare: tuple[MasterKeys, ...] = ()

    def for_card(self, uid: bytes, region: int) -> ResidentKeys:
        """Every key diversified for the card with this 7-byte UID; IDENTIFY for its region."""
        m = diversifier(uid, region)
        own = {name: an10922_aes128(AesKey(master), m) for name, master in self._keys()}
        spare = tuple(generation.for_card(uid, region) for generation in self.spare)
        return ResidentKeys(**own, identify=self.identify_key(region), version=self.version, spare=spare)

    def identify_key(self, region: int) -> bytes:
        """The key that all cards of this region share; it opens no file (`KeyNo.IDENTIFY`)."""
        return an10922_aes128(AesKey(getattr(self, IDENTIFY_MASTER)), identify_diversifier(region))


def identify_diversifier(region: int) -> bytes:
    """AN10922's input for the IDENTIFY key, which knows no UID: AID as written (3) || region (2, big-endian).

    The master key is `IDENTIFY_MASTER`: AN10922 gives nothing back of a master key, and no other input is this
    short, so no key of its own has to be kept.
    """
    return AID + region.to_bytes(2, "big")


def diversifier(uid: bytes, region: int) -> bytes:
    """AN10922's input for a card: UID (7) || AID as written (3) || region (2, big-endian)."""
    if len(uid) != UID_BYTES:
        raise ValueError(f"a card's UID is {UID_BYTES} bytes, not {len(uid)}")
    return uid + AID + region.to_bytes(2, "big")
