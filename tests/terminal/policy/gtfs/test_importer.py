"""Feeds that can be imported: where they may lie, what of them is kept, and what is warned about."""

from __future__ import annotations

import zipfile
from datetime import date
from pathlib import Path

import msgspec
import pytest

from terminal.errors import FeedError
from terminal.policy.gtfs.checks import tables_problems
from terminal.policy.gtfs.importer import FeedRefused, import_feed
from terminal.policy.gtfs.section import parse_tables
from terminal.policy.gtfs.tables import FareProduct, FeedTimeframe, LimitType, TransferType
from tests.terminal.policy.gtfs.feeds import EVERY_DAY, imported, write_feed

SINGLE = {
    "fare_products": "fare_product_id,amount,currency\nsingle,24.00,RUB\n",
    "fare_leg_rules": "fare_product_id\nsingle\n",
}


def test_a_feed_in_a_zip_file_is_the_same_feed(tmp_path: Path) -> None:
    folder = write_feed(tmp_path / "feed", **SINGLE)
    with zipfile.ZipFile(tmp_path / "feed.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
        archive.writestr("stop_times.txt", "not read, so it may be anything \xff")
    assert import_feed(tmp_path / "feed.zip").tables == import_feed(folder).tables


def test_a_zip_file_whose_files_lie_in_a_folder(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "feed.zip", "w") as archive:
        archive.writestr("city/stops.txt", "stop_id\nA\n")
    with pytest.raises(FeedError, match="holds its files in the folder city") as caught:
        import_feed(tmp_path / "feed.zip")
    assert "root" in caught.value.advice


def test_files_as_spreadsheets_save_them(tmp_path: Path) -> None:
    """A byte-order mark, CRLF, quoted cells with commas and line breaks, blank lines, short rows, padding."""
    folder = write_feed(tmp_path / "feed", **SINGLE)
    text = '﻿area_id , area_name\r\n inner ,"Old town, ""centre""\r\nand harbour"\r\n\r\n"outer"\r\n'
    (folder / "areas.txt").write_bytes(text.encode("utf-8"))
    areas = import_feed(folder).tables.areas
    assert [(area.area_id, area.area_name) for area in areas] == [
        ("inner", 'Old town, "centre"\r\nand harbour'),
        ("outer", None),
    ]
    with (folder / "areas.txt").open("a", encoding="utf-8", newline="") as file:
        file.write("inner\r\n")
    with pytest.raises(FeedRefused, match=r"areas\.txt line 6, column area_id: 'inner' is not unique"):
        import_feed(folder)


def test_values_as_types(tmp_path: Path) -> None:
    tables = imported(
        tmp_path,
        feed_info="feed_publisher_name,feed_version\nCity,7\n",
        calendar=EVERY_DAY + "    trips,1,1,1,1,1,1,1,20260101,20261231\n",
        calendar_dates="service_id,date,exception_type\ntrips,20260901,1\ndaily,20261231,2\n",
        timeframes="timeframe_group_id,start_time,end_time,service_id\nall,,,daily\nlate,22:00:00,24:00:00,daily\n",
        fare_products="fare_product_id,amount,currency\nsingle,24.05,RUB\nless,-0.50,RUB\nfree,0.00,RUB\n",
        fare_leg_rules="leg_group_id,fare_product_id,rule_priority\ncity,single,\n",
        fare_transfer_rules="""
            from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,fare_transfer_type,fare_product_id
            city,city,-1,3600,2,1,less
        """,
    ).tables
    assert tables.feed_version == "7"
    assert tables.uses_rule_priority, "the column decides, not its cells"
    assert tables.time_zone == "Europe/Volgograd"
    assert tables.timeframes[1] == FeedTimeframe(
        timeframe_group_id="late", service_id="daily", start_s=79_200, end_s=86_400
    )
    assert [product.amount_minor for product in tables.fare_products] == [2405, -50, 0]
    (rule,) = tables.fare_transfer_rules
    assert (rule.duration_limit_type, rule.fare_transfer_type) == (
        LimitType.ARRIVAL_TO_DEPARTURE,
        TransferType.FROM_TRANSFER_AND_TO,
    )
    assert [row.service_id for row in tables.calendar] == ["daily"], "services of trips change no fare"
    assert [row.date for row in tables.calendar_dates] == [date(2026, 12, 31)]


def test_what_is_written_reads_back_the_same(tmp_path: Path) -> None:
    tables = imported(tmp_path, **SINGLE, calendar=EVERY_DAY).tables
    content = msgspec.json.encode(tables)
    assert parse_tables(content, "tables.json") == tables
    assert not list(tables_problems(tables))


@pytest.mark.parametrize(
    ("files", "where", "what"),
    [
        (
            {
                "areas": "area_id\nfar\n",
                "fare_leg_rules": "from_area_id,fare_product_id\nfar,single\n,single\n",
            },
            "fare_leg_rules.txt line 2, column from_area_id",
            "no stop is in area 'far'",
        ),
        (
            {"networks": "network_id\nferry\n"},
            "networks.txt line 2, column network_id",
            "no route is in network",
        ),
        (
            {
                "calendar_dates": "service_id,date,exception_type\nnever,20260101,2\n",
                "timeframes": "timeframe_group_id,start_time,end_time,service_id\nx,,,never\n",
            },
            "timeframes.txt line 2, column service_id",
            "'never' runs on no day",
        ),
        (
            {
                "fare_leg_rules": "leg_group_id,fare_product_id\ncity,single\n",
                "fare_transfer_rules": "from_leg_group_id,to_leg_group_id,fare_transfer_type\n,,0\n",
            },
            "fare_transfer_rules.txt line 2, column duration_limit",
            "only the document's longest_change_s ends such a journey",
        ),
        (
            {"fare_products": "fare_product_id,amount,currency\nsingle,-1.00,RUB\n"},
            "fare_products.txt line 2, column amount",
            "a leg costs less than nothing",
        ),
        (
            {"rider_categories": "rider_category_id,rider_category_name\npupil,Pupil\n"},
            "rider_categories.txt",
            "no category is the default one",
        ),
    ],
)
def test_what_can_have_no_effect_is_warned_about(
    tmp_path: Path, files: dict[str, str], where: str, what: str
) -> None:
    (warning,) = imported(tmp_path, **(SINGLE | files)).warnings
    assert warning.place == where
    assert what in warning.what


def test_a_product_may_have_a_price_for_each_category_and_medium(tmp_path: Path) -> None:
    tables = imported(
        tmp_path,
        rider_categories="rider_category_id,is_default_fare_category\nadult,1\npupil,0\n",
        fare_products="""
            fare_product_id,rider_category_id,amount,currency
            single,adult,24.00,RUB
            single,pupil,12.00,RUB
        """,
        fare_leg_rules="fare_product_id\nsingle\n",
    ).tables
    assert tables.fare_products[1] == FareProduct(
        fare_product_id="single", rider_category_id="pupil", amount_minor=1200, currency="RUB"
    )


HEAD = (
    "from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,fare_transfer_type"
)
MEDIA = "fare_media_id,fare_media_type\ncard,2\ncash,0\n"
CARD_AND_CASH = """
    fare_product_id,fare_media_id,amount,currency
    tram,card,40.00,RUB
    bus,card,24.00,RUB
    bus,cash,30.00,RUB
"""
NETWORKS = {"routes": "route_id,network_id\nbus,city\n"}


@pytest.mark.parametrize(
    ("files", "place", "what"),
    [
        (
            {"fare_products": "fare_product_id,amount,currency\nsingle,2.40,EUR\n"},
            "fare_products.txt line 2, column currency",
            "EUR: a region document in RUB refuses this feed",
        ),
        (
            {
                "routes": "route_id,network_id\nbus,city\n",
                "fare_leg_rules": "network_id,fare_product_id\ncity,single\n,single\n",
            },
            "fare_leg_rules.txt line 3, column network_id",
            "is blank, and every route is in a network that the column lists: the rule can never apply",
        ),
        (
            {
                "areas": "area_id\ncity\n",
                "stop_areas": "area_id,stop_id\n" + "".join(f"city,{stop}\n" for stop in "ABCDE"),
                "fare_leg_rules": "to_area_id,fare_product_id\ncity,single\n,single\n",
            },
            "fare_leg_rules.txt line 3, column to_area_id",
            "is blank, and every stop is in an area that the column lists: the rule can never apply",
        ),
        (
            {"fare_leg_rules": "from_timeframe_group_id,fare_product_id,rule_priority\n,single,\n,free,1\n"},
            "fare_leg_rules.txt line 2, column rule_priority",
            "line 3 holds wherever this rule does and has the higher priority: it never applies",
        ),
        (
            NETWORKS
            | {
                "fare_media": MEDIA,
                "fare_products": CARD_AND_CASH,
                "fare_leg_rules": "network_id,fare_product_id,rule_priority\ncity,tram,5\n,bus,\n",
            },
            "fare_leg_rules.txt line 2, column rule_priority",
            "takes the place of line 3 and leaves 'cash' without a fare",
        ),
        (
            {
                "fare_media": MEDIA,
                "fare_products": "fare_product_id,fare_media_id,amount,currency\nsingle,card,24.00,RUB\n",
            },
            "fare_media.txt line 3, column fare_media_id",
            "no leg can be paid with this medium",
        ),
        (
            {
                "fare_products": "fare_product_id,amount,currency\nsingle,24.00,RUB\nfree,0.00,RUB\nmore,25.00,RUB\n",
                "fare_leg_rules": "leg_group_id,fare_product_id\ncity,single\n",
                "fare_transfer_rules": f"{HEAD},fare_product_id\ncity,city,1,3600,1,0,more\n",
            },
            "fare_transfer_rules.txt line 2, column fare_product_id",
            "the change costs 25.00, the leg itself at most 24.00",
        ),
        (
            {
                "fare_products": "fare_product_id,amount,currency\nsingle,24.00,RUB\nmore,49.00,RUB\n",
                "fare_leg_rules": "leg_group_id,fare_product_id\ncity,single\n",
                "fare_transfer_rules": f"{HEAD},fare_product_id\ncity,city,1,3600,1,2,more\n",
            },
            "fare_transfer_rules.txt line 2, column fare_product_id",
            "the change costs 49.00, the two legs at most 48.00",
        ),
        (
            {
                "fare_products": "fare_product_id,amount,currency\nsingle,24.00,RUB\nmore,1.00,RUB\n",
                "fare_leg_rules": "leg_group_id,fare_product_id\ncity,single\n",
                "fare_transfer_rules": f"{HEAD},fare_product_id\ncity,city,1,3600,1,1,more\n",
            },
            "fare_transfer_rules.txt line 2, column fare_product_id",
            "the change costs 1.00, both legs are paid beside it",
        ),
        (
            {
                "fare_leg_rules": "leg_group_id,fare_product_id\ncity,single\n",
                "fare_transfer_rules": f"{HEAD}\ncity,city,1,3600,1,0\n,city,,3600,1,0\n",
            },
            "fare_transfer_rules.txt line 3, column from_leg_group_id",
            "is blank, and the column lists every group: the rule can never apply",
        ),
    ],
)
def test_what_an_author_did_not_mean_is_warned_about_with_its_line(
    tmp_path: Path, files: dict[str, str], place: str, what: str
) -> None:
    base = {"fare_products": "fare_product_id,amount,currency\nsingle,24.00,RUB\nfree,0.00,RUB\n"}
    (warning,) = imported(
        tmp_path, **(base | {"fare_leg_rules": "fare_product_id\nsingle\n"} | files)
    ).warnings
    assert warning.place == place
    assert what in warning.what


def test_rides_that_no_rule_is_for_are_named(tmp_path: Path) -> None:
    """Of stops in no area, and of a network whose only rule is for transfers: as a first ride neither has a fare."""
    files = {
        "routes": "route_id,network_id\nbus,city\ntram,trams\n",
        "areas": "area_id\ncentre\n",
        "stop_areas": "area_id,stop_id\ncentre,A\ncentre,B\n",
        "fare_products": "fare_product_id,amount,currency\nsingle,24.00,RUB\n",
        "fare_leg_rules": """
            network_id,from_area_id,fare_product_id,transfer_only
            city,centre,single,
            trams,centre,single,1
        """,
    }
    assert [warning.what for warning in imported(tmp_path, **files).warnings] == [
        "no ride in network 'trams' has a fare",
        "no ride from 3 of 5 stops has a fare: 'C' is the first",
    ]


def test_a_priority_that_every_medium_has_a_fare_under_is_no_warning(tmp_path: Path) -> None:
    """A rule beside it has the other medium's price, so no rider is without."""
    files = NETWORKS | {
        "fare_media": MEDIA,
        "fare_products": CARD_AND_CASH + "    tram_cash,cash,50.00,RUB\n",
        "fare_leg_rules": "network_id,fare_product_id,rule_priority\ncity,tram,5\ncity,tram_cash,5\n,bus,\n",
    }
    whats = [warning.what for warning in imported(tmp_path, **files).warnings]
    assert not any("without a fare" in what for what in whats)
