"""The laboratory's back office: the key that taps of bank cards are sealed to, whose private half is published."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

PUBLIC_SECRET: Final = b"resident-lab bank office 1"
"""Anyone can open what is sealed to it."""


@cache
def lab_office_key() -> X25519PrivateKey:
    """The private key."""
    return X25519PrivateKey.from_private_bytes(hashlib.sha256(PUBLIC_SECRET).digest())
