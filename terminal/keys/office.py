"""What the office does with a region's keys: make them, cut role files out of them, roll them.

Every key follows from the region's root by HKDF-Expand (RFC 5869, SHA-256) over form, region and name, so that
custodians who bring the root together make the same keys again. A terminal's storage keys follow from its number and
from no version: rolling card keys closes no journal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from msgspec import UNSET, Struct, UnsetType

from cardproto.resident.keyset import MasterKeys
from cardproto.resident.layout import KEY_VERSION, SPARE_KEY_SETS
from terminal.errors import KeyFileError
from terminal.files import create_file, replace_file
from terminal.keys.check_values import repeated
from terminal.keys.provider import BANK
from terminal.keys.roles import (
    BANK_EPOCHS,
    ISSUING,
    LISTS,
    MASTERS,
    PURPOSES,
    REGISTRY,
    ROLES,
    UNVERSIONED,
    KeyRole,
    RoleKeys,
)
from terminal.keys.signed import (
    FORM,
    MAX_VERSION,
    PRODUCTION,
    CeilingTables,
    Environment,
    KeyDocument,
    require_own_keys,
    signed_by,
)

MASTER_BYTES: Final = 16
ROOT_BYTES: Final = 32
NO_MASTERS: Final[Mapping[str, Mapping[int, bytes]]] = {}


class OfficeOrder(Struct, frozen=True, kw_only=True):
    """What an office file is to be: `ahead` versions are prepared behind `key_version`, which is in service."""

    region: int
    made_on: date
    environment: Environment = PRODUCTION
    key_version: int = KEY_VERSION
    ahead: int = SPARE_KEY_SETS
    until: date | None = None
    limits: CeilingTables = CeilingTables()


def office_document(
    root: bytes, order: OfficeOrder, masters: Mapping[str, Mapping[int, bytes]] = NO_MASTERS
) -> KeyDocument:
    """The region's own file, signed. `masters` were made elsewhere and stand in place of those that follow from `root`.

    Raises `KeyFileError` for versions past the last, and for keys that cannot serve.
    """
    _require_versions(order)
    first, last = max(0, order.key_version - 1), order.key_version + order.ahead
    if order.key_version == KEY_VERSION:
        first = KEY_VERSION
    derived: dict[str, dict[str, str]] = {}
    for name in MASTERS:
        given = masters.get(name, {})
        versions = [KEY_VERSION] if name in UNVERSIONED else list(range(first, last + 1))
        if given and first not in given:  # what came before was made elsewhere and is not at hand
            versions = [v for v in versions if v >= order.key_version] or versions
        derived[name] = {
            str(version): (
                given.get(version) or derive(root, order.region, f"masters/{name}/{version}", MASTER_BYTES)
            ).hex()
            for version in versions
        }
    document = KeyDocument(
        environment=order.environment,
        role=KeyRole.OFFICE,
        region=order.region,
        made_on=order.made_on,
        until=UNSET if order.until is None else order.until,
        key_version=order.key_version,
        root=root.hex(),
        masters=derived,
        purposes={name: derive(root, order.region, f"purposes/{name}").hex() for name in PURPOSES},
        lists={name: derive(root, order.region, f"lists/{name}").hex() for name in LISTS},
        storage={REGISTRY: derive(root, order.region, f"storage/{REGISTRY}").hex()},
        limits=order.limits,
    )
    require_own_keys(document, "the office's keys")
    if same := repeated(document.named_keys()):
        raise KeyFileError(f"{same[0]} and {same[1]} are the same key", "Make each of its own.")
    return signed_by(document, _signer(document))


def rolled(office: KeyDocument, ahead: int, made_on: date, until: date | None = None) -> KeyDocument:
    """The office's file with the next version in service and `ahead` prepared behind it; the one before stays.

    The epochs of bank cards' tokens stay. Raises `KeyFileError` when there is no version after it.
    """
    order = OfficeOrder(
        region=office.region,
        made_on=made_on,
        environment=office.environment,
        key_version=office.key_version + 1,
        ahead=ahead,
        until=until,
        limits=office.limits,
    )
    held = {
        name: {int(version): bytes.fromhex(key) for version, key in versions.items()}
        for name, versions in office.masters.items()
    }
    document = office_document(_root(office), order, held)
    return _with_purposes(document, {name: office.purposes[name] for name in _epochs_in(office)})


def with_next_epoch(office: KeyDocument, made_on: date) -> KeyDocument:
    """The office's file with the key of the next epoch of bank cards' tokens beside those before. Raises `KeyFileError`
    after the last.
    """
    held = _epochs_in(office)
    following = next(
        (name for name in BANK_EPOCHS if not held or BANK_EPOCHS.index(name) > max(held.values())), None
    )
    if following is None:
        raise KeyFileError(
            "the last epoch of bank cards' tokens is in use", "Make a new root for the region."
        )
    key = derive(_root(office), office.region, f"purposes/{following}").hex()
    return _with_purposes(msgspec.structs.replace(office, made_on=made_on), {following: key})


def _epochs_in(office: KeyDocument) -> dict[str, int]:
    return {name: at for at, name in enumerate(BANK_EPOCHS) if name in office.purposes}


def _with_purposes(office: KeyDocument, purposes: Mapping[str, str]) -> KeyDocument:
    document = msgspec.structs.replace(office, purposes={**office.purposes, **purposes})
    return signed_by(document, _signer(document))


class RoleOrder(Struct, frozen=True, kw_only=True):
    """Which role file to cut: `ahead` prepared versions go with it, and masters by name that the role may be given."""

    role: KeyRole
    made_on: date
    terminal: int | None = None
    ahead: int = 1
    added: tuple[str, ...] = ()


def cut(office: KeyDocument, order: RoleOrder) -> KeyDocument:
    """The file of one role, signed by the office; limits of keys it holds go with it. Raises `KeyFileError`."""
    role = ROLES[order.role]
    _require_cut(office, order)
    root, names = _root(office), (*role.masters, *order.added)
    document = KeyDocument(
        environment=office.environment,
        role=order.role,
        region=office.region,
        terminal=UNSET if order.terminal is None else order.terminal,
        made_on=order.made_on,
        until=office.until,
        key_version=office.key_version,
        masters={name: _versions(office, name, order.ahead) for name in names},
        purposes={name: office.purposes[name] for name in role.purposes} | _epochs(office, role),
        lists={name: office.lists[name] for name in role.lists},
        storage={
            name: office.storage.get(name)
            or derive(root, office.region, f"storage/{name}/{order.terminal}").hex()
            for name in role.storage
        },
        limits=CeilingTables(
            {name: one for name, one in office.limits.authentications.items() if name in names},
            {
                name: one
                for name, one in office.limits.tokens.items()
                if name in role.purposes or (role.epochs and name == BANK)
            },
        ),
    )
    return signed_by(document, _signer(office))


def _epochs(office: KeyDocument, role: RoleKeys) -> dict[str, str]:
    """What tokens of bank cards are made with, where the role makes any."""
    return {name: key for name, key in office.purposes.items() if role.epochs and name in BANK_EPOCHS}


def derive(root: bytes, region: int, name: str, length: int = 32) -> bytes:
    """The key of this name."""
    info = f"{FORM}/{region}/{name}".encode()
    return HKDFExpand(SHA256(), length, info).derive(root)


def master_keys(document: KeyDocument) -> MasterKeys:
    """What cards are issued with. Raises `KeyFileError` for a role that issues none."""
    if document.role not in ISSUING:
        raise KeyFileError(
            f"keys of the role {document.role} issue no cards", "Give the issuing point's: role issue."
        )
    served = document.key_version
    try:
        spare = tuple(_generation(document, served + step) for step in range(1, 1 + SPARE_KEY_SETS))
        return replace(_generation(document, served), spare=spare)
    except KeyError as error:
        raise KeyFileError(
            f"these keys have no version {error.args[0]}, and cards take {SPARE_KEY_SETS} prepared ones",
            f"RoleOrder the file of the role issue with --ahead {SPARE_KEY_SETS}.",
        ) from error


def _generation(document: KeyDocument, version: int) -> MasterKeys:
    def key(name: str) -> bytes:
        return bytes.fromhex(document.masters[name][str(KEY_VERSION if name in UNVERSIONED else version)])

    return MasterKeys(
        picc=key("picc"),
        application=key("application"),
        validate=key("validate"),
        reload=key("reload"),
        inspect=key("inspect"),
        entitle=key("entitle"),
        order=key("order"),
        roll=key("roll"),
        transaction_mac=key("transaction_mac"),
        version=version,
    )


def write_keys(path: Path, document: KeyDocument, *, replaced: bool = False) -> None:
    """Write the file for its owner alone: whole, or as it was before. Raises `KeyFileError`, also for a file that is
    there already unless it may be replaced."""
    content = as_toml(document).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if replaced:
            replace_file(path, content)
            return
        if create_file(path, content):
            return
    except OSError as error:
        raise KeyFileError(
            f"key file {path} cannot be written ({error.strerror})", "Name another folder."
        ) from error
    raise _there(path)


def require_absent(path: Path) -> None:
    """Raise as `write_keys` does for a file that is there: before the first of several is written."""
    if path.exists():
        raise _there(path)


def _there(path: Path) -> KeyFileError:
    return KeyFileError(
        f"key file {path} exists already",
        "Keys are never overwritten: name another file or folder; after rolling, role files are cut with --replace.",
    )


def as_toml(document: KeyDocument) -> str:
    """The file's text."""
    tables = msgspec.to_builtins(document)
    lines = [f"{name} = {_literal(value)}" for name, value in tables.items() if not isinstance(value, dict)]
    for name, table in tables.items():
        if isinstance(table, dict):
            lines += ["", f"[{name}]", *(f"{key} = {_literal(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _literal(value: object) -> str:
    """Names and texts here are letters and digits, so that TOML and JSON write them alike."""
    if isinstance(value, dict):
        inner = ", ".join(f"{name} = {_literal(one)}" for name, one in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    return msgspec.json.encode(value).decode()


def _versions(office: KeyDocument, name: str, ahead: int) -> dict[str, str]:
    """The version in service, the one before where there is one, and `ahead` prepared ones."""
    held = office.masters[name]
    if name in UNVERSIONED:
        return held
    served = office.key_version
    return {v: key for v, key in held.items() if served - 1 <= int(v) <= served + ahead}


def _require_cut(office: KeyDocument, order: RoleOrder) -> None:
    role = ROLES[order.role]
    if order.role is KeyRole.OFFICE:
        raise KeyFileError("an office's file is not cut out of another", "Name another role.")
    if role.of_terminal is (order.terminal is None):
        needs = "is for one terminal" if role.of_terminal else "is for no terminal"
        raise KeyFileError(
            f"a file of the role {order.role} {needs}",
            "Give --terminal." if role.of_terminal else "Leave --terminal out.",
        )
    for name in order.added:
        if name not in role.addable:
            may = ", ".join(role.addable) or "none"
            raise KeyFileError(f"the role {order.role} never holds {name[:16]}", f"It may be given: {may}.")
    prepared = max(int(v) for v in office.masters[MASTERS[-1]]) - office.key_version
    if order.ahead > prepared:
        raise KeyFileError(
            f"the office has prepared {prepared} versions ahead, not {order.ahead}",
            "Prepare more with `terminal keys roll --ahead`, or cut with a smaller --ahead.",
        )


def _require_versions(order: OfficeOrder) -> None:
    if order.ahead < SPARE_KEY_SETS:
        raise KeyFileError(
            f"cards are issued with {SPARE_KEY_SETS} prepared versions, not {order.ahead}",
            f"Give --ahead {SPARE_KEY_SETS} or more.",
        )
    if order.key_version + order.ahead > MAX_VERSION:
        raise KeyFileError(
            f"a key has versions up to {MAX_VERSION}", "Give a smaller --ahead, or make a new root."
        )


def _root(office: KeyDocument) -> bytes:
    if office.role is not KeyRole.OFFICE or isinstance(office.root, UnsetType):
        raise KeyFileError(f"this is a file of the role {office.role}", "Give the office's file.")
    return bytes.fromhex(office.root)


def _signer(office: KeyDocument) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(derive(_root(office), office.region, "signing"))
