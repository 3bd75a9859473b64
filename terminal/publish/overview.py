"""How a repository stands: versions, signatures that are missing, days left, what is published."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec
from tuf.api.metadata import Metadata, Targets

from terminal.publish.release import releasable, signatures
from terminal.publish.repository import SNAPSHOT, TIMESTAMP, Repository
from terminal.publish.sealing import SealedName, names

WARN_DAYS: Final = 14


class TargetGroup(msgspec.Struct, frozen=True):
    """One ROLE/NAME. `called`: how the office calls a sealed one, and `terminals` who can open it."""

    name: str
    files: tuple[str, ...]
    id: str = ""
    version: int = 0
    called: str = ""
    terminals: tuple[int, ...] = ()


class RoleState(msgspec.Struct, frozen=True):
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


class Overview(msgspec.Struct, frozen=True):
    stand_alone: bool
    roles: tuple[RoleState, ...]


def overview(repository: Repository, now: datetime) -> Overview:
    """Raises `PublishError`."""
    repository.logged()
    ready, known = releasable(repository), names(repository)
    roles = tuple(_state(repository, role, now, known, ready=role in ready) for role in repository.roles())
    return Overview(repository.stands_alone, roles)


def _state(
    repository: Repository, role: str, now: datetime, known: dict[str, SealedName], *, ready: bool
) -> RoleState:
    present = repository.published(role)
    draft = None if role in (SNAPSHOT, TIMESTAMP) else repository.draft(role)
    found = None if draft is None else signatures(repository, role, draft)
    return RoleState(
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
