"""Journals of a morning, exported: the tables satisfy the published schema and agree with the terminals' own totals."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from sim.faults import tear_after
from terminal.export.reports import TOTAL
from terminal.policy.document import DEMO_REGION
from terminal.shift import shift_totals
from tests.flows.conftest import COUNTER_A, FRONT, REAR, OpenTown
from tests.terminal.cli.inside import Run, runner
from tests.terminal.export.test_reports import minor
from tests.terminal.export.test_tides import problems


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(tmp_path, monkeypatch, capfd)


def test_a_morning_exported_satisfies_the_schema_and_the_sum(
    town_of: OpenTown, tmp_path: Path, run: Run
) -> None:
    residents = ("adult_purse", "month_pass", "student_half_price", "social_pack_45", "empty_purse")
    charged = 0
    with town_of(*residents, stops=(FRONT, REAR, COUNTER_A)) as town:
        for resident in residents:
            for stop in (FRONT, REAR, COUNTER_A):
                report = town.tap(stop.number, resident).report
                charged += report.outcome.charge_minor if report.sequence else 0
                town.clock.advance(120)
    states = [
        option
        for stop in (FRONT, REAR, COUNTER_A)
        for option in ("--state", tmp_path / "town" / str(stop.number))
    ]
    told = run("export", "tides", *states)
    assert told.returncode == 0, told.stderr
    found = list(csv.DictReader(io.StringIO(told.stdout)))
    assert [problem for one in found for problem in problems(one)] == []
    assert len({one["transaction_id"] for one in found}) == len(found) > 4
    assert sum(round(float(one["amount"]) * 100) for one in found) == charged
    assert {one["fare_product"] for one in found} >= {"month pass", "social pack of 45 trips", "Single ride"}
    written = run("export", "tides", *states, "--out", "tides.csv")
    assert written.stdout == f"wrote tides.csv: {len(found)} rows\n"
    with (tmp_path / "tides.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == found


def test_an_unknown_document_is_named_with_the_row(town_of: OpenTown, tmp_path: Path, run: Run) -> None:
    with town_of("adult_purse", stops=(FRONT,)) as town:
        town.tap(FRONT.number, "adult_purse")
    (tmp_path / "next.toml").write_text(
        DEMO_REGION.read_text(encoding="utf-8").replace("\nversion = 1", "\nversion = 2"), encoding="utf-8"
    )
    told = run("export", "tides", "--state", tmp_path / "town" / str(FRONT.number), "--region", "next.toml")
    assert told.returncode == 10
    assert "was decided with demo@1" in told.stderr


def test_reports_of_real_journals_equal_the_terminals_own_totals(
    town_of: OpenTown, tmp_path: Path, run: Run
) -> None:
    residents = ("adult_purse", "month_pass", "student_half_price", "empty_purse")
    with town_of(*residents) as town:
        for resident in residents:
            for stop in (FRONT, REAR):
                town.tap(stop.number, resident)
                town.clock.advance(90)
        town.tap(FRONT.number, "adult_purse", tear_after(8))
        totals = {}
        for number, terminal in town.terminals.items():
            assert terminal.journal.open_shift is not None
            totals[number] = shift_totals(terminal.journal, terminal.journal.open_shift.shift)
    states = [
        option for stop in (FRONT, REAR) for option in ("--state", tmp_path / "town" / str(stop.number))
    ]
    told = run("export", "csv", "shift", *states)
    assert told.returncode == 0, told.stderr
    *shifts, total = csv.DictReader(io.StringIO(told.stdout))
    for shift in shifts:
        own = totals[int(shift["terminal"])]
        assert int(shift["taps"]) == own["taps"]
        assert int(shift["unresolved"]) == own["unresolved"]
        assert minor(shift["amount"]) == own["charged_minor"]
    assert minor(total["amount"]) == sum(own["charged_minor"] for own in totals.values()) > 0
    day = list(csv.DictReader(io.StringIO(run("export", "csv", "day", *states).stdout)))
    assert (day[-1]["service_date"], day[-1]["amount"]) == (TOTAL, total["amount"])
    assert "end unknown" in {line["what"] for line in day}
