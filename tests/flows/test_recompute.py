"""A morning's journals decided again, as an auditor would: nothing differs, and a changed document does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from terminal.policy.document import DEMO_REGION
from tests.flows.conftest import COUNTER_A, FRONT, OpenTown
from tests.terminal.cli.inside import Run, runner

RESIDENTS = (
    "adult_purse",
    "month_pass",
    "student_half_price",
    "social_pack_45",
    "pupil_grade3",
    "empty_purse",
)
WRITTEN_IN_BUS = 5


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(tmp_path, monkeypatch, capfd)


@pytest.fixture
def bus(town_of: OpenTown, tmp_path: Path) -> Path:
    """The state folder of a bus terminal that everybody has tapped."""
    with town_of(*RESIDENTS, stops=(FRONT, COUNTER_A)) as town:
        for resident in RESIDENTS:
            town.tap(FRONT.number, resident)
            town.clock.advance(20)
        town.tap(COUNTER_A.number, "pupil_grade3")
    return tmp_path / "town" / str(FRONT.number)


def test_every_charge_follows_from_what_is_recorded_with_it(run: Run, bus: Path) -> None:
    told = run("journal", "recompute", "--state", bus, "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout) == {"recomputed": WRITTEN_IN_BUS, "differ": 0, "not_possible": 0}
    canteen = run("journal", "recompute", "--state", bus.with_name(str(COUNTER_A.number)))
    assert canteen.stdout == "1 charges decided again: 0 differ, 0 could not be decided again\n"


def test_a_document_changed_under_the_same_version_is_noticed(run: Run, bus: Path) -> None:
    text = DEMO_REGION.read_text(encoding="utf-8").replace("transport_card = 2400", "transport_card = 2300")
    (bus / "other.toml").write_text(text, encoding="utf-8")
    told = run("journal", "recompute", "--state", bus, "--region", bus / "other.toml")
    assert told.returncode == 24
    assert "charge_minor: recorded 2400, recomputed 2300" in told.stdout
    assert "2 records do not follow" in told.stderr


def test_taps_of_a_version_that_is_not_given_are_counted_apart(run: Run, bus: Path) -> None:
    text = DEMO_REGION.read_text(encoding="utf-8").replace("\nversion = 1", "\nversion = 2")
    (bus / "next.toml").write_text(text, encoding="utf-8")
    told = run("journal", "recompute", "--state", bus, "--region", bus / "next.toml")
    assert told.returncode == 0
    assert "region document demo@1 not given" in told.stdout
    assert f"{WRITTEN_IN_BUS} could not be decided again" in told.stdout
    both = run("journal", "recompute", "--state", bus, "--region", bus / "next.toml", "--region", "demo")
    assert both.stdout.endswith(
        f"{WRITTEN_IN_BUS} charges decided again: 0 differ, 0 could not be decided again\n"
    )
