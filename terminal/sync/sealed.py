"""Sealing something to one terminal, so that only its sealing key opens it (X25519, HKDF-SHA256, ChaCha20-Poly1305).

    ephemeral public key (32) | sealed content (its length + 16)

Each content is sealed under a key of its own, made from a fresh ephemeral key; what it is bound to must be known
where it is opened. Who sealed it is not shown by this: where that matters, the whole is signed.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 32
OVERHEAD_BYTES: Final = KEY_BYTES + 16
_DOMAIN: Final = b"resident-sealed-1"
_NONCE: Final = bytes(12)
"""Each key seals once."""


class NotSealedToUs(ValueError):
    """It was sealed to another key, bound to something else, or changed."""


def seal_to(public: bytes, content: bytes, bound_to: bytes) -> bytes:
    """`content` as only the owner of the raw X25519 key `public` can read it. Raises ValueError for no such key."""
    theirs = X25519PublicKey.from_public_bytes(public)
    ephemeral = X25519PrivateKey.generate()
    own = ephemeral.public_key().public_bytes_raw()
    key = _key(ephemeral.exchange(theirs), own, public)
    return own + ChaCha20Poly1305(key).encrypt(_NONCE, content, bound_to)


def can_be_sealed_to(public: bytes) -> bool:
    """Whether something can be sealed to this key; a few values are none that anyone can own."""
    try:
        seal_to(public, b"", b"")
    except ValueError:
        return False
    return True


def open_sealed(private: X25519PrivateKey, sealed: bytes, bound_to: bytes) -> bytes:
    """What was sealed to `private`. Raises `NotSealedToUs`."""
    if len(sealed) < OVERHEAD_BYTES:
        raise NotSealedToUs("it is too short")
    ephemeral, content = sealed[:KEY_BYTES], sealed[KEY_BYTES:]
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(ephemeral))
        key = _key(shared, ephemeral, private.public_key().public_bytes_raw())
        return ChaCha20Poly1305(key).decrypt(_NONCE, content, bound_to)
    except (ValueError, InvalidTag) as error:
        raise NotSealedToUs("it is sealed to another terminal, or was changed") from error


def _key(shared: bytes, ephemeral: bytes, recipient: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, None, _DOMAIN + ephemeral + recipient).derive(shared)
