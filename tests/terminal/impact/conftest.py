"""Days recorded by terminals on simulated readers, and documents that differ from the demonstration's in one way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from sim.issuing import ReloadPoint
from sim.lab_keys import load_lab_keys
from terminal.lab.town import DAY, TerminalSite, Town, open_town
from terminal.policy.load import DEMO_REGION
from tests.terminal.cli.conftest import start
from tests.terminal.cli.inside import Run, Told, runner
from tests.terminal.screen.browser import browser, new_page

__all__ = ["browser", "new_page", "start"]
"""Fixtures of others."""

FRONT = TerminalSite(70001, "bus", "front door", route=15)
OTHER = TerminalSite(70002, "bus", "another bus", route=16, direction=1)
COUNTER = TerminalSite(80001, "canteen", "counter")
REGION = 34


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(tmp_path, monkeypatch, capfd)


@contextmanager
def town(folder: Path, *residents: str, stops: tuple[TerminalSite, ...] = (FRONT, OTHER)) -> Iterator[Town]:
    """A town whose terminals have their folders below `folder`."""
    folder.mkdir(parents=True)
    with open_town(folder, stops, residents, DAY, seed=7) as opened:
        yield opened


def ride(opened: Town, resident: str, times: int, stop: TerminalSite = FRONT) -> None:
    """So many rides, each more than an hour after the one before: no window is open."""
    for _ in range(times):
        opened.clock.advance(3_700)
        opened.tap(stop.number, resident)


def reload_point(opened: Town, resident: str) -> ReloadPoint:
    """A reload point for the card of `resident`, of which no terminal has a row."""
    card = opened.cards[resident]
    card.power_on()
    keys = load_lab_keys().for_card(card.uid, REGION)
    return ReloadPoint(card, keys, bytes, lambda at: _day(opened, at))


def _day(opened: Town, at: Any) -> date:
    return opened.policy.service_date(at.astimezone(opened.policy.zone))


def changed(folder: Path, old: str, new: str, name: str = "new", version: int = 2) -> Path:
    """The demonstration's document under another version, with `new` instead of `old`."""
    text = DEMO_REGION.read_text(encoding="utf-8")
    assert old in text
    path = folder / f"{name}.toml"
    text = text.replace("\nversion = 1", f"\nversion = {version}").replace(old, new)
    path.write_text(text, encoding="utf-8")
    return path


Impact = Callable[..., dict[str, Any]]


@pytest.fixture
def impact(run: Run) -> Impact:
    """`impact(old, new, folder, …)`: what the command prints as JSON; `code` is its exit code."""

    def one(old: object, new: object, folder: Path, *options: object, code: int = 0) -> dict[str, Any]:
        answer: Told = run("policy", "impact", old, new, "--journal", folder, "--json", *options)
        assert answer.returncode == code, answer.stderr
        found: dict[str, Any] = json.loads(answer.stdout)
        return found

    return one


def gaps_of(report: dict[str, Any]) -> dict[str, int]:
    return {gap["kind"]: gap["count"] for gap in report["gaps"]}


def totals_of(report: dict[str, Any]) -> tuple[int, int, int]:
    """Recorded, old, new."""
    return report["recorded_minor"], report["total"]["old_minor"], report["total"]["new_minor"]


def group(report: dict[str, Any], dimension: str, *codes: str) -> dict[str, Any]:
    """The one group with these codes."""
    (found,) = (
        row for row in report["groups"][dimension] if [row["old"], row["new"]] == [codes[0], codes[-1]]
    )
    return dict(found)
