"""`terminal policy import-gtfs` as tariff authors run it, and a region document that uses what it wrote."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.terminal.cli.inside import Run, runner
from tests.terminal.cli.played_feeds import PRODUCTS, STOPS, imports, region
from tests.terminal.policy.gtfs.feeds import write_feed

FILES = {
    "fare_products": "fare_product_id,amount,currency\nsingle,24.00,RUB\n",
    "fare_leg_rules": "leg_group_id,fare_product_id,transfer_only\ncity,single,\n",
    "networks": "network_id\nferry\n",
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(tmp_path, monkeypatch, capfd)


def test_a_feed_is_checked_and_its_tables_are_written(tmp_path: Path, run: Run) -> None:
    write_feed(tmp_path / "feed", **FILES)
    told = run("policy", "import-gtfs", "feed", "--out", "city.json")
    assert told.returncode == 0, told.stderr
    assert "warning: networks.txt line 2, column network_id: no route is in network 'ferry'" in told.stdout
    assert "feed: RUB, Europe/Volgograd; a blank cell is what no other rule lists" in told.stdout
    digest = hashlib.sha256((tmp_path / "city.json").read_bytes()).hexdigest()
    assert f'[gtfs]\nfile = "city.json"\nsha256 = "{digest}"' in told.stdout


def test_without_out_nothing_is_written(tmp_path: Path, run: Run) -> None:
    write_feed(tmp_path / "feed", **FILES)
    told = run("policy", "import-gtfs", "feed", "--json")
    report = json.loads(told.stdout)
    assert (report["currency"], report["rows"]["fare_leg_rules"], report["file"]) == ("RUB", 1, None)
    assert report["uses_rule_priority"] is False
    assert report["card_bits"] == {"not_used": 7, "dearest": 8}
    assert [(warning["file"], warning["lines"]) for warning in report["warnings"]] == [("networks.txt", [2])]
    assert [path.name for path in tmp_path.iterdir()] == ["feed"]


def test_every_mistake_is_on_a_line_of_its_own(tmp_path: Path, run: Run) -> None:
    wrong = {"fare_leg_rules": "leg_group_id,fare_product_id,network_id\ncity,singel,x\n"}
    write_feed(tmp_path / "feed", **(FILES | wrong))
    (tmp_path / "city.json").write_text("as it was")
    told = run("policy", "import-gtfs", "feed", "--out", "city.json")
    assert told.returncode == 14
    assert told.stderr.splitlines() == [
        "also wrong: fare_leg_rules.txt line 2, column fare_product_id: 'singel' is not in fare_products.txt. "
        "Did you mean 'single'?",
        "terminal: feed: fare_leg_rules.txt line 2, column network_id: 'x' is not in networks.txt (and 1 more). "
        "Add it to networks.txt, or correct the id.",
    ]
    assert (tmp_path / "city.json").read_text() == "as it was"


def test_tables_that_cannot_be_written(tmp_path: Path, run: Run) -> None:
    write_feed(tmp_path / "feed", **FILES)
    told = run("policy", "import-gtfs", "feed", "--out", "no/such/folder/city.json")
    assert told.returncode == 14
    assert "cannot be written" in told.stderr


def test_a_foreign_currency_is_named_unless_it_is_the_document_s(tmp_path: Path, run: Run) -> None:
    write_feed(
        tmp_path / "feed", **(FILES | {"fare_products": "fare_product_id,amount,currency\nsingle,2.40,EUR\n"})
    )
    told = run("policy", "import-gtfs", "feed")
    assert (
        "warning: fare_products.txt line 2, column currency: EUR: a region document in RUB refuses"
        in told.stdout
    )
    assert "EUR:" not in run("policy", "import-gtfs", "feed", "--currency", "EUR").stdout


def test_mistakes_are_data_for_programs_too(tmp_path: Path, run: Run) -> None:
    wrong = {"fare_leg_rules": "leg_group_id,fare_product_id,network_id\ncity,singel,\nbus,singel,ferry\n"}
    write_feed(tmp_path / "feed", **(FILES | wrong))
    told = run("policy", "import-gtfs", "feed", "--json")
    assert told.returncode == 14
    (problem,) = json.loads(told.stdout)["problems"]
    assert (problem["file"], problem["column"], problem["lines"]) == (
        "fare_leg_rules.txt",
        "fare_product_id",
        [2, 3],
    )


def test_what_is_wrong_is_said_in_the_author_s_language_and_as_a_code(tmp_path: Path, run: Run) -> None:
    files = {
        "fare_leg_rules": "network_id,fare_product_id\ntram,singel\n,single\n",
        "areas": "area_id\nA\nA\n",
    }
    write_feed(tmp_path / "feed", **(STOPS | {"fare_products": PRODUCTS} | files))
    told = run("policy", "import-gtfs", "feed", "--language", "ru")
    assert told.returncode == 14
    assert "terminal: feed: areas.txt строка 3, столбец area_id: «A» повторяется (и ещё 2)." in told.stderr
    assert (
        "также неверно: fare_leg_rules.txt строка 2, столбец fare_product_id: «singel» нет в fare_products.txt. "
        "Возможно, имелось в виду «single»?" in told.stderr
    )
    told = run("policy", "import-gtfs", "feed", "--json")
    codes = [(row["code"], row["values"]) for row in json.loads(told.stdout)["problems"]]
    assert codes == [
        ("feed_not_unique", {"value": "A"}),
        ("feed_unresolved_near", {"near": "trams", "value": "tram", "where": "routes.txt"}),
        ("feed_unresolved_near", {"near": "single", "value": "singel", "where": "fare_products.txt"}),
    ]


def test_warnings_are_said_in_the_author_s_language(tmp_path: Path, run: Run) -> None:
    told = imports(
        tmp_path, run, {"fare_leg_rules": "network_id,fare_product_id\ncity,single\n"}, "--language", "ru"
    )
    assert "предупреждение: fare_leg_rules.txt: ни у одной поездки в сети «trams» нет цены." in told.stdout


def test_tables_of_a_document_with_a_mistake_say_it_by_code_too(tmp_path: Path, run: Run) -> None:
    """A file of tables that was written by hand, and not by the import."""
    told = imports(tmp_path, run, {"fare_leg_rules": "fare_product_id\nsingle\n"})
    document = region(told)
    text = (tmp_path / "city.json").read_text(encoding="utf-8")
    wrong = text.replace(
        '"fare_leg_rules":[{"fare_product_id":"single"', '"fare_leg_rules":[{"fare_product_id":"singel"'
    )
    assert wrong != text
    (tmp_path / "city.json").write_text(wrong, encoding="utf-8")
    old, new = (hashlib.sha256(each.encode()).hexdigest() for each in (text, wrong))
    (tmp_path / "region.toml").write_text(document.replace(old, new), encoding="utf-8")
    told = run("policy", "check", "region.toml", "--json")
    (mistake,) = json.loads(told.stdout)["mistakes"]
    assert mistake["code"] == "feed_unresolved_near"
    assert mistake["values"] == {"value": "singel", "where": "fare_products.txt", "near": "single"}
    assert mistake["path"] == "gtfs.tables.fare_leg_rules[0].fare_product_id"
    told = run("policy", "check", "region.toml", "--language", "ru")
    assert "«singel» нет в fare_products.txt. Возможно, имелось в виду «single»?" in told.stderr
