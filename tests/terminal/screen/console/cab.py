"""A driver's cab for tests: a bus terminal over a real journal, software cards, and its console on a real port.

with open_cab(tmp_path) as cab:
    cab.tap("driver_service")
    cab.client.get("/sign-in")
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

import httpx
import msgspec

from sim.air import VirtualClock
from sim.card.port import SimCard
from sim.faults import NO_FAULTS, FaultPlan
from sim.reader import SimReader
from terminal.app.console import ConsoleOptions, console_of
from terminal.app.media import media_of
from terminal.app.simulated import issue_residents, laboratory_keys
from terminal.app.station import Station
from terminal.decision.outcome import Outcome
from terminal.journal.journal import Journal
from terminal.journal.records import AnyRecord
from terminal.keys.file import load_file_keys
from terminal.keys.limits import UNLIMITED
from terminal.media.port import MediumSetup
from terminal.policy.load import load_region
from terminal.policy.policy import Policy
from terminal.policy.routes import NO_ROUTES, parse_routes
from terminal.screen.console.areas import areas
from terminal.screen.console.console import Console
from terminal.screen.console.pins import hash_pin
from terminal.screen.console.roles import Role
from terminal.screen.console.staff import Member, StaffList, card_reference
from terminal.screen.console.web import Web, console_app
from terminal.screen.server import ScreenServer
from terminal.tap import Terminal, take_tap
from terminal.tap_report import TapReport
from terminal.trip.clock_watch import ClockWatch
from tests.journal_rows import assert_codes_in

NUMBER = 70001
START = datetime(2026, 9, 15, 4, 40, tzinfo=UTC)
DRIVER, PIN = "77", "2580"
SERVICE_CARD = "driver_service"
KEYS = load_file_keys(laboratory_keys(), UNLIMITED)
HASHED = hash_pin(PIN, KEYS)
"""One PIN for everybody: scrypt takes its time by design."""

ROUTES = """
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
  { number = 1503, name = "Университет", zone = 2, mark_m = 4000 },
]

[[routes.directions]]
name = "к Вокзалу"

[[routes]]
number = 6
name = "Рынок — Больница"
"""

ACTION = re.compile(r'name="action" value="([^"]+)"')
CSRF = re.compile(r'name="csrf" value="([^"]+)"')


@dataclass(slots=True)
class Cab:
    """Everything of one cab. `client` is a browser without pictures; it follows no redirects."""

    folder: Path
    clock: VirtualClock
    terminal: Terminal
    console: Console
    server: ScreenServer
    client: httpx.Client
    signals: list[Outcome] = field(default_factory=list)
    since: int = 0
    """The newest row of what was before this test, where several share a cab."""
    _cards: dict[str, SimCard] = field(default_factory=dict)

    @property
    def journal(self) -> Journal:
        return self.terminal.journal

    def rows(self) -> list[tuple[int, AnyRecord]]:
        """What this test has written: each row's number and record."""
        return [(row.sequence, row.record) for row in self.journal.rows(self.since, 10_000)]

    def records(self, kind: type | None = None) -> list[AnyRecord]:
        """The same records, or those of one kind."""
        every = [record for _, record in self.rows()]
        return every if kind is None else [one for one in every if isinstance(one, kind)]

    def new_shift(self) -> None:
        """As if nothing had been before: the driver signs in and opens a shift of his own."""
        self.client.cookies.clear()
        self.sign_in()
        if self.journal.open_shift is not None:
            assert self.act("/report", "/shift/close").status_code == 303
        self.since = self.journal.head.sequence
        self.open_shift()

    def tap(self, resident: str, at_s: float = 5.0, fault: FaultPlan = NO_FAULTS) -> TapReport:
        """Present a resident's card to the terminal, `at_s` after what happened last, as its loop does."""
        self.clock.advance(at_s)
        if resident not in self._cards:
            rng = random.Random(len(self._cards)).randbytes
            region = load_region("demo").header.region
            (self._cards[resident],) = issue_residents([resident], region, START.date(), None, rng)
        reader = SimReader("reader", self.clock)
        reader.present(self._cards[resident], fault)
        connection = reader.wait_for_card(0)
        assert connection is not None
        with self.console.lock:
            report = take_tap(connection, self.terminal)
            self.console.heard(report)
        return report

    def image(self, resident: str) -> object:
        """What the card of `resident` holds."""
        return self._cards[resident].image()

    # a browser without pictures

    def sign_in(self, ref: str = DRIVER, pin: str = PIN) -> httpx.Response:
        """With the typed number, where that is allowed."""
        page = self.client.get("/sign-in?typed=1")
        return self.client.post("/sign-in", data={"csrf": csrf(page), "ref": ref, "pin": pin})

    def form(self, page: str, path: str) -> dict[str, str]:
        """The hidden fields of the form on `page` that goes to `path`."""
        html = self.client.get(page, follow_redirects=True).text
        found = re.search(rf'action="{path}">(.*?)</form>', html, re.S)
        assert found is not None, f"no form for {path} on {page}"
        return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', found[1]))

    def act(self, page: str, path: str, **fields: str | int) -> httpx.Response:
        """Fill in and send the form on `page` that goes to `path`."""
        return self.client.post(path, data=self.form(page, path) | {k: str(v) for k, v in fields.items()})

    def open_shift(self, route: int = 15, direction: int = 0) -> None:
        answer = self.act("/shift", "/shift/open", route=route, direction=direction)
        assert answer.status_code == 303, answer.text


def csrf(page: httpx.Response) -> str:
    """The token of the page's forms."""
    found = CSRF.search(page.text)
    assert found is not None, page.text
    return found[1]


def everybody() -> list[Member]:
    """The driver, with the service card, and one of each other role."""
    card = card_reference(KEYS, bytes.fromhex("5E21C4D09A77B3F1")).hex()
    others = [
        Member(ref=f"{index}0", role=role, pin=HASHED)
        for index, role in enumerate(Role, start=1)
        if role is not Role.DRIVER
    ]
    return [Member(ref=DRIVER, role=Role.DRIVER, pin=HASHED, card=card), *others]


def ref_of(role: Role) -> str:
    """The reference of `everybody` in this role."""
    return next(member.ref for member in everybody() if member.role is role)


@contextmanager
def open_cab(
    folder: Path,
    *,
    policy: Policy | None = None,
    typed: bool = True,
    routes: str = ROUTES,
    language: str = "en",
    port: int = 0,
    clock: VirtualClock | None = None,
    profile: str = "bus",
) -> Iterator[Cab]:
    """A terminal that has just been started, with its console; again over the same folder: a restart."""
    folder.mkdir(parents=True, exist_ok=True)
    staff = StaffList(folder)
    if not staff.path.exists():
        staff.path.write_bytes(msgspec.json.encode({"kind": "staff", "members": everybody()}))
    clock = clock or VirtualClock(START)
    signals: list[Outcome] = []
    journal = Journal.open(folder / "journal.db", NUMBER)
    station = Station(NUMBER, profile, folder, "demo")
    policy = policy or station.load_policy(KEYS, START)
    setup = MediumSetup(profile, policy.document.header.region, KEYS, random.Random(7).randbytes)
    terminal = Terminal(
        number=NUMBER,
        profile=profile,
        policy=policy,
        keys=KEYS,
        journal=journal,
        clock=clock,
        media=media_of(station, setup),
        clock_watch=ClockWatch(journal, clock, policy.document.clock.ahead_days, START),
        routes=parse_routes(routes.encode(), "routes.toml") if routes else NO_ROUTES,
        signal=signals.append,
    )
    console = console_of(
        ConsoleOptions(True, typed=typed, language=language, vehicle="В 077 ОР"), terminal, folder, Lock()
    )
    terminal.service_card = console.service_card
    with (
        ScreenServer(console_app(console, areas(console.terminal.profile)), port=port) as server,
        httpx.Client(base_url=server.url, timeout=20) as client,
    ):
        try:
            yield Cab(folder, clock, terminal, console, server, client, signals)
            assert_codes_in(journal.path)
        finally:
            journal.close()


def every_route(console: Console) -> list[tuple[str, str, frozenset[Role]]]:
    """Method, address and roles of every page and action of this console."""
    web = Web(console, areas(console.terminal.profile))
    pages = [("GET", re.sub(r"\{.*?\}", "1", page.path), page.roles) for page in web.pages]
    return pages + [("POST", action.path, action.roles) for action in web.actions]
