"""A laboratory that signs changed blocks with the vectors' private keys, so that one field at a time can be wrong."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha1
from typing import Final

from tests.cardproto.emv.vectors import own_chain

HASHED: Final = slice(1, -21)
Change = Callable[[bytearray], None]


def keys(owner: str) -> tuple[int, int, int]:
    """Modulus, private exponent and length in bytes of "ca", "issuer" or "icc"."""
    chain = own_chain()
    modulus = chain["ca"]["modulus"] if owner == "ca" else chain["expect"][owner]["modulus"]
    return int(modulus, 16), int(chain["private_exponents"][owner], 16), len(modulus) // 2


def opened(owner: str, signed: bytes) -> bytearray:
    """The block in a certificate or signature of this owner's key (e = 3)."""
    modulus, _, size = keys(owner)
    return bytearray(pow(int.from_bytes(signed, "big"), 3, modulus).to_bytes(size, "big"))


def signed(owner: str, block: bytes) -> bytes:
    """A block under this owner's key."""
    modulus, private, size = keys(owner)
    assert len(block) == size
    return pow(int.from_bytes(block, "big"), private, modulus).to_bytes(size, "big")


def sealed(owner: str, block: bytearray, behind: bytes) -> bytes:
    """The block with its hash made anew over itself and what stands behind it, signed."""
    block[-21:-1] = sha1(bytes(block[HASHED]) + behind).digest()
    return signed(owner, bytes(block))


def changed(owner: str, certificate: bytes, behind: bytes, change: Change) -> bytes:
    """A certificate with one thing changed and everything else right, hash included."""
    block = opened(owner, certificate)
    change(block)
    return sealed(owner, block, behind)


def put(at: int, value: bytes | str) -> Change:
    """A change of some bytes."""
    new = bytes.fromhex(value) if isinstance(value, str) else value

    def change(block: bytearray) -> None:
        start = at % len(block)
        assert block[start : start + len(new)] != new, "nothing would change"
        block[start : start + len(new)] = new

    return change
