"""Sealing something to one terminal, so that only its sealing key opens it (X25519, HKDF-SHA256, ChaCha20-Poly1305).

    ephemeral public key (32) | sealed content (its length + 16)

Each content is sealed under a key of its own, made from a fresh ephemeral key; what it is bound to must be known
where it is opened. Who sealed it is not shown by this: where that matters, the whole is signed.

Who seals at every tap makes one ephemeral key for up to 256 contents (`SealedSeries`). Each still has a key of its own,
from a chain that is only ever wound on, so that the sealer cannot open what it has sealed; how far stands in front:

    ephemeral public key (32) | step (1) | sealed content (its length + 16)

For several terminals one key is sealed to each, and the content once under that:

    "RCSEAL1\n" | number of terminals (2) | for each: mark (8), sealed key (80) | sealed content (its length + 16)

A mark is the beginning of the SHA-256 of a sealing key: it says nothing of a terminal's number.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Collection
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 32
OVERHEAD_BYTES: Final = KEY_BYTES + 16
MAGIC: Final = b"RCSEAL1\n"
MOST_RECIPIENTS: Final = 4_096
_MARK_BYTES: Final = 8
_ENTRY_BYTES: Final = _MARK_BYTES + KEY_BYTES + OVERHEAD_BYTES
_HEAD_BYTES: Final = len(MAGIC) + 2
_DOMAIN: Final = b"resident-sealed-1"
_SERIES: Final = b"resident-series-1"
SERIES_STEPS: Final = 256
SERIES_OVERHEAD_BYTES: Final = OVERHEAD_BYTES + 1
_CONTENT, _NEXT = b"content", b"next"
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


class SealedSeries:
    """Contents sealed to the raw X25519 key `public` one after the other. Raises ValueError for no such key.

    Everything is drawn anew after `SERIES_STEPS`, and nothing outlasts the process: no key is ever made twice.
    """

    def __init__(self, public: bytes) -> None:
        self.public: Final = public
        self._step, self._chain, self._own = SERIES_STEPS, b"", b""
        self._begin()

    def seal(self, content: bytes, bound_to: bytes) -> bytes:
        """`content` as only the owner of the key can read it, this process included."""
        if self._step == SERIES_STEPS:
            self._begin()
        step, self._step = self._step, self._step + 1
        key, self._chain = _wound(self._chain)
        return self._own + bytes((step,)) + ChaCha20Poly1305(key).encrypt(_NONCE, content, bound_to)

    def _begin(self) -> None:
        ephemeral, theirs = X25519PrivateKey.generate(), X25519PublicKey.from_public_bytes(self.public)
        self._own = ephemeral.public_key().public_bytes_raw()
        self._chain = _key(ephemeral.exchange(theirs), self._own, self.public, _SERIES)
        self._step = 0


def open_in_series(private: X25519PrivateKey, sealed: bytes, bound_to: bytes) -> bytes:
    """What a `SealedSeries` to `private` sealed. Raises `NotSealedToUs`."""
    if len(sealed) < SERIES_OVERHEAD_BYTES:
        raise NotSealedToUs("it is too short")
    ephemeral, step, content = sealed[:KEY_BYTES], sealed[KEY_BYTES], sealed[KEY_BYTES + 1 :]
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(ephemeral))
        chain = _key(shared, ephemeral, private.public_key().public_bytes_raw(), _SERIES)
        for _ in range(step):
            chain = hmac.digest(chain, _NEXT, sha256)
        return ChaCha20Poly1305(_wound(chain)[0]).decrypt(_NONCE, content, bound_to)
    except (ValueError, InvalidTag) as error:
        raise NotSealedToUs("it is sealed to another key, or was changed") from error


def _wound(chain: bytes) -> tuple[bytes, bytes]:
    """The key of this step, and the chain of the next: neither leads back."""
    return hmac.digest(chain, _CONTENT, sha256), hmac.digest(chain, _NEXT, sha256)


def seal_to_each(publics: Collection[bytes], content: bytes, bound_to: bytes) -> bytes:
    """`content` as every owner of one of the raw X25519 keys can read it. Raises ValueError for no such key, for none
    and for too many.
    """
    if not 0 < len(publics) <= MOST_RECIPIENTS:
        raise ValueError(f"{len(publics)} keys to seal to, of 1 to {MOST_RECIPIENTS}")
    key = secrets.token_bytes(KEY_BYTES)
    entries = b"".join(_mark(public) + seal_to(public, key, bound_to) for public in sorted(publics))
    head = MAGIC + len(publics).to_bytes(2, "big") + entries
    return head + ChaCha20Poly1305(key).encrypt(_NONCE, content, sha256(head).digest() + bound_to)


def open_as_one(private: X25519PrivateKey, sealed: bytes, bound_to: bytes) -> bytes:
    """What was sealed to several keys, `private` among them. Raises `NotSealedToUs`."""
    count = int.from_bytes(sealed[len(MAGIC) : _HEAD_BYTES], "big")
    end = _HEAD_BYTES + count * _ENTRY_BYTES
    if not sealed.startswith(MAGIC) or not 0 < count <= MOST_RECIPIENTS or len(sealed) < end + 16:
        raise NotSealedToUs("it has another form, or is cut short")
    mark, head = _mark(private.public_key().public_bytes_raw()), sealed[:end]
    for at in range(_HEAD_BYTES, end, _ENTRY_BYTES):
        if sealed[at : at + _MARK_BYTES] == mark:
            key = open_sealed(private, sealed[at + _MARK_BYTES : at + _ENTRY_BYTES], bound_to)
            try:
                return ChaCha20Poly1305(key).decrypt(_NONCE, sealed[end:], sha256(head).digest() + bound_to)
            except (ValueError, InvalidTag) as error:
                raise NotSealedToUs("it was changed") from error
    raise NotSealedToUs("it is sealed to other terminals")


def _mark(public: bytes) -> bytes:
    return sha256(public).digest()[:_MARK_BYTES]


def _key(shared: bytes, ephemeral: bytes, recipient: bytes, domain: bytes = _DOMAIN) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, None, domain + ephemeral + recipient).derive(shared)
