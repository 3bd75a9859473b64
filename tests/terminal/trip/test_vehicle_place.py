"""What a report means on the way of the run: by the routes document, and never a zone by a guess (T-61)."""

from __future__ import annotations

from typing import Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.codes import VehicleFault
from terminal.policy.routes import NO_ROUTES, parse_routes
from terminal.trip.facts import NOWHERE, Place, PlaceQuality, PlaceSource, Spot
from terminal.trip.vehicle_place import CONTRADICTED, NOTHING_HEARD, PlaceHeard, place_of, run_of, way_of
from terminal.trip.vehicle_report import VehicleReport

ROUTES: Final = parse_routes(
    b"""
[header]
id = "city"
version = 1
region = 31
issued_at = 2026-11-29T00:00:00+03:00
[zones]
"2203" = 1
"PID 3" = 1
"2204" = 2
"9000" = 9
[[routes]]
number = 15
name = "Loop"
lines = ["15", "K15"]
[[routes.directions]]
name = "there"
stops = [
  { number = 1501, name = "A", zone = 1, mark_m = 0, refs = ["a", "a2"], lat = 50.6, lon = 36.6 },
  { number = 1502, name = "B", zone = 1, refs = ["b"] },
  { number = 1503, name = "C", zone = 2, mark_m = 4100, refs = ["c"] },
  { number = 1504, name = "A again", zone = 2, refs = ["a"] },
  { number = 1505, name = "D", refs = ["d"] },
]
[[routes]]
number = 16
name = "Flat"
[[routes.directions]]
name = "there"
stops = [{ number = 1601, name = "X", refs = ["a"] }, { number = 1602, name = "Y", refs = ["y"] }]
[[routes]]
number = 17
name = "Unlisted"
""",
    "routes.toml",
)
A, B, C = Spot(1501, 1, 0), Spot(1502, 1), Spot(1503, 2, 4100)
A_AGAIN, D = Spot(1504, 2), Spot(1505)


def heard(route: int = 15, direction: int = 0, /, **said: object) -> PlaceHeard:
    report = msgspec.convert({"heard_s": 0.0, "source": "test"} | said, VehicleReport)
    return place_of(report, way_of(ROUTES, route, direction))


def at(
    spot: Spot, coming: Spot, quality: PlaceQuality = PlaceQuality.EXACT, *, arriving: bool = False
) -> Place:
    return Place(
        spot.stop,
        spot.zone,
        spot.mark_m,
        PlaceSource.VEHICLE,
        quality,
        coming=coming,
        arriving=arriving,
    )


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ({"line": "15", "stop_ref": "b"}, at(B, C)),
        ({"stop_ref": "b"}, at(B, C)),
        ({"line": "K15", "direction": 0, "stop_ref": "b", "zones": ["PID 3"]}, at(B, C)),
        ({"stop_ref": "b", "zones": ["unheard of", "2203"]}, at(B, C)),
        ({"stop_ref": "b", "coming_ref": "c", "arriving": True}, at(B, C, arriving=True)),
        ({"stop_ref": "b", "coming_ref": "d"}, at(B, D)),
        ({"stop_ref": "d"}, at(D, NOWHERE)),
        ({"stop_ref": "d", "arriving": True}, at(D, NOWHERE)),
        ({"stop_ref": "d", "zones": ["2204"]}, at(Spot(1505, 2), NOWHERE)),
        ({"stop_ref": "a", "stop_index": 0}, at(A, B)),
        ({"stop_ref": "a", "stop_index": 3}, at(A_AGAIN, D)),
        ({"stop_ref": "a", "coming_ref": "b"}, at(A, B)),
        ({"stop_ref": "a", "coming_ref": "d"}, at(A_AGAIN, D)),
        ({"stop_ref": "a"}, at(A, B, PlaceQuality.ESTIMATED)),
        ({"stop_ref": "b", "estimated": True}, at(B, C, PlaceQuality.ESTIMATED)),
        ({"stop_ref": "b", "off_route": True}, at(B, C, PlaceQuality.ESTIMATED)),
        ({"line": "15", "direction": 0, "stop_index": 2}, at(C, A_AGAIN)),
        ({"zones": ["2204"]}, at(Spot(zone=2), NOWHERE)),
        ({"coming_ref": "c", "arriving": True}, at(NOWHERE, C, arriving=True)),
    ],
)
def test_what_is_on_the_way_is_a_place(said: dict[str, object], place: Place) -> None:
    assert heard(**said) == PlaceHeard(place)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"razzia": True, "lat": 50.6, "lon": 36.6},
        {"stop_index": 2},  # of whose order?
        {"line": "15", "stop_index": 2},
        {"zones": ["2203", "2204"]},  # which of them?
    ],
)
def test_what_names_no_place_is_none(said: dict[str, object]) -> None:
    assert heard(**said) == NOTHING_HEARD


@pytest.mark.parametrize(
    ("said", "code", "shown"),
    [
        ({"line": "16", "stop_ref": "b"}, VehicleFault.OTHER_LINE, "16"),
        ({"direction": 1, "stop_ref": "b"}, VehicleFault.OTHER_DIRECTION, "1"),
        ({"stop_ref": "y"}, VehicleFault.UNKNOWN_STOP, "y"),
        ({"stop_ref": "b", "coming_ref": "y"}, VehicleFault.UNKNOWN_STOP, "y"),
        ({"line": "15", "direction": 0, "stop_index": 5}, VehicleFault.UNKNOWN_STOP, "5"),
        ({"stop_ref": "c", "coming_ref": "b"}, VehicleFault.OTHER_ORDER, "b"),
        ({"stop_ref": "d", "coming_ref": "d"}, VehicleFault.OTHER_ORDER, "d"),
        ({"stop_ref": "b", "off_order": True, "trip": "T9"}, VehicleFault.OTHER_ORDER, "T9"),
        ({"stop_ref": "b", "zones": ["2204"]}, VehicleFault.OTHER_ZONE, "2204"),
        ({"zones": ["9000"]}, VehicleFault.OTHER_ZONE, "9000"),
        ({"stop_ref": "b", "zones": ["2205"]}, VehicleFault.UNKNOWN_ZONE, "2205"),
        ({"stop_ref": "b\x1b[31m\n" + 90 * "x"}, VehicleFault.UNKNOWN_STOP, "b[31m " + 34 * "x"),
    ],
)
def test_what_is_not_on_the_way_contradicts_and_is_no_place(
    said: dict[str, object], code: VehicleFault, shown: str
) -> None:
    found = heard(**said)
    assert found.place == CONTRADICTED
    assert found.trouble is not None
    assert (found.trouble.code, found.trouble.inputs) == (code, {"heard": shown})


def test_a_route_without_lines_is_called_by_its_number() -> None:
    assert heard(16, line="16", stop_ref="a").place == at(Spot(1601), Spot(1602))
    assert heard(16, line="15", stop_ref="a").place == CONTRADICTED


def test_zones_say_nothing_where_the_stops_of_the_way_have_none() -> None:
    assert heard(16, stop_ref="a", zones=["2203"]).place == at(Spot(1601), Spot(1602))
    assert heard(16, zones=["2203"]) == NOTHING_HEARD


def test_without_a_way_or_its_stops_nothing_is_a_place() -> None:
    report = VehicleReport(heard_s=0.0, source="test", line="15", stop_ref="a", zones=("2203",))
    assert way_of(NO_ROUTES, 15, 0) is None
    assert place_of(report, None) == NOTHING_HEARD
    assert heard(99, stop_ref="a") == NOTHING_HEARD
    assert heard(17, stop_ref="a", zones=["2203"]) == NOTHING_HEARD


def test_the_way_back_is_that_of_its_own_direction() -> None:
    assert heard(15, 1, direction=1, stop_ref="c").place == at(C, B)
    assert heard(15, 1, stop_ref="b", coming_ref="c").place == CONTRADICTED


def test_the_side_process_is_given_the_run_and_nothing_of_its_prices() -> None:
    run = run_of(way_of(ROUTES, 15, 0), ROUTES)
    assert (run.route, run.direction, run.lines, len(run.stops)) == (15, 0, ("15", "K15"), 5)
    assert (run.stops[0].refs, run.stops[0].lat) == (("a", "a2"), 50.6)
    assert run_of(None, ROUTES).route == 0


NAMES: Final = st.sampled_from(
    ["", "a", "a2", "b", "c", "d", "y", "zzz", "15", "K15", "16", "2203", "2204", "9000", "x"]
)
SAID: Final = st.fixed_dictionaries(
    {},
    optional={
        "line": NAMES,
        "direction": st.sampled_from([None, 0, 1]),
        "stop_ref": NAMES,
        "stop_index": st.one_of(st.none(), st.integers(0, 7)),
        "zones": st.lists(NAMES.filter(bool), max_size=3).map(tuple),
        "coming_ref": NAMES,
        "arriving": st.booleans(),
        "off_route": st.booleans(),
        "off_order": st.booleans(),
        "estimated": st.booleans(),
    },
)


@given(SAID, st.sampled_from([(15, 0), (15, 1), (16, 0), (16, 1), (17, 0), (99, 0)]))
def test_no_report_states_a_zone_or_a_stop_that_its_names_do_not_bear_out(
    said: dict[str, object], run: tuple[int, int]
) -> None:
    found = heard(*run, **said)
    place = found.place
    if found.trouble is not None or place is None:
        assert place in (None, CONTRADICTED)
        return
    stops = {(stop.number, stop.mark_m): stop for stop in ROUTES.stops(*run)}
    line, names = said.get("line"), said.get("zones", ())
    assert line in (None, "", str(run[0])) or (run[0], line) == (15, "K15")
    if place.stop:
        stop = stops[place.stop, place.mark_m]
        assert said.get("stop_ref") in stop.refs or not said.get("stop_ref")
        assert place.zone == stop.zone or stop.zone == 0
    if place.zone:
        assert place.zone in {stop.zone for stop in stops.values()}
    named = {ROUTES.zones[name] for name in names if name in ROUTES.zones}  # type: ignore[attr-defined]
    if names and place.zone:
        assert place.zone in named
    if place.coming is not NOWHERE:
        assert (place.coming.stop, place.coming.mark_m) in stops
