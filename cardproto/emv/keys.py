"""RSA as EMV uses it, the schemes' CA keys as verified data, and the certificates they took back (Book 2, 5.1, B2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from hashlib import sha1
from typing import Final

from cardproto.emv import tags
from cardproto.errors import FormatError

ALGORITHM_RSA: Final = 0x01
MODULUS_BYTES: Final = range(64, 249)
EXPONENTS: Final = (b"\x03", b"\x01\x00\x01")
MAX_CA_KEYS: Final = 512
MAX_REVOKED: Final = 100_000
_SERIAL_BYTES: Final = 3


@dataclass(frozen=True, slots=True)
class RsaKey:
    """A public key; `size` in bytes."""

    modulus: int
    exponent: int
    size: int

    @classmethod
    def from_bytes(cls, modulus: bytes, exponent: bytes) -> RsaKey:
        """Raises `FormatError`: 512 to 1984 bits, the first of them set, exponent 3 or 65537, as Book 2 allows."""
        if len(modulus) not in MODULUS_BYTES or not modulus[0] & 0x80 or exponent not in EXPONENTS:
            raise FormatError("RSA key", f"modulus of {len(modulus)}, exponent of {len(exponent)} bytes")
        return cls(int.from_bytes(modulus, "big"), int.from_bytes(exponent, "big"), len(modulus))

    def recover(self, signed: bytes) -> bytes | None:
        """The block inside a signature; None when it has another length than the key, or is no residue of it."""
        number = int.from_bytes(signed, "big")
        if len(signed) != self.size or number >= self.modulus:
            return None
        return pow(number, self.exponent, self.modulus).to_bytes(self.size, "big")


@dataclass(frozen=True, slots=True)
class CaKey:
    """A scheme's public key. It cannot be made with a checksum that is not its own: SHA-1 of RID, index and key.

    `source` is where it was taken from, for people. `algorithm` 1 is RSA; of another one `modulus` holds the key as the
    scheme publishes it, and a verifier of that algorithm reads it. Raises `FormatError`.
    """

    rid: bytes
    index: int
    modulus: bytes
    exponent: bytes
    checksum: bytes
    expires_on: date | None = None
    source: str = ""
    algorithm: int = ALGORITHM_RSA

    def __post_init__(self) -> None:
        if len(self.rid) != tags.RID_BYTES or not 0 <= self.index <= 0xFF:
            raise FormatError("CA key", "needs a RID of 5 bytes and an index of one")
        named = self.rid + bytes((self.index,)) + self.modulus + self.exponent
        if sha1(named, usedforsecurity=False).digest() != self.checksum:
            raise FormatError(
                "CA key", f"{self.rid.hex().upper()} {self.index:02X} does not fit its checksum"
            )
        if self.algorithm == ALGORITHM_RSA:
            RsaKey.from_bytes(self.modulus, self.exponent)

    @property
    def rsa(self) -> RsaKey:
        """The key to compute with."""
        return RsaKey.from_bytes(self.modulus, self.exponent)


class CaKeys:
    """CA keys by (RID, index), each once. Raises `FormatError` for two of one name or more than 512."""

    def __init__(self, keys: Iterable[CaKey] = ()) -> None:
        listed = tuple(keys)
        self._keys = {(one.rid, one.index): one for one in listed}
        if len(self._keys) != len(listed) or len(listed) > MAX_CA_KEYS:
            raise FormatError(
                "CA keys", f"{len(listed)}, of which {len(self._keys)} have a name of their own"
            )

    def find(self, rid: bytes, index: int) -> CaKey | None:
        """The key of this scheme and number; None when it is not here."""
        return self._keys.get((rid, index))

    def __iter__(self) -> Iterator[CaKey]:
        return iter(self._keys.values())

    def __len__(self) -> int:
        return len(self._keys)


@dataclass(frozen=True, slots=True)
class RevokedCertificate:
    """An issuer certificate that its scheme took back: under which CA key, and its serial number (3 bytes)."""

    rid: bytes
    index: int
    serial: bytes

    def __post_init__(self) -> None:
        if (
            len(self.rid) != tags.RID_BYTES
            or not 0 <= self.index <= 0xFF
            or len(self.serial) != _SERIAL_BYTES
        ):
            raise FormatError(
                "revoked certificate", "needs a RID of 5, an index of 1 and a serial of 3 bytes"
            )


@dataclass(frozen=True, slots=True)
class Trust:
    """What authentication believes: CA keys, less certificates taken back. Raises `FormatError` for over 100 000."""

    keys: CaKeys
    revoked: frozenset[RevokedCertificate] = frozenset()

    def __post_init__(self) -> None:
        if len(self.revoked) > MAX_REVOKED:
            raise FormatError("revocation list", f"of {len(self.revoked)}; {MAX_REVOKED} is the most")
