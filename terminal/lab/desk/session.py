"""The desk at work: every button of the page is one method here, and every page looks at the same desk.

Methods may be called from any thread; one at a time runs. `changed` is called once for each change and must not
block; details are read by the other methods.

`arrange` gives it something to show: some taps, one of them torn and settled, some rows on their way.
"""

from __future__ import annotations

import random
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from cardproto.credential.code import code_text
from cardproto.resident.limits import LARGEST_ROUTE
from sim.desk.disturbance import Disturbance, Mishap
from sim.desk.shelf import Laid
from sim.desk.trace import Traced
from sim.lab_issuer import on_paper
from sim.phone import VirtualPhone
from terminal.errors import RegionDocumentError
from terminal.lab.desk.bus import OnBoard
from terminal.lab.desk.devices import DeskDevices, Hands
from terminal.lab.desk.refusals import DeskFault, DeskRefused
from terminal.lab.desk.tap import FinishedTap, scanned, take
from terminal.lab.desk.town import (
    DRIVER,
    OPERATOR,
    PLACES,
    DeskPlace,
    DeskTown,
    Signal,
    open_desk_town,
    region_names,
)
from terminal.lab.desk.wire import DeskUplink
from terminal.tap_report import TapReport
from terminal.trip.asked import Goal, goals, places_asked
from terminal.trip.facts import NOWHERE, AskedBy
from terminal.trip.shifts import close_shift, open_shift

MOST_TAPS: Final = 5_000
"""A session holds all its taps in memory; for more, start a new one."""
LONGEST_STEP: Final = timedelta(days=400)


class BusMove(StrEnum):
    """What the driver of the desk's bus does."""

    STEP = "step"
    """Closes the doors and goes, comes near the next stop, or opens the doors there: whatever comes next."""
    NEXT_STOP = "next_stop"
    TURN_ROUND = "turn_round"
    """Begins the next turn, in the other direction."""
    DRIVE = "drive"
    """Lets the bus drive by itself."""
    STAND = "stand"


@dataclass(slots=True)
class DeskSession:
    """`folder` gets one subfolder for each reset. `changed` and `signal` may be set after construction."""

    folder: Path
    region: str = "demo"
    seed: int = 1
    collector: bool = True
    changed: Callable[[], None] = lambda: None
    signal: Signal = lambda _place, _outcome: None
    stirred: Callable[[], None] = lambda: None
    """Hears that a device around the driver's terminal has changed."""
    razzia: Callable[[bool], None] = lambda _razzia: None
    """Hears when an inspection on the bus begins and ends."""
    number: int = 0
    """Which session of this desk it is; counted from 1."""
    epoch: str = field(default_factory=lambda: secrets.token_hex(4))
    """Distinguishes this desk from one that ran before it at the same address."""
    document: int = 0
    """How many times the region document was replaced in this session."""
    document_problem: RegionDocumentError | None = None
    taps: list[FinishedTap] = field(default_factory=list)
    trace: list[tuple[int, Traced]] = field(default_factory=list)
    """Every exchange of the session with the number of its tap."""
    _shown_codes: dict[bytes, Laid] = field(default_factory=dict)
    """Codes that phones of the shelf, and paper of their holders, have shown in this session."""
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _town: DeskTown | None = None
    _wire: DeskUplink | None = None

    @property
    def town(self) -> DeskTown:
        """Raises `DeskRefused` before `reset` and after `close`."""
        if self._town is None:
            raise DeskRefused(DeskFault.CLOSED)
        return self._town

    @property
    def wire(self) -> DeskUplink:
        """Raises `DeskRefused` before `reset` and after `close`."""
        if self._wire is None:
            raise DeskRefused(DeskFault.CLOSED)
        return self._wire

    @property
    def name(self) -> str:
        """A page that sees another name than before has to start afresh."""
        return f"{self.epoch}.{self.number}"

    @property
    def lock(self) -> threading.RLock:
        """Held to read several things that must fit together."""
        return self._lock

    def reset(self, region: str | None = None) -> None:
        """New cards, new journals, the clock back to the morning; raises `RegionDocumentError` and keeps the old."""
        with self._lock:
            wanted = self.region if region is None else self._known(region)
            folder = self._next_folder()
            devices = DeskDevices(self._lock, self._stirs)
            devices.scanned = self._scanned
            town = open_desk_town(folder, wanted, self.seed, self._shown, self._shows_razzia, devices)
            self._leave()
            self._town, self.region = town, wanted
            self.razzia(town.razzia)
            self.number += 1
            self.document, self.document_problem = 0, None
            self.taps, self.trace, self._shown_codes = [], [], {}
            self._wire = DeskUplink(town, self._changed, collector=self.collector)
        self.changed()

    def close(self) -> None:
        """End terminals, wire and collector."""
        with self._lock:
            self._leave()

    def tap(self, card: str, place: str, disturbance: Disturbance) -> FinishedTap:
        """One card on one terminal; raises `DeskRefused` for what is not on the desk."""
        with self._lock:
            laid = self.town.shelf.get(card)
            if laid is None:
                raise DeskRefused(DeskFault.NO_CARD, card=card)
            if len(self.taps) >= MOST_TAPS:
                raise DeskRefused(DeskFault.FULL, count=MOST_TAPS)
            entry = take(
                self.town,
                self._place(place),
                laid,
                disturbance,
                len(self.taps) + 1,
                self.document,
                len(self.trace),
            )
            self.taps.append(entry)
            self.trace.extend((entry.number, row) for row in entry.rows)
        self.wire.wake()
        self.changed()
        return entry

    def lay(self, laid: Laid) -> None:
        """One more card on the shelf, where it does not lie there yet; waits for nothing where it does."""
        if laid.face.name in self.town.shelf:
            return
        with self._lock:
            self.town.shelf[laid.face.name] = laid
        self.changed()

    def set_clock(self, moment: datetime, *, jump: bool = False) -> None:
        """It is `moment` now, also back; without an offset the region's own time. Raises `DeskRefused`.

        `jump`: the clock goes wrong, and no person answers for it: terminals find it in doubt (O-05).
        """
        with self._lock:
            zone = self.town.policy.zone
            wanted = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
            if abs(wanted - self.town.clock.now()) > LONGEST_STEP:
                raise DeskRefused(DeskFault.CLOCK_TOO_FAR)
            self.town.clock.set(wanted)
            for terminal in self.town.terminals.values():
                if jump:
                    terminal.clock_watch.look()
                else:
                    terminal.clock_watch.accept(OPERATOR)  # who sets the desk's clock answers for it
            self.town.look()
        self.changed()

    def advance(self, step: timedelta) -> None:
        """Let time pass. Raises `DeskRefused`."""
        with self._lock:
            if not timedelta() <= step <= LONGEST_STEP:
                raise DeskRefused(DeskFault.STEP, step=str(step))
            self.town.clock.advance(step.total_seconds())
            self.town.look()
        self.changed()

    def move_bus(self, move: BusMove) -> None:
        """The driver does that."""
        with self._lock:
            bus = self.town.bus
            match move:
                case BusMove.STEP:
                    self.town.go_on(bus.to_step_s)
                case BusMove.NEXT_STOP:
                    self.town.go_on(bus.to_next_stop_s)
                case BusMove.TURN_ROUND:
                    self.town.turn_round()
                case BusMove.DRIVE | BusMove.STAND:
                    bus.drive(move is BusMove.DRIVE)
            self.town.look()
        self.changed()

    def drive_on(self, step: timedelta) -> None:
        """A moment of the bus that drives by itself; nothing while it stands."""
        with self._lock:
            if self._town is None or not self._town.bus.driving:
                return
            self._town.clock.advance(step.total_seconds())
            self.town.look()
        self.changed()

    def use_computer(self, computer: OnBoard | None = None, razzia: bool | None = None) -> None:
        """What the on-board computer does from here on. Raises `DeskRefused`."""
        with self._lock:
            bus = self.town.bus
            if computer is not None and computer not in bus.mistakes:
                raise DeskRefused(DeskFault.NO_ZONES)
            bus.computer = bus.computer if computer is None else computer
            bus.razzia = bus.razzia if razzia is None else razzia
            self.town.look()
        self.changed()

    def ask(self, place: str, more: int = 0, goal: str | None = None) -> None:
        """The conductor counts persons for the next card at `place`, or names where its ride goes: a goal's key,
        empty for nowhere. Raises `DeskRefused`.
        """
        with self._lock:
            where = self._place(place)
            if not where.on_bus:
                raise DeskRefused(DeskFault.NO_RIDE)
            ride = self.town.terminals[where.key].next_ride
            if more:
                ride.count(more, AskedBy.CREW)
            if goal is not None:
                spots = {one.key: one.spot for one in self.goals(place)}
                if goal and goal not in spots:
                    raise DeskRefused(DeskFault.NOT_AHEAD)
                ride.go_to(spots.get(goal, NOWHERE), AskedBy.CREW)
        self.changed()

    def goals(self, place: str) -> tuple[Goal, ...]:
        """Where a ride may go that begins at `place` now."""
        with self._lock:
            terminal = self.town.terminals[self._place(place).key]
            trip = terminal.trip()
            stops = terminal.routes.stops(trip.route, trip.direction)
            return goals(places_asked(terminal.policy), stops, trip)

    def switch(self, *, network: bool | None = None, collector: bool | None = None) -> None:
        """Plug the network in or out, start or stop the collector."""
        with self._lock:
            wire = self.wire
            wire.network = wire.network if network is None else network
            wire.wanted = wire.wanted if collector is None else collector
        wire.wake()
        self.changed()

    def open_shift(self, place: str, route: int, direction: int) -> None:
        """Open a shift, or end the open one and begin another on this route. Raises `DeskRefused`."""
        if not (0 <= route <= LARGEST_ROUTE and direction in (0, 1)):
            raise DeskRefused(DeskFault.NO_ROUTE, most=LARGEST_ROUTE)
        with self._lock:
            where = self._place(place)
            journal, now = self.town.terminals[where.key].journal, self.town.clock.now()
            if journal.open_shift is not None:
                close_shift(journal, now)
            open_shift(journal, now, OPERATOR, where.profile, route, direction)
            if where == DRIVER:
                self.town.bus.runs(route, direction)
        self.wire.wake()
        self.changed()

    def close_shift(self, place: str) -> None:
        """End the open shift; raises `DeskRefused` when none is open."""
        with self._lock:
            journal = self.town.terminals[self._place(place).key].journal
            if journal.open_shift is None:
                raise DeskRefused(DeskFault.NO_SHIFT)
            close_shift(journal, self.town.clock.now())
        self.wire.wake()
        self.changed()

    def use_document(self, text: str | None = None) -> None:
        """Restart the terminals with `text`, or with what the document's file says now.

        Raises `RegionDocumentError`; the document in force then stays, and `document_problem` says what is wrong.
        """
        with self._lock, self.wire.lock:
            try:
                found = self.town.document_path.read_text("utf-8") if text is None else text
                self.town.use_document(found, random.Random(self.seed + self.document + 1).randbytes)  # noqa: S311
            except RegionDocumentError as error:
                self.document_problem = error
                self.changed()
                raise
            self.document += 1
            self.document_problem = None
        self.changed()

    def entry(self, number: int) -> FinishedTap:
        """Tap `number`; raises `DeskRefused`."""
        if not 1 <= number <= len(self.taps):
            raise DeskRefused(DeskFault.NO_ENTRY, number=number, count=len(self.taps))
        return self.taps[number - 1]

    def move_devices(self, hands: Hands) -> None:
        """A hand moves the twins around the driver's terminal."""
        self.town.devices.move(hands)

    def show_code(self, card: str, *, printed: bool = False) -> None:
        """Hold the code that this phone shows now, or its holder's on paper, before the driver's scanner. Raises
        `DeskRefused`.
        """
        with self._lock:
            laid = self.town.shelf.get(card)
            if laid is None or not isinstance(laid.card, VirtualPhone):
                raise DeskRefused(DeskFault.NO_CARD, card=card)
            now, credential = self.town.clock.now(), laid.card.memory.credential
            text = code_text(on_paper(credential)) if printed else laid.card.code(now)
            self._shown_codes[text.encode()] = laid
        self.town.devices.move(Hands(scan=text))

    def check_printed(self) -> None:
        """The driver saw that it is the holder whose printed code waits: it is served (M-35)."""
        with self._lock:
            codes, now = self.town.terminals[DRIVER.key].codes, self.town.clock.now()
            one = None if codes is None else codes.waiting(now)
            if codes is not None and one is not None:
                codes.check(one.key, now)

    def _scanned(self, code: bytes, head: int, report: TapReport) -> None:
        """A code of one of the phones is a tap in the list; what else is typed into the scanner is none."""
        with self._lock:
            laid = self._shown_codes.get(code)
            if laid is None or len(self.taps) >= MOST_TAPS:
                return
            number, begins = len(self.taps) + 1, len(self.trace)
            self.taps.append(scanned(self.town, laid, report, head, number, self.document, begins))

    def _changed(self) -> None:
        self.changed()

    def _stirs(self, written: bool) -> None:
        wire = self._wire
        if written and wire is not None:
            wire.wake()  # rows of devices leave as those of taps do
        (self.changed if written else self.stirred)()

    def _shown(self, place: str, outcome: object) -> None:
        self.signal(place, outcome)  # type: ignore[arg-type]  # an Outcome; looked up late, so that it may be set

    def _shows_razzia(self, razzia: bool) -> None:
        self.razzia(razzia)

    def _place(self, key: str) -> DeskPlace:
        for place in PLACES:
            if place.key == key:
                return place
        raise DeskRefused(DeskFault.NO_TERMINAL, place=key)

    def _known(self, region: str) -> str:
        if region not in (*region_names(), self.region):
            raise DeskRefused(DeskFault.NO_REGION, region=region)
        return region

    def _next_folder(self) -> Path:
        taken = [int(path.name.removeprefix("session-")) for path in self.folder.glob("session-*")]
        return self.folder / f"session-{max(taken, default=0) + 1}"

    def _leave(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None
        if self._town is not None:
            self._town.close()
            self._town = None


SETTLE_S: Final = 10.0
SCENE: Final[tuple[tuple[str, str, Mishap], ...]] = (
    ("adult_purse", "front", Mishap.NONE),
    ("free_pensioner", "front", Mishap.NONE),
    ("month_pass_ev1", "rear", Mishap.NONE),
    ("blocked", "rear", Mishap.NONE),
    ("pupil_grade3", "canteen", Mishap.NONE),
    ("foreign_desfire", "front", Mishap.NONE),
    ("social_pack_45", "front", Mishap.COMMIT_AFTER),
    ("social_pack_45", "front", Mishap.NONE),
    ("pupil_grade3", "canteen", Mishap.NONE),
    ("student_half_price", "front", Mishap.NONE),
)


def arrange(session: DeskSession) -> None:
    """Take the scene's taps on `session`; the last two find no network, so that the queue holds something."""
    for number, (card, place, mishap) in enumerate(SCENE):
        if number == len(SCENE) - 2:
            session.wire.settle(SETTLE_S)
            session.switch(network=False)
        session.advance(timedelta(seconds=4))
        session.tap(card, place, Disturbance(mishap))
