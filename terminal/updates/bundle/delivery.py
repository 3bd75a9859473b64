"""Verified files on their way to the active set: each issue in a folder of its own, named by its content, and one link
that says which is the newest. A document and its tables are one folder, so that no mix of two issues can be read.

    bundles/delivered/ROLE/DIGEST/       the files of one ROLE/NAME, and origin.json
    bundles/delivered/ROLE/current       a link to the newest of these folders
"""

from __future__ import annotations

import os
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
from tuf.api.metadata import TargetFile

from terminal.codes import BundleFault
from terminal.files import replace_file, sync_path
from terminal.updates.bundle.client import BundleClient, BundleRefused, SignedRole
from terminal.updates.bundle.deny_making import DenyMaking
from terminal.updates.bundle.kept import (
    CURRENT,
    DELIVERED,
    FOLDER,
    ORIGIN_FILE,
    BundleOrigin,
    delivered_folder,
    origin_in,
)
from terminal.updates.bundle.roles import DENY_HELP, BundleRole, may_bring

MOST_FILES: Final = 16
"""Of one ROLE/NAME."""
MOST_FILE_BYTES: Final = 80 << 20
KEPT_FOLDERS: Final = 2
"""The newest and the one before it, which may just be read."""
LEFT_BYTES: Final = 16 << 20
"""Of the disk, beside what is delivered: the active set takes a copy."""


def deliver(client: BundleClient, state: Path, role: SignedRole, name: str, place: str = "") -> BundleOrigin:
    """Let the files of `name` be the newest of its role, or of `place`. Raises `BundleRefused`; then the older ones
    stay.
    """
    start = f"{name}/"
    files = {path.removeprefix(start): path for path in sorted(role.files) if path.startswith(start)}
    kind = role.name.partition(".")[0]
    folder = state / FOLDER / DELIVERED / (place or kind)
    if kind == BundleRole.DENY:
        files = {inner: path for inner, path in files.items() if inner not in DENY_HELP}
    fault = _unfit(BundleRole(kind), {inner: role.files[path] for inner, path in files.items()})
    if fault is not None:
        raise BundleRefused(fault, role.name, role.version)
    digests = {inner: role.files[path].hashes["sha256"] for inner, path in files.items()}
    origin = BundleOrigin(role.name, name, role.version, role.issued_ms, digests)
    target = folder / _digest(role, name, files)
    try:
        if not _is_whole(target, {inner: role.files[path].length for inner, path in files.items()}):
            _require_room(folder, sum(role.files[path].length for path in files.values()))
            draft = folder / "new"
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            made = (
                DenyMaking(client, role, name, folder / CURRENT, draft).make()
                if kind == BundleRole.DENY
                else frozenset()
            )
            for inner, path in files.items():
                if inner not in made:
                    client.fetch(role, path, draft / inner)
                sync_path(draft / inner)
            shutil.rmtree(target, ignore_errors=True)
            sync_path(draft)
            draft.rename(target)
            sync_path(folder)
        if origin_in(target) != origin:
            replace_file(target / ORIGIN_FILE, msgspec.json.encode(origin))
        _point(folder, target)
    except OSError as error:
        raise BundleRefused(
            BundleFault.NO_ROOM, role.name, role.version, detail=error.strerror or ""
        ) from error
    finally:
        shutil.rmtree(folder / "new", ignore_errors=True)
    _sweep(folder, target)
    return origin


def withdraw(state: Path, role: str) -> None:
    """Nothing of the role is for this terminal any more; what is in force of it goes on. Raises `BundleRefused`."""
    try:
        delivered_folder(state, role).unlink(missing_ok=True)
    except OSError as error:
        raise BundleRefused(BundleFault.NO_ROOM, role, detail=error.strerror or "") from error


def _unfit(role: BundleRole, files: dict[str, TargetFile]) -> BundleFault | None:
    if len(files) > MOST_FILES or any(target.length > MOST_FILE_BYTES for target in files.values()):
        return BundleFault.TOO_LARGE
    if any("/" in inner or inner in ("", ".", "..", ORIGIN_FILE) for inner in files):
        return BundleFault.UNSAFE
    if not all("sha256" in target.hashes for target in files.values()):
        return BundleFault.UNREADABLE
    if not all(may_bring(role, inner) for inner in files):
        return BundleFault.NOT_ITS_FILE
    return None


def _digest(role: SignedRole, name: str, files: dict[str, str]) -> str:
    """Of the names and hashes of all files: the same content is the same folder."""
    said = [f"{inner}:{sorted(role.files[path].hashes.items())}" for inner, path in files.items()]
    return sha256("\n".join([name, *said]).encode()).hexdigest()[:32]


def _is_whole(folder: Path, lengths: dict[str, int]) -> bool:
    try:
        return all((folder / inner).stat().st_size == length for inner, length in lengths.items())
    except OSError:
        return False


def _require_room(folder: Path, size: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    found = os.statvfs(folder)
    if found.f_bavail * found.f_frsize < 2 * size + LEFT_BYTES:
        raise OSError("no room on the disk")


def _point(folder: Path, target: Path) -> None:
    """One rename, so that the link leads to the old folder or to the new one."""
    link = folder / CURRENT
    if os.path.islink(link) and os.readlink(link) == target.name:
        return
    draft = folder / f"{CURRENT}.new"
    draft.unlink(missing_ok=True)
    draft.symlink_to(target.name)
    draft.replace(link)
    sync_path(folder)


def _sweep(folder: Path, newest: Path) -> None:
    """Keep the newest folders."""
    others = [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink() and path != newest]
    for path in sorted(others, key=lambda one: one.stat().st_mtime_ns, reverse=True)[KEPT_FOLDERS - 1 :]:
        shutil.rmtree(path, ignore_errors=True)
