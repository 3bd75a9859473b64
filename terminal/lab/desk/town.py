"""What stands around the desk: three terminals with real journals, the cards, the clock, the wire to a collector."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from sim.air import AirModel, DeskClock
from sim.desk.shelf import Laid, lay_out
from sim.lab_keys import load_lab_keys
from sim.reader import SimReader
from terminal.decision.outcome import Outcome
from terminal.errors import RegionDocumentError
from terminal.lab.world import World, open_world
from terminal.policy.document.schema import RegionDocument
from terminal.policy.load import REGIONS, load_region, parse_region, require_in_force
from terminal.policy.policy import Policy
from terminal.tap import Terminal
from terminal.trip.shifts import open_shift

DAY: Final = datetime(2026, 9, 15, 9, 38)  # noqa: DTZ001 local time, in whichever zone the region has
"""A school day in the first break, so that a bus and a canteen both have something to decide. Local time."""
DOCUMENT: Final = "document.toml"
OPERATOR: Final = "desk"


@dataclass(frozen=True, slots=True)
class DeskPlace:
    """Where a terminal stands. `key` names it in addresses."""

    key: str
    number: int
    profile: str
    title: tuple[str, str]
    route: int = 0


PLACES: Final = (
    DeskPlace("front", 70001, "bus", ("Bus, front door", "Автобус, передняя дверь"), 15),
    DeskPlace("rear", 70002, "bus", ("Bus, rear door", "Автобус, задняя дверь"), 15),
    DeskPlace("canteen", 80001, "canteen", ("School canteen", "Школьная столовая")),
)

Signal = Callable[[str, Outcome], None]
"""What the passenger at a place is shown."""


def region_names() -> list[str]:
    """The supplied region documents."""
    return sorted(path.stem for path in REGIONS.glob("*.toml"))


@dataclass(slots=True)
class DeskTown:
    """One session's world, built by `open_desk_town`; `close` ends it. Not thread-safe: the session sees to that."""

    world: World
    clock: DeskClock
    shelf: dict[str, Laid]
    signal: Signal
    air: AirModel = field(default_factory=AirModel)
    terminals: dict[str, Terminal] = field(default_factory=dict)
    readers: dict[str, SimReader] = field(default_factory=dict)
    _open: ExitStack = field(default_factory=ExitStack)

    @property
    def folder(self) -> Path:
        return self.world.folder

    @property
    def policy(self) -> Policy:
        return self.world.policy

    @property
    def document_path(self) -> Path:
        """The session's own copy of the region document: edit it and let the desk read it again."""
        return self.folder / DOCUMENT

    def state_of(self, place: DeskPlace) -> Path:
        """The folder of a terminal."""
        return self.folder / str(place.number)

    def start_terminals(self) -> None:
        """Open every terminal; a shift that is open stays open."""
        for place in PLACES:
            station = self.world.station(place.number, place.profile)
            self.terminals[place.key] = self._open.enter_context(
                self.world.open_terminal(station, self.clock, partial(self.signal, place.key))
            )
            self.readers.setdefault(place.key, SimReader(place.title[0], self.clock, self.air))

    def close(self) -> None:
        """Close every journal."""
        self._open.close()
        self.terminals.clear()

    def use_document(self, text: str, rng: Callable[[int], bytes]) -> None:
        """Restart the terminals with the document in `text`.

        Raises `RegionDocumentError` and changes nothing when it cannot be used here.
        """
        document = checked_document(text, str(self.document_path), self.clock.now())
        header, present = document.header, self.policy.document.header
        if (header.id, header.region) != (present.id, present.region):
            raise RegionDocumentError(
                f"this is the document of {header.id} (region {header.region}), "
                f"the cards on the shelf are of {present.id} (region {present.region})",
                "Choose the other region instead: its cards are issued anew.",
            )
        self.close()
        self.document_path.write_text(text, "utf-8")
        self.world = replace(self.world, policy=Policy.of(document), random=rng)
        self.start_terminals()

    def card_registry(self) -> Path:
        """What an issuing point hands the collector: references, UID and transaction MAC key of each card."""
        return self.world.write_registry([laid.card for laid in self.shelf.values()])


def open_desk_town(folder: Path, region: str, seed: int, signal: Signal) -> DeskTown:
    """Issue the cards for `region` (a supplied name or a file) and open every terminal with a shift.

    Raises `RegionDocumentError`.
    """
    source = Path(region) if Path(region).is_file() else REGIONS / f"{region}.toml"
    document = load_region(source)
    rng = random.Random(seed)  # noqa: S311 the same seed lays the same cards
    policy = Policy.of(document)
    start = _start(document, policy)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, folder / DOCUMENT)
    shelf = lay_out(
        load_lab_keys(), document.header.region, start.astimezone(policy.zone).date(), rng.randbytes
    )
    world = open_world(folder, str(folder / DOCUMENT), policy, rng.randbytes)
    town = DeskTown(world, DeskClock(start), shelf, signal)
    town.start_terminals()
    for place in PLACES:
        open_shift(town.terminals[place.key].journal, start, OPERATOR, place.profile, place.route)
    return town


def checked_document(text: str, name: str, now: datetime) -> RegionDocument:
    """The document in `text`, in force now; raises `RegionDocumentError` naming place and advice."""
    document = parse_region(text, name)
    require_in_force(document, now)
    return document


def _start(document: RegionDocument, policy: Policy) -> datetime:
    """The usual morning, or the first one the document holds on, or its last."""
    usual = DAY.replace(tzinfo=policy.zone)
    if usual < document.header.valid_from:
        day = document.header.valid_from.astimezone(policy.zone).date() + timedelta(days=1)
    elif usual >= document.header.valid_to:
        day = document.header.valid_to.astimezone(policy.zone).date() - timedelta(days=7)
        day -= timedelta(days=max(0, day.weekday() - 4))
    else:
        return usual.astimezone(UTC)
    return datetime.combine(day, time(DAY.hour, DAY.minute), policy.zone).astimezone(UTC)
