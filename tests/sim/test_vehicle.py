"""A simulated vehicle by itself: its timetable, its faults, its recording, and what it refuses."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sim.cli.app import app
from sim.vehicle.play import AsComputer, AsRecording, Events, SimFault, drive, obey
from sim.vehicle.telegrams import Dialect
from sim.vehicle.trip import PlannedTrip, VehicleSimFault, distance_m, planned_trip
from terminal.vehicle.replay import parse_recorded
from tests.vehicle_run import routes_file


@pytest.fixture
def trip(tmp_path: Path) -> PlannedTrip:
    return planned_trip(routes_file(tmp_path), 15, 0, seed=1)


def recorded(trip: PlannedTrip, *faults: SimFault, seed: int = 1) -> list[dict[str, object]]:
    out = io.StringIO()
    drive(AsRecording(trip, out), trip, 0.0, faults, seed, Events(io.StringIO()))
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_trip_calls_at_every_stop_in_order_and_times_only_grow(trip: PlannedTrip) -> None:
    moments = list(trip.moments())
    assert [moment.stop for moment in moments if moment.doors] == [0, 1, 2, 3]
    assert [moment.at_s for moment in moments] == sorted(moment.at_s for moment in moments)
    assert trip.metres == pytest.approx((0, 556, 1216, 1772), abs=3)
    at_market = trip.position_at(trip.times_s[1] + 1)
    assert at_market == (pytest.approx(50.605), pytest.approx(36.6), True)
    beside = trip.position_at(trip.times_s[1] + 1, beside_m=300.0)
    assert distance_m(beside[:2], at_market[:2]) == pytest.approx(300, abs=1)


def test_the_way_back_is_the_way_there_backwards(tmp_path: Path) -> None:
    back = planned_trip(routes_file(tmp_path), 15, 1, seed=1)
    assert [stop.ref for stop in back.stops] == ["de:1504", "de:1503", "de:1502", "de:1501"]
    assert [stop.zone for stop in back.stops] == ["B", "B", "A", "A"]


def test_a_recording_is_one_that_the_terminal_plays(trip: PlannedTrip) -> None:
    out, before_s = io.StringIO(), 0.0
    drive(AsRecording(trip, out), trip, 0.0, (), 1, Events(io.StringIO()))
    for line in out.getvalue().encode().splitlines():
        before_s, report = parse_recorded(line, before_s)
        assert report.stop_ref == trip.stops[report.stop_index or 0].ref
    assert before_s == pytest.approx(trip.times_s[-1], abs=0.1)


def test_each_fault_has_a_stop_of_its_own_and_ends(trip: PlannedTrip) -> None:
    rows = recorded(trip, SimFault.WRONG_LINE, SimFault.OFF_ROUTE)
    lines = {row["stop_index"] for row in rows if row["line"] != "15"}
    off = {row["stop_index"] for row in rows if row.get("off_route")}
    assert len(lines) == len(off) == 1
    assert lines.isdisjoint(off)
    assert rows == recorded(trip, SimFault.WRONG_LINE, SimFault.OFF_ROUTE), "a seed repeats a run"


def test_a_wrong_zone_is_one_the_stop_does_not_lie_in(trip: PlannedTrip) -> None:
    for seed in range(5):
        wrong = [
            row
            for row in recorded(trip, SimFault.WRONG_ZONE, seed=seed)
            if row["zones"] != [trip.stops[int(str(row["stop_index"]))].zone]
        ]
        assert wrong


def test_a_late_computer_says_what_was_before(trip: PlannedTrip) -> None:
    computer = AsComputer(trip, "127.0.0.1", 0, Dialect.VDV22, 60.0, Events(io.StringIO()))
    try:
        stops = [moment for moment in trip.moments() if moment.doors]
        computer.arrive(stops[0])
        computer.fault(SimFault.LATE)
        computer.arrive(stops[1])
        assert computer.says.moment == stops[0]
        computer.arrive(stops[2])
        assert computer.says.moment == stops[1]
        computer.mend()
        assert computer.says.moment == stops[2]
    finally:
        computer.close()


@pytest.mark.parametrize(
    ("orders", "says"),
    [
        (["fly"], "unknown order 'fly'"),
        (["jump"], "jump cannot be shown this way"),
        (["stop"] * 5, "the trip is over"),
    ],
)
def test_an_order_that_cannot_be_carried_out_is_named(
    trip: PlannedTrip, orders: list[str], says: str
) -> None:
    with pytest.raises(VehicleSimFault, match=says):
        obey(AsRecording(trip, io.StringIO()), trip, orders, Events(io.StringIO()))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--route", "16"), "has no route 16"),
        (("--route", "15", "--faults", "fire"), "unknown fault 'fire'"),
        (("--route", "15", "--as", "replay", "--faults", "flood"), "flood cannot be shown this way"),
        (("--route", "15", "--as", "replay", "--faults", "silent,late,silent,late"), "4 faults on 4 stops"),
        (("--route", "15", "--host", "192.0.2.1"), "port 0 of 192.0.2.1 cannot be used"),
        (("--route", "15", "--as", "gpsd", "--host", "192.0.2.1"), "port 0 of 192.0.2.1 cannot be used"),
    ],
)
def test_a_vehicle_that_cannot_run_says_why(tmp_path: Path, options: tuple[str, ...], says: str) -> None:
    arguments = ["vehicle", "--routes", str(routes_file(tmp_path)), *options]
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, VehicleSimFault)
    assert says in str(done.exception)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("routes = []", "has no route 15"),
        ("routes = 1", "is no routes document"),
        ("[[routes", "is no TOML"),
        ("[[routes]]\nnumber = 15", "lists no stops"),
        ("[[routes]]\nnumber = 15\ndirections = [{ stops = [{}, {}] }]", "is no routes document"),
    ],
)
def test_a_document_that_is_none_is_named(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "routes.toml"
    path.write_text(content)
    with pytest.raises(VehicleSimFault, match=says):
        planned_trip(path, 15, 0, seed=1)
