"""What both commands print arrives: in every locale, at every width, and when the other end is full or gone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cardcli import VERSION
from cardcli.output import READABLE, readable
from terminal.lab.demo.script import MORNING
from terminal.lab.demo.table import NARROWEST
from tests.terminal.cli.conftest import ENVIRONMENT, ROOT, command

TERMINAL, SIM = "terminal.cli.app", "sim.cli.app"
NO_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
ASCII, KOI8 = {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "koi8-r"}
FULL = Path("/dev/full")
HALF_A_WORD = re.compile(r"…|\.\.\.|\?|\\[ux]")
"""A crop, or a character that could not be shown."""

MANY = [
    (TERMINAL, "demo"),
    (TERMINAL, "policy", "check", "demo", "--json"),
    (TERMINAL, "--help"),
    (SIM, "profiles"),
    (SIM, "--version"),
]


def printed(
    folder: Path, program: str, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command(arguments, program),
        env=ENVIRONMENT | environment,
        cwd=folder,
        capture_output=True,
        check=False,
        timeout=60,
    )


def ended(*what: str, stdout: int) -> tuple[int, str]:
    """How a command ends that writes to `stdout`, and what it says on standard error."""
    program, *arguments = what
    process = subprocess.run(
        command(tuple(arguments), program),
        env=ENVIRONMENT,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    return process.returncode, process.stderr


@pytest.mark.parametrize(
    ("columns", "locale", "encoding", "says"),
    [
        (40, {"PYTHONIOENCODING": "utf-8"}, "utf-8", "500.00 → 476.00"),
        (80, NO_LOCALE, "ascii", "500.00 -> 476.00"),
        (100, KOI8, "koi8-r", "Осталось поездок: 32"),
        (150, {"PYTHONIOENCODING": "utf-8"}, "utf-8", "Приятного аппетита!"),
    ],
)
def test_the_demo_is_readable_in_any_window(
    tmp_path: Path, columns: int, locale: dict[str, str], encoding: str, says: str
) -> None:
    done = printed(tmp_path, TERMINAL, "demo", COLUMNS=str(columns), **locale)
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode(encoding)
    assert says in text
    assert not HALF_A_WORD.search(text)
    whole = {step.resident for step in MORNING} | {"recognised", "resident", "balanced:"}
    assert whole <= set(re.split(r"[\s|]+", text))
    table = text.partition("\n\n")[0].splitlines()[1:]
    table = table[: next((at for at, line in enumerate(table) if not line.strip()), None)]
    assert {len(line) for line in table} == {max(columns, NARROWEST)}


def test_without_cyrillic_the_demo_is_english_and_says_so_in_one_line(tmp_path: Path) -> None:
    done = printed(tmp_path, TERMINAL, "demo", **ASCII)
    assert done.stderr.decode().splitlines() == [
        "terminal: ascii shows no Cyrillic: English is used; --language ru spells Russian in Latin"
    ]
    asked = printed(tmp_path, TERMINAL, "demo", "--language", "ru", **ASCII)
    assert (asked.returncode, asked.stderr) == (0, b"")
    assert b"Oplacheno." in asked.stdout


def test_json_does_not_depend_on_the_locale(tmp_path: Path) -> None:
    for program, *arguments in ([TERMINAL, "demo", "--json"], [SIM, "profiles", "--json"]):
        at_home = printed(tmp_path, program, *arguments, PYTHONIOENCODING="utf-8")
        abroad = printed(tmp_path, program, *arguments, **ASCII)
        assert (abroad.returncode, abroad.stderr) == (0, b"")
        assert json.loads(abroad.stdout.decode()) == json.loads(at_home.stdout.decode())


@pytest.mark.parametrize(("locale", "encoding", "russian"), [(ASCII, "ascii", False), (KOI8, "koi8-r", True)])
def test_profiles_are_listed_in_any_locale(
    tmp_path: Path, locale: dict[str, str], encoding: str, russian: bool
) -> None:
    done = printed(tmp_path, SIM, "profiles", **locale)
    text = done.stdout.decode(encoding)
    assert done.returncode == 0
    assert not HALF_A_WORD.search(text)
    assert ("по-русски" in text) is russian
    assert len(done.stderr.splitlines()) == (not russian)
    assert len({len(line) for line in text.splitlines()}) == 1


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here (Linux has it)")
@pytest.mark.parametrize("what", MANY, ids=" ".join)
def test_a_full_disk_is_one_line_and_an_exit_code(what: tuple[str, ...]) -> None:
    with FULL.open("wb") as full:
        code, said = ended(*what, stdout=full.fileno())
    assert code == 90
    assert re.fullmatch(
        r"(terminal|sim): standard output cannot be written: No space left on device\. .*\n", said
    )


@pytest.mark.parametrize("what", MANY, ids=" ".join)
def test_a_reader_that_leaves_is_no_event(what: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert ended(*what, stdout=writing) == (141, "")
    finally:
        os.close(writing)


@pytest.mark.parametrize("what", [(TERMINAL, "demo", "--json"), (SIM, "profiles")], ids=" ".join)
def test_closed_standard_output_is_nobody_to_talk_to(what: tuple[str, ...]) -> None:
    program, *arguments = what
    shell = ["sh", "-c", 'exec "$@" >&-', "sh", *command(tuple(arguments), program)]
    done = subprocess.run(shell, env=ENVIRONMENT, stderr=subprocess.PIPE, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_file_name_that_is_no_text_can_be_said(tmp_path: Path) -> None:
    done = printed(tmp_path, TERMINAL, "journal", "verify", "--state", "\udcff-Жук", **ASCII)
    assert done.returncode == 20
    assert b"there is no journal in \\udcff-Zhuk." in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_tables_for_programs_are_utf_8(tmp_path: Path) -> None:
    script = "from cardcli.output import *; run('x', lambda: print('Школа → 5 ₽', file=data_output()))"
    done = subprocess.run(
        [sys.executable, "-c", script], env=ENVIRONMENT | ASCII, cwd=ROOT, capture_output=True, check=True
    )
    assert done.stdout.decode() == "Школа → 5 ₽\n"


@pytest.mark.parametrize(
    ("text", "encoding", "shown"),
    [
        ("24,50\xa0₽ → «Щука» — №\xa07", "ascii", "24,50 RUB -> <Shchuka> - No 7"),
        ("24,50\xa0₽ → «Щука» — №\xa07", "koi8-r", "24,50\xa0RUB -> <Щука> - No\xa07"),
        ("Подъезд, объём, Ёлка, Łódź", "ascii", "Podezd, obyom, Yolka, \\u0141odz"),
        ("½ часа…", "koi8-r", "1/2 часа..."),
        ("🚌", "ascii", "\\U0001f68c"),
        ("é → ₽", "utf-8", "é → ₽"),
    ],
)
def test_what_an_encoding_lacks_is_spelled(text: str, encoding: str, shown: str) -> None:
    assert readable(text, encoding) == shown


def test_bytes_that_are_no_text_stay_an_error() -> None:
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("utf-8", READABLE)


@pytest.mark.parametrize(("program", "name"), [(TERMINAL, "terminal"), (SIM, "sim")])
def test_both_programs_say_their_version(tmp_path: Path, program: str, name: str) -> None:
    done = printed(tmp_path, program, "--version")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == f"{name} (resident-card-terminal) {VERSION}\n"


def test_an_interrupt_outside_of_a_command_is_no_trace_back() -> None:
    """A signal as the command is being made, before it can take it. What a shell starts beside itself ignores
    signals, and that is inherited, so the process takes them as one at a terminal does.
    """
    code = (
        "import os, signal; from cardcli import output; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "output.run('terminal', lambda: os.kill(os.getpid(), signal.SIGINT))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
