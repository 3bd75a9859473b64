"""`python -m tests.oracle.planted [NAME …]`: mistakes planted in the product, and whether the oracle notices them.

Each runs in a process of its own that imports one module with a piece of its source changed; no file is touched.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

ROOT: Final = Path(__file__).parents[2]
LIST: Final = Path(__file__).with_name("planted.toml")
TAPS: Final = 28_000
"""How long the oracle looks for a difference."""
NOTICED: Final = 12


@dataclass(frozen=True)
class Mistake:
    """One piece of the product's source and what takes its place."""

    name: str
    file: str
    old: str
    new: str

    @property
    def module(self) -> str:
        """The dotted name of the file."""
        return self.file.removesuffix(".py").replace("/", ".")


class _Changed(importlib.machinery.SourceFileLoader):
    def __init__(self, mistake: Mistake) -> None:
        super().__init__(mistake.module, str(ROOT / mistake.file))
        self.mistake = mistake

    def get_code(self, fullname: str) -> CodeType:
        source = Path(self.path).read_text(encoding="utf-8")
        if source.count(self.mistake.old) != 1:
            raise ValueError(f"{self.mistake.file} does not have {self.mistake.old!r} once")
        return self.source_to_code(source.replace(self.mistake.old, self.mistake.new), self.path)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, mistake: Mistake) -> None:
        self.mistake = mistake

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.mistake.module:
            return None
        return importlib.util.spec_from_loader(fullname, _Changed(self.mistake))


def mistakes() -> list[Mistake]:
    """Those of the list."""
    with LIST.open("rb") as file:
        return [Mistake(**row) for row in tomllib.load(file)["mistakes"]]


def noticed(mistake: Mistake, taps: int = TAPS) -> subprocess.CompletedProcess[str]:
    """Run the oracle against the product with the mistake; it ends with `NOTICED` at the first difference."""
    command = [sys.executable, "-m", "tests.oracle.planted", "--run", mistake.name, str(taps)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)


def _run(name: str, taps: int) -> int:
    sys.meta_path.insert(0, _Finder(next(mistake for mistake in mistakes() if mistake.name == name)))
    from tests.oracle.life import DOCUMENTS, World, run  # noqa: PLC0415  # only now: it imports the product

    for path in DOCUMENTS:
        tally = run(World(path), taps // len(DOCUMENTS), seed=1, most=1)
        if tally.differences:
            print(f"after {tally.taps} taps of {path.stem}: {tally.differences[0].kind}")
            return NOTICED
    return 0


def main(names: Sequence[str]) -> int:
    """Plant each of the mistakes named, or all; code 1 when one goes unnoticed."""
    missed = 0
    for mistake in mistakes():
        if names and mistake.name not in names:
            continue
        done = noticed(mistake)
        missed += done.returncode != NOTICED
        said = (
            done.stdout.strip() if done.returncode == NOTICED else f"NOT NOTICED {done.stderr.strip()[-300:]}"
        )
        print(f"{mistake.name}: {said}")
    return 1 if missed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        sys.exit(_run(sys.argv[2], int(sys.argv[3])))
    sys.exit(main(sys.argv[1:]))
