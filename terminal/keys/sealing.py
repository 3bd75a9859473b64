"""AES-GCM behind the port `terminal.files.Sealer`: files with personal data are sealed at rest (D-02, D-07)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cardproto.desfire.crypto import KeyMaterial
from terminal.errors import KeyFileError

NONCE_BYTES: Final = 12


class StorageKeys(KeyMaterial):
    """A `Sealer` over keys held in memory: AES-GCM with a random nonce in front of each sealed content."""

    def __init__(self, keys: Mapping[str, bytes], *, signed: bool = False) -> None:
        """Keys are 16 or 32 bytes each; `signed`: they came from a file that its office signed, to which nothing can be
        added."""
        self._signed = signed
        self._ciphers = {purpose: AESGCM(key) for purpose, key in keys.items()}
        self._keys = dict(keys)

    def __repr__(self) -> str:
        return f"StorageKeys({sorted(self._ciphers)})"

    def seal(self, purpose: str, content: bytes, bound_to: bytes) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher(purpose).encrypt(nonce, content, bound_to)

    def unseal(self, purpose: str, sealed: bytes, bound_to: bytes) -> bytes:
        try:
            return self._cipher(purpose).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to)
        except (InvalidTag, ValueError) as error:
            raise KeyFileError(
                f"what was sealed for {purpose!r} does not open with this key",
                "Use the key file of this terminal, or remove what was sealed and load it again.",
            ) from error

    def key(self, purpose: str) -> bytes:
        """The key itself, for what is no cipher: the private half of a pair. Raises `KeyFileError`."""
        self._cipher(purpose)
        return self._keys[purpose]

    def _cipher(self, purpose: str) -> AESGCM:
        cipher = self._ciphers.get(purpose)
        if cipher is None:
            raise KeyFileError(
                f"the key file holds no storage key {purpose!r}",
                "Give the file of a role that has it: docs/keys.md, What each role holds."
                if self._signed
                else f"Add it under [storage]: {purpose} = 64 hexadecimal digits.",
            )
        return cipher
