"""Master keys of a region and the keys of one card made from them, as raw bytes: for issuing points only.

Terminals never hold this class with real keys; their key provider authenticates for them, by `diversifier`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cardproto.desfire.crypto import BLOCK, AesKey
from cardproto.desfire.diversify import an10922_aes128
from cardproto.resident.layout import AID, KeyNo

UID_BYTES: Final = 7
IDENTIFY_MASTER: Final = "validate"
_NAMES: Final = ("picc", "application", "validate", "reload", "inspect", "entitle", "transaction_mac")


@dataclass(frozen=True, slots=True, repr=False)
class ResidentKeys:
    """Seven AES-128 keys, 16 bytes each. Their bytes never show in a repr."""

    picc: bytes
    application: bytes
    validate: bytes
    reload: bytes
    inspect: bytes
    entitle: bytes
    transaction_mac: bytes

    def __post_init__(self) -> None:
        for name in _NAMES:
            if len(getattr(self, name)) != BLOCK:
                raise ValueError(f"key {name!r} is not {BLOCK} bytes")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def application_key(self, number: KeyNo) -> bytes:
        """The key that goes into an application key slot."""
        return (self.application, self.validate, self.reload, self.inspect, self.entitle)[number]


@dataclass(frozen=True, slots=True, repr=False)
class MasterKeys(ResidentKeys):
    """A region's master keys; the keys of a card follow from them."""

    def for_card(self, uid: bytes, region: int) -> ResidentKeys:
        """Every key diversified for the card with this 7-byte UID."""
        m = diversifier(uid, region)
        return ResidentKeys(*(an10922_aes128(AesKey(getattr(self, name)), m) for name in _NAMES))

    def identify_key(self, region: int) -> bytes:
        """The key every card with random UID of this region shares; it opens no file (`KeyNo.IDENTIFY`)."""
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
