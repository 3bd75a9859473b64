"""The seam behind which card keys live: proving to a card that this end has one, and what the session's keys do then.

A security module chooses RndA, keeps the session keys and hands out neither, so nothing above this seam may ask for
either. Two parts authenticate (`auth1`, `auth2`), three verbs work (`mac`, `seal`, `open`). `AesAuthentication` and the
two ciphers are the same in memory: for laboratory keys, for issuing, and for the software card's end.

EV2: every vector is zero, both session keys come from CMACs under the card's key. AES (the EV1 way): one vector runs
through the three messages, and another through the conversation. Source: datasheet 9, AN12343.
"""

from __future__ import annotations

from enum import IntEnum
from hmac import compare_digest
from typing import Final, Protocol

from cardproto.desfire.commands import (
    INS_AUTHENTICATE_AES,
    INS_AUTHENTICATE_EV2_FIRST,
    INS_AUTHENTICATE_EV2_NON_FIRST,
    command_name,
)
from cardproto.desfire.crypto import BLOCK, ZERO_IV, AesKey, CardKey, KeyMaterial, rotate_left, truncate_mac
from cardproto.desfire.legacy_crypto import CipherKey, aes_session_key, chained_cmac
from cardproto.errors import IntegrityError

MAC_BYTES: Final = 8
TI_BYTES: Final = 4
LABEL_ENC: Final = b"\xa5\x5a"
LABEL_MAC: Final = b"\x5a\xa5"


class Method(IntEnum):
    """How both sides prove that they have an AES key; the value is the command that begins it."""

    EV2_FIRST = INS_AUTHENTICATE_EV2_FIRST
    EV2_NON_FIRST = INS_AUTHENTICATE_EV2_NON_FIRST
    AES = INS_AUTHENTICATE_AES


class SessionCipher(Protocol):
    """What the keys of one session do, message by message; the keys themselves are not to be had.

    After `Method.AES` a vector runs through the calls, so they come in the order of the conversation.
    """

    @property
    def ti(self) -> bytes:
        """The transaction identifier the card gave (4 bytes); empty unless it was `Method.EV2_FIRST`."""
        ...

    def mac(self, message: bytes) -> bytes:
        """The 8 bytes that travel, over a message to send or to compare with an answer's."""
        ...

    def seal(self, nonce: bytes, plain: bytes) -> bytes:
        """`plain`, whole blocks, enciphered. `nonce` is EV2's 16 bytes that name message and direction, else empty."""
        ...

    def open(self, nonce: bytes, sealed: bytes) -> bytes:
        """`sealed`, whole blocks, deciphered; `nonce` as for `seal`. Padding and checksum are the caller's."""
        ...


class Authentication(Protocol):
    """One attempt to authenticate with one key; an object serves one attempt, a second needs another."""

    def auth1(self, method: Method, challenge: bytes) -> bytes:
        """E(RndA || RndB') for the card's E(RndB), 16 bytes each; RndA is chosen behind the seam."""
        ...

    def auth2(self, answer: bytes) -> SessionCipher:
        """The session the card's 32 bytes (EV2First) or 16 open; `IntegrityError` when they prove nothing."""
        ...


def session_vector(label: bytes, rnd_a: bytes, rnd_b: bytes) -> bytes:
    """SV1 (label A5 5A) or SV2 (5A A5): the 32 bytes EV2 session keys are derived from."""
    mixed = bytes(a ^ b for a, b in zip(rnd_a[2:8], rnd_b[0:6], strict=True))
    return label + b"\x00\x01\x00\x80" + rnd_a[0:2] + mixed + rnd_b[6:16] + rnd_a[8:16]


class Ev2Cipher(KeyMaterial):
    """A `SessionCipher` over EV2's two session keys in memory; every call stands alone."""

    __slots__ = ("_enc", "_mac", "ti")

    def __init__(self, enc: AesKey, mac: AesKey, ti: bytes = b"") -> None:
        self._enc = enc
        self._mac = mac
        self.ti: Final = ti

    @classmethod
    def derive(cls, key: CardKey, rnd_a: bytes, rnd_b: bytes, ti: bytes = b"") -> Ev2Cipher:
        """Session keys from the card's key and both random numbers."""
        enc, mac = (key.cmac(session_vector(label, rnd_a, rnd_b)) for label in (LABEL_ENC, LABEL_MAC))
        return cls(AesKey(enc), AesKey(mac), ti)

    def mac(self, message: bytes) -> bytes:
        return truncate_mac(self._mac.cmac(message))

    def seal(self, nonce: bytes, plain: bytes) -> bytes:
        return self._enc.encrypt(self._enc.encrypt(ZERO_IV, nonce), plain)

    def open(self, nonce: bytes, sealed: bytes) -> bytes:
        return self._enc.decrypt(self._enc.encrypt(ZERO_IV, nonce), sealed)


class Ev1Cipher(KeyMaterial):
    """A `SessionCipher` over EV1's one session key in memory, AES or DES, and its running vector."""

    __slots__ = ("_iv", "_key")
    ti: Final = b""

    def __init__(self, key: CipherKey, block_bytes: int = BLOCK) -> None:
        self._key = key
        self._iv = bytes(block_bytes)

    def mac(self, message: bytes) -> bytes:
        self._iv = chained_cmac(self._key, len(self._iv), self._iv, message)
        return self._iv[:MAC_BYTES]

    def seal(self, nonce: bytes, plain: bytes) -> bytes:
        del nonce  # the vector runs instead
        sealed = self._key.encrypt(self._iv, plain)
        self._iv = sealed[-len(self._iv) :]
        return sealed

    def open(self, nonce: bytes, sealed: bytes) -> bytes:
        del nonce  # as above
        plain = self._key.decrypt(self._iv, sealed)
        self._iv = sealed[-len(self._iv) :]
        return plain


class AesAuthentication(KeyMaterial):
    """An `Authentication` with a key in memory; `rnd_a` are 16 fresh random bytes."""

    __slots__ = ("_key", "_method", "_rnd_a", "_rnd_b", "_token")

    def __init__(self, key: CardKey, rnd_a: bytes) -> None:
        if len(rnd_a) != BLOCK:
            raise ValueError(f"RndA is {BLOCK} random bytes, not {len(rnd_a)}")
        self._key = key
        self._rnd_a = rnd_a
        self._rnd_b = self._token = b""
        self._method: Method | None = None

    def auth1(self, method: Method, challenge: bytes) -> bytes:
        if self._method is not None:
            raise ValueError("an authentication serves one attempt: RndA must be fresh for the next")
        self._method = method
        self._rnd_b = self._key.decrypt(ZERO_IV, challenge)
        vector = challenge if method is Method.AES else ZERO_IV
        self._token = self._key.encrypt(vector, self._rnd_a + rotate_left(self._rnd_b))
        return self._token

    def auth2(self, answer: bytes) -> SessionCipher:
        method = self._method
        if method is None:
            raise ValueError("auth2 comes after auth1")
        vector = self._token[-BLOCK:] if method is Method.AES else ZERO_IV
        plain = self._key.decrypt(vector, answer)
        ti, proof = (plain[:TI_BYTES], plain[TI_BYTES:]) if method is Method.EV2_FIRST else (b"", plain)
        if not compare_digest(proof[:BLOCK], rotate_left(self._rnd_a)):
            raise IntegrityError(f"{command_name(method)}: the card does not prove that it has the key")
        if method is Method.AES:
            return Ev1Cipher(aes_session_key(self._rnd_a, self._rnd_b))
        return Ev2Cipher.derive(self._key, self._rnd_a, self._rnd_b, ti)
