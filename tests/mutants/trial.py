"""Trying mutants in copies of the tree: many of them in one process that has collected the tests (`within`), and the
rest, with every survivor, each in a process that imports the changed module afresh.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from shutil import copy2
from typing import Final, NoReturn

import msgspec
import pytest

from tests.mutants.plan import ROOT, Mutant, Planted
from tests.mutants.within import LEARN_S, SLACK_S, SLOWER, Trials, forked, put

COPIED: Final = ("cardproto", "cardcli", "sim", "terminal", "tests", "packaging", "docs", "pyproject.toml")
OTHERS: Final = (
    "click",
    "cryptography",
    "httpx",
    "hypothesis",
    "jinja2",
    "msgspec",
    "rich",
    "starlette",
    "typer",
)
SAID: Final = "said"
LOADED: Final = "loaded"
LOADED_BEFORE: Final = "ignore::pytest.PytestAssertRewriteWarning"
"""Plugins that are loaded here already are not rewritten by pytest: their assertions say less."""


class Verdict(StrEnum):
    """What became of a mutant."""

    NOTICED = "noticed"
    HUNG = "hung"
    SURVIVED = "survived"


class Tree(msgspec.Struct):
    """A copy of the repository that mutants are tried in, one after another."""

    folder: Path
    unchanged_s: dict[tuple[str, ...], float] = msgspec.field(default_factory=dict)
    """How long tests take without a change."""

    def verdicts(
        self, tests: tuple[str, ...], mutants: Sequence[Mutant | Planted]
    ) -> Iterator[tuple[Mutant | Planted, Verdict]]:
        """What these tests say of each. Raises `AssertionError` when they fail without any change."""
        left: list[tuple[Mutant | Planted, tuple[str, ...]]] = []
        ours, theirs = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(ours)
            self._run(tests, Trials(self.folder, mutants, theirs))
        os.close(theirs)
        with os.fdopen(ours) as answers:
            for mutant, answer in zip(mutants, answers, strict=False):
                verdict, *files = answer.split()
                if verdict in {Verdict.NOTICED, Verdict.HUNG}:
                    yield mutant, Verdict(verdict)
                else:
                    print(f"{verdict}, to be tried afresh: {mutant}", flush=True)
                    left.append((mutant, tuple(files) or tests))
        _, status = os.waitpid(process, 0)
        if os.waitstatus_to_exitcode(status):
            said = (self.folder / SAID).read_text("utf-8", "replace")
            raise AssertionError(f"these fail without any change: {' '.join(tests)}\n{said[-3000:]}")
        for mutant, files in left:
            yield mutant, self._afresh(files, mutant)

    def _afresh(self, tests: tuple[str, ...], mutant: Mutant | Planted) -> Verdict:
        """The same in a process that has imported nothing of ours: whatever it changes is seen."""
        if tests not in self.unchanged_s:
            begun = time.monotonic()
            assert forked(lambda: self._run(tests), LEARN_S), Path(self.folder, SAID).read_text(
                "utf-8", "replace"
            )
            self.unchanged_s[tests] = time.monotonic() - begun
            self._load_what_is_not_ours()
        with put(self.folder / mutant.module, mutant.source()):
            passed = forked(lambda: self._run(tests), SLOWER * self.unchanged_s[tests] + SLACK_S)
        return Verdict.HUNG if passed is None else Verdict.SURVIVED if passed else Verdict.NOTICED

    def _load_what_is_not_ours(self) -> None:
        """So that the forks that follow find it loaded: half of a short test's time is others' packages."""
        for name in (self.folder / LOADED).read_text("utf-8").splitlines():
            if name not in sys.modules:
                with suppress(Exception):  # what only loads in its place is loaded there, as before
                    importlib.import_module(name)

    def _run(self, tests: Sequence[str], plugin: object | None = None) -> NoReturn:
        """In a fork: the tests of this copy, and no way back."""
        code = 1
        try:
            said = os.open(self.folder / SAID, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            for descriptor in range(3):
                os.dup2(said, descriptor)
            os.chdir(self.folder)
            sys.dont_write_bytecode = True
            sys.path[:] = [str(self.folder), *(one for one in sys.path if one not in ("", str(ROOT)))]
            for name in [one for one in sys.modules if one.partition(".")[0] in COPIED]:
                del sys.modules[name]
            os.environ["PYTHONPATH"] = str(self.folder)
            asked = ["-q", "-x", "-n", "0", "-p", "no:cacheprovider", "-W", LOADED_BEFORE, *tests]
            code = pytest.main(asked, plugins=[plugin] if plugin else [])
            others = [name for name in sorted(sys.modules) if name.partition(".")[0] in OTHERS]
            Path(self.folder, LOADED).write_text("\n".join(others), "utf-8")
        except BaseException:  # noqa: BLE001 a fork ends here, whatever it was
            traceback.print_exc()
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os._exit(int(code))


@contextmanager
def tree() -> Iterator[Tree]:
    """A copy of what git knows and of what was changed since."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *COPIED],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file():
                target = Path(folder) / name
                target.parent.mkdir(parents=True, exist_ok=True)
                copy2(ROOT / name, target)
        yield Tree(Path(folder))
