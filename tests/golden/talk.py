"""Two versions of the product at one table: a terminal of the one enrols with a collector of the other and uploads."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from tests.golden.asked import COLLECTOR as HELD
from tests.golden.asked import ROOT, Version, listening

NUMBER: Final = 7
TAPS: Final = 4
BUS: Final = f"""
[terminal]
profile = "bus"
number = {NUMBER}
[reader]
name = "sim:adult_purse,month_pass"
pace_s = 0.2
[shift]
operator = "17"
route = 7
"""


def talk_with_revision(revision: str) -> Iterator[str]:
    """Both ways, with a worktree of `revision`; says of each what was sent and taken."""
    with TemporaryDirectory() as name:
        other = Path(name) / "other"
        subprocess.run(
            ["git", "worktree", "add", "--quiet", "--detach", other, revision], cwd=ROOT, check=True
        )
        try:
            for terminal, collector in ((Version(), Version(other)), (Version(other), Version())):
                folder = Path(name) / ("newer" if terminal.root == ROOT else "older")
                rows = talk(folder, terminal, collector)
                yield f"{folder.name} terminal: {rows} rows taken"
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", other], cwd=ROOT, check=True)


def talk(folder: Path, terminal: Version, collector: Version) -> int:
    """Rows that `terminal` wrote and `collector` says it holds; raises `AssertionError` where they are not all."""
    folder.mkdir()
    (folder / "terminal.toml").write_text(BUS, "utf-8")
    with listening(folder, collector) as url:
        code = msgspec.json.decode(collector.run(folder, "collector", "enrol", NUMBER, *HELD, "--json"))[
            "code"
        ]
        (folder / "code").write_text(code, "utf-8")
        (folder / "code").chmod(0o600)
        terminal.run(folder, "enrol", "--code-file", "code", "--collector", url)
        terminal.run(folder, "run", "--taps", TAPS, "--collector", url)
        terminal.run(folder, "sync", "--collector", url)
        written = len(terminal.run(folder, "journal", "show", "--json").splitlines())
        known = msgspec.json.decode(collector.run(folder, "collector", "terminals", *HELD, "--json"))
    assert written > TAPS
    assert [one["held"] for one in known["terminals"]] == [written], f"{written} rows written, of {known}"
    return written
