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
from importlib.metadata import packages_distributions
from pathlib import Path

import hypothesis
import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import run
import setup_env
from cardcli import VERSION
from terminal.app.station import SOFTWARE

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DEB_LOCKS = tuple(lock_file for lock_file, _ in setup_env.DEBS.values())
LOCK_FILES = (setup_env.CORE, setup_env.DEVELOPMENT, setup_env.READERS, *DEB_LOCKS, setup_env.DEB_TOOLS)

PRODUCT = ("cardproto", "terminal", "sim", "cardcli")
EXTRAS = {
    "zeroconf": "vehicle",
    "apsw": "stress",
    "nats": "fleet",
    "psycopg": "fleet",
    "pytest": "pytest",
    "smartcard": "pcsc",
    "gpiod": "gpio",
    "segno": "codes",
    "serial": "serial",
    "evdev": "hid",
}
"""What only a part of the product imports, and the extra that brings it."""
DISTRIBUTIONS = {"smartcard": "pyscard", "nats": "nats-py", "serial": "pyserial", "evdev": "evdev"}
"""Where a module's name says nothing, or where it may not be installed."""
CHECKER_ONLY = {"_typeshed"}

PURE_MODULES = {
    *(
        "__future__",
        "bisect",
        "calendar",
        "collections",
        "contextlib",
        "dataclasses",
        "datetime",
        "enum",
        "fractions",
    ),
    *("functools", "itertools", "math", "operator", "re", "types", "typing", "cardproto", "terminal"),
    "msgspec",  # converts values and bytes; it opens nothing
}
IMPURE_BUILTINS = {"open", "input", "print", "exec", "eval", "__import__", "breakpoint"}

IMPORT_EVERYTHING = """
import importlib, pkgutil, sys

class NoPyscard:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "smartcard":
            raise ModuleNotFoundError("pyscard is not installed", name=name)

sys.meta_path.insert(0, NoPyscard())
for root in ("cardproto", "terminal", "sim", "cardcli"):
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
@pytest.mark.skip(reason="no card on the reader")
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


TRIP_VALUES = [ROOT / "terminal" / "trip" / f"{name}.py" for name in ("facts", "pupil", "stated")]
"""What decisions import of the trip; the rest of that room reads the journal."""


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
    "module",
    sorted([*(ROOT / "terminal" / "decision").rglob("*.py"), *TRIP_VALUES]),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_decisions_import_only_what_cannot_look_outside(module: Path) -> None:
    tree = ast.parse(module.read_text())
    outside = {name for name in imported_by(tree) if name.partition(".")[0] not in PURE_MODULES}
    called = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not outside
    assert not called & IMPURE_BUILTINS


def converts_times(node: ast.AST) -> bool:
    """`x.timestamp() * 1000` and `fromtimestamp(ms / 1000, …)`: floats where records need whole milliseconds."""
    by_thousand = [
        one
        for one in ast.walk(node)
        if isinstance(one, ast.BinOp) and ast.unparse(one.right) in ("1000", "1000.0")
    ]
    if isinstance(node, ast.BinOp):
        return node in by_thousand and ast.unparse(node.left).endswith(".timestamp()")
    called = isinstance(node, ast.Call) and ast.unparse(node.func).endswith("fromtimestamp")
    return called and bool(by_thousand)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("int(clock.now().timestamp() * 1000)", True),
        ("datetime.fromtimestamp(record.at_ms / 1000, UTC)", True),
        ("datetime.fromtimestamp(at_ms // 1000, zone)", True),
        ("datetime.fromtimestamp(seconds, UTC)", False),
        ("int(at.timestamp())", False),
        ("seconds * 1000", False),
    ],
)
def test_an_own_conversion_of_times_is_recognised(text: str, is_one: bool) -> None:
    assert any(converts_times(node) for node in ast.walk(ast.parse(text))) is is_one


@pytest.mark.parametrize("package", ["bench", "cardproto", "sim", "terminal", "tests"])
def test_times_are_turned_into_milliseconds_in_one_place(package: str) -> None:
    own = [
        f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if converts_times(node)
    ]
    assert not own, "use terminal.clock.unix_ms and from_unix_ms"


WRITES_DURABLY = {"files.py", "journal/numbers.py"}
"""`numbers` flushes a file that it holds open."""
PROBES_THE_DISK = {"journal/room.py"}


def test_one_module_flushes_and_renames_files() -> None:
    own = {
        str(path.relative_to(ROOT / "terminal"))
        for path in (ROOT / "terminal").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("os.fsync", "os.link", "os.replace", "os.rename", "mkstemp")
    }
    assert own == WRITES_DURABLY | PROBES_THE_DISK, "use terminal.files"


def test_every_module_imports_without_pyscard() -> None:
    command = [sys.executable, "-W", "error", "-c", IMPORT_EVERYTHING]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert {"cardproto.resident.layout", "terminal.reader.pcsc", "sim.cli.app"} <= set(done.stdout.split())


# dependencies


def third_party() -> set[str]:
    """The packages that the product imports anywhere, by the names it imports."""
    modules = [path for package in PRODUCT for path in (ROOT / package).rglob("*.py")]
    names = {
        name.partition(".")[0] for path in modules for name in imported_by(ast.parse(path.read_text("utf-8")))
    }
    return names - {*sys.stdlib_module_names, *PRODUCT, *CHECKER_ONLY}


def test_every_import_is_declared() -> None:
    installed = packages_distributions()
    extras = PYPROJECT["project"]["optional-dependencies"]
    for name in third_party():
        lines = extras[EXTRAS[name]] if name in EXTRAS else PYPROJECT["project"]["dependencies"]
        declared = {Requirement(line).name for line in lines}
        brought_by = (
            {DISTRIBUTIONS[name]} if name in DISTRIBUTIONS else {found.lower() for found in installed[name]}
        )
        assert brought_by & declared, f"{name} is imported and not declared"


def test_every_extra_has_its_user() -> None:
    assert set(EXTRAS) <= third_party()
    assert set(EXTRAS.values()) == set(PYPROJECT["project"]["optional-dependencies"])


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


@pytest.mark.parametrize("part", sorted(setup_env.DEBS))
def test_a_debian_package_carries_its_extras_and_all_that_always_runs(part: str) -> None:
    lock_file, carried = setup_env.DEBS[part]
    extras = PYPROJECT["project"]["optional-dependencies"]
    lines = [
        *PYPROJECT["project"]["dependencies"],
        *(line for name in carried for line in extras.get(name, [])),
    ]
    pinned = pins(lock_file)
    for requirement in map(Requirement, lines):
        assert pinned[requirement.name] in requirement.specifier, "run `make lock`"


NOT_IN_SERVICE = {"pytest", "stress"}


def test_every_extra_that_serves_is_in_a_debian_package() -> None:
    extras = set(PYPROJECT["project"]["optional-dependencies"]) - NOT_IN_SERVICE
    assert extras == extras & {name for _, carried in setup_env.DEBS.values() for name in carried}


@pytest.mark.parametrize("other", [setup_env.DEVELOPMENT, *DEB_LOCKS], ids=lambda path: path.name)
def test_a_package_in_two_lock_files_has_one_version(other: Path) -> None:
    core, pinned = pins(setup_env.CORE), pins(other)
    assert {name: core[name] for name in core.keys() & pinned.keys()}.items() <= pinned.items()


# set-up


def test_the_programs_have_the_version_of_the_project() -> None:
    assert PYPROJECT["project"]["version"] == VERSION


@pytest.mark.parametrize(("arguments", "development"), [((), False), (("--development",), True)])
def test_set_up_alone_brings_no_development_tools(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], development: bool
) -> None:
    asked: list[dict[str, bool]] = []
    monkeypatch.setattr(run, "prepare", lambda **options: asked.append(options))
    run.setup(*arguments)
    assert asked == [{"development": development, "retry_readers": False}]


def test_set_up_refuses_an_option_it_does_not_know() -> None:
    with pytest.raises(SystemExit, match="no option --dev;"):
        run.setup("--dev")


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


# the rule that no run depends on luck


def test_only_the_profiles_say_how_properties_are_tried() -> None:
    """A test with settings or a seed of its own could undo the profile; `tests.properties.examples` cannot. The digest
    of decisions is a command, with the same feeds every time.
    """
    own = re.compile(
        r"^from hypothesis import .*\b(settings|seed)\b|\bhypothesis\.(settings|seed)\b", re.MULTILINE
    )
    found = {
        str(path.relative_to(ROOT / "tests"))
        for path in (ROOT / "tests").rglob("*.py")
        if own.search(path.read_text())
    }
    assert found == {"conftest.py", "decision_digest.py", "properties.py", "test_project.py"}


@pytest.mark.parametrize("profile", ["ci", "explore"])
def test_the_profiles_differ_in_luck_and_in_patience(profile: str) -> None:
    chosen = hypothesis.settings.get_profile(profile)
    assert (chosen.derandomize, chosen.deadline, chosen.print_blob) == (profile == "ci", None, True)
    assert chosen.max_examples == (100 if profile == "ci" else 1_000)


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
