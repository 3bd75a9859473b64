"""`terminal journal …`: what people ask a journal, and what it says when it cannot answer."""

from __future__ import annotations

import gc
import io
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sim.profile import LAB_KEYS
from terminal.app.station import JOURNAL_FILE, journal_key, open_journal
from terminal.errors import JournalDamaged
from terminal.journal.chain import link
from terminal.journal.journal import Journal
from terminal.journal.sealed import Contents
from terminal.journal.stored import Row, insert_row
from tests.config_file import config_file
from tests.terminal.cli.inside import Run, Told, runner
from tests.terminal.journal.samples import day

STATE = Path("var/terminal")


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(tmp_path, monkeypatch, capfd)


@contextmanager
def journal_in(folder: Path) -> Iterator[Journal]:
    with open_journal(folder / STATE, 1, tariff="demo:1") as journal:
        yield journal


@pytest.fixture
def filled(tmp_path: Path, told: Run) -> Path:
    """Ten rows, closed in good order."""
    with journal_in(tmp_path) as journal:
        for record in day(5):
            journal.append(record)
    return tmp_path / STATE / JOURNAL_FILE


def shown(finished: Told) -> list[tuple[int, str]]:
    rows = [json.loads(line) for line in finished.stdout.splitlines()]
    return [(row["sequence"], row["kind"]) for row in rows]


def test_show_filters(filled: Path, told: Run) -> None:
    assert shown(told("journal", "show", "--json", "--last", 3)) == [
        (8, "Committed"),
        (9, "Intent"),
        (10, "Committed"),
    ]
    assert shown(told("journal", "show", "--json", "--kind", "Committed", "--after", 3, "--limit", 2)) == [
        (4, "Committed"),
        (6, "Committed"),
    ]
    assert len(told("journal", "show").stdout.splitlines()) == 10


def test_show_goes_on_past_what_cannot_be_read(filled: Path, told: Run) -> None:
    key = journal_key(filled)
    with open_journal(filled.parent, 1) as journal:
        head = journal.head
    connection = sqlite3.connect(filled)
    connection.execute("UPDATE row SET body = x'0101' WHERE sequence = 4")
    newer = b"\x02\x90"
    insert_row(connection, Contents(1, key), Row(11, newer, link(head.hash, newer)))
    connection.commit()
    connection.close()
    finished = told("journal", "show", "--json")
    assert finished.returncode == 26
    assert "Traceback" not in finished.stderr
    assert [kind for _, kind in shown(finished)][2:5] == ["Intent", "Unreadable", "Intent"]
    assert json.loads(finished.stdout.splitlines()[3])["why"] == "it was changed"
    assert "record version 2" in json.loads(finished.stdout.splitlines()[10])["why"]
    assert told("journal", "show", "--last", 3, "--kind", "Intent").returncode == 0


def test_verify_checks_signatures_with_the_terminals_own_key(filled: Path, told: Run) -> None:
    finished = told("journal", "verify", "--json")
    found = json.loads(finished.stdout)
    assert (found["ok"], found["rows"], found["checkpoints"], found["signatures"]) == (True, 10, 1, 1)
    (filled.parent / "terminal.key").unlink()
    (filled.parent / "terminal.pub").rename(filled.parent / "old.pub")
    with journal_in(filled.parents[2]):
        pass
    finished = told("journal", "verify")
    assert finished.returncode == 22
    assert "checkpoint 1 is not signed by this terminal" in finished.stderr
    both = ("--identity", filled.parent / "old.pub", "--identity", filled.parent / "terminal.pub")
    assert told("journal", "verify", *both).returncode == 0


DAMAGE = {
    "an unknown file format": (44, b"\xff" * 4),
    "a write version of the future": (18, b"\xff"),
    "a column renamed": None,
    "a name that is no UTF-8": None,
}


def damage(path: Path, kind: str) -> None:
    """Change bytes of the closed journal as a failing disk would."""
    content = path.read_bytes()
    if kind == "a column renamed":
        changed = content.replace(b"key_id BLOB", b"key_ib BLOB")
    elif kind == "a name that is no UTF-8":
        changed = content.replace(b"CREATE TABLE checkpoint", b"CREATE TABLE \xff\xfeeckpoint")
    else:
        at, value = DAMAGE[kind] or (0, b"")
        changed = content[:at] + value + content[at + len(value) :]
    assert changed != content
    path.write_bytes(changed)


@pytest.mark.parametrize("kind", DAMAGE)
def test_what_only_the_files_content_explains_is_damage(filled: Path, told: Run, kind: str) -> None:
    damage(filled, kind)
    finished = told("journal", "upgrade")
    assert (finished.returncode, "Move the file aside" in finished.stderr) == (22, True), finished.stderr
    assert "Check the d" not in finished.stderr
    assert told("run", "--profile", "bus", "--reader", "sim:blocked").returncode == 0, "a new one goes on"
    assert told("journal", "verify").returncode == 0


@pytest.mark.parametrize("kind", sorted(DAMAGE.keys() - {"a write version of the future"}))
def test_damaged_content_is_told_by_those_who_only_read(filled: Path, told: Run, kind: str) -> None:
    damage(filled, kind)
    for command in ("verify", "show", "status"):
        assert told("journal", command).returncode == 22, command


def test_a_journal_that_was_damaged_can_be_opened_once_it_is_whole_again(filled: Path, told: Run) -> None:
    """What stops the opening, of whatever kind, leaves no lock behind."""
    whole = filled.read_bytes()
    damage(filled, "a name that is no UTF-8")
    with pytest.raises(JournalDamaged), open_journal(filled.parent, 1):
        pass
    filled.write_bytes(whole)
    assert told("journal", "verify").returncode == 0
    with open_journal(filled.parent, 1) as journal:
        assert journal.head.sequence == 10


def test_status(filled: Path, told: Run) -> None:
    found = json.loads(told("journal", "status", "--json").stdout)
    assert (found["level"], found["rows"], found["unsent"], found["sealed"]) == ("ok", 10, 10, True)
    assert found["signed_through"] == found["last"] == 10
    assert "capacity_rows" in told("journal", "status").stdout


def test_a_wiped_key_is_asked_for_first_and_final(
    filled: Path, told: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    asked = told("journal", "wipe-key")
    assert asked.returncode == 1
    assert "Lost for good" in asked.stderr
    assert told("journal", "verify").returncode == 0
    assert told("journal", "wipe-key", "--yes").returncode == 0
    for command in ("show", "verify", "status"):
        finished = told("journal", command)
        assert finished.returncode == 25, finished.stderr
        assert "these rows cannot be read" in finished.stderr
    assert told("shift", "open", "--operator", "17").returncode == 25
    assert "no key" in told("journal", "wipe-key", "--yes").stdout


def test_another_key_file_does_not_open_it(filled: Path, told: Run) -> None:
    text = LAB_KEYS.read_text("utf-8")
    line = next(line for line in text.splitlines() if line.startswith("journal = "))
    Path("other.toml").write_text(text.replace(line, f'journal = "{"ab" * 32}"'), "utf-8")
    Path("none.toml").write_text(text.replace(line, ""), "utf-8")
    for keys, code, says in (
        ("other.toml", 25, "does not open"),
        ("none.toml", 11, "no storage key 'journal'"),
    ):
        finished = told("journal", "show", "--keys", keys)
        assert finished.returncode == code
        assert says in finished.stderr


def test_back_to_the_software_before_and_forward_again(filled: Path, run: Run) -> None:
    before = run("journal", "show", "--json").stdout
    finished = run("journal", "downgrade", "--json")
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout) == {"to": 1, "rows": 10, "last": 10}
    for command in ("show", "verify"):
        finished = run("journal", command)
        assert finished.returncode == 27
        assert "terminal journal upgrade" in finished.stderr
        assert "damaged" not in finished.stderr
    assert "damaged" not in run("health").stdout
    assert "has no schema 2" in run("journal", "downgrade").stderr
    assert json.loads(run("journal", "upgrade", "--json").stdout) == {"from": 1, "to": 2, "last": 10}
    assert run("journal", "show", "--json").stdout == before
    assert run("journal", "verify").returncode == 0


@pytest.mark.parametrize(
    "command",
    [
        "journal show",
        "journal show --limit 1",
        "journal status",
        "journal verify",
        "journal recompute",
        "export csv day",
    ],
)
def test_a_command_lets_go_of_the_journal_when_it_ends(filled: Path, told: Run, command: str) -> None:
    """Not whenever the garbage is collected: going back to the software before needs the file for itself."""
    gc.disable()
    try:
        assert told(*command.split()).returncode == 0
        finished = told("journal", "downgrade")
    finally:
        gc.enable()
    assert finished.returncode == 0, finished.stderr


def test_a_running_terminal_says_that_its_shift_goes_on(tmp_path: Path, told: Run) -> None:
    serve = ("run", "--profile", "bus", "--reader", "sim:month_pass")
    config_file(tmp_path, shift={"operator": "17", "route": 7})
    assert "still open" not in told(*serve).stderr
    config_file(tmp_path, shift={"operator": "17", "route": 8})
    again = told(*serve)
    assert again.returncode == 0
    assert "shift 3 is still open (route 7, direction 0) and goes on" in again.stderr


@pytest.mark.parametrize(
    "address", ["..", "collector", "ftp://collector", "http://user@collector", "http://c/?x"]
)
def test_an_address_that_is_none_is_refused_with_an_example(tmp_path: Path, told: Run, address: str) -> None:
    with journal_in(tmp_path):
        shutil.copy(tmp_path / STATE / "terminal.pub", tmp_path / STATE / "collector.pub")
    finished = told("sync", "--collector", address)
    assert finished.returncode == 40
    assert "http://10.0.0.5:8470" in finished.stderr
