"""Every parser of the product is in the table of docs/security.md, with its limits, and holds them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.test_project import ROOT

PACKAGES: Final = ("cardproto", "sim", "cardcli", "terminal")
PARSERS: Final = re.compile(
    r"(json|tomllib|cbor2|ujson|orjson)\.loads?|.*\b(json|msgpack|toml|yaml)\.(decode|Decoder)"
    r"|csv\.(reader|DictReader)|zipfile\.ZipFile|tarfile\.open|(gzip|lzma|bz2|zlib)\.(open|decompress|decompressobj)"
    r"|expat\.ParserCreate|parse_qsl?|SimpleCookie|decode_json|decode_msgpack|decoded|(openpyxl\.)?load_workbook"
)
FORBIDDEN: Final = re.compile(
    r"(pickle|marshal|dill|shelve|yaml)\..*|eval|exec|.*ElementTree.*|.*\bminidom\..*|unpack_archive|extractall"
)
"""What cannot be limited, or runs what it reads."""


def calls(path: Path) -> Iterator[str]:
    """The dotted names of everything a module calls."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


@cache
def modules(pattern: re.Pattern[str]) -> set[str]:
    """The modules of the product that call something the pattern names."""
    return {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if any(pattern.fullmatch(call) for call in calls(path))
    }


def table() -> dict[str, str]:
    """The limits by module, as the section "Parsers" of the document has them."""
    section = (ROOT / "docs/security.md").read_text("utf-8").split("\n## Parsers\n")[1].split("\n## ")[0]
    found: dict[str, str] = {}
    for row in (line for line in section.splitlines() if line.startswith("| ")):
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        for module in re.findall(r"`([a-z_/]+\.py)`", cells[-1]):
            assert module not in found, f"{module} is in two rows"
            found[module] = " ".join(cells[1:-1])
    return found


def test_every_module_that_parses_is_in_the_table_and_no_other() -> None:
    assert modules(PARSERS) == table().keys()


def test_every_row_states_a_limit() -> None:
    assert [module for module, limits in table().items() if not re.search(r"\d", limits)] == []


def test_nothing_is_read_by_what_runs_it_or_has_no_limits() -> None:
    assert modules(FORBIDDEN) == set()


@pytest.mark.parametrize(
    "written", ["import json\njson.loads(x)", "a = msgspec.msgpack.Decoder(int)", "parse_qsl(q)"]
)
def test_a_parser_is_recognised(tmp_path: Path, written: str) -> None:
    (tmp_path / "one.py").write_text(written)
    assert any(PARSERS.fullmatch(call) for call in calls(tmp_path / "one.py"))
