"""A morning at the office, in a browser, with what a real terminal uploaded to `terminal collector`: what waits, a day,
a ride, an alarm, the carriers' month.
"""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date
from pathlib import Path
from threading import Barrier
from typing import Any, Final
from zoneinfo import ZoneInfo

import httpx
import pytest
from playwright.sync_api import Page, expect

from sim.card.virtual import VirtualCard
from sim.image_file import save_card
from terminal.app.simulated import issue_residents
from terminal.clock import SystemClock, unix_ms
from terminal.collector.days import ServiceCalendar
from terminal.collector.users import OfficeRole
from terminal.files import create_file
from terminal.publish.deny.register import begin_register
from terminal.support_code import support_code
from tests.by_hand import BY_HAND
from tests.flows.live import PATIENCE_S, collector, live_terminal, run
from tests.flows.test_audit import registered
from tests.flows.test_recomputed import TABLES, until
from tests.terminal.cli.conftest import ENVIRONMENT, command
from tests.terminal.collector.office import user_of
from tests.terminal.screen.browser import assert_accessible, browser, new_page, page
from tests.terminal.setup.guide import press_through, steps_of

__all__ = ["browser", "new_page", "page"]

PASSWORD: Final = "correct horse battery"
CARRIERS: Final = """
split = "legs"

[header]
id = "carriers"
version = 1
region = 34
issued_at = 2026-01-01T00:00:00+03:00

[[carriers]]
id = "trams"
name = "Трамвайное депо"
routes = [{ number = 15 }]

[[carriers]]
id = "buses"
name = "Автобусный парк"
routes = [{ number = 16 }]
"""


RESIDENTS: Final = ("adult_purse", "student_half_price", "month_pass")


class OfficeMorning:
    """A collector with what one bus has sent, and its folder."""

    def __init__(self, folder: Path, url: str, rows: list[dict[str, Any]]) -> None:
        self.folder, self.url, self.rows = folder, url, rows

    def sign_in(self, page: Page, ref: str, language: str = "ru") -> None:
        page.goto(f"{self.url}/operator/sign-in?language={language}")
        page.fill("input[name=ref]", ref)
        page.fill("input[name=password]", PASSWORD)
        page.click("form.sign-in button")
        page.wait_for_url("**/operator/")


@pytest.fixture(scope="module")
def morning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OfficeMorning]:
    """Two turns of one bus on two carriers' routes: a purse that changes free of charge, a student, a pass."""
    folder = tmp_path_factory.mktemp("office")
    rows: list[dict[str, Any]] = []
    begin_register(folder / "deny")
    registered(folder, [save_resident(folder, name) for name in RESIDENTS])
    for route, starts in ((15, "2026-09-15T08:00:00+03:00"), (16, "2026-09-15T08:20:00+03:00")):
        rows += ridden(folder, route, starts)
    files = ("--registry", "registry.json", "--deny", "deny")
    with collector(folder, options=files) as url:
        run(folder, "sync", "--collector", url)
        (folder / "carriers.toml").write_text(CARRIERS, "utf-8")
        office(folder, "settlement", "carriers", folder / "carriers.toml")
        both = (OfficeRole.MONEY, OfficeRole.OPERATE)
        for ref, roles in (("11", both), ("12", both[:1]), ("13", both[1:])):
            token = user_of(folder / "collector", ref, *roles, password=PASSWORD)
            create_file(folder / ref, token.encode(), 0o600)
        found = OfficeMorning(folder, url, rows)
        until(lambda: office(folder, "report", "--day", "2026-09-15", "--json")["behind"] == 0)
        yield found


def ridden(folder: Path, route: int, starts: str) -> list[dict[str, Any]]:
    tables = {
        "terminal": TABLES["terminal"] | {"region": "demo"},
        "shift": {"operator": "17", "route": route},
        "laboratory": {**BY_HAND, "starts_at": starts},
    }
    with live_terminal(folder, **tables) as bus:
        found = [bus.tap(card) for card in cards()]
    run(folder, "shift", "close")
    return found


def cards() -> list[str]:
    return [f"{name}.json" for name in RESIDENTS]


def office(folder: Path, *words: object) -> Any:
    """What a command at the collector's machine prints."""
    done = subprocess.run(
        command(("collector", *words, "--folder", "collector")),
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if "--json" in words else done.stdout


def test_the_carriers_month_is_the_records_to_the_kopeck(morning: OfficeMorning, page: Page) -> None:
    charged = [row["charge_minor"] for row in morning.rows]
    assert charged == [2400, 2000, 0, 0, 0, 0], "the second ride of each is a transfer or covered"
    code = support_code(7, morning.rows[0]["sequence"])
    said: dict[str, Callable[[], str]] = {"Пароль": lambda: PASSWORD, "Код обращения": lambda: code}
    page.goto(f"{morning.url}/operator/sign-in?language=ru")
    for heading in ("Вход", "Обращение пассажира", "Расчёты с перевозчиками"):
        for step in steps_of("ofis.md", heading):
            press_through(page, step, said)
    lines = page.locator("table").first.locator("tbody tr").all_inner_texts()
    due = {line.split("\t")[0]: line.split("\t")[-1] for line in lines}
    assert due == {"Автобусный парк": "22.00", "Трамвайное депо": "22.00"}
    assert_accessible(page)
    with page.expect_download() as download:
        page.click("text=CSV")
    assert "Трамвайное депо" in Path(download.value.path()).read_text("utf-8")
    for by in ("route", "product", "concession", "day"):
        page.click(f"a[href$='by={by}']")
    assert "15.09.2026" in page.inner_text("main")
    page.click("text=Закрыть месяц")
    assert "ждёт подтверждения" in page.inner_text(".notice")


def test_a_statement_is_signed_and_a_changed_one_is_found(morning: OfficeMorning) -> None:
    folder = morning.folder
    office(folder, "settlement", "export", "2026-09", "--out", "stated", "--region", "demo")
    names = {file.name for file in (folder / "stated").iterdir()}
    assert names == {
        *("settlement-2026-09.csv", "settlement-2026-09.xlsx", "fare_transactions.csv", "orders-2026-09.csv"),
        *("settlement.json", "settlement.sig"),
    }
    check = command(("collector", "settlement", "check", "stated", "--key", "collector/collector.pub"))
    assert subprocess.run(check, cwd=folder, env=ENVIRONMENT, check=False, timeout=PATIENCE_S).returncode == 0
    table = folder / "stated/settlement-2026-09.csv"
    table.write_bytes(table.read_bytes().replace(b"22.00", b"23.00"))
    assert subprocess.run(check, cwd=folder, env=ENVIRONMENT, check=False, timeout=PATIENCE_S).returncode != 0


def test_the_page_renews_itself_and_leaves_what_is_typed(morning: OfficeMorning, page: Page) -> None:
    morning.sign_in(page, "13")
    assert page.locator("meta[http-equiv]").count() == 0
    before = page.inner_text("ul.tiles")
    page.fill("input[name=code]", "typed")
    bus = ridden_again(morning)
    assert page.input_value("input[name=code]") == "typed"
    page.fill("input[name=code]", "")
    page.wait_for_function("was => document.querySelector('ul.tiles').innerText !== was", arg=before)
    code = support_code(7, bus["sequence"])
    page.fill("input[name=code]", code)
    page.click("text=Найти")
    assert f"15.09.2026 11:00 терминал 7, запись {bus['sequence']}, маршрут 15" in page.inner_text("main")
    assert_accessible(page)


def test_the_morning_is_walked_and_terminals_say_what_is_in_force(morning: OfficeMorning, page: Page) -> None:
    """Another day, and an alarm acknowledged in its row."""
    morning.sign_in(page, "11")
    row = page.locator("[aria-label='Открытые тревоги'] tbody tr").filter(has_text="Сомнение в часах").first
    number = row.locator("td").first.inner_text()
    for step in steps_of("ofis.md", "Утро"):
        press_through(page, step, {})
    assert page.inner_text(".notice") == "Готово."
    said = office(morning.folder, "alarms", "--all")
    assert "11: часы сверены" in said
    assert number not in page.locator("[aria-label='Открытые тревоги'] td:first-child").all_inner_texts()
    assert "тариф demo:1" in page.inner_text("[aria-label='Терминалы']")
    page.goto(f"{morning.url}/operator/?day=2026-09-15&language=ru")
    assert_accessible(page)


def test_a_card_is_explained_from_what_the_collector_holds(morning: OfficeMorning, page: Page) -> None:
    """By its reference at the machine and on the page, by the card itself on a reader, or by route and time."""
    first, second = morning.rows[0], morning.rows[3]
    assert (first["card_ref"], second["message"]) == (second["card_ref"], "ok_transfer")
    shown = explained(morning.folder, "--card", first["card_ref"])
    assert shown == explained(morning.folder, "--reader", "sim:adult_purse.json")
    for said in ("обычный тариф по транспортной карте", "пересадка", "24,00", "маршрут 16"):
        assert said in shown.replace("\xa0", " "), shown
    morning.sign_in(page, "13")
    page.fill("input[name=card]", first["card_ref"])
    page.locator("form[action='/operator/rides'] button").first.click()
    assert "обычный тариф по транспортной карте" in page.inner_text("main")
    page.fill("input[name=day]", "2026-09-15")
    page.fill("input[name=route]", "16")
    page.fill("input[name=at]", "08:25")
    page.locator("form[action='/operator/rides'] button").last.click()
    found = page.inner_text("main")
    assert "маршрут 16" in found
    assert "маршрут 15" not in found
    assert_accessible(page)


def test_a_lost_card_is_replaced_and_a_ride_paid_back(morning: OfficeMorning, page: Page) -> None:
    """Each asked for by one, confirmed by another, carried out on the card by a third; terminals go on from there."""
    folder, ride, lost = morning.folder, morning.rows[0], morning.rows[1]["card_ref"]
    before = balance_of(folder, "adult_purse.json")
    code, left = support_code(7, ride["sequence"]), balance_of(folder, "student_half_price.json")
    said: dict[str, Callable[[], str]] = {"Пароль": lambda: PASSWORD, "Код обращения": lambda: code}
    said |= dict.fromkeys(
        ("Карта: код обращения или номер", "Потерянная карта: код обращения или номер в системе"),
        lambda: lost,
    )
    page.goto(f"{morning.url}/operator/sign-in?language=ru")
    for heading in ("Вход", "Потерянная карта и возврат за поездку"):
        for step in steps_of("ofis.md", heading):
            press_through(page, step, said)
            assert step.text.startswith("Укажите") or "Ничего не сделано" not in page.inner_text("main"), step
    shown = page.inner_text("main").replace("\xa0", " ")
    repaid, replaced = (int(one["number"]) for one in office(folder, "card", "orders", "--json")["orders"])
    assert f"{repaid} 24,00 ₽ обратно на карту" in shown
    assert_accessible(page)
    at_issuing_point(folder, repaid, "adult_purse.json")
    assert balance_of(folder, "adult_purse.json") == before + ride["charge_minor"]
    assert "too_much" in asks(folder, 44, "card", "repay", code, "--token-file", "11")
    denied = json.loads(deny(folder, "show", "--json"))["entries"]
    assert [(one["reason"], one["by"]) for one in denied] == [("lost", "11")]
    issued = json.loads(deny(folder, "issue", "--base", "--out", "published", "--json"))
    assert issued["issue"]["added"] == 1, "as after `terminal deny add`"
    number = replaced
    for name in ("new", "other"):
        save_blank(folder / f"{name}.json")
    at_issuing_point(folder, number, "new.json")
    assert balance_of(folder, "new.json") == left
    again = ("card", "order", number, "--token-file", folder / "13", "--reader", "sim:other.json")
    run(folder, *again, "--folder", "collector", "--deny", "deny", exits=44)

    old, new = ridden_with(morning, "student_half_price.json", "new.json")
    assert (old["card_ref"], new["balance_after_minor"]) == (lost, left - new["charge_minor"])
    shown = office(folder, "card", "orders", "--json")["orders"]
    assert [(one["state"], one["minor"]) for one in shown] == [("done", ride["charge_minor"]), ("done", left)]
    assert (shown[1]["onto"], shown[1]["later_minor"]) == (new["card_ref"], old["charge_minor"])
    assert "поздние записи потерянной карты" in office(folder, "card", "orders")
    settle_later(morning, page, number, old["charge_minor"])

    asks(folder, 0, "person", "copy", lost, "--out", "copy", "--token-file", "13")
    copied = json.loads((folder / "copy/copy.json").read_text())
    held = [row for row in morning.rows if row.get("card_ref") == lost] + [old]
    found = [row["sequence"] for row in copied["rows"] if row["kind"] == "Intent"]
    assert set(found) >= {row["sequence"] for row in held}
    assert [one["number"] for one in copied["orders"]] == [number]
    erased(morning, page, lost, new["card_ref"])
    check = command(("collector", "person", "check", "copy", "--key", "collector/collector.pub"))
    for changed in (False, True):
        if changed:
            file = folder / "copy/copy.json"
            file.write_bytes(file.read_bytes().replace(b'"terminal": 7', b'"terminal": 8', 1))
        done = subprocess.run(check, cwd=folder, env=ENVIRONMENT, check=False, timeout=PATIENCE_S)
        assert (done.returncode == 0) is not changed


FILES: Final = ("--registry", "registry.json", "--deny", "deny")


def settle_later(morning: OfficeMorning, page: Page, number: int, later_minor: int) -> None:
    """A part of what came later is forgiven, the rest settled on the new card; never more than there is, by two."""
    folder, before = morning.folder, balance_of(morning.folder, "new.json")
    said = asks(
        folder,
        0,
        "card",
        "forgive",
        str(number),
        "--minor",
        "300",
        "--comment",
        "наша ошибка",
        "--token-file",
        "11",
    )
    forgiven = int(said.split()[1])
    assert "same_person" in asks(folder, 44, "confirm", str(forgiven), "--token-file", "11")
    too_much = ("card", "settle", str(number), "--minor", str(later_minor), "--token-file", "12")
    assert "too_much" in asks(folder, 44, *too_much)
    asks(folder, 0, "confirm", str(forgiven), "--token-file", "12")
    morning.sign_in(page, "12")
    asked = page.get_by_role("group", name="Списать поздние записи с новой карты")
    asked.locator("input[name=subject]").fill(str(number))
    asked.locator("input[name=comment]").fill("поздние записи")
    asked.locator("button").click()
    settled = int(page.inner_text(".notice").split()[1])
    page.go_back()
    asked.locator("input[name=subject]").fill(str(number))
    asked.locator("input[name=comment]").fill("поздние записи")
    asked.locator("button").click()
    expect(page.locator(".notice")).to_contain_text(f" {settled} ")
    asks(folder, 0, "confirm", str(settled), "--token-file", "11")
    at_issuing_point(folder, settled, "new.json")
    at_issuing_point(folder, settled, "new.json")  # once
    assert balance_of(folder, "new.json") == before - (later_minor - 300)
    orders = {one["number"]: one for one in office(folder, "card", "orders", "--json")["orders"]}
    assert (orders[number]["later_minor"], orders[number]["undecided_minor"]) == (later_minor, 0)
    sums = {one["what"]: one for one in office(folder, "report", "--day", today(), "--json")["orders"]}
    onto = sums["replace_card"]["done_minor"] + sums["repay_ride"]["done_minor"]
    assert sums["onto_cards"]["done_minor"] == onto - (later_minor - 300)
    assert (sums["settle_later"]["done_minor"], sums["forgive_later"]["done_minor"]) == (
        later_minor - 300,
        300,
    )
    month = office(folder, "settlement", "show", today()[:7], "--json")["orders"]
    assert {one["what"]: one["done_minor"] for one in month} == {
        what: one["done_minor"] for what, one in sums.items()
    }
    page.goto(f"{morning.url}/operator/?day={today()}&language=ru")
    table = page.locator("table", has_text="прощено по поздним записям").last.inner_text()
    assert "3.00" in table
    assert_accessible(page)
    assert "списание поздних записей" in explained(folder, "--card", orders[settled]["card"]).replace(
        "\xa0", " "
    )


def erased(morning: OfficeMorning, page: Page, lost: str, new: str) -> None:
    """What names the holder goes after two people decided, whatever ends in between; rows, hashes and sums stay."""
    folder = morning.folder
    assert "days_open" in asks(folder, 44, "person", "erase", new, *FILES, "--token-file", "11")
    said = asks(folder, 0, "settlement", "close", "2026-09", "--token-file", "11")
    asks(folder, 0, "confirm", said.split()[1], "--token-file", "12")
    morning.sign_in(page, "11")
    form = page.get_by_role("group", name="Удалить сведения о держателе")
    form.locator("input[name=subject]").fill(new)
    form.locator("input[name=comment]").fill("просьба 7")
    form.locator("button").click()
    number = page.inner_text(".notice").split()[1]
    asks(folder, 44, "person", "carry-out", number, *FILES, "--token-file", "11")  # no second person yet
    assert "same_person" in asks(folder, 44, "confirm", number, "--token-file", "11")
    asks(folder, 0, "confirm", number, "--token-file", "12")
    before, rows = sums(folder), stored(folder)
    for _ in ended_everywhere(folder, number, "11"):
        assert stored(folder) == rows
    assert "carried_out" in asks(folder, 44, "person", "carry-out", number, *FILES, "--token-file", "12")
    assert (sums(folder), stored(folder)) == (before, rows)
    registry = json.loads((folder / "registry.json").read_text())
    assert not {lost, new} & {one["card_ref"] for one in registry["cards"]}
    with closing(sqlite3.connect(folder / "collector/collector.db")) as held:
        for table in ("request", "operation", "alarm"):
            everything = str(held.execute(f"SELECT * FROM {table}").fetchall())
            assert not [one for one in (lost, new, "наша ошибка", "просьба 7") if one in everything], table
    raw = b"".join(
        (folder / "collector" / name).read_bytes() for name in ("collector.db", "collector.db-wal")
    )
    assert "наша ошибка".encode() not in raw
    for card in (lost, new):
        assert "erased" in asks(folder, 44, "person", "erase", card, *FILES, "--token-file", "11")
        asks(folder, 44, "card", "lost", card, "--token-file", "11")
        out = f"copy-{card}"
        asks(folder, 0, "person", "copy", card, "--out", out, "--token-file", "13")
        copied = json.loads((folder / out / "copy.json").read_text())
        assert (copied["rows"], copied["orders"], copied["erased"]["request"]) == ([], [], int(number))
        assert "Здесь ничто не называет держателя" in (folder / out / "copy.txt").read_text()
    page.goto(f"{morning.url}/operator/rides?card={lost}&language=ru")
    assert page.locator("p").all_inner_texts() == ["Сведения о держателе этой карты удалены по его просьбе."]


def ended_everywhere(folder: Path, number: str, token: str) -> Iterator[None]:
    """The command killed with -9 at each of its steps, and at last done."""
    steps = ("forget", "erase", "_unname", "_off_the_disk", "")
    for step in steps:
        code = (
            "import os, signal, terminal.collector.erasing as work\n"
            "from terminal.publish.deny.cards import RegisteredDenials\n"
            "kill = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
            f"step = {step!r}\n"
            "if step == 'forget': RegisteredDenials.forget = kill\n"
            "elif step: setattr(work, step, kill)\n"
            "from terminal.cli.app import main\n"
            "main()\n"
        )
        words = ("collector", "person", "carry-out", number, *FILES, "--token-file", token)
        done = subprocess.run(
            [sys.executable, "-c", code, *words, "--folder", "collector"],
            cwd=folder,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
        assert (done.returncode == -signal.SIGKILL) == bool(step), (step, done.stderr)
        yield
        if step == "_off_the_disk":
            return


def sums(folder: Path) -> Any:
    """What money of the day, of the month and of the audit comes to."""
    audit = asked_of(folder, "audit", "2026-09-15", "--registry", "registry.json", "--json")
    said = json.loads(audit.stdout).get("statement", {})
    days = [
        office(folder, "report", "--day", "2026-09-15", "--by", by, "--json") for by in ("route", "proof")
    ]
    settled = office(folder, "settlement", "show", "2026-09", "--json")
    orders = office(folder, "report", "--day", today(), "--json")["orders"]
    return audit.returncode, said, days, settled, orders


def stored(folder: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "collector/collector.db")) as held:
        return held.execute("SELECT terminal, sequence, body, hash FROM record ORDER BY 1, 2").fetchall()


def today() -> str:
    """The service day that orders carried out now count on."""
    return ServiceCalendar(ZoneInfo("Europe/Moscow"), 3).day_of(unix_ms(SystemClock().now()))


def asks(folder: Path, exits: int, *words: str) -> str:
    done = asked_of(folder, *words)
    assert done.returncode == exits, done.stderr
    return done.stdout + done.stderr


def deny(folder: Path, *words: str) -> str:
    done = subprocess.run(
        command(("deny", *words, "--folder", "deny")),
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def asked_of(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(("collector", *words, "--folder", "collector")),
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )


def at_issuing_point(folder: Path, number: int, card: str) -> None:
    words = ("card", "order", number, "--token-file", folder / "13", "--reader", f"sim:{card}")
    files = ("--folder", "collector", "--deny", "deny", "--registry", "registry.json")
    assert f"order {number} is carried out" in run(folder, *words, *files)


def balance_of(folder: Path, card: str) -> int:
    held = json.loads(run(folder, "card", "read", "--reader", f"sim:{card}", "--json"))
    assert held["purse_agrees"]
    return int(held["purse_minor"])


def save_blank(file: Path) -> None:
    save_resident(file.parent, "blank_ev3", file.stem)


def save_resident(folder: Path, profile: str, name: str = "") -> Path:
    (made,) = issue_residents([profile], 34, date(2026, 9, 15))
    assert isinstance(made, VirtualCard)
    save_card(made, folder / f"{name or profile}.json")
    return folder / f"{name or profile}.json"


def ridden_with(morning: OfficeMorning, *cards: str) -> list[dict[str, Any]]:
    tables = {
        "terminal": TABLES["terminal"] | {"region": "demo"},
        "shift": {"operator": "17", "route": 15},
        "laboratory": {**BY_HAND, "starts_at": "2026-09-15T12:00:00+03:00"},
    }
    with live_terminal(morning.folder, **tables) as bus:
        found = [bus.tap(card) for card in cards]
    run(morning.folder, "shift", "close")
    run(morning.folder, "sync", "--collector", morning.url)
    until(lambda: office(morning.folder, "report", "--day", "2026-09-15", "--json")["behind"] == 0)
    return found


def explained(folder: Path, *words: str) -> str:
    done = subprocess.run(
        command(("explain", *words, "--folder", "collector")),
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def ridden_again(morning: OfficeMorning) -> dict[str, Any]:
    (row, *_) = ridden(morning.folder, 15, "2026-09-15T11:00:00+03:00")
    run(morning.folder, "sync", "--collector", morning.url)
    return row


MARKUP: Final = "<img src=x onerror=\"document.title='broken'\"> & «потеряна»"
WRONG: Final = ("0", "-1", "999999", "9" * 30, "x", MARKUP)
"""Numbers that no order has, typed past the checks of a browser."""
REFUSED: Final = re.compile("Такого номера нет|Ничего не сделано")


def test_two_at_one_instant_make_one_order_and_what_is_typed_is_text(
    morning: OfficeMorning, page: Page
) -> None:
    """Two confirm the same request at once: one does it, the other reads that it is decided."""
    folder = morning.folder
    tokens = [(folder / "12").read_text(), user_of(folder / "collector", "14", OfficeRole.MONEY)]
    words = ("card", "lost", morning.rows[0]["card_ref"], "--comment", MARKUP, "--token-file", "11")
    number = int(asks(folder, 0, *words).split()[1])
    before = office(folder, "card", "orders", "--json")["orders"]
    morning.sign_in(page, "12")
    expect(page.get_by_text(MARKUP)).to_be_visible()
    assert (page.locator("img[src=x]").count(), page.title() == "broken") == (0, False)
    at_once = Barrier(len(tokens))

    def confirm(token: str) -> int:
        at_once.wait(PATIENCE_S)
        place = f"{morning.url}/operator/v1/requests/{number}/confirmation"
        return httpx.post(place, headers={"authorization": f"Bearer {token}"}, timeout=PATIENCE_S).status_code

    with ThreadPoolExecutor(len(tokens)) as officers:
        assert sorted(officers.map(confirm, tokens)) == [204, 409]
    after = office(folder, "card", "orders", "--json")["orders"]
    assert len(after) == len(before) + 1
    for wrong in WRONG:
        asked = page.get_by_role("group", name="Списать поздние записи с новой карты")
        asked.locator("input[name=subject]").evaluate(
            "one => { one.type = 'text'; one.form.noValidate = true; }"
        )
        asked.locator("input[name=subject]").fill(wrong)
        asked.locator("input[name=comment]").fill("поздние записи")
        asked.locator("button").click()
        expect(page.locator(".notice"), wrong).to_have_text(REFUSED)
        page.goto(f"{morning.url}/operator/")
    assert office(folder, "card", "orders", "--json")["orders"] == after
