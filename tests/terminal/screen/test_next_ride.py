"""What is asked of the next card, in a terminal as it runs: a process started by its configuration file, its console
and its display by HTTP, cards on its reader, and the rows of its journal.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec

from terminal.app.station import journal_reader
from terminal.journal.records import Intent
from terminal.policy.load import DEMO_REGION
from tests.config_file import config_file
from tests.terminal.screen.console.cab import DRIVER, PIN, ROUTES, csrf, everybody
from tests.terminal.screen.console.test_bus_console import SUBURB, ZONES, asked_in

PACE_S = 3
"""Between two cards: longer than the few requests that follow a card."""


class LiveBus:
    """A bus terminal's process; `cards` are laid on its reader in turn, one every `PACE_S`."""

    def __init__(self, folder: Path, cards: str, passenger_asks: str) -> None:
        self.folder = folder
        region = DEMO_REGION.read_text("utf-8") + ZONES
        if passenger_asks:
            region = region.replace("[profiles.bus]", f"[profiles.bus]\npassenger_asks = {passenger_asks}")
        (folder / "region.toml").write_text(region, "utf-8")
        (folder / "routes.toml").write_text(ROUTES, "utf-8")
        (folder / "staff.json").write_bytes(msgspec.json.encode({"kind": "staff", "members": everybody()}))
        config = config_file(
            folder,
            terminal={
                "profile": "bus",
                "number": 7,
                "state": folder,
                "region": folder / "region.toml",
                "language": "en",
            },
            lists={"routes": folder / "routes.toml"},
            reader={"name": f"sim:{cards}", "pace_s": PACE_S},
            shift={"operator": DRIVER, "route": 15, "direction": 0},
            console={"enabled": True, "port": 0, "typed_sign_in": True},
            screen={"enabled": True, "port": 0},
        )
        command = [sys.executable, "-m", "terminal.cli.app", "run", "--config", str(config)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
        )
        addresses = dict(self._addresses())
        self.console = httpx.Client(base_url=addresses["operator console"], timeout=20)
        self.display = httpx.Client(base_url=addresses["passenger display"], timeout=20)

    def _addresses(self) -> Iterator[tuple[str, str]]:
        missing = {"operator console", "passenger display"}
        assert self.process.stderr is not None
        for line in self.process.stderr:
            found = re.match(r"(operator console|passenger display): (http://\S+)/", line)
            if found:
                yield found[1], found[2]
                missing.remove(found[1])
            if not missing:
                return
        raise AssertionError("the terminal did not start")

    def next_tap(self) -> str:
        """What the next passenger is shown."""
        assert self.process.stdout is not None
        return next(line for line in self.process.stdout if line.startswith("»"))

    def sign_in(self) -> None:
        page = self.console.get("/sign-in?typed=1")
        answer = self.console.post("/sign-in", data={"csrf": csrf(page), "ref": DRIVER, "pin": PIN})
        assert answer.status_code == 303, answer.text

    def act(self, path: str, **fields: str | int) -> None:
        """Send the form of the shift's page that goes to `path`."""
        page = self.console.get("/shift").text
        form = re.search(rf'action="{path}">(.*?)</form>', page, re.S)
        assert form is not None, page
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form[1]))
        answer = self.console.post(path, data=hidden | {name: str(value) for name, value in fields.items()})
        assert answer.status_code == 303, answer.text

    def press(self, **fields: str | int) -> None:
        """Press what the display offers."""
        page = self.display.get("/").text
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))
        said = hidden | {name: str(value) for name, value in fields.items()}
        assert self.display.post("/next-ride", data=said).status_code == 303

    def rides(self) -> list[Intent]:
        """What the journal holds of rides."""
        with journal_reader(self.folder) as reader:
            return [row.record for row in reader.all_rows() if isinstance(row.record, Intent)]

    def close(self) -> None:
        self.console.close()
        self.display.close()
        self.process.terminate()
        self.process.communicate(timeout=20)


@contextmanager
def live_bus(folder: Path, cards: str, passenger_asks: str = "") -> Iterator[LiveBus]:
    bus = LiveBus(folder, cards, passenger_asks)
    try:
        yield bus
    finally:
        bus.close()


def test_what_a_conductor_asks_for_is_in_the_row_of_the_next_card_and_of_no_other(tmp_path: Path) -> None:
    with live_bus(tmp_path, "blocked,adult_purse,month_pass") as bus:
        bus.sign_in()
        assert "blocked" in bus.next_tap()
        bus.act("/shift/place", stop=1501)
        bus.act("/next/persons", more=1)
        bus.act("/next/persons", more=1)
        bus.act("/next/destination", to="stop-1503")
        assert "Paid" in bus.next_tap()
        bus.next_tap()
        paid, passed = bus.rides()
    assert paid.charge_minor == 3 * 4000
    assert asked_in(paid) == {"companions": 2, "asked_by": "crew", **SUBURB}
    assert asked_in(passed) == {}


def test_what_a_passenger_presses_on_the_display_is_in_the_row_of_the_tap(tmp_path: Path) -> None:
    with live_bus(tmp_path, "blocked,adult_purse", '["destination", "companions"]') as bus:
        bus.sign_in()
        assert "blocked" in bus.next_tap()
        bus.act("/shift/place", stop=1501)
        bus.press(more=1)
        bus.press(to="stop-1503")
        assert "The card pays for 2 persons, to Университет" in bus.display.get("/").text
        assert "Paid" in bus.next_tap()
        (paid,) = bus.rides()
    assert paid.charge_minor == 2 * 4000
    assert asked_in(paid) == {"companions": 1, "asked_by": "rider", **SUBURB}


def test_a_display_of_a_document_without_the_switch_has_no_such_address(tmp_path: Path) -> None:
    with live_bus(tmp_path, "blocked") as bus:
        assert bus.display.post("/next-ride", data={"more": "1"}).status_code == 404
        assert 'id="touch"' not in bus.display.get("/").text
