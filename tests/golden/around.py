"""What devices around a reader leave in the golden files: a ticket that was printed again, and an opened housing.

The key of that terminal's journal is wiped: of its rows only the collector knows, from what it had sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Final

import httpx

from sim.image_file import save_card
from sim.periphery.printer import SimPrinter
from sim.periphery.pseudo_terminal import PseudoTerminal
from terminal.app.simulated import issue_residents
from terminal.screen.console.roles import Role
from tests.by_hand import BY_HAND, started
from tests.config_file import config_file
from tests.flows.live import live_terminal
from tests.golden.asked import OPENED, REGION
from tests.golden.wire import PATIENCE_S

LATER: Final = BY_HAND | {"starts_at": str(BY_HAND["starts_at"]).replace("T08:00", "T08:30")}
ADDRESS: Final = "http://127.0.0.1:8470"
"""What the file of the opened terminal names in place of the port of that day."""
CARD: Final = "card.json"
PRINTER: Final = "printer"
Tables = Mapping[str, Mapping[str, object]]


def copy_ticket(bus: Path, tables: Tables) -> None:
    """The driver sells for cash, half an hour into the day, and prints the ticket again. The configuration stays."""
    file = bus / "terminal.toml"
    before = file.read_bytes()
    around: Tables = {
        "laboratory": LATER,
        "console": {"enabled": True, "port": 0, "typed_sign_in": True},
        "periphery.printer": {"device": PRINTER},
    }
    with (
        closing(SimPrinter(PseudoTerminal(bus / PRINTER))) as printer,
        live_terminal(bus, **tables, **around) as live,
    ):
        live.sign_in(Role.DRIVER)
        live.act("/sale", "/sale", persons=2)
        (sale,) = (row["sequence"] for row in live.rows() if row["kind"] == "CashSale")
        assert printer.wait_for_cuts(1, PATIENCE_S)
        page = f"/ticket/{sale}"
        _until(lambda: 'action="/ticket/copy"' in live.console.get(page).text)  # type: ignore[union-attr]
        live.act(page, "/ticket/copy")
        assert printer.wait_for_cuts(2, PATIENCE_S)
    file.write_bytes(before)


def make_opened(folder: Path, day: date) -> Path:
    """A terminal that has served no card yet; the card it will."""
    folder.mkdir()
    (card,) = issue_residents(["adult_purse"], REGION, day)
    save_card(card, folder / CARD)
    return folder / CARD


def open_housing(folder: Path, url: str, collector: str) -> None:
    """One tap on it, then its housing is opened; ends when `collector`, which it reaches at `url`, has the alarm."""
    file = config_file(
        folder,
        terminal={"schema": 1, "profile": "bus", "number": OPENED},
        reader={"name": "sim:"},
        shift={"operator": "17", "route": 7},
        laboratory=BY_HAND,
        collector={"url": url},
        **{"periphery.gpio": {"chip": "sim", "debounce_ms": 0}, "periphery.power": {"tamper": "door"}},
    )
    with started(folder, file) as live:
        live.tap(folder / CARD)
        live.say("line", name="door", active=True)
        _until(lambda: "housing" in httpx.get(f"{collector}/operator/v1/alarms", timeout=PATIENCE_S).text)
    file.write_text(file.read_text("utf-8").replace(url, ADDRESS), "utf-8")


def _until(holds: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < ends_s
        time.sleep(0.1)
