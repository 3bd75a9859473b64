"""What documents say is there: links lead somewhere, commands exist, and no machine of ours shows through."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import typer
from rich.text import Text

import run
from sim.cli.app import app as sim_app
from terminal.cli.app import whole

ROOT = Path(__file__).resolve().parent.parent
APPS = {"terminal": whole(), "sim": sim_app}

HERE_ONLY = re.compile(
    r"(?<![\w.~-])/(?:work|root|home|Users)/\w|\bindex-url\b|\bpypi\.org|pythonhosted|\bfind-links\s"
)
MAY_NAME_IT = {"setup_env.py", "tests/test_docs.py"}  # the option that keeps hosts out, and this rule itself


@cache
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


def to_be_typed(document: Path) -> list[str]:
    """The lines of its code blocks."""
    blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def mentioned(document: Path) -> list[str]:
    """Its code spans."""
    prose = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`\n]+)`", prose)


def commands_among(lines: list[str]) -> Iterator[list[str]]:
    """Command lines of ours, split at blanks, comments and the way to the program taken off."""
    for line in lines:
        words = line.partition(" #")[0].removeprefix("$ ").removeprefix(".venv/bin/").split()
        if len(words) > 1 and words[0] in (*APPS, "make", "python3"):
            yield words


def check_command(words: list[str], *, complete: bool) -> None:
    """Every name is a command of its group, every option one of its command; `complete`: it would run as it stands."""
    if words[0] not in APPS:
        assert (words[2] if words[:2] == ["python3", "run.py"] else words[1]) in run.COMMANDS
        return
    command = typer.main.get_command(APPS[words[0]])
    for word in words[1:]:
        options = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
        if word.startswith("-"):
            assert word.partition("=")[0] in {*options, "--help"}, f"{' '.join(words)}: no option {word}"
        elif hasattr(command, "commands"):
            assert word in command.commands, f"{' '.join(words)}: no command {word}"
            command = command.commands[word]
    if complete and "--help" not in words:
        options = [one for one in command.params if one.param_type_name == "option"]
        forgotten = [one.name for one in options if one.required and not {*one.opts} & {*words}]
        assert not forgotten, f"{' '.join(words)}: needs {forgotten}"


def helps(command: Any, name: str) -> Iterator[tuple[str, str]]:
    """Every help text of a command, its parameters and sub-commands, as it was written."""
    yield name, command.help or ""
    for parameter in command.params:
        yield f"{name} {parameter.name}", getattr(parameter, "help", None) or ""
    for word, sub_command in getattr(command, "commands", {}).items():
        yield from helps(sub_command, f"{name} {word}")


@pytest.mark.parametrize("name", APPS)
def test_help_is_shown_as_it_was_written(name: str) -> None:
    for place, text in helps(typer.main.get_command(APPS[name]), name):
        assert Text.from_markup(text).plain == text, f"{place}: brackets are taken for markup"


def test_the_tariff_author_reads_of_keys_that_exist() -> None:
    """Code spans of the guide in the form of a key, its command, the values that fill a message, the keys
    of a mistake as data and one of schema 1 apart.
    """
    schemas = "".join(path.read_text() for path in sorted((ROOT / "docs" / "schema").glob("*.json")))
    guide = (ROOT / "docs" / "tariff-author.md").read_text().partition(REFERENCE)[0]
    spans = {span.strip("[]") for span in re.findall(r"`([^`\n]+)`", guide)}
    keys = (
        {span for span in spans if re.fullmatch("[a-z_]+", span)}
        - {
            "diff",
            "list_of_tables",
            "n",
            "table",
            "time",
        }
        - {"advice", "entries", "limit", "line", "mistakes", "ok", "path", "what"}
    )
    assert sorted(key for key in keys if f'"{key}"' not in schemas) == []


def test_the_glossary_names_classes_that_exist() -> None:
    sources = "".join(path.read_text() for path in tracked() if path.suffix == ".py")
    names = {name for name in mentioned(ROOT / "docs" / "glossary.md") if re.fullmatch(r"[A-Z]\w+", name)}
    assert sorted(name for name in names if not re.search(rf"^class {name}\b", sources, re.MULTILINE)) == []


@pytest.mark.parametrize("document", documents(), ids=named)
def test_commands_in_documents_exist(document: Path) -> None:
    for words in commands_among(to_be_typed(document)):
        check_command(words, complete=True)
    for words in commands_among(mentioned(document)):
        check_command(words, complete=False)


def test_the_readme_names_the_two_commands() -> None:
    commands = [*commands_among(to_be_typed(ROOT / "README.md"))]
    assert commands[:2] == [["make", "demo"], ["make", "test"]]


def test_nothing_of_this_machine_or_of_a_package_index_is_in_the_repository() -> None:
    for path in tracked():
        if named(path) in MAY_NAME_IT or path.suffix in {".bin", ".mo", ".png"}:
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


PRIVATE = re.compile(r"\b(whoever|nobody|somebody|told|tells|honest(?:ly)?|goodbye)\b", re.I)
REFERENCE = "<!-- reference: "
"""Where the part of a document begins that is made from the code."""


@pytest.mark.parametrize("document", documents(), ids=named)
def test_documents_are_in_plain_words(document: Path) -> None:
    """Short, active, the field's nouns: a few words show that a sentence was not written so."""
    text = re.sub(r"`[^`]*`", "", document.read_text().partition(REFERENCE)[0])
    assert PRIVATE.findall(text) == []


FOR_EXAMPLE = {"terminal/locale/kk/LC_MESSAGES/"}  # a language to be added
PLACES = re.compile(r"(?:cardproto|sim|terminal|cardcli|tests|bench|packaging|docs)/[\w./-]*[\w/]")


@pytest.mark.parametrize("document", documents(), ids=named)
def test_places_in_documents_exist(document: Path) -> None:
    """What a document calls by its path from the root is there."""
    places = {span for span in mentioned(document) if PLACES.fullmatch(span)}
    assert {place for place in places if not (ROOT / place).exists()} <= FOR_EXAMPLE
