"""docs/security.md and docs/signed-updates.md name only tests that exist, and every attack tested here stands in the
first.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from terminal.updates.bundle.roles import BundleRole

ROOT = Path(__file__).parents[2]


def named(document: str) -> list[tuple[str, str]]:
    """The tests, or cases of one, that a page of docs names."""
    return re.findall(
        r"`([a-z/_]+\.py)::([a-z0-9]+_[a-z0-9_]+)`", (ROOT / "docs" / document).read_text("utf-8")
    )


NAMED = named("security.md")


@cache
def functions_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def names_in(path: Path) -> set[str]:
    return {name for name in functions_in(path) if name.startswith("test_")}


@pytest.mark.parametrize("document", ["security.md", "signed-updates.md"])
def test_every_named_test_exists(document: str) -> None:
    assert len(named(document)) > 20
    for file, name in named(document):
        assert name in functions_in(ROOT / "tests" / file), f"{file}::{name}"


def test_every_row_of_what_is_tried_with_bundles_names_a_test() -> None:
    text = (ROOT / "docs" / "signed-updates.md").read_text("utf-8")
    section = text.split("\n## What is tried\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][2:]
    assert len(rows) > 20
    assert [row for row in rows if "::" not in row] == []


def test_no_role_carries_card_orders() -> None:
    """Once one does, both rows about them in docs/signed-updates.md need tests of their own."""
    assert not {role.value for role in BundleRole} & {"actions", "orders"}
    carried_out = [
        path
        for package in ("decision", "media", "updates")
        for path in (ROOT / "terminal" / package).rglob("*.py")
        if re.search(r"\b(KeyNo|EventKind)\.ORDER\b", path.read_text("utf-8"))
    ]
    assert carried_out == []


def test_every_attack_is_in_the_document() -> None:
    for path in (ROOT / "tests" / "attacks").glob("test_*.py"):
        if path.name != Path(__file__).name:
            assert {(f"attacks/{path.name}", name) for name in names_in(path)} <= set(NAMED)
