"""Recordings of a vehicle: what a line may say, what is refused, and when it is played."""

from __future__ import annotations

import re
from pathlib import Path
from time import monotonic
from typing import cast

import pytest

from terminal.trip.vehicle_report import SourceSettings, SourceState, VehicleReport
from terminal.vehicle.replay import LONGEST_LINE_BYTES, ReplaySource, parse_recorded
from terminal.vehicle.source import SourceBroken, SourceLink


def test_a_line_is_a_report_at_its_time() -> None:
    at_s, report = parse_recorded(b'{"at_s": 12.5, "line": "15", "zones": ["A"], "razzia": false}', 3.0)
    said = VehicleReport(heard_s=0.0, source="replay", line="15", zones=("A",), razzia=False)
    assert (at_s, report) == (12.5, said)
    assert parse_recorded(b"{}", 3.0) == (3.0, VehicleReport(heard_s=0.0, source="replay"))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"not JSON", "malformed"),
        (b"[]", "Expected `object`"),
        (b'{"stop": "a"}', "unknown field `stop`"),
        (b'{"at_s": -1}', "`float` >= 0.0"),
        (b'{"at_s": 2}', "comes before the line above it"),
        (b'{"at_s": "soon"}', "Expected `float`"),
        (b'{"direction": 2}', "$.direction"),
        (b'{"zones": "A"}', "$.zones"),
        (b'{"line": "' + b"x" * 101 + b'"}', "$.line"),
        (b"[" * 5000, "Expected `object`"),
        (b'{"line": ' + b"[" * 5000, "nested too deeply"),
        (b"\xff", "malformed"),
    ],
    ids=range(12),
)
def test_a_line_that_says_something_else_is_refused(line: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        parse_recorded(line, 3.0)


class Ear:
    """The link of a source that runs here: it hears, and is over when it is asked to wait that long."""

    def __init__(self, over_after_s: float = 60.0) -> None:
        self.reports: list[VehicleReport] = []
        self.states: list[tuple[SourceState, str]] = []
        self.waits: list[float] = []
        self._over_after_s = over_after_s

    def report(self, report: VehicleReport) -> None:
        self.reports.append(report)

    def says(self, state: SourceState, detail: str = "") -> None:
        self.states.append((state, detail))

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        return seconds >= self._over_after_s


def played(path: Path, speed: float = 1.0, over_after_s: float = 60.0) -> Ear:
    ear = Ear(over_after_s)
    ReplaySource(SourceSettings(source="replay", replay=str(path), replay_speed=speed)).serve(
        cast(SourceLink, ear)
    )
    return ear


def test_a_recording_is_played_at_its_times_and_says_when_it_has_ended(tmp_path: Path) -> None:
    file = tmp_path / "line.jsonl"
    file.write_text('{"line": "1"}\n\n{"at_s": 40, "line": "2"}\n{"line": "3"}\n{"at_s": 50, "line": "4"}')
    ear = played(file, speed=2.0)
    assert [report.line for report in ear.reports] == ["1", "2", "3", "4"]
    assert [round(wait_s) for wait_s in ear.waits] == [0, 20, 20, 25, 60]
    assert ear.states == [(SourceState.ENDED, f"{file} has been played to its end")]
    assert all(report.heard_s <= monotonic() for report in ear.reports)


def test_it_stops_where_the_terminal_stops(tmp_path: Path) -> None:
    file = tmp_path / "line.jsonl"
    file.write_text('{"line": "1"}\n{"at_s": 40, "line": "2"}\n')
    ear = played(file, over_after_s=30.0)
    assert ([report.line for report in ear.reports], ear.states) == (["1"], [])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"line": "1"}\n{"lines": "2"}\n', "line 2: Object contains unknown field `lines`"),
        (b'{"line": "1"}\n' + b" " * (LONGEST_LINE_BYTES + 1), "a line longer than"),
        (b"\0" * 100, "line 1: "),
    ],
)
def test_a_recording_with_a_mistake_names_its_line(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "line.jsonl").write_bytes(content)
    with pytest.raises(SourceBroken) as broken:
        played(tmp_path / "line.jsonl")
    assert why in str(broken.value)


def test_a_file_that_is_not_there_is_broken(tmp_path: Path) -> None:
    with pytest.raises(SourceBroken) as broken:
        played(tmp_path / "none.jsonl")
    assert "cannot be read (No such file or directory)" in str(broken.value)
