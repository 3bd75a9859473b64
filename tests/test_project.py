"""The project holds what it promises: import rules, lock files, set-up, and running without readers."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import run
import setup_env
from terminal.app.station import SOFTWARE

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK_FILES = (setup_env.CORE, setup_env.DEVELOPMENT, setup_env.READERS)

PURE_MODULES = {
    *("__future__", "bisect", "calendar", "collections", "dataclasses", "datetime", "enum", "fractions"),
    *("functools", "itertools", "math", "operator", "re", "types", "typing", "cardproto", "terminal"),
}
IMPURE_BUILTINS = {"open", "input", "print", "exec", "eval", "__import__", "breakpoint"}

IMPORT_EVERYTHING = """
import importlib, pkgutil, sys

class NoPyscard:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "smartcard":
            raise ModuleNotFoundError("pyscard is not installed", name=name)

sys.meta_path.insert(0, NoPyscard())
for root in ("cardproto", "terminal", "sim"):
    package = importlib.import_module(root)
    for module in pkgutil.walk_packages(package.__path__, root + "."):
        importlib.import_module(module.name)
        print(module.name)
"""

SKIPPING_TESTS = """
import pytest

def test_runs(): pass

@pytest.mark.skip(reason="no daemon")
def test_marked(): pass

def test_inside(): pytest.skip("no driver")

@pytest.mark.hardware
@pytest.mark.skip(reason="no card on the desk")
def test_on_the_desk(): pass
"""


def tool(name: str, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a tool of the environment the tests run in."""
    command = [str(Path(sys.executable).parent / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, **options)


def pins(lock_file: Path) -> dict[str, Version]:
    """Package to version, as pinned."""
    found = re.findall(r"^([a-z0-9._-]+)==(\S+)", lock_file.read_text(), re.MULTILINE)
    return {name: Version(version) for name, version in found}


# import rules


def test_import_contracts_hold() -> None:
    done = tool("lint-imports")
    assert done.returncode == 0, done.stdout


def imported_by(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "a relative import"


@pytest.mark.parametrize(
    "module", sorted((ROOT / "terminal" / "decision").glob("*.py")), ids=lambda path: path.stem
)
def test_decisions_import_only_what_cannot_look_outside(module: Path) -> None:
    tree = ast.parse(module.read_text())
    outside = {name for name in imported_by(tree) if name.partition(".")[0] not in PURE_MODULES}
    called = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not outside
    assert not called & IMPURE_BUILTINS


def test_every_module_imports_without_pyscard() -> None:
    command = [sys.executable, "-W", "error", "-c", IMPORT_EVERYTHING]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert {"cardproto.resident.layout", "terminal.reader.pcsc", "sim.cli"} <= set(done.stdout.split())


# lock files


@pytest.mark.parametrize("lock_file", LOCK_FILES, ids=lambda path: path.name)
def test_lock_files_pin_with_hashes_and_name_no_host(lock_file: Path) -> None:
    text = lock_file.read_text()
    assert "://" not in text
    assert not re.search(r"^\s*-", text.replace("    --hash=sha256:", ""), re.MULTILINE), (
        "an option besides hashes"
    )
    for entry in re.split(r"\n(?=\S)", text.strip()):
        assert re.match(r"[a-z0-9._-]+==\S+", entry)
        assert "--hash=sha256:" in entry


@pytest.mark.parametrize(
    ("lock_file", "requirements"),
    [
        (setup_env.CORE, PYPROJECT["project"]["dependencies"]),
        (setup_env.DEVELOPMENT, PYPROJECT["dependency-groups"]["dev"]),
        (setup_env.READERS, PYPROJECT["project"]["optional-dependencies"]["pcsc"]),
    ],
    ids=["core", "dev", "pcsc"],
)
def test_lock_files_follow_pyproject(lock_file: Path, requirements: list[str]) -> None:
    pinned = pins(lock_file)
    for requirement in map(Requirement, requirements):
        assert pinned[requirement.name] in requirement.specifier, "run `make lock`"


def test_a_package_in_two_lock_files_has_one_version() -> None:
    core, development = pins(setup_env.CORE), pins(setup_env.DEVELOPMENT)
    assert {name: core[name] for name in core.keys() & development.keys()}.items() <= development.items()


# set-up


def test_records_name_the_version_that_wrote_them() -> None:
    assert f"{PYPROJECT['project']['name']} {PYPROJECT['project']['version']}" == SOFTWARE


def test_an_old_python_can_read_the_launcher() -> None:
    ast.parse((ROOT / "run.py").read_text(), feature_version=(3, 6))


def test_make_offers_every_command_of_the_launcher() -> None:
    targets = re.search(r"^(.*):\n\t@\$\(PYTHON\) run\.py \$@", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets is not None
    assert targets.group(1).split() == list(run.COMMANDS)


def test_an_unknown_command_is_answered_with_the_list() -> None:
    done = subprocess.run(
        [sys.executable, "run.py", "dmeo"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 1
    assert "no command 'dmeo'" in done.stderr
    assert "  demo " in done.stderr


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A C compiler of our own making, so that the answer does not depend on this machine."""
    path = tmp_path / "cc"
    monkeypatch.setenv("CC", str(path))
    monkeypatch.setattr(sys, "platform", "linux")
    return path


def write_compiler(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_set_up_names_the_package_for_a_missing_header(compiler: Path) -> None:
    write_compiler(compiler, "! grep -q winscard.h")
    assert setup_env.missing_for_pyscard() == (
        "winscard.h",
        "libpcsclite-dev (Debian, Ubuntu) or pcsc-lite-devel (Fedora)",
    )


def test_set_up_names_the_package_for_a_missing_compiler(compiler: Path) -> None:
    missing = setup_env.missing_for_pyscard()
    assert missing is not None
    assert missing[1] == "gcc"


def test_set_up_builds_readers_where_nothing_is_missing(compiler: Path) -> None:
    write_compiler(compiler, "exit 0")
    assert setup_env.missing_for_pyscard() is None


# the rule that nothing skips on CI


@pytest.mark.parametrize(
    ("ci", "ending"), [("true", "1 failed, 1 passed, 1 skipped, 1 error"), ("", "1 passed, 3 skipped")]
)
def test_a_skip_on_ci_is_a_failure_unless_it_needs_hardware(tmp_path: Path, ci: str, ending: str) -> None:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "test_skipping.py").write_text(SKIPPING_TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )
    assert ending in done.stdout.splitlines()[-1]
