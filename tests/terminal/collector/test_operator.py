"""What an operator sees and does, through the real application and the real commands."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from terminal.collector.alarms import AlarmCause, detail_of
from terminal.collector.books import BooksSettings
from terminal.collector.days import By
from terminal.collector.page_parts import STYLE
from terminal.collector.store import BY_MACHINE, Alarm, AlarmKind, OperationCode
from terminal.journal.records import CashSale, Fault, Started
from tests.terminal.collector.office import Town
from tests.terminal.journal.samples import INTENT, committed, day, intent

COMMAND = [sys.executable, "-m", "terminal.cli.app", "collector"]


@pytest.fixture
def town(tmp_path):
    made = Town(tmp_path / "collector")
    yield made
    made.close()


GAP = Alarm(AlarmKind.GAP, 7, 3, detail_of(AlarmCause.ROWS_MISSING, first=3, last=4))


def fill(town: Town) -> None:
    seven = town.terminal(7)
    sale = CashSale(INTENT.at_ms, 1, 1, 9, 0, 2, 6_801, "demo:1", currency="RUB")
    seven.write(*day(3), sale, intent(route=9, charge_minor=101), committed(8, tmc=9))
    town.send(seven)


def test_two_currencies_are_never_added_up(town):
    """Terminals of two regions at one collector: a sum and a total for each currency, on page, in CSV and in JSON."""
    fill(town)
    eight = town.terminal(8)
    eight.write(CashSale(INTENT.at_ms, 1, 1, 9, 0, 2, 6_801, "edo:1", currency="JPY"))
    town.send(eight)
    report = json.loads(run(town, "report", "--by", "funder", "--json"))
    lines = [(one["name"], one["currency"], one["counted_minor"]) for one in report["lines"]]
    assert lines == [("cash", "JPY", 6_801), ("cash", "RUB", 6_801), ("purse", "RUB", 10_301)]
    assert [(one["currency"], one["counted_minor"]) for one in report["totals"]] == [
        ("JPY", 6_801),
        ("RUB", 17_102),
    ]
    table = csv.DictReader(io.StringIO(run(town, "report", "--by", "funder", "--csv")))
    assert [(row["name"], row["currency"], row["counted"]) for row in table][-2:] == [
        ("total", "JPY", "6801"),
        ("total", "RUB", "171.02"),
    ]
    html = town.client().get("/operator/").text
    for cells in ("<td>JPY</td><td class=n>6801</td>", "<td>RUB</td><td class=n>171.02</td>"):
        assert cells in html
    charged = town.client().get("/operator/v1/report").json()["total"]["charged_minor"]
    assert set(charged) == {"RUB"}


@pytest.mark.parametrize(
    "command",
    [
        *(("report", "--by", by.value) for by in By),
        ("terminals",),
        ("alarms", "--all"),
    ],
    ids=" ".join,
)
def test_no_table_has_two_columns_of_one_name(town, command):
    fill(town)
    town.collector.store.keep_alarm(GAP, town.clock.now_ms)
    heads, *rows = csv.reader(io.StringIO(run(town, *command, "--csv")))
    assert len(heads) == len(set(heads))
    assert rows
    assert {len(row) for row in rows} == {len(heads)}


def test_no_table_of_the_page_has_two_columns_of_one_name(town):
    fill(town)
    town.collector.store.keep_alarm(GAP, town.clock.now_ms)
    heads = re.findall(r"<thead>(.*?)</thead>", town.client().get("/operator/").text)
    assert len(heads) == 7
    for head in heads:
        names = re.findall(r"<th[^>]*>(.*?)</th>", head)
        assert len(names) == len(set(names)) > 1


def test_the_page_shows_the_state_and_lets_nothing_foreign_in(town):
    fill(town)
    seven = town.terminal(8)
    seven.write(Fault(INTENT.at_ms, "reader:<script>alert(1)</script>"), Started(INTENT.at_ms, "unsent"))
    town.collector.intake.take(seven.batch(1, 1, head=2))
    town.book()
    town.clock.move(hours=30)
    client = town.client()
    page = client.get("/operator/")
    assert client.get("/operator/style.css").text == STYLE
    html = page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
    assert re.findall("<script[^>]*>(.*?)</script>", html) == [""], "one of our own, and nothing stands in it"
    assert "alert(1)" not in html, "a code that is none is not shown"
    assert "reader" in html
    assert "up to 30 h" in html, "the oldest unsent tap"
    assert "width=device-width" in html
    assert "prefers-color-scheme: dark" in STYLE
    assert INTENT.card_ref.hex() not in html
    assert not re.search(r"https?://|\son\w+=|javascript:", html)
    assert "Service day 2026-02-02 by terminal" in html
    for wanted in ("68.01", "103.01", "171.02"):
        assert wanted in html


def run(town: Town, *arguments: str, fails: bool = False) -> str:
    command = [*COMMAND, arguments[0], "--folder", str(town.settings.folder), *arguments[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode != 0) == fails, done.stderr
    return done.stderr if fails else done.stdout


def test_the_commands_read_beside_a_running_collector(town):
    fill(town)
    assert json.loads(run(town, "status", "--json"))["records"] == 9
    assert json.loads(run(town, "terminals", "--json"))["terminals"][0]["held"] == 9
    report = json.loads(run(town, "report", "--by", "route", "--json"))
    assert (report["day"], report["behind"]) == ("2026-02-02", 0)
    assert [(line["name"], line["counted_minor"]) for line in report["lines"]] == [
        ("7", 10_200),
        ("9", 6_902),
    ]
    assert [(total["currency"], total["cash_sales"]) for total in report["totals"]] == [("RUB", 1)]
    rows = list(
        csv.DictReader(io.StringIO(run(town, "report", "--day", "2026-02-02", "--by", "funder", "--csv")))
    )
    assert [(row["name"], row["counted"]) for row in rows] == [
        ("cash", "68.01"),
        ("purse", "103.01"),
        ("total", "171.02"),
    ]
    assert "cannot be broken down by colour" in run(town, "report", "--by", "colour", fails=True)
    assert "no open alarms" in run(town, "alarms")


def test_the_commands_change_what_a_running_collector_does(town):
    code = json.loads(run(town, "enrol", "9", "--json"))["code"]
    assert re.fullmatch(r"([A-Z0-9]{4}-){3}[A-Z0-9]{4}", code)
    assert (town.settings.terminals / "9.code").stat().st_mode & 0o777 == 0o600
    noted = town.collector.store.operations(9)
    assert [(done.code, done.by) for done in noted] == [(OperationCode.CODE_MADE, BY_MACHINE)]
    town.terminal(7)
    run(town, "revoke", "7")
    assert town.collector.enrolment.key_of(7) is None
    assert [(done.code, done.by) for done in town.collector.store.operations(7)] == [("revoked", BY_MACHINE)]
    town.collector.store.keep_alarm(
        Alarm(AlarmKind.GAP, 7, 3, detail_of(AlarmCause.ROWS_MISSING, first=3, last=4)), town.clock.now_ms
    )
    assert "не хватает записей с 3 по 4" in run(town, "alarms", "--language", "ru")
    run(town, "ack", "1", "--comment", "resent")
    assert "machine: resent" in run(town, "alarms", "--all")
    assert "there is no alarm 5" in run(town, "ack", "5", fails=True)


def test_a_folder_without_a_collector(tmp_path):
    done = subprocess.run(
        [*COMMAND, "status", "--folder", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "there is no collector.db" in done.stderr) == (40, True)


def test_a_backup_of_a_running_collector_is_a_collector(town, tmp_path):
    fill(town)
    documents = town.settings.folder / "documents"
    documents.mkdir()
    (documents / ("ab" * 32)).write_bytes(b"what decisions were made from")
    target = tmp_path / "copy"
    found = json.loads(run(town, "backup", str(target), "--with-key", "--json"))
    assert (found["records"], found["terminals"]) == (9, 1)
    assert sorted(path.name for path in target.iterdir()) == [
        "ca.crt",
        "ca.key",
        "collector.db",
        "collector.key",
        "collector.pub",
        "documents",
        "terminals",
    ]
    assert [file.name for file in (target / "documents").iterdir()] == ["ab" * 32]
    assert (target / "collector.key").stat().st_mode & 0o777 == 0o600
    assert "exists already" in run(town, "backup", str(target), fails=True)
    again = Town(target)
    again.book()
    assert again.collector.books.totals() == town.collector.books.totals()
    assert list(again.collector.store.records()) == list(town.collector.store.records())
    again.close()


def test_a_day_that_has_not_begun_is_not_the_newest(town):
    """Rows of a clock that was two years ahead: the page and the default report stay with today."""
    seven, ahead_ms = town.terminal(7), 700 * 24 * 3_600_000
    ahead = intent(at_ms=INTENT.at_ms + ahead_ms)
    seven.write(*day(1), ahead, committed(3))
    town.send(seven)
    today = town.collector.books.days()[1]
    assert town.collector.books.newest_day(town.clock.now_ms) == today == "2026-02-02"
    assert town.collector.books.newest_day(town.clock.now_ms + ahead_ms) > today
    assert town.collector.books.newest_day(town.clock.now_ms - ahead_ms) is None
    assert f"Service day {today} by terminal" in town.client().get("/operator/").text
    assert town.client().get("/operator/v1/status").json()["newest_day"] == today
    assert json.loads(run(town, "report", "--json"))["day"] == today


def test_another_zone_makes_the_books_anew(tmp_path):
    town = Town(tmp_path)
    fill(town)
    town.close()
    far = Town(tmp_path, books=BooksSettings("Asia/Kamchatka", 0))
    assert far.collector.books.behind() == 9
    far.book()
    assert far.collector.books.days() == ["2026-02-02"]
    far.close()


def test_books_that_are_ahead_of_the_records_are_made_anew(tmp_path):
    """The database was put back from an older copy, the books were not."""
    town = Town(tmp_path)
    fill(town)
    town.collector.books._connection.execute("UPDATE mark SET sequence = 12")
    town.close()
    again = Town(tmp_path)
    again.book()
    assert again.collector.books.totals()[7].records == 9
    again.close()


def test_nothing_else_is_served(town):
    client = town.client()
    for path in ("/", "/operator", "/v1/report", "/operator/v2", "/operator/../v1"):
        assert client.get(path, follow_redirects=False).status_code in (307, 404)
    assert Path(town.settings.folder).exists()
