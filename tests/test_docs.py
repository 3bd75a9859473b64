"""What documents say is there: links lead somewhere, commands exist, and no machine of ours shows through."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import typer

import run
from sim.cli import app as sim_app
from terminal.cli.app import app as terminal_app

ROOT = Path(__file__).resolve().parent.parent
APPS = {"terminal": terminal_app, "sim": sim_app}

HERE_ONLY = re.compile(
    r"(?<![\w.~-])/(?:work|root|home|Users)/\w|\bindex-url\b|\bpypi\.org|pythonhosted|\bfind-links\s"
)
MAY_NAME_IT = {"setup_env.py", "tests/test_docs.py"}  # the option that keeps hosts out, and this rule itself


def tracked() -> list[Path]:
    """The repository's files; in an unpacked archive without git, every file that could be one."""
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=False, cwd=ROOT)
    if listed.returncode == 0:
        return [path for path in map(ROOT.joinpath, listed.stdout.splitlines()) if path.is_file()]
    return [path for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts]


def documents() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".md"]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(document: Path) -> set[str]:
    """The places a link into `document` may name: its headings as Markdown viewers spell them."""
    headings = re.findall(r"^#+ +(.+?) *$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", documents(), ids=named)
def test_relative_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if "://" in target:
            continue
        place, _, anchor = target.partition("#")
        goal = (document.parent / place).resolve() if place else document
        assert goal.exists(), target
        assert not anchor or anchor in anchors(goal), target


def commands_in(document: Path) -> Iterator[list[str]]:
    """Every command line in code blocks and in code spans, split at blanks."""
    text = document.read_text()
    blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    for line in lines + spans:
        words = line.removeprefix("$ ").partition(" #")[0].split()
        if words:
            yield [words[0].removeprefix(".venv/bin/"), *words[1:]]


def check_command(words: list[str]) -> None:
    """Walk `words` down the command tree: names are commands of their group, options those of the command."""
    command = typer.main.get_command(APPS[words[0]])
    for word in words[1:]:
        options = {
            option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
        }
        if word.startswith("-"):
            assert word.partition("=")[0] in {*options, "--help"}, f"{' '.join(words)}: no option {word}"
        elif hasattr(command, "commands"):
            assert word in command.commands, f"{' '.join(words)}: no command {word}"
            command = command.commands[word]


@pytest.mark.parametrize("document", documents(), ids=named)
def test_commands_named_in_documents_exist(document: Path) -> None:
    for words in commands_in(document):
        if words[0] in APPS and len(words) > 1:
            check_command(words)
        elif words[0] == "make" and len(words) > 1:
            assert words[1] in run.COMMANDS
        elif words[:2] == ["python3", "run.py"]:
            assert words[2] in run.COMMANDS


def test_the_readme_names_the_two_commands() -> None:
    named_in_readme = {tuple(words) for words in commands_in(ROOT / "README.md")}
    assert {("make", "demo"), ("make", "test")} <= named_in_readme


def test_nothing_of_this_machine_or_of_a_package_index_is_in_the_repository() -> None:
    for path in tracked():
        if named(path) in MAY_NAME_IT or path.suffix in {".bin", ".png"}:
            continue
        found = HERE_ONLY.search(path.read_text(encoding="utf-8"))
        assert found is None, f"{named(path)}: {found and found.group()}"


@pytest.fixture(scope="module")
def demo() -> dict[str, Any]:
    """What the demo says of itself, in the language of the README."""
    command = [str(Path(sys.executable).parent / "terminal"), "demo", "--json", "--language", "en"]
    return json.loads(subprocess.run(command, capture_output=True, check=True, cwd=ROOT).stdout)


def rubles(amount_minor: int) -> str:
    return f"{amount_minor // 100}.{amount_minor % 100:02}"


def table_row(tap: dict[str, Any]) -> str:
    """One presentation as a line of the README's table."""
    at = datetime.fromisoformat(tap["at"]).astimezone(ZoneInfo("Europe/Volgograd"))
    who = f"{tap['resident']}, {tap['note']}" if tap["note"] else tap["resident"]
    balances = [tap["balance_before_minor"], tap["balance_after_minor"]]
    balance = " → ".join(rubles(minor) for minor in dict.fromkeys(balances) if minor is not None)
    costs = f"{tap['exchanges']} | {tap['apdu_bytes']} | {tap['air_ms']:.0f}"
    return f"| {at:%H:%M:%S} | {tap['place']} | {who} | {tap['text']} | {balance} | {costs} |"


def test_what_the_readme_shows_is_what_the_demo_prints(demo: dict[str, Any]) -> None:
    readme = (ROOT / "README.md").read_text()
    shown = re.findall(r"^\| \d\d:\d\d:\d\d .*$", readme, re.MULTILINE)
    printed = [table_row(tap) for tap in demo["tap_list"]]
    assert shown
    assert [row for row in shown if row not in printed] == []


def test_the_totals_in_the_readme_are_those_of_the_demo(demo: dict[str, Any]) -> None:
    story = " ".join((ROOT / "README.md").read_text().split())
    assert demo["balanced"]
    assert f"{demo['taps']} taps have become {demo['journal_records']} journal records" in story
    assert f"{demo['collector_records']} are at the collector" in story
    assert f"lost exactly what the records charged: {rubles(demo['spent_minor'])}" in story
