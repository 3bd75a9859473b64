"""`make deb`: wheel, source archive, both Debian packages, their bills of materials and SHA256SUMS, in one folder."""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from release.commands import ReleaseError, run
from release.deb import build
from release.packages import PACKAGES
from release.source import ROOT, build_archives, epoch, project
from release.vendored import builder_with, libraries, library
from setup_env import DEB_TOOLS

SUMS: Final = "SHA256SUMS"
UMASK: Final = 0o022


def main() -> None:
    options = _options()
    began = time.monotonic()
    os.umask(UMASK)
    try:
        made = release(options.out.resolve(), options.downloads.resolve(), options.revision, options.only)
        if options.lint:
            lint(made)
    except ReleaseError as error:
        sys.exit(f"deb: {error}")
    for path in made:
        print(f"deb: {path} ({path.stat().st_size / 1e6:.1f} MB)")
    print(f"deb: ready after {time.monotonic() - began:.0f} s")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run.py deb", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder to write to (dist)")
    parser.add_argument(
        "--downloads",
        type=Path,
        default=ROOT / "var" / "downloads",
        help="what was fetched before (var/downloads)",
    )
    parser.add_argument("--revision", type=int, default=1, help="Debian's revision of this version (1)")
    parser.add_argument(
        "--lint", action="store_true", help="have lintian look at the packages: a warning fails"
    )
    parser.add_argument("--only", choices=sorted(PACKAGES), help="one of the packages")
    return parser.parse_args()


def release(out: Path, downloads: Path, revision: int, only: str | None) -> list[Path]:
    """Everything in `out`; returns what was made there. Raises `ReleaseError`."""
    at, version = epoch(), f"{project()['version']}-{revision}"
    out.mkdir(parents=True, exist_ok=True)
    downloads.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="release-") as folder:
        work = Path(folder)
        made = [*build_archives(work, at)]
        own = library(made[0])
        python = builder_with(DEB_TOOLS, work / "builder")
        for part, package in PACKAGES.items():
            if only in (None, part):
                wheels = work / part
                wheels.mkdir()
                carried = libraries(python, package.lock_file, downloads, wheels, at)
                made.append(build(package, version, own, carried, work, at))
                bill = work / package.name / "usr/share/doc" / package.name / "sbom.cdx.json"
                made.append(bill.rename(work / f"{package.name}_{version}.cdx.json"))
        placed = [Path(shutil.copy2(path, out / path.name)) for path in made]
    sums = out / SUMS
    lines = sorted(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in placed)
    sums.write_text("".join(lines))
    return [*placed, sums]


def lint(made: Iterable[Path]) -> None:
    """Raises `ReleaseError` with what Debian's own checker has against the packages, beyond what they override."""
    packages = [path for path in made if path.suffix == ".deb"]
    run(["lintian", "--fail-on", "error,warning", "--tag-display-limit", "0", *packages])


if __name__ == "__main__":
    main()
