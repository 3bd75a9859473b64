"""A running terminal tells an honest double tap from a pass that was handed back: only the first opens a gate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.config_file import config_file
from tests.terminal.cli.conftest import Run


@pytest.mark.parametrize(
    ("pace_s", "effect", "admission"),
    [("0.2", "t-35:same_terminal", "let_in"), ("3", "t-36:passed_back", "inside")],
)
def test_s_8_the_second_tap_of_a_pass(
    run: Run, tmp_path: Path, pace_s: str, effect: str, admission: str
) -> None:
    config_file(tmp_path, shift={"operator": "driver-7", "route": 15})
    reader = ("--reader", "sim:month_pass", "--taps", "2", "--pace", pace_s)
    finished = run("run", "--profile", "bus", *reader, "--state", "state", "--json")
    assert finished.returncode == 0, finished.stderr
    first, second = (json.loads(line) for line in finished.stdout.splitlines())
    assert (first["message"], first["admission"]) == ("ok_pass", "let_in")
    assert (second["message"], second["admission"]) == ("already_paid", admission)
    assert second["reasons"] == [effect]
    shown = run("journal", "show", "--state", "state", "--kind", "Unwritten", "--json")
    (row,) = (json.loads(line) for line in shown.stdout.splitlines())
    assert (row["message"], row["admission"]) == ("already_paid", admission)
    totals = run("shift", "close", "--state", "state", "--json")
    counted = json.loads(totals.stdout)
    assert (counted["accepted"], counted["inside"]) == ((2, 0) if admission == "let_in" else (1, 1))
