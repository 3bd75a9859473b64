"""A morning's journals decided again, as an auditor would: nothing differs, and a changed document does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec import structs

from terminal.app.station import journal_reader
from terminal.canteen.facts import Replay
from terminal.canteen.roster import Roster
from terminal.cli.recompute import charges_again
from terminal.lab.town import DAY, Town
from terminal.policy.load import DEMO_REGION
from tests.flows.conftest import COUNTER_A, COUNTER_B, FRONT, OpenTown
from tests.flows.test_canteen import A, _grants, by_list, enrol
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
    assert "region document demo:1 not given" in told.stdout
    assert f"{WRITTEN_IN_BUS} could not be decided again" in told.stdout
    both = run("journal", "recompute", "--state", bus, "--region", bus / "next.toml", "--region", "demo")
    assert both.stdout.endswith(
        f"{WRITTEN_IN_BUS} charges decided again: 0 differ, 0 could not be decided again\n"
    )


def test_a_canteens_taps_follow_from_record_and_roster_together(town_of: OpenTown) -> None:
    pupils = ("pupil_grade3", "pupil_two_meals", "adult_purse")
    with town_of(*pupils, stops=(COUNTER_A, COUNTER_B)) as town:
        enrol(
            town, ("pupil_grade3", {}), ("pupil_two_meals", {"grants": _grants(town, 11), "class_id": "3b"})
        )
        for clock in ("09:45:00", "12:30:00"):
            town.at(DAY, clock)
            for pupil in pupils:
                town.tap(A, pupil)
        by_list(town, "pupil_grade3", serving="lunch")
        canteen = town.terminals[A].canteen
        assert canteen is not None
        assert canteen.roster is not None
        found = dict(_recomputed(town, Replay(A, town.policy, canteen.roster)))
        assert len(found) == 3
        assert set(map(str, found.values())) == {"[]"}
        without = dict(_recomputed(town, None))
        assert set(without.values()) == {"decided with a school roster that is not at hand"}


def test_another_roster_is_not_taken_for_the_one_that_was_in_force(town_of: OpenTown) -> None:
    with town_of("pupil_grade3", stops=(COUNTER_A,)) as town:
        enrol(town, ("pupil_grade3", {}))
        town.tap(A, "pupil_grade3")
        canteen = town.terminals[A].canteen
        assert canteen is not None
        assert canteen.roster is not None
        document = canteen.roster.document
        header = structs.replace(document.header, sequence=4)
        later = Roster.of(structs.replace(document, header=header), town.policy)
        ((_, why),) = _recomputed(town, Replay(A, town.policy, later))
        assert why == "decided with a school roster that is not at hand"


def _recomputed(town: Town, replay: Replay | None) -> list[tuple[int, object]]:
    with journal_reader(town.folder / str(A)) as reader:
        return list(charges_again(reader, {town.policy.tariff: town.policy}, replay))
