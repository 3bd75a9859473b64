"""A publisher that knows nothing of the product's: a repository made with the library's own signing interface.

Every key is made anew; who holds it may sign what he likes, as a thief may.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

from terminal.clock import SystemClock

ISSUED: Final = SystemClock().now().astimezone(UTC).replace(microsecond=0)
KEYS: Final = {"root": (2, 3), "targets": (2, 2), "snapshot": (1, 1), "timestamp": (1, 1)}
ROLES: Final = {
    "assign": (1, 1),
    "tariff": (2, 3),
    "routes": (1, 1),
    "deny": (1, 1),
    "grants": (1, 1),
    "staff": (1, 1),
}
DAYS: Final = {"root": 730, "targets": 365, "snapshot": 60, "timestamp": 45}
PRETTY: Final = JSONSerializer(compact=False)


class Publisher:
    """A repository in `folder` whose metadata are held here and written by `publish`."""

    def __init__(
        self,
        folder: Path,
        roles: Mapping[str, tuple[int, int]] = ROLES,
        *,
        issued: datetime = ISSUED,
        stand_alone: bool = False,
    ) -> None:
        self.folder = folder
        self.issued = issued
        self.stand_alone = stand_alone
        self.signers = {
            role: [CryptoSigner.generate_ed25519() for _ in range(count)]
            for role, (_, count) in {**KEYS, **roles}.items()
        }
        self.thresholds = {role: threshold for role, (threshold, _) in {**KEYS, **roles}.items()}
        self.files: dict[str, dict[str, bytes]] = {role: {} for role in roles}
        self.versions = dict.fromkeys([*KEYS, *roles], 0)
        self.days: dict[str, int] = dict(DAYS)
        self.meta: dict[str, Metadata[Any]] = {}
        """What was signed last, by role."""
        self._targets_of: dict[str, object] = {}
        (folder / "metadata").mkdir(parents=True)
        (folder / "targets").mkdir()
        self.rotate_root()

    # What the owners do

    def rotate_root(self, **replaced: Sequence[CryptoSigner]) -> None:
        """A new root: with the keys `replaced` by role; signed by the old and the new owners."""
        before = list(self.signers["root"])
        self.signers |= {role: list(signers) for role, signers in replaced.items()}
        root = Root(expires=self._expires("root"), consistent_snapshot=True)
        if self.stand_alone:
            root.unrecognized_fields["x-stand-alone"] = True
        for role in KEYS:
            for signer in self.signers[role]:
                root.add_key(signer.public_key, role)
            root.roles[role].threshold = self.thresholds[role]
        owners = before + [signer for signer in self.signers["root"] if signer not in before]
        self._sign("root", root, owners)
        self._write(f"{self.versions['root']}.root.json", "root")

    def delegate(self, **replaced: Sequence[CryptoSigner]) -> None:
        """The delegations anew: with the keys `replaced` by role."""
        self.signers |= {role: list(signers) for role, signers in replaced.items()}
        roles = {role: self._delegated(role) for role in self.files}
        keys = {
            signer.public_key.keyid: signer.public_key for role in self.files for signer in self.signers[role]
        }
        self._sign("targets", Targets(expires=self._expires("targets"), delegations=Delegations(keys, roles)))

    def _delegated(self, role: str) -> DelegatedRole:
        kind, _, operator = role.partition(".")
        ids = [signer.public_key.keyid for signer in self.signers[role]]
        pattern = "/".join(filter(None, (kind, operator, "*", "*")))
        return DelegatedRole(role, ids, self.thresholds[role], True, [pattern])

    def put(self, role: str, name: str, files: Mapping[str, bytes], *, alone: bool = True) -> None:
        """Let the role publish these files under ROLE/NAME, and with `alone` nothing else."""
        prefix = "/".join(filter(None, (*role.split("."), name)))
        kept = {} if alone else self.files[role]
        self.files[role] = kept | {f"{prefix}/{inner}": content for inner, content in files.items()}

    def sign_role(
        self, role: str, signers: Sequence[CryptoSigner] | None = None, version: int | None = None
    ) -> None:
        """The role's metadata, signed by its owners or by these."""
        targets = Targets(expires=self._expires(role))
        for path, content in self.files[role].items():
            targets.targets[path] = TargetFile.from_data(path, content, ["sha256"])
            digest = targets.targets[path].hashes["sha256"]
            folder, _, name = path.rpartition("/")
            place = self.folder / "targets" / folder / f"{digest}.{name}"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        self._sign(role, targets, signers, version)

    # What the online keys do

    def publish(self, *roles: str, snapshot: int | None = None, timestamp: int | None = None) -> None:
        """Sign these roles, or those whose files have changed; then snapshot and timestamp."""
        if "targets" not in self.meta:
            self.delegate()
        for role, files in self.files.items():
            if role in roles or (not roles and self._targets_of.get(role) != files):
                self.sign_role(role)
                self._targets_of[role] = dict(files)
        self.sign_snapshot(version=snapshot)
        self.sign_timestamp(version=timestamp)

    def sign_snapshot(
        self, signers: Sequence[CryptoSigner] | None = None, version: int | None = None
    ) -> None:
        named = ("targets", *self.files)
        meta = {
            f"{role}.json": MetaFile(self.meta[role].signed.version) for role in named if role in self.meta
        }
        for role in named:
            if role in self.meta:
                self._write(f"{self.meta[role].signed.version}.{role}.json", role)
        self._sign("snapshot", Snapshot(expires=self._expires("snapshot"), meta=meta), signers, version)
        self._write(f"{self.versions['snapshot']}.snapshot.json", "snapshot")

    def sign_timestamp(
        self, signers: Sequence[CryptoSigner] | None = None, version: int | None = None
    ) -> None:
        expires = self._expires("timestamp")
        meta = MetaFile(self.versions["snapshot"])
        self._sign("timestamp", Timestamp(expires=expires, snapshot_meta=meta), signers, version)
        self._write("timestamp.json", "timestamp")

    # For tests

    def pin(self, state: Path, version: int = 1) -> None:
        """The terminal in `state` trusts this repository's root."""
        (state / "trust").mkdir(parents=True, exist_ok=True)
        shutil.copy(self.metadata(f"{version}.root.json"), state / "trust" / "root.json")

    def metadata(self, name: str) -> Path:
        return self.folder / "metadata" / name

    def copy(self, to: Path) -> Path:
        """As a stick is written."""
        if to.exists():
            shutil.rmtree(to)
        shutil.copytree(self.folder, to)
        return to

    def new_keys(self, count: int = 1) -> list[CryptoSigner]:
        return [CryptoSigner.generate_ed25519() for _ in range(count)]

    def _expires(self, role: str) -> datetime:
        return self.issued + timedelta(days=self.days.get(role, 365))

    def _sign(
        self,
        role: str,
        signed: Any,
        signers: Sequence[CryptoSigner] | None = None,
        version: int | None = None,
    ) -> None:
        self.versions[role] = signed.version = version or self.versions[role] + 1
        signed.unrecognized_fields["x-issued"] = self.issued.strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata = Metadata(signed)
        needed = self.signers[role] if signers is None else signers
        for signer in needed:
            metadata.sign(signer, append=True)
        self.meta[role] = metadata

    def _write(self, name: str, role: str) -> None:
        self.meta[role].to_file(str(self.metadata(name)), PRETTY)


def stated(path: Path) -> dict[str, Any]:
    """What a file of metadata says, unverified."""
    signed: dict[str, Any] = json.loads(path.read_bytes())["signed"]
    return signed
