"""The laboratory's RSA keys: the same for everyone, made from a published seed, and worth nothing anywhere else.

Each modulus is the product of eight primes (RFC 8017 allows any number of them): to the outside an ordinary key, to
the software card a signature in a fraction of the time, because each prime is a quarter as long as with two. A prime is
the first after a number that follows from `PUBLIC_SEED` and the key's name; `LAB_KEYS` keeps how far it is from there,
so that no key has to be searched for. `first_primes` searches, and a test compares.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Final

PUBLIC_SEED: Final = b"resident-lab EMV chain 1"
"""The published text all private keys follow from: what they sign cannot pass for a bank's."""
PRIMES: Final = 8
_TOP_BITS: Final = 0xF
"""Set in each prime, so that the product has exactly as many bits as asked for."""
_WITNESSES: Final = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
_SMALL: Final = tuple(n for n in range(3, 2000, 2) if all(n % d for d in range(3, int(n**0.5) + 1, 2)))


@dataclass(frozen=True, slots=True)
class LabKeyPlan:
    """One key: modulus length, public exponent, and the distance of each prime from its start."""

    bits: int
    exponent: int
    distances: tuple[int, ...]


LAB_KEYS: Final = {
    "ca-E1": LabKeyPlan(1408, 3, (724, 606, 338, 32, 176, 12, 64, 8)),
    "ca-E2": LabKeyPlan(1984, 65537, (126, 40, 200, 48, 30, 206, 78, 156)),
    "ca-E3": LabKeyPlan(1984, 3, (186, 660, 64, 872, 1054, 114, 114, 132)),
    "issuer-E1": LabKeyPlan(1152, 3, (236, 126, 62, 332, 6, 274, 120, 284)),
    "issuer-E1-revoked": LabKeyPlan(1152, 3, (258, 350, 268, 308, 72, 76, 242, 428)),
    "issuer-E2": LabKeyPlan(1984, 65537, (150, 84, 100, 290, 90, 510, 188, 2)),
    "issuer-E3": LabKeyPlan(1408, 3, (146, 26, 466, 606, 174, 200, 340, 526)),
    "card-1024": LabKeyPlan(1024, 3, (312, 96, 124, 54, 434, 64, 88, 226)),
    "card-1024-other": LabKeyPlan(1024, 3, (18, 22, 114, 102, 230, 142, 40, 28)),
    "card-1152-f4": LabKeyPlan(1152, 65537, (24, 20, 28, 178, 90, 338, 122, 70)),
    "card-1408-f4": LabKeyPlan(1408, 65537, (14, 268, 30, 100, 76, 42, 134, 412)),
    "card-1984-f4": LabKeyPlan(1984, 65537, (186, 230, 156, 202, 124, 682, 278, 266)),
    "card-768": LabKeyPlan(768, 3, (346, 20, 88, 20, 42, 16, 712, 132)),
}
"""Every key of the laboratory by name."""


@dataclass(frozen=True, slots=True, repr=False)
class LabRsaKey:
    """A private key. `parts` are (prime, exponent, product of the primes before, inverse of it), for Garner's way."""

    modulus: int
    exponent: int
    parts: tuple[tuple[int, int, int, int], ...]

    @property
    def length(self) -> int:
        """Bytes of the modulus."""
        return (self.modulus.bit_length() + 7) // 8

    @property
    def modulus_bytes(self) -> bytes:
        return self.modulus.to_bytes(self.length, "big")

    @property
    def exponent_bytes(self) -> bytes:
        """03, or 010001: as certificates carry it."""
        return self.exponent.to_bytes((self.exponent.bit_length() + 7) // 8, "big")

    def sign(self, block: bytes) -> bytes:
        """The bare private operation on a block as long as the modulus: signatures with message recovery need it."""
        value = int.from_bytes(block, "big")
        if len(block) != self.length or value >= self.modulus:
            raise ValueError(f"a block of {len(block)} bytes for a key of {self.length}")
        signed = 0
        for prime, exponent, before, inverse in self.parts:
            residue = pow(value % prime, exponent, prime)
            signed += before * ((residue - signed) * inverse % prime)
        return signed.to_bytes(self.length, "big")


@cache
def lab_key(name: str) -> LabRsaKey:
    """The key of this name; raises `KeyError` for one the laboratory has not."""
    plan = LAB_KEYS[name]
    starts = _starts(name, plan.bits)
    return _key([start + away for start, away in zip(starts, plan.distances, strict=True)], plan.exponent)


def _key(primes: list[int], exponent: int) -> LabRsaKey:
    parts, before = [], 1
    for prime in primes:
        parts.append((prime, pow(exponent, -1, prime - 1), before, pow(before, -1, prime)))
        before *= prime
    return LabRsaKey(prod(primes), exponent, tuple(parts))


def first_primes(name: str, bits: int, exponent: int) -> list[int]:
    """The distances for `LAB_KEYS`, searched: the first number from each start that can be a factor."""
    return [
        next(away for away in range(0, 1 << 20, 2) if _fits(start + away, exponent))
        for start in _starts(name, bits)
    ]


def _starts(name: str, bits: int) -> Iterator[int]:
    length = bits // PRIMES
    for number in range(PRIMES):
        seed = b"|".join((PUBLIC_SEED, name.encode(), bytes((number,))))
        drawn = int.from_bytes(hashlib.shake_256(seed).digest(length // 8), "big")
        yield drawn | _TOP_BITS << (length - 4) | 1


def _fits(candidate: int, exponent: int) -> bool:
    if any(candidate % small == 0 for small in _SMALL) or (candidate - 1) % exponent == 0:
        return False
    return all(_passes(candidate, witness) for witness in _WITNESSES)


def _passes(candidate: int, witness: int) -> bool:
    """One round of Miller and Rabin's test."""
    odd, twos = candidate - 1, 0
    while not odd & 1:
        odd, twos = odd >> 1, twos + 1
    value = pow(witness, odd, candidate)
    if value in (1, candidate - 1):
        return True
    for _ in range(twos - 1):
        value = value * value % candidate
        if value == candidate - 1:
            return True
    return False
