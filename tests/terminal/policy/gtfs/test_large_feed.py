"""A feed with hundreds of leg rules, as large cities have: it imports, every reference resolves, nothing is scanned."""

from __future__ import annotations

import msgspec
import pytest

from bench.gtfs_feed import write_city
from terminal.policy.gtfs.checks import tables_problems
from terminal.policy.gtfs.fares import FeedFares
from terminal.policy.gtfs.importer import Imported, import_feed
from terminal.policy.gtfs.section import Destination, GtfsFares
from tests.terminal.policy.gtfs import reading
from tests.terminal.policy.gtfs.feeds import Rider, at, leg, offers


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Imported:
    return import_feed(write_city(tmp_path_factory.mktemp("large") / "feed", 700))


@pytest.fixture(scope="module")
def city(large: Imported) -> FeedFares:
    return FeedFares.of(
        GtfsFares(destination=Destination.DEAREST, tables=large.tables, ordinary_category="adult")
    )


def test_it_imports_without_a_warning(large: Imported) -> None:
    tables = large.tables
    assert (len(tables.fare_leg_rules), len(tables.areas), len(tables.stops)) == (784, 14, 574)
    assert not large.warnings
    assert not list(tables_problems(tables))
    assert msgspec.json.decode(msgspec.json.encode(tables), type=type(tables)) == tables


def test_every_rule_is_found_by_its_key_and_no_other_is_touched(city: FeedFares) -> None:
    rules = city.index.leg_rules
    assert sum(map(len, rules.values())) == 784
    assert max(map(len, rules.values())) == 1


def test_it_decides_as_a_scan_would(city: FeedFares, large: Imported) -> None:
    for route, start, end in (("net_0_0", 0, 13), ("net_1_7", 5, 5), ("net_3_19", 13, 2), ("net_2_0", 9, 3)):
        now = int(at("12:00").timestamp())
        ride = reading.Ride(route, f"zone_{start}_7", f"zone_{end}_station", now, now)
        (rule,) = reading.matching(large.tables, ride)
        expected = {
            p.amount_minor for p in large.tables.fare_products if p.fare_product_id == rule.fare_product_id
        }
        assert offers(city, leg(ride.start, ride.end, "12:00", route)) == expected


def test_a_day_of_a_student(city: FeedFares) -> None:
    rider = Rider(city, (*city.rider(), "student"), "card")
    assert rider.ride("08:00", "zone_0_1", "08:20", "zone_4_2", "net_0_3") == (2400 + 4 * 150) // 2
    assert rider.ride("08:30", "zone_4_2", "08:40", "zone_6_1", "net_2_0") == 0, (
        "half as far, within the hour"
    )
    assert rider.ride("09:30:01", "zone_6_1", "09:40", "zone_6_2", "net_2_0") == 1200
