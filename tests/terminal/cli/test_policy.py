"""`terminal policy …` as its users run it, but for speed in this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from terminal.policy.load import DEMO_REGION
from tests.terminal.cli.inside import Run, runner

SCENARIO = """
schema = 1
region = "demo"
about = "one ride"

[[scenarios]]
name = "the ordinary fare"
rider = "adult"
card = { balance_minor = 10000 }
taps = [
  { at = 2026-09-15T08:00:00, expect = { message = "ok_paid", charge_minor = 2400 } },
  { after_s = 9000, expect = { message = "ok_paid", charge_minor = 2400 } },
]
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(tmp_path, monkeypatch, capfd)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a document that is a rouble dearer, and one scenario file."""
    dearer = DEMO_REGION.read_text(encoding="utf-8").replace("transport_card = 2400", "transport_card = 2500")
    (tmp_path / "dearer.toml").write_text(dearer.replace("version = 1", "version = 2"), encoding="utf-8")
    (tmp_path / "ride.toml").write_text(SCENARIO, encoding="utf-8")
    return tmp_path


def test_check_says_what_a_document_holds(run: Run) -> None:
    told = run("policy", "check", "demo", "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["id"] == "demo"


def test_check_names_what_is_wrong_in_one_line(run: Run, files: Path) -> None:
    (files / "bad.toml").write_text(
        DEMO_REGION.read_text(encoding="utf-8").replace('kind = "free"', 'kind = "fre"'), encoding="utf-8"
    )
    told = run("policy", "check", "bad.toml")
    assert (told.returncode, told.stdout) == (10, "")
    assert told.stderr.startswith("terminal: bad.toml:")
    assert (
        ': concessions[0] "pensioner, free".fare.kind: unknown kind "fre". Did you mean `free`?'
        in told.stderr
    )
    assert told.stderr.count("\n") == 1


def test_run_ends_well_when_everything_comes_out_as_written(run: Run, files: Path) -> None:
    told = run("policy", "run", "demo", "ride.toml")
    assert (told.returncode, told.stdout) == (0, "1 scenarios, 2 taps: 0 differ\n"), told.stderr


def test_t_55_run_sells_each_kind_of_ticket(run: Run, files: Path) -> None:
    cash = "[cash]\nchild_percent = 50\nluggage_minor = 2050\n"
    (files / "selling.toml").write_text(DEMO_REGION.read_text("utf-8") + cash, "utf-8")
    kinds = {"full": (3200, 6400), "child": (1600, 3200), "luggage": (2050, 4100)}
    scenarios = "".join(
        f'[[scenarios]]\nname = "{kind}"\nrider = "{kind}"\ncash = {{ ticket = "{kind}" }}\ntaps = [\n'
        f'{{ at = 2026-09-15T08:00:00, expect = {{ message = "ok_paid", charge_minor = {one} }} }},\n'
        f'{{ after_s = 9, companions = 1, expect = {{ message = "ok_paid", charge_minor = {two} }} }},\n]\n'
        for kind, (one, two) in kinds.items()
    )
    (files / "cash.toml").write_text(f'schema = 1\nregion = "demo"\nabout = "cash"\n{scenarios}', "utf-8")
    assert run("policy", "run", "selling.toml", "cash.toml").stdout == "3 scenarios, 6 taps: 0 differ\n"
    not_sold = run("policy", "run", "demo", "cash.toml", "--json")
    found = {one["name"]: one["ok"] for one in map(json.loads, not_sold.stdout.splitlines())}
    assert found == {"full": True, "child": False, "luggage": False}
    (files / "cash.toml").write_text(
        f'schema = 1\nregion = "demo"\nabout = "cash"\n{scenarios.replace("child", "dog")}'
    )
    assert "dog" in run("policy", "run", "selling.toml", "cash.toml").stderr


def test_run_tells_where_a_scenario_differs_and_why(run: Run, files: Path) -> None:
    told = run("policy", "run", "dearer.toml", "ride.toml")
    assert told.returncode == 12
    assert "ride.toml#1 the ordinary fare (adult)" in told.stdout
    assert "charge_minor: expected 2400, got 2500" in told.stdout
    assert "T-01" in told.stdout
    assert "1 of 1 scenarios do not come out as written" in told.stderr


def test_run_for_programs_is_one_object_for_each_scenario(run: Run, files: Path) -> None:
    told = run("policy", "run", "dearer.toml", ".", "--json")
    assert told.returncode == 10, "dearer.toml is in the folder and is no scenario file"
    told = run("policy", "run", "dearer.toml", "ride.toml", "--json")
    (scenario,) = map(json.loads, told.stdout.splitlines())
    assert (scenario["ok"], scenario["file"], scenario["scenario"]) == (False, "ride.toml", 1)
    assert scenario["differences"][0]["differences"] == [
        {"what": "charge_minor", "expected": 2400, "got": 2500}
    ]
    assert [tap["charge_minor"] for tap in scenario["taps"]] == [2500, 2500]
    assert scenario["taps"][0]["reasons"][0]["rule"] == "T-01"


def test_run_without_files_plays_those_that_come_with_the_document(run: Run) -> None:
    told = run("policy", "run", "demo")
    assert told.returncode == 0, told.stdout
    assert told.stdout.endswith(": 0 differ\n")


def test_diff_tells_what_would_change_for_whom(run: Run, files: Path) -> None:
    told = run("policy", "diff", "demo", "dearer.toml", "--scenarios", "ride.toml")
    assert told.returncode == 0, told.stderr
    assert "fares.by_medium.transport_card: 2400 → 2500" in told.stdout
    assert "ride.toml: 1 of 1 scenarios change" in told.stdout
    assert "in all RUB 48.00 → RUB 50.00" in told.stdout


def test_diff_of_a_document_with_itself_is_nothing(run: Run, files: Path) -> None:
    told = run("policy", "diff", "demo", "demo", "--scenarios", "ride.toml", "--json")
    assert [json.loads(line) for line in told.stdout.splitlines()] == [{"document": []}]


@pytest.mark.parametrize(("place", "taps"), [("ride.toml", 2), ("ride.toml#1", 2), ("ride.toml#1.2", 1)])
def test_explain_tells_the_trail_in_the_readers_language(
    run: Run, files: Path, place: str, taps: int
) -> None:
    russian, english = (
        run("policy", "explain", "demo", place, "--language", one).stdout for one in ("ru", "en")
    )
    assert russian.count("T-01 (тариф по виду оплаты)") == taps
    assert "Оплачено" in russian
    assert english.count("T-01 (the fare depends on the medium)") == taps
    assert "Paid. Have a good trip!" in english


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("check", "nowhere.toml"), "no region document nowhere.toml"),
        (("run", "demo", "nowhere.toml"), "nowhere.toml: there is no such file"),
        (("explain", "demo", "ride.toml#2"), "ride.toml: no scenario #2"),
        (("explain", "demo", "ride.toml#1.3"), "no tap 3 in #1"),
        (("explain", "demo", "ride.toml#one"), "names no scenario"),
    ],
)
def test_bad_input_is_one_line_and_code_10(
    run: Run, files: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    told = run("policy", *arguments)
    assert told.returncode == 10, told.stderr
    assert complaint in told.stderr
    assert told.stderr.count("\n") == 1


def test_a_region_document_is_no_scenario_file(run: Run, files: Path) -> None:
    told = run("policy", "run", "demo", "dearer.toml")
    assert told.returncode == 10
    assert "header: there is no key `header` here" in told.stderr
    assert all(line.startswith("terminal: dearer.toml") for line in told.stderr.splitlines())


@pytest.mark.parametrize("option", [("--restarts",), ("--keep", "here")])
def test_what_is_for_running_terminals_is_refused_without_them(
    run: Run, files: Path, option: tuple[str, ...]
) -> None:
    told = run("policy", "run", "demo", *option)
    assert (told.returncode, told.stdout) == (2, "")
    assert "--keep and --restarts are for --live" in told.stderr
    assert not (files / "here").exists()


def test_schema_prints_one_and_writes_both(run: Run, files: Path) -> None:
    printed = run("policy", "schema", "scenarios").stdout
    assert run("policy", "schema", "--write", "schemas").returncode == 0
    assert (files / "schemas" / "scenarios.schema.json").read_text(encoding="utf-8") == printed
    assert json.loads((files / "schemas" / "region.schema.json").read_text(encoding="utf-8"))["$defs"]
    assert run("policy", "schema").returncode == 1
