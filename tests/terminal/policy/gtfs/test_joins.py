"""Two legs that count as one, and what the second tap then costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from terminal.policy.gtfs.charging import Charged
from terminal.policy.gtfs.fares import FeedFares
from terminal.policy.gtfs.matching import Leg
from terminal.policy.gtfs.section import Destination, GtfsFares
from terminal.policy.gtfs.state import NOTHING
from tests.terminal.policy.gtfs.feeds import NO_TAP_OFF, Rider, at, board, fares

TAPS_OFF = GtfsFares(destination=Destination.DEAREST)
STOPS = """
    stop_id,location_type,parent_station
    A,0,
    B,1,
    B1,0,B
    B2,0,B
    C,0,
    D,0,
"""
ZONES = {
    "stops": STOPS,
    "routes": "route_id,network_id\nM,metro\nT,tram\nX,bus\n",
    "areas": "area_id\n1\n2\n3\n",
    "stop_areas": "area_id,stop_id\n1,A\n2,B\n3,C\n3,D\n",
    "fare_products": "fare_product_id,amount,currency\nnear,2.00,EUR\nfar,3.00,EUR\nthrough,3.50,EUR\n",
    "fare_leg_rules": """
        leg_group_id,from_area_id,to_area_id,fare_product_id
        near,1,2,near
        near,2,3,far
        far,1,3,through
        near,2,2,near
        near,2,1,near
    """,
}


FROM_HERE = "leg_group_id,from_area_id,fare_product_id\nnear,1,near\nnear,2,far\n"


def zones(folder: Path, joins: str, section: GtfsFares = TAPS_OFF, **more: str) -> FeedFares:
    rules = "from_network_id,to_network_id,from_stop_id,to_stop_id\n" + joins
    return fares(folder, section, **(ZONES | {"fare_leg_join_rules": rules} | more))


def test_joined_legs_cost_what_one_leg_from_start_to_end_costs(tmp_path: Path) -> None:
    rider = Rider(zones(tmp_path, "metro,tram,,\n"))
    assert rider.ride("10:00", "A", "10:20", "B1", "M") == 200
    rider.on("10:25", "B2", "T")
    assert "G-03" in rider.rules
    rider.off("10:40", "C")
    assert rider.total == 350


def test_without_a_rule_each_leg_is_paid(tmp_path: Path) -> None:
    rider = Rider(zones(tmp_path, "tram,metro,,\n"))
    rider.ride("10:00", "A", "10:20", "B1", "M")
    assert rider.ride("10:25", "B2", "10:40", "C", "T") == 300, "rules are directional"


@pytest.mark.parametrize(
    ("joins", "second", "end", "total"),
    [
        ("metro,tram,,\n", "B2", "B1", 350),
        ("metro,tram,,\n", "B2", "B", 350),
        ("metro,tram,B,B2\n", "B2", "B1", 350),
        ("metro,tram,B1,B2\n", "B2", "B1", 350),
        ("metro,tram,B1,B1\n", "B2", "B1", 500),
        ("metro,tram,B2,B2\n", "B2", "B1", 500),
        (",,B1,B2\n", "B2", "B1", 350),
    ],
)
def test_where_legs_join(tmp_path: Path, joins: str, second: str, end: str, total: int) -> None:
    """Within one station, or from one named stop to another; a named station stands for its platforms."""
    rider = Rider(zones(tmp_path, joins))
    rider.ride("10:00", "A", "10:20", end, "M")
    rider.ride("10:25", second, "10:40", "C", "T")
    assert rider.total == total


def test_three_legs_join_one_after_the_other(tmp_path: Path) -> None:
    rider = Rider(zones(tmp_path, "metro,tram,,\ntram,metro,,\n"))
    rider.ride("10:00", "A", "10:10", "B1", "M")
    rider.ride("10:15", "B1", "10:20", "B2", "T")
    rider.ride("10:25", "B2", "10:40", "C", "M")
    assert rider.total == 350


def test_the_last_leg_decides_what_may_join_next(tmp_path: Path) -> None:
    """Without a card in between: metro to tram and metro to metro are one leg, tram to metro is not."""
    city = zones(tmp_path, "metro,tram,,\nmetro,metro,,\n", NO_TAP_OFF, fare_leg_rules=FROM_HERE)
    state, charges = NOTHING, []
    for clock, stop, route in (("10:00", "A", "M"), ("10:10", "B1", "T"), ("10:20", "B1", "M")):
        taken = board(city, state, Leg(route, at(clock), stop), (), None)
        assert isinstance(taken, Charged)
        charges.append(taken.charge_minor)
        state = taken.state
    assert charges == [200, 0, 300]


def test_a_ride_of_several_networks_stays_one_on_the_card(tmp_path: Path) -> None:
    """A free transfer leads from the through fare to the bus, none from the tram's."""
    head = "from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,fare_transfer_type"
    prices = zones(
        tmp_path,
        "metro,tram,,\n",
        NO_TAP_OFF,
        fare_leg_rules="""
            leg_group_id,network_id,fare_product_id,rule_priority
            metro,metro,near,2
            tram,tram,far,2
            bus,bus,near,2
            through,,through,1
        """,
        fare_transfer_rules=f"{head}\nthrough,bus,,3600,1,0\n",
    )
    assert Rider(prices).on("10:00", "A", "M").on("10:10", "B1", "T").on("10:20", "C", "X").paid == [
        200,
        150,
        0,
    ]
    assert Rider(prices).on("10:10", "B1", "T").on("10:20", "C", "X").paid == [300, 200]
    late = Rider(prices).on("10:00", "A", "M").on("10:30", "B1", "T")
    assert late.on("11:00:01", "C", "X").paid == [200, 150, 200], (
        "the hour runs from the first of the joined legs"
    )


def test_a_leg_much_later_is_not_joined(tmp_path: Path) -> None:
    rider = Rider(zones(tmp_path, "metro,tram,,\n"))
    rider.ride("10:00", "A", "10:20", "B1", "M")
    rider.ride("12:20:01", "B2", "12:40", "C", "T")
    assert rider.total == 500


def test_a_leg_without_tap_off_is_not_joined_where_riders_tap_off(tmp_path: Path) -> None:
    rider = Rider(zones(tmp_path, "metro,tram,,\n")).on("10:00", "A", "M")
    assert rider.on("10:25", "B2", "T").paid == [350, 300], "the dearest each time"
    assert rider.rules == ["G-06", "G-01", "G-04"]


def test_rules_for_one_network_do_not_match_a_ride_of_two(tmp_path: Path) -> None:
    networks = """
        leg_group_id,network_id,fare_product_id{}
        m,metro,near{}
        t,tram,far{}
        any,,through{}
    """
    plain = zones(
        tmp_path / "plain", "metro,tram,,\n", NO_TAP_OFF, fare_leg_rules=networks.format("", "", "", "")
    )
    assert Rider(plain).on("10:00", "A", "M").on("10:20", "B1", "T").paid == [200, 300], "no fare as one leg"
    ranked = zones(
        tmp_path / "ranked",
        "metro,tram,,\n",
        NO_TAP_OFF,
        fare_leg_rules=networks.format(",rule_priority", ",2", ",2", ",1"),
    )
    assert Rider(ranked).on("10:00", "A", "M").on("10:20", "B1", "T").paid == [200, 150], (
        "through, whatever network"
    )


def test_without_tap_off_a_leg_ends_where_the_next_begins(tmp_path: Path) -> None:
    prices = zones(tmp_path, "metro,tram,,\n", NO_TAP_OFF, fare_leg_rules=FROM_HERE)
    assert Rider(prices).on("10:00", "A", "M").on("10:20", "B1", "T").paid == [200, 0]
    assert Rider(prices).on("10:00", "A", "M").on("10:20", "B1", "X").paid == [200, 300]


def test_a_transfer_into_joined_legs_is_charged_once(tmp_path: Path) -> None:
    """A bus at 2.00, then metro and tram as one leg: A + AB + B with the through fare."""
    head = "from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,fare_transfer_type"
    prices = zones(
        tmp_path,
        "metro,tram,,\n",
        NO_TAP_OFF,
        fare_products="fare_product_id,amount,currency\nbus,2.00,EUR\nmetro,3.00,EUR\nmore,0.50,EUR\n",
        fare_leg_rules="leg_group_id,network_id,fare_product_id\nbus,bus,bus\nrail,,metro\n",
        fare_transfer_rules=f"{head},fare_product_id\nbus,rail,,3600,1,1,more\n",
    )
    rider = Rider(prices).on("10:00", "A", "X").on("10:20", "A", "M").on("10:40", "B1", "T")
    assert rider.paid == [200, 350, 0]
    assert rider.rules == ["G-03", "G-01", "G-02"]


def test_what_joining_made_cheaper_counts_for_the_legs_that_follow(tmp_path: Path) -> None:
    """Metro at 3.00, as one leg with the tram 2.00, then two buses that are one leg at 2.00: 4.00 in all."""
    head = "from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,fare_transfer_type"
    prices = zones(
        tmp_path,
        "metro,tram,,\nbus,bus,,\n",
        NO_TAP_OFF,
        fare_products="fare_product_id,amount,currency\nbus,2.00,EUR\nmetro,3.00,EUR\nthrough,2.00,EUR\n",
        fare_leg_rules="""
            leg_group_id,network_id,fare_product_id,rule_priority
            rail,metro,metro,1
            rail,,through,0
            bus,bus,bus,1
        """,
        fare_transfer_rules=f"{head}\nrail,bus,,3600,1,1\n",
    )
    rider = Rider(prices).on("10:00", "A", "M").on("10:10", "B1", "T")
    assert rider.paid == [300, 0]
    assert rider.on("10:20", "B", "X").on("10:30", "C", "X").paid == [300, 0, 100, 0]
