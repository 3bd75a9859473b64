"""`terminal run` with [recording] and `sim transcript`, as people run them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from sim.profile import LAB_KEYS
from tests.config_file import config_file
from tests.terminal.cli.conftest import ENVIRONMENT, Run


def record(run: Run, folder: Path, *, masked: bool = True) -> subprocess.CompletedProcess[str]:
    shift, recording = {"operator": "d", "route": 15}, {"file": "taps.jsonl", "masked": masked}
    config_file(folder, shift=shift, recording=recording)
    return run("run", "--profile", "bus", "--reader", "sim:adult_purse,month_pass", "--state", "state")


def test_recorded_taps_are_shown_and_reckoned(run: Run, tmp_path: Path) -> None:
    done = record(run, tmp_path, masked=False)
    assert done.returncode == 0, done.stderr
    shown = run("transcript", "show", "taps.jsonl", "--keys", LAB_KEYS, program="sim.cli.app")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("CommitTransaction [MAC, verified]: 9100 ok") == 2
    assert "amount 2400" in shown.stdout
    as_json = run("transcript", "show", "taps.jsonl", "--tap", "2", "--json", program="sim.cli.app")
    (tap,) = json.loads(as_json.stdout)
    assert len(tap["steps"]) == 8
    air = run("transcript", "air", "taps.jsonl", "--tap", "1", "--json", program="sim.cli.app")
    rows = {row["bit_rate_kbit"]: row for row in json.loads(air.stdout)}
    assert set(rows) == {106, 212, 424, 848}
    assert rows[106]["exchanges"] == 8
    assert rows[106]["exchanges_ms"] > rows[848]["exchanges_ms"] > 0
    wrong = run("transcript", "air", "taps.jsonl", "--bit-rate", "300", program="sim.cli.app")
    assert (wrong.returncode, "no bit rate 300" in wrong.stderr) == (50, True)


def test_a_terminals_random_numbers_are_its_own_and_never_twice_the_same(run: Run, tmp_path: Path) -> None:
    """What a running terminal says to cards, in two processes: no number is a constant, and none comes again."""
    numbers: list[str] = []
    for _ in range(2):
        assert record(run, tmp_path, masked=False).returncode == 0
        for tap in ("1", "2"):
            command = ("transcript", "replay", "taps.jsonl", "--tap", tap, "--keys", LAB_KEYS)
            done = run(*command, program="sim.cli.app")
            assert done.returncode == 0, done.stderr
            numbers += [line.split()[-1] for line in done.stdout.splitlines() if "random" in line]
        (tmp_path / "taps.jsonl").unlink()
    assert len(numbers) >= 4
    assert len(numbers) == len(set(numbers))
    assert all(len(set(bytes.fromhex(number))) > 4 for number in numbers)


def test_recording_is_masked_unless_asked(run: Run, tmp_path: Path) -> None:
    assert record(run, tmp_path).returncode == 0
    shown = run("transcript", "show", "taps.jsonl", "--keys", LAB_KEYS, program="sim.cli.app")
    assert shown.stdout.startswith("taps.jsonl: 2 taps, masked\n")
    assert "give --uid" in shown.stdout
    refused = run("transcript", "replay", "taps.jsonl", program="sim.cli.app")
    assert refused.returncode == 50
    assert refused.stderr.startswith("sim: tap 1 is masked.")


def test_an_existing_recording_is_not_overwritten(run: Run, tmp_path: Path) -> None:
    assert record(run, tmp_path).returncode == 0
    again = record(run, tmp_path)
    assert again.returncode != 0
    assert "exists already" in again.stderr


def test_a_recording_answers_commands_from_standard_input(run: Run, tmp_path: Path) -> None:
    assert record(run, tmp_path, masked=False).returncode == 0
    lines = (tmp_path / "taps.jsonl").read_text().splitlines()
    messages = [json.loads(line)["bytes"] for line in lines[2:20]]
    sent, got = messages[::2], messages[1::2]
    done = subprocess.run(
        [sys.executable, "-m", "sim.cli.app", "transcript", "replay", "taps.jsonl", "--keys", str(LAB_KEYS)],
        input="\n".join(sent),
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    random, *answers = done.stdout.splitlines()
    assert len(random) == len("terminal random ") + 32
    assert answers == got
