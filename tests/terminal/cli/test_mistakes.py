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
from terminal.mistakes.syntax import MOST_STATEMENTS, SyntaxMistake
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
CONTENTS: dict[str, tuple[bytes, FileMistake | SyntaxMistake | None, int | None]] = {
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
    "a key twice": (b"[header]\nid = 'x'\nversion = 1\nid = 'y'\n", SyntaxMistake.TWICE, 4),
    "a table twice": (b"[header]\nid = 'x'\n[ages]\n[header]\n", SyntaxMistake.TWICE, 4),
    "no quotes": (b"[header]\nid = demo\n", SyntaxMistake.NO_QUOTES, 2),
    "no end": (b"[header]\nid = 'x\n", SyntaxMistake.UNTERMINATED, 2),
    "a decimal comma": (b"[fares]\nbase_minor = 35,00\n", SyntaxMistake.DECIMAL_COMMA, 2),
    "no bracket": (b"a = [1, 2\n", SyntaxMistake.UNCLOSED, 1),
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


# What authors write who do not know TOML: what stands there, the code, and what is said to write instead.
HABITS: dict[str, tuple[str, str, SyntaxMistake | ShapeMistake | RuleMistake, str]] = {
    "smart quotes": ('id = "demo"', "id = “demo”", SyntaxMistake.QUOTATION_MARK, "“"),
    "Russian quotes": ('id = "demo"', "id = «demo»", SyntaxMistake.QUOTATION_MARK, "straight"),
    "no quotes": ('currency = "RUB"', "currency = RUB", SyntaxMistake.NO_QUOTES, '"RUB"'),
    "groups of digits": ("region = 34", "region = 1 034", SyntaxMistake.GROUPS, "1034"),
    "zeros in front": ("region = 34", "region = 034", SyntaxMistake.ZERO, "without: 34"),
    "a unit": ("base_minor = ", "base_minor = 24 руб #", SyntaxMistake.UNIT, "3500 for 35.00"),
    "a decimal comma": ("base_minor = ", "base_minor = 24,00 #", SyntaxMistake.DECIMAL_COMMA, "24.00"),
    "one in braces": ("transport_card = 2400", "transport_card = 24,00", SyntaxMistake.DECIMAL_COMMA, "24.00"),
    "a share": ("pays_percent = 50", "pays_percent = 50%", SyntaxMistake.SIGN, "`%`"),
    "a semicolon": ("region = 34", "region = 34;", SyntaxMistake.SIGN, "`;`"),
    "two signs": ("region = 34", "region == 34", SyntaxMistake.SIGN, "`=`"),
    "another comment": ("region = 34", "region = 34 // ours", SyntaxMistake.SIGN, "`//`"),
    "a Russian day": ("valid_from = ", "valid_from = 01.01.2025 #", SyntaxMistake.DAY, "2026-09-01T"),
    "no such day": ("valid_from = ", "valid_from = 2025-02-30 #", SyntaxMistake.DAY, "2025-02-30"),
    "a time of day": ("service_day_end_hour = ", "service_day_end_hour = 03:00 #", SyntaxMistake.CLOCK, "07:30:00"),
    "no value": ("region = 34", "region =", SyntaxMistake.NOTHING, "Write one"),
    "yes": ("region = 34", "region = да", SyntaxMistake.NO_SWITCH, "true or false"),
    "a Cyrillic letter": ("region = 34", "rеgion = 34", SyntaxMistake.LETTER, "U+0435"),
    "a fixed space": ("region = 34", "region\u00a0= 34", SyntaxMistake.INVISIBLE, "U+00A0"),
    "half a heading": ("[fares]", "[fares", SyntaxMistake.HEADING, "[name]"),
    "a half of two": ("[[transfers]]", "[[transfers]", SyntaxMistake.HEADING, "[[name]]"),
    "a share in words": ("pays_percent = 50", 'pays_percent = "50 %"', ShapeMistake.NEEDS_NUMBER, "as 50."),
    "a share of one": ("pays_percent = 50", "pays_percent = 0.5", ShapeMistake.NEEDS_NUMBER, "as 50."),
    "a number in quotes": ("region = 34", 'region = "34"', ShapeMistake.NEEDS_NUMBER, "as 34."),
    "minutes": ("window_s = 3600", 'window_s = "45 min"', ShapeMistake.NEEDS_NUMBER, "as 2700."),
    "a time for a length": ("window_s = 3600", "window_s = 01:30:00", ShapeMistake.NEEDS_NUMBER, "as 5400."),
    "roubles": ("transport_card = 2400", 'transport_card = "1 024,00 руб"', ShapeMistake.MONEY, "number: 102400"),
    "whole roubles": ("transport_card = 2400", 'transport_card = "24 руб"', ShapeMistake.MONEY, "number: 2400"),
    "a list in one": ('languages = ["ru", "en"]', 'languages = "ru, en"', ShapeMistake.NEEDS_LIST, '["ru", "en"]'),
    "a city alone": ('time_zone = "Europe/', 'time_zone = "', RuleMistake.UNKNOWN_TIME_ZONE, "Europe/"),
    "small letters": ('currency = "RUB"', 'currency = "rub"', RuleMistake.UNKNOWN_CURRENCY, "such as RUB:"),
}  # fmt: skip


def test_a_habit_of_writing_is_recognised_and_the_right_form_is_shown(run: Run, tmp_path: Path) -> None:
    paths = []
    for number, (right, wrong, _, _) in enumerate(HABITS.values()):
        assert right in DEMO, right
        paths.append(tmp_path / f"{number:02}.toml")
        paths[-1].write_text(DEMO.replace(right, wrong, 1), "utf-8")
    said = dict(zip(HABITS, checked(run, *paths), strict=True))
    for name, (right, wrong, code, words) in HABITS.items():
        found = said[name]["mistakes"]
        line = line_of(DEMO.replace(right, wrong, 1), wrong)
        assert (found[0]["code"], found[0]["line"]) == (code, line), (name, found)
        assert words in f"{found[0]['what']}. {found[0]['advice']}", (name, found)


UNREADABLE = """\
[header]
id = “own”
version: 1
currency = RUB
[profiles.bus]
rights = ["pass", "purse"
[fares
base_minor = 40,00
by_medium = { transport_card = 24,00 }
[[transfers]]
id = "one"
id = "two"
[counters]
slots = [
  { name = "day", bits = 6, },
  { name = "month", bits = 6 }
  { name = "year", bits = 6 },
]
[[zones]
name = yes
[[zones.more]]
x = 1
"""
"""A line for each way of writing that the parser cannot go on after."""


def test_every_statement_that_is_no_toml_is_named_at_once(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(UNREADABLE, "utf-8")
    (said,) = checked(run, path)
    assert [(one["line"], one["code"]) for one in said["mistakes"]] == [
        (2, SyntaxMistake.QUOTATION_MARK),
        (3, SyntaxMistake.NO_EQUALS),
        (4, SyntaxMistake.NO_QUOTES),
        (7, SyntaxMistake.NO_COMMA),
        (7, SyntaxMistake.HEADING),
        (8, SyntaxMistake.DECIMAL_COMMA),
        (9, SyntaxMistake.DECIMAL_COMMA),
        (12, SyntaxMistake.TWICE),
        (15, SyntaxMistake.BRACES),
        (19, SyntaxMistake.HEADING),
        (20, SyntaxMistake.NO_SWITCH),
    ]
    assert next(one for one in said["mistakes"] if one["code"] == SyntaxMistake.NO_COMMA)["values"] == {
        "opened": 6
    }


def test_of_very_many_such_statements_the_first_are_named(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("\n".join(f"k{number} = 1,50" for number in range(1000)), "utf-8")
    (said,) = checked(run, path)
    assert [one["line"] for one in said["mistakes"]] == list(range(1, MOST_STATEMENTS + 1))


def test_a_key_of_another_table_hides_no_unknown_name(run: Run, tmp_path: Path) -> None:
    """A wrong number of a product, say: nothing refers to it."""
    path = tmp_path / "own.toml"
    text = DEMO.replace('counter = "concession_month"', 'counter = "consession_month"', 1)
    number = re.search(r"\[\[products\]\]\n(?:.*\n)*?id = \d+", text)
    assert number is not None
    path.write_text(text.replace(number[0], f"{number[0]}000000", 1), "utf-8")
    (said,) = checked(run, path)
    assert {one["code"] for one in said["mistakes"]} >= {NameMistake.UNKNOWN_NEAR, ShapeMistake.TOO_BIG}


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
