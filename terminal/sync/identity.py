"""Ed25519 identities as PEM files: a private key that never leaves its machine, a public one to hand out."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
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


def load_or_create_key(path: Path) -> Ed25519PrivateKey:
    """Return the private key in `path`, made on first use; its public key is kept beside it as `.pub`.

    Raises `KeyFileError` when the file cannot be read or written, or holds something else.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            private = Ed25519PrivateKey.generate()
            create_file(path, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        content = path.read_bytes()
    except OSError as error:
        raise KeyFileError(
            f"key file {path}: {error.strerror}", "Check the directory and its rights."
        ) from error
    key = _parse_private(path, content)
    if not public_path(path).exists():
        write_public_key(public_path(path), key.public_key())
    return key


def public_path(path: Path) -> Path:
    """Where the public key of the private key in `path` lies."""
    return path.with_suffix(".pub")


def write_public_key(path: Path, key: Ed25519PublicKey) -> None:
    """Write `key` to `path`, replacing what is there. Raises `KeyFileError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        if not create_file(path, content, 0o644) and path.read_bytes() != content:
            replace_file(path, content, 0o644)  # else another process has just made the same file
    except OSError as error:
        raise _unusable(path, error) from error


def read_public_key(path: Path) -> Ed25519PublicKey:
    """Raises `KeyFileError` when there is none in `path`."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise KeyFileError(
            f"public key {path}: {error.strerror}", "Copy the .pub file from the machine that made the key."
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _not_ed25519(path, "public") from error
    if not isinstance(key, Ed25519PublicKey):
        raise _not_ed25519(path, "public")
    return key


def _parse_private(path: Path, content: bytes) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _not_ed25519(path, "private") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _not_ed25519(path, "private")
    return key


def _unusable(path: Path, error: OSError) -> KeyFileError:
    return KeyFileError(f"key file {path}: {error.strerror}", "Check the directory and its rights.")


def _not_ed25519(path: Path, side: str) -> KeyFileError:
    return KeyFileError(f"{path} holds no {side} Ed25519 key in PEM", "Restore the file, or enrol a new key.")
