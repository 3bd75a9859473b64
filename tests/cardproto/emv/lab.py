"""A card key that is shorter than its certificate's space, and TLV by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from hashlib import sha1
from typing import Final

from cardproto.emv.authentication import Evidence, OfflineAuthentication, OfflineMethod, authenticate
from tests.cardproto.emv.signing import opened, sealed
from tests.cardproto.emv.vectors import (
    MIR,
    UNPREDICTABLE,
    chain_data,
    chain_pan,
    own_chain,
    own_trust,
)


@dataclass(frozen=True)
class LabKey:
    modulus: bytes
    exponent: bytes
    private: int

    @property
    def size(self) -> int:
        return len(self.modulus)


# Made once for these tests; 800 bits, exponent 65537.
LAB_KEY: Final = LabKey(
    bytes.fromhex(
        "C255577BD75D1042841F7718806D73194FD16988D791D4377AF41DEB00E0C95A5C208D1462CCC6D7108BDE141DD9B348"
        "081DD2B630EED3277658514AC133EFB45FEB075AEC8BD60A373429F8A4CEF93EFF1FDC65971DF78F8D7C10AD0A511873"
        "86CBA563"
    ),
    b"\x01\x00\x01",
    int(
        "C08DE13E4359E2279654BB241AF4D80C278B7EFF6962049DE88584337BCE3F94FA1E02CC454D54647AEFABDFD0E809FD"
        "80939A07C9336185474B18AF4662AD60BB3F3741C131EDF1441B3B1E65918E02AFB995C1292062985D0AC7C51AC23F17"
        "71AFDE21",
        16,
    ),
)
SHORT_SPACE: Final = 144 - 42
"""What the issuer's key, of 144 bytes, leaves for a card's modulus in a certificate."""


def tlv(tag: str, value: str) -> str:
    """One object in hexadecimal, its length in the shortest form."""
    size = len(value) // 2
    length = f"{size:02X}" if size < 0x80 else f"81{size:02X}" if size < 0x100 else f"82{size:04X}"
    return tag + length + value.upper()


def signed_by_short_key(dynamic: bytes, behind: bytes) -> bytes:
    """A dynamic signature of the short key."""
    head = b"\x6a\x05\x01" + bytes((len(dynamic),)) + dynamic
    block = head.ljust(LAB_KEY.size - 21, b"\xbb")
    block += sha1(block[1:] + behind).digest() + b"\xbc"
    number = pow(int.from_bytes(block, "big"), LAB_KEY.private, int.from_bytes(LAB_KEY.modulus, "big"))
    return number.to_bytes(LAB_KEY.size, "big")


def short_chain(**changes: bytes | None) -> OfflineAuthentication:
    """The verdict on DDA of a card with the short key; its remainder (9F48) is absent unless given."""
    chain = own_chain()
    static = bytes.fromhex(chain["static_data_to_authenticate"])
    block = opened("issuer", bytes.fromhex(chain["tags"]["9F46"]))
    block[19:21] = bytes((LAB_KEY.size, len(LAB_KEY.exponent)))
    block[21:-21] = LAB_KEY.modulus.ljust(SHORT_SPACE, b"\xbb")
    certificate = sealed("issuer", block, LAB_KEY.exponent + static)
    given = {"t9F46": certificate, "t9F47": LAB_KEY.exponent, "t9F48": None} | changes
    signature = signed_by_short_key(b"\x02\x00\x07", UNPREDICTABLE)
    evidence = Evidence(
        *(MIR, chain_data(chain, **given), chain_pan(chain), OfflineMethod.DDA, signature, UNPREDICTABLE)
    )
    return authenticate(evidence, own_trust(), date(2026, 11, 21))
