"""Trying mutants: in copies of the tree, each in a fork of a process that has loaded pytest and others' packages that
the tests need, and nothing of ours.
"""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec
import pytest

from tests.mutants.plan import ROOT, Mutant, Planted

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
LOOK_S: Final = 0.02
SLACK_S: Final = 5.0
SLOWER: Final = 3.0
"""A mutant may make the tests so much slower until it counts as noticed: most that hang are loops without an end."""


class Verdict(StrEnum):
    """What became of a mutant."""

    NOTICED = "noticed"
    HUNG = "hung"
    SURVIVED = "survived"


class Tree(msgspec.Struct):
    """A copy of the repository that mutants are tried in, one after another."""

    folder: Path
    unchanged_s: dict[tuple[str, ...], float] = msgspec.field(default_factory=dict)

    def unchanged(self, tests: Sequence[str]) -> float:
        """How long these tests take without a change; they have to pass. Their bytecode is kept for what follows."""
        asked = tuple(tests)
        if asked not in self.unchanged_s:
            begun = time.monotonic()
            if self._passes(asked, 600.0, keeps_bytecode=True) is not True:
                said = (self.folder / SAID).read_text("utf-8", "replace")
                raise AssertionError(f"these fail without any change: {' '.join(asked)}\n{said[-3000:]}")
            self.unchanged_s[asked] = time.monotonic() - begun
            self._load_what_is_not_ours()
        return self.unchanged_s[asked]

    def verdict(self, mutant: Mutant | Planted) -> Verdict:
        """What its tests say of it."""
        limit_s = SLOWER * self.unchanged(mutant.tests) + SLACK_S
        module = self.folder / mutant.module
        before = module.read_bytes()
        for compiled in (module.parent / "__pycache__").glob(f"{module.stem}.*.pyc"):
            compiled.unlink()
        try:
            module.write_text(mutant.source(), "utf-8")
            passed = self._passes(mutant.tests, limit_s, keeps_bytecode=False)
        finally:
            module.write_bytes(before)
        if passed is None:
            return Verdict.HUNG
        return Verdict.SURVIVED if passed else Verdict.NOTICED

    def _load_what_is_not_ours(self) -> None:
        """So that the forks that follow find it loaded: half of a short test's time is others' packages."""
        for name in (self.folder / LOADED).read_text("utf-8").splitlines():
            if name not in sys.modules:
                with suppress(Exception):  # what only loads in its place is loaded there, as before
                    importlib.import_module(name)

    def _passes(self, tests: Sequence[str], limit_s: float, *, keeps_bytecode: bool) -> bool | None:
        """Whether they pass; None when they take longer."""
        process = os.fork()
        if process == 0:
            self._run(tests, keeps_bytecode=keeps_bytecode)
        until = time.monotonic() + limit_s
        while time.monotonic() < until:
            done, status = os.waitpid(process, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status) == 0
            time.sleep(LOOK_S)
        os.killpg(process, signal.SIGKILL)
        os.waitpid(process, 0)
        return None

    def _run(self, tests: Sequence[str], *, keeps_bytecode: bool) -> None:
        """In the fork: the tests of this copy, and no way back."""
        code = 1
        try:
            os.setsid()
            said = os.open(self.folder / SAID, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            for descriptor in range(3):
                os.dup2(said, descriptor)
            os.chdir(self.folder)
            sys.dont_write_bytecode = not keeps_bytecode
            sys.path[:] = [str(self.folder), *(one for one in sys.path if one not in ("", str(ROOT)))]
            for name in [one for one in sys.modules if one.partition(".")[0] in COPIED]:
                del sys.modules[name]
            os.environ["PYTHONPATH"] = str(self.folder)
            code = pytest.main(["-q", "-x", "-n", "0", "-p", "no:cacheprovider", "-W", LOADED_BEFORE, *tests])
            if keeps_bytecode:
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
                shutil.copy2(ROOT / name, target)
        yield Tree(Path(folder))
