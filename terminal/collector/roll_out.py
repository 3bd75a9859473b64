"""From what is staged to what terminals are served: a repository that was published elsewhere, taken over as a whole.

FOLDER/staged holds it (`terminal publish stick FOLDER/staged` copies it there). Its timestamp signs for all the rest,
so the SHA-256 of the timestamp names the whole of it: what one person asked for is what the second confirms. The new
timestamp comes last, so terminals see the old or the new, never a half.
"""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from terminal.decoding import DOCUMENT_BYTES, TooManyBytes, decode_json, read_within
from terminal.errors import CollectorError
from terminal.files import replace_file
from terminal.updates.bundle.roles import METADATA_FOLDER, TARGETS_FOLDER

STAGED_FOLDER: Final = "staged"
TIMESTAMP_FILE: Final = "timestamp.json"
SNAPSHOT_FILE: Final = "snapshot.json"
MOST_FILES: Final = 100_000
MOST_FILE_BYTES: Final = 64 << 20
READABLE: Final = 0o644
"""What is published is for everyone, and may be served by another user's server."""
_PART: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


class _ListedRole(msgspec.Struct, frozen=True):
    version: int


class _Signed(msgspec.Struct, frozen=True):
    version: int
    meta: dict[str, _ListedRole] = {}


class _Metadata(msgspec.Struct, frozen=True):
    signed: _Signed


class Staged(NamedTuple):
    """What waits to be served: the SHA-256 of its timestamp, and each list that differs, as "tariff 3 → 4"."""

    digest: str
    changes: tuple[str, ...]


def staged(source: Path, served: Path) -> Staged | None:
    """What is staged and not served yet; None where there is no more than is served. Raises `CollectorError`."""
    new, old = _timestamp(source), _timestamp(served)
    if new is None or new == old:
        return None
    before = {} if old is None else _lists(served, old)
    after = _lists(source, new)
    changes = [
        f"{name} {before.get(name, 0)} → {version}"
        for name, version in sorted(after.items())
        if before.get(name) != version
    ]
    return Staged(sha256(new).hexdigest(), tuple(changes))


def take_over(source: Path, served: Path, digest: str) -> bool:
    """Serve what is staged; False where its timestamp is not the one of `digest`, or older than what is served; then
    nothing changed. Raises `CollectorError` where the disk fails; then the old is still served.
    """
    new, old = _timestamp(source), _timestamp(served)
    if new is None or sha256(new).hexdigest() != digest:
        return False
    if old is not None and _decoded(old, served).version >= _decoded(new, source).version:
        return False
    try:
        for path in _files(source):
            _copy(source / path, served / path)
        replace_file(served / METADATA_FOLDER / TIMESTAMP_FILE, new, READABLE)
    except (OSError, TooManyBytes) as error:
        raise CollectorError(
            f"what is staged cannot be served: {error}",
            "Check the disk and the rights, and ask again; what was served before is served.",
        ) from error
    return True


def _timestamp(repository: Path) -> bytes | None:
    path = repository / METADATA_FOLDER / TIMESTAMP_FILE
    return _read(path) if path.exists() else None


def lists_of(repository: Path) -> dict[str, int]:
    """The version of each list that is served; none of a folder without a repository. Raises `CollectorError`."""
    timestamp = _timestamp(repository)
    return {} if timestamp is None else _lists(repository, timestamp)


def _lists(repository: Path, timestamp: bytes) -> dict[str, int]:
    """The version of each list, by the snapshot that the timestamp names."""
    listed = _decoded(timestamp, repository).meta.get(SNAPSHOT_FILE)
    if listed is None:
        raise CollectorError(
            f"{repository} names no snapshot", "Copy it there again: `terminal publish stick`."
        )
    path = repository / METADATA_FOLDER / f"{listed.version}.{SNAPSHOT_FILE}"
    return {name.removesuffix(".json"): one.version for name, one in _decoded(_read(path), path).meta.items()}


def _decoded(content: bytes, place: Path) -> _Signed:
    try:
        found = decode_json(content, _Metadata).signed
    except msgspec.DecodeError as error:
        raise CollectorError(
            f"{place} is no repository of bundles: {error}", "Copy it there again: `terminal publish stick`."
        ) from error
    return found


def _read(path: Path) -> bytes:
    try:
        return read_within(path, DOCUMENT_BYTES)
    except (OSError, msgspec.DecodeError) as error:
        raise CollectorError(
            f"{path} cannot be read: {error}", "Copy it there again: `terminal publish stick`."
        ) from error


def _files(source: Path) -> list[Path]:
    """Everything but the timestamp, by its place. A link, or a name that is never published, is an error."""
    found: list[Path] = []
    for folder in (METADATA_FOLDER, TARGETS_FOLDER):
        for path in sorted((source / folder).rglob("*")):
            place = path.relative_to(source)
            if not path.is_symlink() and path.is_dir():
                continue
            if path.is_symlink() or not path.is_file() or not all(map(_PART.fullmatch, place.parts)):
                raise CollectorError(f"{path} is no published file", "Take it away, or copy the whole again.")
            if len(found) >= MOST_FILES:
                raise CollectorError(f"{source} has more than {MOST_FILES} files", "Stage one repository.")
            if place != Path(METADATA_FOLDER, TIMESTAMP_FILE):
                found.append(place)
    return found


def _copy(source: Path, place: Path) -> None:
    content = read_within(source, MOST_FILE_BYTES)
    if place.exists() and read_within(place, MOST_FILE_BYTES) == content:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    replace_file(place, content, READABLE)
