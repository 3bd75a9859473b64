"""Which fares a leg may be paid with: areas, networks, priorities, timeframes, riders, media."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from terminal.policy.gtfs.matching import Leg, UnknownPlace
from tests.terminal.policy.gtfs.feeds import DAY, EVERY_DAY, at, fares, leg, match_leg, offers

AREAS = {
    "areas": "area_id\ninner\nouter\n",
    "stop_areas": "area_id,stop_id\ninner,A\nouter,B\n",
}
EURO = "fare_product_id,amount,currency\nsingle,1.00,EUR\nday,5.00,EUR\nlocal,20.00,EUR\nexpress,50.00,EUR\n"
NETWORKS = {
    "routes": "route_id,network_id\nbus,\nX,express\nL,local\n",
    "fare_products": EURO,
}


# areas and networks


def test_blank_areas_mean_areas_listed_nowhere_else(tmp_path: Path) -> None:
    """Case of OpenTripPlanner's AreasTest: no priorities; stops C and D lie in no area."""
    city = fares(
        tmp_path,
        **AREAS,
        fare_products=EURO,
        fare_leg_rules="""
            from_area_id,to_area_id,fare_product_id
            ,outer,single
            outer,,single
            inner,outer,day
        """,
    )
    assert offers(city, leg("A", "B")) == {500}
    assert offers(city, leg("C", "B")) == {100}
    assert offers(city, leg("B", "C")) == {100}
    assert offers(city, leg("A", "C")) == set(), "inner is listed under from_area_id, so it is not blank"
    assert offers(city, leg("C", "D")) == set(), "nobody knows: both cells blank stands nowhere"


def test_blank_cells_do_not_matter_once_there_are_priorities(tmp_path: Path) -> None:
    """The same rules with the column: all that match are offered, as all priorities are 0."""
    city = fares(
        tmp_path,
        **AREAS,
        fare_products=EURO,
        fare_leg_rules="""
            from_area_id,to_area_id,fare_product_id,rule_priority
            ,outer,single,
            outer,,single,
            inner,outer,day,
        """,
    )
    assert offers(city, leg("A", "B")) == {500, 100}
    assert offers(city, leg("B", "B")) == {100}


def test_networks(tmp_path: Path) -> None:
    """Case of OpenTripPlanner's GtfsFaresV2ServiceTest: routes in no network, express and local."""
    city = fares(
        tmp_path,
        **NETWORKS,
        fare_leg_rules="""
            network_id,fare_product_id
            ,single
            ,day
            express,express
            local,local
        """,
    )
    assert offers(city, leg("A", "B")) == {100, 500}
    assert offers(city, leg("A", "B", route="X")) == {5000}
    assert offers(city, leg("A", "B", route="L")) == {2000}


def test_a_rule_for_a_network_and_one_for_areas_exclude_each_other_without_priorities(tmp_path: Path) -> None:
    rules = "network_id,from_area_id,to_area_id,fare_product_id{}\nexpress,,,single{}\n,inner,outer,day{}\n"
    feed = {**AREAS, **NETWORKS}
    plain = fares(tmp_path / "plain", **feed, fare_leg_rules=rules.format("", "", ""))
    assert offers(plain, leg("A", "B", route="X")) == set()
    ranked = fares(tmp_path / "ranked", **feed, fare_leg_rules=rules.format(",rule_priority", ",0", ",2"))
    assert offers(ranked, leg("A", "B", route="X")) == {500}


def test_networks_of_their_own_files(tmp_path: Path) -> None:
    city = fares(
        tmp_path,
        routes="route_id\nbus\nX\n",
        networks="network_id,network_name\nexpress,Express\n",
        route_networks="network_id,route_id\nexpress,X\n",
        fare_products=EURO,
        fare_leg_rules="network_id,fare_product_id\nexpress,express\n,single\n",
    )
    assert offers(city, leg("A", "B", route="X")) == {5000}
    assert offers(city, leg("A", "B")) == {100}


def test_a_stop_in_several_areas_follows_the_rules_of_each(tmp_path: Path) -> None:
    city = fares(
        tmp_path,
        areas="area_id\n1\n2\n3\n",
        stop_areas="area_id,stop_id\n1,A\n2,A\n3,A\n3,B\n",
        fare_products=EURO,
        fare_leg_rules="from_area_id,fare_product_id\n1,single\n2,day\n,local\n",
    )
    assert offers(city, leg("A", "C")) == {100, 500}, "3 is listed nowhere, but A is in listed areas, too"
    assert offers(city, leg("B", "C")) == {2000}


def test_stations_pass_their_areas_to_platforms_unless_these_have_their_own(tmp_path: Path) -> None:
    city = fares(
        tmp_path,
        stops="""
            stop_id,location_type,parent_station
            S,1,
            S1,0,S
            S2,,S
            S2a,4,S2
            gate,2,S
        """,
        areas="area_id\ninner\nouter\n",
        stop_areas="area_id,stop_id\ninner,S\nouter,S2\n",
        fare_products=EURO,
        fare_leg_rules="from_area_id,fare_product_id\ninner,single\nouter,day\n",
    )
    assert offers(city, leg("S1", "S")) == offers(city, leg("gate", "S")) == {100}
    assert offers(city, leg("S2", "S")) == offers(city, leg("S2a", "S")) == {500}


def test_places_the_feed_does_not_have(tmp_path: Path) -> None:
    city = fares(tmp_path, fare_products=EURO, fare_leg_rules="fare_product_id\nsingle\n")
    with pytest.raises(UnknownPlace, match="g-07:unknown_stop"):
        match_leg(city.index, leg("Z", "A"))
    with pytest.raises(UnknownPlace, match="g-07:unknown_route"):
        match_leg(city.index, leg("A", "B", route="tram"))


def test_a_start_nobody_knows_matches_only_where_no_rule_asks_for_it(tmp_path: Path) -> None:
    flat = fares(tmp_path / "flat", fare_products=EURO, fare_leg_rules="fare_product_id\nsingle\n")
    assert offers(flat, leg(None, "B")) == {100}
    zones = fares(
        tmp_path / "zones",
        **AREAS,
        fare_products=EURO,
        fare_leg_rules="from_area_id,fare_product_id\n,single\nouter,day\n",
    )
    assert offers(zones, leg(None, "B")) == set()


# times of day


def test_the_rule_with_the_higher_priority_wins(tmp_path: Path) -> None:
    """Case of OpenTripPlanner's OverlappingTimeframesWithPriorityTest, tap at 15:00."""
    city = fares(
        tmp_path,
        calendar=EVERY_DAY,
        timeframes="timeframe_group_id,start_time,end_time,service_id\nall,,,daily\nafternoon,15:00:00,17:00:00,daily\n",
        fare_products=EURO,
        fare_leg_rules="from_timeframe_group_id,fare_product_id,rule_priority\nall,day,1\nafternoon,single,0\n",
    )
    assert offers(city, leg("A", "B", "15:00")) == {500}


def test_overlapping_rules_without_priorities_are_both_offered(tmp_path: Path) -> None:
    """Case of OpenTripPlanner's OverlappingTimeframeTest, tap at 15:00."""
    city = fares(
        tmp_path,
        calendar=EVERY_DAY,
        timeframes="timeframe_group_id,start_time,end_time,service_id\nall,,,daily\nafternoon,15:00:00,17:00:00,daily\n",
        fare_products=EURO,
        fare_leg_rules="from_timeframe_group_id,fare_product_id\nall,day\nafternoon,single\n",
    )
    assert offers(city, leg("A", "B", "15:00")) == {500, 100}
    assert offers(city, leg("A", "B", "14:59:59")) == {500}


PEAK = """
    timeframe_group_id,start_time,end_time,service_id
    night,00:00:00,6:00:00,daily
    night,23:00:00,24:00:00,daily
    peak,06:00:00,09:30:00,working
"""


@pytest.mark.parametrize(
    ("clock", "day", "amounts"),
    [
        ("05:59:59", DAY, {100}),
        ("06:00:00", DAY, {500}),
        ("09:29:59", DAY, {500}),
        ("09:30:00", DAY, set()),
        ("22:59:59", DAY, set()),
        ("23:00:00", DAY, {100}),
        ("23:59:59", DAY, {100}),
        ("00:00:00", DAY, {100}),
        ("08:00:00", date(2026, 9, 19), set()),  # a Saturday
        ("00:30:00", date(2027, 1, 1), set()),  # the service has ended, whatever last night's trip says
        ("23:30:00", date(2026, 12, 31), {100}),
    ],
)
def test_timeframes_exclude_their_end_and_go_by_the_calendar_day(
    tmp_path: Path, clock: str, day: date, amounts: set[int]
) -> None:
    city = fares(
        tmp_path,
        calendar=EVERY_DAY,
        timeframes=PEAK,
        fare_products=EURO,
        fare_leg_rules="from_timeframe_group_id,fare_product_id\nnight,single\npeak,day\n",
    )
    assert offers(city, leg("A", "B", clock, day=day)) == amounts


def test_a_tap_after_midnight_belongs_to_the_new_day(tmp_path: Path) -> None:
    """Friday's last bus at 00:30 on Saturday pays Saturday's fare."""
    city = fares(
        tmp_path,
        calendar=EVERY_DAY,
        calendar_dates="service_id,date,exception_type\nsaturday,20260919,1\n",
        timeframes="timeframe_group_id,start_time,end_time,service_id\nweek,,,working\nweekend,,,saturday\n",
        fare_products=EURO,
        fare_leg_rules="from_timeframe_group_id,fare_product_id\nweek,day\nweekend,single\n",
    )
    assert offers(city, leg("A", "B", "23:59:59", day=date(2026, 9, 18))) == {500}
    assert offers(city, leg("A", "B", "00:30", day=date(2026, 9, 19))) == {100}


def test_exceptions_add_and_remove_days(tmp_path: Path) -> None:
    city = fares(
        tmp_path,
        calendar=EVERY_DAY,
        calendar_dates="service_id,date,exception_type\nworking,20260915,2\nworking,20260919,1\n",
        timeframes="timeframe_group_id,start_time,end_time,service_id\nweek,,,working\n",
        fare_products=EURO,
        fare_leg_rules="from_timeframe_group_id,fare_product_id\nweek,day\n",
    )
    assert offers(city, leg("A", "B", day=DAY)) == set()
    assert offers(city, leg("A", "B", day=date(2026, 9, 16))) == {500}
    assert offers(city, leg("A", "B", day=date(2026, 9, 19))) == {500}


def test_the_clock_is_the_one_at_the_stop(tmp_path: Path) -> None:
    """Samara is an hour ahead of Volgograd; a platform has its station's clock, whatever it says itself."""
    city = fares(
        tmp_path,
        stops="""
            stop_id,location_type,parent_station,stop_timezone
            A,0,,
            samara,1,,Europe/Samara
            platform,0,samara,Asia/Vladivostok
        """,
        calendar=EVERY_DAY,
        timeframes="timeframe_group_id,start_time,end_time,service_id\nmorning,06:00:00,09:00:00,daily\n",
        fare_products=EURO,
        fare_leg_rules="from_timeframe_group_id,to_timeframe_group_id,fare_product_id\nmorning,,single\n,morning,day\n",
    )
    assert at("08:30") == at("09:30", zone=ZoneInfo("Europe/Samara"))
    assert offers(city, leg("A", "A", "08:30")) == {100, 500}
    assert offers(city, leg("A", "platform", "08:30")) == {100}
    assert offers(city, leg("platform", "A", "08:30")) == {500}


def test_wall_clocks_in_a_zone_with_summer_time(tmp_path: Path) -> None:
    """On 25 October 2026 Berlin shows 02:30 twice; both are within 02:00 to 03:00."""
    city = fares(
        tmp_path,
        agency="agency_id,agency_timezone\n1,Europe/Berlin\n",
        calendar=EVERY_DAY,
        timeframes="timeframe_group_id,start_time,end_time,service_id\nnight,02:00:00,03:00:00,daily\n",
        fare_products=EURO,
        fare_leg_rules="from_timeframe_group_id,fare_product_id\nnight,single\n",
    )
    for hour, amounts in ((23, set()), (0, {100}), (1, {100}), (2, set())):
        day = 24 if hour == 23 else 25
        ride = Leg(
            "bus",
            datetime(2026, 10, day, hour, 30, tzinfo=UTC),
            "A",
            "B",
            datetime(2026, 10, 25, 4, tzinfo=UTC),
        )
        assert offers(city, ride) == amounts, hour


# riders and media


HELSINKI = {
    "rider_categories": """
        rider_category_id,rider_category_name,is_default_fare_category
        adult,Adult,1
        pensioner,Pensioner,0
    """,
    "fare_media": "fare_media_id,fare_media_name,fare_media_type\ncard,Card,2\nbank,Bank card,3\n",
    "fare_products": """
        fare_product_id,rider_category_id,fare_media_id,amount,currency
        three_zones,,card,4.40,EUR
        three_zones,,bank,4.70,EUR
        three_zones,pensioner,card,2.20,EUR
    """,
    "fare_leg_rules": "fare_product_id\nthree_zones\n",
}


@pytest.mark.parametrize(
    ("rider", "medium", "minor"),
    [
        (("adult",), "card", 440),
        (("adult",), "bank", 470),
        (("adult", "pensioner"), "card", 220),
        (("adult", "pensioner"), "bank", 470),
        ((), "card", 440),
    ],
)
def test_the_price_of_a_product_by_rider_and_medium(
    tmp_path: Path, rider: tuple[str, ...], medium: str, minor: int
) -> None:
    """Case of nigiri's HSL feed; its area sets are a draft, so three zones are one product here."""
    (price,) = fares(tmp_path, **HELSINKI).index.prices_of(rider, medium).of
    assert price is not None
    assert price.amount_minor == minor


def test_a_product_for_other_media_or_riders_cannot_be_bought(tmp_path: Path) -> None:
    index = fares(
        tmp_path,
        rider_categories="rider_category_id,rider_category_name\npupil,Pupil\n",
        fare_media="fare_media_id,fare_media_type\ncard,2\n",
        fare_products="""
            fare_product_id,rider_category_id,fare_media_id,amount,currency
            pupils_only,pupil,,1.00,EUR
            card_only,,card,2.00,EUR
            anybody,,,3.00,EUR
        """,
        fare_leg_rules="fare_product_id\npupils_only\ncard_only\nanybody\n",
    ).index
    assert [price and price.amount_minor for price in index.prices_of((), None).of] == [None, None, 300]
    assert [price and price.amount_minor for price in index.prices_of(("pupil",), "card").of] == [
        100,
        200,
        300,
    ]


def test_what_is_offered_is_named(tmp_path: Path) -> None:
    city = fares(
        tmp_path,
        **{**HELSINKI, "fare_leg_rules": "leg_group_id,fare_product_id\nzones,three_zones\n"},
    )
    found = match_leg(city.index, leg("A", "B"))
    assert [(p.fare_product_id, p.leg_group_id, p.rider_category_id, p.fare_media_id) for p in found] == [
        ("three_zones", "zones", None, "card"),
        ("three_zones", "zones", None, "bank"),
        ("three_zones", "zones", "pensioner", "card"),
    ]
    assert {p.leg_rule for p in found} == {1}
