"""A region document on trial at `terminal run`: what takes it back, what keeps it, and what a restart remembers (O-12).
Cards and clock are moved by hand, so that every tap is known.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path

import pytest

from sim.card.virtual import VirtualCard
from sim.image_file import save_card
from terminal.app.simulated import issue_residents
from terminal.codes import ReturnCause, SetKind
from terminal.journal.operation_records import SetActivated, SetReturned
from tests.by_hand import BY_HAND, SOCKET, Hand
from tests.terminal.cli.conftest import Run
from tests.terminal.updates.published import REGION, region
from tests.terminal.updates.served import Served, serving

LONG_PASS = """
description = { ru = "Проездной на всю осень", en = "A pass for all of autumn" }
[[contracts]]
product = 100
valid_from = "2026-09-01"
valid_to = "2026-12-31"
"""
TEN_MINUTES_S = 600
EMPTY_PURSES = 34


def publish(path: Path, content: bytes) -> None:
    draft = path.with_name(f"{path.name}.draft")
    draft.write_bytes(content)
    os.replace(draft, path)


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Image files of new cards."""
    folder = tmp_path_factory.mktemp("cards")
    long_pass = folder / "long_pass.toml"
    long_pass.write_text(LONG_PASS, "utf-8")
    made = issue_residents([str(long_pass), *["empty_purse"] * EMPTY_PURSES], REGION, date(2026, 9, 15))
    names = ("pass", *(f"empty_purse-{number}" for number in range(EMPTY_PURSES)))
    for name, card in zip(names, made, strict=True):
        assert isinstance(card, VirtualCard)
        save_card(card, folder / f"{name}.json")
    return folder


class Bus:
    """A terminal that takes what lies in a folder, with the cards and the clock of a test."""

    def __init__(self, folder: Path, served: Served, hand: Hand, cards: Path) -> None:
        self.served = served
        self._folder = folder
        self._hand = hand
        self._cards = cards

    def publishes(self, version: int, fare_minor: int = 2400, trial_days: int = 7) -> None:
        """Until it is in force."""
        content = region(version, fare_minor=fare_minor, trial_days=trial_days)
        publish(self._folder / "region.toml", content)
        self.in_force(version)

    def says(self, **verdicts: list[str]) -> None:
        """What the publisher says of documents on trial."""
        publish(
            self._folder / "assignment.json", json.dumps({"format": 1, "groups": [], **verdicts}).encode()
        )
        self.step(2)

    def in_force(self, version: int) -> None:
        self.served.said("in_force", kind="region", edition=f"demo:{version}")

    def tap(self, card: str, times: int = 1) -> list[str]:
        """Ten minutes between two taps: none is the rider of before."""
        messages = []
        for _ in range(times):
            self.step(TEN_MINUTES_S)
            messages.append(self._hand.tap(self._cards / f"{card}.json")["message"])
        return messages

    def step(self, step_s: float) -> None:
        self._hand.say("clock", step_s=step_s)

    @property
    def returns(self) -> list[SetReturned]:
        return [row for row in self.served.rows() if isinstance(row, SetReturned)]

    @property
    def activated(self) -> list[int]:
        rows = self.served.rows()
        return [row.version for row in rows if isinstance(row, SetActivated) and row.kind == SetKind.REGION]


@contextmanager
def bus(
    tmp_path: Path, cards: Path, starts_at: object = BY_HAND["starts_at"], first: int = 1
) -> Iterator[Bus]:
    folder = tmp_path / "published"
    if not folder.exists():
        folder.mkdir()
        publish(folder / "region.toml", region(first))
    laboratory = {**BY_HAND, "starts_at": starts_at}
    with serving(tmp_path, "", updates={"folder": folder}, laboratory=laboratory) as served:
        served.said("ready")
        with closing(Hand(tmp_path / SOCKET)) as hand:
            yield Bus(folder, served, hand, cards)


def test_two_weeks_are_what_a_tariff_is_measured_by(run: Run, tmp_path: Path, cards: Path) -> None:
    """Of 28 riders one has no money, in fourteen days. By a new tariff one card is refused three hundred times, and
    that is no reason to go back, also not where a power cut comes between. Nine others that are refused are: each
    counts once a day and three times in all. The tariff that was taken back comes no more, not even after a restart.
    """
    stranger, others = "empty_purse-0", [f"empty_purse-{number}" for number in range(1, 10)]
    with bus(tmp_path, cards) as terminal:
        for day in range(14):
            assert terminal.tap("pass", 3) == ["ok_pass"] * 3
            assert terminal.tap("pass" if day % 7 else stranger) == ["ok_pass" if day % 7 else "no_funds"]
            terminal.step(24 * 3600 - 4 * TEN_MINUTES_S)
        terminal.publishes(2)
        terminal.tap("pass", 60)
        assert terminal.tap(stranger, 150) == ["no_funds"] * 150
        terminal.served.process.kill()
        terminal.served.process.wait(20)
    with bus(tmp_path, cards, "2026-10-01T08:00:00+03:00") as terminal:
        assert terminal.tap(stranger, 150) == ["no_funds"] * 150
        assert terminal.tap("pass", 110) == ["ok_pass"] * 110
        terminal.step(2)
        assert terminal.returns == [], "300 refusals of 470 taps, and one card"
        for _day in range(2):
            assert [terminal.tap(one) for one in others] == [["no_funds"]] * 9
            terminal.tap(others[0], 2)  # a second time on the same day
            terminal.step(24 * 3600)
        assert [terminal.tap(one) for one in others[:8]] == [["no_funds"]] * 8
        terminal.step(2)
        assert terminal.returns == [], "29 of 199: not 200 taps"
        terminal.tap(others[8])
        terminal.step(2)
        terminal.in_force(1)
        terminal.served.said("update", code="update:taken_back", version=2)
        (row,) = terminal.returns
        assert (row.version, row.cause, row.back_to) == (2, ReturnCause.REFUSALS, 1)
        assert (row.taps, row.refused, row.taps_before, row.refused_before) == (200, 30, 56, 2)
        assert terminal.activated == [1, 2, 1]
    checks = json.loads(run("health", "--state", terminal.served.state, "--json").stdout)["checks"]
    assert checks["update:region"]["inputs"]["fault"] == "update:taken_back"
    with bus(tmp_path, cards, "2026-10-20T08:00:00+03:00") as terminal:
        terminal.served.said("update", code="update:taken_back", version=2)
        assert terminal.activated == [1, 2, 1]
        terminal.publishes(3)
        assert terminal.activated == [1, 2, 1, 3]


def test_what_is_confirmed_stays_and_what_is_withdrawn_goes(tmp_path: Path, cards: Path) -> None:
    with bus(tmp_path, cards) as terminal:
        terminal.publishes(2)
        terminal.says(confirmed=["demo:2"])
        terminal.served.said("confirmed", edition="demo:2")
        terminal.publishes(3)
        terminal.says(confirmed=["demo:2"], withdrawn=["demo:2", "demo:3"])
        terminal.in_force(2)
        (row,) = terminal.returns
        assert (row.version, row.cause, row.back_to) == (3, ReturnCause.WITHDRAWN, 2)
        assert terminal.tap("pass") == ["ok_pass"]


def test_what_no_person_confirms_in_its_days_goes_back(run: Run, tmp_path: Path, cards: Path) -> None:
    with bus(tmp_path, cards) as terminal:
        terminal.publishes(2)
        terminal.step(7 * 24 * 3600 - 2 * TEN_MINUTES_S)
        assert terminal.tap("pass") == ["ok_pass"]
        late = json.loads(run("health", "--state", terminal.served.state, "--json").stdout)["checks"][
            "trial:region"
        ]
        assert (late["level"], late["inputs"]["before"]) == ("look", "demo:1")
        terminal.step(TEN_MINUTES_S)
        terminal.in_force(1)
        (row,) = terminal.returns
        assert (row.cause, row.taps) == (ReturnCause.UNCONFIRMED, 1)
