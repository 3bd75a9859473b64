"""What a terminal keeps of the bundles it has accepted, besides the files: which generation of metadata it trusts, how
old each role may never be again, and when the newest set was signed.

    bundles/kept.json         one atomic file; names the generation
    bundles/metadata-N/       the library's own cache of that generation, flushed before it was named

The library flushes nothing and forgets what was accepted when its files are lost: so it works on a draft of the
generation, and what it comes to is checked against the floors before it is kept.
"""

from __future__ import annotations

import os
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from terminal.decoding import SMALL_BYTES, decode_json, read_within
from terminal.files import replace_file, sync_path

FOLDER: Final = "bundles"
KEPT_FILE: Final = "kept.json"
DRAFT: Final = "metadata.new"
DELIVERED: Final = "delivered"
CURRENT: Final = "current"
ORIGIN_FILE: Final = "origin.json"
Version = Annotated[int, Meta(ge=0)]


class RoleFloor(Struct, frozen=True, array_like=True):
    """The newest version that was accepted, and of which keys: others begin anew (a stolen key's high number)."""

    version: Version
    keys: str


class KeptTrust(Struct, frozen=True, kw_only=True):
    """`root` is the hash of the pinned root under which all of it was accepted. Of newer software it counts as none."""

    format: Annotated[int, Meta(ge=1, le=1)] = 1
    generation: Version = 0
    root: str = ""
    floors: dict[str, RoleFloor] = {}
    issued_ms: Version = 0
    clock_ms: Version = 0
    """The highest signed time of issue that may count as time passed."""


class KeptBundles:
    """The terminal's folder of bundles. One process at a time."""

    def __init__(self, state: Path) -> None:
        self.folder: Final = state / FOLDER
        self.kept = self._read()

    def _read(self) -> KeptTrust:
        """What is damaged or missing says nothing: the active set has floors of its own."""
        try:
            return decode_json(read_within(self.folder / KEPT_FILE, SMALL_BYTES), KeptTrust)
        except (OSError, msgspec.DecodeError):
            return KeptTrust()

    def draft(self, pinned: bytes) -> Path:
        """A copy of the generation for the library to work on. Another pinned root begins anew. May raise OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        root = sha256(pinned).hexdigest()
        if self.kept.root != root and not self._descends(pinned):
            self.kept = KeptTrust(generation=self.kept.generation)
        self.kept = replace(self.kept, root=root)
        draft, present = self.folder / DRAFT, self._generation(self.kept.generation)
        shutil.rmtree(draft, ignore_errors=True)
        if self.kept.floors and present.is_dir():
            shutil.copytree(present, draft, symlinks=True)
        else:
            draft.mkdir()
        return draft

    def _descends(self, pinned: bytes) -> bool:
        """Whether it is one of the roots that were accepted under the former."""
        roots = self._generation(self.kept.generation) / "root_history"
        try:
            return any(path.read_bytes() == pinned for path in roots.iterdir())
        except OSError:
            return False

    def accept(self, kept: KeptTrust) -> None:
        """Keep the draft as the next generation, and `kept` with it: after a power cut there is the old or the new. May
        raise OSError.
        """
        generation = self.kept.generation + 1
        draft, target = self.folder / DRAFT, self._generation(generation)
        for path, _folders, files in os.walk(draft):
            for name in files:
                if not os.path.islink(os.path.join(path, name)):
                    sync_path(Path(path, name))
            sync_path(Path(path))
        shutil.rmtree(target, ignore_errors=True)
        draft.rename(target)
        sync_path(self.folder)
        self.kept = replace(kept, generation=generation, root=self.kept.root)
        replace_file(self.folder / KEPT_FILE, msgspec.json.encode(self.kept))
        for old in self.folder.glob("metadata-*"):
            if old != target:
                shutil.rmtree(old, ignore_errors=True)

    def versions(self) -> dict[str, int]:
        """Of each role, the newest that was accepted."""
        return {role: floor.version for role, floor in self.kept.floors.items()}

    def drop_draft(self) -> None:
        shutil.rmtree(self.folder / DRAFT, ignore_errors=True)

    def _generation(self, number: int) -> Path:
        return self.folder / f"metadata-{number}"


class BundleOrigin(Struct, frozen=True):
    """Where a delivered folder comes from."""

    role: str
    name: str
    version: int
    issued_ms: int
    files: dict[str, str] = {}
    """SHA-256 of each, in hex."""


def delivered_folder(state: Path, role: str) -> Path:
    """Where the newest files of a role lie in a terminal's folder; there is nothing before the first delivery."""
    return state / FOLDER / DELIVERED / role / CURRENT


def origin_of(state: Path, role: str) -> BundleOrigin | None:
    """What was delivered last of the role; None for nothing."""
    return origin_in(delivered_folder(state, role))


def origin_in(folder: Path) -> BundleOrigin | None:
    """What a delivered folder says of itself."""
    try:
        return decode_json(read_within(folder / ORIGIN_FILE, SMALL_BYTES), BundleOrigin)
    except (OSError, msgspec.DecodeError):
        return None
