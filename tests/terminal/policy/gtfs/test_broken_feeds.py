"""What is wrong with a feed is told once, with file, line, column and what to change; nothing is imported."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from string import Formatter

import pytest

from terminal.errors import FeedError, MistakeCode
from terminal.policy.gtfs.importer import FeedRefused, import_feed
from tests.terminal.policy.gtfs.feeds import BASE, EVERY_DAY, write_feed

GOOD = {
    "routes": "route_id,network_id\nbus,city\n",
    "areas": "area_id\ninner\nouter\n",
    "stop_areas": "area_id,stop_id\ninner,A\nouter,B\n",
    "calendar": EVERY_DAY,
    "calendar_dates": "service_id,date,exception_type\ndaily,20260901,2\n",
    "timeframes": "timeframe_group_id,start_time,end_time,service_id\nday,06:00:00,22:00:00,daily\n",
    "rider_categories": "rider_category_id,rider_category_name,is_default_fare_category\nadult,A,1\npupil,P,0\n",
    "fare_media": "fare_media_id,fare_media_type\ncard,2\n",
    "fare_products": "fare_product_id,rider_category_id,fare_media_id,amount,currency\nsingle,,card,24.00,RUB\n",
    "fare_leg_rules": "leg_group_id,network_id,from_area_id,to_area_id,fare_product_id\ncity,city,inner,outer,single\n",
    "fare_leg_join_rules": "from_network_id,to_network_id,from_stop_id,to_stop_id\ncity,city,A,B\n",
    "fare_transfer_rules": """
        from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,fare_transfer_type
        city,city,1,3600,1,0
    """,
}

CASES = tomllib.loads(Path(__file__).with_name("broken_feeds.toml").read_text(encoding="utf-8"))["case"]


def refused(folder: Path, **changes: str) -> FeedRefused:
    with pytest.raises(FeedRefused) as caught:
        import_feed(write_feed(folder / "feed", **(GOOD | changes)))
    return caught.value


def test_the_feed_they_are_made_from_is_good(tmp_path: Path) -> None:
    (warning,) = import_feed(write_feed(tmp_path / "feed", **GOOD)).warnings
    assert warning.what == "no ride from 4 of 5 stops has a fare: 'B' is the first"


@pytest.mark.parametrize(
    "case", CASES, ids=[f"{case['file']} {case['where']} {case['what']}" for case in CASES]
)
def test_one_precise_error(tmp_path: Path, case: dict[str, str]) -> None:
    error = refused(tmp_path, **{case["file"].removesuffix(".txt"): case["text"]})
    assert len(error.problems) == 1, error.problems
    (problem,) = error.problems
    assert case["where"] in problem.place
    assert case["what"] in problem.what
    assert case["advice"] in problem.advice
    assert (error.what, error.advice) == (f"feed: {problem}", problem.advice)
    assert names_of(problem.code) <= problem.values.keys(), "no value is said to be unknown"
    assert re.search("[а-я]", problem.words("ru")[0]), "the words are Russian, whatever the ids are"


def names_of(code: MistakeCode) -> set[str]:
    """The values that the words of a code name."""
    return {name for _, name, _, _ in Formatter().parse(code.what + code.advice) if name}


def test_the_same_mistake_in_many_rows_is_told_once(tmp_path: Path) -> None:
    rules = "leg_group_id,from_timeframe_group_id,fare_product_id\ncity,,single\na,,gone\na,day,gone\n"
    error = refused(tmp_path, fare_leg_rules=rules)
    assert [problem.what for problem in error.problems] == [
        "'gone' is not in fare_products.txt (in 2 rows: lines 3-4)"
    ]
    assert error.problems[0].line == 3


def test_all_mistakes_are_there_the_first_in_the_message(tmp_path: Path) -> None:
    error = refused(tmp_path, areas="area_id\ninner\n", fare_media="fare_media_id,fare_media_type\ncard,9\n")
    assert [problem.file for problem in error.problems] == ["fare_media.txt"], "types first, then references"
    error = refused(tmp_path, areas="area_id\ninner\n")
    assert [problem.file for problem in error.problems] == ["stop_areas.txt", "fare_leg_rules.txt"]
    assert "(and 1 more)" in error.what


@pytest.mark.parametrize("file", ["agency", "stops", "routes", "fare_products", "fare_leg_rules"])
def test_a_file_that_must_be_there(tmp_path: Path, file: str) -> None:
    folder = write_feed(tmp_path / "feed", **GOOD)
    (folder / f"{file}.txt").unlink()
    with pytest.raises(FeedRefused, match=rf"feed: {file}\.txt: is not in the feed"):
        import_feed(folder)


def test_a_feed_with_fares_v1_only(tmp_path: Path) -> None:
    folder = write_feed(tmp_path / "feed", **BASE, fare_attributes="fare_id,price\n1,2.00\n")
    with pytest.raises(FeedRefused, match="has GTFS-Fares v1 only"):
        import_feed(folder)


def test_text_that_is_not_utf_8(tmp_path: Path) -> None:
    folder = write_feed(tmp_path / "feed", **GOOD)
    (folder / "areas.txt").write_bytes("area_id,area_name\ninner,Центр\nouter,\n".encode("cp1251"))
    with pytest.raises(FeedRefused, match=r"areas\.txt line 2: is not UTF-8 here"):
        import_feed(folder)


def test_no_feed_at_all(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="no feed"):
        import_feed(tmp_path / "nothing")
    (tmp_path / "text.zip").write_text("not a zip")
    with pytest.raises(FeedError, match="cannot be read"):
        import_feed(tmp_path / "text.zip")
