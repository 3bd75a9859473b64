"""Two tills of one school, each `terminal run` in a process of its own: what one hands out, the other asks about."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from shutil import copyfile
from typing import Any, Final

import httpx
import msgspec
import pytest
from playwright.sync_api import Page, expect

from sim.image_file import load_image
from sim.periphery.pseudo_terminal import PseudoTerminal
from sim.periphery.scanner import SimScanner
from sim.phone import VirtualPhone
from terminal.canteen.issuing import How
from terminal.canteen.requests import AnnulLast, IssueMeals
from terminal.clock import from_unix_ms
from terminal.operations.status import EVERY_S as STATUS_EVERY_S
from terminal.screen.console.roles import Role
from terminal.sync.credentials import load_or_make_keys
from terminal.trip.producers import FactSource
from tests.flows.live import DAY, STATE, TAPS, live_terminal, run, told_of
from tests.flows.test_live_canteen import School, canteen
from tests.terminal.canteen.school import CASHIER, TEACHER, grant
from tests.terminal.media.test_phone_live import on_paper, phone_in
from tests.terminal.screen.browser import NewPage, browser, new_page
from tests.terminal.screen.console.cab import KEYS
from tests.terminal.setup.guide import press_through, steps_of

__all__ = ["browser", "new_page"]

PEERS: Final = {FactSource.PEERS: frozenset({"canteen.elsewhere"})}
"""What this module shows of what other terminals say."""
FREE: Final = {"grants": (grant(11),)}
PAYS: Final = {"hot_minor": 50_000}
"""Whose parents pay, and have."""
NAMES: Final = ("anna", "boris", "vera")
PHONES: Final = ("dina", "egor")
"""Whose card is a phone."""
PAPERS: Final = {"fedya": b"fedya   ", "galya": b"galya   ", "zoya": b"zoya    "}
"""Who shows a code on paper, by pseudonym."""
TAKES: Final = {
    "media": {"order": ["resident", "phone"], "codes": True},
    "periphery.scanner": {"serial": "codes"},
}


METRICS: dict[int, int] = {}
"""The port of each till's metrics."""


def free_port(kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def on_paper_too(region: Path) -> None:
    """Let the pupils of `FREE` show a code on paper, and those of another concession that gives no meal; a concession
    that no list has is the cashier's to decide.
    """
    text = region.read_text("utf-8")
    for name in ('name = "pupil with special needs"\n', 'name = "pensioner, free"\n'):
        assert text.count(name) == 1
        text = text.replace(name, f"{name}printed = true\n")
    assert text.count('not_listed = "serve"') == 1
    region.write_text(text.replace('not_listed = "serve"', 'not_listed = "ask"'), "utf-8")


class Till(School):
    """One that has a scanner."""

    scanner: SimScanner

    def ref(self, name: str) -> bytes:
        """The pupil behind a card, a phone or a code on paper."""
        return KEYS.token("school", PAPERS[name]) if name in PAPERS else super().ref(name)

    def reads(self, paper: str) -> str:
        """The cashier's page when a printed code has been read."""
        assert self.terminal.console is not None
        console = self.terminal.console
        before = console.get("/canteen/printed").text
        self.scanner.scan(paper.encode())
        until(lambda: console.get("/canteen/printed").text != before)
        return console.get("/canteen/printed").text

    def goes_to(self, page: Page, name: str) -> None:
        """Open one of the canteen's pages, in a browser of the one who is signed in."""
        console = self.terminal.console
        assert console is not None
        signed_in = [
            {"name": c.name, "value": c.value, "url": str(console.base_url)} for c in console.cookies.jar
        ]
        page.context.add_cookies(signed_in)  # type: ignore[arg-type]
        page.goto(f"{console.base_url}/canteen/{name}")

    def report(self) -> dict[str, Any]:
        """The day's report as the product's command prints it."""
        printed = run(self.terminal.folder, "canteen", "report", "--day", DAY, "--json")
        found: dict[str, Any] = msgspec.json.decode(printed)
        return found

    def agrees(self, presses: Callable[[], None] | None = None) -> dict[str, Any]:
        """The row after the cashier has said that it is this pupil."""
        head = self.terminal.head()
        if presses is None:
            self.terminal.act("/canteen/printed", "/canteen/printed")
        else:
            presses()
        until(lambda: any(row["kind"] in TAPS for row in self.terminal.rows(head)))
        (row,) = (row for row in self.terminal.rows(head) if row["kind"] in TAPS)
        return told_of(row)

    def scans(self, phone: VirtualPhone) -> dict[str, Any]:
        """The row of a code that a phone shows now."""
        head = self.terminal.head()
        at = from_unix_ms(self.terminal.rows()[-1]["at_ms"])
        self.scanner.scan(phone.code(at).encode())
        until(lambda: any(row["kind"] in TAPS for row in self.terminal.rows(head)))
        (row,) = (row for row in self.terminal.rows(head) if row["kind"] in TAPS)
        return told_of(row)


@pytest.fixture(scope="module")
def tills(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Till, Till, int]]:
    """Both with the same list; the cards of the second, and the port of its metrics."""
    folders = {number: tmp_path_factory.mktemp(f"till{number}") for number in (1, 2)}
    ports = {number: free_port() for number in folders}
    for folder in folders.values():
        load_or_make_keys(folder / STATE / "terminal.key")
        (folder / "peers").mkdir()
    with ExitStack() as stack:
        schools: list[Till] = []
        scanners: dict[int, SimScanner] = {}
        for number, folder in folders.items():
            other = 3 - number
            copyfile(folders[other] / STATE / "terminal.pub", folder / f"peers/{other}.pub")
            link = {
                "listen": f"127.0.0.1:{ports[number]}",
                "peers": [f"{other}@127.0.0.1:{ports[other]}"],
                "identities": "peers",
            }
            metrics = METRICS[number] = free_port(socket.SOCK_STREAM)
            tables: dict[str, Any] = {"link": link, "metrics": {"port": metrics}, **TAKES}
            scanners[number] = SimScanner(PseudoTerminal(folder / "codes"))
            stack.callback(scanners[number].close)
            if number == 2:
                tables |= {"console": {"enabled": True, "port": 0}}
            own = canteen(folder, **tables)
            on_paper_too(folder / "region.toml")
            own["terminal"] = {**own["terminal"], "number": number}
            schools.append(Till(stack.enter_context(live_terminal(folder, **own))))
        first, second = schools
        for name in NAMES:
            second.card(name)
            first.cards[name] = second.cards[name]
            copyfile(second.terminal.folder / second.cards[name], folders[1] / second.cards[name])
        for name in PHONES:
            made = phone_in(folders[2], name)
            copyfile(made, folders[1] / made.name)
            first.cards[name] = second.cards[name] = made.name
        for school in schools:
            school.enrol(1, **dict.fromkeys((*NAMES, *PHONES, "fedya"), FREE), galya=PAYS)
        second.scanner = scanners[2]
        yield first, second, METRICS[2]


def until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + 40
    while not holds():
        assert time.monotonic() < ends, "it did not come"
        time.sleep(0.05)


def marks(metrics: int) -> float:
    """How many marks a till holds of the other."""
    text = httpx.get(f"http://127.0.0.1:{metrics}/metrics", timeout=20).text
    found = [line for line in text.splitlines() if line.startswith("resident_terminal_link_marks ")]
    assert found, text
    return float(found[0].split()[1])


def test_o_08_what_one_till_hands_out_the_other_asks_about(tills: tuple[Till, Till, int]) -> None:
    first, second, metrics = tills
    given = IssueMeals(CASHIER, (first.ref("anna"),), how=How.FORGOTTEN_CARD, confirmed_by=TEACHER)
    assert first.terminal.ask(given).pupils[0].accepted
    until(lambda: marks(metrics) >= 1)
    asked = second.tap("anna")
    assert (asked["message"], asked["trip"]["canteen.elsewhere"]) == ("meal_ask", 1)
    assert "o-08:ask_elsewhere" in dict(asked["reasons"])
    assert second.tap("boris")["message"] == "meal_ok", "of others nothing was said"
    answered = IssueMeals(
        CASHIER, (second.ref("anna"),), how=How.FORGOTTEN_CARD, confirmed_by=TEACHER, asked=True
    )
    assert second.terminal.ask(answered).pupils[0].accepted, "it asks, and refuses nothing"
    (row,) = [row for row in second.terminal.rows() if row["kind"] == "MealServed"]
    assert "served_elsewhere" in row["meal"][6]
    first.terminal.ask(AnnulLast(first.ref("anna"), CASHIER))
    until(lambda: marks(metrics) >= 2)
    second.terminal.ask(AnnulLast(second.ref("anna"), CASHIER))
    assert second.tap("anna")["message"] == "meal_ok", "what was annulled is not asked about"


def test_m_30_a_tap_at_the_buffet_says_who_stands_there(tills: tuple[Till, Till, int]) -> None:
    _, second, _ = tills
    second.terminal.sign_in(Role.CASHIER)
    assert second.terminal.console is not None
    shown = second.terminal.console.get("/canteen/buffet", follow_redirects=True).text
    assert "Карта сейчас: кто покупает" in shown
    read = second.tap("vera")
    assert (read["message"], read["trip"]["canteen.only_read"]) == ("card_read", True)
    second.terminal.console.get("/canteen/counter")


def test_a_pupils_phone_and_its_code_are_served_once_and_asked_about_at_the_other_till(
    tills: tuple[Till, Till, int],
) -> None:
    first, second, metrics = tills
    heard = marks(metrics)
    assert first.tap("dina")["message"] == "meal_ok"
    until(lambda: marks(metrics) > heard)
    asked = second.tap("dina")
    assert (asked["message"], asked["trip"]["canteen.elsewhere"]) == ("meal_ask", 1)
    egor = load_image(second.terminal.folder / second.cards["egor"], os.urandom)
    assert isinstance(egor, VirtualPhone)
    by_code = second.scans(egor)
    assert by_code["message"] == "meal_ok"
    assert "phone:code_shown" in dict(by_code["reasons"])
    assert second.tap("egor")["message"] == "meal_already", "the code was of the same phone"


def test_a_printed_code_is_served_when_the_cashier_knows_the_pupil_of_the_list(
    tills: tuple[Till, Till, int], new_page: NewPage
) -> None:
    """M-35, M-19: paper is copied, so the list says who should stand there; it is one meal whichever print is shown."""
    first, second, _ = tills
    second.terminal.sign_in(Role.CASHIER)
    assert second.terminal.console is not None
    codes = {"fedya": 11, "galya": 1, "zoya": 11}
    paper = {name: on_paper(code, pseudonym=PAPERS[name]) for name, code in codes.items()}
    before = second.terminal.head()
    shown = second.reads(paper["fedya"])
    assert 'action="/canteen/printed"' in shown
    assert "3a" in shown
    assert second.terminal.head() == before, "what was not checked leaves no row"
    assert 'href="/canteen/printed"' in second.terminal.console.get("/canteen/counter").text
    heard, page = marks(METRICS[1]), new_page(width=1024, height=600)
    second.goes_to(page, "shift")

    def by_the_guide() -> None:
        for step in steps_of("stolovaya.md", "Телефон и код"):
            press_through(page, step, {})

    served = second.agrees(by_the_guide)
    expect(page.get_by_text("Выдать: завтрак")).to_be_visible(timeout=40_000)
    assert (served["message"], served["sources"]) == ("meal_ok", {"federal": 4265, "regional": 2844})
    assert "phone:printed_checked" in served
    second.reads(on_paper(11, pseudonym=PAPERS["fedya"]))
    assert second.agrees()["message"] == "meal_already", "another print is the same pupil's"
    until(lambda: marks(METRICS[1]) > heard)
    given = IssueMeals(CASHIER, (first.ref("fedya"),), how=How.FORGOTTEN_CARD, confirmed_by=TEACHER)
    (asked,) = first.terminal.ask(given).pupils
    assert not asked.accepted, "the other till asks"
    second.reads(paper["galya"])
    refused = second.agrees()
    assert refused["message"] == "code_printed", "parents' money is not spent on a copy"
    assert "phone:not_on_paper" in refused
    assert 'action="/canteen/printed"' not in second.reads(paper["zoya"]), "in no list here: no second check"


def test_o_02_a_concession_in_no_list_claims_money_only_by_the_cashiers_word(
    tills: tuple[Till, Till, int], new_page: NewPage
) -> None:
    """The reason is on the cashier's page before the portion, and in the report after it; once, whatever is pressed."""
    _, second, _ = tills
    second.card("unlisted", "pupil_grade3")
    second.terminal.sign_in(Role.CASHIER)
    page = new_page(width=1024, height=600)
    second.goes_to(page, "counter")
    before, asked = second.report(), second.tap("unlisted")
    assert asked["message"] == "meal_ask"
    assert "o-02:ask_not_listed" in dict(asked["reasons"])
    question = page.locator(".standing .ask")
    expect(page.locator(".standing-name")).to_have_text("Карты нет в списке", timeout=40_000)
    expect(page.locator(".standing .ask-why")).to_have_text(
        "На карте есть льгота, но карты нет в списке школы."
    )
    silent, head = second.report(), second.terminal.head()
    assert (silent["sources"], silent["control"]) == (before["sources"], before["control"])
    question.locator("button").click()
    expect(page.locator(".handout-ok")).to_contain_text("Завтрак", timeout=40_000)
    (row,) = second.terminal.rows(head)
    served, portion = told_of(row), {"federal": 4265, "regional": 2134, "municipal": 710}
    assert (row["kind"], row["how"], served["sources"]) == ("MealServed", "asked", portion)
    assert "not_in_roster" in served["flags"]
    page.go_back()
    page.reload()
    expect(question.locator("button")).to_have_count(0)
    assert second.terminal.head() == row["sequence"], "once means once"
    after = second.report()
    moved = {source: after["sources"][source] - silent["sources"].get(source, 0) for source in portion}
    assert moved == portion
    claimed = after["control"]["records_minor"] - silent["control"]["records_minor"]
    assert claimed == sum(portion.values())
    second.goes_to(page, "report")
    finding = page.locator("tr").filter(has_text=f"2/{row['sequence']}")
    expect(finding).to_contain_text("Карты нет в списке")
    expect(finding).to_contain_text(": нет в списке")
    expect(finding).to_contain_text("71,09")


def test_a_dead_peer_is_seen_in_health_and_costs_a_tap_nothing(tills: tuple[Till, Till, int]) -> None:
    first, second, _ = tills
    first.terminal.hand.process.kill()
    first.terminal.hand.process.wait(timeout=30)
    began = time.monotonic()
    assert second.tap("vera")["message"] == "meal_ok"
    assert time.monotonic() - began < 20
    status = second.terminal.folder / STATE / "status.json"

    def shown() -> bool:
        """The status is written every so many seconds of the terminal's clock, which goes on by hand."""
        second.terminal.hand.say("clock", step_s=STATUS_EVERY_S)
        return bool(msgspec.json.decode(status.read_bytes())["link"]["peers"][0]["waiting"] >= 1)

    until(shown)
