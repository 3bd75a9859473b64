"""The processes that judge documents for the playground: given up in time, and never in the way of the next one."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from terminal.lab.desk.tariff.judge import LONGEST_TEXT, TariffOrder
from terminal.lab.desk.tariff.judges import (
    MOST_MEMORY,
    MOST_WAITING,
    MUCH_MEMORY,
    Judges,
    NotJudged,
    OrderOvertaken,
)
from terminal.policy.load import REGIONS
from terminal.scenario.load import SCENARIOS

DEMO = (REGIONS / "demo.toml").read_text("utf-8")
SCENARIOS_OF_DEMO = (SCENARIOS / "demo.toml").read_text("utf-8")
STORY = """
[[scenarios]]
name = "commuter {number}"
rider = "commuter"
card = {{ balance_minor = 10000 }}
[[scenarios.taps]]
at = 2026-01-12T08:00:00
repeat = {{ times = 1000, clock = [08:00:00] }}
expect = {{ message = "ok_paid", charge_minor = 2400 }}
"""
FOR_MINUTES = 'schema = 1\nregion = "demo"\nabout = "commuters"\n' + "".join(
    STORY.format(number=number) for number in range(1000)
)
LONG_S = 60.0


@pytest.fixture
def judges() -> Iterator[Judges]:
    found = Judges(REGIONS, deadline_s=LONG_S)
    yield found
    found.close()


def order(text: str, tab: str = "tab-one-", **more: Any) -> TariffOrder:
    return TariffOrder(tab=tab, text=text, **more)


def asked(judges: Judges, text: str, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(judges.ask(order(text, **more)))
    return found


def for_minutes(tab: str = "tab-one-") -> TariffOrder:
    return order(DEMO, tab, wants=("scenarios",), scenarios=FOR_MINUTES)


class _Asking(threading.Thread):
    """An order under way, and what became of it."""

    def __init__(self, judges: Judges, wanted: TariffOrder) -> None:
        super().__init__(daemon=True)
        self.judges, self.wanted = judges, wanted
        self.ended: BaseException | bytes | None = None
        self.start()
        while wanted.tab not in judges.under_way:
            assert self.is_alive(), "it is answered already"

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


def test_a_newer_text_of_the_same_page_takes_the_place_of_one_being_judged(judges: Judges) -> None:
    older = _Asking(judges, for_minutes())
    assert asked(judges, DEMO)["mistakes"] == []
    older.join()
    assert isinstance(older.ended, OrderOvertaken)
    assert judges.under_way == frozenset()


def test_another_page_is_not_disturbed(judges: Judges) -> None:
    older = _Asking(judges, for_minutes())
    assert asked(judges, DEMO, tab="tab-two-")["mistakes"] == []
    assert judges.under_way == {"tab-one-"}
    assert asked(judges, DEMO)["mistakes"] == []
    older.join()


def test_what_takes_too_long_is_given_up_and_the_next_order_is_answered() -> None:
    judges = Judges(REGIONS, deadline_s=0.5, most=1)
    try:
        with pytest.raises(NotJudged, match=r"longer than 0\.5 seconds"):
            judges.ask(for_minutes())
        assert judges.under_way == frozenset()
        judges.deadline_s = LONG_S
        assert asked(judges, DEMO)["mistakes"] == []
    finally:
        judges.close()


def test_an_order_that_is_given_up_does_not_wait_for_its_turn() -> None:
    judges = Judges(REGIONS, deadline_s=LONG_S, most=1)
    at_work = _Asking(judges, for_minutes())
    waiting = _Asking(judges, order(DEMO, "tab-two-"))
    newer = _Asking(judges, order(DEMO, "tab-two-"))
    waiting.join(LONG_S)
    assert isinstance(waiting.ended, OrderOvertaken)
    assert at_work.is_alive(), "the place is still taken"
    judges.ask(order(DEMO))
    newer.join()
    judges.close()
    assert isinstance(newer.ended, bytes)


def test_only_so_many_pages_may_wait() -> None:
    judges = Judges(REGIONS, deadline_s=LONG_S, most=1)
    asking = [_Asking(judges, for_minutes(f"tab-{number:04}")) for number in range(1 + MOST_WAITING)]
    with pytest.raises(NotJudged, match="too many pages"):
        judges.ask(order(DEMO))
    judges.close()
    for one in asking:
        one.join()
    assert all(isinstance(one.ended, OrderOvertaken) for one in asking)


def test_a_process_that_was_ended_while_idle_is_not_the_next_orders_fault(judges: Judges) -> None:
    asked(judges, DEMO)
    (process,) = judges.idle
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert asked(judges, DEMO)["mistakes"] == []


def test_the_memory_of_the_desk_is_not_counted_as_its_judges(judges: Judges) -> None:
    """Linux counts what a process had before it became another program: each judge would end with its first order."""
    held = b"\1" * (MUCH_MEMORY + (32 << 20))
    asked(judges, DEMO)
    (judge,) = judges.idle
    asked(judges, DEMO)
    assert (judges.idle, judge.poll()) == ((judge,), None)
    assert len(held) > MUCH_MEMORY


def test_what_needs_too_much_memory_is_given_up_and_the_next_order_is_answered(judges: Judges) -> None:
    asked(judges, DEMO)
    (process,) = judges.idle
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[0])
    now = pages * os.sysconf("SC_PAGE_SIZE")
    resource.prlimit(process.pid, resource.RLIMIT_AS, (now + (4 << 20), now + (4 << 20)))
    with pytest.raises(NotJudged, match="more memory"):
        judges.ask(order("".join(f"k{number} = 1\n" for number in range(80_000))))
    assert asked(judges, DEMO)["mistakes"] == []


def test_its_memory_is_limited_from_the_start(judges: Judges) -> None:
    asked(judges, DEMO)
    (process,) = judges.idle
    assert resource.prlimit(process.pid, resource.RLIMIT_AS)[0] == MOST_MEMORY


def test_a_process_ends_in_the_middle_of_its_work_when_the_desk_is_gone() -> None:
    command = [sys.executable, "-m", "terminal.lab.desk.tariff.judges", str(REGIONS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(msgspec.json.encode(order(DEMO)) + b"\n")
        process.stdin.flush()
        assert process.stdout.readline()
        process.stdin.write(msgspec.json.encode(for_minutes()) + b"\n")
        process.stdin.close()
        try:
            assert process.wait(LONG_S) == 0
        finally:
            process.kill()


def test_with_one_place_the_pages_wait_for_each_other() -> None:
    judges = Judges(REGIONS, deadline_s=LONG_S, most=1)
    older = _Asking(judges, for_minutes())
    waiting = _Asking(judges, order(DEMO, "tab-two-"))
    judges.ask(order(DEMO))
    older.join()
    waiting.join()
    judges.close()
    assert isinstance(older.ended, OrderOvertaken)
    assert isinstance(waiting.ended, bytes)


def test_closing_ends_what_is_being_judged() -> None:
    judges = Judges(REGIONS, deadline_s=LONG_S)
    older = _Asking(judges, for_minutes())
    judges.close()
    older.join()
    assert isinstance(older.ended, NotJudged)
    with pytest.raises(NotJudged, match="closed"):
        judges.ask(order(DEMO))


def test_hostile_texts_are_mistakes_and_the_process_lives_on(judges: Judges) -> None:
    for text in ("a = " + "[" * 5000, "a.b" * 5000 + " = 1", "a = " + "9" * 5000, "\x00", "a" * 100_000):
        assert len(asked(judges, text)["mistakes"]) >= 1
        found = asked(judges, DEMO, wants=("scenarios",), scenarios=text)
        assert found["scenarios"]["problem"]
    with pytest.raises(NotJudged):
        asked(judges, "#" * (LONGEST_TEXT + 1))
    assert asked(judges, DEMO)["mistakes"] == []
