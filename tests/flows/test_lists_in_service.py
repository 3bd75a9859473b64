"""Lists and documents as a running terminal uses them: each is made by the operator's command, named in terminal.toml,
read by a process of `terminal run`, and what it did stands in the journal's row.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from terminal.app.station import journal_reader
from terminal.clock import unix_ms
from terminal.errors import RegionDocumentError
from terminal.journal.records import Intent
from terminal.policy.grants import COLUMNS
from terminal.policy.load import DEMO_REGION
from tests.config_file import config_file
from tests.flows.live import live_terminal
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
PENSIONER, ORDINARY_MINOR = 1, 2400


REPEAT_S = 2
"""The demo region's guard against a card that is read twice (T-35)."""


@dataclass(frozen=True)
class Depot:
    """A folder with one resident's card, and commands run in it as processes of their own."""

    folder: Path

    def run(self, *arguments: object, code: int = 0) -> str:
        done = self.ended(*arguments)
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    def ended(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(arguments), cwd=self.folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
        )

    def grants(self, *lines: str, **options: object) -> Path:
        """The list an operator makes of these lines."""
        path = self.folder / "grants.csv"
        path.write_text("\n".join((",".join(COLUMNS), *lines)) + "\n", "utf-8")
        self.run("policy", "grants-list", path, "--out", "grants-list", *_options(options))
        return self.folder / "grants-list"

    def deny_list(self, **options: object) -> Path:
        """A list on which nobody here stands."""
        path = self.folder / "denied.csv"
        path.write_text("kind,identity\ncard,04000000000001\n", "utf-8")
        self.run("policy", "deny-list", path, "--out", "deny-list", *_options(options))
        return self.folder / "deny-list"

    def region(self, until: datetime, go_on_days: int = 0) -> Path:
        """The demo region, which ends then."""
        text, end = DEMO_REGION.read_text("utf-8"), "valid_to = 2036-01-01T00:00:00+03:00"
        assert end in text
        text = text.replace(end, f"valid_to = {until.isoformat()}")
        path = self.folder / "region.toml"
        path.write_text(f"{text}\n[ended]\ngo_on_days = {go_on_days}\n", "utf-8")
        return path

    def tap(self, **tables: Mapping[str, object]) -> dict[str, Any]:
        """What `terminal run` says of the resident's card; never so soon that it is the same tap again."""
        time.sleep(REPEAT_S + 1)
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

    def last_intent(self, state: str = "state") -> Intent:
        with journal_reader(self.folder / state) as reader:
            return [row.record for row in reader.all_rows() if isinstance(row.record, Intent)][-1]


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
    today = now().date()
    issued, last = today + timedelta(days=1), today + timedelta(days=300)
    return f"{pseudonym},{issued},{code},,{today - timedelta(days=1)},{last}"


def test_o_02_a_running_bus_follows_its_list_of_grants(depot: Depot) -> None:
    """Paid without the list, free with it; the row names the list, and is decided again with it."""
    assert depot.tap(terminal={"state": depot.folder / "without"})["charge_minor"] == ORDINARY_MINOR
    listed = {"grants": depot.grants(granted(), "00" * 8 + f",{now().date()},2,,2026-01-01,2030-01-01")}
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
    assert recomputed() == {"recomputed": 1, "differ": 0, "not_possible": 0}, "the list in force is at hand"


def test_a_list_of_another_region_stops_the_terminal(depot: Depot) -> None:
    listed = {"grants": depot.grants(granted(), region=31)}
    says = depot.run("run", "--config", depot.config(lists=listed), code=RegionDocumentError.exit_code)
    assert "grants is of region 31, demo of region 34" in says


def now() -> datetime:
    """Age is taken when it is stated, not when this is loaded: the processes under test read the machine's clock."""
    return datetime.now(UTC)  # noqa: TID251


def ago(**span: int) -> str:
    return (now() - timedelta(**span)).isoformat(timespec="seconds")


def test_o_03_a_running_bus_knows_how_old_its_lists_are(depot: Depot) -> None:
    """None: nothing is judged. 30 hours: marked. 8 days: the concession of the list is not followed any more."""
    depot.tap(terminal={"state": depot.folder / "without"})
    denied = depot.deny_list(issued_at=ago(hours=30))
    tap = depot.tap(lists={"deny": denied, "grants": depot.grants(granted())})
    row = depot.last_intent()
    assert (tap["message"], row.flags) == ("ok_benefit_unlimited", ("stale_data",))
    known = row.trip
    assert 0 <= known["freshness.deny_list_age_s"] - 30 * 3600 < 600
    assert known.keys() - {"freshness.grants_age_s"} == {"freshness.deny_list_age_s"}
    old = depot.grants(granted(), issued_at=ago(days=8))
    tap = depot.tap(lists={"grants": old}, terminal={"state": depot.folder / "old"})
    assert (tap["message"], tap["charge_minor"]) == ("benefit_not_checked", ORDINARY_MINOR)
    assert depot.last_intent("old").flags == ("expired_data",)
    row = depot.last_intent("without")
    assert not [name for name in row.trip if name.startswith("freshness.")]
    assert row.flags == ()


def test_o_01_a_bus_goes_on_by_a_document_that_has_ended_as_it_says(depot: Depot) -> None:
    """Staff hear it from the terminal and from `health`, and every row is marked and decided again from itself."""
    region = depot.region(now() - timedelta(days=1), go_on_days=3)
    config = depot.config(terminal={"region": region})
    done = depot.ended("run", "--config", config, "--json")
    tap = json.loads(done.stdout)
    assert (tap["message"], tap["charge_minor"]) == ("ok_paid", ORDINARY_MINOR)
    assert depot.last_intent().flags == ("document_ended",)
    assert "Region document demo:1 has ended; taps go on for 1 d, marked" in done.stderr
    assert "o-01:document_goes_on" in [step.code for step in depot.last_intent().reasons]
    health = json.loads(depot.ended("health", "--config", config, "--json").stdout)
    policy = health["checks"]["policy"]
    assert (policy["code"], policy["level"]) == ("policy:goes_on", "look")
    recomputed = depot.run("journal", "recompute", "--config", config, "--json")
    assert json.loads(recomputed.splitlines()[-1]) == {"recomputed": 1, "differ": 0, "not_possible": 0}


def test_o_01_a_bus_does_not_start_when_that_is_over_and_a_canteen_serves_the_entitled(depot: Depot) -> None:
    region = depot.region(now() - timedelta(days=1))
    config = depot.config(terminal={"region": region})
    says = depot.run("run", "--config", config, code=RegionDocumentError.exit_code)
    assert "ended on" in says
    tap = depot.tap(
        terminal={"region": region, "profile": "canteen", "state": depot.folder / "canteen"},
        reader={"name": "sim:pupil_grade3"},
        shift={"operator": "17", "route": 0},
        canteen={"serving": "breakfast"},
    )
    assert (tap["message"], depot.last_intent("canteen").flags[0]) == ("meal_ok", "document_ended")


def test_o_01_a_bus_that_runs_past_the_end_is_out_of_order(depot: Depot) -> None:
    """No restart is needed for a document to end: the same process sells, warns, and sells no more."""
    end = datetime(2026, 9, 15, 9, 0, tzinfo=UTC)  # four hours after the clock that stands still begins
    with live_terminal(
        depot.folder,
        terminal={"profile": "bus", "number": 7, "region": str(depot.region(end))},
        shift={"operator": "17", "route": 15},
    ) as bus:
        before = bus.tap(bus.card("adult_purse"))
        bus.hand.say("clock", step_s=4 * 3600)
        after = bus.tap(bus.card("adult_purse", "another"))
        assert (before["kind"], before["flags"]) == ("Intent", [])
    assert (after["kind"], after["message"], after["flags"]) == (
        "Unwritten",
        "out_of_order",
        ["document_ended"],
    )
    assert after["at_ms"] >= unix_ms(end)
