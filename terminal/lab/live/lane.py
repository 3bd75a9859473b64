"""One terminal of a live run: it is brought to where a tap finds it, by the means its staff and its vehicle have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from html import unescape
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

from terminal.app.station import journal_reader
from terminal.decision.outcome import Message
from terminal.files import replace_file
from terminal.journal.records import CashSale, parse_record
from terminal.journal.taps import End
from terminal.lab.live.cards import LiveCard
from terminal.lab.live.crew import STAFF, Crew, DisplayUser, employ
from terminal.lab.live.lists import (
    IssuedLists,
    ListOffice,
    close_canteen,
    lists_needed,
    report_absent,
)
from terminal.lab.live.plan import BUS, JUMP, LaneKey, LiveTap, Routes, by_vehicle, routes_from, spot_of
from terminal.lab.live.process import VEHICLE, LiveFailed, LiveTerminal
from terminal.policy.document.schema import UnknownFare
from terminal.policy.ends import goes_on_until
from terminal.policy.policy import Policy
from terminal.screen.console.roles import Role
from terminal.screen.console.words import short
from terminal.trip.facts import NOWHERE, AskedBy, ClockState, Trip

ROUTES_FILE: Final = "routes.toml"
OFFER: Final = re.compile(r'name="ride" value="([a-z0-9-]*)-(\d+)"')
LANGUAGE: Final = "en"
NOT_SOLD: Final = re.compile(r"Nothing can be sold now: ([^<]*)<")
SHIFT_CLOSED: Final = "No shift is open."
EVERY: Final = 20
"""Taps of a lane between two failures of each kind."""
TORN_AT: Final = 4
"""The exchange at which a bank card that cannot be read leaves the field."""
METRES_A_KM: Final = 1000
NO_TIME: Final = timedelta()


@dataclass(frozen=True, slots=True)
class LiveResult:
    """What came of one tap on the running terminal; `balance_minor` None where there is no purse."""

    message: str
    admission: str
    charge_minor: int
    balance_minor: int | None
    end: str = ""
    sequence: int | None = None
    reasons: tuple[str, ...] | None = None
    """The effects of the trail; None for a sale, of which the record states none."""

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
            reasons=tuple(report["reasons"]),
        )


class Lane:
    """The terminal of `key`, on which `taps` are taken in order, with the lists of `office`."""

    def __init__(
        self,
        folder: Path,
        key: LaneKey,
        taps: Sequence[LiveTap],
        document: str,
        policy: Policy,
        office: ListOffice,
        service_card: LiveCard,
        *,
        restarts: bool,
    ) -> None:
        """`restarts`: now and then power fails, and the processes of the vehicle's sources die."""
        self._restarts = restarts
        self._service_card = service_card
        self._sells_furthest = policy.document.profiles.bus.unknown_fare is UnknownFare.DEAREST
        self._starts_until = goes_on_until(policy.document) - timedelta(seconds=1)
        self._lists = IssuedLists(lists_needed(taps, office.holders))
        self.terminal = LiveTerminal(folder, _tables(key, taps, document, self._lists.named))
        self._office = office
        self._pupils = sorted({tap.scenario for tap in taps} & office.holders.keys())
        self._roster_day: date | None = None
        self._absent: set[int] = set()
        self._closed: date | None = None
        self._key = key
        self._taps = taps
        self._region = region = policy.document.header.region
        self._routes = Routes(region, 0)
        self._until = 0
        self._run = (0, 0)
        self._by_hand = NOWHERE
        self._shift_open = self._in_order = True
        self._jumped = self._confirmed = False
        self._crew: dict[Role, Crew] = {}
        self._rider: DisplayUser | None = None

    def take(self, index: int, card: Path | None) -> LiveResult:
        """The tap of this lane at `index`, with `card`, or a sale for cash."""
        tap = self._taps[index]
        trip, at = tap.trip, tap.played.at
        if self._restarts and self.terminal.starts:
            self._disturb(index)
        if index >= self._until:
            self._renew(index)
        self._to_time(_placed_at(tap), trip.clock)
        self._bring_about(trip)
        self._to_time(at, trip.clock)
        if self._key.profile != BUS:
            self._open_canteen(tap)
        if card is None:
            return self._sell(trip)
        if trip.clock.confirmed and not self._confirmed:
            self._present(self._service_card.path)
            self._confirmed = True
        self._ask(trip)
        torn = tap.bank is not None and not tap.bank.readable
        report = self._present(card, TORN_AT if torn else 0)
        if (trip.companions or trip.place.destination != NOWHERE) and report["end"] != End.COMMITTED:
            self._as(Role.DRIVER).do(
                "/shift", "/next/forget"
            )  # a ride ends it, a card that was refused leaves it
        if trip.inspection is not None:
            self._as(Role.INSPECTOR).do("/inspection", "/inspection/stop")
        result = LiveResult.of(report)
        return replace(result, reasons=None) if torn else result  # a card that cannot be read decides nothing

    def _present(self, card: Path, leaves_at: int = 0) -> dict[str, Any]:
        """One card on the reader, which leaves at that exchange (0: stays); the report of its tap."""
        self.terminal.say("present", card=str(card), leaves_at=leaves_at)
        report: dict[str, Any] = self.terminal.say("await")["tap"]
        self.terminal.say("remove")
        return report

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
            if not self._may_start(index):
                return
            self._leave()
            if self._has_vehicle:  # a power cut ends both; alone it would take words meant for its successor
                self.terminal.kill_vehicle()
            self.terminal.crash()
            self.terminal.start(self._start_of(index))

    def _may_start(self, index: int) -> bool:
        """Whether a terminal that starts now comes to where this tap finds it: a doubt of its clock would stay, and
        there is no start under a document that has ended."""
        return not self._jumped and _placed_at(self._taps[index]) <= self._starts_until

    def _start_of(self, index: int) -> datetime:
        """The moment at which it starts before this tap: while its document decides."""
        return min(_trusted_before(self._taps[index]), self._starts_until)

    # the clock

    def _to_time(self, at: datetime, clock: ClockState) -> None:
        """The clock shows `at`, and is trusted or in doubt as that tap finds it: in doubt after a jump ahead, trusted
        again when it has jumped back."""
        if self._jumped and (not clock.suspect or (self._confirmed and not clock.confirmed)):
            self._jump_back()
        if clock.suspect and not self._jumped:
            self.terminal.say("clock", set=(at - JUMP).isoformat())
            self.terminal.say("clock", jump_s=JUMP.total_seconds())
            self._jumped = True
        self.terminal.say("clock", set=at.isoformat())

    def _jump_back(self) -> None:
        self.terminal.say("clock", jump_s=-JUMP.total_seconds())
        self._jumped = self._confirmed = False

    def _renew(self, index: int) -> None:
        """Give it routes and lists for this tap and for those after it that they can hold; start it if need be."""
        tap, folder = self._taps[index], self.terminal.folder
        folder.mkdir(parents=True, exist_ok=True)
        before = self._routes
        self._routes = routes_from(self._taps[index:], self._region, before.version + 1)
        self._routes.keep(before, self._run[0])
        self._lists = IssuedLists(self._lists.named)
        held = takewhile(self._lists.hold, self._taps[index : index + self._routes.taps])
        self._until = index + sum(1 for _ in held)
        self._office.write(folder, self._lists)
        kinds = list(self._lists.named)
        if self._key.profile == BUS:
            kinds.append("routes")
            replace_file(folder / ROUTES_FILE, self._routes.text(_placed_at(tap).isoformat()).encode())
        if self.terminal.starts:
            if self._jumped:  # nothing comes into force by a clock in doubt
                self._jump_back()
            self.terminal.say("clock", set=_trusted_before(tap).isoformat())
            self.terminal.publish(kinds)
            return
        employ(self.terminal.state, self._service_card.pseudonym)
        self._run = tap.trip.route, tap.trip.direction
        self.terminal.start(self._start_of(index))

    def _leave(self) -> None:
        for crew in self._crew.values():
            crew.close()
        self._crew.clear()
        if self._rider is not None:
            self._rider.close()
            self._rider = None

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
        """With whom and where the next ride goes, as the rider says on the display, or has the crew enter it."""
        goal = self._routes.goal(trip)
        if trip.asked_by is AskedBy.RIDER:
            self._rider = self._rider or DisplayUser(self.terminal.display)
            self._rider.asks(trip.companions, goal)
            return
        for _ in range(trip.companions):
            self._as(Role.DRIVER).do("/shift", "/next/persons", more=1)
        if goal:
            self._as(Role.DRIVER).do("/shift", "/next/destination", to=goal)

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
        """A sale for cash at the console, at the price that its page shows; refused where it offers no such ride."""
        driver = self._as(Role.DRIVER)
        page = driver.look("/sale")
        offer = self._offer(trip, page)
        if offer is None:
            return LiveResult(_refusal(page), "refused", 0, None)
        address = driver.do("/sale", "/sale", ride="-".join(offer), persons=1 + trip.companions)
        number = int(address.rpartition("/")[2])
        with journal_reader(self.terminal.state) as reader:
            sale = parse_record(reader.rows(number - 1, 1)[0].body)
        if not isinstance(sale, CashSale):
            raise LiveFailed(f"row {number} is no sale for cash", "Look at the journal.")
        return LiveResult("ok_paid", "let_in", sale.sum_minor, None, "", number)

    def _offer(self, trip: Trip, page: str) -> tuple[str, str] | None:
        """Where the ride of `trip` goes, as the page calls it, and its price there; None where it is not sold. Where a
        driver has to name a zone, and the rider does not, the document says whether the furthest is sold."""
        offers = {goal: (goal, each) for goal, each in OFFER.findall(page)}
        place = trip.place
        goals = (self._routes.goal(trip), str(place.destination.zone or place.terminus.zone), "0")
        found = next((offers[goal] for goal in goals if goal in offers), None)
        if found is None and offers and place.destination == NOWHERE and self._sells_furthest:
            return max(offers.values(), key=lambda offer: int(offer[1]))
        return found


def _refusal(page: str) -> str:
    """The message of the decision not to sell, by what the page for sales says."""
    if SHIFT_CLOSED in page:
        return Message.SHIFT_CLOSED
    said = NOT_SOLD.search(page)
    if said is None:
        return Message.FARE_UNKNOWN  # other rides are offered, and this one is not
    messages = (message for message in Message if short(message, LANGUAGE) == unescape(said[1]))
    return next(messages, said[1])


def _placed_at(tap: LiveTap) -> datetime:
    """When the place of the tap is heard, which is as old as the tap finds it."""
    return tap.played.at - timedelta(seconds=tap.trip.place.age_s)


def _trusted_before(tap: LiveTap) -> datetime:
    """A moment before the tap at which the clock is in no doubt, in time for the jump that it needs."""
    return _placed_at(tap) - (JUMP if tap.trip.clock.suspect else NO_TIME)


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
    terminal = {"number": key.terminal, "profile": key.profile, "language": LANGUAGE}
    tables: dict[str, dict[str, object]] = {
        "terminal": {**terminal, "state": "state", "region": document},
        "reader": {"name": "sim:"},
        "shift": {**shift, "route": first.route, "direction": first.direction} if bus else shift,
        "lists": {**files, "routes": ROUTES_FILE} if bus else files,
        "console": {"enabled": True, "port": 0, "typed_sign_in": True, "idle_min": 24 * 60},
    }
    if bus and needs_vehicle(taps):
        tables["vehicle"] = {"source": "replay", "replay": VEHICLE}
    if any(tap.trip.asked_by is AskedBy.RIDER for tap in taps):
        tables["screen"] = {"enabled": True, "port": 0}
    if bus and any(tap.bank is not None for tap in taps):
        tables["media"] = {"order": ["resident", "bank"]}
    if key.serving:
        tables["canteen"] = {"serving": key.serving}
    return tables
