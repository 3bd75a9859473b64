"""What a card's key signs: static data, a random number (DDA), a transaction (CDA, fDDA) (Book 2, 5.4, 6.5, 6.6)."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha1
from typing import Final

from cardproto.emv import tags
from cardproto.emv.certificates import HASH_BYTES, HASH_SHA_1, Part, check_hash, recover_block
from cardproto.emv.faults import ChainBroken, ChainFault
from cardproto.emv.keys import RsaKey
from cardproto.emv.records import CardData

_FORMAT_STATIC: Final = 0x03
FORMAT_DYNAMIC: Final = (0x05,)
FORMAT_FAST: Final = (0x05, 0x95)
"""A published Visa test card signs fDDA with 95 in an otherwise correct block."""
_FAST_VERSION: Final = 0x01
"""Version 00 signs the random number alone: amount, currency and card qualifiers could be exchanged."""
_NUMBER_BYTES: Final = range(2, 9)
_CRYPTOGRAM_BYTES: Final = 8
_FRAME_BYTES: Final = 25  # header, format, hash algorithm, length, hash, trailer


class CryptogramKind(IntEnum):
    """What a card says to a transaction: no, yes, or "ask the issuer"."""

    AAC = tags.CRYPTOGRAM_AAC
    TC = tags.CRYPTOGRAM_TC
    ARQC = tags.CRYPTOGRAM_ARQC


@dataclass(frozen=True, slots=True)
class SignedCryptogram:
    """What stands inside a CDA signature."""

    dynamic_number: bytes
    kind: int
    cryptogram: bytes
    transaction_hash: bytes


def check_static(data: CardData, issuer: RsaKey) -> bytes:
    """SDA: the issuer signed the static data. Returns the data authentication code; raises `ChainBroken`.

    It counts as no authentication: any reader of a card can copy it.
    """
    if data.static is None:
        raise ChainBroken(ChainFault.STATIC_DATA)
    block = recover_block(Part.STATIC, issuer, data.get(tags.TAG_STATIC_SIGNATURE), (_FORMAT_STATIC,))
    _check_algorithm(Part.STATIC, block)
    check_hash(Part.STATIC, block, data.static)
    return block[3:5]


def check_dynamic(card: RsaKey, signature: bytes | None, formats: Container[int], behind: bytes) -> bytes:
    """The dynamic data of a signature whose hash ends with `behind`; raises `ChainBroken`."""
    block = recover_block(Part.DYNAMIC, card, signature, formats)
    _check_algorithm(Part.DYNAMIC, block)
    if block[3] > len(block) - _FRAME_BYTES:
        raise Part.DYNAMIC.broken("number")
    check_hash(Part.DYNAMIC, block, behind)
    return block[4 : 4 + block[3]]


def _check_algorithm(part: Part, block: bytes) -> None:
    if block[2] != HASH_SHA_1:
        raise part.broken("algorithm")


def dynamic_number(dynamic: bytes) -> bytes:
    """The card's own number at the head of its dynamic data, 2 to 8 bytes with their length; raises `ChainBroken`."""
    size = dynamic[0] if dynamic else 0
    if size not in _NUMBER_BYTES or len(dynamic) <= size:
        raise Part.DYNAMIC.broken("number")
    return dynamic[1 : 1 + size]


def check_combined(
    card: RsaKey, signature: bytes | None, unpredictable: bytes, transaction: bytes
) -> SignedCryptogram:
    """CDA: the signature covers the random number, the cryptogram and the hash of the whole transaction."""
    dynamic = check_dynamic(card, signature, FORMAT_DYNAMIC, unpredictable)
    number = dynamic_number(dynamic)
    rest = dynamic[1 + len(number) :]
    if len(rest) < 1 + _CRYPTOGRAM_BYTES + HASH_BYTES:
        raise Part.DYNAMIC.broken("number")
    cryptogram, covered = rest[1 : 1 + _CRYPTOGRAM_BYTES], rest[1 + _CRYPTOGRAM_BYTES :][:HASH_BYTES]
    if sha1(transaction, usedforsecurity=False).digest() != covered:
        raise ChainBroken(ChainFault.TRANSACTION_HASH)
    return SignedCryptogram(number, rest[0], cryptogram, covered)


def check_fast(card: RsaKey, signature: bytes | None, data: CardData, values: bytes) -> bytes:
    """fDDA, version 01: `values` (random number, amount, currency) and tag 9F69; the number is the counter, 9F36."""
    related = data.get(tags.TAG_CARD_AUTHENTICATION_RELATED) or b""
    if not related or related[0] != _FAST_VERSION:
        raise Part.DYNAMIC.broken("version")
    number = dynamic_number(check_dynamic(card, signature, FORMAT_FAST, values + related))
    if number != data.get(tags.TAG_ATC):
        raise Part.DYNAMIC.broken("number")
    return number
