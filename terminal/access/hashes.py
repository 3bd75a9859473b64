"""Secrets that people choose, at rest: scrypt with a salt of their own, `scrypt$log2(n)$r$p$salt$hash`."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from typing import Final, TypeAlias

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

LEAST_PASSPHRASE: Final = 12
"""Characters of one that protects a key file: a copy of the file can be tried for years."""
LOG_N: Final = 14
BLOCK: Final = 8
LANES: Final = 1
MOST_LOG_N: Final = 17
"""A file that asks for more is none of ours: checking a secret must not take the machine's memory."""
SALT_BYTES: Final = 16
HASH_BYTES: Final = 32
SCHEME: Final = "scrypt"
NO_SECRET: Final = f"{SCHEME}${LOG_N}${BLOCK}${LANES}${'00' * SALT_BYTES}${'00' * HASH_BYTES}"
"""Fits no secret; checked where there is none, so that it takes as long."""

Mixed: TypeAlias = Callable[[bytes], bytes]
"""What is hashed under a salt: the secret alone, or with a key."""


def hash_secret(mixed: Mixed) -> str:
    """What is kept of a secret."""
    salt = secrets.token_bytes(SALT_BYTES)
    digest = _digest(mixed(salt), salt, LOG_N, BLOCK, LANES)
    return f"{SCHEME}${LOG_N}${BLOCK}${LANES}${salt.hex()}${digest.hex()}"


def secret_fits(mixed: Mixed, hashed: str) -> bool:
    """Whether the secret is the one behind `hashed`; takes as long for a wrong one. ValueError: `hashed` is none."""
    scheme, log_n, block, lanes, salt, expected = hashed.split("$")
    if scheme != SCHEME or int(log_n) > MOST_LOG_N or (int(block), int(lanes)) != (BLOCK, LANES):
        raise ValueError(scheme)
    kept = bytes.fromhex(salt)
    digest = _digest(mixed(kept), kept, int(log_n), int(block), int(lanes))
    return hmac.compare_digest(digest, bytes.fromhex(expected))


def _digest(mixed: bytes, salt: bytes, log_n: int, block: int, lanes: int) -> bytes:
    return Scrypt(salt=salt, length=HASH_BYTES, n=1 << log_n, r=block, p=lanes).derive(mixed)
