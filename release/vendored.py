"""The pinned libraries of a package: fetched or compiled for Debian's own Python, and unpacked.

What a lock file pins is fetched once into a folder of downloads, each file checked against its hash. What has no
wheel is compiled with Debian's Python and pinned tools, so that two builds of one commit are equal to the byte.
"""

from __future__ import annotations

import email
import hashlib
import zipfile
from collections.abc import Iterator
from email.message import Message
from pathlib import Path, PurePosixPath
from typing import Final

from msgspec import Struct

from release.commands import ReleaseError, run
from release.source import EPOCH

PYTHON: Final = Path("/usr/bin/python3")
"""Debian's, whatever this command runs on: the packages are for it."""
PIP_OPTIONS: Final = ("--require-hashes", "--no-deps", "--disable-pip-version-check", "--quiet")
IN_SITE_PACKAGES: Final = ("purelib", "platlib")
LEFT_OUT: Final = (".gitignore",)
LEFT_OUT_KINDS: Final = (".sh",)
"""What authors of libraries leave in their wheels from their own work on them."""
MOST_BYTES: Final = 256 << 20
"""Of one wheel, unpacked: a damaged archive fills no disk."""


class Library(Struct, frozen=True):
    """A wheel that a package carries; `metadata` is its METADATA."""

    wheel: Path
    sha256: str
    metadata: Message

    @property
    def name(self) -> str:
        return str(self.metadata["Name"])

    @property
    def version(self) -> str:
        return str(self.metadata["Version"])


def builder_with(tools: Path, folder: Path) -> Path:
    """A Debian Python in `folder` that can compile: pinned tools and nothing else. Returns its interpreter."""
    run([PYTHON, "-I", "-m", "venv", folder])
    python = folder / "bin" / "python"
    run([python, "-I", "-m", "pip", "install", *PIP_OPTIONS, "-r", tools])
    return python


def python_version() -> tuple[int, int]:
    """Major and minor of Debian's Python."""
    major, minor = run([PYTHON, "-I", "-c", "import sys; print(*sys.version_info[:2])"]).split()
    return int(major), int(minor)


def libraries(python: Path, lock_file: Path, downloads: Path, wheels: Path, at: int) -> list[Library]:
    """Everything `lock_file` pins, as wheels in `wheels`; files already in `downloads` are not fetched again."""
    environment = _compiling(python, wheels, at)
    pip = [python, "-I", "-m", "pip"]
    pinned = ["--no-build-isolation", *PIP_OPTIONS, "-r", lock_file]
    found = ["--find-links", downloads]
    run([*pip, "download", *found, "-d", downloads, *pinned], environment=environment)
    built = [*pip, "wheel", "--no-index", "--no-cache-dir", *found, "-w", wheels, *pinned]
    run(built, environment=environment)
    return sorted((library(path) for path in wheels.glob("*.whl")), key=lambda one: one.name.lower())


def _compiling(python: Path, wheels: Path, at: int) -> dict[str, str]:
    """The environment in which compiled files name no folder and no moment of this build."""
    place = f"-g0 -ffile-prefix-map={wheels.parent}=."
    return {
        EPOCH: str(at),
        "CFLAGS": place,
        "CXXFLAGS": place,
        "LDFLAGS": "-Wl,--build-id=none -s",
        "PATH": f"{python.parent}:/usr/bin:/bin",
        "TMPDIR": str(wheels.parent),
    }


def library(wheel: Path) -> Library:
    """What `wheel` is."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    return Library(wheel, hashlib.sha256(wheel.read_bytes()).hexdigest(), metadata)


def unpack(wheel: Path, packages: Path) -> None:
    """The modules of `wheel` in the folder `packages`; no scripts, headers, data, nor what only its authors run."""
    with zipfile.ZipFile(wheel) as archive:
        if sum(member.file_size for member in archive.infolist()) > MOST_BYTES:
            raise ReleaseError(
                f"{wheel.name} is larger than {MOST_BYTES >> 20} MB", "Look whether it is damaged."
            )
        for member, place in _members(archive):
            target = packages / place
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(member))


def _members(archive: zipfile.ZipFile) -> Iterator[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """Each file of the archive that goes into site-packages, with its place there."""
    for member in archive.infolist():
        path = PurePosixPath(member.filename)
        if path.is_absolute() or ".." in path.parts:
            raise ReleaseError(f"{archive.filename} names {member.filename}", "Do not use this wheel.")
        if member.is_dir() or path.name in LEFT_OUT or path.suffix in LEFT_OUT_KINDS:
            continue
        if not path.parts[0].endswith(".data"):
            yield member, path
        elif path.parts[1] in IN_SITE_PACKAGES:
            yield member, PurePosixPath(*path.parts[2:])
