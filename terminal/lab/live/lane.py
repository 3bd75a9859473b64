"""One terminal of a live run: it is brought to where a tap finds it, by the means its staff and its vehicle have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

from terminal.app.station import journal_reader
from terminal.files import replace_file
from terminal.journal.records import CashSale, parse_record
from terminal.lab.live.crew import STAFF, Crew, employ
from terminal.lab.live.lists import (
    IssuedLists,
    ListOffice,
    close_canteen,
    lists_needed,
    report_absent,
)
from terminal.lab.live.plan import BUS, LaneKey, LiveTap, Routes, by_vehicle, routes_from, spot_of
from terminal.lab.live.process import VEHICLE, LiveFailed, LiveTerminal
from terminal.screen.console.roles import Role
from terminal.trip.facts import NOWHERE, Trip

ROUTES_FILE: Final = "routes.toml"
OFFER: Final = re.compile(r'name="ride" value="([a-z0-9-]*)-(\d+)"')
EVERY: Final = 20
"""Taps of a lane between two failures of each kind."""
METRES_A_KM: Final = 1000


@dataclass(frozen=True, slots=True)
class LiveResult:
    """What came of one tap on the running terminal; `balance_minor` None where there is no purse."""

    message: str
    admission: str
    charge_minor: int
    balance_minor: int | None
    end: str = ""
    sequence: int | None = None

    @classmethod
    def of(cls, report: Mapping[str, Any]) -> LiveResult:
        """From the report of a tap, as `terminal run --json` prints it."""
        return cls(
            message=report["message"],
            admission=report["admission"],
            charge_minor=report["charge_minor"],
            balance_minor=report["balance_after_minor"],
            end=report["end"],
            sequence=report["sequence"],
        )


class Lane:
    """The terminal of `key`, on which `taps` are taken in order, with the lists of `office`."""

    def __init__(
        self,
        folder: Path,
        key: LaneKey,
        taps: Sequence[LiveTap],
        document: str,
        region: int,
        office: ListOffice,
        *,
        restarts: bool,
    ) -> None:
        """`restarts`: now and then power fails, and the processes of the vehicle's sources die."""
        self._restarts = restarts
        self._lists = IssuedLists(lists_needed(taps, office.holders))
        self.terminal = LiveTerminal(folder, _tables(key, taps, document, self._lists.named))
        self._office = office
        self._pupils = sorted({tap.scenario for tap in taps} & office.holders.keys())
        self._roster_day: date | None = None
        self._absent: set[int] = set()
        self._closed: date | None = None
        self._key = key
        self._taps = taps
        self._region = region
        self._routes = Routes(region, 0)
        self._until = 0
        self._run = (0, 0)
        self._by_hand = NOWHERE
        self._shift_open = self._in_order = True
        self._crew: dict[Role, Crew] = {}

    def take(self, index: int, card: Path | None) -> LiveResult:
        """The tap of this lane at `index`, with `card`, or a sale for cash."""
        tap = self._taps[index]
        if self._restarts and self.terminal.starts:
            self._disturb(index)
        if self.terminal.starts:
            self.terminal.say("clock", set=_placed_at(tap).isoformat())
        if index >= self._until:
            self._renew(index)
        self._bring_about(tap.trip)
        self.terminal.say("clock", set=tap.played.at.isoformat())
        if self._key.profile != BUS:
            self._open_canteen(tap)
        if card is None:
            return self._sell(tap.trip)
        self._ask(tap.trip)
        self.terminal.say("present", card=str(card))
        report = self.terminal.say("await")["tap"]
        self.terminal.say("remove")
        if tap.trip.companions or tap.trip.place.destination != NOWHERE:
            self._as(Role.DRIVER).do("/shift", "/next/forget")  # a card that was refused leaves it
        if tap.trip.inspection is not None:
            self._as(Role.INSPECTOR).do("/inspection", "/inspection/stop")
        return LiveResult.of(report)

    def close(self) -> None:
        """End the terminal in good order."""
        self._leave()
        self.terminal.stop()
        self.terminal.kill()

    def kill(self) -> None:
        """End it at once."""
        self._leave()
        self.terminal.kill()

    def _disturb(self, index: int) -> None:
        """Between two taps a source of the vehicle dies, or everything does, and begins again."""
        if self._has_vehicle and index % EVERY == 1:
            self.terminal.kill_vehicle()
        elif index % EVERY == EVERY // 2 or (not self._has_vehicle and index == 1):
            self._leave()
            self.terminal.crash()
            self.terminal.start(_placed_at(self._taps[index]))

    def _renew(self, index: int) -> None:
        """Give it routes and lists for this tap and for those after it that they can hold; start it if need be."""
        tap, folder = self._taps[index], self.terminal.folder
        folder.mkdir(parents=True, exist_ok=True)
        self._routes = routes_from(self._taps[index:], self._region, self._routes.version + 1)
        self._lists = IssuedLists(self._lists.named)
        held = takewhile(self._lists.hold, self._taps[index : index + self._routes.taps])
        self._until = index + sum(1 for _ in held)
        self._office.write(folder, self._lists)
        kinds = list(self._lists.named)
        if self._key.profile == BUS:
            kinds.append("routes")
            replace_file(folder / ROUTES_FILE, self._routes.text(_placed_at(tap).isoformat()).encode())
        if self.terminal.starts:
            self.terminal.publish(kinds)
            return
        employ(self.terminal.state)
        self._run = tap.trip.route, tap.trip.direction
        self.terminal.start(_placed_at(tap))

    def _leave(self) -> None:
        for crew in self._crew.values():
            crew.close()
        self._crew.clear()

    def _as(self, role: Role) -> Crew:
        if role not in self._crew:
            self._crew[role] = Crew(self.terminal.console, role)
        return self._crew[role]

    # what staff and vehicle do before a tap

    def _bring_about(self, trip: Trip) -> None:
        if self._key.profile != BUS:
            return
        self._to_order(trip)
        self._to_run(trip)
        self._to_place(trip)
        if trip.inspection is not None:
            self._as(Role.INSPECTOR).do(
                "/inspection",
                "/inspection/start",
                route=trip.route,
                direction=trip.direction,
                misuse=int(trip.inspection.misuse),
            )

    def _to_order(self, trip: Trip) -> None:
        if trip.reader_ok != self._in_order:
            self._as(Role.DRIVER).do("/state", "/state/order", in_order=int(trip.reader_ok))
            self._in_order = trip.reader_ok

    def _to_run(self, trip: Trip) -> None:
        """The shift is closed, or on the route of the tap."""
        driver, run = self._as(Role.DRIVER), (trip.route, trip.direction)
        if not trip.shift_open:
            if self._shift_open:
                driver.do("/report", "/shift/close")
            self._shift_open = False
            return
        if not self._shift_open or run != self._run:
            path = "/shift/turn" if self._shift_open else "/shift/open"
            driver.do("/shift", path, route=trip.route, direction=trip.direction)
            self._shift_open, self._run, self._by_hand = True, run, NOWHERE

    def _to_place(self, trip: Trip) -> None:
        wanted = NOWHERE if by_vehicle(trip) else spot_of(trip.place)
        if wanted != self._by_hand:
            km = "" if wanted.mark_m is None else wanted.mark_m // METRES_A_KM
            self._as(Role.DRIVER).do("/shift", "/shift/place", stop=wanted.stop, zone=wanted.zone, km=km)
            self._by_hand = wanted
        if self._has_vehicle:
            self.terminal.report(**self._routes.report(trip))

    def _ask(self, trip: Trip) -> None:
        """The rider says who else rides, and where the ride goes; the crew enters it."""
        for _ in range(trip.companions):
            self._as(Role.DRIVER).do("/shift", "/next/persons", more=1)
        if trip.place.destination != NOWHERE:
            self._as(Role.DRIVER).do("/shift", "/next/destination", to=self._routes.goal(trip))

    def _open_canteen(self, tap: LiveTap) -> None:
        """The roster is that of the day, who is absent is, and the day is closed where it should be."""
        trip, at, state = tap.trip, tap.played.at, self.terminal.state
        day = self._office.day_of(at)
        if self._key.roster and day != self._roster_day:
            self._office.load_roster(state, self._key, self._pupils, trip, at)
            self._roster_day = day
        pupil = trip.canteen.pupil
        if pupil is not None and pupil.absent and tap.scenario not in self._absent:
            report_absent(state, self._office.pupil_ref(tap.scenario))
            self._absent.add(tap.scenario)
        if trip.canteen.day_closed and self._closed != day:
            close_canteen(state)
            self._closed = day

    @property
    def _has_vehicle(self) -> bool:
        return needs_vehicle(self._taps)

    def _sell(self, trip: Trip) -> LiveResult:
        """A sale for cash at the console, at the price that its page shows."""
        driver = self._as(Role.DRIVER)
        offers = {goal: (goal, each) for goal, each in OFFER.findall(driver.look("/sale"))}
        place = trip.place
        goals = (self._routes.goal(trip), str(place.destination.zone or place.terminus.zone), "0")
        offer = next((offers[goal] for goal in goals if goal in offers), None)
        if offer is None and (not offers or place.destination != NOWHERE):
            raise LiveFailed(
                f"the console sells no ride to {goals[0] or 'anywhere'}", "See its page for sales."
            )
        offer = offer or next(iter(offers.values()))  # where nothing is known all rides cost the same
        address = driver.do("/sale", "/sale", ride="-".join(offer), persons=1 + trip.companions)
        number = int(address.rpartition("/")[2])
        with journal_reader(self.terminal.state) as reader:
            sale = parse_record(reader.rows(number - 1, 1)[0].body)
        if not isinstance(sale, CashSale):
            raise LiveFailed(f"row {number} is no sale for cash", "Look at the journal.")
        return LiveResult("ok_paid", "let_in", sale.sum_minor, None, "", number)


def _placed_at(tap: LiveTap) -> datetime:
    """When the place of the tap is heard, which is as old as the tap finds it."""
    return tap.played.at - timedelta(seconds=tap.trip.place.age_s)


def needs_vehicle(taps: Sequence[LiveTap]) -> bool:
    """Whether any of these taps is where only the vehicle says so."""
    return any(by_vehicle(tap.trip) or tap.trip.razzia for tap in taps)


def _tables(
    key: LaneKey, taps: Sequence[LiveTap], document: str, lists: Iterable[str]
) -> dict[str, dict[str, object]]:
    """The configuration of the terminal of `key`."""
    bus, first = key.profile == BUS, taps[0].trip
    shift: dict[str, object] = {"operator": STAFF[Role.DRIVER]}
    files: dict[str, object] = {name: name for name in lists}
    tables: dict[str, dict[str, object]] = {
        "terminal": {"number": key.terminal, "profile": key.profile, "state": "state", "region": document},
        "reader": {"name": "sim:"},
        "shift": {**shift, "route": first.route, "direction": first.direction} if bus else shift,
        "lists": {**files, "routes": ROUTES_FILE} if bus else files,
        "console": {"enabled": True, "port": 0, "typed_sign_in": True, "idle_min": 24 * 60},
    }
    if bus and needs_vehicle(taps):
        tables["vehicle"] = {"source": "replay", "replay": VEHICLE}
    if key.serving:
        tables["canteen"] = {"serving": key.serving}
    return tables
