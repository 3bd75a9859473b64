"""What kinds of key DESFire knows, and where a DES key keeps its version.

The number is the one that travels: bits 7..6 of KS2 when an application is created, of the key number when the
card's own master key changes its kind.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

VERSION_BYTES: Final = 8


class KeyType(IntEnum):
    """`DES` is single DES, too: a 2K3DES key whose halves are equal bit by bit *is* a single DES key."""

    DES = 0
    TRIPLE_DES_3K = 1
    AES = 2

    @property
    def key_bytes(self) -> int:
        """How many bytes a key has, on the card and in ChangeKey."""
        return 24 if self is KeyType.TRIPLE_DES_3K else 16

    @property
    def block_bytes(self) -> int:
        return 16 if self is KeyType.AES else 8


def parity_version(key: bytes) -> int:
    """The version a DES key carries: the lowest bits of its first eight bytes, the first being the highest."""
    return sum((byte & 1) << (7 - at) for at, byte in enumerate(key[:VERSION_BYTES]))


def with_parity_version(key: bytes, version: int) -> bytes:
    """The same DES key (8, 16 or 24 bytes) carrying `version`.

    Halves that are equal bit by bit stay so, because only then does the card take the key for single DES; the
    second half of any other key is left alone.
    """
    if not 0 <= version <= 0xFF:
        raise ValueError(f"a key version is 0 to 255, not {version}")
    first = bytes((byte & 0xFE) | version >> (7 - at) & 1 for at, byte in enumerate(key[:VERSION_BYTES]))
    rest = key[VERSION_BYTES:]
    return first + (first if rest == key[:VERSION_BYTES] else rest)
