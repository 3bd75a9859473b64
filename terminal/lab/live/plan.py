"""What has to be so around each tap of a file of scenarios, on which terminals, and under which routes document.

All riders of a file meet at the same terminals: their taps are played in the order of time, so that no clock goes back.
A lane is one terminal; it is started again only where its routes would have to say two things of one route.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, NamedTuple

from terminal.policy.base import Mode
from terminal.policy.document.schema import PassengerAsk
from terminal.policy.policy import Policy
from terminal.scenario.load import card_of
from terminal.scenario.play import Played, play
from terminal.scenario.schema import BankCard, Scenario, ScenarioFile
from terminal.trip.ages import freshness_of
from terminal.trip.facts import NOWHERE, AskedBy, Place, PlaceQuality, PlaceSource, Spot, Trip
from terminal.trip.stated import stated

BUS: Final = "bus"
FIRST_STOP: Final = 0xFF0000
LAST_STOP: Final = 0xFF0001
UNKNOWN_STOP: Final = "elsewhere"
SILENT_STOPS: Final = 0xFC0000
MADE_STOPS: Final = 0xFD0000
MADE_GOALS: Final = 0xFE0000
"""Numbers of stops that scenarios leave out."""
BANK_CARD: Final = "bank card"
"""At a canteen."""
STATED_SPOTS: Final = ("coming", "destination", "origin", "terminus")
PLAYED: Final = frozenset(
    {
        "mode",
        "reader_ok",
        "inspection",
        "inspection.misuse",
        "asked_by",
        "companions",
        "clock.suspect",
        "clock.confirmed",
        "freshness.document_age_s",
        "canteen.day_closed",
        "canteen.school",
        "canteen.serving",
        "freshness.deny_list_age_s",
        "freshness.grants_age_s",
        "freshness.bank_list_age_s",
        "place.source",
        *(f"place.{name}" for name in ("stop", "zone", "mark_m")),
        "place.age_s",
        "place.arriving",
        "place.quality",
        "razzia",
        *(f"place.{at}.{name}" for at in STATED_SPOTS for name in ("stop", "zone", "mark_m")),
    }
)
"""The facts that a lane can bring about, besides those that rows hold in fields of their own and those of pupils."""
JUMP: Final = timedelta(minutes=6)
"""How far a clock jumps to be in doubt (O-05)."""
OF_PUPILS: Final = "canteen.pupil"
OF_BANK_CARDS: Final = "bank."
"""What the pure run counts of every card, and only a bank card's decision looks at."""


class LaneKey(NamedTuple):
    """What makes another terminal: its number and what is configured or loaded for good."""

    profile: str
    terminal: int
    serving: str = ""
    school: str = ""
    roster: str = ""
    """The age of its roster, empty for none."""
    alone: int = 0
    """The scenario that has it to itself, because its places, lists or clock need time before its taps; 0: all the
    others."""


@dataclass(frozen=True, slots=True)
class LiveTap:
    """One tap to be played: as it came out of the pure run, which says what has to be so around it."""

    scenario: int
    played: Played
    cash: bool = False
    denied: str = "none"
    """What the deny list has of the card at that moment."""
    bank: BankCard | None = None

    @property
    def trip(self) -> Trip:
        return self.played.trip


class Lacking(NamedTuple):
    """A scenario that no running terminal can be brought to, and what it lacks for it."""

    scenario: int
    name: str
    facts: tuple[str, ...]


@dataclass(slots=True)
class LivePlan:
    """The lanes of one file with their taps in order, and what cannot be played."""

    lanes: dict[LaneKey, list[LiveTap]] = field(default_factory=dict)
    lacking: list[Lacking] = field(default_factory=list)
    pure: dict[int, list[Played]] = field(default_factory=dict)

    def in_order(self) -> list[tuple[LaneKey, int, LiveTap]]:
        """Every tap with its lane and its place there, by time and then by scenario."""
        found = [(key, index, tap) for key, taps in self.lanes.items() for index, tap in enumerate(taps)]
        return sorted(found, key=lambda one: _moment(one[2]))


def plan_of(file: ScenarioFile, policy: Policy, wanted: Sequence[int]) -> LivePlan:
    """How to play the scenarios of these numbers; raises `ScenarioFileError` as `play` does."""
    plan = LivePlan()
    for number in wanted:
        scenario, played = file.scenarios[number - 1], play(file, number, policy)
        plan.pure[number] = played
        missing = sorted(set(_lacking(scenario, played, policy)))
        if missing:
            plan.lacking.append(Lacking(number, scenario.name, tuple(missing)))
            continue
        cash = scenario.cash is not None
        taps = [
            LiveTap(number, one, cash, _denied(file, scenario, one.tap), scenario.bank_card) for one in played
        ]
        alone = number if any(map(_takes_time, taps)) else 0
        for tap in taps:
            plan.lanes.setdefault(lane_of(scenario, tap.trip, alone), []).append(tap)
    for taps in plan.lanes.values():
        taps.sort(key=_moment)
    return plan


def _denied(file: ScenarioFile, scenario: Scenario, tap: int) -> str:
    """What the deny list has of the scenario's card when this tap is taken, counted from 1."""
    card = card_of(file, scenario)
    visits = (step.issuing_point for step in scenario.taps[:tap])
    said = [visit.deny_listed for visit in visits if visit is not None and visit.deny_listed is not None]
    return said[-1] if said else "none" if card is None else card.deny_listed


def lane_of(scenario: Scenario, trip: Trip, alone: int = 0) -> LaneKey:
    """The terminal on which a tap of `scenario` is taken; one of its own where that is number `alone`."""
    if trip.profile == BUS:
        return LaneKey(BUS, trip.terminal, alone=alone)
    pupil, at = scenario.pupil, trip.canteen
    school = at.school or ("" if pupil is None else pupil.school)
    age = pupil.age if pupil is not None else "fresh" if school else ""
    return LaneKey(trip.profile, trip.terminal, at.serving, school, age)


def _moment(tap: LiveTap) -> tuple[object, int, int, int]:
    return tap.played.at, tap.scenario, tap.played.tap, tap.played.turn


def _lacking(scenario: Scenario, played: Sequence[Played], policy: Policy) -> Iterator[str]:
    if scenario.bank_card is not None:
        yield from _lacking_of_bank_cards(scenario.bank_card, played)
    for one in played:
        for fact in stated(one.trip):
            if fact not in PLAYED and not fact.startswith((OF_PUPILS, OF_BANK_CARDS)):
                yield fact
        known_s = freshness_of(policy, one.at, one.trip.clock).document_age_s
        if one.trip.freshness.document_age_s != known_s:
            yield "freshness.document_age_s"
        if not _may_ask(one.trip, policy):
            yield "asked_by"
    yield from _lacking_of_clocks(played)


def _lacking_of_bank_cards(card: BankCard, played: Sequence[Played]) -> Iterator[str]:
    """The laboratory's expire at the end of a month; what one terminal keeps, the next one of a file does not know."""
    if any(one.trip.profile != BUS for one in played):
        yield BANK_CARD
    if (card.expires_on + timedelta(days=1)).day != 1:
        yield "bank_card.expires_on"
    if len({one.trip.terminal for one in played}) > 1:
        yield "terminal"


def _lacking_of_clocks(played: Sequence[Played]) -> Iterator[str]:
    """A clock jumps to where it should be from as long before; one that is in no doubt is not confirmed."""
    for before, one in zip((None, *played), played, strict=False):
        clock, age = one.trip.clock, timedelta(seconds=one.trip.place.age_s)
        trusted = before is not None and not before.trip.clock.suspect
        if clock.suspect and trusted and before is not None and one.at - before.at < JUMP + age:
            yield "clock.suspect"
        if clock.confirmed and not clock.suspect:
            yield "clock.confirmed"


def _takes_time(tap: LiveTap) -> bool:
    """Whether its place, its lists or its clock must have become what they are before the tap."""
    trip = tap.trip
    unpaid = tap.bank is not None and tap.bank.deny_listed
    lists = trip.freshness.lists_age_s > 0 or tap.denied != "none" or unpaid
    return lists or trip.place.age_s > 0 or trip.clock.suspect


def _may_ask(trip: Trip, policy: Policy) -> bool:
    """Whether the document lets a rider say at the display what this one says there."""
    if trip.asked_by is not AskedBy.RIDER:
        return True
    allowed = policy.document.profiles.bus.passenger_asks
    goes, with_others = trip.place.destination != NOWHERE, trip.companions > 0
    return (not goes or PassengerAsk.DESTINATION in allowed) and (
        not with_others or PassengerAsk.COMPANIONS in allowed
    )


# the routes document of a lane


class _Way(NamedTuple):
    """Stops by where they are and whether vehicle or rider go there: those lie behind all at which riders board."""

    origin: Spot
    terminus: Spot
    boarded: dict[Spot, int]
    goals: dict[Spot, int]

    def stop(self, spot: Spot, *, goal: bool = False) -> int:
        """The number of the stop at `spot`, which is made where there is none."""
        made = (MADE_GOALS if goal else MADE_STOPS) + len(self.goals if goal else self.boarded)
        return (self.goals if goal else self.boarded).setdefault(spot, spot.stop or made)


@dataclass(slots=True)
class Routes:
    """A routes document for the first taps of a lane: as many as one document can hold."""

    region: int
    version: int
    taps: int = 0
    modes: dict[int, Mode] = field(default_factory=dict)
    ways: dict[tuple[int, int], _Way] = field(default_factory=dict)

    def hold(self, trip: Trip) -> bool:
        """Take in what `trip` needs; False when that contradicts what is held."""
        mode, run = Mode(trip.mode), (trip.route, trip.direction)
        place = trip.place
        way = self.ways.setdefault(run, _Way(place.origin, place.terminus, {}, {}))
        if self.modes.setdefault(trip.route, mode) is not mode:
            return False
        if (way.origin, way.terminus) != (place.origin, place.terminus):
            return False
        for spot, goal in ((spot_of(place), False), (place.destination, True), (place.coming, True)):
            if spot != NOWHERE:
                way.stop(spot, goal=goal)
        return True

    def keep(self, before: Routes, route: int) -> None:
        """List `route`, which is still run, as `before` does."""
        if route in before.modes:
            self.modes.setdefault(route, before.modes[route])

    def reference(self, trip: Trip) -> str:
        """What the vehicle calls the stop at which `trip` is; empty where it is nowhere."""
        spot = spot_of(trip.place)
        return "" if spot == NOWHERE else f"s{self.ways[trip.route, trip.direction].stop(spot)}"

    def report(self, trip: Trip) -> dict[str, object]:
        """What the vehicle says before that tap."""
        place, said = trip.place, {"line": str(trip.route), "razzia": trip.razzia}
        if place.quality is PlaceQuality.CONTRADICTED:
            return {**said, "stop_ref": UNKNOWN_STOP}
        way, stop = self.ways[trip.route, trip.direction], self.reference(trip) if by_vehicle(trip) else ""
        coming = "" if place.coming == NOWHERE else f"s{way.stop(place.coming, goal=True)}"
        return {
            **said,
            "stop_ref": stop,
            "coming_ref": coming,
            "arriving": place.arriving,
            "estimated": place.quality is PlaceQuality.ESTIMATED,
        }

    def goal(self, trip: Trip) -> str:
        """What the console calls the stop to which the ride of `trip` goes; empty where its rider names none."""
        spot = trip.place.destination
        if spot == NOWHERE:
            return ""
        return f"stop-{self.ways[trip.route, trip.direction].stop(spot, goal=True)}"

    def text(self, issued_at: str) -> str:
        """The document as a file."""
        lines = [
            "[header]",
            'id = "live_routes"',
            f"version = {self.version}",
            f"region = {self.region}",
            f"issued_at = {issued_at}",
        ]
        for route, mode in self.modes.items():
            lines += ["[[routes]]", f"number = {route}", f'name = "Route {route}"', f'mode = "{mode.value}"']
            for direction in (0, 1):
                lines += ["[[routes.directions]]", f'name = "{("out", "back")[direction]}"']
                lines += self._stops((route, direction))
        return "\n".join(lines) + "\n"

    def _stops(self, run: tuple[int, int]) -> Iterator[str]:
        """Between the two ends, as far as they are known, each stop of the vehicle is followed by one that says
        nothing: what comes next is only what a scenario states."""
        way = self.ways.get(run)
        if way is None:
            return
        listed = [(way.origin.stop or FIRST_STOP, way.origin)]
        for index, (spot, number) in enumerate(way.boarded.items()):
            listed += [(number, spot), (SILENT_STOPS + index, NOWHERE)]
        listed += [(number, spot) for spot, number in way.goals.items()]
        listed.append((way.terminus.stop or LAST_STOP, way.terminus))
        yield f"stops = [{', '.join(_stop(number, spot) for number, spot in listed)}]"


def routes_from(taps: Iterable[LiveTap], region: int, version: int) -> Routes:
    """The document under which as many of `taps` as possible can be played, the first of them for certain."""
    routes = Routes(region, version)
    for tap in taps:
        if not routes.hold(tap.trip):
            break
        routes.taps += 1
    return routes


def spot_of(place: Place) -> Spot:
    """Where a place is, without who said it."""
    return Spot(place.stop, place.zone, place.mark_m)


def by_vehicle(trip: Trip) -> bool:
    """Whether the vehicle has to say where it is."""
    place = trip.place
    said = spot_of(place) != NOWHERE or place.coming != NOWHERE or place.quality is not PlaceQuality.EXACT
    return said and place.source is not PlaceSource.HAND


def _stop(number: int, spot: Spot) -> str:
    fields = [f"number = {number}", f'name = "Stop {number}"', f"refs = {json.dumps([f's{number}'])}"]
    if spot.zone:
        fields.append(f"zone = {spot.zone}")
    if spot.mark_m is not None:
        fields.append(f"mark_m = {spot.mark_m}")
    return f"{{ {', '.join(fields)} }}"
