"""`terminal demo`: the newcomer's first command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from terminal.app.station import journal_reader
from terminal.journal.records import parse_record
from terminal.lab.demo.run import DemoResult, play
from terminal.lab.demo.script import MORNING, STOPS
from tests.journal_rows import assert_codes
from tests.terminal.cli.conftest import Run


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    folder = tmp_path_factory.mktemp("demo")
    result = play(folder, 1, lambda *_: None)
    for stop in STOPS:
        with journal_reader(folder / str(stop.number)) as reader:
            assert assert_codes(parse_record(row.body) for row in reader.all_rows()) > 2
    return result


def test_everything_adds_up(result: DemoResult) -> None:
    found = result.as_json("en")
    assert found["balanced"] is True
    assert found["taps"] == len(MORNING) == found["let_in"] + found["inside"] + found["refused"]
    assert found["journal_records"] == found["synced"] == found["collector_records"] > found["taps"]
    assert found["spent_minor"] == found["charged_minor"] > 0
    assert found["collector"]["alarms"] == []
    proofs = found["collector"]["total"]["proofs"]
    assert {proof: sums["RUB"]["taps"] for proof, sums in proofs.items()} == {"proven": 12, "not_stated": 1}


def test_every_kind_of_resident_appears(result: DemoResult) -> None:
    messages = {played.tap.report.outcome.message.value for played in result.played}
    assert messages >= {
        "ok_paid", "ok_pass", "ok_pack", "ok_benefit", "ok_benefit_unlimited", "ok_transfer", "already_paid",
        "no_funds", "deny_list", "blocked", "expired", "read_again", "unknown_card", "meal_ok", "meal_already",
        "meal_not_arranged",
    }  # fmt: skip


def test_a_balance_that_is_off_by_a_kopeck_is_noticed(result: DemoResult) -> None:
    assert not replace(result, purses_after_minor=result.purses_after_minor + 1).balanced
    assert not replace(result, synced=result.synced - 1).balanced
    assert not replace(result, journals_sound=False).balanced


def test_the_same_seed_plays_the_same_morning(tmp_path: Path, result: DemoResult) -> None:
    again = play(tmp_path, 1, lambda *_: None)
    assert again.as_json("en")["tap_list"] == result.as_json("en")["tap_list"]


def test_json_on_standard_output_is_one_object(run: Run) -> None:
    finished = run("demo", "--json", "--language", "en")
    assert finished.returncode == 0, finished.stderr
    found = json.loads(finished.stdout)
    keys = {
        "taps",
        "let_in",
        "inside",
        "refused",
        "journal_records",
        "synced",
        "collector_records",
        "balanced",
    }
    assert keys <= found.keys()
    assert any(tap["text"] == "Not enough money" for tap in found["tap_list"])


def test_the_table_is_readable(run: Run) -> None:
    finished = run("demo")
    assert finished.returncode == 0, finished.stderr
    assert "Осталось поездок: 32" in finished.stdout
    assert "balanced: purses lost" in finished.stdout
