"""`terminal policy gtfs-routes`: a routes document of a feed, and the vehicle that runs a trip of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sim.vehicle.trip import planned_trip
from terminal.policy.base import Mode
from terminal.policy.routes import load_routes
from tests.terminal.cli.inside import Run, runner
from tests.terminal.decision.region import text_of
from tests.terminal.decision.test_feed import FEED_FARES
from tests.terminal.policy.gtfs.feeds import write_feed

HEADER = ("--id", "city_routes", "--region", "31", "--version", "2")
FILES = {
    "stops": """
        stop_id,stop_name,stop_lat,stop_lon,zone_id
        101,"Station, ""main"" hall",50.600,36.600,A
        s2,Market,50.605,36.600,A
        103,Park,50.610,36.605,B
        unused,Nowhere,,,C
    """,
    "routes": """
        route_id,route_short_name,route_long_name,route_type
        15,15,Station - Park,0
        n,N1,,704
        idle,X,,3
    """,
    "trips": """
        route_id,service_id,trip_id,direction_id,trip_headsign,shape_id
        15,d,a,0,to the park,out
        15,d,b,0,to the park,out
        15,d,short,0,to the market,
        15,d,back,1,,
        n,d,night,,Night,
        idle,d,one,0,,
    """,
    "stop_times": """
        trip_id,arrival_time,departure_time,stop_id,stop_sequence
        a,,,s2,5
        a,,,101,1
        a,,,103,30
        b,,,101,1
        b,,,s2,2
        b,,,103,3
        short,,,101,1
        short,,,s2,2
        back,,,103,1
        back,,,101,2
        night,,,101,1
        night,,,103,2
        one,,,101,1
    """,
    "shapes": """
        shape_id,shape_pt_lat,shape_pt_lon,shape_pt_sequence
        out,50.605,36.600,3
        out,50.600,36.600,1
        out,50.6025,36.600001,2
        out,50.610,36.605,4
    """,
}
SECTION = """
[gtfs]
destination = "not_used"
file = "city.json"
sha256 = "{digest}"
route_ids = {{ "77" = "n" }}
stop_ids = {{ "7" = "s2" }}
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(tmp_path, monkeypatch, capfd)


def test_the_most_frequent_way_of_each_direction_becomes_a_routes_document(tmp_path: Path, run: Run) -> None:
    write_feed(tmp_path / "feed", **FILES)
    done = run("policy", "gtfs-routes", "feed", *HEADER, "--out", "routes.toml")
    assert done.returncode == 0, done.stderr
    assert "2 routes, 3 directions, 3 stops" in done.stdout
    assert "left out: route 'idle' has no trip of two stops" in done.stdout
    assert done.stdout.count("[gtfs.") == 2
    assert '1 = "n"' in done.stdout
    assert '1 = "s2"' in done.stdout
    book = load_routes(tmp_path / "routes.toml")
    assert book.version == "city_routes:2"
    assert dict(book.zones) == {"A": 1, "B": 2}
    route = book.by_number[15]
    assert (route.mode, route.lines, route.name) == (Mode.TRAM, ("15",), "Station - Park")
    assert [(stop.number, stop.zone, stop.refs) for stop in route.stops(0)] == [
        (101, 1, ("101",)),
        (1, 1, ("s2",)),
        (103, 2, ("103",)),
    ]
    assert route.stops(0)[0].name == 'Station, "main" hall'
    assert [stop.number for stop in route.stops(1)] == [103, 101]
    assert [one.name for one in route.directions] == ["to the park", 'Station, "main" hall']
    assert route.directions[0].shape == ((50.6, 36.6), (50.605, 36.6), (50.61, 36.605)), (
        "a point on a line goes"
    )
    assert book.by_number[1].mode is Mode.BUS


def test_numbers_are_those_of_the_region_document(tmp_path: Path, run: Run) -> None:
    fares = {
        "fare_products": "fare_product_id,amount,currency\nsingle,24.00,RUB\n",
        "fare_leg_rules": "leg_group_id,fare_product_id\ncity,single\n",
    }
    write_feed(tmp_path / "feed", **(FILES | fares))
    done = run("policy", "import-gtfs", "feed", "--out", "city.json", "--json")
    section = SECTION.format(digest=json.loads(done.stdout)["sha256"])
    (tmp_path / "region.toml").write_text(text_of(section, fares=FEED_FARES), "utf-8")
    done = run("policy", "gtfs-routes", "feed", *HEADER, "--numbers", "region.toml", "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert made["route_ids"] == {"77": "n"}
    assert made["stop_ids"] == {"7": "s2"}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (
            {"stop_times": "trip_id,stop_id,stop_sequence\na,101,1\na,nix,2\n"},
            "stop_times.txt line 3, column stop_id",
        ),
        ({"stop_times": "trip_id,stop_id,stop_sequence\nx,101,1\n"}, "stop_times.txt line 2, column trip_id"),
        (
            {"stop_times": "trip_id,stop_id,stop_sequence\na,101,-1\n"},
            "column stop_sequence: '-1' is no number",
        ),
        ({"stop_times": "trip_id,stop_id\na,101\n"}, "stop_times.txt has no column stop_sequence"),
        ({"stops": "stop_id,stop_lat,stop_lon\n101,91,0\n"}, "column stop_lat: '91' is no angle up to 90"),
        ({"stops": "stop_id,stop_lat,stop_lon\n101,nan,0\n"}, "column stop_lat"),
        ({"stops": "stop_id\n101\n101\n"}, "'101' is there twice"),
        ({"routes": "route_id,route_type\n15,tram\n"}, "routes.txt line 2, column route_type"),
        (
            {"trips": "route_id,trip_id\nnix,a\n"},
            "trips.txt line 2, column route_id: 'nix' is not in routes.txt",
        ),
        ({"trips": 'route_id,trip_id\n"15,a\n'}, "trips.txt line 2: is not CSV"),
        ({"shapes": "shape_id,shape_pt_lat,shape_pt_lon,shape_pt_sequence\nout,,1,1\n"}, "shapes.txt line 2"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_nothing_is_written(
    tmp_path: Path, run: Run, wrong: dict[str, str], says: str
) -> None:
    write_feed(tmp_path / "feed", **(FILES | wrong))
    done = run("policy", "gtfs-routes", "feed", *HEADER, "--out", "routes.toml")
    assert done.returncode == 14
    assert says in done.stderr
    assert not (tmp_path / "routes.toml").exists()


def test_some_routes_alone(tmp_path: Path, run: Run) -> None:
    write_feed(tmp_path / "feed", **FILES)
    made = json.loads(run("policy", "gtfs-routes", "feed", *HEADER, "--only", "n", "--json").stdout)
    assert (made["routes"], made["stops"], made["route_ids"], made["left_out"]) == (1, 2, {"1": "n"}, [])
    refused = run("policy", "gtfs-routes", "feed", *HEADER, "--only", "16")
    assert refused.returncode == 14
    assert "routes.txt has no route '16'" in refused.stderr


def test_a_simulated_vehicle_runs_the_trip_of_the_feed(tmp_path: Path, run: Run) -> None:
    write_feed(tmp_path / "feed", **FILES)
    run("policy", "gtfs-routes", "feed", *HEADER, "--out", "routes.toml")
    trip = planned_trip(tmp_path / "routes.toml", 15, 0, seed=1)
    assert [stop.ref for stop in trip.stops] == ["101", "s2", "103"]
    assert trip.metres[1] == pytest.approx(556, abs=2)
    assert trip.position_at(trip.times_s[2])[:2] == pytest.approx((50.61, 36.605), abs=1e-4)
