"""docs/api.md is the public API: its names are those of `__all__`, each imports, and every example runs."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import cardproto
import sim
import terminal
from cardcli import VERSION
from terminal.app.config.settings import EXTENSION_NAME
from terminal.app.entry_points import GROUPS

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "api.md").read_text("utf-8")
PACKAGES = (cardproto, sim, terminal)
NAMES = [(package, name) for package in PACKAGES for name in package.__all__]


def described(package: str) -> dict[str, tuple[str, str]]:
    """The rows of the package's chapter: name to meaning and release."""
    chapter = PAGE.split(f"\n## `{package}`\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (\S+) \|$", chapter, re.MULTILINE)
    assert len({name for name, _, _ in rows}) == len(rows)
    return {name: (meaning, since) for name, meaning, since in rows}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_the_page_names_what_the_package_offers_and_nothing_else(package: ModuleType) -> None:
    rows = described(package.__name__)
    assert sorted(rows) == sorted(package.__all__)
    for name, (meaning, since) in rows.items():
        assert meaning.strip(), name
        assert tuple(map(int, since.split("."))) <= tuple(map(int, VERSION.split(".")))


@pytest.mark.parametrize(("package", "name"), NAMES, ids=lambda one: getattr(one, "__name__", one))
def test_every_name_imports(package: ModuleType, name: str) -> None:
    found = getattr(package, name)
    assert getattr(found, "__name__", name) == name
    assert name in dir(package)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_no_name_is_hidden_by_a_module_of_the_same_name(package: ModuleType) -> None:
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    assert not modules & {*package.__all__}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_what_type_checkers_see_is_what_runs(package: ModuleType) -> None:
    """Each name is imported for them from the module it comes from."""
    assert package.__file__ is not None
    (seen,) = (
        node for node in ast.parse(Path(package.__file__).read_text()).body if isinstance(node, ast.If)
    )
    homes: dict[str, str] = {}
    for node in seen.body:
        assert isinstance(node, ast.ImportFrom)
        homes |= {name.name: str(node.module) for name in node.names}
    assert sorted(homes) == sorted(package.__all__)
    for name, home in homes.items():
        assert getattr(package, name) is getattr(importlib.import_module(home), name)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_a_name_that_is_not_there_is_an_attribute_error(package: ModuleType) -> None:
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        package.no_such_name  # noqa: B018 the access is the test


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_importing_a_package_loads_nothing_of_it(package: ModuleType) -> None:
    script = f"import sys, {package.__name__}; print(*(name for name in sys.modules if '.' in name))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT, timeout=30
    )
    ours = tuple(f"{one.__name__}." for one in (*PACKAGES,))
    assert not [name for name in done.stdout.split() if name.startswith(ours)]


def test_every_example_runs(tmp_path: Path) -> None:
    program = tmp_path / "examples.py"
    program.write_text("\n".join(blocks("python")), "utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(blocks("python")) > 3


def test_examples_use_public_names_alone() -> None:
    for node in ast.walk(ast.parse("\n".join(blocks("python")))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in {
            package.__name__ for package in PACKAGES
        }:
            public = importlib.import_module(node.module or "").__all__
            assert {name.name for name in node.names} <= {*public}


def test_the_page_names_each_group_of_entry_points() -> None:
    tables = "\n".join(re.findall(r"^\|.*", PAGE, re.MULTILINE))
    assert {*re.findall(r"`(resident_card_terminal\.\w+)`", tables)} == {*GROUPS.values()}
    written = [tomllib.loads(block) for block in blocks("toml")]
    groups = [block["project"]["entry-points"] for block in written if "project" in block]
    assert groups
    for group in groups:
        assert {*group} <= {*GROUPS.values()}
        assert all(re.fullmatch(EXTENSION_NAME, name) for names in group.values() for name in names)
