"""Every fact of a trip has a producer whose act changes it, or stands in the list of those that wait for one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec import Struct
from msgspec.structs import fields, replace

from terminal.canteen.cards import mark_card
from terminal.canteen.closing import close_day
from terminal.canteen.corrections import annul, correct_attendance
from terminal.clock import unix_ms
from terminal.journal.canteen_records import CardUse
from terminal.journal.console_records import BreakDeclared, OrderDeclared, PlaceSet
from terminal.journal.journal import Journal
from terminal.journal.records import Intent, parse_record
from terminal.lab.town import DAY, TerminalSite, open_town
from terminal.policy.routes import RouteBook
from terminal.trip.asked import NextRide
from terminal.trip.build import InspectionRound, trip_of
from terminal.trip.clock_watch import ClockWatch
from terminal.trip.facts import AskedBy, Place, PlaceSource, Spot
from terminal.trip.producers import NO_LIVE_PRODUCER, PRODUCERS
from terminal.trip.pupil import CanteenContext
from terminal.trip.shifts import close_shift, open_shift, start_turn
from terminal.trip.stated import fact_names
from tests.terminal.canteen.school import SCHOOL, TEACHER, child, grant, open_canteen, order, ref
from tests.terminal.trip.test_clock_watch import TwoHands

STATE = "var/terminal"
NOW = datetime(2026, 9, 15, 5, 0, tzinfo=UTC)
BY_CREW = {"sequence", "shift", "turn", "route", "direction", "on_break", "reader_ok"} | {
    f"place.{name}" for name in ("stop", "zone", "mark_m", "source")
}
BY_CLOCK = {"clock.suspect", "clock.confirmed", "clock.authenticated"}
ASKED = {"companions", "asked_by"} | {f"place.destination.{name}" for name in ("stop", "zone", "mark_m")}
BY_INSPECTOR = {"inspection", "inspection.misuse"}
CONFIGURED = {"profile", "terminal", "canteen.serving"}


def facts(part: object, within: str = "") -> Iterator[tuple[str, object]]:
    """Every fact of a trip by name; a part that is missing has no facts below its own name."""
    assert isinstance(part, Struct)
    for field in fields(part):
        name, value = within + field.name, getattr(part, field.name)
        if isinstance(value, Struct):
            yield name, True
            yield from facts(value, f"{name}.")
        else:
            yield name, value


def changed(before: object, after: object, within: str = "") -> set[str]:
    """The names of the facts in which two trips differ."""
    old, new = dict(facts(before, within)), dict(facts(after, within))
    return {name for name in old.keys() & new.keys() if old.get(name) != new.get(name)} & fact_names()


def test_every_fact_has_a_producer_or_waits_for_one() -> None:
    assert fact_names() >= NO_LIVE_PRODUCER.keys()
    assert [fact for fact, sources in PRODUCERS.items() if not sources] == []


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal.open(tmp_path / "journal.db", 7)
    yield journal
    journal.close()


def test_the_crew_changes_shift_turn_place_and_order(journal: Journal) -> None:
    seen, at_ms = [trip_of(journal, "bus", 7)], unix_ms(NOW)
    shift = open_shift(journal, NOW, "driver", "bus", 15, 1).shift
    seen.append(trip_of(journal, "bus", 7))
    start_turn(journal, NOW, "driver", 16, 0)
    journal.append(PlaceSet(at_ms, shift, 1502, 2, 4000, "driver"))
    seen.append(trip_of(journal, "bus", 7))
    journal.append(BreakDeclared(at_ms, shift, begins=True, operator_ref="driver"))
    seen.append(trip_of(journal, "bus", 7))
    journal.append(OrderDeclared(at_ms, in_order=False, operator_ref="driver"))
    seen.append(trip_of(journal, "bus", 7))
    assert set.union(*map(changed, seen, seen[1:])) == BY_CREW
    assert (seen[2].turn, seen[2].route, seen[2].place) == (2, 16, Place(1502, 2, 4000, PlaceSource.HAND))
    close_shift(journal, NOW)
    assert not trip_of(journal, "bus", 7).shift_open


def test_crew_and_rider_change_with_whom_and_where_the_next_ride_goes(journal: Journal) -> None:
    asked = NextRide(journal, TwoHands(NOW))
    seen = [trip_of(journal, "bus", 7, asked=asked.ride)]
    asked.count(2, AskedBy.CREW)
    asked.go_to(Spot(1503, 2, 4000), AskedBy.RIDER)
    seen.append(trip_of(journal, "bus", 7, asked=asked.ride))
    assert changed(*seen) == ASKED


def test_the_inspector_changes_the_inspection_and_the_vehicle_asked_for(journal: Journal) -> None:
    ends_at = NOW + timedelta(minutes=15)
    seen = [
        trip_of(journal, "bus", 7, inspecting=inspecting)
        for inspecting in (None, InspectionRound(3, 1, ends_at), InspectionRound(3, 1, ends_at, misuse=True))
    ]
    assert set.union(*map(changed, seen, seen[1:])) == BY_INSPECTOR | {"route", "direction"}


def test_the_clock_its_confirmation_and_a_signature_change_what_is_known_of_it(journal: Journal) -> None:
    clock = TwoHands(NOW)
    watch = ClockWatch(journal, clock, 30, NOW - timedelta(days=1))
    seen = [trip_of(journal, "bus", 7, clock=watch.look())]
    clock.at += timedelta(hours=3)
    seen.append(trip_of(journal, "bus", 7, clock=watch.look()))
    assert watch.confirm("17")
    seen.append(trip_of(journal, "bus", 7, clock=watch.look()))
    watch.hear(unix_ms(clock.at))
    seen.append(trip_of(journal, "bus", 7, clock=watch.look()))
    assert set.union(*map(changed, seen, seen[1:])) - {"sequence"} == BY_CLOCK


def test_a_school_changes_what_a_canteen_knows(tmp_path: Path) -> None:
    plain = child(1, 11, hot_minor=10_000)
    rich = child(
        2,
        hot_minor=50_000,
        buffet_minor=20_000,
        class_id="7b",
        grade=7,
        shift=2,
        home_schooled=True,
        day_limit_minor=30_000,
        buffet_limit_minor=9_000,
        forbidden=("nuts",),
        orders=(order("lunch"),),
        cards_since=datetime(2026, 9, 1, tzinfo=UTC).date(),
        grants=(grant(12),),
    )
    payer = child(3, hot_minor=50_000, buffet_minor=20_000, class_id="7b", grade=7)
    with open_canteen(tmp_path, plain, rich, payer) as school:
        school_counter, at = school.canteen, school.at("09:00")
        seen = [
            CanteenContext(),
            *(school_counter.context(ref(number), ref(number), at) for number in (9, 1, 2, 3)),
        ]
        school.give(3, serving="breakfast")
        school.sell(3, at="09:01", bun=1)
        seen.append(school_counter.context(ref(3), ref(3), at))
        annul(school_counter, ref(3), TEACHER, school.at("09:02"))
        correct_attendance(school_counter, [ref(3)], [], TEACHER, school.at("08:30"))
        seen.append(school_counter.context(ref(3), ref(3), at))
        known = school_counter.known()
        assert known is not None
        left = replace(known, left=99)
        pupil = left.pupil(ref(3), school_counter.day_of(at), at)
        seen.append(replace(seen[-1], pupil=pupil))
        seen.append(school_counter.context(ref(3), ref(3), at + timedelta(days=3)))
        annul(school_counter, ref(3), TEACHER, school.at("09:03"))
        seen.append(school_counter.context(ref(3), ref(3), at))
        school.present(ref(95), ref(3))
        mark_card(school_counter, ref(95), CardUse.LOST, TEACHER, at)
        seen.append(school_counter.context(ref(95), ref(3), at))
        school_counter.only_read = lambda: True
        seen.append(school_counter.context(ref(95), ref(3), at))
        school_counter.elsewhere = lambda _pupil, _day: 1
        seen.append(school_counter.context(ref(95), ref(3), at))
        close_day(school_counter, TEACHER, school.at("16:00"))
        school_counter.journal = None
        seen.append(school_counter.context(ref(3), ref(3), at))
        school_counter.roster = None
        seen.append(school_counter.context(ref(3), ref(3), at))
    wanted = {name for name in PRODUCERS if name.startswith("canteen.")} - CONFIGURED
    assert wanted == set.union(*(changed(a, b, "canteen.") for a, b in pairwise(seen)))
    assert seen[1].school == SCHOOL


class OnBoard:
    """An on-board computer that answers with what it was given."""

    name = "board"
    razzia = False

    def __init__(self, known: Place | None) -> None:
        self.known = known

    name = "on_board"
    razzia = False

    def place_on(self, _route: int, _direction: int, _routes: RouteBook) -> Place | None:
        return self.known


def test_the_vehicle_states_the_place_until_a_person_does(journal: Journal) -> None:
    on_board = Place(7, 1, 500, PlaceSource.VEHICLE, terminus=Spot(zone=4, mark_m=9000))
    assert trip_of(journal, "bus", 7, vehicle=OnBoard(on_board)).place == on_board
    assert trip_of(journal, "bus", 7, vehicle=OnBoard(None)).place == Place()
    shift = open_shift(journal, NOW, "driver", "bus", 15).shift
    journal.append(PlaceSet(unix_ms(NOW), shift, 1502, 2, None, "driver"))
    by_hand = trip_of(journal, "bus", 7, vehicle=OnBoard(on_board)).place
    assert by_hand == Place(1502, 2, None, PlaceSource.HAND, terminus=on_board.terminus)


def test_the_vehicles_place_is_on_record_with_the_tap(tmp_path: Path) -> None:
    with open_town(
        tmp_path, [TerminalSite(7, "bus", "door", route=15)], ["adult_purse"], DAY, seed=7
    ) as town:
        terminal = town.terminals[7]
        terminal.vehicle = OnBoard(Place(7, 1, source=PlaceSource.VEHICLE, terminus=Spot(zone=4)))
        town.tap(7, "adult_purse")
        rows = [parse_record(row.body) for row in terminal.journal.rows()]
    (intent,) = [row for row in rows if isinstance(row, Intent)]
    place = {"place.stop": 7, "place.zone": 1, "place.terminus.zone": 4, "place.source": "vehicle"}
    assert intent.trip == place
