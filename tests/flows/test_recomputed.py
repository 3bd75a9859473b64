"""Decisions made again: at the collector by its follower, on the terminal by itself, both as they run in service.

Nothing is fed by hand: rows are written by `terminal run`, travel by `terminal sync` to `terminal collector`, whose own
child decides them again; what is looked at is what the commands print.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
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
    from msgspec.structs import replace
    from terminal.policy.policy import Policy
    fare = Policy.ordinary_fare
    def cheaper(self, *ride, **more):
        quote = fare(self, *ride, **more)
        return quote and replace(quote, fare_minor=quote.fare_minor - 100)
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
    said = [row["version"] for row in bus.rows() if "since_ms" in row]
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
        status = followed(url, undecided=6)
        assert (status["recomputed"], status["decided_otherwise"], status["not_recomputed_s"]) == (0, 0, 0)
        lacking = ask(tmp_path, "documents", "list")["missing"]
        assert lacking == [{"sha256": name, "terminals": 1} for name in sorted((first, second))]
        # One of them: the rows before the change, and only those, are decided again.
        ask(tmp_path, "documents", "add", copied)
        followed(url, recomputed=3, undecided=3)
        ask(tmp_path, "documents", "add", tmp_path / "region.toml", copied)
        followed(url, recomputed=6, undecided=0, decided_otherwise=0)
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
        build(tmp_path, monkeypatch)
        clock = {**by_hand.BY_HAND, "starts_at": "2026-09-15T12:00:00+03:00"}
        with live_terminal(tmp_path, **TABLES, laboratory=clock) as bus:
            assert bus.tap(cards[0])["charge_minor"] == 2500
        monkeypatch.undo()
        run(tmp_path, "sync", "--collector", url)
        followed(url, recomputed=6, decided_otherwise=1)
        (row,) = ask(tmp_path, "verdicts", "--differing")["differing"]
        assert row["found"]["charge_minor"] == {"recorded": 2500, "recomputed": 2600}
        (alarm,) = [one for one in ask(tmp_path, "alarms")["alarms"] if one["kind"] == "recomputed"]
        assert (alarm["terminal"], alarm["sequence"]) == (7, row["sequence"])
        assert alarm["detail"].startswith("decided_otherwise what=event,charge_minor")


def stated(bus: LiveTerminal) -> list[dict[str, Any]]:
    """What the terminal has put on record of its own rows, after its loop came round once more."""
    beat(bus)
    return [row for row in bus.rows() if row["kind"] == "SelfRecomputed"]


def test_a_running_terminal_decides_its_own_rows_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = publish(tmp_path, 1)
    with live_terminal(tmp_path, **TABLES, recompute={"every_h": 1}) as bus:
        for card in ("adult_purse", "empty_purse", "blocked"):
            bus.tap(bus.card(card))
        publish(tmp_path, 2, DEARER)
        until(lambda: in_force(bus, 2))
        bus.tap("empty_purse.json")
        # Asked from another window, while it serves.
        words = ("journal", "recompute", "--record", "--json", "--config", tmp_path / "terminal.toml")
        asking = subprocess.Popen(command(words), cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE)
        until(lambda: stated(bus) and asking.poll() is not None)
        assert asking.stdout is not None
        with asking.stdout:
            said = json.loads(asking.stdout.read())
        assert (said["recomputed"], said["differing"], said["unproven"]) == (4, 0, {})
        assert (said["first"], document in said["documents"], len(said["documents"])) == (1, True, 2)
        # By itself, when it is time: only what came since.
        bus.hand.say("clock", step_s=3700)
        until(lambda: len(stated(bus)) == 2)
        assert [row["first"] for row in stated(bus)] == [1, said["through"] + 1]
    build(tmp_path, monkeypatch)
    clock = {**by_hand.BY_HAND, "starts_at": "2026-09-15T12:00:00+03:00"}
    with live_terminal(tmp_path, **TABLES, recompute={"every_h": 1}, laboratory=clock) as bus:
        row = bus.tap("adult_purse.json")["sequence"]
        bus.hand.say("clock", step_s=3700)
        until(lambda: len(stated(bus)) == 3)
        (said,) = stated(bus)[2:]
        assert (said["differing"], said["rows"]) == (1, [row])
    monkeypatch.undo()
    with collector(tmp_path) as url:
        run(tmp_path, "sync", "--collector", url)
        followed(url, undecided=2)
        (shown,) = ask(tmp_path, "verdicts")["statements"]
        assert (shown["terminal"], shown["differing"], shown["through"]) == (7, 1, said["through"])
        alarms = [one["detail"] for one in ask(tmp_path, "alarms")["alarms"] if one["kind"] == "recomputed"]
        assert f"terminal_differs count=1 row={row}" in alarms


def build(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on terminals are started with other software."""
    (folder / "build").mkdir()
    (folder / "build" / "sitecustomize.py").write_text(CHEAPER_BUILD, "utf-8")
    path = os.pathsep.join((str(folder / "build"), by_hand.ENVIRONMENT["PYTHONPATH"]))
    monkeypatch.setitem(by_hand.ENVIRONMENT, "PYTHONPATH", path)
