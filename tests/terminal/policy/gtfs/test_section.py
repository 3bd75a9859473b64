"""The section of a region document: its file, what it may name, and whether a journey fits the card."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest

from terminal.errors import Mistake, RegionDocumentError
from terminal.mistakes.words import said
from terminal.policy.gtfs.fares import FeedFares
from terminal.policy.gtfs.index import dearest_ride_minor
from terminal.policy.gtfs.section import (
    ConcessionCategory,
    Destination,
    GtfsFares,
    MediaIds,
    section_with_tables,
)
from terminal.policy.gtfs.section_checks import section_problems
from terminal.policy.gtfs.tables import GtfsTables
from tests.terminal.policy.gtfs.feeds import EVERY_DAY, imported

CITY = {
    "rider_categories": "rider_category_id,is_default_fare_category\nadult,1\npupil,0\nstudent,0\n",
    "fare_media": "fare_media_id,fare_media_type\ncard,2\nbank,3\n",
    "fare_products": "fare_product_id,amount,currency\nsingle,24.00,RUB\n",
    "fare_leg_rules": "leg_group_id,fare_product_id\ncity,single\n",
}


@pytest.fixture
def tables(tmp_path: Path) -> GtfsTables:
    return imported(tmp_path, **CITY).tables


def problems(section: GtfsFares, free_bits: int = 56, currency: str = "RUB") -> list[Mistake]:
    return list(section_problems(section, currency, "Europe/Volgograd", free_bits))


def only(section: GtfsFares, **more: int) -> Mistake:
    (problem,) = problems(section, **more)
    return problem


def test_the_index_is_all_that_decisions_need(tables: GtfsTables) -> None:
    section = GtfsFares(destination=Destination.NOT_USED, tables=tables, ordinary_category="adult")
    slim = section.without_tables()
    assert (slim.tables, slim.is_read, section.is_read) == (None, True, True)
    assert slim.index is section.index is slim.without_tables().index
    assert FeedFares.of(slim) == FeedFares.of(section)
    assert not GtfsFares(destination=Destination.NOT_USED).is_read


def test_the_tables_are_those_of_the_pinned_file(tmp_path: Path, tables: GtfsTables) -> None:
    content = msgspec.json.encode(tables)
    (tmp_path / "city.json").write_bytes(content)
    section = msgspec.convert(
        {"destination": "not_used", "file": "city.json", "sha256": hashlib.sha256(content).hexdigest()},
        GtfsFares,
    )
    assert section_with_tables(section, tmp_path).tables == tables
    assert not problems(section_with_tables(section, tmp_path))
    (tmp_path / "city.json").write_bytes(content.replace(b"2400", b"2300"))
    with pytest.raises(RegionDocumentError, match=r"gtfs\.sha256: city\.json is not the file"):
        section_with_tables(section, tmp_path)
    (tmp_path / "city.json").unlink()
    with pytest.raises(RegionDocumentError, match=r"gtfs\.file: .* cannot be read"):
        section_with_tables(section, tmp_path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"{", "Input data was truncated"),
        (b"[]", "Expected `object`"),
        (
            b'{"format":2,"time_zone":"UTC","uses_rule_priority":false,"fare_products":[],"fare_leg_rules":[],"x":1}',
            "x",
        ),
        (b'{"fare_products":[]}', "has format 1, this terminal knows 2"),
        (b'{"format":9,"later":[]}', "has format 9, this terminal knows 2"),
        (
            b'{"format":9,"time_zone":"Europe/Moscow","uses_rule_priority":false,"fare_products":[],"fare_leg_rules":[]}',
            "has format 9, this terminal knows 2",
        ),
    ],
)
def test_a_file_that_holds_something_else(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "city.json").write_bytes(content)
    section = GtfsFares(
        destination=Destination.NOT_USED, file="city.json", sha256=hashlib.sha256(content).hexdigest()
    )
    with pytest.raises(RegionDocumentError, match=what):
        section_with_tables(section, tmp_path)


def test_small_tables_may_stand_in_the_document(tables: GtfsTables) -> None:
    section = GtfsFares(destination=Destination.NOT_USED, tables=tables)
    assert section_with_tables(section, Path("/nowhere")) is section
    assert not problems(section)


def test_broken_tables_are_told_by_their_path(tables: GtfsTables) -> None:
    rule = msgspec.structs.replace(tables.fare_leg_rules[0], fare_product_id="gone")
    broken = msgspec.structs.replace(tables, fare_leg_rules=(rule,))
    problem = only(GtfsFares(destination=Destination.NOT_USED, tables=broken))
    assert problem.path == "gtfs.tables.fare_leg_rules[0].fare_product_id"
    assert "'gone' is not in fare_products.txt" in said(problem)[0]


def test_no_tables_at_all() -> None:
    assert only(GtfsFares(destination=Destination.NOT_USED)).path == "gtfs"
    half = GtfsFares(destination=Destination.NOT_USED, file="city.json")
    assert [problem.path for problem in problems(half)] == ["gtfs.sha256", "gtfs"]


@pytest.mark.parametrize(
    ("section", "path"),
    [
        ({"ordinary_category": "adlt"}, "gtfs.ordinary_category"),
        (
            {"concessions": (ConcessionCategory(concession=2, rider_category="x"),)},
            "gtfs.concessions[0].rider_category",
        ),
        (
            {"concessions": (ConcessionCategory(concession=2, rider_category="pupil"),) * 2},
            "gtfs.concessions[1].concession",
        ),
        ({"media": MediaIds(transport_card="x")}, "gtfs.media.transport_card"),
        ({"route_ids": {"15": "tram"}}, "gtfs.route_ids.15"),
        ({"route_ids": {"fifteen": "bus"}}, "gtfs.route_ids.fifteen"),
        ({"stop_ids": {"1": "Z"}}, "gtfs.stop_ids.1"),
    ],
)
def test_ids_the_feed_does_not_have(tables: GtfsTables, section: dict[str, object], path: str) -> None:
    values = {"destination": Destination.NOT_USED, "tables": tables} | section
    assert only(GtfsFares(**values)).path == path  # type: ignore[arg-type]


def test_the_feed_has_the_documents_currency_and_time_zone(tables: GtfsTables) -> None:
    section = GtfsFares(destination=Destination.NOT_USED, tables=tables)
    assert [p.path for p in section_problems(section, "EUR", "Europe/Samara", 56)] == [
        "gtfs.tables",
        "gtfs.tables.time_zone",
    ]


AREAS = {"areas": "area_id\n1\n", "stop_areas": "area_id,stop_id\n1,A\n"}
HEAD = (
    "from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,fare_transfer_type\n"
)


@pytest.mark.parametrize(
    ("files", "path"),
    [
        (
            AREAS | {"fare_leg_rules": "leg_group_id,to_area_id,fare_product_id\ncity,1,single\n"},
            "fare_leg_rules[0].to_area_id",
        ),
        (
            {
                "calendar": EVERY_DAY,
                "timeframes": "timeframe_group_id,start_time,end_time,service_id\nx,,,daily\n",
                "fare_leg_rules": "to_timeframe_group_id,fare_product_id\nx,single\n",
            },
            "fare_leg_rules[0].to_timeframe_group_id",
        ),
        *(
            (
                {"fare_transfer_rules": f"{HEAD}city,city,1,60,{kind},0\n"},
                "fare_transfer_rules[0].duration_limit_type",
            )
            for kind in (0, 2, 3)
        ),
    ],
)
def test_rules_that_need_the_end_of_a_leg_need_a_tap_off(
    tmp_path: Path, files: dict[str, str], path: str
) -> None:
    tables = imported(tmp_path, **(CITY | files)).tables
    problem = only(GtfsFares(destination=Destination.NOT_USED, tables=tables))
    assert problem.path == f"gtfs.tables.{path}"
    assert not problems(GtfsFares(destination=Destination.DEAREST, tables=tables))


def test_a_journey_that_does_not_fit_the_card(tables: GtfsTables) -> None:
    section = GtfsFares(destination=Destination.NOT_USED, tables=tables)
    bits = FeedFares.of(section).card.bits
    assert not problems(section, free_bits=bits)
    problem = only(section, free_bits=bits - 1)
    assert problem.path == "gtfs"
    assert f"a journey needs {bits} bits on the card (edition 6, " in said(problem)[0]
    assert "Take 1 bits" in said(problem)[1]


def test_a_limit_longer_than_a_card_looks_back(tmp_path: Path) -> None:
    tables = imported(tmp_path, **CITY, fare_transfer_rules=f"{HEAD}city,city,1,604800,1,0\n").tables
    assert "604800 s" in said(only(GtfsFares(destination=Destination.NOT_USED, tables=tables)))[0]


def test_the_most_one_tap_can_take(tmp_path: Path) -> None:
    tables = imported(
        tmp_path,
        fare_products="fare_product_id,amount,currency\nleg,24.00,RUB\nmore,5.00,RUB\npass,900.00,RUB\n",
        fare_leg_rules="leg_group_id,fare_product_id\ncity,leg\n",
        fare_transfer_rules=HEAD.strip() + ",fare_product_id\ncity,city,-1,3600,1,1,more\n",
    ).tables
    assert dearest_ride_minor(tables) == 2900


def test_numbers_categories_and_media_of_the_document(tables: GtfsTables) -> None:
    fares = FeedFares.of(
        GtfsFares(
            destination=Destination.NOT_USED,
            tables=tables,
            ordinary_category="adult",
            concessions=(
                ConcessionCategory(concession=2, rider_category="student"),
                ConcessionCategory(concession=3, rider_category="pupil"),
                ConcessionCategory(concession=4, rider_category="pupil"),
            ),
            media=MediaIds(transport_card="card"),
            route_ids={"15": "bus"},
            stop_ids={"1": "A"},
        )
    )
    assert fares.rider((4, 2, 3, 99)) == ("adult", "pupil", "student")
    assert fares.rider() == ("adult",)
    assert (fares.medium("transport_card"), fares.medium("cash")) == ("card", None)
    assert (fares.route_id(15), fares.route_id(7)) == ("bus", "7")
    assert (fares.stop_id(1), fares.stop_id(0), fares.stop_id(9)) == ("A", None, "9")
