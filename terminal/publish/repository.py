"""The folder of a repository: what is published, what is drafted, and the log of what was done.

metadata/N.ROLE.json, timestamp.json     published, never changed once it is there
targets/ROLE/NAME/HASH.FILE              published
office/drafts/ROLE.json                  metadata that waits for signatures
office/files/ROLE/NAME/HASH.FILE         what drafts name and is not published yet
office/log.jsonl                         every signature and release; each line holds the hash of the one before
office/names.key                         the key that names of sealed targets are made with

Roles are called as in metadata: root, targets, snapshot, timestamp, tariff, roster.17. Times are aware, in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from shutil import copyfileobj
from typing import Any, Final, TypeVar, cast

import msgspec
from msgspec.structs import replace
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Signed, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from terminal.decoding import SMALL_BYTES, TooManyBytes, decode_json, read_within
from terminal.errors import PublishError
from terminal.files import SHARED, create_file, link_file, replace_file, replacing
from terminal.journal.lock import FileLock
from terminal.updates.bundle.roles import (
    ISSUED_FIELD,
    METADATA_FOLDER,
    ROOT_RULE,
    RULES,
    SNAPSHOT_RULE,
    STAND_ALONE_FIELD,
    TARGETS_FOLDER,
    TARGETS_RULE,
    TIMESTAMP_RULE,
    BundleRole,
    RoleRule,
)

ROOT: Final = "root"
TARGETS: Final = "targets"
SNAPSHOT: Final = "snapshot"
TIMESTAMP: Final = "timestamp"
TOP: Final = {ROOT: ROOT_RULE, TARGETS: TARGETS_RULE, SNAPSHOT: SNAPSHOT_RULE, TIMESTAMP: TIMESTAMP_RULE}
OFFICE_FOLDER: Final = "office"
MOST_LOG_BYTES: Final = 64 << 20
_VERSIONED: Final = re.compile(r"([1-9][0-9]{0,18})\.([a-z]+(?:\.[a-z0-9]+)?)\.json")

S = TypeVar("S", Root, Targets, Snapshot, Timestamp)


def rule_of(role: str) -> RoleRule:
    """The rule of a role by its name in metadata. Raises `PublishError` for a name that no role has."""
    if role in TOP:
        return TOP[role]
    try:
        return RULES[BundleRole(role.partition(".")[0])]
    except ValueError as error:
        known = ", ".join((*TOP, *(one.value for one in BundleRole)))
        raise PublishError(
            f"there is no role {role!a}", f"Roles are {known}; roster.17 is operator 17's."
        ) from error


class Logged(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of the log. `sha256` is of what was signed or published, `before` of the line before."""

    at: str
    did: str
    role: str
    version: int
    sha256: str
    key: str = ""
    before: str = ""
    by: str = ""
    """Who answers for a step of a roll-out; `sha256` is then of what the replay found."""


class Repository:
    """One folder. What is read here was written here: a file that is none is an error, never passed over."""

    def __init__(self, folder: Path) -> None:
        self.folder: Final = folder
        self.metadata: Final = folder / METADATA_FOLDER
        self.targets: Final = folder / TARGETS_FOLDER
        self.office: Final = folder / OFFICE_FOLDER
        self.drafts: Final = self.office / "drafts"
        self.files: Final = self.office / "files"
        self.log_file: Final = self.office / "log.jsonl"

    @property
    def is_made(self) -> bool:
        return self.office.is_dir()

    def require_made(self) -> None:
        if not self.is_made:
            raise PublishError(
                f"there is no repository in {self.folder}",
                "Make one with `terminal publish init`, or name it.",
            )

    @contextmanager
    def changing(self) -> Iterator[None]:
        """No other process changes the repository meanwhile. What the disk refuses is a `PublishError`."""
        try:
            self.office.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = FileLock.acquire(self.office / "repository")
        except OSError as error:
            raise self._unwritable(error) from error
        if isinstance(lock, int):
            raise PublishError(
                f"another process (number {lock}) works in {self.folder}",
                "Wait until it has ended, and try again.",
            )
        try:
            yield
        except OSError as error:
            raise self._unwritable(error) from error
        finally:
            lock.release()

    def _unwritable(self, error: OSError) -> PublishError:
        where = error.filename or self.folder
        return PublishError(f"{where}: {error.strerror}", "Check its rights and the room on the disk.")

    # Metadata

    def versions(self, role: str) -> list[int]:
        """The versions of a role that are published, the oldest first."""
        found = (_VERSIONED.fullmatch(path.name) for path in self.metadata.glob(f"*.{role}.json"))
        return sorted(int(match[1]) for match in found if match is not None and match[2] == role)

    def published(self, role: str, version: int | None = None) -> Metadata[Any] | None:
        """What is published of a role, the newest where no version is asked for."""
        if role == TIMESTAMP:
            path = self.metadata / "timestamp.json"
            return self._read(path, role) if path.exists() else None
        versions = self.versions(role) if version is None else [version]
        return self._read(self.metadata / f"{versions[-1]}.{role}.json", role) if versions else None

    def draft(self, role: str) -> Metadata[Any] | None:
        path = self.drafts / f"{role}.json"
        return self._read(path, role) if path.exists() else None

    def drafted(self) -> list[str]:
        """The roles with a draft."""
        return sorted(path.stem for path in self.drafts.glob("*.json"))

    def newest(self, role: str) -> Metadata[Any] | None:
        """The draft, else what is published."""
        return self.draft(role) or self.published(role)

    def root(self) -> Metadata[Root]:
        """The newest root, drafts included. Raises `PublishError` where there is none."""
        self.require_made()
        found = self.newest(ROOT)
        if found is None:
            raise PublishError(f"{self.folder} has no root", "Begin again: `terminal publish init`.")
        return cast("Metadata[Root]", found)

    def main_targets(self) -> Metadata[Targets]:
        """The newest top-level targets, drafts included."""
        found = self.newest(TARGETS)
        if found is None:
            raise PublishError(f"{self.folder} has no targets role", "Begin again: `terminal publish init`.")
        return cast("Metadata[Targets]", found)

    @property
    def stands_alone(self) -> bool:
        return self.root().signed.unrecognized_fields.get(STAND_ALONE_FIELD) is True

    def roles(self) -> list[str]:
        """Every role, in the order in which one vouches for the next."""
        listed = self.main_targets().signed.delegations
        return [ROOT, TARGETS, *(listed.roles or {} if listed is not None else {}), SNAPSHOT, TIMESTAMP]

    def keep_draft(self, role: str, draft: Metadata[Any]) -> None:
        content = draft.to_bytes()
        if len(content) > rule_of(role).most_bytes:
            raise PublishError(
                f"the metadata of {role} has {len(content)} bytes, terminals take {rule_of(role).most_bytes}",
                "Withdraw what is out of use: `terminal publish remove`.",
            )
        self.drafts.mkdir(exist_ok=True, mode=0o700)
        replace_file(self.drafts / f"{role}.json", content)

    def drop_draft(self, role: str) -> None:
        (self.drafts / f"{role}.json").unlink(missing_ok=True)

    def publish(self, role: str, signed: Metadata[Any]) -> None:
        """Put metadata where terminals look. A version that is there is never replaced."""
        self._make_public(self.metadata)
        if role == TIMESTAMP:
            replace_file(self.metadata / "timestamp.json", signed.to_bytes(), SHARED)
            return
        path, content = self.metadata / f"{signed.signed.version}.{role}.json", signed.to_bytes()
        if not create_file(path, content, SHARED) and path.read_bytes() != content:
            raise PublishError(f"{path} is there already with other content", "Restore the folder's backup.")

    def _read(self, path: Path, role: str) -> Metadata[Any]:
        try:
            return parsed(read_within(path, rule_of(role).most_bytes))
        except (OSError, TooManyBytes, ValueError) as error:
            raise PublishError(f"{path} cannot be used: {error}", "Restore the folder's backup.") from error

    # Files of targets

    def keep_file(self, target: TargetFile, content: bytes) -> None:
        """Keep what a draft names."""
        create_file(self._kept(target), content)

    def copy_file(self, target: TargetFile, source: Path) -> None:
        """As `keep_file`, of a large one. What changes meanwhile does not fit its hash, and no terminal takes it."""
        with source.open("rb") as read, replacing(self._kept(target)) as written:
            copyfileobj(read, written)

    def _kept(self, target: TargetFile) -> Path:
        path = self.files / hashed(target.path, target.hashes["sha256"])
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def drop_files(self) -> None:
        """Remove what no draft names any more: files of drafts that were replaced or withdrawn."""
        named = {
            self.files / hashed(name, target.hashes["sha256"])
            for role in self.drafted()
            if (draft := self.draft(role)) is not None and isinstance(draft.signed, Targets)
            for name, target in draft.signed.targets.items()
        }
        for path in [found for found in self.files.rglob("*") if found.is_file() and found not in named]:
            path.unlink()

    def publish_files(self, targets: Targets) -> None:
        """Let what `targets` names be found by terminals; afterwards the office need not keep it twice."""
        for name, target in targets.targets.items():
            where = hashed(name, target.hashes["sha256"])
            public = self.targets / where
            if public.exists():
                continue
            self._make_public(public.parent)
            kept = self.files / where
            if not kept.is_file():
                raise PublishError(f"the file of {name} is missing", "Add it again: `terminal publish add`.")
            link_file(kept, public, SHARED)
            public.chmod(SHARED)
            kept.unlink()

    def _make_public(self, folder: Path) -> None:
        """Make a folder that a server of another user may read, whatever the umask."""
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for one in missing:
            one.chmod(0o755)

    # The log

    def log(self, now: datetime, did: str, role: str, signed: Metadata[Any], key: str = "") -> None:
        """Append a line; what is on record is never changed."""
        version = signed.signed.version
        self._append(Logged(iso(now), did, role, version, sha256(signed.signed_bytes).hexdigest(), key))

    def note(self, now: datetime, did: str, edition: str, by: str, digest: str = "") -> None:
        """Append that `by` answers for what was done with `edition` ("demo:2")."""
        name, _, version = edition.rpartition(":")
        self._append(Logged(iso(now), did, name, int(version), digest, by=by))

    def _append(self, line: Logged) -> None:
        lines = self._log_lines()
        line = replace(line, before=sha256(lines[-1]).hexdigest() if lines else "")
        with self.log_file.open("ab") as file:
            self.log_file.chmod(0o600)
            file.write(msgspec.json.encode(line) + b"\n")

    def logged(self) -> list[Logged]:
        """Every line. Raises `PublishError` where one was changed or taken away."""
        lines, found = self._log_lines(), []
        before = ""
        for number, line in enumerate(lines, start=1):
            try:
                entry = decode_json(line, Logged, SMALL_BYTES)
            except msgspec.DecodeError as error:
                raise PublishError(f"line {number} of {self.log_file} is none", _LOG_ADVICE) from error
            if entry.before != before:
                raise PublishError(f"{self.log_file} was changed before line {number}", _LOG_ADVICE)
            before = sha256(line).hexdigest()
            found.append(entry)
        return found

    def _log_lines(self) -> list[bytes]:
        try:
            return read_within(self.log_file, MOST_LOG_BYTES).splitlines()
        except FileNotFoundError:
            return []
        except TooManyBytes as error:
            raise PublishError(
                f"{self.log_file} is too long", "Move it away and keep it: a new one begins."
            ) from error


_LOG_ADVICE: Final = "Keep this copy, look for what changed it, and restore the backup."


def parsed(content: bytes) -> Metadata[Any]:
    """Metadata of any role. Raises `ValueError`."""
    try:
        return Metadata.from_bytes(content)
    except (DeserializationError, RepositoryError, RecursionError) as error:
        raise ValueError(f"it is no metadata: {error}") from error


def fresh(kind: type[S], role: str, version: int, now: datetime, **fields: Any) -> Metadata[S]:
    """New metadata of a role, signed by no one, that holds as long as its rule says."""
    signed = kind(version=version, **fields)
    restate(signed, role, version, now)
    return Metadata(signed)


def restate(signed: Signed, role: str, version: int, now: datetime) -> None:
    """Let metadata be of this version and of now."""
    signed.version = version
    signed.expires = (now + timedelta(days=rule_of(role).days)).replace(microsecond=0)
    signed.unrecognized_fields[ISSUED_FIELD] = iso(now)


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def hashed(target: str, digest: str) -> str:
    """The name of a target's file: with its hash, so that two versions lie side by side."""
    folder, _, file = target.rpartition("/")
    return f"{folder}/{digest}.{file}"
