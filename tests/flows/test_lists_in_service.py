"""Lists and documents as a running terminal uses them: each is made by the operator's command, named in terminal.toml,
read by a process of `terminal run`, and what it did stands in the journal's row.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from terminal.app.station import journal_reader
from terminal.errors import RegionDocumentError
from terminal.journal.records import Intent
from terminal.policy.grants import COLUMNS
from tests.config_file import config_file
from tests.terminal.cli.conftest import ENVIRONMENT, command

PSEUDONYM = "5E1F0C0DE5E1F0C0"
RESIDENT = f"""
[description]
ru = "Житель с деньгами на карте"
en = "A resident with money on the card"

[card]
purse_minor = 50000
pseudonym = "{PSEUDONYM}"
"""
NOW = datetime.now(UTC)  # noqa: TID251 the processes under test read the real clock, too
TODAY = NOW.date()
PENSIONER, ORDINARY_MINOR = 1, 2400


@dataclass(frozen=True)
class Depot:
    """A folder with one resident's card, and commands run in it as processes of their own."""

    folder: Path

    def run(self, *arguments: object, code: int = 0) -> str:
        done = subprocess.run(
            command(arguments), cwd=self.folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    def grants(self, *lines: str, **options: object) -> Path:
        """The list an operator makes of these lines."""
        path = self.folder / "grants.csv"
        path.write_text("\n".join((",".join(COLUMNS), *lines)) + "\n", "utf-8")
        self.run("policy", "grants-list", path, "--out", "grants-list", *_options(options))
        return self.folder / "grants-list"

    def tap(self, **tables: Mapping[str, object]) -> dict[str, Any]:
        """What `terminal run` says of the resident's card on its reader."""
        (told,) = map(json.loads, self.run("run", "--config", self.config(**tables), "--json").splitlines())
        return dict(told)

    def config(self, **tables: Mapping[str, object]) -> Path:
        config: dict[str, Mapping[str, object]] = {
            "terminal": {"profile": "bus", "state": self.folder / "state"},
            "reader": {"name": f"sim:{self.folder / 'cards' / 'resident.json'}", "taps": 1},
            "shift": {"operator": "17", "route": 15},
        }
        for table, values in tables.items():
            config[table] = {**config.get(table, {}), **values}
        return config_file(self.folder, **config)

    def rows(self) -> list[Any]:
        with journal_reader(self.folder / "state") as reader:
            return [row.record for row in reader.all_rows()]

    def last_intent(self) -> Intent:
        return [row for row in self.rows() if isinstance(row, Intent)][-1]


def _options(options: Mapping[str, object]) -> list[str]:
    return [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", str(value))]


@pytest.fixture
def depot(tmp_path: Path) -> Depot:
    (tmp_path / "resident.toml").write_text(RESIDENT, "utf-8")
    (tmp_path / "orders.csv").write_text("label,profile\nresident,resident.toml\n", "utf-8")
    depot = Depot(tmp_path)
    depot.run("card", "issue-batch", "orders.csv", "--folder", "cards")
    return depot


def granted(pseudonym: str = PSEUDONYM, code: int = PENSIONER) -> str:
    """A line that was issued after the card."""
    issued, last = TODAY + timedelta(days=1), TODAY + timedelta(days=300)
    return f"{pseudonym},{issued},{code},,{TODAY - timedelta(days=1)},{last}"


def test_o_02_a_running_bus_follows_its_list_of_grants(depot: Depot) -> None:
    """Paid without the list, free with it; the row names the list, and is decided again with that list only."""
    assert depot.tap(terminal={"state": depot.folder / "without"})["charge_minor"] == ORDINARY_MINOR
    listed = {"grants": depot.grants(granted(), "00" * 8 + f",{TODAY},2,,2026-01-01,2030-01-01")}
    tap = depot.tap(lists=listed)
    assert (tap["message"], tap["charge_minor"]) == ("ok_benefit_unlimited", 0)
    assert [name.split(":")[0] for name in depot.last_intent().lists.values()] == ["1"]
    assert PSEUDONYM.lower() not in (depot.folder / "grants-list").read_bytes().hex()

    def recomputed(**lists: object) -> dict[str, int]:
        config = depot.config(**({"lists": lists} if lists else {}))
        return dict(
            json.loads(depot.run("journal", "recompute", "--config", config, "--json").splitlines()[-1])
        )

    assert recomputed(**listed) == {"recomputed": 1, "differ": 0, "not_possible": 0}
    assert recomputed() == {"recomputed": 0, "differ": 0, "not_possible": 1}
    depot.grants(granted(code=2))
    assert recomputed(**listed) == {"recomputed": 0, "differ": 0, "not_possible": 1}, "another issue"


def test_a_list_of_another_region_stops_the_terminal(depot: Depot) -> None:
    listed = {"grants": depot.grants(granted(), region=31)}
    says = depot.run("run", "--config", depot.config(lists=listed), code=RegionDocumentError.exit_code)
    assert "is of region 31, region document demo of region 34" in says
