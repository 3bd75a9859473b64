"""`terminal canteen …` as a school's staff uses it: a morning at the counter, its report, and what is refused."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from terminal.app.compose import open_terminal
from terminal.app.station import Station, open_journal
from terminal.canteen.control import open_control
from terminal.canteen.requests import OpenTill
from terminal.canteen.store import CanteenLists
from terminal.clock import SystemClock, unix_ms
from terminal.codes import ClockFault
from terminal.errors import CanteenRefused, JournalError, RosterError
from terminal.journal.records import Fault
from tests.config_file import config_file
from tests.currencies import demo_in
from tests.terminal.cli.inside import Run, Told, runner
from tests.terminal.journal.samples import refused

NOW = datetime.now(UTC)  # noqa: TID251 the commands read the machine's clock too
TODAY = NOW.astimezone(ZoneInfo("Europe/Volgograd")).date()
YESTERDAY = TODAY - timedelta(days=1)  # the service day before 03:00
NAME = "Тестова Анна"
ANNA, BORIS, VERA = "00000000000000a1", "00000000000000b2", "00000000000000c3"
SPARE = "00000000000000d4"
AT = ("--operator", "staff-1")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(tmp_path, monkeypatch, capfd)


def header(kind: str, sequence: int = 1, **fields: Any) -> dict[str, Any]:
    days = {"valid_from": NOW - timedelta(days=1), "valid_to": NOW + timedelta(days=200)}
    common = {"kind": kind, "schema": 1, "school": "school_12", "region": 34, "sequence": sequence}
    return common | days | {"issued_at": NOW - timedelta(hours=1)} | fields


def pupil(ref: str, *codes: int, **fields: Any) -> dict[str, Any]:
    span = {"valid_from": YESTERDAY, "valid_to": TODAY + timedelta(days=1), "issued_on": YESTERDAY}
    grants = [{"code": code, **span} for code in codes]
    return {"ref": ref, "class_id": "3a", "grade": 3, "shift": 1, "grants": grants} | fields


@pytest.fixture
def school(run: Run, tmp_path: Path) -> Run:
    """A terminal with an open shift, a roster and a price list."""
    roster = {
        "header": header("roster", grades_on=YESTERDAY),
        "pupils": [
            pupil(ANNA, 10, name=NAME, buffet_minor=9_000, forbidden=["nuts"]),
            pupil(BORIS, 11),
            pupil(VERA, class_id="7b", grade=7, hot_minor=20_000),
        ],
    }
    prices = {
        "header": header("price_list"),
        "products": [
            {"id": "bun", "name": "Булочка", "price_minor": 3500},
            {"id": "nut_bar", "name": "Батончик", "price_minor": 6000, "foods": ["nuts"]},
        ],
    }
    (tmp_path / "roster.json").write_bytes(msgspec.json.encode(roster))
    (tmp_path / "prices.json").write_bytes(msgspec.json.encode(prices))
    for command in (
        ("shift", "open", "--operator", "staff-1", "--profile", "canteen"),
        ("canteen", "roster", "load", "roster.json"),
        ("canteen", "prices", "load", "prices.json"),
    ):
        done = run(*command)
        assert done.returncode == 0, done.stderr
    return run


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_morning_at_the_counter(school: Run) -> None:
    issued = school("canteen", "issue", *AT, "--class", "3a", "--serving", "breakfast", "--json")
    assert [(one["pupil"], one["message"]) for one in objects(issued.stdout)] == [
        (ANNA, "meal_ok"),
        (BORIS, "meal_ok"),
    ]
    again = school("canteen", "issue", *AT, "--pupil", ANNA, "--pupil", VERA, "--serving", "breakfast")
    assert again.stdout.splitlines()[1].startswith(f"{VERA}  meal_ask  M-32: "), "she ordered nothing"
    both = ("--pupil", ANNA, "--pupil", VERA)
    again = school("canteen", "issue", *AT, *both, "--serving", "breakfast", "--asked")
    assert again.stdout.splitlines() == [
        f"{ANNA}  meal_already  M-19: one portion of each kind a day",
        f"{VERA}  meal_ok",
        "1 of 2 served",
    ]
    assert school("canteen", "sell", ANNA, "--product", "bun=2", *AT).stdout == "meal_ok  RUB 70.00\n"
    forbidden = school("canteen", "sell", ANNA, "--product", "nut_bar", *AT)
    assert forbidden.stdout == "meal_forbidden  M-02: excluded by the parents  nut_bar\n"
    undone = school("canteen", "annul", ANNA, *AT)
    assert undone.stdout.endswith("70.00 go back to the parents' account\n")
    report = json.loads(school("canteen", "report", "--json").stdout)
    assert report["sources"] == {"federal": 8530, "municipal": 710, "parents": 7802, "regional": 4978}
    assert (report["buffet_minor"], report["difference_minor"], report["closed"]) == (0, 0, False)
    assert [row["sum_minor"] for row in report["annulled"]] == [7000]
    closed = school("canteen", "close", *AT, "--language", "en")
    assert closed.returncode == 0
    assert "day closed" in closed.stdout
    assert "free, meals: 2" in closed.stdout
    assert "special needs" not in closed.stdout, "D-03"
    late = school("canteen", "annul", VERA, *AT)
    assert (late.returncode, late.stderr) == (
        CanteenRefused.exit_code,
        "terminal: M-34: the day is closed. Nothing was recorded.\n",
    )
    month = json.loads(school("canteen", "month", "--json").stdout)
    assert sum(group["meals"] for group in month["meals"]) == 3
    assert month["sources"] == report["sources"]
    assert month["complete"]
    assert NAME not in closed.stdout + issued.stdout + str(report) + str(month)


def test_m_37_a_list_at_rest_knows_of_the_clocks_doubt(school: Run, tmp_path: Path) -> None:
    """Whatever the hour: breakfast is the first meal she is entitled to."""
    with open_journal(tmp_path / "var" / "terminal", 1) as journal:
        journal.append(Fault(unix_ms(NOW), ClockFault.JUMPED, {"jump_s": 4_000}))
    assert school("canteen", "issue", *AT, "--pupil", ANNA).stdout.splitlines()[0] == f"{ANNA}  meal_ok"
    served = [row for row in objects(school("journal", "show", "--json").stdout) if "MealServed" in str(row)]
    assert "clock_suspect" in str(served)


def test_names_appear_only_where_they_were_asked_for(school: Run, tmp_path: Path) -> None:
    assert NAME not in school("canteen", "roster", "show").stdout
    assert NAME in school("canteen", "roster", "show", "3a", "--names").stdout
    school("canteen", "issue", *AT, "--pupil", ANNA, "--serving", "breakfast")
    assert NAME not in school("canteen", "month").stdout
    assert NAME in school("canteen", "month", "--names").stdout
    assert NAME not in school("journal", "show", "--json").stdout
    kept = [path for path in (tmp_path / "var").rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if NAME.encode() in path.read_bytes()]


def test_the_class_without_the_absent_and_the_forgotten_card(school: Run, tmp_path: Path) -> None:
    ticked = school("canteen", "issue", *AT, "--class", "3a", "--absent", BORIS, "--serving", "breakfast")
    assert ticked.stdout.splitlines() == [f"{ANNA}  meal_ok", "1 of 1 served"]
    forgotten = ("canteen", "issue", *AT, "--pupil", BORIS, "--serving", "lunch", "--how", "forgotten_card")
    assert school(*forgotten).returncode == CanteenRefused.exit_code
    assert school(*forgotten, "--confirmed-by", "staff-2").stdout.splitlines()[0] == f"{BORIS}  meal_ok"
    lend = ("canteen", "lend", SPARE, ANNA, *AT, "--confirmed-by", "staff-2")
    assert "this card was not presented here. Hold the spare card" in school(*lend).stderr
    with open_terminal(Station(1, "canteen", tmp_path / "var/terminal", "demo"), SystemClock()) as terminal:
        terminal.journal.append(refused(card_ref=bytes.fromhex(SPARE), profile="canteen"))
    assert f"card {SPARE} is lent to pupil {ANNA}" in school(*lend).stdout


REFUSED: list[tuple[tuple[str, ...], type[Exception], str]] = [
    (("canteen", "roster", "load", "nowhere.json"), RosterError, "there is no such file"),
    (("canteen", "issue", *AT, "--class", "9z"), CanteenRefused, "no class '9z'. It has: 3a, 7b"),
    (("canteen", "issue", *AT, "--pupil", ANNA, "--serving", "tea"), CanteenRefused, "no meal 'tea'"),
    (("canteen", "issue", *AT, "--pupil", "anna"), CanteenRefused, "Give 16 hexadecimal digits"),
    (("canteen", "sell", ANNA, "--product", "bun=x", *AT), CanteenRefused, "Write PRODUCT or PRODUCT=COUNT"),
    (("canteen", "sell", ANNA, "--product", "tea", *AT), CanteenRefused, "It has: bun, nut_bar"),
    (("canteen", "annul", ANNA, *AT), CanteenRefused, "no meal or sale here"),
    (("canteen", "not-collected", "tea", *AT), CanteenRefused, "There are: breakfast, lunch, snack"),
    (("canteen", "report", "--day", "15.09"), CanteenRefused, "Write it as 2026-09-15"),
    # before the sealed roster is tried; and no meal is issued without a journal, as for one that is damaged
    (("canteen", "issue", *AT, "--class", "3a", "--number", "9"), JournalError, "terminal 1, not 9. Correct"),
    (("canteen", "roster", "show", "--number", "9"), JournalError, "is the journal of terminal 1, not 9"),
    (("canteen", "report", "--state", "nowhere"), JournalError, "there is no journal in nowhere"),
]


@pytest.mark.parametrize(("command", "error", "line"), REFUSED)
def test_what_is_refused_is_one_line_with_its_own_code(
    school: Run, command: tuple[str, ...], error: Any, line: str
) -> None:
    done = school(*command)
    assert done.returncode == error.exit_code, done.stdout + done.stderr
    assert line in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_roster_is_checked_without_being_loaded(school: Run, tmp_path: Path) -> None:
    newer = json.loads((tmp_path / "roster.json").read_bytes())
    newer["header"]["sequence"] = 2
    (tmp_path / "newer.json").write_text(json.dumps(newer), encoding="utf-8")
    checked = school("canteen", "roster", "check", "newer.json", "--json")
    assert json.loads(checked.stdout)["classes"] == {"3a": 2, "7b": 1}
    newer["pupils"][0]["grade"] = 12
    (tmp_path / "newer.json").write_text(json.dumps(newer), encoding="utf-8")
    wrong = school("canteen", "roster", "check", "newer.json")
    assert wrong.returncode == RosterError.exit_code
    assert "pupils[0].grade" in wrong.stderr
    loaded = [
        row for row in objects(school("journal", "show", "--json").stdout) if row["kind"] == "RosterLoaded"
    ]
    assert [(row["roster"], row["pupils"]) for row in loaded] == [(1, 3)]


@pytest.fixture
def in_dinars(tmp_path: Path) -> None:
    """The school's region counts in dinars of a thousand fils."""
    (tmp_path / "region.toml").write_text(demo_in("KWD"), "utf-8")
    config_file(tmp_path, terminal={"region": "region.toml"})


def test_a_morning_in_another_currency(in_dinars: None, school: Run) -> None:
    assert school("canteen", "sell", ANNA, "--product", "bun=2", *AT).stdout == "meal_ok  KWD 7.000\n"
    assert "buffet KWD 2.000" in school("canteen", "roster", "show", "--names").stdout
    assert school("canteen", "annul", ANNA, *AT).stdout.endswith(
        "; KWD 7.000 go back to the parents' account\n"
    )
    school("canteen", "issue", *AT, "--class", "3a", "--serving", "breakfast")
    report = school("canteen", "report", "--language", "en")
    assert "3, KWD 21.218 = KWD 14.218 + KWD 0.000 + KWD 7.000 + KWD 0.000\n" in report.stdout
    assert json.loads(school("canteen", "report", "--json").stdout)["currency"] == "KWD"
    assert "KWD" in school("canteen", "month", "--language", "en").stdout
    other = school("canteen", "report", "--region", "demo")
    assert (other.returncode, "is in KWD, the document in RUB. Give the region document" in other.stderr) == (
        60,
        True,
    )
    assert "KWD 14.218" in school("canteen", "close", *AT, "--language", "en").stdout


def test_two_terminals_of_a_school_are_one_report(school: Run) -> None:
    other = ("--state", "var/other", "--number", "2")
    school("shift", "open", "--operator", "staff-1", "--profile", "canteen", *other)
    school("canteen", "roster", "load", "roster.json", *other)
    for where in ((), other):
        assert (
            school("canteen", "issue", *AT, "--pupil", ANNA, "--serving", "breakfast", *where).returncode == 0
        )
    states = ("--state", "var/terminal", "--state", "var/other")
    report = json.loads(school("canteen", "report", *states, "--json").stdout)
    assert sum(report["sources"].values()) == 7109
    assert [(row["row"][0], row["what"]) for row in report["duplicates"]] == [(2, "duplicate_entitlement")]


def test_o_06_a_damaged_journal_stops_sales_and_not_entitled_meals(school: Run, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "var/terminal/journal.db") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()

    def issue(ref: str) -> Told:
        return school("canteen", "issue", *AT, "--pupil", ref, "--serving", "breakfast")

    assert issue(ANNA).stdout.splitlines()[0] == f"{ANNA}  meal_ok"
    assert issue(ANNA).stdout.splitlines()[0].startswith(f"{ANNA}  meal_already")
    assert issue(VERA).stdout.splitlines()[0].startswith(f"{VERA}  selling_stopped  O-06")
    sold = school("canteen", "sell", ANNA, "--product", "bun", *AT)
    assert sold.returncode == 27
    with sqlite3.connect(tmp_path / "var/terminal/journal.db") as database:
        database.execute("PRAGMA user_version = 2")
    database.close()
    report = json.loads(school("canteen", "report", "--json").stdout)
    assert report["sources"] == {}, "not yet in the journal"
    assert issue(BORIS).returncode == 0
    report = json.loads(school("canteen", "report", "--json").stdout)
    assert [row["flags"] for row in report["uncertain"]] == [["from_spare_log"]]
    assert sum(report["sources"].values()) == 2 * 7109


# while the terminal serves cards


@contextmanager
def serving(folder: Path) -> Iterator[OpenTill]:
    """The terminal of `school`, running: it holds its journal and takes requests between taps."""
    station = Station(1, "canteen", folder / "var/terminal", "demo")
    with open_terminal(station, SystemClock()) as terminal:
        assert terminal.canteen is not None
        assert terminal.active is not None
        till = OpenTill(terminal.canteen, CanteenLists(terminal.active), terminal.clock)
        with open_control(station.state, till, Lock(), pytest.fail):
            yield till


def test_the_staff_works_while_cards_are_served(school: Run, tmp_path: Path) -> None:
    with serving(tmp_path) as till:
        issued = school("canteen", "issue", *AT, "--pupil", ANNA, "--serving", "breakfast")
        assert issued.stdout.splitlines() == [f"{ANNA}  meal_ok", "1 of 1 served"]
        tapped = till.counter.context(b"her card", bytes.fromhex(ANNA), till.clock.now()).pupil
        assert tapped is not None
        assert tapped.served == 1, "a tap knows at once"
        assert school("canteen", "annul", ANNA, *AT).returncode == 0
        refused = school("canteen", "annul", ANNA, *AT)
        assert (refused.returncode, refused.stderr) == (
            CanteenRefused.exit_code,
            "terminal: this pupil has no meal or sale here. Check the reference.\n",
        )
        assert school("canteen", "report", "--json").returncode == 0
        newer = json.loads((tmp_path / "roster.json").read_bytes())
        newer["header"]["sequence"] = 2
        (tmp_path / "newer.json").write_text(json.dumps(newer), encoding="utf-8")
        assert school("canteen", "roster", "load", "newer.json").returncode == 0
        assert till.counter.roster_sequence == 2, "in force for the next tap"
        assert school("canteen", "issue", *AT, "--pupil", ANNA, "--serving", "tea").returncode == 60
        assert school("canteen", "close", *AT).returncode == 0
    assert not (tmp_path / "var/terminal/canteen/counter.json").exists()
    assert school("canteen", "annul", ANNA, *AT).returncode == CanteenRefused.exit_code


def test_what_is_typed_is_never_taken_for_a_file(school: Run, tmp_path: Path) -> None:
    """A file named like a class in the folder where the command is typed changed what the terminal was asked."""
    for name in ("3a", "3a.d", ANNA):
        (tmp_path / name).write_text("not for the terminal")
    with serving(tmp_path):
        issued = school("canteen", "issue", *AT, "--class", "3a", "--serving", "breakfast")
        assert issued.stdout.splitlines() == [f"{ANNA}  meal_ok", f"{BORIS}  meal_ok", "2 of 2 served"]
        assert school("canteen", "roster", "show", "3a").stdout.count("\n") == 2
        assert school("canteen", "sell", ANNA, "--product", "bun", *AT).stdout == "meal_ok  RUB 35.00\n"


@pytest.mark.parametrize(
    ("operator", "says"),
    [
        *((reference, "reference of a service card") for reference in ("", " ", "7" * 33, "7\udcff7")),
        ("7\n7", "cannot be seen"),
    ],
)
def test_a_record_names_who_is_responsible(school: Run, operator: str, says: str) -> None:
    refused = school("canteen", "issue", "--operator", operator, "--pupil", ANNA)
    assert refused.returncode == 2
    assert says in refused.stderr


def test_a_class_or_pupils_but_not_both_and_not_neither(school: Run) -> None:
    """A cashier who names one child must never serve a class."""
    for who in ((), ("--class", "3a", "--pupil", ANNA)):
        refused = school("canteen", "issue", *AT, *who, "--serving", "breakfast")
        assert refused.returncode == 2
    assert school("canteen", "issue", *AT, "--pupil", ANNA, "--serving", "breakfast").stdout.startswith(ANNA)


def test_a_count_of_thousands_of_digits_is_no_sale(school: Run) -> None:
    refused = school("canteen", "sell", ANNA, "--product", "bun=" + "9" * 5000, *AT)
    assert refused.returncode == 60
    assert "is no sale" in refused.stderr
    assert school("canteen", "sell", ANNA, "--product", "bun=", *AT).returncode == 60
