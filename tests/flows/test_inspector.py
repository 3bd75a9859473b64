"""An inspector's hand terminal beside a bus, each `terminal run` in a process of its own: whether a ride is paid it says
by the card, by the vehicle's own record over the link, and which of the two it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from shutil import copyfile
from typing import Any, Final

import pytest

from terminal.screen.console.roles import Role
from terminal.sync.credentials import load_or_make_keys
from terminal.trip.producers import FactSource
from tests.flows.live import ROUTES, STATE, LiveTerminal, live_terminal
from tests.flows.test_link import free_port
from tests.flows.test_recomputed import until

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
    with ExitStack() as stack:
        running = []
        for number, folder in folders.items():
            other = BUS + HAND - number
            copyfile(folders[other] / STATE / "terminal.pub", folder / f"peers/{other}.pub")
            link = {"listen": f"127.0.0.1:{ports[number]}", "peers": [f"{other}@127.0.0.1:{ports[other]}"]}
            tables: dict[str, Any] = {
                "terminal": {"profile": "bus", "number": number, "region": "demo"},
                "lists": {"routes": "routes.toml"},
                "console": CONSOLE,
                "link": {**link, "identities": "peers"},
            }
            running.append(stack.enter_context(live_terminal(folder, **tables)))
        yield running[0], running[1]


def test_t_70_a_hand_terminal_answers_by_the_card_and_by_the_vehicles_record_and_says_which(
    pair: tuple[LiveTerminal, LiveTerminal],
) -> None:
    bus, hand = pair
    assert bus.console is not None
    assert hand.console is not None
    card, spent = bus.card("adult_purse"), bus.card("month_pass")
    copyfile(bus.folder / card, hand.folder / "before.json")  # as it was before the ride
    bus.sign_in(Role.DRIVER)
    bus.act("/shift", "/shift/open", run="15-0")
    bus.act("/shift", "/shift/turn", run="15-1")
    hand.sign_in(Role.INSPECTOR)
    console = hand.console
    until(lambda: "Терминал машины сообщает маршрут" in console.get("/inspection").text)
    start = hand.form("/inspection", "/inspection/start")
    assert 'value="15-1" required checked' in console.get("/inspection").text, (
        "the turn under way, not the first"
    )
    assert console.post("/inspection/start", data=start | {"run": "15-1"}).status_code == 303

    unpaid = hand.tap("before.json")
    assert (unpaid["message"], unpaid["trip"]["inspection.heard"]) == ("inspection_unpaid", True)
    bus.tap(card)
    said = until(lambda: row if (row := hand.tap("before.json"))["message"] == "inspection_paid" else None)
    assert "t-70:paid_by_vehicle" in dict(said["reasons"])
    assert said["trip"]["inspection.said_at"] * 1000 <= said["at_ms"]
    assert "По записи машины" in console.get("/inspection").text
    copyfile(bus.folder / card, hand.folder / "after.json")
    shown = hand.tap("after.json")
    assert "t-70:paid_here" in dict(shown["reasons"])
    assert "По карте" in console.get("/inspection").text
    copyfile(bus.folder / spent, hand.folder / spent)
    assert hand.tap(spent)["message"] == "inspection_unpaid", "no ride of it was taken anywhere"
    assert {row["kind"] for row in hand.rows() if row["kind"] in ("Intent", "Committed")} == set(), "T-70"
