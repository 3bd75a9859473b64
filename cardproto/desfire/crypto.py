"""The few AES primitives DESFire needs, and the key as an object whose bytes need not be known.

Source: MF2DL(H)x0 datasheet 9.1 (rev 3.3), NIST SP 800-38B.
"""

from __future__ import annotations

import zlib
from typing import Final, NoReturn, Protocol

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.cmac import CMAC

BLOCK: Final = 16
ZERO_IV: Final = bytes(BLOCK)


class CardKey(Protocol):
    """A 128-bit card key that can be used but need not be readable (it may live in a SAM or an HSM)."""

    def encrypt(self, iv: bytes, data: bytes) -> bytes:
        """AES-CBC without padding."""
        ...

    def decrypt(self, iv: bytes, data: bytes) -> bytes:
        """AES-CBC without padding."""
        ...

    def cmac(self, data: bytes) -> bytes:
        """The full 16-byte AES-CMAC."""
        ...


class KeyMaterial:
    """Base of what holds keys in memory: no text about it shows them, and it cannot be pickled or copied."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} holds keys and stays in this process")


class AesKey(KeyMaterial):
    """A `CardKey` held in memory: session keys, laboratory keys and keys inside software cards.

    What a key needs is made once, when it is first used: making a cipher takes ten times as long as a block through it,
    and messages have one or two. So the chaining is done here, over single blocks.
    """

    __slots__ = ("_algorithm", "_deciphering", "_enciphering", "_mac")

    def __init__(self, key: bytes) -> None:
        if len(key) != BLOCK:
            raise ValueError(f"an AES-128 key is 16 bytes, not {len(key)}")
        self._algorithm = AES(key)
        self._enciphering: CipherContext | None = None
        self._deciphering: CipherContext | None = None
        self._mac: CMAC | None = None

    def encrypt(self, iv: bytes, data: bytes) -> bytes:
        _check_blocks(iv, data)
        if self._enciphering is None:
            self._enciphering = Cipher(self._algorithm, ECB()).encryptor()  # noqa: S305 chained below
        encipher, before, sealed = self._enciphering.update, int.from_bytes(iv), []
        for at in range(0, len(data), BLOCK):
            block = encipher((int.from_bytes(data[at : at + BLOCK]) ^ before).to_bytes(BLOCK))
            before = int.from_bytes(block)
            sealed.append(block)
        return b"".join(sealed)

    def decrypt(self, iv: bytes, data: bytes) -> bytes:
        _check_blocks(iv, data)
        if self._deciphering is None:
            self._deciphering = Cipher(self._algorithm, ECB()).decryptor()  # noqa: S305 chained below
        before = int.from_bytes((iv + data)[: len(data)])
        return (int.from_bytes(self._deciphering.update(data)) ^ before).to_bytes(len(data))

    def cmac(self, data: bytes) -> bytes:
        if self._mac is None:
            self._mac = CMAC(self._algorithm)
        mac = self._mac.copy()
        mac.update(data)
        return mac.finalize()


def cmac_once(key: bytes, data: bytes) -> bytes:
    """The CMAC under an AES key that is used for nothing else: nothing is kept of it, which takes less time."""
    mac = CMAC(AES(key))
    mac.update(data)
    return mac.finalize()


def _check_blocks(iv: bytes, data: bytes) -> None:
    if len(iv) != BLOCK:
        raise ValueError(f"an initial vector is {BLOCK} bytes, not {len(iv)}")
    # Without this the cipher would quietly keep the incomplete block to itself.
    if len(data) % BLOCK:
        raise ValueError(f"{len(data)} bytes are no whole number of AES blocks")


def truncate_mac(cmac: bytes) -> bytes:
    """MACt: bytes 1, 3, ... 15 of the CMAC. The texts number from the right and call them even."""
    return cmac[1::2]


def pad(data: bytes) -> bytes:
    """ISO 9797-1 method 2, always: a whole number of blocks gains a full block."""
    return data + b"\x80" + bytes(-(len(data) + 1) % BLOCK)


def unpad(data: bytes) -> bytes | None:
    """Undo `pad`; None when the padding is wrong."""
    body = data.rstrip(b"\0")
    if not body or body[-1] != 0x80 or len(data) - len(body) >= BLOCK:
        return None
    return body[:-1]


def zero_pad(data: bytes) -> bytes:
    """Zero bytes up to a whole number of blocks, as the transaction MAC input uses."""
    return data + bytes(-len(data) % BLOCK)


def crc32(data: bytes) -> bytes:
    """CRC-32 without the final inversion, least significant byte first (ChangeKey)."""
    return (zlib.crc32(data) ^ 0xFFFFFFFF).to_bytes(4, "little")


def rotate_left(data: bytes) -> bytes:
    """Rotate by one byte, as both sides do with each other's random number."""
    return data[1:] + data[:1]
