"""The port through which the terminal uses keys it must not see."""

from __future__ import annotations

from typing import Protocol

from cardproto.desfire.crypto import CardKey


class KeyProvider(Protocol):
    """Master keys by name; raw keys never come out. A file, an HSM or a SAM stands behind it."""

    def derive(self, key_id: str, diversifier: bytes) -> CardKey:
        """The card's own key, diversified by AN10922 from master key `key_id` ("validate", "inspect")."""
        ...

    def pseudonym(self, purpose: str, resident: bytes) -> bytes:
        """8 bytes that stand for `resident` within one purpose; two purposes cannot be joined (D-01)."""
        ...
