"""A running terminal and its vehicle: what a recording says stands in the row of the next tap, whatever becomes of the
side process that listens to it. The recording is a named pipe, so the tests say what the vehicle says, when they want.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, Final

from terminal.codes import VehicleFault
from terminal.screen.console.roles import Role
from tests.flows.live import PATIENCE_S, LiveTerminal, facts_of, live_terminal

ROUTES: Final = """
[header]
id = "live_routes"
version = 1
region = 34
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
CARD: Final = "adult_purse.json"
NO_PLACE: Final = frozenset(
    {"place.stop", "place.zone", "place.mark_m", "place.coming.zone", "place.arriving"}
)


class DrivenBus:
    """A bus on route 15, and the pipe that `[vehicle] replay` plays as it is written to."""

    def __init__(self, terminal: LiveTerminal, pipe: int) -> None:
        self.terminal = terminal
        self._pipe = pipe

    def write(self, **said: object) -> None:
        os.write(self._pipe, json.dumps(said).encode() + b"\n")

    def vehicle_says(self, **said: object) -> None:
        """Returns when the terminal has heard it."""
        heard = self.terminal.hand.say("status")["reports"]
        self.write(**said)
        self.terminal.hand.say("await", reports=heard + 1, timeout_s=PATIENCE_S)

    def tap(self) -> dict[str, Any]:
        """The facts of a tap, five seconds after whatever was before."""
        return facts_of(self.terminal.tap(CARD))

    def tap_until(self, holds: Callable[[], bool]) -> None:
        """Taps go on until something has happened in the machine's own time."""
        until_s = monotonic() + PATIENCE_S
        while not holds():
            self.tap()
            assert monotonic() < until_s

    @property
    def process(self) -> int | None:
        """The side process that runs now."""
        number: int | None = self.terminal.hand.say("status")["vehicle_process"]
        return number

    def faults(self) -> list[str]:
        return [row["code"] for row in self.terminal.rows() if row["kind"] == "Fault"]


@contextmanager
def driven_bus(folder: Path, routes: str = ROUTES, **more: Mapping[str, object]) -> Iterator[DrivenBus]:
    (folder / "routes.toml").write_text(routes)
    os.mkfifo(folder / "vehicle.jsonl")
    pipe = os.open(folder / "vehicle.jsonl", os.O_RDWR)
    tables: dict[str, Mapping[str, object]] = {
        "terminal": {"profile": "bus", "number": 7, "region": "demo"},
        "lists": {"routes": "routes.toml"},
        "shift": {"operator": "d", "route": 15},
        "vehicle": {"source": "replay", "replay": "vehicle.jsonl"},
    }
    try:
        with live_terminal(folder, **tables | more) as terminal:
            assert terminal.card("adult_purse") == CARD
            yield DrivenBus(terminal, pipe)
    finally:
        os.close(pipe)


def test_what_the_vehicle_says_is_in_the_next_row_and_a_person_is_believed_first(tmp_path: Path) -> None:
    with driven_bus(tmp_path, console={"enabled": True, "port": 0, "typed_sign_in": True}) as bus:
        bus.vehicle_says(line="K15", stop_ref="b", zones=["elsewhere"], coming_ref="c")
        assert bus.tap()["place.quality"] == "contradicted"
        bus.vehicle_says(line="K15", stop_ref="b", arriving=True, estimated=True, razzia=True)
        facts = bus.tap()
        assert (facts["place.source"], facts["place.stop"], facts["place.zone"]) == ("vehicle", 1502, 2)
        assert (facts["place.coming.stop"], facts["place.coming.mark_m"]) == (1503, 4000)
        assert (facts["place.quality"], facts["place.arriving"], facts["place.age_s"]) == (
            "estimated",
            True,
            5,
        )

        bus.terminal.sign_in(Role.CONDUCTOR)
        assert bus.terminal.console is not None
        page = bus.terminal.console.get("/shift").text
        shown = ("Market", "University", "replay", "5 с назад, приблизительно", "Проверка билетов")
        assert [words for words in shown if words not in page] == []
        bus.terminal.act("/shift", "/shift/place", stop=1503, zone=3)
        by_hand = bus.tap()
        assert (by_hand["place.stop"], by_hand["place.zone"], by_hand["place.mark_m"]) == (1503, 3, 4000)
        assert (by_hand["place.source"], by_hand["place.age_s"]) == ("hand", 5)
        assert by_hand.keys().isdisjoint({"place.quality", "place.arriving", "place.coming.stop"})
        assert "Market" in bus.terminal.console.get("/shift").text
        bus.terminal.act("/shift", "/shift/turn", route=15, direction=0)
        again = bus.tap()
        assert (again["place.source"], again["place.stop"], again["place.age_s"]) == ("vehicle", 1502, 15)


def test_lines_and_stops_without_names_of_their_own_go_by_their_numbers(tmp_path: Path) -> None:
    """As `sim vehicle` calls them, too."""
    plain = re.sub(r', refs = \["."\]|lines = \["K15"\]', "", ROUTES)
    with driven_bus(tmp_path, plain) as bus:
        bus.vehicle_says(line="15", stop_ref="1502", coming_ref="1503")
        facts = bus.tap()
        assert (facts["place.stop"], facts["place.zone"], facts["place.coming.stop"]) == (1502, 2, 1503)
        bus.vehicle_says(line="15", stop_ref="1509")
        assert bus.tap()["place.quality"] == "contradicted"


def test_an_inspection_is_two_rows_and_stops_no_tap(tmp_path: Path) -> None:
    with driven_bus(tmp_path) as bus:
        for razzia in (True, False):
            bus.vehicle_says(line="K15", stop_ref="a", razzia=razzia)
            assert bus.tap().get("razzia", False) is razzia
        bus.tap()
        rows = [row for row in bus.terminal.rows() if row["kind"] == "RazziaChanged"]
        assert [(row["razzia"], row["source"]) for row in rows] == [(True, "replay"), (False, "replay")]
        assert {row["message"] for row in bus.terminal.rows() if "message" in row} == {"ok_paid"}


def test_a_source_that_dies_ends_no_inspection_for_ten_minutes(tmp_path: Path) -> None:
    with driven_bus(tmp_path) as bus:
        bus.vehicle_says(line="K15", stop_ref="a", razzia=True)
        assert bus.tap()["razzia"] is True
        first = bus.process
        assert first is not None
        os.kill(first, signal.SIGKILL)
        while bus.process in (None, first):  # no taps meanwhile: each moves the clock on
            time.sleep(0.05)
        bus.vehicle_says(line="K15", stop_ref="a")
        bus.terminal.hand.say("clock", step_s=500)
        assert bus.tap()["razzia"] is True
        bus.terminal.hand.say("clock", step_s=100)
        assert "razzia" not in bus.tap()
        bus.tap()  # the row is written between two taps
        rows = [row["razzia"] for row in bus.terminal.rows() if row["kind"] == "RazziaChanged"]
        assert rows == [True, False]


def test_a_contradiction_states_no_zone_and_is_said_once(tmp_path: Path) -> None:
    with driven_bus(tmp_path) as bus:
        for _ in range(3):
            bus.vehicle_says(line="K15", stop_ref="b")
            assert bus.tap()["place.zone"] == 2
            for wrong in ({"line": "16"}, {"zones": ["2203"]}, {"stop_ref": "z"}, {"direction": 1}):
                bus.vehicle_says(**{"line": "K15", "stop_ref": "b"} | wrong)
                facts = bus.tap()
                assert (facts["place.source"], facts["place.quality"]) == ("vehicle", "contradicted")
                assert NO_PLACE.isdisjoint(facts)
                assert facts["place.origin.stop"] == 1501
        bus.vehicle_says(line="16", stop_ref="b")
        bus.tap_until(lambda: VehicleFault.OTHER_LINE in bus.faults())  # not in the first seconds of a turn
        for line in ("17", "18", "16"):
            bus.vehicle_says(line=line, stop_ref="b")
            bus.tap()
        assert bus.faults().count(VehicleFault.OTHER_LINE) == 1


def test_a_process_that_is_killed_is_started_again_and_taps_go_on(tmp_path: Path) -> None:
    with driven_bus(tmp_path) as bus:
        bus.vehicle_says(line="K15", stop_ref="b")
        first = bus.process
        assert first is not None
        os.kill(first, signal.SIGKILL)
        assert bus.tap()["place.stop"] == 1502
        bus.tap_until(lambda: bus.process not in (None, first))
        bus.vehicle_says(line="K15", stop_ref="c")
        assert bus.tap()["place.stop"] == 1503
        assert bus.faults() == [VehicleFault.DIED]


def test_a_process_that_hangs_costs_no_tap_anything(tmp_path: Path) -> None:
    with driven_bus(tmp_path) as bus:
        bus.vehicle_says(line="K15", stop_ref="b")
        first = bus.process
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        facts = [bus.tap() for _ in range(3)]
        assert [one["place.age_s"] for one in facts] == [5, 10, 15]
        bus.tap_until(lambda: bus.process not in (None, first))
        assert bus.faults() == [VehicleFault.HANGS]


def test_the_process_ends_with_a_terminal_that_is_killed(tmp_path: Path) -> None:
    with driven_bus(tmp_path) as bus:
        bus.vehicle_says(line="K15", stop_ref="b")
        process = bus.process
        assert process is not None
        handle = os.pidfd_open(process)
        bus.terminal.hand.process.kill()
        assert select.select([handle], [], [], PATIENCE_S)[0] == [handle]
        os.close(handle)


def test_after_the_end_of_a_recording_its_last_place_grows_old(tmp_path: Path) -> None:
    (tmp_path / "short.jsonl").write_text('{"stop_ref": "a"}\n{"at_s": 40, "line": "K15", "stop_ref": "c"}\n')
    table = {"source": "replay", "replay": "short.jsonl", "replay_speed": 100.0}
    with driven_bus(tmp_path, vehicle=table) as bus:
        bus.terminal.hand.say("await", reports=2, timeout_s=PATIENCE_S)
        ages = [(facts["place.stop"], facts["place.age_s"]) for facts in (bus.tap(), bus.tap())]
        assert ages == [(1503, 5), (1503, 10)]
        bus.tap_until(lambda: bus.faults() == [VehicleFault.ENDED])


def test_a_pipe_is_heard_by_one_writer_after_another(tmp_path: Path) -> None:
    path = tmp_path / "pipe.jsonl"
    os.mkfifo(path)
    with driven_bus(tmp_path, vehicle={"source": "replay", "replay": "pipe.jsonl"}) as bus:
        waits = 0  # for the process to listen; after that it always does
        for reports, stop_ref, stop in ((1, "a", 1501), (2, "b", 1502)):
            pipe = os.open(path, os.O_WRONLY | waits)
            os.write(pipe, json.dumps({"line": "K15", "stop_ref": stop_ref}).encode() + b"\n")
            os.close(pipe)
            bus.terminal.hand.say("await", reports=reports, timeout_s=PATIENCE_S)
            assert bus.tap()["place.stop"] == stop
            waits = os.O_NONBLOCK
        assert bus.faults() == []


def test_a_recording_with_a_mistake_is_reported_and_taps_go_on(tmp_path: Path) -> None:
    with driven_bus(tmp_path) as bus:
        bus.write(line="K15", stop="b")
        bus.tap_until(lambda: VehicleFault.BROKEN in bus.faults())
        bus.vehicle_says(line="K15", stop_ref="b")
        assert bus.tap()["place.stop"] == 1502
        assert bus.faults() == [VehicleFault.BROKEN]
