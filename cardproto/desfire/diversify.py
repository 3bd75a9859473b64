"""One key per card from one master key: NXP AN10922, AES-128."""

from __future__ import annotations

from typing import Final

from cardproto.desfire.crypto import BLOCK, ZERO_IV, CardKey

MAX_INPUT_BYTES: Final = 31
_CONSTANT_AES_128: Final = b"\x01"
_REDUCTION: Final = 0x87


def an10922_aes128(master: CardKey, m: bytes) -> bytes:
    """The 16-byte key of the card named by `m` (1 to 31 bytes, usually UID || AID || system).

    Needs only the master key's `encrypt`. Padding goes to 32 bytes always, never to 16: for a short `m` (a
    7-byte UID alone) the result is therefore *not* the plain CMAC, which is a known mistake of libraries.
    """
    if not 1 <= len(m) <= MAX_INPUT_BYTES:
        raise ValueError(f"diversification input of {len(m)} bytes; AN10922 takes 1 to {MAX_INPUT_BYTES}")
    first, second = cmac_subkeys(master)
    message = _CONSTANT_AES_128 + m
    padded = len(message) < 2 * BLOCK
    if padded:
        message += b"\x80" + bytes(2 * BLOCK - 1 - len(message))
    last = int.from_bytes(message[BLOCK:]) ^ int.from_bytes(second if padded else first)
    return master.encrypt(ZERO_IV, message[:BLOCK] + last.to_bytes(BLOCK))[BLOCK:]


def cmac_subkeys(key: CardKey) -> tuple[bytes, bytes]:
    """K1 and K2 of NIST SP 800-38B."""
    first = _double(key.encrypt(ZERO_IV, bytes(BLOCK)))
    return first, _double(first)


def _double(block: bytes) -> bytes:
    number = int.from_bytes(block, "big") << 1
    if number >> 128:
        number ^= 1 << 128 | _REDUCTION
    return number.to_bytes(BLOCK, "big")
