"""What one terminal is known by: three private keys and the certificate that names it, in one file.

    signing    Ed25519   its batches and its journal's checkpoints
    tls        P-256     its connection to the collector, with the certificate
    sealing    X25519    opens what is sealed to it (`terminal.sealed_box`)

The file is PEM, for its owner only, the TLS key first: a TLS library reads certificate and key from it as it is. One
file, because the four belong together: it is replaced as a whole or not at all. Beside it lies `.pub`: the public
signing key, and behind it those this terminal signed with before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from terminal.errors import KeyFileError
from terminal.files import create_file, replace_file

MAX_BYTES: Final = 65_536
ENROL_AGAIN: Final = "Restore the file, or move it away and enrol this terminal again."
_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----\n?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TerminalKeys:
    """The three keys, and the certificate (PEM) of the TLS key; empty before there is one."""

    signing: Ed25519PrivateKey = field(repr=False)
    tls: EllipticCurvePrivateKey = field(repr=False)
    sealing: X25519PrivateKey = field(repr=False)
    certificate: str = ""

    def sign(self, data: bytes, /) -> bytes:
        """With the signing key."""
        return self.signing.sign(data)

    @property
    def name(self) -> bytes:
        """The public signing key, by which one set of keys is known from another."""
        return self.signing.public_key().public_bytes_raw()

    def certified(self, certificate: str) -> TerminalKeys:
        return replace(self, certificate=certificate)


def make_keys() -> TerminalKeys:
    """Three new keys."""
    return TerminalKeys(
        Ed25519PrivateKey.generate(), generate_private_key(SECP256R1()), X25519PrivateKey.generate()
    )


def load_keys(path: Path) -> TerminalKeys:
    """What is in the file `path`. Raises `KeyFileError` when there is none, or something else in it."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES)
    except OSError as error:
        raise _unusable(path, error) from error
    return _parsed(path, content)


def load_or_make_keys(path: Path, *, publish: bool = True) -> TerminalKeys:
    """The keys in the file `path`, made on first use; with `publish` the public signing key lies beside it.

    Raises `KeyFileError`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            create_file(path, _as_pem(make_keys()))
    except OSError as error:
        raise _unusable(path, error) from error
    keys = load_keys(path)
    if publish:
        _publish(path, keys)
    return keys


def keep_keys(path: Path, keys: TerminalKeys) -> None:
    """Let `keys` be what is in the file `path`: all of it, or after a power cut what was there before."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, _as_pem(keys))
    except OSError as error:
        raise _unusable(path, error) from error


def public_keys(path: Path) -> list[Ed25519PublicKey]:
    """The public signing keys in a `.pub` file: the present one, then those of before, the newest first.

    Raises `KeyFileError`.
    """
    try:
        content = path.read_bytes()[:MAX_BYTES]
        found = [load_pem_public_key(block.group()) for block in _BLOCK.finditer(content)]
    except OSError as error:
        raise KeyFileError(
            f"public key {path}: {error.strerror}", "Copy the .pub file from the machine that made the key."
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _not_keys(path) from error
    keys = [key for key in found if isinstance(key, Ed25519PublicKey)]
    if not keys or len(keys) != len(found):
        raise _not_keys(path)
    return keys


def _publish(path: Path, keys: TerminalKeys) -> None:
    """Let the public key stand first in the file beside `path`; those of before stay behind it."""
    public = path.with_suffix(".pub")
    before = public_keys(public) if public.exists() else []
    own = keys.signing.public_key()
    if before[:1] == [own]:
        return
    listed = [own, *(key for key in before if key != own)]
    content = b"".join(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) for key in listed)
    try:
        replace_file(public, content, 0o644)
    except OSError as error:
        raise _unusable(public, error) from error


def _as_pem(keys: TerminalKeys) -> bytes:
    tls, *others = (
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        for key in (keys.tls, keys.signing, keys.sealing)
    )
    return b"".join((tls, keys.certificate.encode("ascii"), *others))


def _parsed(path: Path, content: bytes) -> TerminalKeys:
    found: dict[type, object] = {}
    certificates = b""
    for block in _BLOCK.finditer(content):
        if block[1] == b"CERTIFICATE":
            certificates += block.group()
            continue
        try:
            key = load_pem_private_key(block.group(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise _not_keys(path) from error
        for kind in (Ed25519PrivateKey, EllipticCurvePrivateKey, X25519PrivateKey):
            if isinstance(key, kind):
                found[kind] = key
    signing, tls, sealing = (
        found.get(kind) for kind in (Ed25519PrivateKey, EllipticCurvePrivateKey, X25519PrivateKey)
    )
    if (
        not isinstance(signing, Ed25519PrivateKey)
        or not isinstance(tls, EllipticCurvePrivateKey)
        or not isinstance(sealing, X25519PrivateKey)
    ):
        raise _not_keys(path)
    # A certificate that is damaged is renewed with the keys; they count without it.
    return TerminalKeys(signing, tls, sealing, certificates.decode("ascii", "backslashreplace"))


def _unusable(path: Path, error: OSError) -> KeyFileError:
    return KeyFileError(f"key file {path}: {error.strerror}", "Check the directory and its rights.")


def _not_keys(path: Path) -> KeyFileError:
    return KeyFileError(f"{path} does not hold the keys of a terminal", ENROL_AGAIN)
