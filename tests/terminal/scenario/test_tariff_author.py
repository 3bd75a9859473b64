"""docs/tariff-author.md does what it says: its documents and scenarios are written out and its commands run."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from terminal.decision.outcome import Message
from terminal.lab.town import DAY, open_town
from terminal.scenario.reference import BEGIN, END, put_into
from terminal.trail_steps import RULES
from tests.terminal.cli.inside import Run, runner
from tests.terminal.impact.conftest import FRONT, OTHER, ride

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "tariff-author.md"
EXAMPLES = GUIDE.parent / "examples" / "tariffs"
TEXT = GUIDE.read_text(encoding="utf-8")
BLOCK = re.compile(
    r"^```(?P<language>\w+)(?: file=(?P<file>\S+))?(?: from=(?P<base>\S+))?\n(?P<text>.*?)^```$", re.M | re.S
)
BLOCKS = list(BLOCK.finditer(TEXT))


def files_of_the_guide() -> dict[str, str]:
    """Name to content. A block with `from=` is that file with each "old -> new" applied."""
    files: dict[str, str] = {}
    for block in BLOCKS:
        name, base, text = block["file"], block["base"], block["text"]
        if name is None:
            continue
        if base is not None:
            changed = files[base]
            for line in text.splitlines():
                old, new = line.split(" -> ")
                assert changed.count(old) == 1, f"{old!r} must name one place in {base}"
                changed = changed.replace(old, new)
            text = changed
        files[name] = text
    return files


def sessions() -> list[tuple[str, str]]:
    """Each command of the guide's console blocks with the answer printed under it."""
    found = []
    for block in BLOCKS:
        if block["language"] == "console":
            command, _, answer = block["text"].partition("\n")
            found.append((command.removeprefix("$ terminal "), answer))
    return found


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    for name, text in files_of_the_guide().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    for example in EXAMPLES.glob("*.toml"):
        (tmp_path / example.name).write_bytes(example.read_bytes())
    return runner(tmp_path, monkeypatch, capfd)


def recorded_days(folder: Path) -> None:
    """The journals of two buses of Zarechye, in the folder `days`: an adult rides 4 times, a student 3 times."""
    (folder / "days").mkdir()
    residents, buses = ("adult_purse", "student_half_price"), (FRONT, OTHER)
    with open_town(folder / "days", buses, residents, DAY, seed=7, region="zarechye.toml") as town:
        ride(town, "adult_purse", 4)
        ride(town, "student_half_price", 3, OTHER)


@pytest.mark.parametrize(("command", "answer"), sessions(), ids=lambda value: value.split("\n")[0][:60])
def test_the_guides_commands_answer_as_the_guide_says(
    run: Run, command: str, answer: str, tmp_path: Path
) -> None:
    if "--journal" in command:
        recorded_days(tmp_path)
    told = run(*command.split())
    assert told.stdout == answer, told.stderr
    assert told.returncode == (12 if "mistyped" in command else 0)


def test_the_guide_has_something_to_run() -> None:
    assert {command.split()[1] for command, _ in sessions()} == {"check", "run", "explain", "diff", "impact"}
    assert len(files_of_the_guide()) == 4


def test_every_other_piece_of_the_guide_is_toml() -> None:
    for block in BLOCKS:
        if block["language"] == "toml" and block["base"] is None:
            tomllib.loads(block["text"])


def test_the_reference_is_that_of_the_types() -> None:
    assert put_into(TEXT) == TEXT, "run: make docs"
    reference = TEXT[TEXT.index(BEGIN) : TEXT.index(END)]
    assert all(f"`{message.value}`" in reference for message in Message)


def test_every_rule_id_the_guide_names_is_one() -> None:
    named = set(re.findall(r"\b[KTMO]-\d\d\b", TEXT[: TEXT.index(BEGIN)])) - {
        "M-40",
        "T-50",
        "T-54",
    }  # of reports, receipts and tickets taken back, which decide nothing
    assert named <= set(RULES)
