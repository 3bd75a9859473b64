"""The processes that judge documents for the playground: given up in time, and never in the way of the next one."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from terminal.lab.desk.tariff.judge import LONGEST_TEXT, TariffOrder
from terminal.lab.desk.tariff.judges import Judges, NotJudged, OrderOvertaken
from terminal.policy.load import REGIONS
from terminal.scenario.load import SCENARIOS

DEMO = (REGIONS / "demo.toml").read_text("utf-8")
SCENARIOS_OF_DEMO = (SCENARIOS / "demo.toml").read_text("utf-8")
PIPE = "feed.json"
ENDLESS = f"""{DEMO}
[gtfs]
destination = "not_used"
file = "{PIPE}"
sha256 = "{"0" * 64}"
"""
"""A document whose feed is a pipe: reading it ends when the test lets it."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / PIPE)
    return tmp_path


@pytest.fixture
def judges(folder: Path) -> Iterator[Judges]:
    found = Judges(folder)
    yield found
    found.close()


def order(text: str, tab: str = "tab-one-", **more: Any) -> TariffOrder:
    return TariffOrder(tab=tab, text=text, **more)


def asked(judges: Judges, text: str, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(judges.ask(order(text, **more)))
    return found


class _Asking(threading.Thread):
    """An order on its way, and what became of it."""

    def __init__(self, judges: Judges, wanted: TariffOrder) -> None:
        super().__init__(daemon=True)
        self.judges, self.wanted = judges, wanted
        self.ended: BaseException | bytes | None = None
        self.start()

    def run(self) -> None:
        try:
            self.ended = self.judges.ask(self.wanted)
        except NotJudged as error:
            self.ended = error


def test_a_sound_document_and_one_that_is_not(judges: Judges) -> None:
    found = asked(judges, DEMO, wants=("scenarios",), scenarios=SCENARIOS_OF_DEMO)
    assert (found["mistakes"], found["document"]["id"]) == ([], "demo")
    assert (found["scenarios"]["taps"], found["scenarios"]["differing"]) == (65, 0)
    found = asked(judges, DEMO.replace("transport_card = 2400", "transport_card = 24.5"))
    assert len(found["mistakes"]) == 1
    assert "document" not in found


def test_a_newer_text_of_the_same_page_takes_the_place_of_one_being_judged(
    judges: Judges, folder: Path
) -> None:
    older = _Asking(judges, order(ENDLESS))
    with (folder / PIPE).open("wb"):  # opens when the other side reads
        assert asked(judges, DEMO)["mistakes"] == []
        older.join()
    assert isinstance(older.ended, OrderOvertaken)


def test_another_page_is_not_disturbed(judges: Judges, folder: Path) -> None:
    older = _Asking(judges, order(ENDLESS))
    with (folder / PIPE).open("wb"):
        assert asked(judges, DEMO, tab="tab-two-")["mistakes"] == []
        assert older.is_alive()
    older.join()
    assert isinstance(older.ended, bytes)
    assert b"sha256" in older.ended


def test_a_document_that_takes_too_long_is_given_up(folder: Path) -> None:
    judges = Judges(folder, deadline_s=0.5, most=1)
    try:
        with pytest.raises(NotJudged, match=r"longer than 0\.5 seconds"):
            judges.ask(order(ENDLESS))
    finally:
        judges.close()


def test_one_place_is_enough_for_all_that_follow(folder: Path) -> None:
    judges = Judges(folder, most=1)
    older = _Asking(judges, order(ENDLESS))
    with (folder / PIPE).open("wb"):
        waiting = _Asking(judges, order(DEMO, "tab-two-"))
        judges.ask(order(DEMO))
        older.join()
    waiting.join()
    judges.close()
    assert isinstance(older.ended, OrderOvertaken)
    assert isinstance(waiting.ended, bytes)


def test_closing_ends_what_is_being_judged(folder: Path) -> None:
    judges = Judges(folder)
    older = _Asking(judges, order(ENDLESS))
    with (folder / PIPE).open("wb", buffering=0) as pipe:
        judges.close()
        older.join()
        with pytest.raises(BrokenPipeError):
            pipe.write(b"{}")
    assert isinstance(older.ended, NotJudged)
    with pytest.raises(NotJudged, match="closed"):
        judges.ask(order(DEMO))


def test_hostile_texts_are_mistakes_and_the_process_lives_on(judges: Judges) -> None:
    for text in ("a = " + "[" * 5000, "a.b" * 5000 + " = 1", "a = " + "9" * 5000, "\x00", "a" * 100_000):
        assert len(asked(judges, text)["mistakes"]) >= 1
    with pytest.raises(NotJudged):
        asked(judges, "#" * (LONGEST_TEXT + 1))
    assert asked(judges, DEMO)["mistakes"] == []
