"""The desk's bus: what its on-board computer says, and does not say, is what taps are decided by and show."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from sim.desk.content import holding_of
from sim.desk.disturbance import Disturbance
from terminal.journal.operation_records import ClockConfirmed, RazziaChanged
from terminal.lab.desk.bus import LINES, BusPhase, OnBoard
from terminal.lab.desk.driver import STEP
from terminal.lab.desk.known import FACT_WORDS, SOURCE_WORDS, span
from terminal.lab.desk.refusals import DeskRefused
from terminal.lab.desk.scenario import WRITTEN, scenario_of
from terminal.lab.desk.session import BusMove, DeskSession
from terminal.lab.desk.tap import FinishedTap
from terminal.lab.desk.view import desk_as_json, tap_as_json
from terminal.policy.load import REGIONS, load_region
from terminal.policy.routes import load_routes
from terminal.trip.facts import UNKNOWN_PLACE
from terminal.trip.producers import PRODUCERS, FactSource
from terminal.trip.stated import ROW_FIELDS

UNSHOWN = ROW_FIELDS - {"route", "direction"} | {"place.source", "place.age_s", "asked_by"}
"""Said in other words: by the tap itself, and by the columns of source and age."""
NOT_AT_THE_DESK = ("canteen.pupil", "inspection", "on_break")
"""Its terminals have no crew that breaks off."""


@pytest.fixture
def session(tmp_path: Path) -> Iterator[DeskSession]:
    """In a region with two taps, on its own line."""
    desk = DeskSession(tmp_path, "belgorod", collector=False)
    desk.reset()
    yield desk
    desk.close()


def tap(session: DeskSession, card: str = "adult_purse", place: str = "front") -> FinishedTap:
    return session.tap(card, place, Disturbance())


def codes(entry: FinishedTap) -> list[str]:
    return [reason.code for reason in entry.report.reasons]


def known(session: DeskSession, entry: FinishedTap, language: str = "en") -> dict[str, tuple[str, str, str]]:
    """Value, source and age of each fact that the page shows of the tap."""
    shown = tap_as_json(entry, language, session.town.policy, acknowledged=0)["known"]
    return {one["fact"]: (one["value"], one["source"], one["age"]) for one in shown}


def ride(session: DeskSession, stops: int) -> None:
    for _ in range(stops):
        session.move_bus(BusMove.NEXT_STOP)


def test_a_ride_costs_what_lies_between_the_stops_where_the_bus_was(session: DeskSession) -> None:
    assert tap(session).report.outcome.message == "ok_checkin"
    ride(session, 2)
    out = tap(session, place="rear")
    assert (out.report.outcome.message, out.report.outcome.charge_minor) == ("ok_checkout", 6600)
    told = known(session, out)
    assert told["place.stop"] == ("Крутой Лог (10103)", "vehicle", "0 s")
    assert told["place.zone"] == ("zone_3 (3)", "vehicle", "0 s")
    assert told["place.terminus.stop"] == ("Шебекино (10106)", "routes document", "")
    assert told["mode"] == ("bus", "routes document", "")
    assert told["route"] == ("101", "driver or conductor", "")
    assert told["freshness.deny_list_age_s"] == ("4 min 2 s", "lists", "")
    russian = known(session, out, "ru")
    assert russian["place.stop"] == ("Крутой Лог (10103)", "бортовой компьютер", "0 с")
    assert russian["clock.suspect"] == ("нет", "контроль часов", "")


def test_a_dead_computer_grows_old_then_missing(session: DeskSession) -> None:
    tap(session)
    ride(session, 2)
    session.use_computer(OnBoard.SILENT)
    session.advance(timedelta(seconds=39))
    fresh = tap(session, "adult_purse_ev1")
    assert known(session, fresh)["place.stop"][1:] == ("vehicle", "40 s")
    assert "t-61:place_stale" not in codes(fresh)
    session.advance(timedelta(seconds=60))
    old = tap(session)
    assert codes(old)[:2] == ["t-61:place_stale", "t-07:cheaper_stop"]
    assert known(session, old)["place.stop"][2] == "1 min 41 s"
    session.advance(timedelta(minutes=10))
    missing = tap(session, "student_half_price")
    assert codes(missing)[:2] == ["t-61:place_too_old", "t-07:from_first_stop"]
    assert desk_as_json(session, "en")["bus"]["known"] == "place_missing"
    session.use_computer(OnBoard.SPEAKS)
    assert desk_as_json(session, "en")["bus"]["known"] == "place_fresh"


@pytest.mark.parametrize(
    ("computer", "trouble"),
    [
        (OnBoard.WRONG_ZONE, "Vehicle names a zone in which the stop does not lie: A"),
        (OnBoard.WRONG_STOP, "Vehicle names a stop that is not on the route: elsewhere"),
        (OnBoard.OTHER_LINE, "Vehicle says line elsewhere, the shift runs another"),
    ],
)
def test_a_computer_that_contradicts_states_no_place(
    session: DeskSession, computer: OnBoard, trouble: str
) -> None:
    ride(session, 1)
    session.use_computer(computer)
    bus = desk_as_json(session, "en")["bus"]
    assert (bus["known"], bus["trouble"]) == ("place_contradicted", trouble)
    entry = tap(session)
    assert codes(entry)[:2] == ["t-61:place_contradicted", "t-07:from_first_stop"]
    told = known(session, entry)
    assert not {"place.stop", "place.zone"} & told.keys()
    assert told["place.quality"] == ("contradicts the route", "vehicle", "0 s")


def test_the_bus_drives_by_the_clock_of_the_desk(session: DeskSession) -> None:
    bus = session.town.bus
    session.drive_on(STEP)
    assert bus.index == 0, "it stands until it is let go"
    session.move_bus(BusMove.DRIVE)
    session.drive_on(timedelta(seconds=30))
    assert (bus.index, bus.phase) == (0, BusPhase.UNDER_WAY)
    session.drive_on(timedelta(seconds=75))
    assert bus.phase is BusPhase.ARRIVING
    session.advance(timedelta(seconds=15))
    assert (bus.index, bus.phase) == (1, BusPhase.AT_STOP)
    session.move_bus(BusMove.STAND)
    session.advance(timedelta(hours=1))
    assert bus.index == 1
    session.move_bus(BusMove.DRIVE)
    session.advance(timedelta(hours=1))
    assert (bus.index, bus.ended, bus.driving) == (5, True, False)
    session.move_bus(BusMove.TURN_ROUND)
    assert (bus.direction, bus.index) == (1, 0)
    assert known(session, tap(session))["direction"][0] == "на Белгород"


def test_the_driver_closes_doors_comes_near_and_opens_them(session: DeskSession) -> None:
    tap(session)
    for phase, arriving in ((BusPhase.UNDER_WAY, False), (BusPhase.ARRIVING, True)):
        session.move_bus(BusMove.STEP)
        assert session.town.bus.phase is phase
        assert session.town.terminals["front"].trip().place.arriving is arriving
    session.move_bus(BusMove.STEP)
    assert (session.town.bus.index, session.town.bus.phase) == (1, BusPhase.AT_STOP)


def test_an_inspection_is_shown_and_on_record_at_both_edges(tmp_path: Path) -> None:
    shown: list[bool] = []
    desk = DeskSession(tmp_path, collector=False, razzia=shown.append)
    desk.reset()
    try:
        desk.use_computer(razzia=True)
        entry = tap(desk)
        assert entry.report.outcome.message == "ok_paid", "it stops no tap"
        assert known(desk, entry)["razzia"] == ("yes", "vehicle", "")
        desk.use_computer(razzia=False)
        rows = [row.record for row in desk.town.terminals["rear"].journal.rows(0, 50)]
        assert [row.razzia for row in rows if isinstance(row, RazziaChanged)] == [True, False]
        assert shown == [False, True, False]
    finally:
        desk.close()


def test_companions_and_destination_are_asked_before_the_tap(session: DeskSession) -> None:
    ahead = {goal.name: goal.key for goal in session.goals("front")}
    session.ask("front", 1, ahead["Маслова Пристань"])
    told = desk_as_json(session, "en")["places"][0]["next"]
    assert (told["companions"], told["goal"]) == (1, "stop-10105")
    entry = tap(session)
    facts = known(session, entry)
    assert facts["companions"] == ("1", "driver or conductor", "")
    assert facts["place.destination.stop"] == ("Маслова Пристань (10105)", "driver or conductor", "")
    assert desk_as_json(session, "en")["places"][0]["next"]["companions"] == 0, "the ride has begun"
    for place, goal in (("canteen", None), ("front", "stop-1")):
        with pytest.raises(DeskRefused):
            session.ask(place, 1, goal)


@pytest.mark.parametrize("by", [timedelta(days=3), -timedelta(days=3)])
def test_a_clock_that_jumps_is_in_doubt_until_a_service_card(session: DeskSession, by: timedelta) -> None:
    session.set_clock(session.town.clock.now() + by, jump=True)
    assert [place["clock"] for place in desk_as_json(session, "en")["places"]] == ["clock_suspect"] * 3
    entry = tap(session)
    assert entry.report.outcome.message == "clock_unconfirmed"
    told = known(session, entry)
    assert told["clock.suspect"] == ("yes", "watch over the clock", "")
    assert told["freshness.deny_list_age_s"][0] == "not judged while the clock is in doubt"
    assert tap(session, "driver_service").report.outcome.message == "clock_confirmed"
    journal = session.town.terminals["front"].journal
    assert any(isinstance(row.record, ClockConfirmed) for row in journal.rows(0, 50))
    sold = tap(session)
    assert sold.report.outcome.message == "ok_checkin"
    assert known(session, sold)["clock.confirmed"] == ("yes", "driver or conductor", "")
    assert tap(session, place="rear").report.outcome.message == "clock_unconfirmed", "each terminal by itself"
    session.set_clock(session.town.clock.now() - by)
    assert [place["clock"] for place in desk_as_json(session, "en")["places"]] == ["", "", ""]


def test_a_session_of_the_bus_plays_to_the_same_result(session: DeskSession) -> None:
    tap(session)
    tap(session, "month_pass")
    ride(session, 3)
    session.use_computer(OnBoard.SILENT)
    session.advance(timedelta(seconds=90))
    tap(session)
    tap(session, "month_pass", "rear")
    session.use_computer(OnBoard.WRONG_ZONE)
    session.ask("front", 1)
    tap(session, "student_half_price")
    session.set_clock(session.town.clock.now() + timedelta(days=2), jump=True)
    tap(session, "adult_purse_ev1")
    saved = scenario_of(session)
    assert saved.differing == ()
    assert saved.taps == 6
    assert "place_age_s = 91" in saved.text
    assert "clock_suspect = true" in saved.text


def test_a_shift_on_a_route_without_stops_leaves_the_place_unknown(session: DeskSession) -> None:
    session.open_shift("front", 7, 0)
    front = session.town.terminals["front"].trip()
    assert (front.route, front.place) == (7, UNKNOWN_PLACE)
    assert desk_as_json(session, "en")["bus"]["stops"] == []
    assert tap(session).report.outcome.message == "ok_paid"
    assert desk_as_json(session, "ru")["bus"]["known"] == "place_missing"


def test_a_zone_cannot_be_wrong_on_a_line_without_zones(session: DeskSession) -> None:
    session.reset("demo")
    with pytest.raises(DeskRefused, match="no zones"):
        session.use_computer(OnBoard.WRONG_ZONE)
    session.use_computer(OnBoard.WRONG_STOP)
    assert tap(session).report.outcome.charge_minor == 2400, "a flat fare is untouched"


def test_every_line_is_one_of_its_region() -> None:
    for path in LINES.glob("*.toml"):
        document, book = load_region(REGIONS / path.name), load_routes(path)
        assert book.document is not None
        assert book.document.header.region == document.header.region
        zones = {zone.number for zone in document.zones}
        stops = [stop for route in book.by_number.values() for stop in route.stops(0)]
        assert stops
        assert {stop.zone for stop in stops} - {0} <= zones
        assert set(book.zones.values()) <= zones


def test_every_fact_and_every_source_has_words() -> None:
    shown = {fact for fact in PRODUCERS if not fact.startswith(NOT_AT_THE_DESK)} - UNSHOWN
    assert FACT_WORDS.keys() == shown
    assert SOURCE_WORDS.keys() == set(FactSource)
    assert set(WRITTEN) >= {fact for fact in shown if fact.startswith(("place.", "clock.", "freshness."))}


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (59, "59 s"), (3600, "1 h"), (90_061, "1 d 1 h"), (3661, "1 h 1 min")]
)
def test_a_duration_is_said_by_its_two_largest_units(seconds: int, words: str) -> None:
    assert span(seconds, "en") == words


def test_the_purse_holds_what_was_charged(session: DeskSession) -> None:
    tap(session)
    ride(session, 1)
    tap(session)
    assert holding_of(session.town.shelf["adult_purse"].card).purse_minor == 50_000 - 6000
