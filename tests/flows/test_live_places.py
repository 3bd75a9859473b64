"""What a running bus makes of a place that is old, estimated, contradicted or missing: charge, flags and trail of the
rows, where the vehicle is a pipe and time is moved by hand.

The tariff is Belgorod's, whose suburban riders tap in and out: from the boundary 60.00 to zone 2, 66.00 to zone 3,
90.00 to zone 4, and 120.00 to the terminus in zone 5.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from sim.card.virtual import VirtualCard
from sim.image_file import save_card
from terminal.app.simulated import issue_residents
from terminal.policy.load import load_region
from tests.flows.live import DAY, LiveTerminal, live_terminal

REGION: Final = "belgorod"
CARD: Final = "rider.json"
PIPE: Final = "vehicle.jsonl"
ROUTES: Final = """
[header]
id = "suburban_routes"
version = 1
region = 31
issued_at = 2026-01-01T00:00:00+03:00

[[routes]]
number = 101
name = "Station - Village"
mode = "bus"

[[routes.directions]]
name = "to the village"
stops = [
  { number = 1, refs = ["s1"], name = "Station", zone = 1 },
  { number = 2, refs = ["s2"], name = "Mill", zone = 2 },
  { number = 3, refs = ["s3"], name = "Bridge", zone = 3 },
  { number = 4, refs = ["s4"], name = "School", zone = 4 },
  { number = 5, refs = ["s5"], name = "Village", zone = 5 },
]

[[routes.directions]]
name = "to the station"
"""


@dataclass
class SuburbanBus:
    """A bus on route 101, its vehicle, and one rider's card."""

    terminal: LiveTerminal
    pipe: IO[str]
    reports: int = 0

    def hears(self, **said: object) -> None:
        """The vehicle says so; returns when the terminal has heard it."""
        self.pipe.write(json.dumps({"line": "101", **said}) + "\n")
        self.reports += 1
        self.terminal.hand.say("await", reports=self.reports)

    def tap_after(self, seconds: int) -> dict[str, Any]:
        """The row of the card's next tap, so long after what was before it."""
        self.terminal.hand.say("clock", step_s=seconds - 5)  # `tap` lets five seconds pass
        return self.terminal.tap(CARD)


@contextmanager
def suburban_bus(folder: Path) -> Iterator[SuburbanBus]:
    """The bus in service, its rider's card issued."""
    (made,) = issue_residents(["adult_purse"], load_region(REGION).header.region, DAY)
    assert isinstance(made, VirtualCard)
    save_card(made, folder / CARD)
    (folder / "routes.toml").write_text(ROUTES, "utf-8")
    os.mkfifo(folder / PIPE)
    tables: dict[str, Mapping[str, object]] = {
        "terminal": {"profile": "bus", "number": 7, "region": REGION},
        "shift": {"operator": "driver-7", "route": 101},
        "lists": {"routes": "routes.toml"},
        "vehicle": {"source": "replay", "replay": PIPE},
    }
    with live_terminal(folder, **tables) as terminal, (folder / PIPE).open("w", buffering=1) as pipe:
        yield SuburbanBus(terminal, pipe)


def reasons_of(row: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The trail of a row: effects, and what each looked at."""
    return dict(row["reasons"])


def test_an_old_place_is_the_last_known_stop_and_the_exit_is_the_cheaper_of_two(tmp_path: Path) -> None:
    with suburban_bus(tmp_path) as bus:
        bus.hears(stop_ref="s1", coming_ref="s2")
        boarded = bus.tap_after(60)
        bus.hears(stop_ref="s3", coming_ref="s4")
        left = bus.tap_after(300)
    assert (boarded["message"], boarded["values"]["held_minor"], boarded["flags"]) == (
        "ok_checkin",
        12000,
        [],
    )
    assert boarded["trip"]["place.age_s"] == 60
    assert (left["message"], left["charge_minor"], left["flags"]) == (
        "ok_checkout",
        6600,
        ["place_estimated"],
    )
    assert (left["trip"]["place.age_s"], left["trip"]["place.coming.zone"]) == (300, 4)
    assert reasons_of(left)["t-61:place_stale"] == {"age_s": 300}
    assert "t-07:cheaper_stop" in reasons_of(left)


def test_an_unknown_place_boards_at_the_first_stop_and_costs_the_least_to_leave(tmp_path: Path) -> None:
    with suburban_bus(tmp_path) as bus:
        bus.hears(stop_ref="s3", coming_ref="s4")
        boarded = bus.tap_after(601)
        bus.hears(stop_ref="elsewhere")
        left = bus.tap_after(300)
    assert (boarded["message"], boarded["values"]["held_minor"]) == ("ok_checkin", 12000)
    assert boarded["flags"] == ["place_unknown", "place_estimated"]
    assert reasons_of(boarded)["t-61:place_too_old"] == {"age_s": 601}
    assert (left["message"], left["charge_minor"], left["flags"]) == ("ok_checkout", 3000, ["place_unknown"])
    assert reasons_of(left).keys() >= {"t-61:place_contradicted", "t-07:cheapest_ride"}
    assert "place.zone" not in left["trip"], "never a zone 0 with a price of its own"
