"""The folder of one bus and its office, and the processes in it: terminal, on-board computer, collector. Each is
started by the product's own command and ended by its id.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack, closing
from datetime import date, datetime, timedelta
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import Any, Final

import msgspec

from sim.card.virtual import VirtualCard
from sim.image_file import save_card
from sim.periphery.pseudo_terminal import PseudoTerminal
from sim.periphery.scanner import SimScanner
from terminal.app.simulated import issue_residents
from terminal.app.station import journal_reader
from terminal.policy.load import load_region
from tests.by_hand import BY_HAND, ENVIRONMENT, SOCKET, TerminalByHand
from tests.config_file import config_file
from tests.flows.live import STATE, printed_rows, run
from tests.flows.test_link import free_port
from tests.terminal.cli.conftest import command
from tests.terminal.media.test_phone_live import CODES, region_with_paper
from tests.terminal.screen.console.cab import everybody
from tests.vehicle_run import SimVehicle, sim_vehicle

NUMBER: Final = 7
FARE, LUGGAGE = 3200, 2000
CASH: Final = f"\n[cash]\nchild_percent = 50\nluggage_minor = {LUGGAGE}\n"
STOPS: Final = """
stops = [
  { number = @1, name = "Вокзал", zone = 1, refs = ["s@1"] },
  { number = @2, name = "Площадь", zone = 1, refs = ["s@2"] },
  { number = @3, name = "Рынок", zone = 2, refs = ["s@3"] },
  { number = @4, name = "Университет", zone = 2, refs = ["s@4"] },
]
"""
ROUTES: Final = f"""
[header]
id = "bus_day"
version = 1
region = 34
issued_at = 2026-01-01T00:00:00+03:00

[[routes]]
number = 15
name = "Вокзал — Университет"
mode = "bus"
lines = ["15"]

[[routes.directions]]
name = "к Университету"
{STOPS.replace("@", "150")}
[[routes.directions]]
name = "→ Вокзал"

[[routes]]
number = 16
name = "Вокзал — Затон"
mode = "bus"
lines = ["16"]

[[routes.directions]]
name = "к Затону"
{STOPS.replace("@", "160").replace("Университет", "Затон")}
"""
NOTICE: Final = '\n[[notices]]\nid = "detour"\nroutes = [15]\ntext = "Объезд по Советской"\n'


class BusPlace:
    """One bus, its day on a clock moved by hand, and the collector's folder beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.starts = folder, 0
        self.now = datetime.fromisoformat(str(BY_HAND["starts_at"]))
        self.console, self._computer_port = free_port(socket.SOCK_STREAM), free_port(socket.SOCK_STREAM)
        self.hand: TerminalByHand | None = None
        self.computer: SimVehicle | None = None
        self._computer = ExitStack()
        (folder / STATE).mkdir(parents=True)
        (folder / STATE / "staff.json").write_bytes(
            msgspec.json.encode({"kind": "staff", "members": everybody()})
        )
        region = region_with_paper(folder)
        region.write_text(region.read_text("utf-8") + CASH, "utf-8")
        self._around = ExitStack()
        self.scanner = self._around.enter_context(closing(SimScanner(PseudoTerminal(folder / "codes"))))
        (folder / "routes.toml").write_text(ROUTES, "utf-8")
        self._reply_port = free_port(socket.SOCK_STREAM)

    @property
    def url(self) -> str:
        """Of the crew's console."""
        return f"http://127.0.0.1:{self.console}"

    def card(self, profile: str, name: str) -> Path:
        """A new card, issued on the day."""
        region = load_region("demo").header.region
        (made,) = issue_residents([profile], region, self.now.date())
        assert isinstance(made, VirtualCard)
        save_card(made, self.folder / f"{name}.json")
        return self.folder / f"{name}.json"

    # the terminal

    def start(self) -> None:
        """`terminal run`, ready to be moved, at the time that it is."""
        file = config_file(
            self.folder,
            terminal={"profile": "bus", "number": NUMBER, "region": "region.toml"},
            reader={"name": "sim:"},
            laboratory={**BY_HAND, "starts_at": self.now.isoformat()},
            lists={"routes": "routes.toml"},
            console={"enabled": True, "port": self.console, "typed_sign_in": True},
            vehicle={
                "source": "vdv301",
                "publisher": f"127.0.0.1:{self._computer_port}",
                "reply_host": "127.0.0.1",
                "reply_port": self._reply_port,
            },
            **CODES,
        )
        self._process = Popen(
            command(("run", "--config", file)),
            cwd=self.folder,
            env=ENVIRONMENT,
            stdout=DEVNULL,
            stderr=PIPE,
            text=True,
        )
        self.hand = TerminalByHand(self._process, self.folder / SOCKET)
        self.starts += 1

    def kill(self) -> None:
        """The power goes."""
        self._process.kill()
        self._gone()

    def end(self) -> None:
        """Whatever still runs in the vehicle."""
        self._computer.close()
        self._around.close()
        if self.hand is not None and self._process.poll() is None:
            self._process.terminate()
            self._gone()

    def _gone(self) -> None:
        assert self.hand is not None
        self._process.wait(40)
        self.hand.close()
        assert self._process.stderr is not None
        self._process.stderr.close()

    def wait(self, **span: float) -> None:
        """So much time passes."""
        assert self.hand is not None
        self.now += timedelta(**span)
        self.hand.say("clock", set=self.now.isoformat())

    def tap(self, card: Path, leaves_at: int = 0, *, executed: bool = False) -> str:
        """The message of a tap that has ended, seven seconds after whatever was before; with `leaves_at` it is torn."""
        assert self.hand is not None
        self.wait(seconds=7)
        self.hand.say("present", card=str(card), leaves_at=leaves_at, executed=executed)
        report: dict[str, Any] = self.hand.say("await", timeout_s=60)["tap"]
        self.hand.say("remove")
        return str(report["message"])

    # the on-board computer

    def drive(self, route: int, direction: int) -> None:
        """The on-board computer begins that trip, as a process of its own."""
        self.silence()
        self.computer = self._computer.enter_context(
            sim_vehicle(
                self.folder / "routes.toml",
                "vdv301",
                *("--port", self._computer_port, "--heartbeat", 0.5),
                *("--route", route, "--direction", direction),
            )
        )

    def computer_says(self, order: str) -> None:
        """It does what is ordered, as `sim vehicle --steps` understands it."""
        assert self.computer is not None
        self.computer.order(order)

    def silence(self) -> None:
        """The on-board computer dies."""
        self._computer.close()
        self.computer = None

    # the office

    def office_says(self) -> None:
        """Routes are published with a notice, beside the running terminal."""
        self._publish(ROUTES.replace("version = 1", "version = 2") + NOTICE)

    def office_errs(self) -> None:
        """Routes of another region are published."""
        self._publish(ROUTES.replace("version = 1", "version = 2").replace("region = 34", "region = 35"))

    def _publish(self, text: str) -> None:
        draft = self.folder / "draft.toml"
        draft.write_text(text, "utf-8")
        draft.replace(self.folder / "routes.toml")

    def rows(self) -> list[dict[str, Any]]:
        """The rows of the terminal that was ended, as `terminal journal show --json` prints them."""
        return printed_rows(self.folder)

    def bodies(self) -> dict[tuple[int, int], bytes]:
        """The records as they are uploaded, by terminal and row."""
        with journal_reader(self.folder / STATE) as reader:
            return {(NUMBER, row.sequence): row.body for row in reader.all_rows()}

    def run(self, *words: object) -> str:
        """A command at the terminal's machine."""
        return run(self.folder, *words)

    @property
    def day(self) -> date:
        return self.now.date()
