"""Keys and trusted issuers from TOML files. Key files are for development and the simulator only.

    environment = "laboratory"
    [masters]
    validate = "32 hexadecimal digits"
    [purposes]
    transport = "32 or more hexadecimal digits"
    school = "..."
    [lists]
    deny = "32 or more hexadecimal digits"
    [storage]                                   # what seals files at rest
    journal = "64 hexadecimal digits"           # wraps the key of each journal
    roster = "64 hexadecimal digits"            # in a canteen

A file whose environment is not "laboratory" is refused: production keys belong into a SAM or an HSM.

Issuers that a terminal trusts to grant rights stand in a file of their own: public keys only, nothing in it is secret.

    [[issuers]]
    issuer = "ru-34"
    x = "64 hexadecimal digits"
    y = "64 hexadecimal digits"
    not_before = 2026-01-01T00:00:00Z
    not_after = 2028-01-01T00:00:00Z
"""

from __future__ import annotations

import hashlib
import hmac
import tomllib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from cardproto.credential.keys import IssuerKey, IssuerKeys, public_key
from cardproto.desfire.crypto import AesKey, CardKey
from cardproto.desfire.diversify import an10922_aes128
from terminal.errors import KeyFileError
from terminal.keys.sealing import Sealer, StorageKeys

LABORATORY: Final = "laboratory"
PSEUDONYM_BYTES: Final = 8
STORAGE_KEY_BYTES: Final = 32
NO_KEYS: Final[Mapping[str, bytes]] = MappingProxyType({})
ADVICE: Final = "Give --keys a laboratory key file; its format is documented in terminal/keys/file.py."


class FileKeys:
    """A `KeyProvider` over a laboratory key file."""

    def __init__(
        self,
        masters: Mapping[str, bytes],
        purposes: Mapping[str, bytes],
        lists: Mapping[str, bytes],
        storage: Mapping[str, bytes] = NO_KEYS,
    ) -> None:
        self._masters = {name: AesKey(key) for name, key in masters.items()}
        self.sealer: Sealer = StorageKeys(storage)
        """What seals files at rest."""
        self._purposes = dict(purposes)
        self._lists = dict(lists)

    def __repr__(self) -> str:
        return f"FileKeys(masters={sorted(self._masters)}, purposes={sorted(self._purposes)})"

    def derive(self, key_id: str, diversifier: bytes) -> CardKey:
        master = self._masters.get(key_id)
        if master is None:
            raise KeyFileError(f"the key file holds no master key {key_id!r}", ADVICE)
        return AesKey(an10922_aes128(master, diversifier))

    def pseudonym(self, purpose: str, resident: bytes) -> bytes:
        key = self._purposes.get(purpose)
        if key is None:
            raise KeyFileError(f"the key file holds no purpose key {purpose!r}", ADVICE)
        return hmac.digest(key, resident, hashlib.sha256)[:PSEUDONYM_BYTES]

    def list_key(self, name: str) -> bytes:
        """The key a list's entries are hashed with; it travels with the list and opens no card."""
        key = self._lists.get(name)
        if key is None:
            raise KeyFileError(f"the key file holds no list key {name!r}", ADVICE)
        return key


def load_file_keys(path: Path) -> FileKeys:
    """Read `path`; raises `KeyFileError` that never quotes key material."""
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise KeyFileError(f"no key file {path}", ADVICE) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise KeyFileError(f"key file {path} is not readable TOML ({type(error).__name__})", ADVICE) from None
    if data.get("environment") != LABORATORY:
        raise KeyFileError(
            f"key file {path} is not marked as laboratory keys",
            "Files hold laboratory keys only; production keys belong into a SAM or an HSM.",
        )
    return FileKeys(
        _section(data, "masters", path, exact=16),
        _section(data, "purposes", path, exact=None),
        _section(data, "lists", path, exact=None),
        _section(data, "storage", path, exact=STORAGE_KEY_BYTES) if "storage" in data else NO_KEYS,
    )


def _section(data: Mapping[str, object], name: str, path: Path, *, exact: int | None) -> dict[str, bytes]:
    section = data.get(name)
    if not isinstance(section, dict):
        raise KeyFileError(f"key file {path} has no [{name}] section", ADVICE)
    return {str(key): _key(f"{name}.{key}", value, path, exact) for key, value in section.items()}


def _key(name: str, value: object, path: Path, exact: int | None) -> bytes:
    try:
        key = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        key = b""
    if len(key) < 16 or (exact is not None and len(key) != exact):
        raise KeyFileError(
            f"key file {path}: {name} is not a key of {exact or '16 or more'} bytes in hex", ADVICE
        )
    return key


ISSUERS_ADVICE: Final = "Name under [lists] in terminal.toml a file as documented in terminal/keys/file.py."
Coordinate = Annotated[str, Meta(pattern="^[0-9a-fA-F]{64}$")]
Moment = Annotated[datetime, Meta(tz=True)]


class _Issuer(Struct, frozen=True, forbid_unknown_fields=True):
    issuer: Annotated[str, Meta(min_length=1, max_length=16)]
    x: Coordinate
    y: Coordinate
    not_before: Moment
    not_after: Moment


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    issuers: Annotated[list[_Issuer], Meta(min_length=1)]


def load_issuers(path: Path) -> IssuerKeys:
    """Raises `KeyFileError` when there is no such file or it is not exactly of the form above."""
    try:
        file = msgspec.toml.decode(path.read_bytes(), type=_File)
        return IssuerKeys(
            IssuerKey(
                entry.issuer,
                public_key(bytes.fromhex(entry.x), bytes.fromhex(entry.y)),
                entry.not_before,
                entry.not_after,
            )
            for entry in file.issuers
        )
    except OSError as error:
        raise KeyFileError(f"issuers {path}: {error.strerror}", ISSUERS_ADVICE) from error
    except ValueError as error:
        raise KeyFileError(f"issuers {path}: {error}", ISSUERS_ADVICE) from error
