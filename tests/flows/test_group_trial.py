"""A tariff on trial at terminals that have too few taps to judge it: the collector judges them together and takes it
back from all of them (O-12). Terminals and collector are processes of the product; cards and clocks are moved by hand.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from pathlib import Path
from shutil import copyfile
from typing import Any, Final

import pytest

from terminal.app.collector import enrol
from terminal.clock import SystemClock
from terminal.codes import ReturnCause, SetKind
from terminal.journal.operation_records import SetActivated, SetReturned
from tests.by_hand import BY_HAND, SOCKET, Hand
from tests.flows.test_recomputed import ask, until
from tests.terminal.cli.conftest import ENVIRONMENT, command
from tests.terminal.updates.published import region
from tests.terminal.updates.served import Served, serving
from tests.terminal.updates.test_live_trial import TEN_MINUTES_S, publish
from tests.terminal.updates.test_live_trial import cards as cards  # noqa: PLC0414 the fixture

NUMBERS: Final = (70001, 70002, 70003)
HALF_DAY_S: Final = 12 * 3600
MOVED_CLOCK: Final = """
import os
from datetime import timedelta
from terminal.clock import SystemClock
now = SystemClock.now
def moved(self):
    with open(os.environ["MOVED"]) as file:
        return now(self) + timedelta(seconds=float(file.read()))
SystemClock.now = moved
"""
"""The collector's day is that of the terminals, or it would not believe their clocks, nor they its word."""


class Fleet:
    """Three buses that take what lies in one folder, and their collector."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.buses: list[tuple[Served, Hand]] = []
        self._off_s = (
            datetime.fromisoformat(str(BY_HAND["starts_at"])) - SystemClock().now()
        ).total_seconds()
        self.move(0)

    def move(self, step_s: float) -> None:
        """All clocks: by no more than clocks may differ at a time."""
        self._off_s += step_s
        publish(self.folder / "moved", str(self._off_s).encode())
        self.each(lambda hand, _: hand.say("clock", step_s=step_s))

    def each(self, do: Callable[[Hand, int], object]) -> None:
        """At every bus at once."""
        with ThreadPoolExecutor(len(NUMBERS)) as threads:
            hands = [hand for _, hand in self.buses]
            list(threads.map(do, hands, range(len(hands))))

    def tap(self, card: str, times: int, buses: int = len(NUMBERS)) -> None:
        """So often at each bus, or the first `buses`, ten minutes apart on the bus's own clock: none is the rider of
        before.
        """

        def taps(hand: Hand, bus: int) -> None:
            for _ in range(times):
                hand.say("clock", step_s=TEN_MINUTES_S)
                if bus >= buses:
                    continue
                message = hand.tap(self.folder / f"{NUMBERS[bus]}/{card}.json")["message"]
                assert message == ("ok_pass" if card == "pass" else "no_funds")

        self._off_s += TEN_MINUTES_S * times
        publish(self.folder / "moved", str(self._off_s).encode())
        self.each(taps)

    def publishes(self, version: int, trial_days: int) -> None:
        publish(self.folder / "published/region.toml", region(version, trial_days=trial_days))
        for served, _ in self.buses:
            served.said("in_force", kind="region", edition=f"demo:{version}")

    def until(self, wanted: Callable[[dict[str, Any]], Any]) -> Any:
        """What `wanted` returns of the trial, once that is true; meanwhile time passes, because an upload that met a
        busy collector is tried again by the bus's own clock.
        """

        def looked() -> Any:
            self.move(2)
            return wanted(self.trial())

        return until(looked)

    def trial(self) -> dict[str, Any]:
        """The collector's view of the one document on trial, and how far it is with the rows."""
        (found,) = ask(self.folder, "trials")["trials"] or [{"taps": 0}]
        return dict(found)


@contextmanager
def moved_collector(folder: Path) -> Iterator[str]:
    (folder / "build").mkdir()
    (folder / "build/sitecustomize.py").write_text(MOVED_CLOCK, "utf-8")
    path = os.pathsep.join((str(folder / "build"), ENVIRONMENT["PYTHONPATH"]))
    process = subprocess.Popen(
        command(("collector", "--folder", "collector", "--port", 0, "--json")),
        cwd=folder,
        env={**ENVIRONMENT, "PYTHONPATH": path, "MOVED": str(folder / "moved")},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield str(json.loads(process.stdout.readline())["url"])
    finally:
        process.terminate()
        process.communicate(timeout=20)


@pytest.fixture
def fleet(tmp_path: Path, cards: Path) -> Iterator[Fleet]:
    made = Fleet(tmp_path)
    (tmp_path / "published").mkdir()
    publish(tmp_path / "published/region.toml", region(1))
    with ExitStack() as stack:
        url, buses = stack.enter_context(moved_collector(tmp_path)), []
        for number in NUMBERS:
            state = tmp_path / str(number) / "state"
            state.mkdir(parents=True)
            enrol(state, number, tmp_path / "collector")
            copyfile(tmp_path / "collector/collector.pub", state / "collector.pub")
            for name, number_of in riders(number).items():
                copyfile(cards / f"{number_of}.json", tmp_path / f"{number}/{name}.json")
            buses.append(
                stack.enter_context(
                    serving(
                        tmp_path / str(number),
                        "",
                        terminal={"number": number},
                        updates={"folder": tmp_path / "published"},
                        laboratory=BY_HAND,
                        collector={"url": url},
                    )
                )
            )
        for number, served in zip(NUMBERS, buses, strict=True):
            served.said("ready")
            made.buses.append((served, stack.enter_context(closing(Hand(tmp_path / str(number) / SOCKET)))))
        yield made


def riders(bus: int) -> dict[str, str]:
    """The cards at a bus, by the names they have there: `stranger` goes from bus to bus, the others are its own."""
    own = NUMBERS.index(bus) * 11
    poor = {f"poor-{number}": f"empty_purse-{1 + own + number}" for number in range(11)}
    return {"pass": "pass", "stranger": "empty_purse-0", **poor}


def returned(served: Served) -> list[SetReturned]:
    return [one for one in served.rows() if isinstance(one, SetReturned)]


def test_a_group_of_small_terminals_is_judged_together_and_taken_back(fleet: Fleet) -> None:
    """Of 28 riders one has no money in fourteen days. By the new tariff one of six is refused, at 67 taps a bus: none
    may judge it, and together they have 200. One card that is refused at every bus again and again counts as one.
    """
    for day in range(14):
        fleet.tap("pass", 1)
        fleet.tap("pass" if day else "poor-0", 1)
        for _ in range(2):
            fleet.move(HALF_DAY_S - TEN_MINUTES_S)
    fleet.publishes(2, trial_days=7)
    fleet.tap("stranger", 15)
    fleet.tap("pass", 56)
    for number in range(10):
        fleet.tap(f"poor-{number}", 1)
    fleet.until(lambda trial: trial["taps"] == 199)
    assert (fleet.trial()["refused"], fleet.trial()["withdrawn"]) == (31, False), "too few taps"
    fleet.tap("poor-10", 1, buses=1)
    fleet.until(lambda trial: trial["withdrawn"])
    # the word comes with an acknowledgement, so with the next tap or the one after it
    until(lambda: fleet.tap("pass", 1) or all(returned(served) for served, _ in fleet.buses))
    for served, _ in fleet.buses:
        served.said("in_force", kind="region", edition="demo:1")
        (row,) = returned(served)
        assert (row.version, row.cause, row.back_to) == (2, ReturnCause.GROUP, 1)
        assert (row.taps_before, row.refused_before) == (28, 1)
        kinds = [one for one in served.rows() if isinstance(one, SetActivated) and one.kind == SetKind.REGION]
        assert [(one.version, one.trial_days) for one in kinds[-2:]] == [(2, 7), (1, 0)]
    fleet.tap("pass", 1)
    found = fleet.until(lambda trial: trial["taken_back"] == 3 and trial)
    assert (found["terminals"], found["refused"], found["withdrawn"]) == (3, 32, True)
    alarms = ask(fleet.folder, "alarms")["alarms"]
    (word,) = (one for one in alarms if one["kind"] == "withdrawn")
    assert word["detail"] == (
        "group_refused edition=demo:2 terminals=3 refused=32 taps=200 refused_before=3 taps_before=84"
    )
    went = [one for one in alarms if one["kind"] == "taken_back"]
    assert {one["terminal"] for one in went} == set(NUMBERS)
    assert all("why=group" in one["detail"] for one in went)
