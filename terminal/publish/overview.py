"""How a repository stands: versions, signatures that are missing, days left, what is published."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import msgspec
from tuf.api.metadata import Metadata, Targets

from terminal.publish.release import releasable, signatures
from terminal.publish.repository import SNAPSHOT, TIMESTAMP, Repository
from terminal.publish.sealing import SealedName, names

WARN_DAYS: Final = 14
ONLINE: Final = (SNAPSHOT, TIMESTAMP)
"""Made anew by each release."""


class TargetGroup(msgspec.Struct, frozen=True):
    """One ROLE/NAME. `called`: how the office calls a sealed one, and `terminals` who can open it."""

    name: str
    files: tuple[str, ...]
    id: str = ""
    version: int = 0
    called: str = ""
    terminals: tuple[int, ...] = ()


class RoleStanding(msgspec.Struct, frozen=True):
    """A role. Versions are 0 for none, `days_left` None where nothing is published; `missing` signatures of the draft,
    `unsigned` the keys that may give them."""

    role: str
    version: int
    days_left: int | None
    draft: int
    missing: int
    signed: tuple[str, ...]
    unsigned: tuple[str, ...]
    ready: bool
    published: tuple[TargetGroup, ...]


class OfficeTask(StrEnum):
    """What the office has to do next."""

    ADD = "add"  # nothing is published, nothing drafted
    SIGN = "sign"
    RELEASE = "release"  # what is signed, or a timestamp that ends soon
    RENEW = "renew"


class NextTask(msgspec.Struct, frozen=True):
    """A task, and the roles that it is about."""

    task: OfficeTask
    roles: tuple[str, ...] = ()


class Overview(msgspec.Struct, frozen=True):
    stand_alone: bool
    roles: tuple[RoleStanding, ...]
    next: tuple[NextTask, ...] = ()
    """In the order in which they are done; none: all is published and holds."""


def overview(repository: Repository, now: datetime) -> Overview:
    """Raises `PublishError`."""
    repository.logged()
    ready, known = releasable(repository), names(repository)
    roles = tuple(_state(repository, role, now, known, ready=role in ready) for role in repository.roles())
    return Overview(repository.stands_alone, roles, tuple(_next(roles)))


def _next(roles: tuple[RoleStanding, ...]) -> Iterator[NextTask]:
    unsigned = tuple(one.role for one in roles if one.missing)
    if unsigned:
        yield NextTask(OfficeTask.SIGN, unsigned)
    ending = tuple(one for one in roles if one.days_left is not None and one.days_left <= WARN_DAYS)
    if any(one.ready for one in roles) or any(one.role in ONLINE for one in ending):
        yield NextTask(OfficeTask.RELEASE, tuple(one.role for one in roles if one.ready))
    late = tuple(one.role for one in ending if not one.draft and one.role not in ONLINE)
    if late:
        yield NextTask(OfficeTask.RENEW, late)
    if not any(one.draft or one.published for one in roles):
        yield NextTask(OfficeTask.ADD)


def _state(
    repository: Repository, role: str, now: datetime, known: dict[str, SealedName], *, ready: bool
) -> RoleStanding:
    present = repository.published(role)
    draft = None if role in ONLINE else repository.draft(role)
    found = None if draft is None else signatures(repository, role, draft)
    return RoleStanding(
        role,
        0 if present is None else present.signed.version,
        None if present is None else (present.signed.expires - now).days,
        0 if draft is None else draft.signed.version,
        0 if found is None else found.missing,
        () if found is None else found.signed,
        () if found is None else found.unsigned,
        ready,
        _groups(present, known),
    )


def _groups(present: Metadata[Any] | None, known: dict[str, SealedName]) -> tuple[TargetGroup, ...]:
    if present is None or not isinstance(present.signed, Targets):
        return ()
    files: dict[str, list[str]] = {}
    said: dict[str, dict[str, Any]] = {}
    for name, target in present.signed.targets.items():
        group, _, file = name.rpartition("/")
        files.setdefault(group, []).append(file)
        if isinstance(target.custom, dict):
            said[group] = target.custom
    return tuple(
        _group(group, listed, said.get(group, {}), known.get(group)) for group, listed in files.items()
    )


def _group(name: str, files: list[str], said: dict[str, Any], known: SealedName | None) -> TargetGroup:
    if known is not None:
        return TargetGroup(name, tuple(files), known.id, known.version, known.called, known.terminals)
    return TargetGroup(name, tuple(files), str(said.get("id", "")), int(said.get("version", 0)))
