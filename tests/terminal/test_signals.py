"""Signals beside a tap: they see every result, in order, and can neither end nor delay one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from terminal import signals
from terminal.clock import SystemClock
from terminal.codes import Admission
from terminal.decision.outcome import Message, Outcome
from terminal.devices import DeviceState
from terminal.signals import WAITING, DeviceWorker

PATIENCE_S = 60.0
PAID, REFUSED = Outcome(Message.OK_PAID, Admission.LET_IN), Outcome(Message.NO_FUNDS, Admission.REFUSED)


class Lamp:
    """Notes what it shows; `wait` is called in between."""

    def __init__(self, wait: Callable[[], object] = lambda: None) -> None:
        self.shown: list[Outcome] = []
        self.threads: set[int] = set()
        self.closed = threading.Event()
        self._wait = wait

    def show(self, outcome: Outcome) -> None:
        self.threads.add(threading.get_ident())
        self._wait()
        self.shown.append(outcome)

    def close(self) -> None:
        self.threads.add(threading.get_ident())
        self.closed.set()


class Reports:
    """What is heard of a signal's state."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, DeviceState, str]] = []
        self._came = threading.Condition()

    def __call__(self, name: str, state: DeviceState, detail: str) -> None:
        with self._came:
            self.heard.append((name, state, detail))
            self._came.notify_all()

    def wait_for(self, state: DeviceState) -> str:
        """Its detail, as soon as that state is reported."""
        with self._came:
            assert self._came.wait_for(lambda: any(one[1] is state for one in self.heard), PATIENCE_S)
            return next(one[2] for one in self.heard if one[1] is state)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Open at the end of the test, so that no thread is left waiting."""
    event = threading.Event()
    yield event
    event.set()


def worker_of(lamp: Lamp, reports: Reports) -> DeviceWorker[Outcome]:
    worker = DeviceWorker("signal:lamp", lamp.show, lamp.close, SystemClock())
    worker.start(reports)
    return worker


def test_every_result_is_shown_in_order_from_one_other_thread() -> None:
    lamp = Lamp()
    worker = worker_of(lamp, Reports())
    for outcome in (PAID, REFUSED, PAID):
        worker.pass_on(outcome)
    worker.close()
    assert lamp.shown == [PAID, REFUSED, PAID]
    assert lamp.closed.is_set()
    assert len(lamp.threads) == 1
    assert threading.get_ident() not in lamp.threads


def test_what_was_passed_on_before_the_start_is_shown_after_it() -> None:
    lamp = Lamp()
    worker = DeviceWorker("signal:lamp", lamp.show, lamp.close, SystemClock())
    worker.pass_on(PAID)
    assert lamp.shown == []
    worker.start(Reports())
    worker.close()
    assert lamp.shown == [PAID]


def test_a_signal_that_was_never_started_is_closed_all_the_same() -> None:
    lamp = Lamp()
    DeviceWorker("signal:lamp", lamp.show, lamp.close, SystemClock()).close()
    assert lamp.closed.is_set()


def test_one_that_raises_is_reported_once_and_again_when_it_works() -> None:
    broken = [True]

    def wait() -> None:
        if broken[0]:
            raise OSError("no such lamp")

    lamp, reports = Lamp(wait), Reports()
    worker = worker_of(lamp, reports)
    worker.pass_on(PAID)
    assert reports.wait_for(DeviceState.RAISES) == "OSError: no such lamp"
    worker.pass_on(PAID)
    broken[0] = False
    worker.pass_on(REFUSED)
    reports.wait_for(DeviceState.WORKS)
    worker.close()
    assert lamp.shown[-1] == REFUSED
    assert [state for _, state, _ in reports.heard] == [DeviceState.RAISES, DeviceState.WORKS]


def test_a_signal_that_asks_for_the_end_of_the_program_does_not_get_it() -> None:
    def leave() -> None:
        raise SystemExit(3)

    lamp, reports = Lamp(leave), Reports()
    worker = worker_of(lamp, reports)
    worker.pass_on(PAID)
    reports.wait_for(DeviceState.RAISES)
    worker.close()
    assert lamp.closed.is_set()


def test_one_that_hangs_delays_nothing_and_keeps_the_newest(
    monkeypatch: pytest.MonkeyPatch, gate: threading.Event
) -> None:
    monkeypatch.setattr(signals, "HANGS_S", 0.0)
    monkeypatch.setattr(signals, "CLOSE_S", 0.05)
    entered = threading.Event()

    def hang() -> None:
        entered.set()
        gate.wait()

    lamp, reports = Lamp(hang), Reports()
    worker = worker_of(lamp, reports)
    worker.pass_on(PAID)
    assert entered.wait(PATIENCE_S)
    began_s = time.monotonic()
    for _ in range(1000):
        worker.pass_on(PAID)
    worker.pass_on(REFUSED)
    assert time.monotonic() - began_s < 1.0
    reports.wait_for(DeviceState.HANGS)
    worker.close()
    assert not lamp.closed.is_set()
    gate.set()
    assert lamp.closed.wait(PATIENCE_S)
    assert len(lamp.shown) == 1 + WAITING
    assert lamp.shown[-1] == REFUSED
    assert [state for _, state, _ in reports.heard] == [DeviceState.HANGS, DeviceState.WORKS]
