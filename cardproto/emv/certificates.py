"""From the CA's key to the issuer's and the card's: recovering and checking certificates (Book 2, 5.3, 6.3, 6.4).

A certificate is a block that its signer's key recovers: 6A, format, contents with the first part of a key, hash, BC.
What did not fit of the key stands in a remainder. Each check that fails is a `ChainBroken` with its own fault.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import lru_cache
from hashlib import sha1
from typing import Final

from cardproto.emv import tags
from cardproto.emv.faults import ChainBroken, ChainFault
from cardproto.emv.keys import ALGORITHM_RSA, CaKey, RevokedCertificate, RsaKey
from cardproto.emv.numbers import Pan, month_end
from cardproto.emv.records import CardData
from cardproto.errors import FormatError

HEADER: Final = 0x6A
TRAILER: Final = 0xBC
HASH_SHA_1: Final = 0x01
HASH_BYTES: Final = 20
_FORMAT_ISSUER: Final = 0x02
_FORMAT_CARD: Final = 0x04
_ISSUER_DIGITS: Final = range(3, 9)
_AFTER_NUMBER: Final = 9  # expiry 2, serial 3, two algorithms, length of key and of exponent


class Part(StrEnum):
    """What of the chain is being looked at; each has its faults in `ChainFault` under this name."""

    ISSUER = "issuer_certificate"
    CARD = "card_certificate"
    STATIC = "static_signature"
    DYNAMIC = "signature"

    def broken(self, what: str) -> ChainBroken:
        return ChainBroken(ChainFault(f"{self}_{what}"))


@dataclass(frozen=True, slots=True)
class _Certificate:
    part: Part
    number: str
    expires_on: date
    serial: bytes
    key: RsaKey


def recover_block(part: Part, key: RsaKey, signed: bytes | None, formats: Container[int]) -> bytes:
    """The block of a certificate or signature, its frame checked; raises `ChainBroken`."""
    if not signed:
        raise part.broken("missing")
    if len(signed) != key.size:
        raise part.broken("length")
    block = key.recover(signed)
    if block is None or block[0] != HEADER or block[1] not in formats or block[-1] != TRAILER:
        raise part.broken("format")
    return block


def check_hash(part: Part, block: bytes, behind: bytes) -> None:
    """The block's hash covers its contents and what follows outside of it; raises `ChainBroken`."""
    covered = block[1 : -1 - HASH_BYTES] + behind
    if sha1(covered, usedforsecurity=False).digest() != block[-1 - HASH_BYTES : -1]:
        raise part.broken("hash")


def issuer_key(
    data: CardData, pan: Pan, ca: CaKey, on: date, revoked: Container[RevokedCertificate]
) -> RsaKey:
    """The issuer's key, vouched for by the CA's; raises `ChainBroken`."""
    part = Part.ISSUER
    outside = (data.get(tags.TAG_ISSUER_REMAINDER) or b"", data.get(tags.TAG_ISSUER_EXPONENT) or b"")
    found = _issuers(ca, data.get(tags.TAG_ISSUER_CERTIFICATE), *outside)
    if len(found.number) not in _ISSUER_DIGITS or not pan.in_clear.startswith(found.number):
        raise part.broken("number")
    _check_date(found, on)
    if RevokedCertificate(ca.rid, ca.index, found.serial) in revoked:
        raise part.broken("revoked")
    return found.key


@lru_cache(256)  # cards of one issue have the same, and what is not genuine is not kept
def _issuers(ca: CaKey, signed: bytes | None, remainder: bytes, exponent: bytes) -> _Certificate:
    """What the CA vouches for, apart from day, card and list; raises `ChainBroken`."""
    block = recover_block(Part.ISSUER, ca.rsa, signed, (_FORMAT_ISSUER,))
    return _certificate(Part.ISSUER, block, 4, remainder, exponent, static=b"")


def card_key(data: CardData, pan: Pan, issuer: RsaKey, on: date) -> RsaKey:
    """The card's own key, vouched for by its issuer together with the card's static data; raises `ChainBroken`."""
    part = Part.CARD
    if data.static is None:
        raise ChainBroken(ChainFault.STATIC_DATA)
    block = recover_block(part, issuer, data.get(tags.TAG_CARD_CERTIFICATE), (_FORMAT_CARD,))
    outside = (data.get(tags.TAG_CARD_REMAINDER) or b"", data.get(tags.TAG_CARD_EXPONENT) or b"")
    found = _certificate(part, block, 10, *outside, static=data.static)
    if found.number != pan.in_clear:
        raise part.broken("number")
    _check_date(found, on)
    return found.key


def _certificate(
    part: Part, block: bytes, number_bytes: int, remainder: bytes, exponent: bytes, *, static: bytes
) -> _Certificate:
    start = 2 + number_bytes
    number, fields = block[2:start].hex().upper().rstrip("F"), block[start : start + _AFTER_NUMBER]
    if fields[5] != HASH_SHA_1 or fields[6] != ALGORITHM_RSA:
        raise part.broken("algorithm")
    inside = block[start + _AFTER_NUMBER : -1 - HASH_BYTES]
    modulus = _modulus(part, inside, remainder, fields[7])
    if fields[8] != len(exponent):
        raise part.broken("key")
    check_hash(part, block, remainder + exponent + static)
    expires_on = _expiry(part, fields[:2])
    try:
        return _Certificate(part, number, expires_on, fields[2:5], RsaKey.from_bytes(modulus, exponent))
    except FormatError:
        raise part.broken("key") from None


def _modulus(part: Part, inside: bytes, remainder: bytes, size: int) -> bytes:
    """The key's length alone decides whether there is a remainder: the tag may stand there empty."""
    needed = max(0, size - len(inside))
    if len(remainder) != needed:
        raise part.broken("key")
    return inside[:size] + remainder


def _expiry(part: Part, month_year: bytes) -> date:
    digits = month_year.hex()
    try:
        return month_end(digits[:2], digits[2:])
    except FormatError:
        raise part.broken("expired") from None


def _check_date(found: _Certificate, on: date) -> None:
    if on > found.expires_on:
        raise found.part.broken("expired")
