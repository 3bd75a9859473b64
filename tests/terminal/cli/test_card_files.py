"""Software cards in files, from the terminal's side: batch issuing, and cards that remember their taps."""

from __future__ import annotations

import json
import secrets
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sim.image_file import VERSION, load_card, save_card
from tests.config_file import config_file
from tests.flows.test_layout_changes import damage_and_repair
from tests.terminal.cli.conftest import ENVIRONMENT, Run, command
from tests.terminal.cli.test_faults import SERVE, STATE, assert_one_line


def orders(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "orders.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_batch_issues_every_line_and_a_registry(run: Run, tmp_path: Path) -> None:
    path = orders(
        tmp_path, "label,profile,purse_minor", "a,adult_purse,12300", "b,month_pass,", "c,pupil_grade3,0"
    )
    finished = run("card", "issue-batch", path, "--folder", "cards", "--json")
    assert json.loads(finished.stdout)["cards"] == 3
    registry = json.loads((tmp_path / "cards/card-registry.json").read_text("utf-8"))
    assert len(registry["cards"]) == 6, "a reference for each purpose"
    shown = json.loads(run("card", "read", "--reader", "sim:cards/a.json", "--json").stdout)
    assert shown["purse_minor"] == 12300


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (("label,profile,purse_minor", "a,adult_purse,-5"), "orders.csv:2"),
        (("label,profile,purse_minor", "a,adult_purse,99999999"), "orders.csv:2"),
        (("label,profile", "a,nobody"), "orders.csv:2: no profile 'nobody'"),
        (("label,profile", "a,not_desfire"), "no resident card"),
        (("label,profile", "../a,adult_purse"), "no file name"),
        (("label,profile", "a,adult_purse", "a,month_pass"), "label 'a' is taken"),
        (("label,profile", "card-registry,adult_purse"), "label 'card-registry' is taken"),
        (("name,profile", "a,adult_purse"), "Give label, profile"),
        (("",), "Give label, profile"),
    ],
)
def test_a_bad_order_makes_no_card(run: Run, tmp_path: Path, lines: tuple[str, ...], says: str) -> None:
    finished = run("card", "issue-batch", orders(tmp_path, *lines), "--folder", "cards")
    assert finished.returncode == 50
    assert says in assert_one_line(finished.stderr)
    assert not (tmp_path / "cards").exists()


@pytest.mark.parametrize("left", ["a.json", "card-registry.json"])
def test_a_batch_replaces_no_card_and_no_registry(run: Run, tmp_path: Path, left: str) -> None:
    path = orders(tmp_path, "label,profile", "b,adult_purse", "a,adult_purse")
    assert run("card", "issue-batch", path, "--folder", "cards").returncode == 0
    for name in {"a.json", "b.json", "card-registry.json"} - {left}:
        (tmp_path / "cards" / name).unlink()
    before = (tmp_path / "cards" / left).read_bytes()
    finished = run("card", "issue-batch", path, "--folder", "cards")
    assert finished.returncode == 50
    assert f"cards/{left} exists already" in assert_one_line(finished.stderr)
    assert [file.name for file in (tmp_path / "cards").iterdir()] == [left]
    assert (tmp_path / "cards" / left).read_bytes() == before


def begin(run: Run) -> None:
    """A purse card of 500.00 in card.json, and a shift."""
    assert run("card", "new", "card.json", "--profile", "adult_purse", program="sim.cli.app").returncode == 0
    assert run("shift", "open", "--operator", "17", "--state", STATE).returncode == 0


def test_a_card_in_a_file_remembers_its_taps(run: Run, tmp_path: Path) -> None:
    begin(run)
    for left in (47600, 45200):
        tap = json.loads(run(*SERVE, "--reader", "sim:card.json").stdout)
        assert tap["balance_after_minor"] in (left, tap["balance_before_minor"])
    shown = json.loads(run("card", "read", "--reader", "sim:card.json", "--json").stdout)
    assert shown["purse_minor"] == tap["balance_after_minor"]
    assert shown["events"][0]["terminal"] == 1


def served(run: Run, *more: object) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(*SERVE, "--reader", "sim:card.json", *more).stdout.splitlines()]


def test_a_card_that_lies_there_at_the_start_is_charged_once_however_often_the_terminal_starts(
    run: Run,
) -> None:
    begin(run)
    (first,) = served(run)
    assert (first["end"], first["balance_after_minor"]) == ("committed", 47600)
    for _ in range(2):
        (again,) = served(run)
        assert (again["end"], again["sequence"]) == ("repeated", first["sequence"])
        shown = [again[name] for name in ("message", "text", "admission", "charge_minor")]
        assert shown == [first["message"], first["text"], "let_in", 0]
        assert again["balance_after_minor"] == 47600
    rows = run("journal", "show", "--state", STATE, "--kind", "AnswerRepeated", "--json").stdout.splitlines()
    assert [json.loads(row)["intent"] for row in rows] == [first["sequence"]] * 2
    totals = json.loads(run("shift", "close", "--state", STATE, "--json").stdout)
    assert (totals["taps"], totals["accepted"], totals["charged_minor"]) == (1, 1, 2400)
    assert run("journal", "recompute", "--state", STATE).returncode == 0


def test_a_card_that_was_charged_remembers_it_when_the_process_is_killed(run: Run, tmp_path: Path) -> None:
    begin(run)
    with subprocess.Popen(
        command((*SERVE, "--reader", "sim:card.json", "--taps", 9, "--pace", 4)),
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        charged = [json.loads(process.stdout.readline())["charge_minor"] for _ in range(2)]
        process.kill()
    assert charged == [2400, 2400]
    left = 50_000 - 2400
    shown = json.loads(run("card", "show", "card.json", "--json", program="sim.cli.app").stdout)
    assert shown["newest_event_balance"] in (left, left - 2400), "at least the tap before the one it died at"


def test_a_card_laid_there_again_is_a_new_tap(run: Run) -> None:
    begin(run)
    served(run)
    repeated, tapped = served(run, "--taps", 2)
    assert repeated["end"] == "repeated"
    decided = {("nothing_written", "already_paid"), ("committed", "ok_paid")}
    assert (tapped["end"], tapped["message"]) in decided, (
        "the rules decide it, within two seconds or later (T-35)"
    )


def test_a_damaged_card_file_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text("{}", "utf-8")
    finished = run(*SERVE, "--reader", "sim:card.json")
    assert finished.returncode == 50
    assert "no card image" in assert_one_line(finished.stderr)


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_image_is_refused_in_one_line_that_says_what_to_do(
    run: Run, tmp_path: Path, version: int
) -> None:
    assert run("card", "new", "card.json", "--profile", "adult_purse", program="sim.cli.app").returncode == 0
    text = (tmp_path / "card.json").read_text("utf-8")
    (tmp_path / "card.json").write_text(
        text.replace(f'"version": {VERSION}', f'"version": {version}', 1), "utf-8"
    )
    finished = run(*SERVE, "--reader", "sim:card.json")
    assert finished.returncode == 50
    line = assert_one_line(finished.stderr)
    assert f"has version {version}, this software reads 3, 4, 5" in line
    assert "Make a new one with `sim card new`" in line


def test_a_rolled_card_is_served_and_read(run: Run) -> None:
    assert run("card", "new", "card.json", "--profile", "adult_purse", program="sim.cli.app").returncode == 0
    assert run("card", "roll", "card.json", program="sim.cli.app").returncode == 0
    assert run("shift", "open", "--operator", "17", "--state", STATE).returncode == 0
    tap = json.loads(run(*SERVE, "--reader", "sim:card.json").stdout)
    assert tap["balance_after_minor"] < tap["balance_before_minor"]
    shown = json.loads(run("card", "read", "--reader", "sim:card.json", "--json").stdout)
    assert (shown["purse_minor"], shown["key_version"]) == (tap["balance_after_minor"], 2)
    assert run("card", "set", "card.json", "--purse-minor", "60000", program="sim.cli.app").returncode == 0
    assert (
        run("card", "set", "card.json", "--zone", "Mars", "--blocked", program="sim.cli.app").returncode != 0
    )


def test_a_grant_is_verified_by_the_terminal(run: Run, tmp_path: Path) -> None:
    config_file(tmp_path, shift={"operator": "17"}, lists={"verify_credential": "always"})
    new = ("card", "new", "card.json", "--profile", "free_pensioner")
    assert run(*new, program="sim.cli.app").returncode == 0
    granted = run("card", "grant", "card.json", "--until", "2031-05-31", program="sim.cli.app")
    assert granted.returncode == 0
    shown = json.loads(run("card", "show", "card.json", "--json", program="sim.cli.app").stdout)
    assert [line.endswith("to 2031-05-31") for line in shown["concessions"]] == [True]
    assert shown["newest_event"].startswith("RIGHTS_CHANGE")
    tap = json.loads(run(*SERVE, "--reader", "sim:card.json").stdout)
    assert tap["message"] == "ok_benefit_unlimited"


@pytest.mark.parametrize(
    ("blank", "timer"), [("blank_ev1", "absent"), ("blank_ev2", "absent"), ("blank_ev3", "set")]
)
def test_issuing_reports_the_transaction_timer(run: Run, blank: str, timer: str) -> None:
    issued = run("card", "issue", "--resident", "adult_purse", "--reader", f"sim:{blank}")
    assert issued.returncode == 0
    assert f"transaction timer {timer};" in issued.stdout


def test_read_names_an_event_it_does_not_understand_and_shows_the_others(run: Run, tmp_path: Path) -> None:
    begin(run)
    path = tmp_path / "card.json"
    card = load_card(path, secrets.token_bytes)
    card.power_on()
    damage_and_repair(card)
    save_card(card, path)
    shown = json.loads(run("card", "read", "--reader", "sim:card.json", "--json").stdout)
    assert [event.get("kind") for event in shown["events"]] == ["correction", None, "issue"]
    assert "layout 1, not 2" in shown["events"][1]["not_understood"]
    assert "not understood: file 02" in run("card", "read", "--reader", "sim:card.json").stdout
