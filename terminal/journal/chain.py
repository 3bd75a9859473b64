"""The hash chain: h(n) = SHA-256(h(n-1) || body(n)), starting from a hash that names the terminal."""

from __future__ import annotations

from hashlib import sha256
from typing import Final, NamedTuple

HASH_BYTES: Final = 32
_DOMAIN: Final = b"resident-journal-1"


class Head(NamedTuple):
    """A place in the chain: the row's sequence and its hash. Sequence 0 is before the first row."""

    sequence: int
    hash: bytes


def genesis(terminal: int) -> Head:
    """The head of an empty journal of `terminal`; rows of one terminal never fit the chain of another."""
    return Head(0, sha256(_DOMAIN + terminal.to_bytes(4, "big")).digest())


def link(previous_hash: bytes, body: bytes) -> bytes:
    """The hash of the row with `body` that follows the row with `previous_hash`."""
    return sha256(previous_hash + body).digest()
