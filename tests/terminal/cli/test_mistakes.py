"""Mistakes as an author meets them, through `terminal policy check`: all of them, in words and as data, of any file."""

from __future__ import annotations

import json
import os
import random
import re
from pathlib import Path
from typing import Any

import pytest

from terminal.mistakes.document import Mistakes
from terminal.mistakes.reading import MOST_BYTES, MOST_DEPTH, MOST_KEYS, MOST_TEXT, FileMistake
from terminal.mistakes.values import ShapeMistake
from terminal.policy.load import DEMO_REGION, REGIONS, policy_from_text
from terminal.policy.mistakes import NameMistake, RuleMistake
from terminal.policy.policy import Policy
from tests.fuzz.harness import mutations
from tests.terminal.cli.conftest import Run

DEMO = DEMO_REGION.read_text("utf-8")
WRONG = [
    ("transport_card = 2400", "transport_card = 24.00"),
    ("valid_from = 2025-01-01T00:00:00+03:00", "valid_from = 2025-01-01"),
    ("window_s = 3600", "window_ss = 3600"),
    ('counter = "concession_month"', 'counter = "consession_month"'),
    ("code = 12\n", 'code = 12\ncolour = "red"\n'),
    ("transfers = 1\n", "transfers = 1\ncounted_from = 'first'\n"),
    ('languages = ["ru", "en"]', 'languages = ["ru", "tt"]'),
]
EXPECTED = {
    ("fares.by_medium.transport_card", ShapeMistake.MONEY),
    ("header.valid_from", ShapeMistake.NEEDS_MOMENT),
    ("transfers[0].window_ss", ShapeMistake.UNKNOWN_KEY_NEAR),
    ("concessions[1].limits[0].counter", NameMistake.UNKNOWN_NEAR),
    ("concessions[4].colour", ShapeMistake.UNKNOWN_KEY),
    ("transfers[0].counted_from", ShapeMistake.UNKNOWN_WORD_NEAR),
    ("messages.languages[1]", RuleMistake.UNKNOWN_LANGUAGE),
}


def wrong() -> str:
    text = DEMO
    for old, new in WRONG:
        assert old in text
        text = text.replace(old, new, 1)
    return text


def line_of(text: str, written: str) -> int:
    return 1 + text[: text.index(written)].count("\n")


def checked(run: Run, *files: Path) -> list[dict[str, Any]]:
    """What the command says of several files, one object for each; never a trace-back."""
    done = run("policy", "check", *files, "--json")
    assert "Traceback" not in done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_all_mistakes_of_types_and_of_rules_are_said_in_one_run(run: Run, tmp_path: Path) -> None:
    text = wrong()
    path = tmp_path / "region.toml"
    path.write_text(text, "utf-8")
    (found,) = checked(run, path)
    assert {(one["path"], one["code"]) for one in found["mistakes"]} == EXPECTED
    for old, new in WRONG:
        assert any(
            one["line"] == line_of(text, new.strip()) + new.strip().count("\n") for one in found["mistakes"]
        ), old
    by_path = {one["path"]: one for one in found["mistakes"]}
    counter = by_path["concessions[1].limits[0].counter"]
    assert counter["entries"] == {"concessions[1]": "student, half of the base tariff"}
    assert counter["values"]["near"] == "concession_month"
    assert by_path["header.valid_from"]["values"]["example"] == "2025-01-01T00:00:00+03:00"
    assert by_path["fares.by_medium.transport_card"]["advice"] == "Write kopecks as a whole number: 2400"


def test_people_read_a_line_for_each_in_their_language(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "region.toml"
    path.write_text(wrong(), "utf-8")
    done = run("policy", "check", path, "--language", "ru")
    assert (done.returncode, done.stdout) == (10, "")
    lines = done.stderr.splitlines()
    assert len(lines) == len(EXPECTED)
    assert all(re.match(rf"terminal: {re.escape(str(path))}:\d+: ", line) for line in lines)
    assert (
        'concessions[1] "student, half of the base tariff".limits[0].counter: неизвестное имя (счётчик)'
        in done.stderr
    )
    assert "Пишите копейки целым числом: 2400" in done.stderr


def test_a_text_is_judged_without_a_file() -> None:
    assert isinstance(policy_from_text(DEMO.encode(), "page"), Policy)
    judged = policy_from_text(wrong().encode(), "page")
    assert isinstance(judged, Mistakes)
    assert {(one.path, one.code) for one in judged} == EXPECTED
    assert {one.file for one in judged} == {"page"}


def test_several_documents_and_folders_are_checked_in_one_call(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[header]\n", "utf-8")
    done = run("policy", "check", "demo", REGIONS, tmp_path, "--json")
    assert done.returncode == 10
    said = [json.loads(line)["ok"] for line in done.stdout.splitlines()]
    assert said == [True] * (1 + len(list(REGIONS.glob("*.toml")))) + [False]
    assert run("policy", "check", "demo", REGIONS).returncode == 0


CP1251 = DEMO.replace('name = "pensioner, free"', 'name = "пенсионер"').encode("cp1251")
NESTED = "[" * 4000
CONTENTS: dict[str, tuple[bytes, FileMistake | None, int | None]] = {
    "sound": (DEMO.encode(), None, None),
    "byte order mark": (b"\xef\xbb\xbf" + DEMO.encode(), None, None),
    "carriage returns": (DEMO.replace("\n", "\r\n").encode(), None, None),
    "utf-16": (DEMO.encode("utf-16"), FileMistake.UTF_16, 1),
    "utf-16 without mark": (DEMO.encode("utf-16-le"), FileMistake.BINARY, 1),
    "cp1251": (CP1251, FileMistake.CP1251, line_of(DEMO, 'name = "pensioner, free"')),
    "not utf-8": (b"[header]\nid = \"\xff\"\n", FileMistake.NOT_UTF_8, 2),
    "empty": (b"", FileMistake.EMPTY, None),
    "blank": (b"\n  \n", FileMistake.EMPTY, None),
    "binary": (b"\x7fELF\x01\x00\x00", FileMistake.BINARY, 1),
    "too large": (b"#" * (MOST_BYTES + 1), FileMistake.TOO_LARGE, None),
    "nested": (f"a = {NESTED}".encode(), FileMistake.TOO_DEEP, None),
    "nested headers": (f"[{'a.' * 4000}b]".encode(), FileMistake.TOO_DEEP, 1),
    "a dotted key": (f"{'a.' * 500_000}b = 1".encode(), FileMistake.TOO_DEEP, 1),
    "deep": (f"a = {'[' * (MOST_DEPTH + 1)}{']' * (MOST_DEPTH + 1)}".encode(), FileMistake.TOO_DEEP, None),
    "many keys": ("\n".join(f"k{n}=1" for n in range(MOST_KEYS + 1)).encode(), FileMistake.TOO_MANY_KEYS, None),
    "a long text": (f'a = "{"x" * (MOST_TEXT + 1)}"'.encode(), FileMistake.TOO_LONG, None),
    "a long number": (f"a = 1\nb = {'9' * 5000}".encode(), FileMistake.TOO_MANY_DIGITS, 2),
    "a key twice": (b"[header]\nid = 'x'\nversion = 1\nid = 'y'\n", FileMistake.TWICE, 4),
    "a table twice": (b"[header]\nid = 'x'\n[ages]\n[header]\n", FileMistake.TWICE, 4),
    "no quotes": (b"[header]\nid = demo\n", FileMistake.NO_VALUE, 2),
    "no end": (b"[header]\nid = 'x\n", FileMistake.UNTERMINATED, 2),
    "a decimal comma": (b"[fares]\nbase_minor = 35,00\n", FileMistake.AFTER_VALUE, 2),
    "no bracket": (b"a = [1, 2\n", FileMistake.UNCLOSED, 1),
}  # fmt: skip


def test_whatever_is_in_a_file_is_named_with_its_line(run: Run, tmp_path: Path) -> None:
    paths = []
    for number, (content, _, _) in enumerate(CONTENTS.values()):
        paths.append(tmp_path / f"{number:02}.toml")
        paths[-1].write_bytes(content)
    said = dict(zip(CONTENTS, checked(run, *paths), strict=True))
    for name, (_, code, line) in CONTENTS.items():
        if code is None:
            assert said[name]["ok"], (name, said[name])
            continue
        (mistake,) = said[name]["mistakes"]
        assert (mistake["code"], mistake["line"]) == (code, line), name


def test_what_is_no_file_is_named_and_never_waited_for(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "there.toml").mkdir()
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    for name, words in (
        ("pipe.toml", "a device or a pipe"),
        ("there.toml", "no region documents in"),
        ("loop.toml", "no region document"),
    ):
        done = run("policy", "check", tmp_path / name)
        assert done.returncode == 10, done.stderr
        assert words in done.stderr
        assert done.stderr.count("\n") == 1


def spoiled_lines(rng: random.Random) -> bytes:
    """The demo region with a few lines of it changed as people do."""
    lines = DEMO.split("\n")
    for _ in range(rng.randint(1, 5)):
        at = rng.randrange(len(lines))
        match rng.randrange(5):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, lines[rng.randrange(len(lines))])
            case 2:
                lines[at] = re.sub(
                    r"\d+",
                    lambda _: rng.choice(["0", "-1", "35.0", "99999999999999999999", '"7"']),
                    lines[at],
                )
            case 3:
                lines[at] = lines[at].replace("=", rng.choice(["", "==", "= [", "= {", ":"]))
            case _:
                lines[at] = lines[at].replace('"', rng.choice(["", "'", '"""']), 1)
    return "\n".join(lines).encode()


@pytest.mark.parametrize("seed", range(2))
def test_no_document_ends_the_command_in_a_trace_back(run: Run, tmp_path: Path, seed: int) -> None:
    rng, broken = random.Random(seed), mutations([DEMO.encode()], seed)
    for number in range(120):
        content = next(broken) if number % 3 == 0 else spoiled_lines(rng)
        (tmp_path / f"{number:03}.toml").write_bytes(content)
    done = run("policy", "check", tmp_path, "--json")
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 10)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(said) == 120
    for number, one in enumerate(said):
        assert one["ok"] or one["mistakes"], number
        assert all(mistake["file"].endswith(f"{number:03}.toml") for mistake in one.get("mistakes", []))
