"""A security module in this process, and the provider over it: keys go in and never come out.

The module speaks five verbs with handles that are numbers, chooses RndA and keeps the session keys. It is written from
the published formulas with nothing but AES, so that it cannot share a mistake with the implementation in memory.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from cardproto.desfire.authentication import Authentication, Method, SessionCipher
from cardproto.errors import IntegrityError
from terminal.errors import KeyFileError
from tests.vectors.by_hand import cbc, cmac, odd, rotated

ZEROS = bytes(16)


def uncbc(key: bytes, iv: bytes, data: bytes) -> bytes:
    return Cipher(AES(key), CBC(iv)).decryptor().update(data)


def xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def subkeys(key: bytes) -> tuple[bytes, bytes]:
    """K1 and K2 of SP 800-38B."""
    found, number = [], int.from_bytes(cbc(key, ZEROS, ZEROS))
    for _ in range(2):
        number = number << 1 ^ (1 << 128 | 0x87 if number >> 127 else 0)
        found.append(number.to_bytes(16))
    return found[0], found[1]


def diversified(master: bytes, m: bytes) -> bytes:
    """AN10922 for inputs of less than 31 bytes."""
    message = (b"\x01" + m + b"\x80").ljust(32, b"\0")
    return cbc(master, ZEROS, message[:16] + xor(message[16:], subkeys(master)[1]))[16:]


@dataclass
class Handle:
    """What the module keeps of one authentication, and then of its session."""

    key: bytes
    method: Method
    rnd_a: bytes
    rnd_b: bytes
    token: bytes
    enc: bytes = b""
    mac: bytes = b""
    vector: bytes = ZEROS


class Module:
    """The verbs. `masters` by name and version; `rnd` draws RndA, only when a card has sent its challenge."""

    def __init__(
        self,
        masters: Mapping[tuple[str, int], bytes],
        purposes: Mapping[str, bytes],
        rnd: Callable[[int], bytes],
    ) -> None:
        self._masters = dict(masters)
        self._purposes = dict(purposes)
        self._rnd = rnd
        self._handles: list[Handle] = []

    def __repr__(self) -> str:
        return "Module(…)"

    def versions(self, key: str) -> list[int]:
        return sorted((version for name, version in self._masters if name == key), reverse=True)

    def auth1(
        self, key: str, version: int, diversifier: bytes | None, method: Method, challenge: bytes
    ) -> tuple[int, bytes]:
        """A handle, and E(RndA || RndB'); without a diversifier the key is used as it is."""
        master = self._masters[key, version]
        own = master if diversifier is None else diversified(master, diversifier)
        rnd_a, rnd_b = self._rnd(16), uncbc(own, ZEROS, challenge)
        token = cbc(own, challenge if method is Method.AES else ZEROS, rnd_a + rotated(rnd_b))
        self._handles.append(Handle(own, method, rnd_a, rnd_b, token))
        return len(self._handles) - 1, token

    def auth2(self, number: int, answer: bytes) -> bytes:
        """The transaction identifier, empty where there is none; IntegrityError for a wrong proof."""
        at = self._handles[number]
        plain = uncbc(at.key, at.token[-16:] if at.method is Method.AES else ZEROS, answer)
        ti = plain[:4] if at.method is Method.EV2_FIRST else b""
        if plain[len(ti) :][:16] != rotated(at.rnd_a):
            raise IntegrityError("the module does not believe the card")
        a, b = at.rnd_a, at.rnd_b
        if at.method is Method.AES:
            at.enc = a[0:4] + b[0:4] + a[12:16] + b[12:16]
            return ti
        context = b"\0\1\0\x80" + a[:2] + xor(a[2:8], b[:6]) + b[6:] + a[8:]
        at.enc, at.mac = cmac(at.key, b"\xa5\x5a" + context), cmac(at.key, b"\x5a\xa5" + context)
        return ti

    def mac(self, number: int, message: bytes) -> bytes:
        at = self._handles[number]
        if at.method is not Method.AES:
            return odd(cmac(at.mac, message))
        whole, padded = subkeys(at.enc)
        if message and len(message) % 16 == 0:
            last = whole
        else:
            message, last = message + b"\x80" + bytes(-(len(message) + 1) % 16), padded
        at.vector = cbc(at.enc, at.vector, message[:-16] + xor(message[-16:], last))[-16:]
        return at.vector[:8]

    def seal(self, number: int, nonce: bytes, plain: bytes) -> bytes:
        at = self._handles[number]
        if nonce:
            return cbc(at.enc, cbc(at.enc, ZEROS, nonce), plain)
        sealed = cbc(at.enc, at.vector, plain)
        at.vector = sealed[-16:]
        return sealed

    def open(self, number: int, nonce: bytes, sealed: bytes) -> bytes:
        at = self._handles[number]
        if nonce:
            return uncbc(at.enc, cbc(at.enc, ZEROS, nonce), sealed)
        plain, at.vector = uncbc(at.enc, at.vector, sealed), sealed[-16:]
        return plain

    def token(self, purpose: str, value: bytes) -> bytes:
        return hmac.digest(self._purposes[purpose], value, hashlib.sha256)[:8]


@dataclass(frozen=True)
class ModuleSession:
    """A `SessionCipher` that is a number."""

    module: Module
    number: int
    ti: bytes

    def mac(self, message: bytes) -> bytes:
        return self.module.mac(self.number, message)

    def seal(self, nonce: bytes, plain: bytes) -> bytes:
        return self.module.seal(self.number, nonce, plain)

    def open(self, nonce: bytes, sealed: bytes) -> bytes:
        return self.module.open(self.number, nonce, sealed)


@dataclass
class ModuleAttempt:
    """An `Authentication` with a key inside the module."""

    module: Module
    key: str
    version: int
    diversifier: bytes | None
    number: int = -1

    def auth1(self, method: Method, challenge: bytes) -> bytes:
        self.number, token = self.module.auth1(self.key, self.version, self.diversifier, method, challenge)
        return token

    def auth2(self, answer: bytes) -> SessionCipher:
        return ModuleSession(self.module, self.number, self.module.auth2(self.number, answer))


class ModuleKeys:
    """A `KeyProvider` that has no key to give."""

    def __init__(self, module: Module) -> None:
        self.module = module

    def versions(self, key: str) -> Sequence[int]:
        return self.module.versions(key)

    def authenticate(self, key: str, version: int, diversifier: bytes) -> Authentication:
        if version not in self.module.versions(key):
            raise KeyFileError(f"the module holds no version {version} of {key!r}", "Load it.")
        return ModuleAttempt(self.module, key, version, diversifier)

    def token(self, purpose: str, value: bytes) -> bytes:
        return self.module.token(purpose, value)
