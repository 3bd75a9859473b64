"""What becomes between taps of what the vehicle says: once to staff, in few rows, however often it changes its mind."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest

from terminal.app import vehicle as under_test
from terminal.app.vehicle import EDGE_S, EDGES, SETTLES_S, WORKS_AGAIN_S, VehicleWatch
from terminal.codes import Trouble, VehicleFault
from terminal.journal.journal import Journal
from terminal.journal.operation_records import RazziaChanged
from terminal.journal.records import parse_record
from terminal.operations.vitals import Vitals
from terminal.policy.routes import NO_ROUTES, RouteBook
from terminal.tap import Terminal
from terminal.trip.facts import Place
from terminal.trip.shifts import open_shift, start_turn
from terminal.trip.vehicle import SourceFault, VehicleLink
from terminal.trip.vehicle_place import CONTRADICTED, PlaceHeard

NOW: Final = datetime(2026, 9, 15, 5, 0, tzinfo=UTC)


class FakeLink:
    """A vehicle that says what a test wants."""

    name = "replay"
    process_id = 7
    starts = 1
    age_s = 3

    def __init__(self) -> None:
        self.razzia = False
        self.source_fault = SourceFault()
        self.said = PlaceHeard(Place(stop=1501))
        self.ran: list[tuple[int, int]] = []
        self.started = 0

    def start(self) -> None:
        self.started += 1

    def runs(self, route: int, direction: int, _routes: RouteBook) -> None:
        self.ran.append((route, direction))

    def heard(self, _route: int, _direction: int, _routes: RouteBook) -> PlaceHeard:
        return self.said


class Cab:
    """A journal, a watch over the link, and the seconds that pass between two looks."""

    def __init__(self, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
        self.journal = journal
        self.link = FakeLink()
        self.seconds = 100.0
        self.said: list[str] = []
        self.shown: list[bool] = []
        monkeypatch.setattr(under_test, "monotonic", lambda: self.seconds)
        clock = SimpleNamespace(now=lambda: NOW)
        self.terminal = SimpleNamespace(journal=journal, routes=NO_ROUTES, clock=clock)
        vitals = SimpleNamespace(
            vehicle_is=lambda trouble, _source, _detail="": self.said.append(
                trouble.code if trouble else "over"
            ),
            refresh=lambda: None,
            events=SimpleNamespace(notice=lambda *_words, **_fields: None),
        )
        self.watch = VehicleWatch(
            cast(VehicleLink, self.link),
            cast(Terminal, self.terminal),
            cast(Vitals, vitals),
            self.shown.append,
        )

    def look(self, after_s: float = 1.0, **changes: Any) -> None:
        self.seconds += after_s
        for name, value in changes.items():
            setattr(self.link, name, value)
        self.watch.look()

    def edges(self) -> list[bool]:
        rows = [parse_record(row.body) for row in self.journal.rows(0, 10_000)]
        return [row.razzia for row in rows if isinstance(row, RazziaChanged)]


@pytest.fixture
def cab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cab]:
    journal = Journal.open(tmp_path / "journal.db", 7)
    open_shift(journal, NOW, "d", "bus", 15)
    yield Cab(journal, monkeypatch)
    journal.close()


def contradiction(heard: str, code: VehicleFault = VehicleFault.OTHER_LINE) -> PlaceHeard:
    return PlaceHeard(CONTRADICTED, Trouble(code, {"heard": heard}))


def test_the_process_starts_with_the_first_look_and_hears_what_runs(cab: Cab) -> None:
    cab.look()
    start_turn(cab.journal, NOW, "d", 16, 1)
    cab.look()
    assert cab.link.started == 1
    assert cab.link.ran == [(15, 0), (16, 1)]


def test_a_contradiction_is_said_once_a_turn_and_not_while_a_turn_begins(cab: Cab) -> None:
    cab.look(said=contradiction("16"))
    assert cab.said == []
    cab.look(SETTLES_S)
    for line in ("16", "17", "18"):
        cab.look(said=contradiction(line))
        cab.look(WORKS_AGAIN_S, said=PlaceHeard(Place(stop=1501)))
    cab.look(WORKS_AGAIN_S + 1)
    assert cab.said == [VehicleFault.OTHER_LINE, "over"]
    cab.look(said=contradiction("b", VehicleFault.UNKNOWN_STOP))
    start_turn(cab.journal, NOW, "d", 15, 1)
    cab.look()
    cab.look(SETTLES_S, said=contradiction("16"))
    assert cab.said[2:] == [VehicleFault.UNKNOWN_STOP, "over", VehicleFault.OTHER_LINE]


def test_a_source_that_fails_again_at_once_is_said_once(cab: Cab) -> None:
    for _ in range(20):
        cab.look(source_fault=SourceFault(VehicleFault.DIED, "exit code 1"))
        cab.look(source_fault=SourceFault())
    assert cab.said == [VehicleFault.DIED]
    cab.look(WORKS_AGAIN_S)
    assert cab.said == [VehicleFault.DIED, "over"]
    cab.look(source_fault=SourceFault(VehicleFault.DIED))
    cab.look(source_fault=SourceFault(VehicleFault.HANGS))
    assert cab.said[2:] == [VehicleFault.HANGS]


def test_an_inspection_is_shown_and_on_record_at_both_edges(cab: Cab) -> None:
    cab.look()
    cab.look(razzia=True)
    cab.look()
    cab.look(razzia=False)
    assert cab.edges() == cab.shown == [True, False]


def test_a_stranger_who_switches_it_all_day_does_not_fill_the_journal(cab: Cab) -> None:
    hours = 24
    for step in range(hours * 360):
        cab.look(10.0, razzia=step % 2 == 0)
    assert EDGES <= len(cab.edges()) <= EDGES + hours * 3600 / EDGE_S
    cab.look(EDGE_S, razzia=True)
    cab.look(EDGE_S, razzia=False)
    assert cab.edges()[-1] is False


def test_the_status_says_what_is_wrong_first(cab: Cab) -> None:
    cab.look()
    status = cab.watch.status()
    assert (status.source, status.process, status.starts, status.stop, status.fault) == (
        "replay",
        7,
        1,
        1501,
        "",
    )
    cab.look(said=contradiction("16"))
    assert (cab.watch.status().fault, cab.watch.status().inputs) == (VehicleFault.OTHER_LINE, {"heard": "16"})
    assert cab.watch.status().quality == "contradicted"
    cab.look(source_fault=SourceFault(VehicleFault.HANGS))
    assert cab.watch.status().fault == VehicleFault.HANGS
