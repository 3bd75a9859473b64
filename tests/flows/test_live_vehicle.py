"""A running terminal and its vehicle: what a recording says stands in the row of the next tap, whatever becomes of the
side process that listens to it. The recording is a named pipe, so the tests say what the vehicle says, when they want.
"""

from __future__ import annotations

import json
import os
import select
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, Final

from terminal.codes import VehicleFault
from terminal.operations.status import VehicleStatus, read_status
from terminal.screen.console.roles import Role
from terminal.trip.producers import FactSource
from tests.flows.live import PATIENCE_S, STATE, LiveTerminal, live_terminal
from tests.flows.test_live_facts import Claims, Watched

ROUTES: Final = """
[header]
id = "live_routes"
version = 1
region = 999
issued_at = 2026-01-01T00:00:00+03:00

[zones]
"2201" = 1
"2203" = 3

[[routes]]
number = 15
name = "Station - University"
lines = ["K15"]

[[routes.directions]]
name = "to University"
stops = [
  { number = 1501, name = "Station", zone = 1, mark_m = 0, refs = ["a"] },
  { number = 1502, name = "Market", zone = 2, mark_m = 2000, refs = ["b"] },
  { number = 1503, name = "University", zone = 3, mark_m = 4000, refs = ["c"] },
]
"""
VEHICLE: Final[Claims] = {
    FactSource.VEHICLE: frozenset(
        {"place.source", "place.quality", "place.age_s", "place.arriving", "razzia"}
    )
    | {f"place.{name}" for name in ("stop", "zone", "mark_m")}
    | {f"place.coming.{name}" for name in ("stop", "zone", "mark_m")}
}


class Recording:
    """A named pipe that `[vehicle] replay` plays as it is written to."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._handle = os.open(path, os.O_RDWR)

    def says(self, **said: object) -> None:
        os.write(self._handle, json.dumps(said).encode() + b"\n")

    def close(self) -> None:
        os.close(self._handle)


@contextmanager
def bus_with(folder: Path, **more: Mapping[str, object]) -> Iterator[tuple[LiveTerminal, Recording]]:
    """A bus on route 15 whose cards come by themselves, and the vehicle it stands in."""
    (folder / "routes.toml").write_text(ROUTES)
    recording = Recording(folder / "vehicle.jsonl")
    tables: dict[str, Mapping[str, object]] = {
        "terminal": {"profile": "bus", "number": 7, "region": "demo"},
        "reader": {"name": "sim:adult_purse,month_pass", "pace_s": 0.2},
        "lists": {"routes": "routes.toml"},
        "shift": {"operator": "d", "route": 15},
        "vehicle": {"source": "replay", "replay": "vehicle.jsonl"},
    }
    try:
        with live_terminal(folder, **tables | more) as bus:
            assert bus.process.stdout is not None
            assert bus.process.stdout.readline(), "from the first tap on there is a journal"
            yield bus, recording
    finally:
        recording.close()


def tap_with(bus: LiveTerminal, holds: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any]:
    """The facts of the first tap from now on that are as wanted."""
    until_s = monotonic() + PATIENCE_S
    while True:
        facts = bus.facts()
        if holds(facts):
            return facts
        assert monotonic() < until_s, facts


def vehicle_of(bus: LiveTerminal, holds: Callable[[VehicleStatus], bool]) -> VehicleStatus:
    """What the terminal's status says of its vehicle, once that is as wanted; taps go on meanwhile."""
    until_s = monotonic() + PATIENCE_S
    while True:
        status = read_status(bus.folder / STATE)
        if status is not None and status.vehicle is not None and holds(status.vehicle):
            return status.vehicle
        bus.next_tap()
        assert monotonic() < until_s, status


def faults(bus: LiveTerminal) -> list[str]:
    return [row["code"] for row in bus.rows() if row["kind"] == "Fault"]


def test_what_the_vehicle_says_is_in_the_next_row_and_a_person_is_believed_first(tmp_path: Path) -> None:
    console = {"enabled": True, "port": 0, "typed_sign_in": True}
    with bus_with(tmp_path, console=console) as (bus, vehicle):
        watched = Watched(bus)
        vehicle.says(line="K15", stop_ref="a", zones=["2201"], coming_ref="b")
        tap_with(bus, lambda facts: facts.get("place.stop") == 1501)
        first = watched.look(FactSource.VEHICLE)
        assert (first["place.source"], first["place.zone"], first["place.mark_m"]) == ("vehicle", 1, 0)
        assert (first["place.coming.stop"], first["place.coming.zone"], first["place.coming.mark_m"]) == (
            1502,
            2,
            2000,
        )
        vehicle.says(line="K15", stop_ref="b", arriving=True, estimated=True, razzia=True)
        tap_with(bus, lambda facts: facts.get("place.stop") == 1502 and "place.age_s" in facts)
        second = watched.look(FactSource.VEHICLE)
        assert (second["place.quality"], second["place.arriving"], second["razzia"]) == (
            "estimated",
            True,
            True,
        )
        watched.proves(VEHICLE)

        bus.sign_in(Role.CONDUCTOR)
        assert bus.console is not None
        page = bus.console.get("/shift").text
        assert [
            word
            for word in ("Market", "University", "replay", "приблизительно", "Проверка билетов")
            if word not in page
        ] == []
        bus.act("/shift", "/shift/place", stop=1503, zone=3)
        by_hand = tap_with(bus, lambda facts: facts["place.source"] == "hand" and "place.age_s" in facts)
        assert (by_hand["place.stop"], by_hand["place.zone"], by_hand["place.mark_m"]) == (1503, 3, 4000)
        assert by_hand.keys().isdisjoint({"place.quality", "place.arriving", "place.coming.stop"})
        assert "Market" in bus.console.get("/shift").text
        bus.act("/shift", "/shift/turn", route=15, direction=0)
        tap_with(bus, lambda facts: facts["place.source"] == "vehicle" and facts["place.stop"] == 1502)


def test_an_inspection_is_two_rows_and_stops_no_tap(tmp_path: Path) -> None:
    with bus_with(tmp_path) as (bus, vehicle):
        for razzia in (True, False):
            vehicle.says(line="K15", stop_ref="a", razzia=razzia)
            tap_with(
                bus,
                lambda facts, razzia=razzia: facts.get("razzia", False) is razzia and "place.stop" in facts,
            )
        bus.next_tap()
        rows = [row for row in bus.rows() if row["kind"] == "RazziaChanged"]
        assert [(row["razzia"], row["source"]) for row in rows] == [(True, "replay"), (False, "replay")]
        taps = [row for row in bus.rows(rows[0]["sequence"]) if row["kind"] == "Intent"]
        assert taps
        assert "out_of_order" not in {row.get("message") for row in bus.rows()}
    assert sum("razzia: begins" in line for line in bus.errors) == 1


def test_a_contradiction_states_no_zone_and_is_said_once(tmp_path: Path) -> None:
    with bus_with(tmp_path) as (bus, vehicle):
        vehicle.says(line="K15", stop_ref="b")
        tap_with(bus, lambda facts: facts.get("place.zone") == 2)
        for _ in range(3):
            vehicle.says(line="16", stop_ref="b", zones=["2203"])
            facts = tap_with(bus, lambda facts: facts.get("place.quality") == "contradicted")
            assert facts.keys().isdisjoint({"place.stop", "place.zone", "place.mark_m", "place.coming.zone"})
            assert facts["place.source"] == "vehicle"
            assert facts["place.origin.stop"] == 1501
            vehicle.says(line="K15", stop_ref="b", zones=["no such zone", "2203"])
            tap_with(bus, lambda facts: facts.get("place.quality") == "contradicted")
            vehicle.says(line="K15", stop_ref="b")
            tap_with(bus, lambda facts: facts.get("place.zone") == 2)
        vehicle.says(line="16")
        while VehicleFault.OTHER_LINE not in faults(bus):  # not within the first seconds of a turn
            bus.next_tap()
        for _ in range(5):
            bus.next_tap()
        assert faults(bus).count(VehicleFault.OTHER_LINE) == 1
        assert faults(bus).count(VehicleFault.OTHER_ZONE) <= 1
    assert sum(VehicleFault.OTHER_LINE in line for line in bus.errors) == 1


def test_a_process_that_is_killed_is_started_again_and_taps_go_on(tmp_path: Path) -> None:
    with bus_with(tmp_path) as (bus, vehicle):
        vehicle.says(line="K15", stop_ref="b")
        tap_with(bus, lambda facts: facts.get("place.stop") == 1502)
        first = vehicle_of(bus, lambda status: status.process is not None)
        assert first.process is not None
        os.kill(first.process, signal.SIGKILL)
        second = vehicle_of(bus, lambda status: status.process not in (None, first.process))
        assert second.starts == first.starts + 1
        assert bus.facts()["place.stop"] == 1502
        vehicle.says(line="K15", stop_ref="c")
        tap_with(bus, lambda facts: facts.get("place.stop") == 1503)
        assert faults(bus).count(VehicleFault.DIED) == 1


def test_a_process_that_hangs_costs_no_tap_anything(tmp_path: Path) -> None:
    with bus_with(tmp_path) as (bus, vehicle):
        vehicle.says(line="K15", stop_ref="b")
        tap_with(bus, lambda facts: facts.get("place.stop") == 1502)
        first = vehicle_of(bus, lambda status: status.process is not None)
        assert first.process is not None
        os.kill(first.process, signal.SIGSTOP)
        tap_with(bus, lambda facts: facts.get("place.age_s", 0) >= 3)
        second = vehicle_of(bus, lambda status: status.process not in (None, first.process))
        assert second.fault in (VehicleFault.HANGS, "")
        assert faults(bus) == [VehicleFault.HANGS]


def test_the_process_ends_with_a_terminal_that_is_killed(tmp_path: Path) -> None:
    with bus_with(tmp_path) as (bus, vehicle):
        vehicle.says(line="K15", stop_ref="b")
        tap_with(bus, lambda facts: facts.get("place.stop") == 1502)
        process = vehicle_of(bus, lambda status: status.process is not None).process
        assert process is not None
        handle = os.pidfd_open(process)
        bus.process.kill()
        assert select.select([handle], [], [], PATIENCE_S)[0] == [handle]
        os.close(handle)


def test_after_the_end_of_a_recording_its_last_place_grows_old(tmp_path: Path) -> None:
    (tmp_path / "short.jsonl").write_text('{"stop_ref": "a"}\n{"at_s": 40, "line": "K15", "stop_ref": "c"}\n')
    table = {"source": "replay", "replay": "short.jsonl", "replay_speed": 100.0}
    with bus_with(tmp_path, vehicle=table) as (bus, _unused):
        tap_with(bus, lambda facts: facts.get("place.stop") == 1503 and facts.get("place.age_s", 0) >= 2)
        assert faults(bus) == [VehicleFault.ENDED]


def test_a_recording_with_a_mistake_names_its_line_and_taps_go_on(tmp_path: Path) -> None:
    with bus_with(tmp_path) as (bus, vehicle):
        vehicle.says(line="K15", stop="b")
        while VehicleFault.BROKEN not in faults(bus):
            bus.next_tap()
        vehicle.says(line="K15", stop_ref="b")
        tap_with(bus, lambda facts: facts.get("place.stop") == 1502)
        assert faults(bus) == [VehicleFault.BROKEN]
    assert any("vehicle.jsonl, line 1: Object contains unknown field `stop`" in line for line in bus.errors)
