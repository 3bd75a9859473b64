"""The signed form of key files, `resident-keys-1`: what role, region and terminal a file is for stands under the
office's signature together with the keys.

    form = "resident-keys-1"
    environment = "production"                  # or "laboratory", which stays on everything cut from it
    role = "bus"                                # `terminal.keys.roles`
    region = 34
    terminal = 70001                            # where the role's files are of one terminal
    made_on = "2026-11-30"
    until = "2029-12-31"                        # roll by then; optional
    key_version = 1
    root = "64 hexadecimal digits"              # at the office alone: every other key follows from it
    [masters]
    validate = { 1 = "32 hexadecimal digits", 2 = "..." }
    [purposes], [lists], [storage], [limits]    # as in laboratory files (`terminal.keys.file`)
    [signed]
    office = "64 hexadecimal digits"            # the office's public Ed25519 key
    signature = "128 hexadecimal digits"

Signed is the form's name, a line feed, and everything but [signed] as JSON with sorted names and no spaces, so neither
comments nor the order of lines count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import UNSET, Meta, Struct, UnsetType

from terminal.errors import KeyFileError
from terminal.keys.check_values import fingerprint, is_public, repeated
from terminal.keys.limits import Ceiling
from terminal.keys.roles import BANK_EPOCHS, ROLES, UNVERSIONED, KeyRole

FORM: Final = "resident-keys-1"
PRODUCTION: Final = "production"
MAX_VERSION: Final = 255
CUT_AGAIN: Final = "Have the office cut it anew: `terminal keys init`, see docs/keys.md."
Environment = Literal["production", "laboratory"]
Master = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
LongKey = Annotated[str, Meta(pattern="^([0-9a-f]{2}){16,64}$")]
Bytes32 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
VersionName = Annotated[str, Meta(pattern="^(0|[1-9][0-9]{0,2})$")]


class OfficeSignature(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose word a key file is."""

    office: Bytes32
    signature: Annotated[str, Meta(pattern="^[0-9a-f]{128}$")]


class CeilingTables(Struct, frozen=True, forbid_unknown_fields=True):
    """[limits]: as `terminal.keys.limits.KeyLimits`, by name."""

    authentications: dict[str, Ceiling] = {}
    tokens: dict[str, Ceiling] = {}


class KeyDocument(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One key file as it stands there; keys are hexadecimal digits."""

    form: Literal["resident-keys-1"] = FORM
    environment: Environment
    role: KeyRole
    region: Annotated[int, Meta(ge=0, le=0xFFFF)]
    terminal: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    made_on: date
    until: date | UnsetType = UNSET
    key_version: Annotated[int, Meta(ge=0, le=MAX_VERSION)]
    root: Bytes32 | UnsetType = UNSET
    masters: dict[str, dict[VersionName, Master]] = {}
    purposes: dict[str, LongKey] = {}
    lists: dict[str, LongKey] = {}
    storage: dict[str, Bytes32] = {}
    limits: CeilingTables = CeilingTables()
    signed: OfficeSignature | UnsetType = UNSET

    def __repr__(self) -> str:
        return f"KeyDocument({self.environment}, {self.role}, region {self.region})"

    def named_keys(self) -> Iterator[tuple[str, bytes]]:
        """Every key by the place it has in the file."""
        for name, versions in self.masters.items():
            for version, key in versions.items():
                yield f"masters.{name}.{version}", bytes.fromhex(key)
        for table in ("purposes", "lists", "storage"):
            for name, key in getattr(self, table).items():
                yield f"{table}.{name}", bytes.fromhex(key)

    def header(self) -> KeyHeader:
        """What may be known of the file."""
        signed = self.signed
        return KeyHeader(
            environment=self.environment,
            role=self.role,
            region=self.region,
            key_version=self.key_version,
            office="" if isinstance(signed, UnsetType) else fingerprint(bytes.fromhex(signed.office)),
            made_on=self.made_on,
            terminal=None if isinstance(self.terminal, UnsetType) else self.terminal,
            until=None if isinstance(self.until, UnsetType) else self.until,
        )


class KeyHeader(Struct, frozen=True, kw_only=True):
    """What a signed key file says of itself; `office` is the fingerprint of the key that signed it."""

    environment: Environment
    role: KeyRole
    region: int
    key_version: int
    office: str
    made_on: date
    terminal: int | None = None
    until: date | None = None

    def require_for(self, role: str, region: int, terminal: int | None = None) -> None:
        """Raise `KeyFileError` where these keys are for something else."""
        if self.role != role:
            raise KeyFileError(f"these keys are for the role {self.role}, not {role}", CUT_AGAIN)
        if self.region != region:
            raise KeyFileError(f"these keys are for region {self.region}, not {region}", CUT_AGAIN)
        if terminal is not None and self.terminal != terminal:
            raise KeyFileError(f"these keys are for terminal {self.terminal}, not {terminal}", CUT_AGAIN)


def signed_by(document: KeyDocument, signer: Ed25519PrivateKey) -> KeyDocument:
    """`document` under the office's signature."""
    office = signer.public_key().public_bytes_raw().hex()
    signature = signer.sign(_signed_content(document)).hex()
    return msgspec.structs.replace(document, signed=OfficeSignature(office, signature))


def verified(tables: Mapping[str, object], path: Path) -> KeyDocument:
    """What the tables of the file at `path` say, when they are whole and signed and hold what their role may.

    Raises `KeyFileError`, which quotes nothing of the file but names that are known.
    """
    try:
        document = msgspec.convert(tables, KeyDocument)
    except msgspec.ValidationError:  # its message may quote a key that stands in the place of a name
        raise KeyFileError(f"key file {path} is not whole, or not of the form {FORM}", CUT_AGAIN) from None
    _require_signature(document, path)
    _require_role(document, path)
    require_own_keys(document, str(path))
    return document


def _signed_content(document: KeyDocument) -> bytes:
    unsigned = msgspec.structs.replace(document, signed=UNSET)
    return FORM.encode() + b"\n" + msgspec.json.encode(unsigned, order="deterministic")


def _require_signature(document: KeyDocument, path: Path) -> None:
    signed = document.signed
    if isinstance(signed, UnsetType):
        raise KeyFileError(f"key file {path} is not signed", CUT_AGAIN)
    try:
        office = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signed.office))
        office.verify(bytes.fromhex(signed.signature), _signed_content(document))
    except (InvalidSignature, ValueError):
        raise KeyFileError(f"key file {path} is not what its office signed", CUT_AGAIN) from None


def _require_role(document: KeyDocument, path: Path) -> None:
    """A file holds nothing that its role has no use for."""
    role = ROLES[document.role]
    allowed = {
        "masters": (*role.masters, *role.addable),
        "purposes": (*role.purposes, *(BANK_EPOCHS if role.epochs else ())),
        "lists": role.lists,
        "storage": role.storage,
    }
    for table, names in allowed.items():
        if not getattr(document, table).keys() <= set(names):
            raise KeyFileError(
                f"key file {path}: [{table}] holds a key that the role {document.role} never has", CUT_AGAIN
            )
    if role.of_terminal is isinstance(document.terminal, UnsetType):
        missing = "names no terminal" if role.of_terminal else "names a terminal, and its role has none"
        raise KeyFileError(f"key file {path} {missing}", CUT_AGAIN)
    if not isinstance(document.root, UnsetType) and document.role is not KeyRole.OFFICE:
        raise KeyFileError(f"key file {path} holds the root, which belongs to the office alone", CUT_AGAIN)
    served = str(document.key_version)
    for name, versions in document.masters.items():
        if name not in UNVERSIONED and served not in versions:
            what = f"key file {path}: masters.{name} has no version {served}, which is in service"
            raise KeyFileError(what, CUT_AGAIN)


def require_own_keys(document: KeyDocument, source: str) -> None:
    """Raise `KeyFileError` where a production file holds a key that everybody knows, or one key twice."""
    if document.environment != PRODUCTION:
        return
    for name, key in document.named_keys():
        if is_public(key):
            raise KeyFileError(
                f"{source}: {name} is marked production and is a key that everybody knows",
                "Make new keys; the laboratory's never serve.",
            )
    if same := repeated(document.named_keys()):
        raise KeyFileError(f"{source}: {same[0]} and {same[1]} are the same key", "Make each of its own.")
