"""What a driver and his passengers see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Final

from playwright.sync_api import Page
from starlette.applications import Starlette

from pictures.studio import Studio
from sim.air import VirtualClock
from terminal.app.console import ConsoleOptions, console_of
from terminal.codes import Admission
from terminal.decision.outcome import Message, Outcome
from terminal.lab.town import DAY, TerminalSite, Town, open_town
from terminal.lab.world import pseudonym_on
from terminal.policy.load import DEMO_REGION, parse_region
from terminal.policy.policy import Policy
from terminal.policy.routes import parse_routes
from terminal.screen.console.areas import areas
from terminal.screen.console.console import Console
from terminal.screen.console.pins import hash_pin
from terminal.screen.console.roles import Role
from terminal.screen.console.staff import Member, card_reference, member_proof
from terminal.screen.console.web import console_app
from terminal.screen.display import Display, DisplaySettings
from terminal.screen.display_page import display_routes
from terminal.screen.server import ScreenServer
from terminal.screen.touch import PassengerTouch
from terminal.trip.facts import AskedBy, Spot
from terminal.trip.shifts import close_shift, open_shift

CAB: Final = TerminalSite(70001, "bus", "bus 15", route=15)
DRIVER, PIN = "77", "2580"
SIZE: Final = (1024, 640)
SERVICE_CARD: Final = "driver_service"
RIDERS: Final = (
    *("adult_purse", "month_pass", "free_pensioner", "social_pack_45", "empty_purse", "student_half_price"),
    *("adult_purse", "blocked", "pupil_large_family", "month_pass_ev1"),
)
ROUTES: Final = """
[header]
id = "city_routes"
version = 1
region = 999
issued_at = 2026-01-01T00:00:00+03:00

[[routes]]
number = 15
name = "Вокзал — Университет"

[[routes.directions]]
name = "к Университету"
stops = [
  { number = 1501, name = "Вокзал", zone = 1 },
  { number = 1502, name = "Площадь Ленина", zone = 1 },
  { number = 1503, name = "Университет", zone = 1 },
]

[[routes.directions]]
name = "к Вокзалу"

[[routes]]
number = 6
name = "Рынок — Больница"
directions = [{ name = "к Больнице" }, { name = "к Рынку" }]
"""


ASKS: Final = """[profiles.bus]
passenger_asks = ["companions", "destination"]"""
ASKING_REGION: Final = (
    DEMO_REGION.read_text("utf-8").replace("[profiles.bus]", ASKS)
    + """
[[zones]]
number = 1
name = "city"
[[fares.rules]]
kind = "zone_table"
id = "zones"
zones = ["city"]
base = "cash"
by_medium = { transport_card = [[2400]], bank_card = [[3000]], cash = [[3200]] }
"""
)


@dataclass(frozen=True, slots=True)
class Cab:
    """A bus with its console, and the page before the driver."""

    town: Town
    console: Console
    page: Page
    url: str

    def tap(self, resident: str) -> None:
        """Somebody presents his card."""
        self.town.clock.advance(7)
        with self.console.lock:
            self.console.heard(self.town.tap(CAB.number, resident).report)

    def sign_in(self) -> None:
        """As the sign-in would, without typing."""
        member = self.console.staff.get(DRIVER)
        assert member is not None, "on the list since the console was opened"
        token = self.console.sessions.begin(
            member.ref, "card", member_proof(member), self.console.now_ms(), role=member.role
        )
        cookie = {"name": f"console_{CAB.number}", "value": token, "url": self.url}
        self.page.context.add_cookies([cookie])  # type: ignore[list-item]

    def open(self, path: str) -> Page:
        """One of the driver's pages."""
        self.page.goto(f"{self.url}{path}")
        return self.page


@contextmanager
def cab(studio: Studio, name: str, language: str, *, shift: bool = True) -> Iterator[Cab]:
    """A bus at twenty to eight, some riders on board."""
    folder: Path = studio.work / name
    (folder / "town").mkdir(parents=True)
    (folder / "console").mkdir()
    residents = (*RIDERS, SERVICE_CARD)
    with open_town(folder / "town", (CAB,), residents, DAY, seed=7) as town:
        terminal = town.terminals[CAB.number]
        terminal.routes = parse_routes(ROUTES.encode(), "routes.toml")
        close_shift(terminal.journal, town.clock.now())  # the town's own
        town.at(DAY, "07:10:00")
        if shift:
            open_shift(terminal.journal, town.clock.now(), DRIVER, "bus", CAB.route)
        town.at(DAY, "07:40:00")
        options = ConsoleOptions(True, language=language, vehicle="В 077 ОР")
        console = console_of(options, terminal, folder / "console", Lock())
        pseudonym = pseudonym_on(town.cards[SERVICE_CARD])
        assert pseudonym is not None, "a service card is a resident's card"
        card = card_reference(terminal.keys, pseudonym).hex()
        pin = hash_pin(PIN, terminal.keys)
        console.staff.put(Member(ref=DRIVER, role=Role.DRIVER, pin=pin, card=card))
        terminal.service_card = console.service_card
        with (
            ScreenServer(console_app(console, areas(console.terminal.profile))) as server,
            studio.page(*SIZE) as page,
        ):
            yield Cab(town, console, page, server.url)


def _underway(studio: Studio, name: str, language: str, path: str) -> None:
    with cab(studio, name, language) as bus:
        for resident in RIDERS:
            bus.tap(resident)
        bus.console.terminal.next_ride.count(2, AskedBy.CREW)
        bus.sign_in()
        studio.keep(bus.open(path), name)


def shift(studio: Studio) -> None:
    """The driver's first page with a shift open, for the README."""
    _underway(studio, "console-driver", "en", "/shift")


def shift_ru(studio: Studio) -> None:
    """The same in Russian."""
    _underway(studio, "ru-smena", "ru", "/shift")


def taps(studio: Studio) -> None:
    """The newest taps and how they ended."""
    _underway(studio, "ru-karty", "ru", "/taps")


def sale(studio: Studio) -> None:
    """A ticket for cash."""
    _underway(studio, "ru-prodazha", "ru", "/sale")


def opening(studio: Studio) -> None:
    """Route and direction, before a shift is open."""
    with cab(studio, "ru-otkryt", "ru", shift=False) as bus:
        bus.sign_in()
        studio.keep(bus.open("/shift"), "ru-otkryt")


def pin(studio: Studio) -> None:
    """The service card was presented, now the PIN."""
    with cab(studio, "ru-vhod", "ru", shift=False) as bus:
        bus.tap(SERVICE_CARD)
        studio.keep(bus.open("/sign-in"), "ru-vhod")


def touch(studio: Studio) -> None:
    """What passengers press before the tap, in a region that lets them: two ride, to a stop ahead."""
    with cab(studio, "display-touch", "ru") as bus:
        terminal = bus.console.terminal
        terminal.policy = Policy.of(parse_region(ASKING_REGION, "asking.toml"))
        board = Display(terminal.clock)
        board.touch = PassengerTouch(terminal)
        terminal.next_ride.count(1, AskedBy.RIDER)
        terminal.next_ride.go_to(Spot(1503, 1), AskedBy.RIDER)
        app = Starlette(routes=display_routes(board, DisplaySettings("ru", "en")))
        with ScreenServer(app) as server, studio.page(800, 480) as page:
            page.goto(server.url)
            page.locator("#touch .charged").wait_for()
            studio.keep(page, "display-touch")


RIDES: Final = (
    Outcome(Message.OK_BENEFIT, Admission.LET_IN, values={"n": 21}),
    Outcome(Message.ALREADY_PAID, Admission.LET_IN),
    Outcome(Message.NO_FUNDS, Admission.REFUSED),
)


def display(studio: Studio) -> None:
    """What passengers see: done, attention, refused; in both languages at once."""
    clock, shown = VirtualClock(datetime(2026, 9, 15, 5, 40, tzinfo=UTC)), []
    for outcome in RIDES:
        board = Display(clock)
        app = Starlette(routes=display_routes(board, DisplaySettings("ru", "en")))
        with ScreenServer(app) as server, studio.page(480, 300) as page:
            page.goto(server.url)
            board.card()
            board.outcome(outcome)
            page.locator("#display:not([data-look=idle]):not([data-look=card])").wait_for()
            shown.append(page.screenshot(animations="disabled"))
    studio.side_by_side(shown, "display", 480, 300)
