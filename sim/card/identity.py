"""Who the chip says it is: GetVersion, GetCardUID, the originality signature.

The signature is made by a key of our own, so that it cannot be taken for the maker's. The private key is public
on purpose; it proves that a card is *this simulator's*, not that it is genuine."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP224R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA224
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cardproto.desfire.status import Status
from sim.card.call import Call
from sim.card.generation import generation_of
from sim.card.refusal import DesfireRefusal
from sim.card.state import CardState, ChipIdentity

UID_BYTES: Final = 7


def identity_of(uid: bytes, generation: str) -> ChipIdentity:
    """An identity of this generation; batch and date are fixed, nothing depends on them."""
    return ChipIdentity(
        uid, generation_of(generation), batch=bytes.fromhex("5EED000001"), week=0x20, year=0x25
    )


def get_version(state: CardState, call: Call) -> bytes:
    """Three frames of 7, 7 and 14 bytes; the UID part is zero under random UID."""
    if call.data:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    chip = state.identity
    uid = bytes(UID_BYTES) if state.memory.random_uid else chip.uid
    call.cuts = (7, 7)
    made = chip.batch + bytes((chip.week, chip.year))
    return chip.generation.hardware + chip.generation.software + uid + made


def get_card_uid(state: CardState, call: Call) -> bytes:
    """The real UID, always enciphered."""
    if call.data:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    return state.identity.uid


def read_signature(state: CardState, call: Call) -> bytes:
    """56 bytes over the UID by our laboratory's key: the maker's own check refuses them, ours accepts them."""
    if call.header != b"\0" or call.data:
        raise DesfireRefusal(Status.PARAMETER_ERROR)
    return signature_of(state.identity.uid)


_HALF: Final = 28
_LABORATORY: Final = derive_private_key(int.from_bytes(b"resident card laboratory", "big"), SECP224R1())

LABORATORY_PUBLIC_KEY: Final = _LABORATORY.public_key().public_bytes(
    Encoding.X962, PublicFormat.UncompressedPoint
)
"""For `cardproto.desfire.originality.verify_signature`: 04 || X || Y."""


@lru_cache(maxsize=256)
def signature_of(uid: bytes) -> bytes:
    """r || s over the UID in the place of a hash; the same every time, as if burnt in."""
    algorithm = ECDSA(Prehashed(SHA224()), deterministic_signing=True)
    r, s = decode_dss_signature(_LABORATORY.sign(uid.rjust(_HALF, b"\0"), algorithm))
    return r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")
