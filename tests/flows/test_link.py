"""Two tills of one school, each `terminal run` in a process of its own: what one hands out, the other asks about."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from shutil import copyfile
from typing import Any, Final

import httpx
import msgspec
import pytest

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
from tests.flows.live import STATE, TAPS, live_terminal, told_of
from tests.flows.test_live_canteen import School, canteen
from tests.terminal.canteen.school import CASHIER, TEACHER, grant
from tests.terminal.media.test_phone_live import phone_in

PEERS: Final = {FactSource.PEERS: frozenset({"canteen.elsewhere"})}
"""What this module shows of what other terminals say."""
FREE: Final = {"grants": (grant(11),)}
NAMES: Final = ("anna", "boris", "vera")
PHONES: Final = ("dina", "egor")
"""Whose card is a phone."""
TAKES: Final = {
    "media": {"order": ["resident", "phone"], "codes": True},
    "periphery.scanner": {"serial": "codes"},
}


def free_port(kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Till(School):
    """One that has a scanner."""

    scanner: SimScanner

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
    metrics = free_port(socket.SOCK_STREAM)
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
            tables: dict[str, Any] = {"link": link, **TAKES}
            scanners[number] = SimScanner(PseudoTerminal(folder / "codes"))
            stack.callback(scanners[number].close)
            if number == 2:
                tables |= {"metrics": {"port": metrics}, "console": {"enabled": True, "port": 0}}
            own = canteen(folder, **tables)
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
            school.enrol(1, **dict.fromkeys((*NAMES, *PHONES), FREE))
        second.scanner = scanners[2]
        yield first, second, metrics


def until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + 40
    while not holds():
        assert time.monotonic() < ends, "it did not come"
        time.sleep(0.05)


def marks(metrics: int) -> float:
    """How many marks the second till holds of the first."""
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
