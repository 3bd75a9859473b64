"""The laboratory's chain of EMV keys: CA, issuer, card; their certificates, and what a card signs.

Every block has the form of EMV Book 2, sections 5 and 6: 6A, a format byte, fields, SHA-1 over all but 6A (with what
does not fit into the block after it), BC. Written apart from what reads it in a terminal; outside programs judge it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Final

from sim.emv.lab_rsa import LabRsaKey, lab_key

RID: Final = bytes.fromhex("A000000658")
ISSUER_DIGITS: Final = "220000"
"""Of a range that no bank has: card numbers of the laboratory begin with it."""
HASH_BYTES: Final = 20
_SHA_1: Final = 1
_RSA: Final = 1
_CERTIFIED_ISSUER: Final = 2
_SIGNED_STATIC: Final = 3
_CERTIFIED_CARD: Final = 4
_SIGNED_DYNAMIC: Final = 5
_ISSUER_OVERHEAD: Final = 36
_CARD_OVERHEAD: Final = 42


@dataclass(frozen=True, slots=True)
class LabIssuer:
    """An issuer under a CA key. `serial` names its certificate, also on a revocation list."""

    ca_index: int
    serial: bytes
    ca: str
    key: str
    revoked: bool = False


ISSUERS: Final = {
    "short": LabIssuer(0xE1, bytes.fromhex("000001"), "ca-E1", "issuer-E1"),
    "revoked": LabIssuer(0xE1, bytes.fromhex("0000FF"), "ca-E1", "issuer-E1-revoked", revoked=True),
    "longest": LabIssuer(0xE2, bytes.fromhex("000002"), "ca-E2", "issuer-E2"),
    "padded": LabIssuer(0xE3, bytes.fromhex("000003"), "ca-E3", "issuer-E3"),
}
"""By name: how its key stands in its certificate (a remainder of 4 or 36 bytes, or padding)."""


@dataclass(frozen=True, slots=True)
class LabCertificate:
    """A certificate, and what of the certified modulus did not fit into it."""

    certificate: bytes
    remainder: bytes


@dataclass(frozen=True, slots=True)
class LabCaKey:
    """What a terminal of the laboratory is given. `checksum` is SHA-1 over RID, index, modulus and exponent."""

    rid: bytes
    index: int
    modulus: bytes
    exponent: bytes
    checksum: bytes


def lab_ca_keys() -> tuple[LabCaKey, ...]:
    """Every CA key of the laboratory, by index."""
    names = sorted({(issuer.ca_index, issuer.ca) for issuer in ISSUERS.values()})
    return tuple(_public(index, lab_key(name)) for index, name in names)


def revoked_issuers() -> tuple[tuple[bytes, int, bytes], ...]:
    """(RID, CA index, serial) of every issuer certificate that must not be believed."""
    return tuple((RID, issuer.ca_index, issuer.serial) for issuer in ISSUERS.values() if issuer.revoked)


def _public(index: int, key: LabRsaKey) -> LabCaKey:
    content = RID + bytes((index,)) + key.modulus_bytes + key.exponent_bytes
    return LabCaKey(RID, index, key.modulus_bytes, key.exponent_bytes, _hash(content))


def issuer_certificate(issuer: LabIssuer, expires: date) -> LabCertificate:
    """The CA's word for the issuer's key; it holds to the end of the month of `expires`."""
    key = lab_key(issuer.key)
    head = bytes((_CERTIFIED_ISSUER,)) + bytes.fromhex(ISSUER_DIGITS.ljust(8, "F"))
    head += _month(expires) + issuer.serial
    return _certify(lab_key(issuer.ca), head, key, _ISSUER_OVERHEAD, b"")


def card_certificate(
    issuer: LabIssuer, key: LabRsaKey, pan: str, expires: date, static: bytes
) -> LabCertificate:
    """The issuer's word for the card's key, its number and its static data."""
    head = bytes((_CERTIFIED_CARD,)) + bytes.fromhex(pan.ljust(20, "F")) + _month(expires)
    head += hashlib.sha256(pan.encode()).digest()[:3]
    return _certify(lab_key(issuer.key), head, key, _CARD_OVERHEAD, static)


def static_signature(issuer: LabIssuer, static: bytes) -> bytes:
    """What a card without a key of its own has: signed once, and copied by anyone who reads it."""
    key = lab_key(issuer.key)
    body = bytes((_SIGNED_STATIC, _SHA_1)) + bytes.fromhex("DAC1")
    return _sealed(key, body.ljust(key.length - HASH_BYTES - 2, b"\xbb"), static)


def dynamic_signature(key: LabRsaKey, dynamic: bytes, hashed_too: bytes) -> bytes:
    """The card's signature over `dynamic` (recovered by the reader) and `hashed_too` (known to it). `ValueError` when
    the key is too short.
    """
    body = bytes((_SIGNED_DYNAMIC, _SHA_1, len(dynamic))) + dynamic
    return _sealed(key, body.ljust(key.length - HASH_BYTES - 2, b"\xbb"), hashed_too)


def _certify(by: LabRsaKey, head: bytes, key: LabRsaKey, overhead: int, static: bytes) -> LabCertificate:
    space = by.length - overhead
    modulus = key.modulus_bytes
    shown, remainder = modulus[:space].ljust(space, b"\xbb"), modulus[space:]
    head += bytes((_SHA_1, _RSA, key.length, len(key.exponent_bytes)))
    certificate = _sealed(by, head + shown, remainder + key.exponent_bytes + static)
    return LabCertificate(certificate, remainder)


def _sealed(key: LabRsaKey, body: bytes, hashed_too: bytes) -> bytes:
    if len(body) != key.length - HASH_BYTES - 2:
        raise ValueError(f"{len(body)} bytes do not fit a key of {key.length}")
    return key.sign(b"\x6a" + body + _hash(body + hashed_too) + b"\xbc")


def _month(day: date) -> bytes:
    return bytes.fromhex(f"{day:%m%y}")


def _hash(content: bytes) -> bytes:
    return hashlib.sha1(content, usedforsecurity=False).digest()
