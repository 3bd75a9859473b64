"""Journal contents as they lie on the disk: sealed under the journal's own key, or plain where there is none.

    00 ‖ content                               plain
    01 ‖ nonce (12) ‖ AES-256-GCM(content)     sealed, bound to terminal, place and sequence

The nonce is random: a number derived from the sequence would come back, with another content, when a journal is
restored from an older copy. What is bound cannot be moved to another row, table or terminal.
"""

from __future__ import annotations

import secrets
import struct
from enum import IntEnum
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
KEY_ID_BYTES: Final = 8
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
SEALED_BYTES: Final = 1 + NONCE_BYTES + TAG_BYTES
"""How much longer a sealed content is."""

_PLAIN: Final = b"\x00"
_SEALED: Final = b"\x01"
_DOMAIN: Final = b"resident-journal-content"
_PLACE: Final = struct.Struct(">IBQ")


class Broken(ValueError):
    """The stored bytes are not what this journal's key sealed in this place."""


class SealedPlace(IntEnum):
    """Which table a content stands in; never renumbered."""

    ROW = 1
    STATE = 2
    CHECKPOINT = 3
    MARK = 4
    RESERVATION = 5


class JournalKey:
    """The key of one journal. `id` may be shown: it names the key and reveals nothing of it."""

    def __init__(self, key: bytes) -> None:
        """`key` is 32 random bytes that were used for no other journal."""
        if len(key) != KEY_BYTES:
            raise ValueError(f"a journal key has {KEY_BYTES} bytes")
        self.id: Final = sha256(_DOMAIN + b"-key-id" + key).digest()[:KEY_ID_BYTES]
        self.cipher: Final = AESGCM(key)

    def __repr__(self) -> str:
        return f"JournalKey({self.id.hex()})"

    @classmethod
    def generate(cls) -> JournalKey:
        return cls(secrets.token_bytes(KEY_BYTES))


class Contents:
    """Seals and opens what the journal of `terminal` holds; with no key contents stay plain."""

    def __init__(self, terminal: int, key: JournalKey | None) -> None:
        self.terminal = terminal
        self.key = key

    @property
    def key_id(self) -> bytes:
        """Empty for a plain journal."""
        return b"" if self.key is None else self.key.id

    def close(self, place: SealedPlace, sequence: int, content: bytes) -> bytes:
        if self.key is None:
            return _PLAIN + content
        nonce = secrets.token_bytes(NONCE_BYTES)
        return _SEALED + nonce + self.key.cipher.encrypt(nonce, content, self._bound(place, sequence))

    def open(self, place: SealedPlace, sequence: int, stored: object) -> bytes:
        """Raises `Broken`; plain content in a sealed journal was put there by another hand. A damaged page of the
        database may give anything.
        """
        if not isinstance(stored, bytes):
            raise Broken("no bytes")
        if self.key is None:
            if stored[:1] != _PLAIN:
                raise Broken("not plain")
            return stored[1:]
        if stored[:1] != _SEALED:
            raise Broken("not sealed")
        nonce, sealed = stored[1 : 1 + NONCE_BYTES], stored[1 + NONCE_BYTES :]
        try:
            return self.key.cipher.decrypt(nonce, sealed, self._bound(place, sequence))
        except (InvalidTag, ValueError) as error:
            raise Broken("does not open under the journal's key") from error

    def _bound(self, place: SealedPlace, sequence: int) -> bytes:
        return _DOMAIN + _PLACE.pack(self.terminal, place, sequence)
