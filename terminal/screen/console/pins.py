"""PINs at rest: scrypt with a salt of their own, over the PIN mixed with a key of the terminal.

A PIN has few digits: with the file alone all of them could be tried. So the terminal's key for the purpose "staff"
goes in first (`KeyProvider.token`), and trying needs the key provider besides the file.
"""

from __future__ import annotations

import itertools
from functools import partial
from typing import Final

from terminal.access.hashes import NO_SECRET, hash_secret, secret_fits
from terminal.errors import StaffError
from terminal.keys.provider import KeyProvider

PURPOSE: Final = "staff"
MIN_DIGITS: Final = 4
MAX_DIGITS: Final = 8
NO_MEMBERS_PIN: Final = NO_SECRET
MESSAGE_ADVICE: Final = "Choose one that is hard to guess."


def hash_pin(pin: str, keys: KeyProvider) -> str:
    """What is kept of a PIN; raises `StaffError` for one that is too easy to guess."""
    _require_sound(pin)
    return hash_secret(partial(_mixed, pin, keys))


def pin_fits(pin: str, hashed: str, keys: KeyProvider) -> bool:
    """Whether `pin` is the one behind `hashed`; takes as long for a wrong one. Raises `StaffError`."""
    try:
        return secret_fits(partial(_mixed, pin, keys), hashed)
    except ValueError as error:
        raise StaffError(
            "a PIN in the staff list is not understood", "Set it anew: terminal staff pin."
        ) from error


def _mixed(pin: str, keys: KeyProvider, salt: bytes) -> bytes:
    return keys.token(PURPOSE, b"pin" + salt + pin.encode())


def _require_sound(pin: str) -> None:
    if not (pin.isascii() and pin.isdigit() and MIN_DIGITS <= len(pin) <= MAX_DIGITS):
        raise StaffError("this is no PIN", f"A PIN has {MIN_DIGITS} to {MAX_DIGITS} digits.")
    steps = {int(b) - int(a) for a, b in itertools.pairwise(pin)}
    if len(steps) == 1 and steps <= {-1, 0, 1}:
        raise StaffError("this PIN is the same digit again and again, or counts up or down", MESSAGE_ADVICE)
