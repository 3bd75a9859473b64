"""Mistakes planted in the product: a process imports one module with a piece of its source changed; no file is touched.

Lists of them are TOML files beside the tests that have to notice them.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

ROOT: Final = Path(__file__).parents[1]


@dataclass(frozen=True)
class Mistake:
    """One piece of the product's source and what takes its place. `region`, `taps` and `seed`: where, for how long
    at the most and in which town a stress run looks for it, its own choice by default."""

    name: str
    file: str
    old: str
    new: str
    region: str = ""
    taps: int = 0
    seed: int = 0

    @property
    def module(self) -> str:
        """The dotted name of the file."""
        return self.file.removesuffix(".py").replace("/", ".")


def mistakes_in(path: Path) -> list[Mistake]:
    """Those of a list."""
    with path.open("rb") as file:
        return [Mistake(**row) for row in tomllib.load(file)["mistakes"]]


def plant(mistake: Mistake) -> None:
    """From now on this process imports the module with the mistake."""
    assert mistake.module not in sys.modules, f"{mistake.module} is imported already"
    sys.meta_path.insert(0, _Finder(mistake))


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
