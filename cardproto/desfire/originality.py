"""NXP's originality signature: was this UID really burnt into this chip by its maker? AN12343, Table 44."""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP224R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA224

_HALF: Final = 28
_POINT_BYTES: Final = 57


def verify_signature(uid: bytes, signature: bytes, public_key: bytes) -> bool:
    """Whether `signature` (r and s, 28 bytes each) is the maker's over `uid`; `public_key` is 04 || X || Y.

    The UID stands in the place of the hash. Anything malformed is simply not genuine: False.
    """
    if len(signature) != 2 * _HALF or len(public_key) != _POINT_BYTES or not 0 < len(uid) <= _HALF:
        return False
    r, s = (int.from_bytes(half, "big") for half in (signature[:_HALF], signature[_HALF:]))
    try:
        key = EllipticCurvePublicKey.from_encoded_point(SECP224R1(), public_key)
        # As a number a short hash equals the same bytes with zeros in front, and that has a fixed length.
        key.verify(encode_dss_signature(r, s), uid.rjust(_HALF, b"\0"), ECDSA(Prehashed(SHA224())))
    except (InvalidSignature, ValueError):
        return False
    return True
