"""The one adapter around the library's client: a look at a source, from the pinned root to the names of what each role
publishes. Nothing else in the terminal imports the library's client; the version it is written for is pinned by a test,
because time, loaded roles and the cache are not part of its public interface.

What the library leaves open is closed here: its clock, floors that survive a power cut, jumps of versions, thresholds
that a fleet demands, and that one role's fault is not another's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from msgspec.structs import replace
from tuf.api import exceptions
from tuf.api.metadata import Key, Role, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.ngclient import Updater, UpdaterConfig
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet

from terminal.clock import from_unix_ms, unix_ms
from terminal.codes import BundleFault
from terminal.updates.bundle.fetcher import SCHEME, BundleFetcher, UnsafeName
from terminal.updates.bundle.kept import KeptBundles, KeptTrust, RoleFloor
from terminal.updates.bundle.roles import (
    ISSUED_FIELD,
    METADATA_FOLDER,
    MOST_ROLES,
    ROOT_RULE,
    RULES,
    SNAPSHOT_RULE,
    STAND_ALONE_FIELD,
    TARGETS_FOLDER,
    TARGETS_RULE,
    TIMESTAMP_RULE,
    BundleRole,
)

LONGEST_JUMP: Final = 1_000_000
"""Between two versions that a terminal accepts: one of 2^31 by a stolen key would lock later ones out."""
DAY_MS: Final = 24 * 3_600_000
CONFIG: Final = UpdaterConfig(
    max_root_rotations=64,
    max_delegations=8,
    root_max_length=ROOT_RULE.most_bytes,
    timestamp_max_length=TIMESTAMP_RULE.most_bytes,
    snapshot_max_length=SNAPSHOT_RULE.most_bytes,
    targets_max_length=TARGETS_RULE.most_bytes,
)


class BundleRefused(Exception):
    """Why a look, or a role in it, ends."""

    def __init__(
        self, fault: BundleFault, role: str, version: int = 0, known: int = 0, detail: str = ""
    ) -> None:
        super().__init__(detail or fault.value)
        self.fault = fault
        self.inputs: dict[str, int | str] = {"role": role}
        if version:
            self.inputs["version"] = version
        if known:
            self.inputs["known"] = known


@dataclass(frozen=True)
class SignedRole:
    """A delegated role whose metadata are verified: its files by the name of their target."""

    name: str
    version: int
    issued_ms: int
    files: dict[str, TargetFile] = field(repr=False)

    @property
    def names(self) -> set[str]:
        """Everything that it publishes, as ROLE/NAME or ROLE/OPERATOR/NAME."""
        depth = self.name.count(".") + 2
        return {"/".join(path.split("/")[:depth]) for path in self.files}


def _has_twins(role: Role, keys: Mapping[str, Key]) -> bool:
    """Whether two of its ids are one key: the library counts ids, so that its holder would sign for two."""
    held = [str(keys[id].keyval.get("public", "")).lower() for id in role.keyids if id in keys]
    return len(set(held)) < len(held)


class BundleClient:
    """One look at one source. `now_ms` is the least that the time can be."""

    def __init__(
        self, bundles: KeptBundles, pinned: bytes, fetcher: BundleFetcher, now_ms: int, *, stand_alone: bool
    ) -> None:
        """Raises `BundleRefused` for what is no root, or a root of the other kind."""
        self._bundles = bundles
        self._fetcher = fetcher
        self._stand_alone = stand_alone
        self._now_ms = max(now_ms, bundles.kept.clock_ms)
        self._known: KeptTrust
        try:
            draft = bundles.draft(pinned)
            self._updater = Updater(
                str(draft),
                f"{SCHEME}{METADATA_FOLDER}/",
                None,
                f"{SCHEME}{TARGETS_FOLDER}/",
                fetcher,
                CONFIG,
                bootstrap=pinned,
            )
        except exceptions.RepositoryError as error:
            raise BundleRefused(BundleFault.BAD_ROOT, Root.type, detail=str(error)) from error
        except OSError as error:
            raise BundleRefused(BundleFault.NO_ROOM, Root.type, detail=error.strerror or "") from error
        self._known = bundles.kept
        self._trusted.reference_time = from_unix_ms(self._now_ms)
        self._require_kind()

    @property
    def _trusted(self) -> TrustedMetadataSet:
        """The library's verified metadata, which it does not offer itself."""
        return self._updater._trusted_set

    # The whole set

    def refresh(self) -> None:
        """Root, timestamp, snapshot and the delegations, verified and no older than what was accepted. Raises
        `BundleRefused`; then nothing has changed.
        """
        try:
            self._updater.refresh()
        except (exceptions.RepositoryError, exceptions.DownloadError, OSError, ValueError) as error:
            raise self._refused(error, self._failing()) from error
        self._require_kind()
        targets = self._trusted.targets
        roles = targets.delegations.roles if targets.delegations and targets.delegations.roles else {}
        if len(roles) > MOST_ROLES:
            raise BundleRefused(BundleFault.TOO_LARGE, Targets.type, targets.version)
        for name, role in self._trusted.root.roles.items():
            if _has_twins(role, self._trusted.root.keys):
                raise BundleRefused(BundleFault.WEAK, name, self._versions().get(name, 0))
        for role_named, version in self._versions().items():
            self._require_floor(role_named, version)

    def _require_kind(self) -> None:
        alone = self._trusted.root.unrecognized_fields.get(STAND_ALONE_FIELD) is True
        if alone is not self._stand_alone:
            raise BundleRefused(BundleFault.STAND_ALONE, Root.type, self._trusted.root.version)

    def _versions(self) -> dict[str, int]:
        """Of every role that the snapshot names, and of the three above it."""
        trusted = self._trusted
        named = {name.removesuffix(".json"): meta.version for name, meta in trusted.snapshot.meta.items()}
        return {
            Root.type: trusted.root.version,
            Timestamp.type: trusted.timestamp.version,
            Snapshot.type: trusted.snapshot.version,
            **named,
        }

    def _require_floor(self, role: str, version: int) -> None:
        known = self._floor(role)
        if version < known:
            raise BundleRefused(BundleFault.OLDER, role, version, known)
        if version - known > LONGEST_JUMP:
            raise BundleRefused(BundleFault.JUMP, role, version, known)

    def _floor(self, role: str) -> int:
        """What other keys have signed counts no longer, as long as the root is no older."""
        floor = self._known.floors.get(role)
        if floor is None or (role != Root.type and floor.keys != self._keys(role)):
            return 0
        return floor.version

    def _keys(self, role: str) -> str:
        """The keys that sign it, as one short text."""
        found = self._delegation(role)
        ids = [] if found is None else sorted(found.keyids)
        return sha256("\n".join(ids).encode()).hexdigest()[:16]

    def _delegation(self, role: str) -> Role | None:
        if role in (Root.type, Timestamp.type, Snapshot.type, Targets.type):
            return self._trusted.root.roles[role]
        delegations = self._trusted.targets.delegations
        return None if delegations is None or not delegations.roles else delegations.roles.get(role)

    @property
    def issued_ms(self) -> int:
        """When the set was signed; 0 where it does not say."""
        return issued_ms(self._trusted.timestamp.unrecognized_fields.get(ISSUED_FIELD))

    # One role

    def roles(self) -> Iterator[str]:
        """The delegated roles that this software knows and that have been published, in the publisher's order."""
        delegations, published = self._trusted.targets.delegations, self._trusted.snapshot.meta
        for name in delegations.roles if delegations is not None and delegations.roles else ():
            if name.partition(".")[0] in set(BundleRole) and f"{name}.json" in published:
                yield name

    def role(self, name: str) -> SignedRole:
        """Its metadata, verified. Raises `BundleRefused`."""
        role, _, operator = name.partition(".")
        delegation = self._delegation(name)
        assert delegation is not None, "one of `roles`"
        found = self._trusted.targets.delegations
        assert found is not None, "it has the role"
        few = not self._stand_alone and delegation.threshold < RULES[BundleRole(role)].threshold
        if few or _has_twins(delegation, found.keys):
            raise BundleRefused(BundleFault.WEAK, name, self._versions().get(f"{name}", 0))
        probe = "/".join(filter(None, (role, operator, "-", "-")))
        try:
            self._updater.get_targetinfo(probe)  # loads the role on its way
        except (exceptions.RepositoryError, exceptions.DownloadError, OSError, ValueError) as error:
            raise self._refused(error, name) from error
        if not self._trusted.contains(name, Targets.type):
            raise BundleRefused(BundleFault.UNREADABLE, name)
        signed = self._trusted[name]
        assert isinstance(signed, Targets)
        start = probe.removesuffix("-/-")
        files = {path: file for path, file in signed.targets.items() if path.startswith(start)}
        return SignedRole(
            name, signed.version, issued_ms(signed.unrecognized_fields.get(ISSUED_FIELD)), files
        )

    def fetch(self, role: SignedRole, path: str, to: Path) -> None:
        """Download a file of the role, verified. Raises `BundleRefused`."""
        try:
            found = self._updater.get_targetinfo(path)
            if found is None or found != role.files[path]:
                raise BundleRefused(BundleFault.UNSAFE, role.name, role.version)
            self._updater.download_target(found, str(to))
        except (exceptions.RepositoryError, exceptions.DownloadError, OSError, ValueError) as error:
            raise self._refused(error, role.name, role.version) from error

    def fetch_named(self, path: str, digest: str, most_bytes: int) -> bytes:
        """A published file of this hash that metadata do not list any more. Raises `BundleRefused`."""
        folder, _, file = path.rpartition("/")
        role = path.partition("/")[0]
        try:
            content = self._fetcher.download_bytes(
                f"{SCHEME}{TARGETS_FOLDER}/{folder}/{digest}.{file}", most_bytes
            )
        except (exceptions.DownloadError, OSError, ValueError) as error:
            raise self._refused(error, role) from error
        if sha256(content).hexdigest() != digest:
            raise BundleRefused(BundleFault.MIXED, role)
        return content

    # What is kept

    def accept(self, loaded: dict[str, SignedRole]) -> None:
        """Keep what was verified as the floor of the next look. Raises `BundleRefused`; then the old stays."""
        floors = dict(self._known.floors)
        versions = self._versions()
        for role in (Root.type, Timestamp.type, Snapshot.type, Targets.type, *loaded):
            floors[role] = RoleFloor(versions[role], self._keys(role))
        issued = self.issued_ms
        believed = issued if issued <= self._now_ms + DAY_MS or not self._known.floors else 0
        kept = replace(
            self._known,
            floors=floors,
            issued_ms=issued,
            clock_ms=max(self._known.clock_ms, believed),
        )
        if kept == self._known:
            self._bundles.drop_draft()
            return
        try:
            self._bundles.accept(kept)
        except OSError as error:
            raise BundleRefused(BundleFault.NO_ROOM, Timestamp.type, detail=error.strerror or "") from error

    # What goes wrong

    def _failing(self) -> str:
        """The role at which a refresh came to its end."""
        trusted, asked = self._trusted, self._fetcher.asked
        if trusted.root.is_expired(trusted.reference_time) or asked.endswith(f".{Root.type}.json"):
            return Root.type
        if Timestamp.type not in trusted or trusted.timestamp.is_expired(trusted.reference_time):
            return Timestamp.type
        if asked == f"{Timestamp.type}.json" and Snapshot.type not in trusted:
            return Timestamp.type
        if Snapshot.type not in trusted or trusted.snapshot.is_expired(trusted.reference_time):
            return Snapshot.type
        if trusted.snapshot.version != trusted.timestamp.snapshot_meta.version:
            return Snapshot.type
        return Targets.type

    def _refused(self, error: Exception, role: str, version: int = 0) -> BundleRefused:
        fault = next((fault for kind, fault in FAULT_OF if isinstance(error, kind)), BundleFault.UNREADABLE)
        if isinstance(error, exceptions.DownloadHTTPError):
            missing = error.status_code in (403, 404)
            fault = BundleFault.INCOMPLETE if missing else BundleFault.UNREACHABLE
            if missing and role == Timestamp.type:
                fault = BundleFault.UNREACHABLE
        known = 0 if role not in self._known.floors else self._known.floors[role].version
        return BundleRefused(fault, role, version or _stated(self._fetcher.begun), known, str(error))


FAULT_OF: Final[tuple[tuple[type[Exception], BundleFault], ...]] = (
    (UnsafeName, BundleFault.UNSAFE),
    (exceptions.SlowRetrievalError, BundleFault.TOO_SLOW),
    (exceptions.DownloadLengthMismatchError, BundleFault.TOO_LARGE),
    (exceptions.DownloadError, BundleFault.UNREACHABLE),
    (exceptions.UnsignedMetadataError, BundleFault.UNSIGNED),
    (exceptions.ExpiredMetadataError, BundleFault.EXPIRED),
    (exceptions.BadVersionNumberError, BundleFault.OLDER),
    (exceptions.LengthOrHashMismatchError, BundleFault.MIXED),
    (OSError, BundleFault.NO_ROOM),
)


def issued_ms(stated: object) -> int:
    """A signed time of issue in milliseconds; 0 for what is none."""
    try:
        moment = datetime.fromisoformat(stated) if isinstance(stated, str) else None
    except ValueError:
        return 0
    if moment is None or moment.utcoffset() is None or moment.year < 2020:
        return 0
    return unix_ms(moment)


def _stated(content: bytes) -> int:
    """The version that unverified metadata state, for staff; 0 where they do not."""
    try:
        stated = json.loads(content)["signed"]["version"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return 0
    return stated if isinstance(stated, int) and 0 < stated < 1 << 53 else 0
