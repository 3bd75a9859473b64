"""The dearest fare that can be reached at boarding, and the right one when the rider taps off."""

from __future__ import annotations

from pathlib import Path

import pytest

from terminal.policy.gtfs.card import Written
from terminal.policy.gtfs.charging import Charged
from terminal.policy.gtfs.matching import Leg
from terminal.policy.gtfs.section import Destination, GtfsFares
from terminal.policy.gtfs.state import NOTHING
from tests.terminal.policy.gtfs.feeds import EVERY_DAY, NoFare, Rider, at, board, fares, second

ZONES = {
    "areas": "area_id\n1\n2\n3\n",
    "stop_areas": "area_id,stop_id\n1,A\n2,B\n3,C\n3,D\n",
    "fare_products": "fare_product_id,amount,currency\nz1,2.00,EUR\nz2,3.00,EUR\nz3,4.50,EUR\n",
    "fare_leg_rules": """
        leg_group_id,from_area_id,to_area_id,fare_product_id
        zone,1,1,z1
        zone,1,2,z2
        zone,1,3,z3
        zone,2,1,z2
        zone,2,2,z1
        zone,3,3,z1
    """,
}
HEAD = (
    "from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,fare_transfer_type\n"
)


def test_the_dearest_fare_is_taken_and_corrected(tmp_path: Path) -> None:
    rider = Rider(fares(tmp_path, **ZONES)).on("10:00", "A")
    assert rider.paid == [450]
    assert rider.rules == ["G-01", "G-04"]
    assert rider.off("10:20", "B").paid == [450, -150]
    assert rider.rules == ["G-01", "G-05"]


@pytest.mark.parametrize(("end", "fare"), [("A", 200), ("B", 300), ("C", 450)])
def test_both_taps_together_take_the_fare(tmp_path: Path, end: str, fare: int) -> None:
    assert Rider(fares(tmp_path, **ZONES)).ride("10:00", "A", "10:20", end) == fare


def test_only_what_can_be_reached_from_here_counts(tmp_path: Path) -> None:
    assert Rider(fares(tmp_path, **ZONES)).on("10:00", "B").paid == [300]
    assert Rider(fares(tmp_path, **ZONES)).on("10:00", "C").paid == [200]


def test_priorities_count_for_every_end_that_can_be_reached(tmp_path: Path) -> None:
    """Area 3 would cost 9.00, but a rule for any area comes first everywhere but in area 2."""
    prices = fares(
        tmp_path,
        areas=ZONES["areas"],
        stop_areas=ZONES["stop_areas"],
        fare_products="fare_product_id,amount,currency\nlow,2.00,EUR\nmid,3.00,EUR\nhigh,9.00,EUR\n",
        fare_leg_rules="from_area_id,to_area_id,fare_product_id,rule_priority\n1,,low,5\n1,2,mid,7\n1,3,high,1\n",
    )
    assert Rider(prices).on("10:00", "A").paid == [300]
    assert Rider(prices).ride("10:00", "A", "10:20", "C") == 200


def test_the_dearest_end_is_found_whatever_transfers_add_or_spare(tmp_path: Path) -> None:
    """The dear ride is a free transfer, the cheap one a transfer with a surcharge, the middle one no transfer."""
    rules = """
        leg_group_id,from_area_id,to_area_id,fare_product_id
        cheap,1,1,z1
        middle,1,2,z2
        dear,1,3,z3
    """
    head = HEAD.strip() + ",fare_product_id\n"
    prices = fares(
        tmp_path,
        **{**ZONES, "fare_leg_rules": rules, "fare_products": ZONES["fare_products"] + "more,2.50,EUR\n"},
        fare_transfer_rules=head + "cheap,cheap,-1,,,1,more\ncheap,dear,,,,0,\n",
    )
    rider = Rider(prices)
    rider.ride("10:00", "A", "10:10", "A")
    assert rider.on("10:20", "A").paid[-1] == 450, "2.50 + 2.00 for a ride to area 1"
    assert rider.off("10:30", "B").paid[-1] == -150


def test_who_says_how_far_he_goes_pays_that(tmp_path: Path) -> None:
    rider = Rider(fares(tmp_path, **ZONES)).on("10:00", "A", to="B")
    assert (rider.paid, rider.rules) == ([300], ["G-01"])
    with pytest.raises(NoFare, match="g-07:no_ride_open"):
        rider.off("10:20", "B")


def test_without_a_tap_off_the_dearest_stays(tmp_path: Path) -> None:
    rider = Rider(fares(tmp_path, **ZONES)).on("10:00", "A").on("11:00", "B")
    assert rider.paid == [450, 300]
    assert rider.rules[0] == "G-06"


def test_what_a_cap_spared_does_not_become_due_with_the_next_leg(tmp_path: Path) -> None:
    """The day's cap took nothing for the first ride, which was never tapped off; the second is a free transfer."""
    city = fares(tmp_path, **ZONES, fare_transfer_rules=HEAD + "zone,zone,-1,3600,1,0\n")
    boarded = board(city, NOTHING, Leg("bus", at("10:00"), "A"), (), None)
    assert isinstance(boarded, Charged)
    card = city.card.write(boarded.state, second("10:00"))
    capped = city.card.read(card, Written(second("10:00"), "bus", 0), second("10:30"))
    taken = board(city, capped, Leg("bus", at("10:30"), "B"), (), None)
    assert isinstance(taken, Charged)
    assert (boarded.charge_minor, taken.charge_minor) == (450, 0)


def test_a_stop_no_rule_leads_to_leaves_what_was_taken(tmp_path: Path) -> None:
    rider = Rider(fares(tmp_path, **ZONES)).on("10:00", "B").off("10:20", "C")
    assert rider.paid == [300, 0]
    assert rider.rules == ["G-07"]


def test_a_transfer_is_seen_at_both_taps(tmp_path: Path) -> None:
    prices = fares(tmp_path, **ZONES, fare_transfer_rules=HEAD + "zone,zone,-1,3600,1,0\n")
    rider = Rider(prices)
    assert rider.ride("10:00", "A", "10:20", "B") == 300
    assert rider.on("10:30", "B").paid[-1] == 0
    assert rider.off("10:45", "A").paid[-1] == 0
    assert rider.ride("11:00:01", "A", "11:10", "A") == 200


def test_the_group_of_the_ride_that_was_made_decides_the_transfer(tmp_path: Path) -> None:
    """At boarding the dear ride, to which no transfer leads, is assumed; the short one that was made is free."""
    rules = """
        leg_group_id,from_area_id,to_area_id,fare_product_id
        short,1,1,z1
        short,2,2,z1
        long,2,3,z3
    """
    prices = fares(
        tmp_path, **{**ZONES, "fare_leg_rules": rules}, fare_transfer_rules=HEAD + "short,short,1,3600,1,0\n"
    )
    rider = Rider(prices)
    rider.ride("10:00", "A", "10:10", "A")
    assert rider.on("10:20", "B").paid[-1] == 450
    assert rider.off("10:30", "B").paid[-1] == -450
    assert rider.state("10:30").journey.run == 1  # type: ignore[union-attr]


def test_a_fare_that_depends_on_the_arrival_is_corrected_by_it(tmp_path: Path) -> None:
    prices = fares(
        tmp_path,
        calendar=EVERY_DAY,
        timeframes="timeframe_group_id,start_time,end_time,service_id\npeak,07:00:00,09:00:00,daily\noff,09:00:00,24:00:00,daily\n",
        fare_products="fare_product_id,amount,currency\npeak,5.00,EUR\noff,3.00,EUR\n",
        fare_leg_rules="to_timeframe_group_id,fare_product_id\npeak,peak\noff,off\n",
    )
    rider = Rider(prices)
    assert rider.ride("08:50", "A", "08:59:59", "B") == 500
    assert rider.ride("08:50", "A", "09:00", "B") == 300
    assert rider.paid[2:] == [500, -200]


def test_clocks_that_run_backwards_end_the_ride_where_it_began(tmp_path: Path) -> None:
    assert Rider(fares(tmp_path, **ZONES)).ride("10:00", "A", "09:59:30", "B") == 300


def test_single_fares_under_the_clamcard_caps(tmp_path: Path) -> None:
    """ClamCard's singles: A 2.50, B 3.00. Its caps are no business of v2: the region document has them."""
    prices = fares(
        tmp_path,
        areas="area_id\nA\nB\n",
        stop_areas="area_id,stop_id\nA,A\nB,B\n",
        fare_products="fare_product_id,amount,currency\na,2.50,GBP\nb,3.00,GBP\n",
        fare_leg_rules="from_area_id,to_area_id,fare_product_id\nA,A,a\nB,B,b\nA,B,b\nB,A,b\n",
    )
    rider = Rider(prices)
    assert [rider.ride("10:00", "A", "10:10", "A"), rider.ride("11:00", "A", "11:10", "B")] == [250, 300]


def test_windows_that_include_their_end_are_for_tariffs_that_say_so(tmp_path: Path) -> None:
    """Tiger's evening peak, 1->2 on a working day, lasts until 20:00:00 inclusive; GTFS excludes that second."""
    tables = {
        "calendar": EVERY_DAY,
        "timeframes": """
            timeframe_group_id,start_time,end_time,service_id
            peak,17:00:00,20:00:00,working
            off,20:00:01,24:00:00,working
        """,
        "fare_products": "fare_product_id,amount,currency\npeak,35.00,INR\noff,30.00,INR\n",
        "fare_leg_rules": "from_timeframe_group_id,fare_product_id\npeak,peak\noff,off\n",
    }
    tiger = GtfsFares(destination=Destination.NOT_USED, timeframes_include_end=True)
    rider = Rider(fares(tmp_path / "tiger", tiger, **tables))
    rider.on("19:30").on("19:40").on("19:50").on("20:00").on("20:00:01")
    assert rider.paid == [3500, 3500, 3500, 3500, 3000], "the day's cap of 120 is the region document's"
    with pytest.raises(NoFare):
        Rider(fares(tmp_path / "gtfs", **tables)).on("20:00")
