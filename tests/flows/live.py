"""A terminal as it runs in service, for tests: `terminal run --config` in a process of its own, its console used by
forms over HTTP, and what it wrote of a tap read back with `terminal journal show`.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any, Final

import httpx
import msgspec

from terminal.app.station import journal_reader
from terminal.journal.records import shown_fields
from terminal.journal.stored import Row
from terminal.screen.console.roles import Role
from terminal.trip.stated import ROW_FIELDS
from tests.config_file import config_file
from tests.terminal.cli.conftest import ENVIRONMENT, command
from tests.terminal.screen.console.cab import PIN, csrf, everybody, ref_of

CONSOLE: Final = re.compile(r"operator console: (http://\S+)/")
STATE: Final = "var/terminal"
TAPS: Final = ("Intent", "Unwritten")
PATIENCE_S: Final = 30.0

ROUTES: Final = """
[header]
id = "live_routes"
version = 1
region = 999
issued_at = 2026-01-01T00:00:00+03:00

[[routes]]
number = 15
name = "Вокзал — Университет"
mode = "tram"

[[routes.directions]]
name = "к Университету"
stops = [
  { number = 1501, name = "Вокзал", zone = 1, mark_m = 0 },
  { number = 1502, name = "Площадь", zone = 2, mark_m = 2000 },
  { number = 1503, name = "Университет", zone = 3, mark_m = 4000 },
]
"""


@dataclass
class LiveTerminal:
    """A running terminal and the folder it works in. `taps` of a reader that goes on by itself."""

    folder: Path
    process: subprocess.Popen[str]
    console: httpx.Client | None
    errors: list[str] = field(default_factory=list)
    looked_at: list[dict[str, Any]] = field(default_factory=list)

    # what it wrote

    def rows(self, after: int = 0) -> list[dict[str, Any]]:
        """The journal's rows beyond `after`, as `terminal journal show --json` prints them."""
        with journal_reader(self.folder / STATE) as reader:
            return [_shown(row) for row in reader.all_rows() if row.sequence > after]

    def head(self) -> int:
        """The number of the newest row."""
        return int(self.rows()[-1]["sequence"])

    def next_tap(self) -> dict[str, Any]:
        """The row of a tap that began after this was called, of a reader to which cards come by themselves."""
        head = self.head()
        while True:
            self._tap_ended()
            for row in self.rows(head):
                if row["kind"] in TAPS:
                    self.looked_at.append(row)
                    return row

    def facts(self) -> dict[str, Any]:
        """What the row of the next tap says of its facts, by name."""
        return facts_of(self.next_tap())

    def _tap_ended(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "".join(self.errors)
        told: dict[str, Any] = json.loads(line)
        return told

    # its console

    def sign_in(self, role: Role) -> None:
        """As the one of this role, who was not signed in before."""
        assert self.console is not None
        self.console.cookies.clear()
        page = self.console.get("/sign-in?typed=1")
        fields = {"csrf": csrf(page), "ref": ref_of(role), "pin": PIN}
        assert self.console.post("/sign-in", data=fields).status_code == 303

    def act(self, page: str, path: str, **fields: str | int) -> None:
        """Fill in and send the form on `page` that goes to `path`."""
        assert self.console is not None
        html = self.console.get(page).text
        found = re.search(rf'action="{path}">(.*?)</form>', html, re.S)
        assert found is not None, f"no form for {path} on {page}: {html}"
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', found[1]))
        answer = self.console.post(path, data=hidden | {name: str(value) for name, value in fields.items()})
        assert answer.status_code == 303, answer.text


def facts_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The facts in a tap's row: those in fields of its own, and those that differ from what is assumed."""
    own = {name: row[name] for name in ROW_FIELDS if name in row}
    return own | row["trip"]


@contextmanager
def live_terminal(folder: Path, **tables: Mapping[str, object]) -> Iterator[LiveTerminal]:
    """`terminal run` with a configuration of these tables, in `folder`, until the block ends.

    Staff of every role can sign in where a console is asked for.
    """
    state = folder / STATE
    state.mkdir(parents=True, exist_ok=True)
    (state / "staff.json").write_bytes(msgspec.json.encode({"kind": "staff", "members": everybody()}))
    config_file(folder, **tables)
    process = subprocess.Popen(
        command(("run", "--json", "--config", folder / "terminal.toml")),
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    terminal = LiveTerminal(folder, process, None)
    try:
        url = _address(terminal) if "console" in tables else ""
        with _drained(terminal), httpx.Client(base_url=url, timeout=PATIENCE_S) as browser:
            terminal.console = browser
            yield terminal
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)
    printed = _printed(folder)
    assert all(row in printed for row in terminal.looked_at)


def _shown(row: Row) -> dict[str, Any]:
    """A row as JSON has it."""
    fields = {"sequence": row.sequence, "kind": type(row.record).__name__, **shown_fields(row.record)}
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(fields))
    return plain


def _printed(folder: Path) -> list[dict[str, Any]]:
    """All rows of a terminal that was stopped, by the command."""
    shown = subprocess.run(
        command(("journal", "show", "--json", "--config", folder / "terminal.toml")),
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    return [json.loads(line) for line in shown.stdout.splitlines()]


def _address(terminal: LiveTerminal) -> str:
    """Where the console is, as the terminal says on stderr."""
    assert terminal.process.stderr is not None
    for line in terminal.process.stderr:
        terminal.errors.append(line)
        if found := CONSOLE.search(line):
            return found[1]
    raise AssertionError("".join(terminal.errors))


@contextmanager
def _drained(terminal: LiveTerminal) -> Iterator[None]:
    """Keep what is said on stderr, so that the terminal never waits for its reader."""
    stream = terminal.process.stderr
    assert stream is not None
    Thread(target=lambda: terminal.errors.extend(stream), daemon=True).start()
    yield
