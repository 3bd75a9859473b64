"""Issue-worthy situations: one clear line that says what to do, a distinct exit code, and nothing is lost."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from sim.profile import LAB_KEYS
from terminal.app.station import open_journal
from terminal.codes import UpdateFault
from terminal.errors import ActiveSetError
from terminal.policy.load import DEMO_REGION
from terminal.sync.identity import load_or_create_key, public_path
from terminal.updates.floors import FLOORS_FILE
from terminal.updates.store import ACTIVE_FILE
from tests.config_file import config_file
from tests.terminal.cli.conftest import ENVIRONMENT, Run, Start, command

STATE = "state"
SERVE = ("run", "--profile", "bus", "--state", STATE, "--json")


@pytest.fixture(autouse=True)
def shift(tmp_path: Path) -> None:
    """Every `terminal run` here opens a shift."""
    config_file(tmp_path, shift={"operator": "17"})


def assert_one_line(stderr: str) -> str:
    """The last line of what a failed command says; never a trace-back."""
    assert "Traceback" not in stderr
    lines = [line for line in stderr.splitlines() if line.startswith("terminal: ")]
    assert len(lines) == 1, stderr
    return lines[0]


def rows_in(tmp_path: Path) -> int:
    with sqlite3.connect(tmp_path / STATE / "journal.db") as connection:
        (count,) = connection.execute("SELECT count(*) FROM row").fetchone()
    connection.close()
    return int(count)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((*SERVE, "--reader", "usb"), 15, "no installed package brings the reader 'usb'"),
        ((*SERVE, "--reader", "sim:nobody"), 50, "Choose one of"),
        ((*SERVE, "--reader", "sim:adult_purse", "--region", "atlantis"), 10, "supplied regions"),
        ((*SERVE, "--reader", "sim:adult_purse", "--keys", "missing.toml"), 50, "missing.toml"),
        (("journal", "show", "--state", "nowhere"), 20, "has run"),
        (("journal", "verify", "--state", "nowhere"), 20, "has run"),
        (("sync", "--state", STATE), 11, "terminal enrol"),
        (("shift", "close", "--state", STATE), 20, "terminal shift open"),
        (("card", "read", "--reader", "sim:not_desfire"), 30, "not a resident card"),
        (
            ("card", "issue", "--resident", "adult_purse", "--reader", "sim:month_pass"),
            30,
            "this card is issued already",
        ),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else None,
)
def test_bad_input_is_one_line_and_a_code(run: Run, arguments: tuple[str, ...], code: int, says: str) -> None:
    finished = run(*arguments)
    assert finished.returncode == code, finished.stderr
    assert says in assert_one_line(finished.stderr)


def test_a_missing_deny_list_stops_the_terminal(run: Run, tmp_path: Path) -> None:
    config_file(tmp_path, shift={"operator": "17"}, lists={"deny": "missing"})
    finished = run(*SERVE, "--reader", "sim:adult_purse")
    assert finished.returncode == 10, finished.stderr
    assert "missing" in assert_one_line(finished.stderr)


def test_invalid_region_document_names_file_and_place(run: Run, tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text(
        DEMO_REGION.read_text("utf-8").replace('kind = "free_window"', 'kind = "lottery"'), "utf-8"
    )
    finished = run(*SERVE, "--reader", "sim:adult_purse", "--region", broken)
    assert finished.returncode == 10
    line = assert_one_line(finished.stderr)
    assert "broken.toml" in line
    assert "transfer" in line


def test_production_keys_are_refused(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "production.toml"
    path.write_text(LAB_KEYS.read_text("utf-8").replace('"laboratory"', '"production"'), "utf-8")
    finished = run("card", "read", "--reader", "sim:adult_purse", "--keys", path)
    assert finished.returncode == 11
    assert "terminal keys init" in assert_one_line(finished.stderr)


def test_a_second_process_on_one_journal_is_turned_away(run: Run, start: Start, tmp_path: Path) -> None:
    with open_journal(tmp_path / STATE, 1):
        finished = run(*SERVE, "--reader", "sim:adult_purse")
        assert finished.returncode == 21
        assert_one_line(finished.stderr)
    assert run(*SERVE, "--reader", "sim:adult_purse").returncode == 0


def test_a_canteen_does_not_work_on_the_shift_of_a_bus(run: Run, tmp_path: Path) -> None:
    assert run(*SERVE, "--reader", "sim:adult_purse").returncode == 0
    canteen = ("run", "--profile", "canteen", "--state", STATE, "--reader", "sim:pupil_grade3")
    for shift in ({}, {"operator": "18"}):
        config_file(tmp_path, shift=shift)
        finished = run(*canteen)
        assert finished.returncode == 20
        assert "terminal shift close" in assert_one_line(finished.stderr)
    assert run("shift", "close", "--state", STATE).returncode == 0
    assert run(*canteen).returncode == 0


def test_a_damaged_journal_is_put_aside_and_the_terminal_goes_on(run: Run, tmp_path: Path) -> None:
    assert run(*SERVE, "--reader", "sim:adult_purse").returncode == 0
    with sqlite3.connect(tmp_path / STATE / "journal.db") as connection:
        connection.execute("UPDATE row SET body = X'01' WHERE sequence = 3")
    connection.close()
    damaged = (tmp_path / STATE / "journal.db").read_bytes()
    for arguments in (("shift", "close", "--state", STATE), ("journal", "verify", "--state", STATE)):
        finished = run(*arguments)
        assert finished.returncode == 22, finished.stderr
        assert "3" in assert_one_line(finished.stderr)
    assert run(*SERVE, "--reader", "sim:adult_purse").returncode == 0
    assert (tmp_path / STATE / "journal.db.1.damaged").read_bytes() == damaged
    first = json.loads(run("journal", "show", "--state", STATE, "--json").stdout.splitlines()[0])
    assert (first["kind"], first["cause"]) == ("NumbersSkipped", "began_anew")
    assert first["sequence"] == first["last"] + 1 > first["first"] == first["stored"] + 1 > 3
    assert run("journal", "verify", "--state", STATE).returncode == 0


def test_no_older_document_comes_back_when_journal_and_set_are_lost(run: Run, tmp_path: Path) -> None:
    """The floor is known once more beside both; where that is lost too the terminal goes on, and says so."""
    text, state = DEMO_REGION.read_text("utf-8"), tmp_path / STATE
    (tmp_path / "newer.toml").write_text(text.replace("\nversion = 1", "\nversion = 2"), "utf-8")
    assert run(*SERVE, "--reader", "sim:adult_purse", "--region", tmp_path / "newer.toml").returncode == 0
    (state / "journal.db").write_bytes(bytes(8192))
    (state / ACTIVE_FILE).unlink()
    for _ in range(2):
        finished = run(*SERVE, "--reader", "sim:adult_purse")
        assert finished.returncode == ActiveSetError.exit_code
        assert "region: version 2 was in force" in assert_one_line(finished.stderr)
    (state / FLOORS_FILE).unlink()
    finished = run(*SERVE, "--reader", "sim:adult_purse")
    assert finished.returncode == 0
    assert "whether a newer one was before is lost" in finished.stderr
    rows = map(json.loads, run("journal", "show", "--state", STATE, "--json").stdout.splitlines())
    assert [row["inputs"]["version"] for row in rows if row.get("code") == UpdateFault.FLOOR_LOST] == [1]


def test_collector_down_loses_nothing(run: Run, tmp_path: Path) -> None:
    assert run(*SERVE, "--reader", "sim:adult_purse").returncode == 0
    load_or_create_key(tmp_path / "other.key")
    public_path(tmp_path / "other.key").rename(tmp_path / STATE / "collector.pub")
    before = rows_in(tmp_path)
    finished = run("sync", "--state", STATE, "--collector", "http://127.0.0.1:9")
    assert finished.returncode == 40
    assert "Nothing is lost" in assert_one_line(finished.stderr)
    assert rows_in(tmp_path) == before


def test_a_serving_terminal_says_once_that_its_records_do_not_leave(run: Run, tmp_path: Path) -> None:
    load_or_create_key(tmp_path / "other.key")
    (tmp_path / STATE).mkdir()
    public_path(tmp_path / "other.key").rename(tmp_path / STATE / "collector.pub")
    finished = run(*SERVE, "--reader", "sim:adult_purse,month_pass", "--collector", "http://127.0.0.1:9")
    assert finished.returncode == 0, "taps go on"
    assert len(finished.stdout.splitlines()) == 2
    waiting = (*SERVE, "--reader", "sim:", "--collector", "http://127.0.0.1:9")
    with subprocess.Popen(
        command(waiting), cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said = next(line for line in process.stderr if "sync" in line)
        process.terminate()
        rest = process.stderr.read()
    assert "Nothing is lost" in said
    assert "sync" not in rest


def test_port_in_use(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        finished = run("collector", "--port", taken.getsockname()[1])
    assert finished.returncode == 41
    assert "choose another port" in assert_one_line(finished.stderr)


def test_terminal_to_collector_by_hand(run: Run, start: Start, tmp_path: Path) -> None:
    """What README tells: enrol, serve, send, delete after the signed acknowledgement."""
    assert run(*SERVE, "--reader", "sim:adult_purse,month_pass").returncode == 0
    collector = start("collector", "--folder", "collector", "--port", 0, "--json")
    assert collector.stdout is not None
    url = json.loads(collector.stdout.readline())["url"]
    refused = run("sync", "--state", STATE, "--collector", url)
    assert refused.returncode == 11, "made the identity, but knows no collector yet"
    shutil.copy(tmp_path / "collector/collector.pub", tmp_path / STATE / "collector.pub")
    unknown = run("sync", "--state", STATE, "--collector", url)
    assert unknown.returncode == 40
    assert "Have the operator enrol terminal 1" in assert_one_line(unknown.stderr)
    by_hand = ("--key", f"{STATE}/terminal.pub", "--folder", "collector")
    assert run("collector", "enrol", 1, *by_hand).returncode == 0
    sent = json.loads(run("sync", "--state", STATE, "--collector", url, "--keep-hours", 0, "--json").stdout)
    assert sent["unsent"] == 0
    assert sent["deleted"] == sent["uploaded"] > 0
    again = json.loads(run("sync", "--state", STATE, "--collector", url, "--json").stdout)
    assert again["uploaded"] == 0
    assert run("journal", "verify", "--state", STATE).returncode == 0


def test_killed_while_serving_and_started_again(start: Start, run: Run, tmp_path: Path) -> None:
    """kill -9 in the middle of many taps: the journal is sound, goes on without a gap, and every intent has its end."""
    process = start(*SERVE, "--reader", "sim:adult_purse", "--taps", 100000)
    assert process.stdout is not None
    for _ in range(5):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    time.sleep(0.1)
    verified = run("journal", "verify", "--state", STATE, "--json")
    assert json.loads(verified.stdout)["ok"] is True
    last = json.loads(verified.stdout)["last"]
    assert run(*SERVE, "--reader", "sim:month_pass").returncode == 0
    shown = [
        json.loads(line)
        for line in run("journal", "show", "--state", STATE, "--json", "--limit", 100000).stdout.splitlines()
    ]
    assert [row["sequence"] for row in shown] == list(range(1, len(shown) + 1))
    assert shown[last]["kind"] == "Started"
