"""CA keys of bank card schemes from a file, as `sim card emv ca` prints the laboratory's. Nothing in it is secret.

    {"environment": "laboratory",
     "ca_keys": [{"rid": "A000000658", "index": "E1", "modulus": "…", "exponent": "03", "sha1": "…"}],
     "revoked": [{"rid": "A000000658", "index": "E1", "serial": "0000FF"}]}

Hexadecimal throughout. A key may say `expires_on` (a date) and `source` (where it was taken from). `sha1` is the
checksum that the scheme publishes with the key, over RID, index, modulus and exponent: where one does not fit, the file
is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from msgspec import Meta, Struct

from cardproto.emv.keys import CaKey, CaKeys, RevokedCertificate, Trust
from cardproto.errors import FormatError
from terminal.decoding import read_within
from terminal.errors import KeyFileError
from terminal.mistakes.document import read
from terminal.mistakes.form import FileForm
from terminal.sealed_box import KEY_BYTES, can_be_sealed_to

MOST_BYTES: Final = 16 << 20
"""512 keys, and a revocation list of 100 000."""
OFFICE_KEY_BYTES: Final = 1024
OFFICE_ADVICE: Final = "Write the back office's public key as 64 hexadecimal digits."
ADVICE: Final = "Take keys and checksums from the scheme; `sim card emv ca` prints the laboratory's."
Environment = Literal["laboratory", "production"]
Rid = Annotated[str, Meta(pattern="^[0-9a-fA-F]{10}$")]
Index = Annotated[str, Meta(pattern="^[0-9a-fA-F]{2}$")]
Modulus = Annotated[str, Meta(pattern="^([0-9a-fA-F]{2}){64,248}$")]
Exponent = Literal["03", "010001"]
Checksum = Annotated[str, Meta(pattern="^[0-9a-fA-F]{40}$")]
Serial = Annotated[str, Meta(pattern="^[0-9a-fA-F]{6}$")]


class _CaEntry(Struct, frozen=True, forbid_unknown_fields=True):
    rid: Rid
    index: Index
    modulus: Modulus
    exponent: Exponent
    sha1: Checksum
    expires_on: date | None = None
    source: Annotated[str, Meta(max_length=200)] = ""


class _RevokedEntry(Struct, frozen=True, forbid_unknown_fields=True):
    rid: Rid
    index: Index
    serial: Serial


class _BankCaFile(Struct, frozen=True, forbid_unknown_fields=True):
    environment: Environment
    ca_keys: Annotated[list[_CaEntry], Meta(min_length=1, max_length=512)]
    revoked: Annotated[list[_RevokedEntry], Meta(max_length=100_000)] = []


BANK_CA: Final = FileForm(_BankCaFile, KeyFileError, most_bytes=MOST_BYTES)


@dataclass(frozen=True, slots=True)
class BankCa:
    """What a bank card's signature is held against, and whose it is: the laboratory's, or schemes'."""

    environment: Environment
    trust: Trust


def load_office_key(path: Path) -> bytes:
    """The back office's public X25519 key in `path`: 64 hexadecimal digits, or PEM. Raises `KeyFileError`."""
    try:
        content = read_within(path, OFFICE_KEY_BYTES)
        if content.startswith(b"-----BEGIN"):
            found = load_pem_public_key(content)
            key = found.public_bytes_raw() if isinstance(found, X25519PublicKey) else b""
        else:
            key = bytes.fromhex(content.decode("ascii").strip())
    except (OSError, ValueError, msgspec.DecodeError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"{path} cannot be used as the back office's key", OFFICE_ADVICE) from error
    if len(key) != KEY_BYTES or not can_be_sealed_to(key):
        raise KeyFileError(f"{path} holds no key that anything can be sealed to", OFFICE_ADVICE)
    return key


def load_bank_ca(path: Path) -> BankCa:
    """Raises `KeyFileError` when there is no such file or it is not exactly of the form above."""
    file = read(BANK_CA, path, json=True)
    try:
        trust = Trust(CaKeys(map(_key, file.ca_keys)), frozenset(map(_revoked, file.revoked)))
    except FormatError as error:
        raise KeyFileError(f"CA keys {path}: {error}", ADVICE) from error
    return BankCa(file.environment, trust)


def _key(one: _CaEntry) -> CaKey:
    rid, index, modulus, exponent, checksum = map(
        bytes.fromhex, (one.rid, one.index, one.modulus, one.exponent, one.sha1)
    )
    return CaKey(rid, index[0], modulus, exponent, checksum, one.expires_on, one.source)


def _revoked(one: _RevokedEntry) -> RevokedCertificate:
    return RevokedCertificate(bytes.fromhex(one.rid), int(one.index, 16), bytes.fromhex(one.serial))
