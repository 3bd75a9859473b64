"""docs/security.md names only tests that exist, and every attack tested here stands in it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = re.findall(r"`([a-z/_]+\.py)::(test_[a-z0-9_]+)`", (ROOT / "docs" / "security.md").read_text("utf-8"))


def names_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_named_test_exists() -> None:
    assert len(NAMED) > 20
    for file, name in NAMED:
        assert name in names_in(ROOT / "tests" / file), f"{file}::{name}"


def test_every_attack_is_in_the_document() -> None:
    for path in (ROOT / "tests" / "attacks").glob("test_*.py"):
        if path.name != Path(__file__).name:
            assert {(f"attacks/{path.name}", name) for name in names_in(path)} <= set(NAMED)
