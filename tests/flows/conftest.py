"""A town small enough for one test: two validators of one bus, a canteen with two counters, software cards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from terminal.app.station import journal_reader
from terminal.journal.records import parse_record
from terminal.lab.town import DAY, TerminalSite, Town, open_town
from terminal.media.resident.medium import ResidentMedium
from terminal.tap import Terminal
from tests.journal_rows import assert_codes

FRONT = TerminalSite(70001, "bus", "front door", route=15)
REAR = TerminalSite(70002, "bus", "rear door", route=15)
COUNTER_A = TerminalSite(80001, "canteen", "counter A")
COUNTER_B = TerminalSite(80002, "canteen", "counter B")

OpenTown = Callable[..., AbstractContextManager[Town]]


@pytest.fixture
def town_of(tmp_path: Path) -> OpenTown:
    """`with town_of("adult_purse", …) as town:` opens a fresh town with these residents at 09:40."""

    def open_one(
        *residents: str,
        at: str = "09:40:00",
        folder: str = "town",
        stops: tuple[TerminalSite, ...] = (FRONT, REAR),
        region: str = "demo",
    ) -> AbstractContextManager[Town]:
        return _town(tmp_path / folder, residents, at, stops, region)

    return open_one


def resident_of(terminal: Terminal) -> ResidentMedium:
    """The medium through which `terminal` takes resident cards, its only one."""
    (medium,) = terminal.media
    assert isinstance(medium, ResidentMedium)
    return medium


@contextmanager
def _town(
    folder: Path,
    residents: tuple[str, ...],
    at: str,
    stops: tuple[TerminalSite, ...],
    region: str = "demo",
) -> Iterator[Town]:
    folder.mkdir(parents=True)
    with open_town(folder, stops, residents, DAY, seed=7, region=region) as town:
        town.at(DAY, at)
        yield town
        for number in town.terminals:
            with journal_reader(town.folder / str(number)) as reader:
                assert_codes(parse_record(row.body) for row in reader.all_rows())


@pytest.fixture(scope="module")
def any_terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """One bus terminal with an open shift, for tests whose cards bring nothing."""
    with _town(tmp_path_factory.mktemp("one") / "town", (), "09:40:00", (FRONT,)) as town:
        yield town.terminals[FRONT.number]
