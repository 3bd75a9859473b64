"""`terminal publish add` and `remove`: a file checked as a terminal would, sealed where it is personal, and drafted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from terminal.errors import PublishError
from terminal.keys.file import FileKeys
from terminal.publish.content import Basis, Checked, checked
from terminal.publish.drafting import put, role_of, signing_role
from terminal.publish.repository import Repository, hashed
from terminal.publish.sealing import (
    SEALED,
    SealedName,
    keep_name,
    names,
    numbers_in,
    seal,
    sealed_group,
    sealing_keys,
)
from terminal.updates.bundle.assignment import read_assignment
from terminal.updates.bundle.roles import BundleRole

ASSIGN_GROUP: Final = "assign/fleet"


@dataclass(frozen=True, slots=True)
class AddOrder:
    """What is to be published as `group`, for whom it is sealed (`70001,70010-70020`; empty: for no one), and where
    their keys lie. `region` and `keys` are what rosters and lists are checked by, where they are needed.
    """

    group: str
    path: Path
    seal_to: str = ""
    terminals: Path = Path()
    region: Path | None = None
    keys: Callable[[], FileKeys] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Added:
    """Who has to sign, the name it is published under, and what it says of itself."""

    role: str
    group: str
    files: tuple[str, ...]
    id: str
    version: int


def add(repository: Repository, order: AddOrder, now: datetime) -> Added:
    """Draft a file. Raises `TerminalError` for one that terminals would refuse, `PublishError` for one that cannot be
    published here; then nothing has changed.
    """
    role, _ = role_of(order.group)
    signing_role(repository, order.group)
    if role is BundleRole.ASSIGN and order.group != ASSIGN_GROUP:
        raise PublishError(f"{order.group} is read by no terminal", f"The assignment is {ASSIGN_GROUP}.")
    found = checked(role, order.path, _basis(repository, order, now))
    if role is BundleRole.ASSIGN:
        _require_published(repository, found)
    if (role in SEALED) != bool(order.seal_to):
        raise PublishError(
            f"{role.value} is {'personal' if role in SEALED else 'not sealed'}",
            "Say for which terminals it is sealed: --seal-to 70001,70002."
            if role in SEALED
            else "Leave --seal-to out.",
        )
    if not order.seal_to:
        _require_later(found, _published_custom(repository, order.group))
        signer = put(repository, order.group, found.files, now)
        return _added(signer, order.group, found)
    return _add_sealed(repository, order, found, now)


def _add_sealed(repository: Repository, order: AddOrder, found: Checked, now: datetime) -> Added:
    group, numbers = sealed_group(repository, order.group), numbers_in(order.seal_to)
    known = names(repository).get(group)
    if known is not None and found.version:
        _require_later(found, {"id": known.id, "version": known.version}, again=True)
    sealed = seal(found, group, sealing_keys(order.terminals, numbers))
    signer = put(repository, group, sealed.files, now)
    called = order.group if known is None else known.called
    keep_name(repository, group, SealedName(called, found.id, found.version, tuple(numbers)))
    return _added(signer, group, found)


def _added(signer: str, group: str, found: Checked) -> Added:
    return Added(signer, group, tuple(file.name for file in found.files), found.id, found.version)


def remove(repository: Repository, group: str, now: datetime) -> str:
    """Draft a role without `group`; who has to sign. Terminals keep what they have."""
    role, _ = role_of(group)
    name = sealed_group(repository, group) if role in SEALED else group
    signer = put(repository, name, (), now)
    if role in SEALED:
        keep_name(repository, name, None)
    return signer


def _basis(repository: Repository, order: AddOrder, now: datetime) -> Basis:
    return Basis(now, lambda: order.region or _one_tariff(repository), lambda: _keys(order))


def _keys(order: AddOrder) -> FileKeys:
    if order.keys is None:
        raise PublishError(
            "the keys of the list are missing", "Give the key file it was made with: --keys FILE."
        )
    return order.keys()


def _one_tariff(repository: Repository) -> Path:
    """The document of the only tariff that is published: its file lies without its tables' names, so with a feed the
    document has to be given."""
    newest = repository.newest(BundleRole.TARIFF)
    found = (
        []
        if newest is None
        else [
            repository.targets / hashed(name, target.hashes["sha256"])
            for name, target in newest.signed.targets.items()
            if name.endswith("/region.toml")
        ]
    )
    if len(found) == 1 and found[0].is_file():
        return found[0]
    raise PublishError(
        "rosters and prices are checked by the region document",
        "Give it: --region FILE, or the name of a supplied one.",
    )


def _published_custom(repository: Repository, group: str) -> dict[str, Any]:
    """What the published document of `group` says of itself; drafts may be corrected."""
    present = repository.published(signing_role(repository, group))
    if present is None:
        return {}
    for name, target in present.signed.targets.items():
        if name.startswith(f"{group}/") and isinstance(target.custom, dict):
            return target.custom
    return {}


def _require_later(found: Checked, present: dict[str, Any], *, again: bool = False) -> None:
    """O-01, as terminals see it: another issue of the same thing has a higher version. `again`: the same one may be
    published anew, sealed to other terminals."""
    if not present or not found.version:
        return
    if present["id"] != found.id:
        raise PublishError(
            f"it is {found.id!a}, what is published here is {present['id']!a}",
            "Publish it under another name.",
        )
    if found.version < present["version"] or (found.version == present["version"] and not again):
        raise PublishError(
            f"version {found.version} is not later than version {present['version']}, which is published",
            "Give it a higher version: terminals take no other.",
        )


def _require_published(repository: Repository, found: Checked) -> None:
    """Every name that is assigned is drafted or published."""
    there: set[str] = set()
    for role in repository.roles():
        newest = repository.newest(role)
        if newest is not None and newest.signed.type == "targets":
            there |= {name.rpartition("/")[0] for name in newest.signed.targets}
    missing = sorted(read_assignment(found.files[0].content).names - there)
    if missing:
        raise PublishError(
            f"{missing[0]} is assigned and not published",
            "Add it first, or correct the name: `terminal publish status`.",
        )
