"""A stick: a plain copy of what is published now, for terminals without a network.

The timestamp goes first and comes last: without it no terminal takes the stick for a repository, so a copy that broke
off is seen as such. Files of a FAT file system need no rights and no links.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tuf.api.metadata import Targets

from terminal.errors import PublishError
from terminal.files import put_in_place, sync_path
from terminal.publish.repository import ROOT, SNAPSHOT, TIMESTAMP, Repository, hashed
from terminal.updates.bundle.roles import METADATA_FOLDER, TARGETS_FOLDER


@dataclass(frozen=True, slots=True)
class Copied:
    files: int
    size: int


def copy_to(repository: Repository, stick: Path) -> Copied:
    """Let `stick`, a folder, hold what is published, and nothing of before. Raises `PublishError`."""
    if repository.published(TIMESTAMP) is None:
        raise PublishError("nothing is published yet", "Release it first: `terminal publish release`.")
    if not stick.is_dir():
        raise PublishError(f"{stick} is no folder", "Mount the stick and name its folder.")
    if stick.resolve() == repository.folder.resolve():
        raise PublishError(f"{stick} is the repository itself", "Name the folder of the stick.")
    timestamp = stick / METADATA_FOLDER / "timestamp.json"
    try:
        if timestamp.exists():
            timestamp.unlink()
            sync_path(timestamp.parent)
        paths = list(_published(repository))
        size = sum(_copy(repository.folder / path, stick / path) for path in paths)
        _drop_others(stick, set(paths))
        last = Path(METADATA_FOLDER, "timestamp.json")
        size += _copy(repository.folder / last, stick / last)
    except OSError as error:
        raise PublishError(
            f"the copy broke off: {error.filename or stick}: {error.strerror}",
            "Check the stick and its room, and copy again: a half copy is no repository to terminals.",
        ) from error
    return Copied(len(paths) + 1, size)


def _published(repository: Repository) -> Iterator[Path]:
    """Everything that terminals may ask for, without the timestamp: all roots, the newest of the others."""
    metadata, targets = Path(METADATA_FOLDER), Path(TARGETS_FOLDER)
    for version in repository.versions(ROOT):
        yield metadata / f"{version}.root.json"
    snapshot = repository.published(SNAPSHOT)
    assert snapshot is not None, "a timestamp is published after it"
    yield metadata / f"{snapshot.signed.version}.snapshot.json"
    for name, listed in snapshot.signed.meta.items():
        role = name.removesuffix(".json")
        yield metadata / f"{listed.version}.{name}"
        found = repository.published(role, listed.version)
        assert found is not None
        if isinstance(found.signed, Targets):
            for target, file in found.signed.targets.items():
                yield targets / hashed(target, file.hashes["sha256"])


def _copy(source: Path, place: Path) -> int:
    """Copy a file that is not there in the same length; what names hold by version or hash never changes."""
    content = source.read_bytes()
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = place.with_name("copy.new")
    draft.write_bytes(content)
    put_in_place(draft, place)
    return len(content)


def _drop_others(stick: Path, kept: set[Path]) -> None:
    """Take away what an earlier copy left, in the two folders alone."""
    for folder in (METADATA_FOLDER, TARGETS_FOLDER):
        for path in sorted((stick / folder).rglob("*"), reverse=True):
            if path.is_file() and path.relative_to(stick) not in kept:
                path.unlink()
            elif path.is_dir() and not any(path.iterdir()):
                path.rmdir()
