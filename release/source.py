"""What is built and since when: version, time of the commit, wheel and source archive."""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path
from typing import Final

from release.commands import ReleaseError, run

ROOT: Final = Path(__file__).resolve().parent.parent
EPOCH: Final = "SOURCE_DATE_EPOCH"


def project() -> dict[str, str]:
    """Name, version and description of pyproject.toml."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return {name: str(table[name]) for name in ("name", "version", "description", "license")}


def epoch() -> int:
    """Seconds since 1970 that every file handed out carries: `SOURCE_DATE_EPOCH`, else the time of the commit."""
    given = os.environ.get(EPOCH)
    if given is not None:
        if not given.isdecimal():
            raise ReleaseError(f"{EPOCH} is no number of seconds", "Unset it, or give one.")
        return int(given)
    if not (ROOT / ".git").exists():
        raise ReleaseError("this folder is no clone, so its commit's time is unknown", f"Set {EPOCH}.")
    return int(run(["git", "-C", ROOT, "log", "-1", "--format=%ct"]))


def build_archives(out: Path, at: int) -> tuple[Path, Path]:
    """Wheel and source archive in `out`."""
    builder = [sys.executable, "-m", "hatchling", "build", "-d", out]
    for target in ("wheel", "sdist"):
        run([*builder, "-t", target], environment={EPOCH: str(at)}, folder=ROOT)
    version = project()["version"]
    (wheel,) = out.glob(f"*-{version}-*.whl")
    (archive,) = out.glob(f"*-{version}.tar.gz")
    return wheel, archive
