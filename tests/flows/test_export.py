"""Journals of a morning, exported: the tables satisfy the published schema and agree with the terminals' own totals."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sim.faults import tear_after
from terminal.export.reports import TOTAL
from terminal.policy.load import DEMO_REGION
from terminal.sync.client import SyncClient
from terminal.trip.shifts import ShiftCount
from tests.flows.conftest import COUNTER_A, FRONT, REAR, OpenTown
from tests.terminal.cli.inside import Run, runner
from tests.terminal.export.test_reports import minor
from tests.terminal.export.test_tides import problems
from tests.terminal.sync.station import Collector, Wire


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
    assert "was decided with demo:1" in told.stderr


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
            totals[number] = ShiftCount(terminal.journal.open_shift.shift).totals(terminal.journal)
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
    assert "unresolved" in {line["kind"] for line in day}


def test_a_collector_knows_ends_that_a_terminal_never_learned(
    town_of: OpenTown, tmp_path: Path, run: Run
) -> None:
    """The commit's answer is lost at one door; the card, tapped at the other, tells that it was committed."""
    (tmp_path / "collector").mkdir()
    collector = Collector(tmp_path / "collector")
    with town_of("adult_purse") as town:
        town.tap(FRONT.number, "adult_purse", tear_after(8))
        town.clock.advance(30)
        town.tap(REAR.number, "adult_purse")
        for number in (FRONT.number, REAR.number):
            key = Ed25519PrivateKey.generate()
            collector.enrolment.enrol(number, key.public_key())
            journal, wire = town.terminals[number].journal, Wire(collector.intake)
            SyncClient(journal, wire, key, collector.key.public_key(), collector.clock).sync_once()
    front = ("--state", tmp_path / "town" / str(FRONT.number))
    alone = run("export", "tides", *front)
    assert len(alone.stdout.splitlines()) == 1
    assert "left out: 1 taps whose end is not known here yet" in alone.stderr
    together = run("export", "tides", "--collector", tmp_path / "collector")
    (ride,) = csv.DictReader(io.StringIO(together.stdout))
    assert (ride["device_id"], ride["amount"], together.stderr) == (str(FRONT.number), "24.00", "")
    *_, total = csv.DictReader(
        io.StringIO(run("export", "csv", "shift", "--collector", tmp_path / "collector").stdout)
    )
    assert (total["accepted"], total["unresolved"], total["amount"]) == ("2", "0", "24.00")


def test_sources_that_are_not_there_are_one_line(tmp_path: Path, run: Run) -> None:
    nothing = run("export", "csv", "day", "--collector", tmp_path)
    assert (nothing.returncode, nothing.stderr.count("\n")) == (40, 1)
    both = run("export", "csv", "day", "--collector", tmp_path, "--state", tmp_path)
    assert (both.returncode, both.stderr.count("\n")) == (1, 1)
