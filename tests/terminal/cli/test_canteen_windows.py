"""A canteen's terminal with all its windows as processes of their own: taps, commands and console at once."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from pictures.console import CASHIER, PIN, hashed_pin
from terminal.errors import ControlError
from terminal.policy.load import DEMO_REGION
from terminal.screen.console.roles import Role
from terminal.screen.console.staff import Member
from tests.config_file import config_file
from tests.terminal.cli.conftest import ENVIRONMENT, Run, command

AT = ("--operator", "staff-1")
BUN_MINOR = 3500
RICH = "00000000000000a1"
CLASS = tuple(f"{number:016x}" for number in range(0xB0, 0xBC))
ROUNDS = 4


@pytest.fixture
def school(tmp_path: Path, run: Run) -> Run:
    """A terminal at rest with an open shift, a roster, a price list and a cashier."""
    now = datetime.now(UTC)  # noqa: TID251 the commands read the machine's clock too
    day = (now - timedelta(days=1)).date()
    header = {
        "schema": 1,
        "school": "school_12",
        "region": 34,
        "sequence": 1,
        "issued_at": now - timedelta(hours=1),
    }
    days = {"valid_from": now - timedelta(days=1), "valid_to": now + timedelta(days=100)}
    grant = {"code": 10, "valid_from": day, "valid_to": day + timedelta(days=2), "issued_on": day}
    common = {"grade": 3, "shift": 1, "grants": [grant], "buffet_minor": 9_000_000}
    pupils = [
        {"ref": RICH, "class_id": "7b", **common},
        *({"ref": ref, "class_id": "3B", **common} for ref in CLASS),
    ]
    product = {"id": "bun", "name": "Булочка", "price_minor": BUN_MINOR}
    lists = {
        "roster.json": {"header": header | days | {"kind": "roster", "grades_on": day}, "pupils": pupils},
        "prices.json": {"header": header | days | {"kind": "price_list"}, "products": [product]},
    }
    for name, content in lists.items():
        (tmp_path / name).write_bytes(msgspec.json.encode(content))
    staff = [Member(ref=CASHIER, role=Role.CASHIER, pin=hashed_pin())]
    state = tmp_path / "var/terminal"
    state.mkdir(parents=True)
    (state / "staff.json").write_bytes(msgspec.json.encode({"kind": "staff", "members": staff}))
    config_file(
        tmp_path,
        terminal={"profile": "canteen", "state": "var/terminal", "language": "en", "region": "region.toml"},
        reader={"name": "sim:pupil_grade3,pupil_two_meals,pupil_large_family", "pace_s": 0.2},
        console={"enabled": True, "port": 0, "typed_sign_in": True},
        canteen={"serving": "breakfast"},
        log={"format": "text", "level": "debug"},
    )
    served = '\n[meals.ask]\nnot_listed = "serve"\n'  # cards that the list does not have
    (tmp_path / "region.toml").write_text(DEMO_REGION.read_text("utf-8") + served, "utf-8")
    for words in (
        ("shift", "open", *AT, "--profile", "canteen"),
        ("canteen", "roster", "load", "roster.json"),
        ("canteen", "prices", "load", "prices.json"),
    ):
        done = run(*words)
        assert done.returncode == 0, done.stderr
    return run


@contextmanager
def serving(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`terminal run` of the school, logging everything to a file, and the address of its console."""
    log = folder / "log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            command(("run", "--json")),
            cwd=folder,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        for _ in range(300):
            if found := re.search(r"operator console: (\S+)/", log.read_text()):
                break
            time.sleep(0.1)
        else:
            pytest.fail(log.read_text())
        yield process, found[1]
    finally:
        process.kill()
        process.communicate()


BUN = {"pupil": RICH, "n.bun": "1"}


def forms(url: str, times: int) -> int:
    """Sell a bun from the console so many times, each form sent twice; how many were sold."""
    with httpx.Client(base_url=url, timeout=30) as browser:
        token = re.search(r'name="csrf" value="([^"]+)"', browser.get("/sign-in?typed=1").text)
        assert token is not None
        browser.post("/sign-in", data={"csrf": token[1], "ref": CASHIER, "pin": PIN})
        sold = 0
        for _ in range(times):
            html = browser.get("/canteen/buffet", params=BUN, follow_redirects=True).text
            form = re.search(r'action="/canteen/sell">(.*?)</form>', html, re.S)
            assert form is not None, html
            fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form[1]))
            answers = [browser.post("/canteen/sell", data=fields) for _ in range(2)]
            places = {answer.headers.get("location") for answer in answers}
            assert [answer.status_code for answer in answers] == [303, 303]
            assert len(places) == 1, "the same sale"
            sold += 1
        browser.get("/canteen/counter")  # from here on cards are meals again
    return sold


def test_every_window_at_once_and_the_books_add_up(school: Run, tmp_path: Path) -> None:
    """With processes: nothing lost, nothing twice, and in no answer anything but the answer."""
    (tmp_path / "3B").write_text("a file named as a class")

    def issuing(_window: int) -> list[str]:
        issue = ("canteen", "issue", *AT, "--class", "3B", "--serving", "breakfast")
        return [school(*issue).stdout for _ in range(ROUNDS)]

    def selling(_window: int) -> list[str]:
        sell = ("canteen", "sell", RICH, "--product", "bun", *AT, "--json")
        return [school(*sell).stdout for _ in range(ROUNDS)]

    with serving(tmp_path) as (terminal, url), ThreadPoolExecutor(5) as hands:
        lists = [hands.submit(issuing, window) for window in range(2)]
        sales = [hands.submit(selling, window) for window in range(2)]
        console = hands.submit(forms, url, ROUNDS)
        issued = [text for window in lists for text in window.result()]
        sold = [text for window in sales for text in window.result()]
        from_console = console.result()
        terminal.terminate()
        taps = [json.loads(line) for line in terminal.communicate(timeout=30)[0].splitlines()]
    assert terminal.returncode == 0

    served = Counter(re.findall(rf"^({'|'.join(CLASS)})  meal_ok$", "".join(issued), re.M))
    assert served == dict.fromkeys(CLASS, 1), "each pupil once, in whichever window"
    for text in issued:
        lines = text.splitlines()
        assert len(lines) == len(CLASS) + 1, text
        assert lines[-1].endswith(f" of {len(CLASS)} served")
    receipts = [json.loads(text) for text in sold]
    assert [receipt["message"] for receipt in receipts] == ["meal_ok"] * (2 * ROUNDS)
    assert len({receipt["sequence"] for receipt in receipts}) == 2 * ROUNDS

    rows = [json.loads(line) for line in school("journal", "show", "--json").stdout.splitlines()]
    kinds = Counter(row["kind"] for row in rows)
    assert [row["sequence"] for row in rows] == list(
        range(rows[0]["sequence"], rows[0]["sequence"] + len(rows))
    )
    assert kinds["MealServed"] == len(CLASS)
    assert kinds["BuffetSale"] == 2 * ROUNDS + from_console == 3 * ROUNDS
    accepted = [tap for tap in taps if tap["admission"] == "let_in"]
    assert accepted, taps
    assert len({tap["card_ref"] for tap in accepted}) == len(accepted), "one portion for a card"
    assert kinds["Committed"] == len(accepted)
    report = json.loads(school("canteen", "report", "--json", "--day", _today(rows)).stdout)
    assert report["buffet_minor"] == 3 * ROUNDS * BUN_MINOR
    assert (report["difference_minor"], report["duplicates"]) == (0, [])
    assert report["control"]["records"] == len(CLASS) + 3 * ROUNDS + len(accepted)


def _today(rows: list[dict[str, Any]]) -> str:
    return str(next(row["day"] for row in rows if row["kind"] == "BuffetSale"))


HOLDING = """
import sys, time
from pathlib import Path
from terminal.app.canteen import open_till
from terminal.app.station import Station
from terminal.canteen.control import open_control
from terminal.clock import SystemClock

class Turn:
    def __enter__(self):
        print("asked", flush=True)
        time.sleep(60)

    def __exit__(self, *_):
        pass

station = Station(1, "canteen", Path("var/terminal"), "demo")
with open_till(station, SystemClock()) as till, open_control(station.state, till, Turn(), print):
    print("ready", flush=True)
    time.sleep(60)
"""
"""A terminal that is always in the middle of a tap."""


def test_a_terminal_killed_in_the_middle_of_a_request(school: Run, tmp_path: Path) -> None:
    """kill -9: the command says that it is not known whether it was done; at rest the same command works again."""
    sell = ("canteen", "sell", RICH, "--product", "bun", *AT)
    holding = subprocess.Popen(
        [sys.executable, "-c", HOLDING], cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holding.stdout is not None
        assert holding.stdout.readline() == "ready\n"
        selling = subprocess.Popen(
            command(sell), cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
        )
        assert holding.stdout.readline() == "asked\n"
        holding.kill()
        told = selling.communicate(timeout=30)[1]
    finally:
        holding.kill()
        holding.communicate()
    assert selling.returncode == ControlError.exit_code
    assert told == (
        "terminal: the running terminal's answer was lost. Whether this was done is not known: look at "
        "`terminal canteen report` before you ask again.\n"
    )
    assert (tmp_path / "var/terminal/canteen/counter.json").exists(), "left behind"
    assert school(*sell).stdout == "meal_ok  RUB 35.00\n"
    report = json.loads(school("canteen", "report", "--json").stdout)
    assert report["buffet_minor"] == BUN_MINOR


def test_windows_at_a_terminal_at_rest_wait_for_one_another(school: Run) -> None:
    """No process serves: each window opens the journal itself, and none tells its cashier to stop another."""

    def sell(_window: int) -> subprocess.CompletedProcess[str]:
        return school("canteen", "sell", RICH, "--product", "bun", *AT)

    with ThreadPoolExecutor(4) as windows:
        sold = list(windows.map(sell, range(6)))
    assert [(done.returncode, done.stderr) for done in sold] == [(0, "")] * 6
    report = json.loads(school("canteen", "report", "--json").stdout)
    assert report["buffet_minor"] == 6 * BUN_MINOR
