"""T-07: check-in and check-out on cards, torn at either end, at two doors, and the ride is charged once.

The terminus comes through the terminal's port for the vehicle's place.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from cardproto.resident.layout import PASS_TAP, PURSE_TAP, ExchangeBudget
from cardproto.resident.records.event import EventKind
from cardproto.resident.snapshot import CardSnapshot
from sim.faults import FaultPlan, tear_after, tear_before
from terminal.journal.taps import End
from terminal.lab.town import DAY, TerminalSite, Town, open_town
from terminal.policy.routes import RouteBook
from terminal.tap_report import TapReport
from terminal.trip.facts import AskedBy, Place, PlaceSource, Spot
from tests.flows.test_torn_taps import Ledger

FRONT = TerminalSite(70001, "bus", "front door", route=101)
REAR = TerminalSite(70002, "bus", "rear door", route=101)
CITY = TerminalSite(70003, "bus", "city bus", route=7)
PACK = """
[description]
ru = "Десять поездок"
en = "Ten trips"
[[contracts]]
product = 110
valid_from = "month_start"
valid_to = "+100d"
trips = 10
"""
RIDE_MINOR, TO_TERMINUS_MINOR, CITY_MINOR = 6600, 12_000, 3500
"""To the village, and to the terminus."""
BOUNDARY, VILLAGE, FURTHER, TERMINUS = 1, 3, 4, 5


class Run:
    """A suburban bus on its way from the boundary to its terminus, as a vehicle would report it."""

    name = "board"
    razzia = False

    def __init__(self) -> None:
        self.zone = BOUNDARY

    def place_on(self, _route: int, _direction: int, _routes: RouteBook) -> Place:
        return Place(zone=self.zone, source=PlaceSource.VEHICLE, terminus=Spot(zone=TERMINUS))


@dataclass
class Journey:
    """One resident, one town, one bus."""

    town: Town
    run: Run
    resident: str

    def tap(self, stop: TerminalSite, faults: FaultPlan | None = None) -> TapReport:
        return self.town.tap(stop.number, self.resident, faults).report

    def card(self) -> CardSnapshot:
        """What a later tap read, before it wrote."""
        snapshot = self.tap(CITY).snapshot
        assert isinstance(snapshot, CardSnapshot)
        return snapshot

    def rides_on(self, minutes: int, zone: int) -> None:
        self.town.clock.advance(60 * minutes)
        self.run.zone = zone

    def charges(self) -> list[int]:
        """What the rides on the suburban bus took, by the rows of all terminals: those known to stand on the card."""
        ledger = Ledger.of(self.town)
        taken = [ledger.intents[tap].charge_minor for tap in ledger.written if tap[0] != CITY.number]
        return [charge_minor for charge_minor in taken if charge_minor]


@contextmanager
def a_journey(folder: Path, resident: str) -> Iterator[Journey]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ten_trips.toml").write_text(PACK, encoding="utf-8")
    name = str(folder / "ten_trips.toml") if resident == "ten_trips" else resident
    with open_town(folder, (FRONT, REAR, CITY), (name,), DAY, seed=7, region="belgorod") as town:
        town.at(DAY, "09:40:00")
        run = Run()
        for stop in (FRONT, REAR):
            town.terminals[stop.number].vehicle = run
        yield Journey(town, run, name)


@dataclass(frozen=True)
class Case:
    """What one ride of a resident's card needs on the air and from the purse."""

    resident: str
    exchanges_in: int
    exchanges_out: int
    charge_minor: int
    left: int | None = None


CASES = (
    Case("adult_purse", 7, 8, RIDE_MINOR),
    Case("month_pass", 7, 7, 0),
    Case("free_pensioner", 7, 7, 0, 9),
    Case("ten_trips", 7, 7, 0, 9),
)
TEARS = [
    pytest.param(
        case, tear(n), moved, id=f"{case.resident}-{tear.__name__}-{n}-{'moved' if moved else 'same'}"
    )
    for case in CASES
    for n in range(1, max(case.exchanges_in, case.exchanges_out) + 1)
    for tear in (tear_before, tear_after)
    for moved in (False, True)
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.resident)
def test_in_and_out_at_two_doors(tmp_path: Path, case: Case) -> None:
    with a_journey(tmp_path / "town", case.resident) as journey:
        before_minor = journey.town.purses_minor()
        went_in = journey.tap(FRONT)
        assert (went_in.outcome.message, went_in.end) == ("ok_checkin", End.COMMITTED)
        assert went_in.outcome.values.get("n") == case.left
        assert journey.town.purses_minor() == before_minor
        journey.rides_on(25, VILLAGE)
        went_out = journey.tap(REAR)
        assert (went_out.outcome.message, went_out.outcome.charge_minor) == ("ok_checkout", case.charge_minor)
        assert before_minor - journey.town.purses_minor() == case.charge_minor
        again = journey.card().event
        assert (again.kind, again.inside, again.terminal) == (EventKind.CHECK_OUT, 0, REAR.number)


def test_persons_asked_for_board_with_the_next_card_and_an_exit_takes_nothing_of_it(tmp_path: Path) -> None:
    with a_journey(tmp_path / "town", "adult_purse") as journey:
        terminal = journey.town.terminals[FRONT.number]
        terminal.next_ride.count(1, AskedBy.CREW)
        assert journey.tap(FRONT).outcome.values["held_minor"] == 2 * TO_TERMINUS_MINOR
        journey.rides_on(25, VILLAGE)
        terminal.next_ride.count(3, AskedBy.CREW)
        terminal.next_ride.go_to(Spot(zone=TERMINUS), AskedBy.CREW)
        went_out = journey.tap(FRONT)
        assert (went_out.outcome.message, went_out.outcome.charge_minor) == ("ok_checkout", 2 * RIDE_MINOR)
        assert terminal.next_ride.ride.companions == 3
        boarded, left = [tap.trip for tap in Ledger.of(journey.town).intents.values()]
        assert (boarded["companions"], boarded["asked_by"]) == (1, "crew")
        assert not {"companions", "asked_by", "place.destination.zone"} & left.keys()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.resident)
def test_both_taps_stay_within_their_budgets(tmp_path: Path, case: Case) -> None:
    with a_journey(tmp_path / "town", case.resident) as journey:
        assert_within(journey.tap(FRONT), PASS_TAP, case.exchanges_in)
        journey.rides_on(25, VILLAGE)
        assert_within(journey.tap(FRONT), PURSE_TAP if case.charge_minor else PASS_TAP, case.exchanges_out)


def assert_within(report: TapReport, budget: ExchangeBudget, exchanges: int) -> None:
    assert (report.end, report.exchanges) == (End.COMMITTED, exchanges)
    assert report.exchanges <= budget.exchanges
    assert report.apdu_bytes <= budget.apdu_bytes


@pytest.mark.parametrize(("case", "plan", "moved"), TEARS)
def test_torn_at_either_end_the_ride_is_one_ride(
    tmp_path: Path, case: Case, plan: FaultPlan, moved: bool
) -> None:
    """In and out, each torn at the same exchange and tapped again, at this door or the other one."""
    second = REAR if moved else FRONT
    with a_journey(tmp_path / "town", case.resident) as journey:
        before_minor = journey.town.purses_minor()
        torn_once(journey, plan, second)
        assert before_minor == journey.town.purses_minor(), "nothing is taken when boarding"
        journey.rides_on(25, VILLAGE)
        torn_once(journey, plan, second)
        assert before_minor - journey.town.purses_minor() == case.charge_minor, "charged exactly once"
        journey.rides_on(5, VILLAGE)
        event = journey.card().event
        assert (event.kind, event.inside) == (EventKind.CHECK_OUT, 0)
        assert journey.charges() == ([case.charge_minor] if case.charge_minor else [])
        if case.left is not None:  # the ride, the city bus, and this one
            journey.rides_on(10, BOUNDARY)
            assert journey.tap(FRONT).outcome.values["n"] == case.left - 2


def torn_once(journey: Journey, plan: FaultPlan, second: TerminalSite) -> None:
    """A tap with a fault, and if the card was torn the same tap again five seconds later, at `second`."""
    report = journey.tap(FRONT, plan)
    if report.end is End.COMMITTED:  # the fault lies beyond the last exchange of this tap
        return
    assert not report.outcome.accepted
    journey.town.clock.advance(5)
    again = journey.tap(second)
    assert again.outcome.accepted
    assert again.outcome.message in {"ok_checkin", "ok_checkout", "already_paid"}


def test_a_forgotten_check_out_is_charged_on_the_next_bus(tmp_path: Path) -> None:
    with a_journey(tmp_path / "town", "adult_purse") as journey:
        journey.tap(FRONT)
        journey.rides_on(180, FURTHER)
        report = journey.tap(CITY)
        assert (report.outcome.message, report.outcome.charge_minor) == (
            "ok_paid",
            TO_TERMINUS_MINOR + CITY_MINOR,
        )
        assert journey.card().event.inside == 0


def test_without_a_terminus_the_longest_ride_is_held_and_the_ride_is_charged(tmp_path: Path) -> None:
    with a_journey(tmp_path / "town", "adult_purse") as journey:
        for stop in (FRONT, REAR):
            journey.town.terminals[stop.number].vehicle = Nearby(journey.run)
        assert journey.tap(FRONT).outcome.values["held_minor"] == 15_000
        journey.rides_on(25, VILLAGE)
        assert journey.tap(REAR).outcome.charge_minor == RIDE_MINOR


@dataclass
class Nearby:
    """The same bus, when its on-board computer does not know the run."""

    run: Run
    name = "board"
    razzia = False

    def place_on(self, route: int, direction: int, routes: RouteBook) -> Place:
        return replace(self.run.place_on(route, direction, routes), terminus=Spot())
