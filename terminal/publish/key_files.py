"""Keys that sign bundles: a private one in a file under a passphrase, a public one in PEM to hand out.

NAME.key    JSON, its owner's alone: the raw Ed25519 key under scrypt and ChaCha20-Poly1305
NAME.pub    PEM; the name of the file is what the key is called in metadata, in requests and in the log

A key's name says what it is for and which of several it is (`tariff-2`); it names a function, never a person.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from msgspec import Meta
from securesystemslib.signer import CryptoSigner, SSlibKey

from terminal.access.hashes import LEAST_PASSPHRASE
from terminal.decoding import SMALL_BYTES, decode_json, read_within
from terminal.errors import KeyFileError
from terminal.files import create_file, readable_by_others
from terminal.sync.identity import read_public_key, write_public_key

NAME_FIELD: Final = "x-name"
"""Of a key in metadata: what it is called."""
KEY_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,39}")
LOG_N: Final = 15
BLOCK: Final = 8
_DOMAIN: Final = b"resident-publishing-key-1"
_NONCE: Final = bytes(12)
"""Each salt, and with it each key under a passphrase, encrypts once."""

Hex = Annotated[str, Meta(pattern="^([0-9a-f]{2})+$", max_length=256)]


class _KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Annotated[int, Meta(ge=1, le=1)]
    log_n: Annotated[int, Meta(ge=14, le=20)]
    salt: Hex
    sealed: Hex


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key that is open. It has no text."""

    name: str
    private: Ed25519PrivateKey = field(repr=False)

    @property
    def signer(self) -> CryptoSigner:
        return CryptoSigner(self.private, named_key(self.name, self.private.public_key().public_bytes_raw()))

    @property
    def keyid(self) -> str:
        return self.signer.public_key.keyid


def make_key(folder: Path, name: str, passphrase: str) -> tuple[Path, Path]:
    """Make a key called `name` in `folder`: its private and its public file. Raises `KeyFileError`; an existing key is
    never replaced.
    """
    require_name(name)
    if len(passphrase) < LEAST_PASSPHRASE:
        raise KeyFileError(
            "the passphrase is too short", f"Use at least {LEAST_PASSPHRASE} characters: several words."
        )
    private, salt = Ed25519PrivateKey.generate(), secrets.token_bytes(16)
    cipher = ChaCha20Poly1305(_stretched(passphrase, salt, LOG_N))
    sealed = cipher.encrypt(_NONCE, private.private_bytes_raw(), _DOMAIN + name.encode())
    path, public = folder / f"{name}.key", folder / f"{name}.pub"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        made = create_file(path, msgspec.json.encode(_KeyFile(1, LOG_N, salt.hex(), sealed.hex())) + b"\n")
    except OSError as error:
        raise KeyFileError(f"key file {path}: {error.strerror}", "Name another folder.") from error
    if not made:
        raise KeyFileError(f"{path} is there already", "Give the new key another name: `tariff-4`.")
    write_public_key(public, private.public_key())
    return path, public


def open_key(path: Path, passphrase: str) -> SigningKey:
    """The private key in a file. Raises `KeyFileError`, also for the wrong passphrase."""
    name = path.stem
    require_name(name)
    try:
        if readable_by_others(path):
            raise KeyFileError(
                f"key file {path} can be read by other users", f"Close it: chmod 600 {path.name}"
            )
        file = decode_json(read_within(path, SMALL_BYTES), _KeyFile, SMALL_BYTES)
    except OSError as error:
        raise KeyFileError(f"key file {path}: {error.strerror}", "Check the path and its rights.") from error
    except msgspec.DecodeError as error:
        raise KeyFileError(
            f"{path} is no key of `terminal publish key`", "Give the file NAME.key, not NAME.pub."
        ) from error
    cipher = ChaCha20Poly1305(_stretched(passphrase, bytes.fromhex(file.salt), file.log_n))
    try:
        raw = cipher.decrypt(_NONCE, bytes.fromhex(file.sealed), _DOMAIN + name.encode())
        return SigningKey(name, Ed25519PrivateKey.from_private_bytes(raw))
    except (InvalidTag, ValueError) as error:
        raise KeyFileError(
            f"the passphrase does not open {path}", "Type it again; a file that was renamed opens no more."
        ) from error


def read_named(path: Path) -> SSlibKey:
    """The public key in a PEM file, called as the file. Raises `KeyFileError`."""
    require_name(path.stem)
    return named_key(path.stem, read_public_key(path).public_bytes_raw())


def named_key(name: str, raw: bytes) -> SSlibKey:
    """A public key as metadata has it, with its name."""
    key = SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(raw))
    key.unrecognized_fields[NAME_FIELD] = name
    return key


def require_name(name: str) -> None:
    """Raise `KeyFileError` for what is no name of a key."""
    if not KEY_NAME.fullmatch(name):
        raise KeyFileError(
            f"{name!a} is no name of a key",
            "Use up to 40 small letters, digits, dots and dashes, as in tariff-2 or roster.17-1.",
        )


def _stretched(passphrase: str, salt: bytes, log_n: int) -> bytes:
    return hashlib.scrypt(
        passphrase.encode(), salt=salt, n=1 << log_n, r=BLOCK, p=1, dklen=32, maxmem=(256 * BLOCK << log_n)
    )
