"""What several legs cost: types, time limits, counts, groups; every charge from the state a card holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from terminal.policy.gtfs.charging import single_fare
from terminal.policy.gtfs.fares import FeedFares
from terminal.policy.gtfs.matching import Leg
from terminal.policy.gtfs.section import Destination, Fallback, GtfsFares
from tests.terminal.policy.gtfs.feeds import NO_TAP_OFF, NoFare, Rider, at, fares

ROUTES = "route_id,network_id\nA,a\nB,b\nC,c\nelse,elsewhere\n"
LEGS = "leg_group_id,network_id,fare_product_id\na,a,A\nb,b,B\nc,c,C\n"
HEAD = (
    "from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,"
    "fare_transfer_type,fare_product_id"
)


def city(
    folder: Path, prices: str, *rules: str, section: GtfsFares = NO_TAP_OFF, legs: str = LEGS
) -> FeedFares:
    """Networks a, b, c with routes A, B, C; `prices` as "A=5.00 B=7.00", `rules` as rows under HEAD."""
    return fares(
        folder,
        section,
        routes=ROUTES,
        fare_products="fare_product_id,amount,currency\n"
        + "\n".join(f"{name},{amount},USD" for name, amount in (pair.split("=") for pair in prices.split())),
        fare_leg_rules=legs,
        fare_transfer_rules="\n".join((HEAD, *rules)),
    )


def ride(fares: FeedFares, *legs: str) -> list[int]:
    """What each tap took; legs as "A 10:00"."""
    rider = Rider(fares)
    for entry in legs:
        route, clock = entry.split()
        rider.on(clock, route=route)
    return rider.paid


# public cases


COSTED = ("a,a,-1,,,0,", "b,b,-1,,,0,", "a,b,,,,0,one", "b,a,,,,0,")


@pytest.mark.parametrize(
    ("legs", "paid"),
    [("AAB", [500, 0, 100]), ("ABB", [500, 100, 0]), ("ABA", [500, 100, 0]), ("ABAB", [500, 100, 0, 100])],
)
def test_costed_transfer_across_networks(tmp_path: Path, legs: str, paid: list[int]) -> None:
    """Case of OpenTripPlanner's CostedTransferAcrossNetworksTest; three legs are 6.00 in all."""
    prices = city(tmp_path, "A=5.00 B=5.00 C=5.00 one=1.00", *COSTED)
    assert ride(prices, *(f"{route} 10:{10 * n:02}" for n, route in enumerate(legs))) == paid


def test_costed_transfer_in_one_network(tmp_path: Path) -> None:
    """Case of OpenTripPlanner's CostedTransferInNetworkTest: two products of one group, transfers at 1.00."""
    both = "leg_group_id,network_id,fare_product_id\na,a,A\na,a,B\n"
    rider = Rider(city(tmp_path, "A=5.00 B=5.00 one=1.00", "a,a,-1,,,0,one", legs=both))
    rider.on("10:00", route="A").on("10:21", route="A").on("10:41", route="A")
    assert rider.paid == [500, 100, 100]
    journey = rider.state("10:41").journey
    assert journey is not None
    assert (journey.run, 600 * 4 + 60) == (1, journey.departed - journey.run_departed), (
        "dated from the first leg"
    )
    with pytest.raises(NoFare):
        rider.on("10:50", route="else")


@pytest.mark.parametrize(
    ("second", "paid"), [("10:09", [500, 0]), ("10:10", [500, 0]), ("10:11", [500, 500])]
)
def test_departure_to_departure_limit(tmp_path: Path, second: str, paid: list[int]) -> None:
    """Case of OpenTripPlanner's DepartureToDepartureTimeLimitTest: ten minutes."""
    assert ride(city(tmp_path, "A=5.00 B=5.00 C=5.00", "a,a,-1,600,1,0,"), "A 10:00", f"A {second}") == paid


def test_departure_to_arrival_limit(tmp_path: Path) -> None:
    """Case of OpenTripPlanner's DepartureToArrivalTimeLimitTest: ten minutes, three legs."""
    taps_off = GtfsFares(destination=Destination.DEAREST)
    rider = Rider(city(tmp_path, "A=5.00 B=5.00 C=5.00", "a,a,-1,600,0,0,", section=taps_off))
    assert rider.ride("10:00", "A", "10:03", "B", "A") == 500
    assert rider.ride("10:03", "B", "10:06", "C", "A") == 0
    assert rider.ride("10:09", "C", "10:15", "D", "A") == 500


@pytest.mark.parametrize(
    ("legs", "total"),
    [
        (("A 10:00", "B 11:00"), 100),
        (("A 10:00", "C 11:00"), 200),
        (("C 10:00", "A 11:00"), 200),
        (("A 10:00", "C 12:30"), 200),
        (("A 10:00", "C 12:30:01"), 300),
        (("A 10:00", "B 10:30", "C 11:00", "A 11:30"), 200),
    ],
)
def test_highest_fare_in_the_window(tmp_path: Path, legs: tuple[str, ...], total: int) -> None:
    """Case of OpenTripPlanner's HighestFareInFreeTransferWindow: routes at 1, 1 and 2 USD, 150 minutes.

    As transfers: free to what is as cheap, the difference to what is dearer.
    """
    groups = "leg_group_id,network_id,fare_product_id\nlow,a,A\nlow,b,B\nhigh,c,C\n"
    rules = (
        "low,low,-1,9000,1,0,",
        "low,high,,9000,1,0,more",
        "high,low,,9000,1,0,",
        "high,high,-1,9000,1,0,",
    )
    prices = city(tmp_path, "A=1.00 B=1.00 C=2.00 more=1.00", *rules, legs=groups)
    paid = ride(prices, *legs)
    # after high -> low -> high the feed would ask for the difference again: v2 cannot say "dearest so far"
    assert sum(paid) == total


def test_airport_extension(tmp_path: Path) -> None:
    """Case of nigiri's fares_test: stop C lies in areas 1 and 2, the rule 2->2 has the higher priority.

    The airport network then costs A + AB. (The count of the original, between different groups, is not allowed.)
    """
    prices = fares(
        tmp_path,
        GtfsFares(destination=Destination.DEAREST),
        routes="route_id,network_id\nblue,blue\nair,air\n",
        calendar="service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\nweek,1,1,1,1,1,0,0,20260101,20261231\n",
        timeframes="timeframe_group_id,start_time,end_time,service_id\noff,00:00:00,05:00:00,week\npeak,05:00:00,09:30:00,week\noff,9:30:00,15:00:00,week\n",
        areas="area_id\n1\n2\n3\n",
        stop_areas="area_id,stop_id\n1,A\n1,B\n1,C\n2,C\n2,D\n3,E\n",
        fare_media="fare_media_id,fare_media_type\npaper,1\napp,4\n",
        fare_products="""
            fare_product_id,fare_media_id,amount,currency
            off_blue_paper,paper,3.00,EUR
            off_blue_app,app,2.50,EUR
            off_full_paper,paper,4.00,EUR
            peak_blue_paper,paper,6.00,EUR
            airport,paper,10.00,EUR
            extension,paper,6.00,EUR
        """,
        fare_leg_rules="""
            leg_group_id,network_id,from_area_id,to_area_id,from_timeframe_group_id,fare_product_id,rule_priority
            core,,2,2,off,off_blue_paper,1
            core,,2,2,off,off_blue_app,1
            core,,2,2,peak,peak_blue_paper,1
            core,,1,2,off,off_full_paper,
            air,air,2,3,,airport,
        """,
        fare_transfer_rules=f"{HEAD}\ncore,air,,10800,1,0,extension\n",
    )
    rider = Rider(prices, medium="paper")
    assert rider.ride("01:05", "C", "02:00", "D", "blue") == 300
    assert rider.ride("02:05", "D", "02:30", "E", "air") == 600
    assert rider.total == 900
    assert Rider(prices, medium="paper").ride("02:05", "D", "02:30", "E", "air") == 1000


# types


@pytest.mark.parametrize(
    ("types", "paid"),
    [
        ((0, 0), [500, 100, 20]),
        ((0, 1), [500, 100, 320]),
        ((0, 2), [500, 100, 20]),
        ((1, 0), [500, 800, 20]),
        ((1, 1), [500, 800, 320]),
        ((2, 2), [500, 0, 0]),  # 1.20 in all, but 5.00 was taken before anybody knew
    ],
)
def test_three_legs_by_transfer_type(tmp_path: Path, types: tuple[int, int], paid: list[int]) -> None:
    """Table of the specification: S stands for all that came before, except that AB alone replaces A."""
    rules = (f"a,b,,,,{types[0]},AB", f"b,c,,,,{types[1]},BC")
    prices = city(tmp_path, "A=5.00 B=7.00 C=3.00 AB=1.00 BC=0.20", *rules)
    assert ride(prices, "A 10:00", "B 10:10", "C 10:20") == paid


@pytest.mark.parametrize("destination", list(Destination))
def test_a_transfer_fare_replaces_the_first_fare_and_takes_the_difference(
    tmp_path: Path, destination: Destination
) -> None:
    rules, section = ("a,b,,,,2,AB", "b,c,,,,2,BC"), GtfsFares(destination=destination)
    rider = Rider(city(tmp_path, "A=5.00 B=7.00 C=3.00 AB=9.00 BC=2.00", *rules, section=section))
    totals = []
    for clock, until, route in (("10:00", "10:05", "A"), ("10:10", "10:15", "B"), ("10:20", "10:25", "C")):
        rider.on(clock, "A", route)
        if destination is Destination.DEAREST:
            rider.off(until, "B")
        totals.append(rider.total)
    assert totals == [500, 900, 1100]


def test_what_was_paid_too_much_counts_for_the_next_leg(tmp_path: Path) -> None:
    prices = city(tmp_path, "A=5.00 B=7.00 C=4.00 AB=3.00 BC=1.00", "a,b,,,,2,AB", "b,c,,,,1,BC")
    rider = Rider(prices).on("10:00", route="A").on("10:10", route="B")
    assert "G-09" in rider.rules
    assert rider.on("10:20", route="C").paid == [500, 0, 300], "3.00 + 1.00 + 4.00 in all"


def test_negative_amounts_are_discounts_and_no_tap_pays_the_rider(tmp_path: Path) -> None:
    prices = city(tmp_path, "A=5.00 B=4.00 C=3.00 less=-1.00", "a,b,,,,1,less", "a,c,,,,0,less", "c,b,,,,1,")
    assert ride(prices, "A 10:00", "B 10:10") == [500, 300]
    assert ride(prices, "A 10:00", "C 10:10") == [500, 0]
    assert ride(prices, "A 10:00", "C 10:10", "B 10:20") == [500, 0, 300], "5.00 - 1.00 + 4.00"


def test_a_free_product_is_free_and_not_unknown(tmp_path: Path) -> None:
    prices = city(tmp_path, "A=0.00 B=4.00 C=1.00")
    assert ride(prices, "A 10:00", "B 10:10") == [0, 400]


def test_a_transfer_some_rule_describes_is_charged_by_it_even_as_a_surcharge(tmp_path: Path) -> None:
    prices = city(tmp_path, "A=5.00 B=4.00 C=1.00 AB=6.00", "a,b,,3600,1,0,AB")
    assert ride(prices, "A 10:00", "B 10:10") == [500, 600]
    assert ride(prices, "A 10:00", "B 11:10") == [500, 400]


def test_of_several_products_and_rules_the_rider_gets_what_is_cheapest_now(tmp_path: Path) -> None:
    legs = "leg_group_id,network_id,fare_product_id\na,a,A\nb,b,B\nc,b,C\n"
    rules = ("a,b,,,,0,two", "a,b,,,,0,one", "a,c,,,,1,")
    prices = city(tmp_path, "A=5.00 B=7.00 C=3.00 one=1.00 two=2.00", *rules, legs=legs)
    assert ride(prices, "A 10:00", "B 10:10") == [500, 100]
    assert ride(prices, "B 10:10") == [300]


# limits


RUN = "a,a,-1,3600,{type},0,"


def test_a_limit_runs_from_the_first_leg_of_the_run(tmp_path: Path) -> None:
    prices = city(tmp_path, "A=5.00 B=5.00 C=5.00", RUN.format(type=1))
    legs = ("A 10:00", "A 10:30", "A 11:00", "A 11:00:01", "A 12:00", "A 12:00:02")
    assert ride(prices, *legs) == [500, 0, 0, 500, 0, 500]


def test_after_another_group_the_run_starts_anew(tmp_path: Path) -> None:
    prices = city(tmp_path, "A=5.00 B=7.00 C=5.00", RUN.format(type=1), "a,b,,3600,1,1,", "b,b,-1,3600,1,0,")
    legs = ("A 10:00", "A 10:50", "B 11:40", "B 12:40", "B 12:41")
    assert ride(prices, *legs) == [500, 0, 700, 0, 700], (
        "A to B counts from the leg before, B to B from the first B"
    )


@pytest.mark.parametrize("destination", list(Destination))
def test_after_a_run_a_rule_to_another_group_looks_back_to_the_last_leg(
    tmp_path: Path, destination: Destination
) -> None:
    """The run began at 10:00, its last leg at 10:50; half an hour from there is until 11:20."""
    rules = (RUN.format(type=1), "a,b,,1800,1,0,")
    prices = city(tmp_path, "A=5.00 B=7.00 C=5.00", *rules, section=GtfsFares(destination=destination))
    for clock, fare in (("11:20", 0), ("11:20:01", 700)):
        rider = Rider(prices)
        for start, end, route in (("10:00", "10:10", "A"), ("10:50", "10:55", "A"), (clock, "11:30", "B")):
            rider.on(start, "A", route)
            if destination is Destination.DEAREST:
                rider.off(end, "B")
        assert rider.total == 500 + fare


@pytest.mark.parametrize(
    ("limit_type", "third", "late"),
    [(0, 500, 500), (1, 0, 500), (2, 0, 500), (3, 0, 500)],
    ids=["departure to arrival", "departure to departure", "arrival to departure", "arrival to arrival"],
)
def test_the_four_limits(tmp_path: Path, limit_type: int, third: int, late: int) -> None:
    """An hour after 10:00-10:20 and 10:50-11:00: a third leg 11:00-11:10, or one at 11:21 that only the second leg
    would still be near enough for."""
    taps_off = GtfsFares(destination=Destination.DEAREST)
    prices = city(tmp_path, "A=5.00 B=5.00 C=5.00", RUN.format(type=limit_type), section=taps_off)
    for clock, until, fare in (("11:00", "11:10", third), ("11:21", "11:22", late)):
        rider = Rider(prices)
        assert rider.ride("10:00", "A", "10:20", "B", "A") == 500
        assert rider.ride("10:50", "B", "11:00", "C", "A") == 0
        assert rider.ride(clock, "C", until, "D", "A") == fare


@pytest.mark.parametrize(
    ("limit_type", "start", "end", "paid"),
    [
        (0, "10:50", "11:00", 0),
        (0, "10:50", "11:00:01", 500),
        (1, "11:00", "11:30", 0),
        (1, "11:00:01", "11:30", 500),
        (2, "11:20", "11:30", 0),
        (2, "11:20:01", "11:30", 500),
        (3, "11:00", "11:20", 0),
        (3, "11:00", "11:20:01", 500),
    ],
)
def test_each_limit_to_the_second(tmp_path: Path, limit_type: int, start: str, end: str, paid: int) -> None:
    """First leg 10:00-10:20, an hour."""
    taps_off = GtfsFares(destination=Destination.DEAREST)
    rider = Rider(city(tmp_path, "A=5.00 B=5.00 C=5.00", RUN.format(type=limit_type), section=taps_off))
    rider.ride("10:00", "A", "10:20", "B", "A")
    assert rider.ride(start, "B", end, "C", "A") == paid


@pytest.mark.parametrize(("rule", "last"), [("a,b,,3600,2,0,", "11:20"), ("a,b,,,,0,", "12:20")])
def test_what_runs_from_an_arrival_runs_from_the_tap_off(tmp_path: Path, rule: str, last: str) -> None:
    """First leg 10:00-10:20; an hour by the rule, or the two hours after which a journey is over."""
    taps_off = GtfsFares(destination=Destination.DEAREST, longest_change_s=7200)
    prices = city(tmp_path, "A=5.00 B=7.00 C=5.00", rule, section=taps_off)
    for clock, fare in ((last, 0), (f"{last}:01", 700)):
        rider = Rider(prices)
        rider.ride("10:00", "A", "10:20", "B", "A")
        assert rider.ride(clock, "B", "12:30", "C", "B") == fare


def test_without_a_limit_the_longest_change_ends_the_journey(tmp_path: Path) -> None:
    section = GtfsFares(destination=Destination.NOT_USED, longest_change_s=1800)
    prices = city(tmp_path, "A=5.00 B=5.00 C=5.00", "a,a,-1,,,0,", section=section)
    assert ride(prices, "A 10:00", "A 10:30", "A 11:00", "A 11:30:01") == [500, 0, 0, 500]


def test_counts(tmp_path: Path) -> None:
    once = city(tmp_path / "once", "A=5.00 B=5.00 C=5.00", "a,a,1,,,0,")
    assert ride(once, "A 10:00", "A 10:10", "A 10:20", "A 10:30") == [500, 0, 500, 0]
    rising = city(
        tmp_path / "rising",
        "A=5.00 B=5.00 C=5.00 one=1.00 two=2.00",
        "a,a,-1,,,0,two",
        "a,a,2,,,0,one",
        "a,a,1,,,0,",
    )
    assert ride(rising, *(f"A 10:{n}0" for n in range(5))) == [500, 0, 100, 200, 200]


def test_of_rules_whose_limit_is_over_none_is_counted(tmp_path: Path) -> None:
    rules = ("a,a,1,600,1,0,", "a,a,-1,3600,1,0,one")
    prices = city(tmp_path, "A=5.00 B=5.00 C=5.00 one=1.00", *rules)
    assert ride(prices, "A 10:00", "A 10:05") == [500, 0]
    assert ride(prices, "A 10:00", "A 10:15") == [500, 100]


def test_a_departure_before_the_last_one_is_no_transfer(tmp_path: Path) -> None:
    prices = city(tmp_path, "A=5.00 B=5.00 C=5.00", "a,a,-1,3600,1,0,")
    rider = Rider(prices).on("10:00", route="A").on("09:59:50", route="A")
    assert rider.paid == [500, 0], "clocks differ by seconds: counts as now"


# groups


def test_rules_are_directional(tmp_path: Path) -> None:
    prices = city(tmp_path, "A=5.00 B=5.00 C=5.00", "a,b,,,,0,")
    assert ride(prices, "A 10:00", "B 10:10") == [500, 0]
    assert ride(prices, "B 10:00", "A 10:10") == [500, 500]


def test_a_blank_group_means_groups_listed_nowhere_else(tmp_path: Path) -> None:
    prices = city(tmp_path, "A=5.00 B=5.00 C=5.00 one=1.00", ",b,,,,0,one", "a,b,,,,0,")
    assert ride(prices, "A 10:00", "B 10:10") == [500, 0]
    assert ride(prices, "C 10:00", "B 10:10") == [500, 100]
    only_a = city(tmp_path / "a", "A=5.00 B=5.00 C=5.00 one=1.00", "a,,,,,0,one")
    assert ride(only_a, "A 10:00", "C 10:10") == [500, 100]
    assert ride(only_a, "C 10:00", "A 10:10") == [500, 500]


def test_a_rule_for_all_groups_repeats(tmp_path: Path) -> None:
    free = city(tmp_path / "free", "A=5.00 B=7.00 C=5.00", ",,,3600,1,0,")
    assert ride(free, "A 10:00", "B 10:30", "C 11:00", "A 11:00:01") == [500, 0, 0, 500]
    twice = city(tmp_path / "twice", "A=5.00 B=7.00 C=5.00", ",,2,,,0,")
    assert ride(twice, "A 10:00", "B 10:10", "C 10:20", "A 10:30") == [500, 0, 0, 500]


def test_legs_without_a_group_do_not_transfer(tmp_path: Path) -> None:
    loose = "leg_group_id,network_id,fare_product_id\n,a,A\nb,b,B\n"
    prices = city(tmp_path, "A=5.00 B=5.00", ",,,,,0,", legs=loose)
    assert ride(prices, "A 10:00", "B 10:10", "B 10:20", "A 10:30") == [500, 500, 0, 500]


def test_a_transfer_product_the_rider_cannot_buy_is_no_transfer(tmp_path: Path) -> None:
    prices = fares(
        tmp_path,
        NO_TAP_OFF,
        rider_categories="rider_category_id,rider_category_name\npupil,Pupil\n",
        fare_products="fare_product_id,rider_category_id,amount,currency\nsingle,,5.00,USD\nchange,pupil,0.50,USD\n",
        fare_leg_rules="leg_group_id,fare_product_id\na,single\n",
        fare_transfer_rules=f"{HEAD}\na,a,-1,,,0,change\n",
    )
    assert Rider(prices, ("pupil",)).on("10:00").on("10:10").paid == [500, 50]
    assert Rider(prices).on("10:00").on("10:10").paid == [500, 500]


# unknown fares


def test_no_match_is_a_refusal_and_never_nothing_to_pay(tmp_path: Path) -> None:
    prices = city(tmp_path, "A=5.00 B=5.00 C=5.00")
    for route in ("else", "no such route"):
        with pytest.raises(NoFare):
            Rider(prices).on("10:00", route=route)


def test_the_fare_of_a_single_ride_is_what_boarding_takes_first(tmp_path: Path) -> None:
    prices = city(
        tmp_path, "A=5.00 B=0.00", ",,,,,0,", legs="leg_group_id,network_id,fare_product_id\na,a,A\nb,b,B\n"
    )
    fallback = replace(prices, fallback_minor=999)
    for route, minor in (("A", 500), ("B", 0), ("else", None), ("no such route", None)):
        leg = Leg(route, at("10:00"))
        assert single_fare(prices, leg, (), None) == minor
        assert single_fare(fallback, leg, (), None) == (999 if minor is None else minor)


def test_a_stated_fallback_is_charged_and_opens_no_journey(tmp_path: Path) -> None:
    section = GtfsFares(destination=Destination.NOT_USED, unknown_fare=Fallback(price_minor=999))
    prices = city(tmp_path, "A=5.00 B=5.00 C=5.00", ",,,,,0,", section=section)
    rider = Rider(prices).on("10:00", route="A").on("10:10", route="else")
    assert rider.paid == [500, 999]
    assert rider.rules == ["G-07", "G-08"]
    assert rider.on("10:20", route="A").paid[-1] == 500
