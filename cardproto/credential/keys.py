"""Issuers' public keys by key id, and when each may be believed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)

KEY_ID_BYTES: Final = 8
MOST_REMEMBERED: Final = 1024
"""Some 2 MB."""


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """One issuer's key; `issuer` is the name it may sign under. Believed from `not_before` until before `not_after`."""

    issuer: str
    key: EllipticCurvePublicKey
    not_before: datetime
    not_after: datetime

    def believed_at(self, now: datetime) -> bool:
        return self.not_before <= now < self.not_after


class IssuerKeys:
    """The keys a terminal trusts. Which key, and so which algorithm, is decided by the key id alone.

    What one of them signed is remembered by all its bytes: as long as this list counts, that does not change. Nothing
    that strangers show gets there. Thread-safe.
    """

    def __init__(self, keys: Iterable[IssuerKey] = ()) -> None:
        self._by_id = {key_id(issuer.key): issuer for issuer in keys}
        self._verified: dict[bytes, tuple[IssuerKey, Any]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def find(self, kid: bytes) -> IssuerKey | None:
        """None: an unknown issuer, which says nothing about the credential itself."""
        return self._by_id.get(kid)

    def recall(self, signed: bytes) -> tuple[IssuerKey, Any] | None:
        """Whose signature was verified on exactly these bytes, and what they say. That says nothing of today."""
        return self._verified.get(signed)

    def remember(self, signed: bytes, issuer: IssuerKey, said: object) -> None:
        """The signature of `issuer` on `signed` was verified; `said` is what it says, immutable."""
        if len(self._verified) >= MOST_REMEMBERED:  # anew, in one step: a vehicle sees fewer phones in a day
            self._verified = {}
        self._verified[signed] = (issuer, said)


def key_id(key: EllipticCurvePublicKey) -> bytes:
    """The first 8 bytes of SHA-256 over x and y, 32 bytes each."""
    numbers = key.public_numbers()
    return hashlib.sha256(numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")).digest()[
        :KEY_ID_BYTES
    ]


def public_key(x: bytes, y: bytes) -> EllipticCurvePublicKey:
    """A P-256 key from its coordinates; raises `ValueError` for a point that is not on the curve."""
    return EllipticCurvePublicNumbers(
        int.from_bytes(x, "big"), int.from_bytes(y, "big"), SECP256R1()
    ).public_key()
