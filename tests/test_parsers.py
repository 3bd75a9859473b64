"""Every parser of the product is in the table of docs/security.md, with its limits, and holds them."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from sim.image_file import ImageFault, load_card
from sim.transcript import TranscriptFault, load_transcript
from terminal.errors import ProfileError
from terminal.lab.issuing import read_orders
from tests.terminal.cli.inside import runner
from tests.test_project import ROOT

PACKAGES: Final = ("cardproto", "sim", "cardcli", "terminal")
PARSERS: Final = re.compile(
    r"(json|tomllib|cbor2|ujson|orjson)\.loads?|.*\b(json|msgpack|toml|yaml)\.(decode|Decoder)"
    r"|csv\.(reader|DictReader)|zipfile\.ZipFile|tarfile\.open|(gzip|lzma|bz2|zlib)\.(open|decompress|decompressobj)"
    r"|expat\.ParserCreate|parse_qsl?|SimpleCookie|decode_json|decode_versioned|decode_msgpack|decoded"
    r"|(openpyxl\.)?load_workbook"
)
FORBIDDEN: Final = re.compile(
    r"(pickle|marshal|dill|shelve|yaml)\..*|eval|exec|.*ElementTree.*|.*\bminidom\..*|unpack_archive|extractall"
)
"""What cannot be limited, or runs what it reads."""


def calls(path: Path) -> set[str]:
    """The dotted names of everything a module calls."""
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    return {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}


@cache
def every_call() -> dict[str, set[str]]:
    """What each module of the product calls."""
    paths = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return {str(path.relative_to(ROOT)): calls(path) for path in paths}


def modules(pattern: re.Pattern[str]) -> set[str]:
    """The modules of the product that call something the pattern names."""
    return {name for name, called in every_call().items() if any(map(pattern.fullmatch, called))}


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


DEEP: Final = {
    "lists.json": b"[" * 100_000,
    "tables.json": b'{"header":' * 4_000,
    "inside.json": b'{"header": {"region": 34}, "cards": ' + b"[" * 4_000,
    "lists.toml": b"x = " + b"[" * 4_000,
    "tables.toml": b"[" + b"a." * 4_000 + b"a]",
    "keys.toml": b"a." * 20_000 + b"a = 1",
}
READERS: Final = (
    ("policy", "check"),
    ("policy", "run", "demo"),
    ("canteen", "roster", "check"),
    ("config", "check", "--config"),
    ("collector", "--port", "0", "--folder", "back", "--registry"),
    ("storm", "--replay"),
    ("restore",),
    ("audit", "verify"),
)
"""Commands that read a file of people or of other systems, their last argument."""


@pytest.mark.parametrize("command", READERS, ids=lambda command: command[0])
def test_what_is_nested_without_end_is_a_mistake_with_advice(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    command: tuple[str, ...],
) -> None:
    run = runner(tmp_path, monkeypatch, capfd)
    for name, content in DEEP.items():
        (tmp_path / name).write_bytes(content)
        done = run(*command, name)
        assert done.returncode not in (0, 1, 2), name
        assert done.stderr.startswith("terminal: "), name
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("content", DEEP.values(), ids=DEEP)
def test_the_simulators_files_are_refused_in_their_own_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "card.json"
    path.write_bytes(content)
    with pytest.raises(ImageFault):
        load_card(path, bytes)
    first = b'{"format": "resident-card-transcript", "version": 1, "masked": true}\n'
    for lines in (content, first + content):
        path.write_bytes(lines)
        with pytest.raises(TranscriptFault):
            load_transcript(path)


def test_a_table_of_200_000_columns_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run = runner(tmp_path, monkeypatch, capfd)
    (tmp_path / "wide.csv").write_text(",".join(f"c{n}" for n in range(200_000)) + "\n")
    done = run("policy", "deny-list", "wide.csv", "--out", "list", "--region", 34, "--keys", "laboratory")
    assert done.returncode not in (0, 1, 2), done
    assert "Traceback" not in done.stderr
    with pytest.raises(ProfileError, match="has the columns"):
        list(read_orders(tmp_path / "wide.csv"))
