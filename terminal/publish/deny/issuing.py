"""Bases and increments made of the deny register, in its folder.

    bases/VERSION   a list that terminals map (`deny-list` where terminals look); the newest and the one before
    increments/N    each increment, for terminals that followed the ones before
    changes         all changes since the newest base, replaced at every increment (`deny-changes` there)
    merge           all changes that made the newest base of the one before

A file is on the disk before the register notes it, and noted before terminals can have it. After a cut in between it is
made once more under the same number, which no terminal has seen.
"""

from __future__ import annotations

import filecmp
from collections.abc import Callable, Iterable
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from shutil import copyfileobj
from typing import Final

from msgspec import Struct

from terminal.decoding import TooManyBytes, read_within
from terminal.errors import PublishError
from terminal.files import SHARED, replace_file, replacing
from terminal.policy.deny_changes import (
    MOST_CHANGED,
    MOST_CHANGES_BYTES,
    NONE_BEFORE,
    DenyBase,
    DenyChanges,
    changes_bytes,
    digest_of,
    followed,
    merge_changes,
    next_increment,
    read_changes,
    unchanged,
)
from terminal.policy.deny_list import MARKS, DenyListFile, build_deny_list, load_deny_list
from terminal.policy.keyed_file import LARGEST_VERSION, ListIssue
from terminal.publish.deny.register import DeniedIdentity, DenyRegister, Due, MadeIssue
from terminal.updates.bundle.roles import DENY_CHANGES_FILE, DENY_FILE

BASES: Final = "bases"
CHANGES: Final = "changes"
INCREMENTS: Final = "increments"
MERGE: Final = "merge"
NOTHING_DUE: Final = Due((), ())


class DenyIssue(Struct, frozen=True):
    """What was made, and what it says: `number` of the newest increment, entries added and removed."""

    number: int
    version: int
    added: int
    removed: int
    is_base: bool


def issue_increment(register: DenyRegister, key: bytes, now: datetime) -> DenyIssue | None:
    """What changed since the last issue, as the next increment; None where nothing did.

    Raises `PublishError` without a base.
    """
    due = register.due(now)
    if not due.added and not due.removed:
        return None
    base = _opened(register, key)
    whole, before = _so_far(register, base, now)
    if len(whole.added) + len(whole.removed) + len(due.added) + len(due.removed) > MOST_CHANGED:
        raise PublishError(
            f"more than {MOST_CHANGED} entries changed since the last base",
            "Make a new one: terminal deny issue --base.",
        )
    hashes = base.hash_of
    increment = next_increment(whole, before, now, _hashed(due.added, hashes), _hashed(due.removed, hashes))
    whole, content = followed(whole, increment), changes_bytes(increment)
    _write(register.folder / INCREMENTS / str(increment.last), content)
    _write(register.folder / CHANGES, changes_bytes(whole))
    register.note(MadeIssue(increment.last, False, base.version, sha256(content).digest()), now, due)
    base.close()
    return DenyIssue(increment.last, base.version, len(increment.added), len(increment.removed), False)


def issue_base(
    register: DenyRegister,
    key: bytes,
    region: int,
    now: datetime,
    watched: Callable[[Iterable[DeniedIdentity], int], Iterable[DeniedIdentity]] = lambda entries, _count: (
        entries
    ),
) -> DenyIssue:
    """A base of everything that holds: the one before with its changes, or built from nothing where there is none or
    too much has changed. `watched` may look on while it is built: the entries, and how many there are.
    """
    newest = newest_base(register)
    if newest is None or register.is_much_due(now):
        return _base_from_nothing(register, key, region, now, watched)
    issue_increment(register, key, now)
    base = _opened(register, key)
    whole, _before = _so_far(register, base, now)
    version = _after(base.version)
    path = base_path(register, version)
    _make_folder(path.parent)
    digest = merge_changes(base, whole, ListIssue(version, base.region, now), path)
    base.close()
    _write(register.folder / MERGE, changes_bytes(whole))
    register.note(MadeIssue(whole.last, True, version, digest), now, NOTHING_DUE)
    base_path(register, version - 2).unlink(missing_ok=True)
    return DenyIssue(whole.last, version, len(whole.added), len(whole.removed), True)


def _base_from_nothing(
    register: DenyRegister,
    key: bytes,
    region: int,
    now: datetime,
    watched: Callable[[Iterable[DeniedIdentity], int], Iterable[DeniedIdentity]],
) -> DenyIssue:
    issues, newest = register.issues(), newest_base(register)
    version = 1 if newest is None else _after(newest.version)
    number = max((one.number for one in issues), default=0)
    path = base_path(register, version)
    _make_folder(path.parent)
    entries = register.take_all(MadeIssue(number, True, version, b""), now)
    count = build_deny_list(path, key, ListIssue(version, region, now), watched(entries, register.count()))
    (register.folder / MERGE).unlink(missing_ok=True)
    register.note(MadeIssue(number, True, version, digest_of(path)), now, NOTHING_DUE)
    base_path(register, version - 2).unlink(missing_ok=True)
    return DenyIssue(number, version, count, 0, True)


def _after(version: int) -> int:
    if version >= LARGEST_VERSION:
        raise PublishError("the deny list's versions are used up", "Begin a region anew with another key.")
    return version + 1


def newest_base(register: DenyRegister) -> MadeIssue | None:
    """The base that increments are of."""
    return max((one for one in register.issues() if one.is_base), key=lambda one: one.version, default=None)


def put_for_terminals(register: DenyRegister, out: Path) -> tuple[Path, ...]:
    """The base and its changes as files of `out`, by the names terminals look for. Raises `PublishError`."""
    newest = newest_base(register)
    if newest is None:
        raise without_base()
    issues = register.issues()
    changed = any(not one.is_base and one.number > newest.number for one in issues)
    sources = {DENY_FILE: base_path(register, newest.version)}
    if changed:
        sources[DENY_CHANGES_FILE] = register.folder / CHANGES
    else:
        (out / DENY_CHANGES_FILE).unlink(missing_ok=True)
    for called, source in sources.items():
        _copy(source, out / called)
    return tuple(out / called for called in sources)


def base_path(register: DenyRegister, version: int) -> Path:
    """Where a base lies in the register's folder."""
    return register.folder / BASES / str(version)


def without_base() -> PublishError:
    """There is nothing for terminals before the first base."""
    return PublishError("the deny register has no base yet", "Make one: terminal deny issue --base.")


def _opened(register: DenyRegister, key: bytes) -> DenyListFile:
    newest = newest_base(register)
    if newest is None:
        raise without_base()
    return load_deny_list(base_path(register, newest.version), key)


def _so_far(register: DenyRegister, base: DenyListFile, now: datetime) -> tuple[DenyChanges, bytes]:
    """All changes since `base`, and the hash of the increment before the next one."""
    issues, newest = register.issues(), newest_base(register)
    assert newest is not None, "a base is opened"
    number = newest.number
    increments = [one for one in issues if not one.is_base]
    before = increments[-1].digest if increments else NONE_BEFORE
    whole = unchanged(DenyBase.of(base, number), now)
    for one in increments:
        if one.number > number:
            whole = followed(whole, _increment(register.folder / INCREMENTS / str(one.number), one.digest))
    return whole, before


def _increment(path: Path, digest: bytes) -> DenyChanges:
    try:
        content = read_within(path, MOST_CHANGES_BYTES)
    except (OSError, TooManyBytes) as error:
        raise PublishError(f"increment {path} cannot be read: {error}", _ANEW) from error
    if sha256(content).digest() != digest:
        raise PublishError(f"increment {path} is not the one that was issued", _ANEW)
    return read_changes(content, str(path))


_ANEW: Final = (
    "Restore the register's folder from its backup, or begin a base anew: terminal deny issue --base."
)


def _hashed(changed: Iterable[tuple[int, DeniedIdentity]], hash_of: Callable[[bytes], bytes]) -> list[bytes]:
    return [hash_of(MARKS[one.kind] + one.value) for _id, one in changed]


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise PublishError(f"{path} cannot be made: {error}", "Check the disk's space and rights.") from error


def _copy(source: Path, target: Path) -> None:
    """The same content at `target`, which is left alone where it is the same already: a base is 8 bytes an entry."""
    _make_folder(target.parent)
    try:
        if target.is_file() and filecmp.cmp(source, target, shallow=False):
            return
        with source.open("rb") as read, replacing(target, SHARED) as written:
            copyfileobj(read, written)
    except OSError as error:
        raise PublishError(
            f"{target} cannot be written: {error}", "Check the disk's space and rights."
        ) from error


def _write(path: Path, content: bytes) -> None:
    _make_folder(path.parent)
    try:
        replace_file(path, content, SHARED)
    except OSError as error:
        raise PublishError(
            f"{path} cannot be written: {error}", "Check the disk's space and rights."
        ) from error
