"""A terminal as it runs in service, for tests: `terminal run --config` in a process of its own, cards laid on its
reader by hand, its console used by forms over HTTP, and what it wrote of a tap read back from its journal.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from shutil import copyfile
from typing import Any, Final

import httpx
import msgspec

from sim.card.virtual import VirtualCard
from sim.image_file import save_card
from terminal.app.collector import enrol
from terminal.app.simulated import issue_residents
from terminal.app.station import journal_reader
from terminal.canteen.answers import Given
from terminal.canteen.asking import ask
from terminal.canteen.requests import Request
from terminal.journal.records import shown_fields
from terminal.journal.stored import Row
from terminal.policy.load import load_region
from terminal.screen.console.roles import Role
from terminal.trip.stated import ROW_FIELDS
from tests.by_hand import BY_HAND, TerminalByHand, started
from tests.config_file import config_file
from tests.terminal.cli.conftest import ENVIRONMENT, command
from tests.terminal.screen.console.cab import PIN, csrf, everybody, ref_of

DISPLAY: Final = re.compile(r"passenger display: (http://\S+)/")
CONSOLE: Final = re.compile(r"operator console: (http://\S+)/")
HIDDEN: Final = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')
STATE: Final = "var/terminal"
TAPS: Final = ("Intent", "Unwritten")
DAY: Final = date(2026, 9, 15)
"""The day on which the clock of `BY_HAND` starts, at 8:00."""
PATIENCE_S: Final = 60.0

ROUTES: Final = """
[header]
id = "live_routes"
version = 1
region = 34
issued_at = 2026-01-01T00:00:00+03:00

[[routes]]
number = 15
name = "Вокзал — Университет"
mode = "tram"

[[routes.directions]]
name = "к Университету"
stops = [
  { number = 1501, refs = ["s1"], name = "Вокзал", zone = 1, mark_m = 0 },
  { number = 1502, refs = ["s2"], name = "Площадь", zone = 2, mark_m = 2000 },
  { number = 1503, refs = ["s3"], name = "Университет", zone = 3, mark_m = 4000 },
]
"""


@dataclass
class LiveTerminal:
    """A running terminal and the folder it works in."""

    folder: Path
    hand: TerminalByHand
    console: httpx.Client | None = None
    display: httpx.Client | None = None
    looked_at: list[dict[str, Any]] = field(default_factory=list)

    # cards and rows

    def card(self, profile: str, name: str = "", day: date = DAY) -> str:
        """A new card of that profile, issued on `day`; its file in the terminal's folder."""
        file = f"{name or profile}.json"
        (made,) = issue_residents([profile], load_region("demo").header.region, day)
        assert isinstance(made, VirtualCard)
        save_card(made, self.folder / file)
        return file

    def tap(self, card: str) -> dict[str, Any]:
        """Tap a card, five seconds after whatever was before; the row of the tap."""
        self.hand.say("clock", step_s=5)
        head = self.head()
        self.hand.tap(self.folder / card)
        (row,) = [row for row in self.rows(head) if row["kind"] in TAPS]
        self.looked_at.append(row)
        return row

    def rows(self, after: int = 0) -> list[dict[str, Any]]:
        """The journal's rows beyond `after`, as `terminal journal show --json` prints them."""
        with journal_reader(self.folder / STATE) as reader:
            return [_shown(row) for row in reader.all_rows() if row.sequence > after]

    def head(self) -> int:
        """The number of the newest row."""
        return int(self.rows()[-1]["sequence"])

    # the people who work at it

    def sign_in(self, role: Role) -> None:
        """As the one of this role, in place of who was signed in before."""
        assert self.console is not None
        self.console.cookies.clear()
        page = self.console.get("/sign-in?typed=1")
        fields = {"csrf": csrf(page), "ref": ref_of(role), "pin": PIN}
        assert self.console.post("/sign-in", data=fields).status_code == 303

    def form(self, page: str, path: str) -> dict[str, str]:
        """What is hidden in the form on `page` that goes to `path`."""
        assert self.console is not None
        html = self.console.get(page, follow_redirects=True).text
        found = re.search(rf'action="{path}">(.*?)</form>', html, re.S)
        assert found is not None, f"no form for {path} on {page}: {html}"
        return dict(HIDDEN.findall(found[1]))

    def act(self, page: str, path: str, **fields: str | int) -> None:
        """Fill in and send the form on `page` that goes to `path`."""
        said = self.form(page, path) | {name: str(value) for name, value in fields.items()}
        assert self.console is not None
        answer = self.console.post(path, data=said)
        assert answer.status_code == 303, answer.text

    def press(self, **fields: str | int) -> httpx.Response:
        """What a passenger presses on the display."""
        assert self.display is not None
        hidden = dict(HIDDEN.findall(self.display.get("/").text))
        said = hidden | {name: str(value) for name, value in fields.items()}
        return self.display.post("/next-ride", data=said)

    def ask(self, request: Request[Given]) -> Given:
        """What the till of a running canteen answers to another window."""
        answer = ask(self.folder / STATE, request)
        assert answer is not None, "the terminal takes no requests"
        return answer


def facts_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The facts in a tap's row: those in fields of its own, and those that differ from what is assumed."""
    own = {name: row[name] for name in ROW_FIELDS if name in row}
    return own | row["trip"]


@contextmanager
def live_terminal(folder: Path, **tables: Mapping[str, object]) -> Iterator[LiveTerminal]:
    """`terminal run` with a configuration of these tables, in `folder`, until the block ends. Cards and clock are moved
    by hand; staff of every role can sign in where a console is asked for.

    At the end the rows that were looked at are those that `terminal journal show` prints.
    """
    (folder / STATE).mkdir(parents=True, exist_ok=True)
    staff = {"kind": "staff", "members": everybody()}
    (folder / STATE / "staff.json").write_bytes(msgspec.json.encode(staff))
    file = config_file(folder, **{"reader": {"name": "sim:"}, "laboratory": BY_HAND, **tables})
    with ExitStack() as stack:
        hand = stack.enter_context(started(folder, file))
        terminal = LiveTerminal(folder, hand)
        if found := CONSOLE.search(hand.stderr):
            terminal.console = stack.enter_context(httpx.Client(base_url=found[1], timeout=PATIENCE_S))
        if found := DISPLAY.search(hand.stderr):
            terminal.display = stack.enter_context(httpx.Client(base_url=found[1], timeout=PATIENCE_S))
        yield terminal
    printed = printed_rows(folder)
    assert all(row in printed for row in terminal.looked_at)


def _shown(row: Row) -> dict[str, Any]:
    """A row as JSON has it."""
    fields = {"sequence": row.sequence, "kind": type(row.record).__name__, **shown_fields(row.record)}
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(fields))
    return plain


def printed_rows(folder: Path) -> list[dict[str, Any]]:
    """All rows of a terminal that was stopped, as the command prints them."""
    return [msgspec.json.decode(line) for line in run(folder, "journal", "show", "--json").splitlines()]


def run(folder: Path, *words: object, exits: int = 0) -> str:
    """What `terminal …` prints in that terminal's folder; it ends with that code."""
    done = subprocess.run(
        command((*words, "--config", folder / "terminal.toml")),
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == exits, done.stderr
    return done.stdout


MEAL: Final = ("school", "class_id", "kind", "day", "sources", "category", "flags")
"""What a row says of a portion, in its order."""


def told_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its portion's fields, and what its decision looked at, by effect."""
    meal = dict(zip(MEAL, row.get("meal") or (), strict=False))
    flags = [*row.get("flags", ()), *meal.pop("flags", ())]
    looked_at = dict(row.get("reasons", ()))
    return {**row, **meal, "flags": flags, **looked_at}


@contextmanager
def collector(
    folder: Path, port: int = 0, number: int = 7, state: str = STATE, *, registry: Path | None = None
) -> Iterator[str]:
    """A collector that knows the terminal of `folder`, which knows it; its address. With `port`: the one that was there
    before, again. With `registry` it checks what cards prove.
    """
    known = () if registry is None else ("--registry", registry)
    process = subprocess.Popen(
        command(("collector", "--folder", "collector", "--port", port, "--json", *known)),
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = str(msgspec.json.decode(process.stdout.readline())["url"])
        if not port:
            (folder / state).mkdir(parents=True, exist_ok=True)
            copyfile(folder / "collector/collector.pub", folder / state / "collector.pub")
            enrol(folder / state, number, folder / "collector")
        yield url
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)
