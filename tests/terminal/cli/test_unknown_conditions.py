"""Conditions of a feed that are not known, as a tariff author meets them: by `terminal policy import-gtfs`, then in
what `terminal policy run` charges. A rule whose condition was dropped would hold everywhere.
"""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.terminal.cli.inside import Run, Told, runner
from tests.terminal.cli.played_feeds import charges, imports, tap

LEAVE_OUT = ("--unknown-conditions", "leave-out")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(tmp_path, monkeypatch, capfd)


# what is understood


def test_a_leg_for_transfers_alone_is_no_ride_for_nothing(tmp_path: Path, run: Run) -> None:
    """Read without `transfer_only`, every ride of this feed would cost 0."""
    rules = "leg_group_id,fare_product_id,transfer_only\nG,single,\nF,free,1\n"
    imported = imports(tmp_path, run, {"fare_leg_rules": rules})
    charges(tmp_path, run, imported, tap("10:00", 2400), tap("10:30", 2400, route=6))


def test_a_leg_for_transfers_alone_holds_after_a_transfer(tmp_path: Path, run: Run) -> None:
    rules = "leg_group_id,network_id,fare_product_id,transfer_only\nG,city,single,\nF,city,other,1\n"
    transfers = (
        "from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,fare_transfer_type\n"
        "G,F,,3600,1,0\n"
    )
    imported = imports(tmp_path, run, {"fare_leg_rules": rules, "fare_transfer_rules": transfers})
    free = tap("10:30", 0, route=6, message="ok_transfer")
    charges(tmp_path, run, imported, tap("10:00", 2400), free, tap("11:31", 2400, route=5))


def test_a_transfer_after_a_certain_product(tmp_path: Path, run: Run) -> None:
    rules = "leg_group_id,network_id,fare_product_id\nG,city,single\nG,trams,other\n"
    head = "from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,fare_transfer_type"
    transfers = f"{head},filter_fare_product_id\nG,G,-1,3600,1,0,other\n"
    imported = imports(tmp_path, run, {"fare_leg_rules": rules, "fare_transfer_rules": transfers})
    charges(
        tmp_path,
        run,
        imported,
        tap("08:00", 2400),
        tap("08:10", 2400, route=6),
        tap("10:00", 4000, route=9),
        tap("10:10", 0, message="ok_transfer"),
    )


def test_a_transfer_between_rides_of_one_product(tmp_path: Path, run: Run) -> None:
    rules = "leg_group_id,network_id,fare_product_id\nG,city,single\nG,trams,other\n"
    head = "from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,fare_transfer_type"
    transfers = f"{head},fare_product_behavior,fare_media_behavior\nG,G,-1,3600,1,0,1,0\n"
    imported = imports(tmp_path, run, {"fare_leg_rules": rules, "fare_transfer_rules": transfers})
    free = tap("10:10", 0, route=6, message="ok_transfer")
    charges(tmp_path, run, imported, tap("10:00", 2400), free, tap("10:20", 4000, route=9))


def test_a_rule_on_days_of_a_service(tmp_path: Path, run: Run) -> None:
    """A Tuesday and, six days later, a holiday that is one of the working days no more."""
    days = "monday,tuesday,wednesday,thursday,friday,saturday,sunday"
    files = {
        "calendar": f"service_id,{days},start_date,end_date\nwork,1,1,1,1,1,0,0,20260101,20261231\n",
        "calendar_dates": "service_id,date,exception_type\nwork,20260921,2\n",
        "timeframes": "timeframe_group_id,start_time,end_time,service_id\nday,09:00:00,20:00:00,work\n",
        "fare_leg_rules": """
            network_id,from_timeframe_group_id,service_id,fare_product_id
            city,,work,single
            trams,day,work,other
        """,
    }
    imported = imports(tmp_path, run, files)
    refused = tap("10:00", None).replace("2026-09-15", "2026-09-21")
    early, late = tap("08:00", None, route=9), tap("10:10", 4000, route=9)
    charges(tmp_path, run, imported, early, tap("10:00", 2400), late, refused)


# what is not


UNKNOWN: dict[str, tuple[dict[str, str], str]] = {
    "area on the way": (
        {"fare_leg_rules": "network_id,fare_product_id,contains_area_id\ncity,free,centre\ncity,single,\n"},
        "fare_leg_rules.txt line 2, column contains_area_id: is a condition that cannot be judged: which stops lie",
    ),
    "set of areas": (
        {
            "fare_leg_rules": "network_id,fare_product_id,contains_exactly_area_set_id\ncity,free,AB\ncity,single,\n"
        },
        "fare_leg_rules.txt line 2, column contains_exactly_area_set_id: is a condition that cannot be judged",
    ),
    "distance": (
        {
            "fare_leg_rules": "network_id,fare_product_id,max_distance,distance_type\ncity,free,3,0\ncity,single,,\n"
        },
        "fare_leg_rules.txt line 2, column max_distance: is a condition that cannot be judged: how far",
    ),
    "other direction": (
        {"fare_leg_rules": "network_id,fare_product_id,is_symmetrical\ncity,free,1\ncity,single,0\n"},
        "fare_leg_rules.txt line 2, column is_symmetrical: is a condition that cannot be judged",
    ),
    "misspelt network": (
        {"fare_leg_rules": "netwrok_id,fare_product_id\ncity,free\n,single\n"},
        "fare_leg_rules.txt line 2, column netwrok_id: is no column of the standard: 'city' is a condition that is "
        "not known. Did you mean network_id?",
    ),
    "misspelt area": (
        {"fare_leg_rules": "from_areaid,fare_product_id\ncentre,free\n,single\n"},
        "column from_areaid: is no column of the standard: 'centre' is a condition that is not known. "
        "Did you mean from_area_id?",
    ),
    "column without a name": (
        {"fare_leg_rules": "network_id,fare_product_id,\ncity,free,night\ncity,single,\n"},
        "fare_leg_rules.txt line 2, column 3: is no column of the standard: 'night' is a condition",
    ),
    "price of a ticket for an hour": (
        {
            "fare_products": "fare_product_id,amount,currency,duration_amount\nsingle,24.00,RUB,\nfree,0.00,RUB,60\n",
            "fare_leg_rules": "network_id,fare_product_id\ncity,free\ncity,single\n",
        },
        "fare_products.txt line 3, column duration_amount: is a condition that cannot be judged: how long a ticket",
    ),
    "price by a medium with a condition": (
        {
            "fare_media": "fare_media_id,fare_media_type,issuer\ncard,2,bank_x\n",
            "fare_products": "fare_product_id,fare_media_id,amount,currency\nsingle,,24.00,RUB\nfree,card,0.00,RUB\n",
            "fare_leg_rules": "network_id,fare_product_id\ncity,free\ncity,single\n",
        },
        "fare_media.txt line 2, column issuer: is no column of the standard: 'bank_x' is a condition",
    ),
}


@pytest.mark.parametrize(("files", "says"), UNKNOWN.values(), ids=UNKNOWN)
def test_a_condition_that_is_not_known_ends_the_import(
    tmp_path: Path, run: Run, files: dict[str, str], says: str
) -> None:
    (tmp_path / "city.json").write_text("as it was")
    told = imports(tmp_path, run, files)
    assert (told.returncode, (tmp_path / "city.json").read_text()) == (14, "as it was")
    assert says in told.stderr.replace("feed: ", "")


@pytest.mark.parametrize(("files", "says"), UNKNOWN.values(), ids=UNKNOWN)
def test_or_its_row_is_left_out_and_the_others_hold(
    tmp_path: Path, run: Run, files: dict[str, str], says: str
) -> None:
    """The rule that would have made the ride free is not used, and the one beside it is."""
    told = imports(tmp_path, run, files, *LEAVE_OUT)
    assert (
        f"left out: {says.split(': ', maxsplit=1)[0]}" in told.stdout
        or says.split(": ", maxsplit=1)[0] in told.stdout
    )
    charges(tmp_path, run, told, tap("10:00", 2400))


def left_out(told: Told) -> list[tuple[str, int | None, str]]:
    found: list[dict[str, Any]] = json.loads(told.stdout)["left_out"]
    return [(one["file"], one["line"], one["what"]) for one in found]


def test_every_row_is_named_by_its_line(tmp_path: Path, run: Run) -> None:
    rows = "".join(f"city,p{n},{'x' if n % 3 else ''}\n" for n in range(12))
    products = "".join(f"p{n},1.00,RUB\n" for n in range(12))
    files = {
        "fare_products": f"fare_product_id,amount,currency\n{products}",
        "fare_leg_rules": f"network_id,fare_product_id,whom\n{rows}",
    }
    told = imports(tmp_path, run, files, "--json")
    (problem,) = json.loads(told.stdout)["problems"]
    assert problem["lines"] == [3, 4, 6, 7, 9, 10, 12, 13]
    assert "(in 8 rows: lines 3-4, 6-7, 9-10, 12-13)" in problem["what"]


def test_a_row_of_the_highest_priority_gives_its_place_to_no_other(tmp_path: Path, run: Run) -> None:
    """By the catch-all the ride would cost 24: whether it does, only the condition says."""
    rules = "network_id,fare_product_id,rule_priority,whom\ntrams,other,5,pupils\n,single,,\n"
    told = imports(tmp_path, run, {"fare_leg_rules": rules}, *LEAVE_OUT)
    assert "rides (network_id 'trams') have no fare" in told.stdout
    charges(tmp_path, run, told, tap("10:00", 2400), tap("10:10", None, route=9))


def test_without_priorities_a_blank_cell_does_not_take_over_either(tmp_path: Path, run: Run) -> None:
    rules = "network_id,fare_product_id,whom\ntrams,other,pupils\n,single,\n"
    told = imports(tmp_path, run, {"fare_leg_rules": rules}, *LEAVE_OUT)
    assert "rides (network_id 'trams') have no fare" in told.stdout
    charges(tmp_path, run, told, tap("10:00", 2400), tap("10:10", None, route=9))


def test_a_rule_for_the_same_rides_is_named(tmp_path: Path, run: Run) -> None:
    rules = "network_id,fare_product_id,whom\ntrams,free,pupils\ntrams,other,\n,single,\n"
    told = imports(tmp_path, run, {"fare_leg_rules": rules}, *LEAVE_OUT)
    assert "rides (network_id 'trams') are charged by line 3" in told.stdout
    charges(tmp_path, run, told, tap("10:10", 4000, route=9))


@pytest.mark.parametrize(
    ("files", "lost"),
    [
        (
            {
                "areas": "area_id,kind\ncentre,x\nedge,\n",
                "stop_areas": "area_id,stop_id\ncentre,1\nedge,2\n",
                "fare_leg_rules": "from_area_id,fare_product_id\ncentre,other\nedge,single\n,free\n",
            },
            "areas.txt line 2 is left out; rides (from_area_id 'centre') have no fare",
        ),
        (
            {
                "areas": "area_id\ncentre\nedge\n",
                "stop_areas": "area_id,stop_id,until\ncentre,1,noon\nedge,2,\n",
                "fare_leg_rules": "from_area_id,fare_product_id\ncentre,other\nedge,single\n,free\n",
            },
            "stop_areas.txt line 2 is left out; rides (from_area_id 'centre') have no fare",
        ),
    ],
    ids=["area", "stop of an area"],
)
def test_a_place_with_a_condition_takes_its_rules_along(
    tmp_path: Path, run: Run, files: dict[str, str], lost: str
) -> None:
    """The stop stays in its area: it would be free as one that is in none."""
    told = imports(tmp_path, run, files, *LEAVE_OUT)
    assert lost in told.stdout
    free = tap("10:20", 0, stop=3)
    charges(tmp_path, run, told, tap("10:00", None), tap("10:10", 2400, stop=2), free)


def test_a_transfer_with_a_condition_is_no_transfer(tmp_path: Path, run: Run) -> None:
    rules = "leg_group_id,fare_product_id\nG,single\n"
    head = "from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,fare_transfer_type"
    transfers = f"{head},whom\nG,G,-1,3600,1,0,pupils\n"
    told = imports(tmp_path, run, {"fare_leg_rules": rules, "fare_transfer_rules": transfers}, *LEAVE_OUT)
    assert "changes G → G are charged as two rides" in told.stdout
    charges(tmp_path, run, told, tap("10:00", 2400), tap("10:10", 2400, route=6))


def test_what_refers_to_a_row_that_is_left_out_is_named_too(tmp_path: Path, run: Run) -> None:
    files = {
        "fare_products": "fare_product_id,amount,currency,duration_amount\nsingle,24.00,RUB,\nday,90.00,RUB,1\n",
        "fare_leg_rules": "leg_group_id,network_id,fare_product_id\nG,city,single\nT,trams,day\n",
        "fare_transfer_rules": "from_leg_group_id,to_leg_group_id,fare_transfer_type,fare_product_id\nG,T,0,\n",
    }
    told = imports(tmp_path, run, files, *LEAVE_OUT, "--json")
    assert left_out(told)[1:] == [
        ("fare_products.txt", 3, "left out: a condition of the row is not known"),
        (
            "fare_leg_rules.txt",
            3,
            "left out: no price of 'day' is left; rides (network_id 'trams') have no fare",
        ),
        ("fare_transfer_rules.txt", 2, "can no longer apply: every leg rule of group 'T' is left out"),
    ]


def test_a_file_of_the_fares_that_is_not_known(tmp_path: Path, run: Run) -> None:
    single = {"fare_leg_rules": "fare_product_id\nsingle\n"}
    empty = {"rider_groups": "rider_group_id\n", "booking_rules": "booking_rule_id\nb\n"}
    assert imports(tmp_path, run, single | empty).returncode == 0, "no row, no condition"
    capped = single | empty | {"fare_capping": "fare_cap_id\nday\n", "zone_rules": "a\n1\n"}
    told = imports(tmp_path, run, capped)
    assert told.returncode == 14
    assert "fare_capping.txt: is a file of the fares that is not read" in told.stderr
    assert "zone_rules.txt: is a file of the fares that is not read" in told.stderr
    told = imports(tmp_path, run, capped, *LEAVE_OUT)
    assert "left out: fare_capping.txt: is a file of the fares" in told.stdout
    charges(tmp_path, run, told, tap("10:00", 2400))


TRANSFERS = "from_leg_group_id,to_leg_group_id,transfer_count,fare_transfer_type\nG,G,-1,0\n"
OFF = "service_id,date,exception_type\nwork,20260921,2\n"


@pytest.mark.parametrize(
    ("file", "text", "name"),
    [
        ("Fare_Transfer_Rules.txt", TRANSFERS, "fare_transfer_rules.txt"),
        ("FARE_TRANSFER_RULES.TXT", TRANSFERS, "fare_transfer_rules.txt"),
        ("fare_transfer_rules.csv", TRANSFERS, "fare_transfer_rules.txt"),
        ("calender_dates.txt", OFF, "calendar_dates.txt"),
        ("stop_area.txt", "area_id,stop_id\ncentre,1\n", "stop_areas.txt"),
        ("route_network.TXT", "network_id,route_id\ncity,5\n", "route_networks.txt"),
    ],
)
def test_a_file_that_is_named_almost_like_one_that_is_read_is_a_mistake(
    tmp_path: Path, run: Run, file: str, text: str, name: str
) -> None:
    """Passed over, its transfers, holidays or areas would be dropped; no row can be left out for it."""
    single = {"fare_leg_rules": "leg_group_id,fare_product_id\nG,single\n"}
    assert imports(tmp_path, run, single).returncode == 0
    (tmp_path / "feed" / file).write_text(text, encoding="utf-8")
    for options in ((), LEAVE_OUT):
        told = run("policy", "import-gtfs", "feed", *options)
        assert told.returncode == 14
        assert f"{file}: is not read, and fares depend on {name}" in told.stderr
        assert f"Name it {name}, or remove it." in told.stderr
        assert "more)" not in told.stderr
    (tmp_path / "feed" / file).write_text(text.splitlines()[0] + "\n", encoding="utf-8")
    assert run("policy", "import-gtfs", "feed").returncode == 0, "no row, no condition"


def test_what_lies_in_a_folder_of_a_zip_is_not_passed_over(tmp_path: Path, run: Run) -> None:
    """What other programs put there, as an archive's own notes, is none of the feed's files."""
    assert (
        imports(tmp_path, run, {"fare_leg_rules": "leg_group_id,fare_product_id\nG,single\n"}).returncode == 0
    )
    with zipfile.ZipFile(tmp_path / "feed.zip", "w") as archive:
        for file in (tmp_path / "feed").iterdir():
            archive.write(file, file.name)
        archive.writestr("__MACOSX/._stops.txt", "")
        archive.writestr("notes/readme.txt", "made in December")
    assert run("policy", "import-gtfs", "feed.zip").returncode == 0
    with zipfile.ZipFile(tmp_path / "feed.zip", "a") as archive:
        archive.writestr("new/fare_transfer_rules.txt", TRANSFERS)
    told = run("policy", "import-gtfs", "feed.zip", *LEAVE_OUT)
    assert told.returncode == 14
    assert "new/fare_transfer_rules.txt: lies in a folder of the zip, where it is not read" in told.stderr


@pytest.mark.parametrize("kind", ["link to nothing", "folder", "pipe"])
def test_what_is_no_file_is_not_passed_over(tmp_path: Path, run: Run, kind: str) -> None:
    """A link whose file was moved is the file of transfers that an author believes to be there."""
    assert imports(tmp_path, run, {"fare_leg_rules": "fare_product_id\nsingle\n"}).returncode == 0
    place = tmp_path / "feed" / "fare_transfer_rules.txt"
    if kind == "link to nothing":
        place.symlink_to("moved.txt")
    elif kind == "folder":
        place.mkdir()
    else:
        os.mkfifo(place)
    told = run("policy", "import-gtfs", "feed", *LEAVE_OUT)
    assert told.returncode == 14
    assert "feed has fare_transfer_rules.txt, and it is no file that can be read" in told.stderr


@pytest.mark.parametrize(
    ("table", "text", "column", "advice"),
    [
        ("stops", "stop_id,parent_staton\n1,\n2,\n3,\n", "parent_staton", "Did you mean parent_station?"),
        ("routes", "route_id,netwrok_id\n5,city\n", "netwrok_id", "Did you mean network_id?"),
    ],
)
def test_a_misspelt_column_of_places_is_a_mistake(
    tmp_path: Path, run: Run, table: str, text: str, column: str, advice: str
) -> None:
    """No row can be left out there: a platform without its station has other fares."""
    single = {"fare_leg_rules": "fare_product_id\nsingle\n"}
    told = imports(tmp_path, run, single | {table: text}, *LEAVE_OUT)
    assert told.returncode == 14
    assert f"{table}.txt line 1, column {column}" in told.stderr
    assert advice in told.stderr


DAYS = "monday,tuesday,wednesday,thursday,friday,saturday,sunday"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {
                "routes": "route_id,route_type\n5,3\n6,3\n9,0\n",
                "networks": "network_id,until\ncity,\ntrams,2027\n",
                "route_networks": "network_id,route_id\ncity,5\ntrams,9\n",
                "fare_leg_rules": "network_id,fare_product_id\ncity,single\ntrams,free\n",
            },
            "networks.txt line 3 is left out; rides (network_id 'trams') have no fare",
        ),
        (
            {
                "routes": "route_id,route_type\n5,3\n6,3\n9,0\n",
                "networks": "network_id\ncity\ntrams\n",
                "route_networks": "network_id,route_id,until\ncity,5,\ntrams,9,2027\n",
                "fare_leg_rules": "network_id,fare_product_id\ncity,single\ntrams,free\n",
            },
            "route_networks.txt line 3 is left out; rides (network_id 'trams') have no fare",
        ),
        (
            {
                "calendar": f"service_id,{DAYS},start_date,end_date\nwork,1,1,1,1,1,0,0,20260101,20261231\n",
                "timeframes": "timeframe_group_id,start_time,end_time,service_id,season\nday,,,work,summer\n",
                "fare_leg_rules": "network_id,from_timeframe_group_id,fare_product_id\ncity,,single\ntrams,day,free\n",
            },
            "timeframes.txt line 2 is left out; rides (network_id 'trams', from_timeframe_group_id 'day') have no fare",
        ),
        (
            {
                "rider_categories": "rider_category_id,is_default_fare_category,proof\npupil,0,paper\nadult,1,\n",
                "fare_products": """
                    fare_product_id,rider_category_id,amount,currency
                    single,,24.00,RUB
                    school,pupil,0.00,RUB
                """,
                "fare_leg_rules": "network_id,fare_product_id\ncity,single\ntrams,school\n",
            },
            "no price of 'school' is left; rides (network_id 'trams') have no fare",
        ),
    ],
    ids=["network", "route of a network", "timeframe", "category"],
)
def test_whatever_a_rule_names_takes_it_along(
    tmp_path: Path, run: Run, files: dict[str, str], said: str
) -> None:
    told = imports(tmp_path, run, files, *LEAVE_OUT)
    assert said in told.stdout
    charges(tmp_path, run, told, tap("10:00", 2400), tap("10:10", None, route=9))


def test_a_join_rule_with_a_condition_joins_nothing(tmp_path: Path, run: Run) -> None:
    rules = {"fare_leg_rules": "network_id,fare_product_id\ncity,single\n"}
    joins = "from_network_id,to_network_id,duration_limit\ncity,city,{limit}\n"
    joined = imports(tmp_path, run, rules | {"fare_leg_join_rules": joins.format(limit="")})
    charges(tmp_path, run, joined, tap("10:00", 2400), tap("10:10", 0, route=6))
    told = imports(tmp_path, run, rules | {"fare_leg_join_rules": joins.format(limit=3600)}, *LEAVE_OUT)
    assert "its legs are charged as two rides" in told.stdout
    charges(tmp_path, run, told, tap("10:00", 2400), tap("10:10", 2400, route=6))
