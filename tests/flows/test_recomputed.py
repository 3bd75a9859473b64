"""Decisions made again: at the collector by its follower, on the terminal by itself, both as they run in service.

Nothing is fed by hand: rows are written by `terminal run`, travel by `terminal sync` to `terminal collector`, whose own
child decides them again; what is looked at is what the commands print.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from terminal.policy.load import DEMO_REGION
from tests import by_hand
from tests.flows.live import PATIENCE_S, STATE, LiveTerminal, collector, live_terminal, run
from tests.terminal.cli.conftest import ENVIRONMENT, command

TABLES: Final[dict[str, dict[str, object]]] = {
    "terminal": {"number": 7, "profile": "bus", "state": STATE, "region": "region.toml"},
    "shift": {"operator": "17", "route": 15},
}
DEARER: Final = ("transport_card = 2400", "transport_card = 2600")
LONGEST_S: Final = 2 * PATIENCE_S
CHEAPER_BUILD: Final = """
import sys
if "run" in sys.orig_argv and "--config" in sys.orig_argv:
    from terminal.policy.policy import Policy
    fare = Policy.ordinary_fare
    def cheaper(self, *ride, **more):
        quote = fare(self, *ride, **more)
        return quote and quote._replace(fare_minor=quote.fare_minor - 100)
    Policy.ordinary_fare = cheaper
"""
"""A terminal whose software takes a rouble less than the tariff says."""


def publish(folder: Path, version: int, *changes: tuple[str, str]) -> str:
    """Write the demo region, changed, as that version; return its hash."""
    text = DEMO_REGION.read_text("utf-8").replace("\nversion = 1", f"\nversion = {version}")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "new.toml").write_text(text, "utf-8")
    (folder / "new.toml").replace(folder / "region.toml")
    return sha256(text.encode()).hexdigest()


def until(wanted: Callable[[], Any]) -> Any:
    """What `wanted` returns, once that is true."""
    ends_s = time.monotonic() + LONGEST_S
    while not (found := wanted()):
        assert time.monotonic() < ends_s, "it did not come to it"
        time.sleep(0.1)
    return found


def ask(folder: Path, *words: object) -> Any:
    """What a command of the collector's operator prints as JSON."""
    done = subprocess.run(
        command(("collector", *words, "--folder", "collector", "--json")),
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def followed(url: str, **wanted: int) -> dict[str, Any]:
    """The collector's status, once its follower has come to all rows and found so much."""

    def status() -> dict[str, Any] | None:
        said: dict[str, Any] = httpx.get(f"{url}/operator/v1/status", timeout=PATIENCE_S).json()
        found = said["not_recomputed"] == 0 and all(said[name] == number for name, number in wanted.items())
        return said if found else None

    found: dict[str, Any] = until(status)
    return found


def beat(bus: LiveTerminal) -> None:
    """The terminal's loop comes round: time passes, and the reader looks."""
    bus.hand.say("clock", step_s=1)
    bus.hand.say("remove")


def in_force(bus: LiveTerminal, version: int) -> bool:
    """Whether the terminal has put that version of its region document in force."""
    beat(bus)
    said = [row["version"] for row in bus.rows() if "sha256" in row]
    return said[-1:] == [version]


def test_the_collector_decides_again_with_the_document_then_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = publish(tmp_path, 1)
    with live_terminal(tmp_path, **TABLES) as bus:
        cards = [bus.card("adult_purse"), bus.card("adult_purse_ev1"), bus.card("month_pass")]
        for card in cards:
            bus.tap(card)
        second = publish(tmp_path, 2, DEARER)
        until(lambda: in_force(bus, 2))
        bus.hand.say("clock", step_s=5400)
        for card in cards:
            bus.tap(card)
    copied = tmp_path / f"{first[:8]}.toml"
    copied.write_text(DEMO_REGION.read_text("utf-8"), "utf-8")
    with collector(tmp_path) as url:
        run(tmp_path, "sync", "--collector", url)
        status = followed(url, unproven=6)
        assert (status["recomputed"], status["differing"], status["not_recomputed_s"]) == (0, 0, 0)
        lacking = ask(tmp_path, "documents", "list")["missing"]
        assert lacking == [{"sha256": name, "terminals": 1} for name in sorted((first, second))]
        # One of them: the rows before the change, and only those, are decided again.
        ask(tmp_path, "documents", "add", copied)
        followed(url, recomputed=3, unproven=3)
        ask(tmp_path, "documents", "add", tmp_path / "region.toml", copied)
        followed(url, recomputed=6, unproven=0, differing=0)
        assert ask(tmp_path, "documents", "list")["missing"] == []
        reasons = {(one["kind"], one["reason"]): one for one in ask(tmp_path, "verdicts")["verdicts"]}
        assert {key: one["rows"] for key, one in reasons.items()} == {
            ("recomputed", ""): 4,
            ("recomputed", "unproven_card"): 2,
        }
        assert sum(one["sum_minor"] for one in reasons.values()) == 2 * (2400 + 2600)
        page = httpx.get(f"{url}/operator/").text
        assert "<b>6</b>recomputed" in page
        assert "<b>0</b>not recomputed yet" in page
        metrics = httpx.get(f"{url}/metrics").text
        assert 'resident_collector_decisions{verdict="recomputed"} 6' in metrics
        assert "resident_collector_not_recomputed_rows 0" in metrics
        # The same terminal with other software: found with the rows of its next upload.
        (tmp_path / "build").mkdir()
        (tmp_path / "build" / "sitecustomize.py").write_text(CHEAPER_BUILD, "utf-8")
        path = os.pathsep.join((str(tmp_path / "build"), by_hand.ENVIRONMENT["PYTHONPATH"]))
        monkeypatch.setitem(by_hand.ENVIRONMENT, "PYTHONPATH", path)
        clock = {**by_hand.BY_HAND, "starts_at": "2026-09-15T12:00:00+03:00"}
        with live_terminal(tmp_path, **TABLES, laboratory=clock) as bus:
            assert bus.tap(cards[0])["charge_minor"] == 2500
        monkeypatch.undo()
        run(tmp_path, "sync", "--collector", url)
        followed(url, recomputed=6, differing=1)
        (row,) = ask(tmp_path, "verdicts", "--differing")["differing"]
        assert row["found"]["charge_minor"] == {"recorded": 2500, "recomputed": 2600}
        (alarm,) = [one for one in ask(tmp_path, "alarms")["alarms"] if one["kind"] == "recomputed"]
        assert (alarm["terminal"], alarm["sequence"]) == (7, row["sequence"])
        assert alarm["detail"].startswith("row_differs what=event,charge_minor")
