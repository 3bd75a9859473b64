"""What stands around the desk: three terminals with real journals, the bus of two of them, the cards, the clock."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from msgspec import structs

from cardproto.resident.snapshot import CardSnapshot
from sim.air import AirModel, DeskClock
from sim.desk.face import CardGroup
from sim.desk.shelf import Laid, lay_out
from sim.lab_keys import load_lab_keys
from sim.reader import SimReader
from terminal.clock import unix_ms
from terminal.codes import Admission
from terminal.decision.outcome import Message, Outcome
from terminal.errors import Mistake, RegionDocumentError
from terminal.journal.operation_records import RazziaChanged
from terminal.lab.desk.bus import SOURCE, DeskBus, line_of
from terminal.lab.desk.devices import DeskDevices
from terminal.lab.desk.refusals import DeskFault, DeskRefused
from terminal.lab.world import World, open_world
from terminal.media.bank import BANK
from terminal.media.phone import PHONE
from terminal.media.resident import RESIDENT
from terminal.mistakes.words import refusal
from terminal.policy.document.schema import RegionDocument
from terminal.policy.load import REGIONS, load_region, parse_region, require_in_force
from terminal.policy.policy import Policy
from terminal.policy.routes import RouteBook, parse_routes
from terminal.tap import Terminal
from terminal.trip.shifts import open_shift, start_turn
from terminal.updates.floors import FLOORS_FILE
from terminal.updates.store import ACTIVE_FILE, SLOTS_FOLDER

DAY: Final = datetime(2026, 9, 15, 9, 38)  # noqa: DTZ001 local time, in whichever zone the region has
"""A school day in the first break, so that a bus and a canteen both have something to decide. Local time."""
DOCUMENT: Final = "document.toml"
ROUTES: Final = "routes.toml"
OPERATOR: Final = "desk"


@dataclass(frozen=True, slots=True)
class DeskPlace:
    """Where a terminal stands. `key` names it in addresses."""

    key: str
    number: int
    profile: str
    title: tuple[str, str]

    @property
    def on_bus(self) -> bool:
        """Whether it is one of the bus's."""
        return self.profile == "bus"


PLACES: Final = (
    DeskPlace("front", 70001, "bus", ("Bus, front door", "Автобус, передняя дверь")),
    DeskPlace("rear", 70002, "bus", ("Bus, rear door", "Автобус, задняя дверь")),
    DeskPlace("canteen", 80001, "canteen", ("School canteen", "Школьная столовая")),
)
DRIVER: Final = PLACES[0]
"""Whose shift the bus runs."""

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
    shows_razzia: Callable[[bool], None]
    bus: DeskBus
    devices: DeskDevices
    air: AirModel = field(default_factory=AirModel)
    terminals: dict[str, Terminal] = field(default_factory=dict)
    readers: dict[str, SimReader] = field(default_factory=dict)
    razzia: bool = False
    """What both terminals of the bus show."""
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
            station = structs.replace(
                self.world.station(place.number, place.profile),
                media=(RESIDENT, PHONE, BANK) if place.on_bus else (RESIDENT, PHONE),
                codes=place == DRIVER,
            )
            if place.on_bus:
                station = structs.replace(station, routes=self.folder / ROUTES)
            terminal = self._open.enter_context(
                self.world.open_terminal(station, self.clock, partial(self._shown, place), any_edition=True)
            )
            if place.on_bus:
                terminal.vehicle = self.bus.link
                terminal.service_card = partial(self._service_card, terminal)
            self.terminals[place.key] = terminal
            self.readers.setdefault(place.key, SimReader(place.title[0], self.clock, self.air))
        self.devices.start(self.terminals[DRIVER.key], self.state_of(DRIVER))

    def _shown(self, place: DeskPlace, outcome: Outcome) -> None:
        """A result, for the display there, and for lamps and buzzer where there are some."""
        self.signal(place.key, outcome)
        if place == DRIVER:
            self.devices.outcome(outcome)

    def stop_terminals(self) -> None:
        """Close every journal."""
        self.devices.stop()
        self._open.close()
        self.terminals.clear()

    def close(self) -> None:
        """Close every journal, and the bus's computer."""
        self.stop_terminals()
        self.devices.close()
        self.bus.close()

    def look(self) -> None:
        """What terminals do between taps: the bus has come further, an inspection has begun or ended."""
        self.bus.look()
        if self.razzia is not self.bus.link.razzia:
            self.razzia = self.bus.link.razzia
            for terminal in self.on_bus():
                terminal.journal.append(RazziaChanged(unix_ms(self.clock.now()), self.razzia, SOURCE))
            self.shows_razzia(self.razzia)

    def on_bus(self) -> list[Terminal]:
        """The terminals of the bus."""
        return [self.terminals[place.key] for place in PLACES if place.on_bus]

    def go_on(self, seconds: float) -> None:
        """The bus goes on, and so much time passes."""
        self.clock.advance(seconds)
        self.bus.goes(seconds)

    def turn_round(self) -> None:
        """The bus goes back; every open shift on it begins its next turn."""
        route, direction = self.bus.route, 1 - self.bus.direction
        for terminal in self.on_bus():
            if terminal.journal.open_shift is not None:
                start_turn(terminal.journal, self.clock.now(), OPERATOR, route, direction)
        self.bus.runs(route, direction)

    def _service_card(self, terminal: Terminal, snapshot: object, now: datetime) -> Outcome | None:
        """A card of staff confirms the time of a clock in doubt (O-05); without a console it opens nothing else."""
        uids = {laid.card.uid for laid in self.shelf.values() if laid.face.group is CardGroup.STAFF}
        if not isinstance(snapshot, CardSnapshot) or snapshot.uid not in uids:
            return None
        if not terminal.clock_watch.confirm(OPERATOR):
            return None
        local = now.astimezone(self.policy.zone)
        values = {"date": f"{local:%Y-%m-%d}", "time": f"{local:%H:%M}"}
        return Outcome(Message.CLOCK_CONFIRMED, Admission.INSIDE, values=values)

    def use_document(self, text: str, rng: Callable[[int], bytes]) -> None:
        """Restart the terminals with the document in `text`.

        Raises `RegionDocumentError` and changes nothing when it cannot be used here, and `DeskRefused` where the
        driver's terminal could not read its journal any more.
        """
        if self.devices.tampered:
            raise DeskRefused(DeskFault.KEY_WIPED)
        document = checked_document(text, str(self.document_path), self.clock.now())
        header, present = document.header, self.policy.document.header
        if (header.id, header.region) != (present.id, present.region):
            ids: dict[str, int | str] = {"id": header.id, "shelf_id": present.id}
            regions = {"region": header.region, "shelf": present.region}
            raise refusal(RegionDocumentError, [Mistake("header", DeskFault.OTHER_REGION, ids | regions)])
        self.stop_terminals()
        self.document_path.write_text(text, "utf-8")
        self._forget_documents()
        self.world = replace(self.world, policy=Policy.of(document), random=rng)
        self.start_terminals()

    def _forget_documents(self) -> None:
        """What is edited at the desk may keep its version, which a terminal in service refuses."""
        for place in PLACES:
            for name in (ACTIVE_FILE, FLOORS_FILE):
                (self.state_of(place) / name).unlink(missing_ok=True)
            shutil.rmtree(self.state_of(place) / SLOTS_FOLDER, ignore_errors=True)

    def card_registry(self) -> Path:
        """What an issuing point hands the collector: references, UID and transaction MAC key of each card."""
        return self.world.write_registry([laid.card for laid in self.shelf.values()])


def open_desk_town(
    folder: Path,
    region: str,
    seed: int,
    signal: Signal,
    shows_razzia: Callable[[bool], None],
    devices: DeskDevices,
) -> DeskTown:
    """Issue the cards for `region` (a supplied name or a file) and open every terminal with a shift. The town has the
    `devices` from here on.

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
    routes = _routes(folder / ROUTES, document)
    world = open_world(folder, str(folder / DOCUMENT), policy, rng.randbytes, issued_at=start)
    clock = DeskClock(start)
    with ExitStack() as undone:
        undone.callback(devices.close)
        bus = undone.enter_context(closing(DeskBus(clock, routes)))
        town = DeskTown(world, clock, shelf, signal, shows_razzia, bus, devices)
        town.start_terminals()
        undone.pop_all()
    for place in PLACES:
        route = bus.route if place.on_bus else 0
        open_shift(town.terminals[place.key].journal, start, OPERATOR, place.profile, route)
    town.look()
    return town


def _routes(path: Path, document: RegionDocument) -> RouteBook:
    """The lines of the region's bus, written to `path`."""
    text = line_of(document.header.id, document.header.region)
    path.write_text(text, "utf-8")
    return parse_routes(text.encode(), str(path))


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
