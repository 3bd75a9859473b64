"""VDV 301 and gpsd as a running terminal hears them: what the vehicle says stands in the row of the next tap."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from terminal.codes import VehicleFault
from tests.terminal.cli.conftest import ENVIRONMENT, command
from tests.terminal.policy.gtfs.feeds import write_feed
from tests.vehicle_run import SimVehicle, bus_run, routes_file, sim_vehicle

HEARTBEAT = ("--heartbeat", 0.5)
FEED = {
    "stops": """
        stop_id,stop_name,stop_lat,stop_lon,zone_id
        station,Station,50.600,36.600,1
        market,Market,50.605,36.600,1
        park,Park,50.610,36.605,2
        university,University,50.615,36.605,2
    """,
    "routes": "route_id,route_short_name,route_type\n15,15,0\n",
    "trips": "route_id,service_id,trip_id,shape_id\n15,daily,a,way\n",
    "stop_times": """
        trip_id,stop_id,stop_sequence
        a,station,1
        a,market,2
        a,park,3
        a,university,4
    """,
    "shapes": """
        shape_id,shape_pt_lat,shape_pt_lon,shape_pt_sequence
        way,50.600,36.600,1
        way,50.605,36.600,2
        way,50.610,36.600,3
        way,50.610,36.605,4
        way,50.615,36.605,5
    """,
}


def of_computer(vehicle: SimVehicle) -> dict[str, object]:
    return {"source": "vdv301", "publisher": vehicle.address, "reply_host": "127.0.0.1"}


@pytest.mark.parametrize("dialect", ["vdv22", "vdv24", "cz"])
def test_the_stop_that_the_on_board_computer_names_is_in_the_next_row(tmp_path: Path, dialect: str) -> None:
    routes = routes_file(tmp_path)
    with (
        sim_vehicle(routes, "vdv301", *HEARTBEAT, "--dialect", dialect) as vehicle,
        bus_run(tmp_path, routes, of_computer(vehicle)) as bus,
    ):
        vehicle.order("stop")
        bus.fact(stop=1501, zone=1, source="vehicle", quality=None)
        vehicle.order("stop")
        bus.fact(stop=1502, zone=1)
        vehicle.order("stop")
        row = bus.fact(stop=1503, zone=2)
        assert row.trip["place.coming.stop"] == 1504


def test_what_the_network_says_wrong_is_no_place_and_stops_no_tap(tmp_path: Path) -> None:
    routes = routes_file(tmp_path)
    with (
        sim_vehicle(routes, "vdv301", *HEARTBEAT) as vehicle,
        bus_run(tmp_path, routes, of_computer(vehicle)) as bus,
    ):
        vehicle.order("stop")
        bus.fact(stop=1501, zone=1)
        for fault, code in (
            ("wrong-zone", VehicleFault.OTHER_ZONE),
            ("wrong-line", VehicleFault.OTHER_LINE),
            ("wrong-order", VehicleFault.OTHER_ORDER),
        ):
            vehicle.order(fault)
            row = bus.fact(quality="contradicted", stop=None, zone=None, mark_m=None)
            assert row.trip["place.source"] == "vehicle"
            bus.fault_that(code)
            vehicle.order("mend")
            bus.fact(stop=1501, zone=1, quality=None)
        assert len(bus.faults()) == len(set(bus.faults())), "each is reported once"


def test_strangers_floods_and_inspections_stop_no_tap(tmp_path: Path) -> None:
    routes = routes_file(tmp_path)
    with (
        sim_vehicle(routes, "vdv301", *HEARTBEAT) as vehicle,
        bus_run(tmp_path, routes, of_computer(vehicle)) as bus,
    ):
        vehicle.order("stop")
        bus.fact(stop=1501)
        vehicle.order("foreign")  # it says 1504
        assert [event["why"] for event in vehicle.events if event.get("source") == "127.0.0.2"]
        vehicle.order("hostile")
        bus.fault_that(VehicleFault.REFUSED)
        before = len(bus.taps())
        vehicle.order("flood")
        assert len(bus.taps()) > before
        vehicle.order("razzia")
        row = bus.tap_that(lambda row: row.trip.get("razzia") is True)
        assert row.message != "out_of_order"
        vehicle.order("norazzia")
        bus.tap_that(lambda row: "razzia" not in row.trip)
        vehicle.order("stop")
        bus.fact(stop=1502)
        assert {row.trip.get("place.stop") for row in bus.taps()} <= {None, 1501, 1502}
        assert bus.faults() == [VehicleFault.REFUSED], "staff read it once"


def test_a_restarted_or_silent_computer_costs_nothing_but_its_news(tmp_path: Path) -> None:
    routes = routes_file(tmp_path)
    with (
        sim_vehicle(routes, "vdv301", *HEARTBEAT) as vehicle,
        bus_run(tmp_path, routes, of_computer(vehicle)) as bus,
    ):
        vehicle.order("stop")
        bus.fact(stop=1501, age_s=None)
        vehicle.order("silent")
        bus.tap_that(
            lambda row: row.trip.get("place.stop") == 1501 and int(row.trip.get("place.age_s", 0)) >= 2
        )
        vehicle.order("mend")
        vehicle.order("restart")
        vehicle.hear("subscribed", "CurrentTariffStop")
        vehicle.order("stop")
        bus.fact(stop=1502, age_s=None)


def test_a_computer_that_drops_one_subscription_is_asked_for_it_again(tmp_path: Path) -> None:
    routes = routes_file(tmp_path)
    with (
        sim_vehicle(routes, "vdv301", *HEARTBEAT) as vehicle,
        bus_run(tmp_path, routes, of_computer(vehicle)) as bus,
    ):
        vehicle.order("stop")
        bus.fact(stop=1501)
        vehicle.order("forget")
        vehicle.hear("subscribed", "CurrentTariffStop")
        vehicle.order("stop")
        bus.fact(stop=1502, age_s=None)
        assert bus.faults() == [], "the others went on: it was there all the time"


def test_a_computer_that_comes_back_on_another_port_is_found(tmp_path: Path) -> None:
    routes = routes_file(tmp_path)
    found = {"source": "vdv301", "publisher": "dns-sd:Tvs-9632@127.0.0.1", "reply_host": "127.0.0.1"}
    with (
        sim_vehicle(routes, "vdv301", *HEARTBEAT, "--dns-sd", "Tvs-9632") as vehicle,
        bus_run(tmp_path, routes, found) as bus,
    ):
        vehicle.order("stop")
        bus.fact(stop=1501)
        vehicle.order("restart")
        vehicle.hear("subscribed", "CurrentTariffStop")
        vehicle.order("stop")
        bus.fact(stop=1502)


def test_positions_of_gpsd_become_stops_of_a_feed_s_route(tmp_path: Path) -> None:
    routes = tmp_path / "routes.toml"
    feed = write_feed(tmp_path / "feed", **FEED)
    made = ("--id", "feed_routes", "--region", 34, "--version", 1, "--out", routes)
    subprocess.run(command(("policy", "gtfs-routes", feed, *made)), env=ENVIRONMENT, check=True)
    with (
        sim_vehicle(routes, "gpsd") as vehicle,
        bus_run(tmp_path, routes, {"source": "gpsd", "gpsd": vehicle.address}) as bus,
    ):
        vehicle.hear("watched")
        vehicle.order("stop")
        row = bus.fact(stop=1, zone=1, source="vehicle", quality=None)
        assert row.trip["mode"] == "tram"
        vehicle.order("stop")
        bus.fact(stop=2, zone=1)
        vehicle.order("hostile")
        vehicle.order("jump")
        vehicle.order("stop")
        bus.fact(stop=3, zone=2, quality=None)
        vehicle.order("off-route")
        bus.fact(stop=3, zone=2, quality="estimated")
        vehicle.order("mend")
        vehicle.order("restart")
        vehicle.hear("watched")
        vehicle.order("stop")
        bus.fact(stop=4, zone=2, quality=None)
        assert VehicleFault.BROKEN not in bus.faults(), "the process lived through all of it"
