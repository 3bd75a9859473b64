"""Keys and trusted issuers from TOML files. Key files that are not signed are for development and the simulator only.

    form = "resident-laboratory-keys-1"
    environment = "laboratory"
    key_version = 1                             # the one to try first; the newest where it is not said
    [masters]
    validate = "32 hexadecimal digits"          # version 1, or by version:
    inspect = { 1 = "32 hexadecimal digits", 2 = "..." }
    [purposes]
    transport = "32 or more hexadecimal digits"
    school = "..."
    bank_1 = "64 hexadecimal digits"            # where bank cards are taken; bank_2 is the next epoch's
    [lists]
    deny = "32 or more hexadecimal digits"
    grants = "32 or more hexadecimal digits"
    [storage]                                   # what seals files at rest
    journal = "64 hexadecimal digits"           # wraps the key of each journal
    roster = "64 hexadecimal digits"            # in a canteen
    [limits]                                    # where the figures of `terminal.keys.limits` do not fit
    authentications = { validate = { per_minute = 600, per_day = 40000 } }
    tokens = { transport = { per_minute = 600, per_day = 40000 } }

A file with any other environment is refused, unless it is of the signed form that the office cuts for one role
(`terminal.keys.signed`, `terminal keys init`).

Issuers that a terminal trusts to grant rights stand in a file of their own: public keys only, nothing in it is secret.

    schema = 1
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
import re
import secrets
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from cardproto.credential.keys import IssuerKey, IssuerKeys, public_key
from cardproto.desfire.authentication import AesAuthentication, Authentication, Method
from cardproto.desfire.crypto import AesKey, KeyMaterial
from cardproto.desfire.diversify import an10922_aes128
from cardproto.resident.layout import KEY_VERSION
from terminal.clock import Clock, SystemClock
from terminal.errors import KeyFileError
from terminal.files import Sealer, readable_by_others
from terminal.keys.kept import CREDENTIAL, sealed_content
from terminal.keys.limits import KeyLimits, UseCounter
from terminal.keys.provider import (
    BANK,
    BANK_TOKEN_BYTES,
    KEYED_TOKEN_BYTES,
    LIVE_EPOCHS,
    BankToken,
)
from terminal.keys.roles import BANK_CARDS, BANK_RECORDS
from terminal.keys.sealing import StorageKeys
from terminal.keys.signed import FORM, PRODUCTION, CeilingTables, KeyHeader, verified
from terminal.mistakes.document import parsed, read
from terminal.mistakes.form import FileForm, other_schema
from terminal.mistakes.reading import FileMistake, Unreadable, content_of, text_of, toml_of
from terminal.mistakes.words import refusal

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

LABORATORY: Final = "laboratory"
LABORATORY_FORM: Final = "resident-laboratory-keys-1"
STORAGE_KEY_BYTES: Final = 32
MASTER_BYTES: Final = 16
RND_BYTES: Final = 16
MAX_VERSION: Final = 255
VERSIONS: Final[Mapping[str, int]] = MappingProxyType(
    {str(version): version for version in range(MAX_VERSION + 1)}
)
MAX_SHOWN: Final = 16
_LIKE_A_KEY: Final = re.compile("[0-9a-fA-F]{16}")
_EPOCH: Final = re.compile(f"{BANK}_([1-9][0-9]?)")
NO_KEYS: Final[Mapping[str, bytes]] = MappingProxyType({})
ADVICE: Final = "Give --keys a key file; docs/keys.md says where production keys come from."


class FileKeys(KeyMaterial):
    """A `KeyProvider` over the keys of a key file, held in memory."""

    def __init__(
        self,
        masters: Mapping[str, Mapping[int, bytes]],
        purposes: Mapping[str, bytes],
        lists: Mapping[str, bytes],
        storage: Mapping[str, bytes] = NO_KEYS,
        limits: KeyLimits | None = None,
        *,
        key_version: int = MAX_VERSION,
        clock: Clock | None = None,
        random: Callable[[int], bytes] = secrets.token_bytes,
        header: KeyHeader | None = None,
    ) -> None:
        """Masters by name and version; `key_version` is the one in service.

        `random` gives RndA; `clock` is the one the limits are counted on.
        """
        self.header = header
        """What a signed file says of itself; None for a laboratory's file that is not signed."""
        self._masters = {
            name: {version: AesKey(keys[version]) for version in in_order_to_try(keys, key_version)}
            for name, keys in masters.items()
        }
        self._storage = StorageKeys(storage, signed=header is not None)
        self.sealer: Sealer = self._storage
        """What seals files at rest."""
        self._purposes = dict(purposes)
        self._epochs = live_epochs(purposes)
        self._lists = dict(lists)
        self._uses = UseCounter(limits or KeyLimits(), clock or SystemClock())
        self._random = random

    def __repr__(self) -> str:
        return f"FileKeys(masters={sorted(self._masters)}, purposes={sorted(self._purposes)})"

    def versions(self, key: str) -> Sequence[int]:
        return tuple(self._master(key))

    def authenticate(self, key: str, version: int, diversifier: bytes) -> Authentication:
        master = self._master(key).get(version)
        if master is None:
            raise KeyFileError(f"the key file holds no version {version} of master key {key!r}", ADVICE)
        return _Attempt(key, master, diversifier, self._uses, self._random(RND_BYTES))

    def token(self, purpose: str, value: bytes) -> bytes:
        key = self._purposes.get(purpose)
        if key is None:
            raise KeyFileError(f"the key file holds no purpose key {purpose!r}", ADVICE)
        self._uses.token(purpose)
        return hmac.digest(key, value, hashlib.sha256)[:KEYED_TOKEN_BYTES]

    def bank_tokens(self, value: bytes) -> Sequence[BankToken]:
        live = [(epoch, self._purposes.get(f"{BANK}_{epoch}")) for epoch in self._epochs]
        if not live:
            raise KeyFileError(f"the key file holds no purpose key '{BANK}_1'", ADVICE)
        self._uses.token(BANK)
        return tuple(
            BankToken(epoch, hmac.digest(key, value, hashlib.sha256)[:BANK_TOKEN_BYTES])
            for epoch, key in live
            if key is not None
        )

    def require_for(self, role: str, region: int, terminal: int | None = None) -> None:
        """Raise `KeyFileError` where a signed file is for another role, region or terminal."""
        if self.header is not None:
            self.header.require_for(role, region, terminal)

    @property
    def environment(self) -> str:
        """Production or laboratory."""
        return LABORATORY if self.header is None else self.header.environment

    def _master(self, key: str) -> Mapping[int, AesKey]:
        versions = self._masters.get(key)
        if not versions:
            raise KeyFileError(f"the key file holds no master key {key!r}", ADVICE)
        return versions

    def record_key(self) -> X25519PrivateKey:
        """What opens taps of bank cards, in the one process that has it. Raises `KeyFileError`."""
        from cryptography.hazmat.primitives.asymmetric.x25519 import (  # noqa: PLC0415 no terminal needs it
            X25519PrivateKey,
        )

        return X25519PrivateKey.from_private_bytes(self._storage.key(BANK_RECORDS))

    def bank_card_key(self) -> bytes:
        """What the back office's hashes of bank cards are made under. Raises `KeyFileError`."""
        return self._storage.key(BANK_CARDS)

    def list_key(self, name: str) -> bytes:
        """The key a list's entries are hashed with; it travels with the list and opens no card."""
        key = self._lists.get(name)
        if key is None:
            raise KeyFileError(f"the key file holds no list key {name!r}", ADVICE)
        return key


def live_epochs(purposes: Iterable[str]) -> tuple[int, ...]:
    """The epochs of bank cards' tokens whose keys are among `purposes`, the newest first, two at most."""
    found = (_EPOCH.fullmatch(name) for name in purposes)
    return tuple(sorted((int(one[1]) for one in found if one is not None), reverse=True))[:LIVE_EPOCHS]


def in_order_to_try(versions: Iterable[int], in_service: int) -> list[int]:
    """The version in service, the ones before it from newest to oldest, then those that are only prepared.

    So with one version in service and no older one at hand, a card that was rolled ahead of the others is tried next.
    """
    held = sorted(versions)
    return [v for v in reversed(held) if v <= in_service] + [v for v in held if v > in_service]


class _Attempt(AesAuthentication):
    """An authentication that counts: its first part deciphers and enciphers what the other side chose."""

    __slots__ = ("_name", "_uses")

    def __init__(self, name: str, master: AesKey, diversifier: bytes, uses: UseCounter, rnd_a: bytes) -> None:
        super().__init__(AesKey(an10922_aes128(master, diversifier)), rnd_a)
        self._name = name
        self._uses = uses

    def auth1(self, method: Method, challenge: bytes) -> bytes:
        self._uses.authentication(self._name)
        return super().auth1(method, challenge)


def require_private(*paths: Path) -> None:
    """Raise `KeyFileError` for a key file that other users of the machine may read; one that is missing is not looked
    for.
    """
    for path in paths:
        try:
            others = readable_by_others(path)
        except OSError:  # who reads it says so
            continue
        if others:
            raise KeyFileError(
                f"other users may read {path}",
                f"Take that away (chmod 600 {path}), and if anyone may have read it, make new keys.",
            )


def load_file_keys(
    path: Path,
    limits: KeyLimits | None = None,
    *,
    clock: Clock | None = None,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> FileKeys:
    """Read `path`; raises `KeyFileError` that never quotes key material.

    `limits` go before those of the file; the rest is as `FileKeys` takes it.
    """
    data = key_tables(path)
    header = _header(data, path)
    masters, purposes = _masters(data, path), _section(data, "purposes", path, exact=None)
    in_service = data.get("key_version", MAX_VERSION)
    if type(in_service) is not int or not 0 <= in_service <= MAX_VERSION:
        raise KeyFileError(f"key file {path}: key_version is no version from 0 to {MAX_VERSION}", ADVICE)
    return FileKeys(
        masters,
        purposes,
        _section(data, "lists", path, exact=None),
        _section(data, "storage", path, exact=STORAGE_KEY_BYTES) if "storage" in data else NO_KEYS,
        limits or _limits(data, path, masters, purposes),
        key_version=in_service,
        clock=clock,
        random=random,
        header=header,
    )


def key_tables(path: Path) -> dict[str, object]:
    """The tables of the key file at `path`. Raises `KeyFileError`, which quotes none of them, also for a credential
    that systemd has not opened."""
    try:
        content = content_of(path)
        if sealed_content(content) is not None:
            raise KeyFileError(f"{path} is sealed, and no credential {CREDENTIAL} was handed over", _SEALED)
        return toml_of(text_of(content, private=True), private=True)
    except Unreadable as unreadable:
        if unreadable.mistakes[0].code is FileMistake.ABSENT:
            raise KeyFileError(f"no key file {path}", ADVICE) from None
        raise refusal(KeyFileError, unreadable.in_file(f"key file {path}")) from None


_SEALED: Final = (
    "Start the unit, which has systemd open it; by hand use `systemd-run --pipe -p LoadCredentialEncrypted=…` as in "
    "docs/keys.md."
)


def _header(data: Mapping[str, object], path: Path) -> KeyHeader | None:
    """Of a signed file, verified; None for a laboratory's."""
    form, environment = data.get("form"), data.get("environment")
    if form is not None and (form != LABORATORY_FORM or environment == PRODUCTION):
        return verified(data, path).header()
    if environment == PRODUCTION:
        raise KeyFileError(
            f"key file {path} is marked production and is not of the form {FORM}",
            "Have the office import its keys (`terminal keys import`) and cut a role's file (`terminal keys init`).",
        )
    if environment != LABORATORY:
        raise KeyFileError(f"key file {path} is not marked as laboratory keys", ADVICE)
    if form is None:
        raise KeyFileError(
            f"key file {path} states no form", f'Add form = "{LABORATORY_FORM}" as its first line.'
        )
    return None


def _table(data: Mapping[str, object], name: str, path: Path) -> dict[str, object]:
    section = data.get(name)
    if not isinstance(section, dict):
        raise KeyFileError(f"key file {path} has no [{name}] section", ADVICE)
    return section


def _section(data: Mapping[str, object], name: str, path: Path, *, exact: int | None) -> dict[str, bytes]:
    return {
        key: _key(f"{name}.{_shown(key)}", value, path, exact)
        for key, value in _table(data, name, path).items()
    }


def _masters(data: Mapping[str, object], path: Path) -> dict[str, dict[int, bytes]]:
    """Each master key by version: a single key is version 1, which issuing gives to every key."""
    found = {}
    for name, value in _table(data, "masters", path).items():
        versions = value if isinstance(value, dict) else {str(KEY_VERSION): value}
        if not versions:
            raise KeyFileError(f"key file {path}: masters.{_shown(name)} has no version", ADVICE)
        found[name] = {
            _version(f"masters.{_shown(name)}", number, path): _key(
                f"masters.{_shown(name)}.{number}", key, path, MASTER_BYTES
            )
            for number, key in versions.items()
        }
    return found


def _shown(name: str) -> str:
    """A name as an error may quote it: not where a key was written in its place."""
    return "…" if _LIKE_A_KEY.match(name) else name[:MAX_SHOWN]


def _version(name: str, number: str, path: Path) -> int:
    """A version has one way to be written, so that no file names it twice ("1" and "01")."""
    if number not in VERSIONS:
        raise KeyFileError(
            f"key file {path}: {name}.{_shown(number)} is no version from 0 to {MAX_VERSION}", ADVICE
        )
    return VERSIONS[number]


def _limits(
    data: Mapping[str, object], path: Path, masters: Container[str], purposes: Collection[str]
) -> KeyLimits:
    """A limit of a key that is not there would be one that nothing meets."""
    try:
        tables = msgspec.convert(data.get("limits", {}), CeilingTables)
    except msgspec.ValidationError as error:
        raise KeyFileError(f"key file {path}: limits: {error}", ADVICE) from error
    for table, held in ((tables.authentications, masters), (tables.tokens, purposes)):
        for name in table:
            if name not in held and not (name == BANK and live_epochs(purposes)):
                raise KeyFileError(f"key file {path}: limits: it holds no key {_shown(name)!r}", ADVICE)
    return KeyLimits(tables.authentications, tables.tokens)


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


ISSUERS_SCHEMA: Final = 1
ISSUERS_ADVICE: Final = "Name under [lists] in terminal.toml a file as documented in terminal/keys/file.py."
Coordinate = Annotated[str, Meta(pattern="^[0-9a-fA-F]{64}$")]
Moment = Annotated[datetime, Meta(tz=True)]


class _Issuer(Struct, frozen=True, forbid_unknown_fields=True):
    issuer: Annotated[str, Meta(min_length=1, max_length=16)]
    x: Coordinate
    y: Coordinate
    not_before: Moment
    not_after: Moment


class _IssuersFile(Struct, frozen=True, forbid_unknown_fields=True):
    issuers: Annotated[list[_Issuer], Meta(min_length=1)]
    schema: Literal[1] = 1


ISSUERS: Final = FileForm(
    _IssuersFile, KeyFileError, beforehand=lambda raw: other_schema(raw, "schema", ISSUERS_SCHEMA)
)


def load_issuers(path: Path) -> IssuerKeys:
    """Raises `KeyFileError` when there is no such file or it is not exactly of the form above."""
    return _issuers(read(ISSUERS, path), str(path))


def issuers_in(content: bytes, name: str) -> IssuerKeys:
    """As `load_issuers`, of the content of a file that messages call `name`."""
    return _issuers(parsed(ISSUERS, content, name), name)


def _issuers(file: _IssuersFile, name: str) -> IssuerKeys:
    try:
        return IssuerKeys(
            IssuerKey(
                entry.issuer,
                public_key(bytes.fromhex(entry.x), bytes.fromhex(entry.y)),
                entry.not_before,
                entry.not_after,
            )
            for entry in file.issuers
        )
    except ValueError as error:
        raise KeyFileError(f"issuers {name}: {error}", ISSUERS_ADVICE) from error
