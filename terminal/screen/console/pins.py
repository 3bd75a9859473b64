"""PINs at rest: scrypt with a salt of their own, over the PIN mixed with a key of the terminal.

A PIN has few digits: with the file alone all of them could be tried. So the terminal's key for the purpose "staff"
goes in first (`KeyProvider.token`), and trying needs the key provider besides the file.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import secrets
from typing import Final

from terminal.errors import StaffError
from terminal.keys.provider import KeyProvider

PURPOSE: Final = "staff"
MIN_DIGITS: Final = 4
MAX_DIGITS: Final = 8
LOG_N: Final = 14
BLOCK: Final = 8
LANES: Final = 1
SALT_BYTES: Final = 16
HASH_BYTES: Final = 32
SCHEME: Final = "scrypt"
NO_MEMBERS_PIN: Final = f"{SCHEME}${LOG_N}${BLOCK}${LANES}${'00' * SALT_BYTES}${'00' * HASH_BYTES}"
"""Fits no PIN; checked where there is no member, so that it takes as long."""
MESSAGE_ADVICE: Final = "Choose one that is hard to guess."


def hash_pin(pin: str, keys: KeyProvider) -> str:
    """`scrypt$log2(n)$r$p$salt$hash`; raises `StaffError` for a PIN that is too easy to guess."""
    _require_sound(pin)
    salt = secrets.token_bytes(SALT_BYTES)
    digest = _digest(pin, keys, salt, LOG_N, BLOCK, LANES)
    return f"{SCHEME}${LOG_N}${BLOCK}${LANES}${salt.hex()}${digest.hex()}"


def pin_fits(pin: str, hashed: str, keys: KeyProvider) -> bool:
    """Whether `pin` is the one behind `hashed`; takes as long for a wrong one. Raises `StaffError`."""
    try:
        scheme, log_n, block, lanes, salt, expected = hashed.split("$")
        if scheme != SCHEME:
            raise ValueError(scheme)
        digest = _digest(pin, keys, bytes.fromhex(salt), int(log_n), int(block), int(lanes))
        return hmac.compare_digest(digest, bytes.fromhex(expected))
    except ValueError as error:
        raise StaffError(
            "a PIN in the staff list is not understood", "Set it anew: terminal staff pin."
        ) from error


def _digest(pin: str, keys: KeyProvider, salt: bytes, log_n: int, block: int, lanes: int) -> bytes:
    mixed = keys.token(PURPOSE, b"pin" + salt + pin.encode())
    return hashlib.scrypt(mixed, salt=salt, n=1 << log_n, r=block, p=lanes, dklen=HASH_BYTES, maxmem=1 << 26)


def _require_sound(pin: str) -> None:
    if not (pin.isascii() and pin.isdigit() and MIN_DIGITS <= len(pin) <= MAX_DIGITS):
        raise StaffError("this is no PIN", f"A PIN has {MIN_DIGITS} to {MAX_DIGITS} digits.")
    steps = {int(b) - int(a) for a, b in itertools.pairwise(pin)}
    if len(steps) == 1 and steps <= {-1, 0, 1}:
        raise StaffError("this PIN is the same digit again and again, or counts up or down", MESSAGE_ADVICE)
