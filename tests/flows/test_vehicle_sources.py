"""VDV 301 and gpsd as a running terminal hears them: what the vehicle says stands in the row of the next tap."""

from __future__ import annotations

from pathlib import Path

import pytest

from terminal.codes import VehicleFault
from tests.vehicle_run import SimVehicle, bus_run, routes_file, sim_vehicle

HEARTBEAT = ("--heartbeat", 0.5)


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


def test_a_stranger_on_the_network_is_not_believed(tmp_path: Path) -> None:
    routes = routes_file(tmp_path)
    with (
        sim_vehicle(routes, "vdv301", *HEARTBEAT) as vehicle,
        bus_run(tmp_path, routes, of_computer(vehicle)) as bus,
    ):
        vehicle.order("stop")
        bus.fact(stop=1501)
        vehicle.order("foreign")  # it says 1504
        assert [event["why"] for event in vehicle.events if event.get("source") == "127.0.0.2"]
        vehicle.order("stop")
        bus.fact(stop=1502)
        assert {row.trip.get("place.stop") for row in bus.taps()} <= {None, 1501, 1502}


def test_an_inspection_begins_and_ends_and_stops_no_tap(tmp_path: Path) -> None:
    routes = routes_file(tmp_path)
    with (
        sim_vehicle(routes, "vdv301", *HEARTBEAT) as vehicle,
        bus_run(tmp_path, routes, of_computer(vehicle)) as bus,
    ):
        vehicle.order("stop")
        bus.fact(stop=1501)
        vehicle.order("razzia")
        row = bus.tap_that(lambda row: row.trip.get("razzia") is True)
        assert row.message != "out_of_order"
        vehicle.order("norazzia")
        bus.tap_that(lambda row: "razzia" not in row.trip)


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


def test_a_flood_delays_no_tap_and_the_last_message_counts(tmp_path: Path) -> None:
    routes = routes_file(tmp_path)
    with (
        sim_vehicle(routes, "vdv301", *HEARTBEAT) as vehicle,
        bus_run(tmp_path, routes, of_computer(vehicle)) as bus,
    ):
        vehicle.order("stop")
        bus.fact(stop=1501)
        before = len(bus.taps())
        vehicle.order("flood")
        assert len(bus.taps()) > before
        vehicle.order("stop")
        bus.fact(stop=1502)
        assert not {VehicleFault.FLOODS, VehicleFault.DIED, VehicleFault.HANGS} & set(bus.faults())


def test_positions_of_gpsd_become_stops_of_the_route(tmp_path: Path) -> None:
    routes = routes_file(tmp_path)
    with (
        sim_vehicle(routes, "gpsd") as vehicle,
        bus_run(tmp_path, routes, {"source": "gpsd", "gpsd": vehicle.address}) as bus,
    ):
        vehicle.hear("watched")
        vehicle.order("stop")
        bus.fact(stop=1501, zone=1, source="vehicle", quality=None)
        vehicle.order("stop")
        bus.fact(stop=1502, zone=1)
        vehicle.order("jump")
        vehicle.order("stop")
        bus.fact(stop=1503, zone=2, quality=None)
        vehicle.order("off-route")
        bus.fact(stop=1503, zone=2, quality="estimated")
        vehicle.order("mend")
        vehicle.order("restart")
        vehicle.hear("watched")
        vehicle.order("stop")
        bus.fact(stop=1504, zone=2, quality=None)
