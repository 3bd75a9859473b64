"""An inspector's hand terminal beside a bus, each `terminal run` in a process of its own, used as the inspector's guide
says: whether a ride is paid by the card, or by the vehicle's own record over the link, and which of the two it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from shutil import copyfile
from typing import Any, Final

import pytest
from playwright.sync_api import expect

from terminal.policy.load import region_path
from terminal.screen.console.roles import Role
from terminal.sync.credentials import load_or_make_keys
from terminal.trip.producers import FactSource
from tests.flows.live import ROUTES, STATE, LiveTerminal, live_terminal
from tests.flows.test_link import free_port
from tests.flows.test_recomputed import until
from tests.terminal.media.test_bank_live import card_in
from tests.terminal.screen.browser import NewPage, assert_accessible, browser, new_page
from tests.terminal.setup.guide import press_through, steps_of

__all__ = ["browser", "new_page"]

INSPECTED: Final = {FactSource.PEERS: frozenset({"inspection.heard", "inspection.said_at"})}
"""What this module shows of what the vehicle's terminal says."""
CONSOLE: Final = {"enabled": True, "port": 0, "typed_sign_in": True}
BUS, HAND = 7, 8


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[LiveTerminal, LiveTerminal]]:
    """The terminal of the vehicle and the one in the inspector's hand, which hear each other."""
    folders, ports = {n: tmp_path / str(n) for n in (BUS, HAND)}, {n: free_port() for n in (BUS, HAND)}
    for folder in folders.values():
        (folder / "peers").mkdir(parents=True)
        load_or_make_keys(folder / STATE / "terminal.key")
        (folder / "routes.toml").write_text(ROUTES, "utf-8")
        text = region_path("demo").read_text("utf-8")
        taken = text.replace('media = ["transport_card"]', 'media = ["transport_card", "bank_card"]', 1)
        (folder / "region.toml").write_text(taken, "utf-8")
    with ExitStack() as stack:
        running = []
        for number, folder in folders.items():
            other = BUS + HAND - number
            copyfile(folders[other] / STATE / "terminal.pub", folder / f"peers/{other}.pub")
            link = {"listen": f"127.0.0.1:{ports[number]}", "peers": [f"{other}@127.0.0.1:{ports[other]}"]}
            tables: dict[str, Any] = {
                "terminal": {"profile": "bus", "number": number, "region": "region.toml"},
                "media": {"order": ["resident", "bank"]},
                "lists": {"routes": "routes.toml"},
                "console": CONSOLE,
                "link": {**link, "identities": "peers"},
            }
            running.append(stack.enter_context(live_terminal(folder, **tables)))
        yield running[0], running[1]


def test_t_70_a_hand_terminal_answers_by_the_card_and_by_the_vehicles_record_and_says_which(
    pair: tuple[LiveTerminal, LiveTerminal], new_page: NewPage
) -> None:
    bus, hand = pair
    assert bus.console is not None
    assert hand.console is not None
    card, free = bus.card("adult_purse"), bus.card("free_pensioner")
    bank = card_in(bus.folder, "bank_cda").name
    for name in (card, free, bank):  # as they were before any ride
        copyfile(bus.folder / name, hand.folder / name)
    bus.sign_in(Role.DRIVER)
    bus.act("/shift", "/shift/open", run="15-0")
    bus.act("/shift", "/shift/turn", run="15-1")
    hand.sign_in(Role.INSPECTOR)
    page, console = new_page(width=480, height=272, has_touch=True), hand.console
    token = [
        {"name": one.name, "value": one.value, "url": str(console.base_url)} for one in console.cookies.jar
    ]
    page.context.add_cookies(token)  # type: ignore[arg-type]
    until(lambda: "Терминал машины сообщает маршрут" in console.get("/inspection").text)
    page.goto(f"{console.base_url}")
    steps = steps_of("kontrolyor.md", "Проверка")
    press_through(page, steps[0], {})
    expect(page.locator("input[name=run]:checked")).to_have_value("15-1")  # the turn under way, not the first
    press_through(page, steps[1], {})
    verdict = page.locator("[data-live=result]")
    expect(page.get_by_role("heading", name="Последняя карта")).to_be_visible()
    assert_accessible(page)

    unpaid = hand.tap(card)
    assert (unpaid["message"], unpaid["trip"]["inspection.heard"]) == ("inspection_unpaid", True)
    expect(verdict).to_contain_text("Оплаты нет")
    bus.tap(card)
    said = until(lambda: row if (row := hand.tap(card))["message"] == "inspection_paid" else None)
    assert "t-70:paid_by_vehicle" in dict(said["reasons"])
    assert said["trip"]["inspection.said_at"] * 1000 <= said["at_ms"]
    expect(verdict).to_contain_text("По записи машины")
    copyfile(bus.folder / card, hand.folder / "after.json")
    assert "t-70:paid_here" in dict(hand.tap("after.json")["reasons"])
    expect(verdict).to_contain_text("По карте.")

    assert dict(hand.tap(bank)["reasons"]).keys() == {"t-70:bank_card_not_seen"}, "the vehicle is heard"
    bus.tap(bank)
    said = until(lambda: row if (row := hand.tap(bank))["message"] == "inspection_paid" else None)
    assert dict(said["reasons"]).keys() == {"t-70:bank_card_seen"}, "by what the vehicle keeps of its token"
    expect(verdict).to_contain_text("По записи машины")

    press_through(page, steps[3], {})
    expect(page.get_by_role("button", name="Больше не отмечать чужие карты")).to_be_visible()
    misused = hand.tap(free)
    assert (misused["message"], misused["flags"]) == ("inspection_unpaid", ["misuse"])
    expect(verdict).to_contain_text("Записано: льготная карта у чужого человека")
    for step in steps[4:]:
        press_through(page, step, {})
    expect(page.get_by_role("button", name="Начать контроль")).to_be_visible()
    kinds = {row["kind"] for row in hand.rows()}
    assert kinds.isdisjoint({"Intent", "Committed"}), "T-70: it changes nothing"
