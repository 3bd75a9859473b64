"""A log that was cut or flipped after kill -9, by the product's own commands, up to the collector's alarms."""

from __future__ import annotations

import json
import random
import signal
from pathlib import Path

import pytest

from terminal.journal.numbers import BLOCK
from tests.config_file import config_file
from tests.flows.live import STATE, collector
from tests.terminal.cli.conftest import Run, Start
from tests.terminal.journal.damage import free_page_list

FRAME = 24 + 4_096
SERVE = ("run", "--profile", "bus", "--state", STATE, "--number", 7, "--json")


def killed(start: Start, run: Run) -> int:
    """A terminal that is killed while it serves; the number of its newest row."""
    process = start(*SERVE, "--reader", "sim:adult_purse", "--taps", 100_000)
    assert process.stdout is not None
    for _ in range(30):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait(20)
    return int(rows(run)[-1]["sequence"])


def rows(run: Run) -> list[dict]:
    finished = run("journal", "show", "--state", STATE, "--json", "--limit", 100_000)
    assert finished.returncode == 0, finished.stderr
    return [json.loads(line) for line in finished.stdout.splitlines()]


@pytest.fixture(autouse=True)
def shift(tmp_path: Path) -> None:
    config_file(tmp_path, shift={"operator": "17"})


def test_rows_cut_off_are_named_and_the_collector_raises_an_alarm(
    run: Run, start: Start, tmp_path: Path
) -> None:
    last = killed(start, run)
    log = tmp_path / STATE / "journal.db-wal"
    log.write_bytes(log.read_bytes()[:30_000])  # seven whole frames, of many more
    assert run(*SERVE, "--reader", "sim:month_pass").returncode == 0
    after = rows(run)
    (skip,) = (row for row in after if row["kind"] == "NumbersSkipped")
    assert skip["cause"] == "rows_lost"
    assert (
        1 < skip["first"] <= skip["stored"] <= last <= skip["stored"] + 1
    )  # killed before the newest was marked
    assert skip["stored"] <= skip["last"] <= last + BLOCK
    assert [row["sequence"] for row in after if row["sequence"] < skip["first"]] == list(
        range(1, skip["first"])
    )
    assert run("journal", "verify", "--state", STATE).returncode == 0
    assert json.loads(run("journal", "status", "--state", STATE, "--json").stdout)["rows"] == len(after)

    with collector(tmp_path) as url:
        sent = run("sync", "--state", STATE, "--number", 7, "--collector", url, "--json")
        assert json.loads(sent.stdout)["uploaded"] == len(after), sent.stderr
        alarms = run("collector", "alarms", "--folder", "collector", "--json").stdout
        (lost,) = (one for one in json.loads(alarms)["alarms"] if one["kind"] == "rows_lost")
        assert lost["terminal"] == 7
        assert f"rows {skip['first']} to {skip['stored']}" in lost["says"]


def test_frames_behind_a_broken_one_are_not_dropped(run: Run, start: Start, tmp_path: Path) -> None:
    last = killed(start, run)
    log = tmp_path / STATE / "journal.db-wal"
    content = bytearray(log.read_bytes())
    frames = [(content[at : at + 4], at) for at in range(32, len(content), FRAME)]
    pages = [page for page, _ in frames]
    # A page that a later frame holds anew: nothing of what is broken is needed.
    broken = next(at for n, (page, at) in enumerate(frames[5:], 6) if page in pages[n:])
    content[broken + 100] ^= 4
    log.write_bytes(content)
    assert run(*SERVE, "--reader", "sim:month_pass").returncode == 0
    after = rows(run)
    (skip,) = (row for row in after if row["kind"] == "NumbersSkipped")
    assert (skip["cause"], skip["first"]) == ("mended", last + 1)
    assert [row["sequence"] for row in after if row["sequence"] < skip["first"]] == list(
        range(1, skip["first"])
    )
    assert (tmp_path / STATE / "journal.db-wal.1.damaged").read_bytes() == content
    journal = sorted((tmp_path / STATE).glob("journal.db*"))
    assert [path.name for path in journal if path.stat().st_mode & 0o077 or ".new" in path.name] == []


def test_a_damaged_list_of_free_pages_takes_no_row_and_no_terminal_away(
    run: Run, start: Start, tmp_path: Path
) -> None:
    """The rows are sound; only a page that is needed for new ones is not. They go on in a new file."""
    assert run(*SERVE, "--reader", "sim:adult_purse", "--taps", 10).returncode == 0
    before = rows(run)
    database = tmp_path / STATE / "journal.db"
    content = bytearray(database.read_bytes())
    free_page_list(content, random.Random(9_005))
    database.write_bytes(content)

    stopped = run(*SERVE, "--reader", "sim:adult_purse", "--taps", 80)
    assert stopped.returncode == 22, stopped.stderr
    assert run(*SERVE, "--reader", "sim:month_pass", "--taps", 20).returncode == 0
    after = rows(run)
    assert after[: len(before)] == before
    (skip,) = (row for row in after if row["kind"] == "NumbersSkipped")
    assert skip["cause"] == "mended"
    assert skip["stored"] < skip["first"]
    assert [row["sequence"] for row in after if row["sequence"] < skip["first"]] == list(
        range(1, skip["first"])
    )
    assert len(after) > len(before) + 20
    verified = run("journal", "verify", "--state", STATE)
    assert verified.returncode == 0, verified.stderr
    aside = (tmp_path / STATE / "journal.db.1.damaged").read_bytes()
    assert aside[32:40] == content[32:40]

    with collector(tmp_path) as url:
        sent = run("sync", "--state", STATE, "--number", 7, "--collector", url, "--json")
        assert json.loads(sent.stdout)["uploaded"] == len(after), sent.stderr
        alarms = run("collector", "alarms", "--folder", "collector", "--json").stdout
        (heard,) = (one for one in json.loads(alarms)["alarms"] if one["kind"] == "gap")
        assert heard["terminal"] == 7
