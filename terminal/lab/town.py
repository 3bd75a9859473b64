"""A little town in memory: terminals on simulated readers, residents with software cards, one virtual clock."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Final

from sim.air import AirModel, VirtualClock
from sim.card.port import SimCard
from sim.card.virtual import VirtualCard
from sim.faults import FaultPlan
from sim.reader import SimReader
from terminal.app.simulated import issue_residents
from terminal.lab.world import World, open_world, purse_minor
from terminal.policy.load import load_region
from terminal.policy.policy import Policy
from terminal.tap import Terminal, take_tap
from terminal.tap_report import TapReport
from terminal.trip.shifts import open_shift

DAY: Final = date(2026, 9, 15)
"""A Tuesday in the school year, when every concession of the laboratory region is in force."""


@dataclass(frozen=True, slots=True)
class TerminalSite:
    """One terminal of a town, and where it stands."""

    number: int
    profile: str
    place: str
    route: int = 0
    direction: int = 0


@dataclass(frozen=True, slots=True)
class TownTap:
    """A tap and what it cost on the air."""

    report: TapReport
    air_ms: float


@dataclass(slots=True)
class Town:
    """Everything of one run. `cards` by resident profile, `terminals` and `readers` by number."""

    clock: VirtualClock
    world: World
    cards: dict[str, SimCard]
    terminals: dict[int, Terminal]
    readers: dict[int, SimReader]

    @property
    def policy(self) -> Policy:
        return self.world.policy

    @property
    def folder(self) -> Path:
        return self.world.folder

    def at(self, day: date, local: str) -> None:
        """Move the clock forward to a local time of day."""
        moment = datetime.combine(day, time.fromisoformat(local), self.policy.zone)
        self.clock.advance((moment - self.clock.now()).total_seconds())

    def tap(self, number: int, resident: str, faults: FaultPlan | None = None) -> TownTap:
        """Present a resident's card to a terminal and take it away again."""
        reader = self.readers[number]
        reader.present(self.cards[resident], faults)
        connection = reader.wait_for_card(0)
        assert connection is not None, "a card has just been presented"
        report = take_tap(connection, self.terminals[number])
        assert reader.last is not None
        air_ms = reader.last.air_ms
        reader.release()
        reader.remove()
        return TownTap(report, air_ms)

    def purses_minor(self) -> int:
        """All the money on all the cards, read from their memory and not from what any record says."""
        cards = (card for card in self.cards.values() if isinstance(card, VirtualCard))
        return sum(purse_minor(card) for card in cards)


@contextmanager
def open_town(
    folder: Path,
    stops: Iterable[TerminalSite],
    residents: Iterable[str],
    day: date,
    seed: int,
    region: str = "demo",
) -> Iterator[Town]:
    """Issue the cards, open every terminal with a shift, and close all journals at the end."""
    rng = random.Random(seed)  # noqa: S311 a seeded town plays the same morning again
    document = load_region(region)
    policy = Policy.of(document)
    clock = VirtualClock(datetime.combine(day, time(6), policy.zone).astimezone(UTC))
    world = open_world(folder, region, policy, rng.randbytes)
    names = list(dict.fromkeys(residents))
    cards = dict(
        zip(names, issue_residents(names, document.header.region, day, rng=rng.randbytes), strict=True)
    )
    with ExitStack() as open_terminals:
        terminals, readers = {}, {}
        for stop in stops:
            station = world.station(stop.number, stop.profile)
            terminal = open_terminals.enter_context(world.open_terminal(station, clock))
            open_shift(terminal.journal, clock.now(), "demo", stop.profile, stop.route, stop.direction)
            terminals[stop.number] = terminal
            readers[stop.number] = SimReader(f"simulated reader of {stop.place}", clock, AirModel())
        yield Town(clock, world, cards, terminals, readers)
