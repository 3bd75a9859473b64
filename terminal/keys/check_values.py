"""What may be shown of a key: its check value; and which keys must never serve because everybody has them.

A check value (KCV) is what ANSI X9.24-1 uses for AES: the first bytes of CMAC over one block of zeros. Three bytes show
whether two people have the same key and nothing about it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

CHECK_BYTES: Final = 3
FINGERPRINT_BYTES: Final = 8
_WHOLE: Final = (16, 24, 32)
_PUBLIC: Final = frozenset(
    {
        "023232134c2ca0db",
        "035e106f21be9f13",
        "0ed73061a1d56ea3",
        "18cbea71abe439c2",
        "205cc0ff8508f53b",
        "21c70c147693dd1a",
        "2ba519b17d9bbb6d",
        "35940a250f452631",
        "43408c8bf7435866",
        "440522756f376588",
        "44541d238a302fda",
        "55e2a7cd4b7c630b",
        "5cc23a505b4f682e",
        "62b93cacc2415098",
        "66a97218c325392e",
        "683f2134f98a26c8",
        "6fab8db795d51bf9",
        "6ff75c8bf3f6f2c0",
        "75353c2e169741ce",
        "76a4657e857a217b",
        "7aa8dda9d2e1a6fc",
        "89c01d2c085fe015",
        "8d39d496910175f9",
        "a4187aa5d9efa022",
        "b2b8ea2e9221e468",
        "bc1caca02f57507f",
        "be69ff25de225f75",
        "c952ca8dc8d2603f",
        "cccebf5c98005a6c",
        "cecbd368a3785c63",
        "d39c415ea11d5e4d",
        "da231584439003ed",
        "dbd708ae59f71485",
        "f534a59db1aee997",
        "fb6038a0bd6a2bc0",
    }
)
"""Fingerprints of every key of the simulator's public key file."""


def check_value(key: bytes) -> str:
    """Six hexadecimal digits of an AES key, or of the SHA-256 of a key of another length."""
    mac = CMAC(AES(key if len(key) in _WHOLE else hashlib.sha256(key).digest()))
    mac.update(bytes(AES.block_size // 8))
    return mac.finalize()[:CHECK_BYTES].hex().upper()


def fingerprint(content: bytes) -> str:
    """Sixteen hexadecimal digits that stand for a public key, or recognise a key that is public."""
    return hashlib.sha256(content).hexdigest()[: 2 * FINGERPRINT_BYTES]


def is_public(key: bytes) -> bool:
    """Whether everybody knows `key`: one of the laboratory's, or the same byte throughout."""
    return len(set(key)) <= 1 or fingerprint(key) in _PUBLIC


def repeated(keys: Iterable[tuple[str, bytes]]) -> tuple[str, str] | None:
    """The names of the first two keys that are the same."""
    seen: dict[bytes, str] = {}
    for name, key in keys:
        if key in seen:
            return seen[key], name
        seen[key] = name
    return None
