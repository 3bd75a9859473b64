"""The primitives of the legacy methods: DES keys, both checksums, the chained CMAC, the session keys.

Sources: the public DESFire EV1 protocol note by RevK (github.com/revk/DESFireAES); field libraries, where two agree.
"""

from __future__ import annotations

from typing import Final, Protocol

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import CBC

from cardproto.desfire.crypto import AesKey, KeyMaterial
from cardproto.desfire.key_types import KeyType

DES_BLOCK: Final = 8
_SINGLE, _DOUBLE, _TRIPLE = 8, 16, 24
_CRC16_START: Final = 0x6363
_CRC16_POLYNOMIAL: Final = 0x8408
_REDUCTIONS: Final = {8: 0x1B, 16: 0x87}


class CipherKey(Protocol):
    """A key that can encipher and decipher whole blocks; `cardproto.desfire.crypto.CardKey` is one for AES."""

    def encrypt(self, iv: bytes, data: bytes) -> bytes:
        """CBC without padding."""
        ...

    def decrypt(self, iv: bytes, data: bytes) -> bytes:
        """CBC without padding."""
        ...


class DesKey(KeyMaterial):
    """A single DES (8 bytes), 2K3DES (16) or 3K3DES (24) key held in memory."""

    __slots__ = ("_algorithm", "single", "type")

    def __init__(self, key: bytes) -> None:
        if len(key) not in (_SINGLE, _DOUBLE, _TRIPLE):
            raise ValueError(f"a DES key is 8, 16 or 24 bytes, not {len(key)}")
        self.type = KeyType.TRIPLE_DES_3K if len(key) == _TRIPLE else KeyType.DES
        # Version bits count here: only halves that are equal bit by bit make it single DES.
        self.single = len(key) == _SINGLE or (len(key) == _DOUBLE and key[:8] == key[8:])
        self._algorithm = TripleDES(_expanded(key))

    @property
    def random_bytes(self) -> int:
        """How long RndA and RndB are with this key."""
        return 16 if self.type is KeyType.TRIPLE_DES_3K else 8

    def encrypt(self, iv: bytes, data: bytes) -> bytes:
        _check_blocks(data)
        return Cipher(self._algorithm, CBC(iv)).encryptor().update(data)

    def decrypt(self, iv: bytes, data: bytes) -> bytes:
        _check_blocks(data)
        return Cipher(self._algorithm, CBC(iv)).decryptor().update(data)


def _expanded(key: bytes) -> bytes:
    if len(key) == _TRIPLE:
        return key
    return key * 3 if len(key) == _SINGLE else key + key[:8]


def _check_blocks(data: bytes) -> None:
    # Without this the cipher would quietly keep the incomplete block to itself.
    if len(data) % DES_BLOCK:
        raise ValueError(f"{len(data)} bytes are no whole number of DES blocks")


def des_session_key(key: DesKey, rnd_a: bytes, rnd_b: bytes) -> DesKey:
    """The session key of AuthenticateISO and of the D40 authentication, from the parts of both numbers."""
    halves = (0,) if key.single else (0, 4)
    places = (0, 6, 12) if key.type is KeyType.TRIPLE_DES_3K else halves
    return DesKey(b"".join(rnd_a[at : at + 4] + rnd_b[at : at + 4] for at in places))


def aes_session_key(rnd_a: bytes, rnd_b: bytes) -> AesKey:
    """The session key of AuthenticateAES."""
    return AesKey(rnd_a[0:4] + rnd_b[0:4] + rnd_a[12:16] + rnd_b[12:16])


def chained_cmac(key: CipherKey, block_bytes: int, iv: bytes, data: bytes) -> bytes:
    """A CMAC (NIST SP 800-38B) whose CBC begins with `iv` instead of zeros; the whole last block."""
    first = _double(key.encrypt(bytes(block_bytes), bytes(block_bytes)))
    whole = bool(data) and len(data) % block_bytes == 0
    if not whole:
        data += b"\x80" + bytes(-(len(data) + 1) % block_bytes)
    subkey = first if whole else _double(first)
    last = bytes(a ^ b for a, b in zip(data[-block_bytes:], subkey, strict=True))
    return key.encrypt(iv, data[:-block_bytes] + last)[-block_bytes:]


def _double(block: bytes) -> bytes:
    bits = 8 * len(block)
    number = int.from_bytes(block, "big") << 1
    if number >> bits:
        number ^= 1 << bits | _REDUCTIONS[len(block)]
    return number.to_bytes(len(block), "big")


def crc16(data: bytes) -> bytes:
    """ISO 14443-3 type A checksum, least significant byte first."""
    register = _CRC16_START
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (_CRC16_POLYNOMIAL if register & 1 else 0)
    return register.to_bytes(2, "little")


def pad_zero(data: bytes, block_bytes: int) -> bytes:
    """Zero bytes up to a whole number of blocks."""
    return data + bytes(-len(data) % block_bytes)


def d40_send(key: CipherKey, plain: bytes) -> bytes:
    """What a D40 terminal sends: each block xor the *sent* block before it, then **deciphered**.

    The first cards could only encipher, so the terminal always runs the other direction.
    """
    sent, before = b"", bytes(DES_BLOCK)
    for at in range(0, len(plain), DES_BLOCK):
        mixed = bytes(a ^ b for a, b in zip(plain[at : at + DES_BLOCK], before, strict=True))
        before = key.decrypt(bytes(DES_BLOCK), mixed)
        sent += before
    return sent


def d40_receive(key: CipherKey, sent: bytes) -> bytes:
    """What the card makes of it: each block enciphered, then xor the sent block before it."""
    plain, before = b"", bytes(DES_BLOCK)
    for at in range(0, len(sent), DES_BLOCK):
        block = sent[at : at + DES_BLOCK]
        mixed = key.encrypt(bytes(DES_BLOCK), block)
        plain += bytes(a ^ b for a, b in zip(mixed, before, strict=True))
        before = block
    return plain
