"""The originality signature of software cards: by a key of our own, so that nobody takes one for the maker's.

The private key is public on purpose; it proves that a card is *this simulator's*, not that it is genuine.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP224R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA224
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

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
