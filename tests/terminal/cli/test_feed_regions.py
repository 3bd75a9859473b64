"""What a rider pays and is told where fares come from a feed: imported and played by the product's own commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.terminal.cli.inside import Run, runner
from tests.terminal.cli.played_feeds import charges, imports, region, tap

HEAD = (
    "from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,fare_transfer_type"
)
CHECK_IN = '[checkin]\nscope = []\nlongest_s = 7200\nreserve = "held"\n'
HELD = '{ name = "held", bits = 13, period = "kept" },'


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(tmp_path, monkeypatch, capfd)


def test_a_transfer_that_costs_nothing_says_so_and_until_when(tmp_path: Path, run: Run) -> None:
    files = {
        "fare_leg_rules": "leg_group_id,network_id,fare_product_id\nG,city,single\nT,trams,other\n",
        "fare_transfer_rules": f"{HEAD},fare_product_id\nG,G,-1,3600,1,0,\nG,T,,3600,1,0,single\n",
    }
    imported = imports(tmp_path, run, files)
    free = tap("10:30", 0, route=6, message="ok_transfer").replace(
        '"ok_transfer"', '"ok_transfer", values = { time = "11:00" }'
    )
    charges(tmp_path, run, imported, tap("10:00", 2400), free, tap("10:40", 2400, route=9))


def test_nothing_is_sold_so_no_counter_is_for_contracts(tmp_path: Path, run: Run) -> None:
    """The journey of a feed may take nearly all of the card's 56 bits."""
    files = {
        "fare_leg_rules": "leg_group_id,fare_product_id\nG,single\n",
        "fare_transfer_rules": f"{HEAD}\nG,G,1,3600,1,0\n",
    }
    imported = imports(tmp_path, run, files)
    full = "".join(
        f'{{ name = "c{n}", bits = {bits}, period = "year" }},' for n, bits in enumerate((16, 16, 14))
    )
    document = region(imported, slots=full)
    bare = "\n".join(line for line in document.splitlines() if "pack_" not in line)
    assert bare.count("contract") == 0
    charges(
        tmp_path, run, imported, tap("10:00", 2400), tap("10:30", 0, 6, message="ok_transfer"), document=bare
    )
    sold = bare + '\n[[products]]\nkind = "trip_pack"\nid = 1\nname = "ten"\ntrips = 10\n'
    (tmp_path / "region.toml").write_text(sold, encoding="utf-8")
    told = run("policy", "check", "region.toml")
    assert told.returncode != 0
    assert "counters.contracts" in told.stderr


def test_without_areas_a_tap_off_needs_no_stop(tmp_path: Path, run: Run) -> None:
    """Every ride costs the same wherever it ends: nothing about it is an estimate."""
    imported = imports(tmp_path, run, {"fare_leg_rules": "fare_product_id\nsingle\n"})
    document = region(imported, CHECK_IN, destination="dearest", slots=HELD)
    inside = tap("10:00", 0, message="ok_checkin")
    outside = tap("10:30", 2400, stop=0, message="ok_checkout").replace(
        'ok_checkout"', 'ok_checkout", reasons = ["G-05"]'
    )
    charges(tmp_path, run, imported, inside, outside, document=document)


def test_with_areas_a_tap_off_without_a_stop_says_why_it_costs_the_least(tmp_path: Path, run: Run) -> None:
    files = {
        "areas": "area_id\n1\n2\n3\n",
        "stop_areas": "area_id,stop_id\n1,1\n2,2\n3,3\n",
        "fare_leg_rules": "from_area_id,to_area_id,fare_product_id\n1,2,single\n1,3,other\n",
    }
    imported = imports(tmp_path, run, files)
    document = region(imported, CHECK_IN, destination="dearest", slots=HELD)
    inside = tap("10:00", 0, message="ok_checkin")
    outside = tap("10:30", 2400, stop=0, message="ok_checkout").replace(
        'ok_checkout"', 'ok_checkout", flags = ["place_unknown"], reasons = ["T-07"]'
    )
    charges(tmp_path, run, imported, inside, outside, document=document)


def checked(tmp_path: Path, run: Run, document: str) -> list[dict[str, str]]:
    """What `policy check` lists as refused for want of a fare."""
    (tmp_path / "region.toml").write_text(document, encoding="utf-8")
    told = run("policy", "check", "region.toml", "--json")
    assert told.returncode == 0, told.stderr
    listed: list[dict[str, str]] = json.loads(told.stdout)["fare_unknown"]
    return listed


def test_check_lists_the_first_day_after_a_feed_s_calendar(tmp_path: Path, run: Run) -> None:
    """The document holds until 2030; its feed's only service ends years after the document begins, and years before."""
    days = "monday,tuesday,wednesday,thursday,friday,saturday,sunday"
    files = {
        "calendar": f"service_id,{days},start_date,end_date\nall,1,1,1,1,1,1,1,20240101,20271231\n",
        "fare_leg_rules": "service_id,fare_product_id\nall,single\n",
    }
    imported = imports(tmp_path, run, files)
    document = region(imported)
    assert [row["when"] for row in checked(tmp_path, run, document)] == ["2028-01-01 00:00"] * 2
    lost = tap("10:00", None).replace("2026-09-15", "2028-01-01")
    charges(tmp_path, run, imported, tap("10:00", 2400), lost)


def test_check_lists_a_day_that_an_exception_takes(tmp_path: Path, run: Run) -> None:
    days = "monday,tuesday,wednesday,thursday,friday,saturday,sunday"
    files = {
        "calendar": f"service_id,{days},start_date,end_date\nall,1,1,1,1,1,1,1,20240101,20311231\n",
        "calendar_dates": "service_id,date,exception_type\nall,20290501,2\n",
        "fare_leg_rules": "service_id,fare_product_id\nall,single\n",
    }
    document = region(imports(tmp_path, run, files))
    assert [row["when"] for row in checked(tmp_path, run, document)] == ["2029-05-01 00:00"] * 2


def test_check_lists_a_transfer_that_has_no_fare_though_the_ride_alone_has(tmp_path: Path, run: Run) -> None:
    """A rule for transfers alone takes precedence, and its product is not sold for cards."""
    files = {
        "fare_media": "fare_media_id,fare_media_type\napp,4\n",
        "fare_products": "fare_product_id,fare_media_id,amount,currency\nsingle,,24.00,RUB\nfree,app,0.00,RUB\n",
        "fare_leg_rules": "leg_group_id,fare_product_id,transfer_only,rule_priority\nG,single,,\nF,free,1,5\n",
        "fare_transfer_rules": "from_leg_group_id,to_leg_group_id,duration_limit,duration_limit_type,"
        "fare_transfer_type\nG,F,3600,1,0\n",
    }
    imported = imports(tmp_path, run, files)
    document = region(imported)
    assert {row["when"] for row in checked(tmp_path, run, document)} == {">G"}
    charges(tmp_path, run, imported, tap("10:00", 2400), tap("10:30", None, route=6), tap("11:01", 2400))
