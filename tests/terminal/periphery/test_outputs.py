"""Lamps, buzzer and barrier on lines in memory, with the faults such lines have."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sim.periphery.lines import LineFault, SimLines
from terminal.clock import Clock, SystemClock
from terminal.codes import Admission
from terminal.decision.outcome import Message, Outcome
from terminal.devices import DeviceState
from terminal.messages import Colour
from terminal.periphery import barrier as barriers
from terminal.periphery import fan_out
from terminal.periphery.barrier import Barrier
from terminal.periphery.contacts import Contacts
from terminal.periphery.fan_out import FanOut
from terminal.periphery.lamps import LampLayout, Lamps, Tone, tone_of

PATIENCE_S = 60.0
SIGNAL_S = 0.030
"""From the commit to the lamp."""
PAID = Outcome(Message.OK_PAID, Admission.LET_IN)
REFUSED = Outcome(Message.NO_FUNDS, Admission.REFUSED)
LAYOUT = LampLayout(
    ready="ready",
    colours={Colour.GREEN: "green", Colour.YELLOW: None, Colour.RED: "red"},
    low="low",
    high="high",
    tones={
        Colour.GREEN: (tone_of("low:20"), tone_of("pause:10"), tone_of("high:20")),
        Colour.YELLOW: (),
        Colour.RED: (Tone("low", 5000),),
    },
    show_ms=100,
)


def lines() -> SimLines:
    return SimLines(("ready", "green", "red", "low", "high", "gate"), ())


@contextmanager
def shown_on(chip: SimLines) -> Iterator[Lamps]:
    lamps = Lamps(chip, LAYOUT, SystemClock())
    lamps.worker.start(lambda _name, _state, _detail: None)
    try:
        yield lamps
    finally:
        lamps.stop()


def lit(chip: SimLines) -> list[str]:
    return [line for line, active, _ in chip.history if active]


def test_accepted_is_green_and_rises_from_low_to_high() -> None:
    chip = lines()
    with shown_on(chip) as lamps:
        lamps.serves(True)
        assert chip.wait_for("ready", True, PATIENCE_S)
        lamps.outcome(PAID)
        assert chip.wait_for("green", True, PATIENCE_S)
        assert chip.wait_for("ready", True, PATIENCE_S)
        assert lit(chip) == ["ready", "green", "low", "high", "ready"]
    assert not any(chip.lines.values())


def test_the_next_rider_hears_no_sound_of_the_last_one() -> None:
    chip = lines()
    with shown_on(chip) as lamps:
        lamps.outcome(REFUSED)
        assert chip.wait_for("low", True, PATIENCE_S)
        begun_s = time.monotonic()
        lamps.outcome(PAID)
        assert chip.wait_for("green", True, PATIENCE_S)
        (green_s,) = [at_s for line, active, at_s in chip.history if line == "green" and active]
        assert green_s - begun_s < LAYOUT.tones[Colour.RED][0].ms / 1000
        silent = [line for line, active, _ in chip.history if not active]
        assert silent[:2] == ["low", "red"]


def test_a_result_is_shown_to_its_end_also_when_service_ends_or_begins_meanwhile() -> None:
    """A failing supply is signalled, and cards are served no more, in one moment."""
    chip = lines()
    with shown_on(chip) as lamps:
        lamps.serves(True)
        assert chip.wait_for("ready", True, PATIENCE_S)
        lamps.outcome(PAID)
        lamps.serves(False)
        assert chip.wait_for("green", True, PATIENCE_S)
        assert chip.wait_for("green", False, PATIENCE_S)
        lamps.worker.drain()
        assert lit(chip) == ["ready", "green", "low", "high"]
        lamps.serves(True)
        assert chip.wait_for("ready", True, PATIENCE_S)


def test_a_lamp_is_lit_within_thirty_milliseconds() -> None:
    """The median of many: one of them may meet another process of this machine."""
    chip, taken = lines(), []
    with shown_on(chip) as lamps:
        for _ in range(21):
            begun_s = time.monotonic()
            lamps.outcome(PAID)
            assert chip.wait_for("green", True, PATIENCE_S)
            taken.append(
                next(at_s for line, on, at_s in reversed(chip.history) if line == "green" and on) - begun_s
            )
            assert chip.wait_for("green", False, PATIENCE_S)
    assert sorted(taken)[len(taken) // 2] < SIGNAL_S


@contextmanager
def gate_on(chip: SimLines, open_ms: int = 50, clock: Clock | None = None) -> Iterator[Barrier]:
    barrier = Barrier(chip, "gate", open_ms, clock or SystemClock())
    barrier.worker.start(lambda _name, _state, _detail: None)
    try:
        yield barrier
    finally:
        barrier.stop()


def test_a_barrier_opens_for_each_tap_in_turn_and_never_twice_for_one() -> None:
    chip = lines()
    with gate_on(chip) as barrier:
        for sequence in (7, 8, 7, 8, 8):
            barrier.tap(sequence)
        for _ in range(2):
            assert chip.wait_for("gate", True, PATIENCE_S)
            assert chip.wait_for("gate", False, PATIENCE_S)
        barrier.tap(7)
    assert lit(chip) == ["gate", "gate"]
    assert barrier.counts.opened == 2


class StillClock(SystemClock):
    """Moved by the test alone."""

    at_s = 100.0

    def monotonic(self) -> float:
        return self.at_s


@pytest.fixture
def still() -> StillClock:
    return StillClock()


def test_a_barrier_closes_behind_the_person_who_passed(still: StillClock) -> None:
    chip = lines()
    with gate_on(chip, 30_000, still) as barrier:
        barrier.tap(1)
        assert chip.wait_for("gate", True, PATIENCE_S)
        barrier.stands_open(True)  # as it should
        barrier.passed(True)
        assert chip.wait_for("gate", False, PATIENCE_S)
    assert (barrier.counts.passed, barrier.counts.forced) == (1, 0)


def test_a_contact_that_chatters_is_one_person_also_when_the_barrier_closes_meanwhile(
    still: StillClock,
) -> None:
    chip = lines()
    with gate_on(chip, 30_000, still) as barrier:
        barrier.tap(1)
        assert chip.wait_for("gate", True, PATIENCE_S)
        for active in (True, False, True):
            barrier.passed(active)
        assert chip.wait_for("gate", False, PATIENCE_S)
        barrier.worker.drain()
        for active in (False, True, False):
            still.at_s += barriers.CHATTER_S / 2
            barrier.passed(active)
        assert (barrier.counts.passed, barrier.counts.forced) == (1, 0)
        still.at_s += barriers.CHATTER_S
        barrier.passed(True)  # and this is another one, who passes a closed barrier
        assert (barrier.counts.passed, barrier.counts.forced) == (1, 1)


def test_a_contact_that_is_stuck_counts_nobody_and_the_barrier_closes_by_its_time() -> None:
    chip, heard = SimLines(("gate",), ("beam",)), threading.Event()
    barrier = Barrier(chip, "gate", 50, SystemClock())
    contacts = Contacts(lambda: chip, {"beam": lambda active: (barrier.passed(active), heard.set())})
    for begins in (barrier.worker.start, contacts.start):
        begins(lambda _name, _state, _detail: None)
    chip.fault("beam", LineFault.STUCK)
    barrier.tap(1)
    assert chip.wait_for("gate", True, PATIENCE_S)
    chip.move("beam", True)
    assert chip.wait_for("gate", False, PATIENCE_S)
    assert (barrier.counts.opened, barrier.counts.passed) == (1, 0)
    chip.fault("beam", None)
    chip.move("beam", True)
    assert heard.wait(PATIENCE_S)
    assert barrier.counts.forced == 1
    contacts.stop()
    barrier.stop()


def test_a_barrier_that_is_stuck_open_is_forced_once_it_should_have_shut(still: StillClock) -> None:
    chip = lines()
    with gate_on(chip, 50, still) as barrier:
        barrier.tap(1)
        assert chip.wait_for("gate", True, PATIENCE_S)
        chip.fault("gate", LineFault.STUCK)
        barrier.stands_open(True)
        barrier.worker.drain()
        barrier.look()
        assert barrier.counts.forced == 0  # it may be closing yet
        for _ in range(2):
            still.at_s += barriers.SHUTS_S + 1
            barrier.look()
        assert barrier.counts.forced == 1
    assert chip.lines["gate"]


def test_a_closed_barrier_that_is_passed_or_opened_is_forced() -> None:
    barrier = Barrier(lines(), "gate", 50, SystemClock())
    barrier.passed(True)
    barrier.passed(False)
    barrier.stands_open(True)
    barrier.stands_open(False)
    assert barrier.counts.forced == 2
    barrier.stop()


def test_the_end_of_the_terminal_closes_an_open_barrier_and_opens_none() -> None:
    chip = lines()
    with gate_on(chip, open_ms=30_000) as barrier:
        barrier.tap(1)
        barrier.tap(2)
        assert chip.wait_for("gate", True, PATIENCE_S)
    assert not chip.lines["gate"]
    assert lit(chip) == ["gate"]


def test_a_tap_whose_rider_has_gone_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(barriers, "LATEST_S", -60.0)  # as if the lines had hung for longer than that
    chip = lines()
    with gate_on(chip) as barrier:
        barrier.tap(1)
    assert (barrier.counts.opened, barrier.counts.late) == (0, 1)
    assert lit(chip) == []


def test_a_chip_that_was_unplugged_is_reported_and_used_again_when_it_is_back() -> None:
    chip, states = lines(), []
    barrier = Barrier(chip, "gate", 50, SystemClock())
    barrier.worker.start(lambda _name, state, _detail: states.append(state))
    chip.fault("gate", LineFault.GONE)
    barrier.tap(1)
    barrier.worker.drain()
    chip.fault("gate", None)
    barrier.tap(2)
    assert chip.wait_for("gate", True, PATIENCE_S)
    barrier.stop()
    assert states == [DeviceState.RAISES, DeviceState.WORKS]


def test_lines_that_never_return_cost_a_tap_no_time() -> None:
    """Every call of the tap's thread returns, though no line ever answers; bench/periphery.py measures them."""
    chip = lines()
    for line in chip.lines:
        chip.fault(line, LineFault.SILENT)
    lamps, barrier, heard = Lamps(chip, LAYOUT, SystemClock()), Barrier(chip, "gate", 50, SystemClock()), []

    def hear(sequence: int) -> None:
        lamps.outcome(PAID)
        barrier.tap(sequence)
        heard.append(sequence)

    taps = FanOut(hear)
    for starts in (lamps.worker.start, barrier.worker.start, taps.start):
        starts(lambda _name, _state, _detail: None)
    for sequence in range(100):
        taps.put(sequence)
    taps.stop()
    assert heard == list(range(100))
    for line in chip.lines:
        chip.fault(line, None)
    lamps.stop()
    barrier.stop()


def test_what_devices_cannot_hear_is_reported_and_the_next_tap_is_heard() -> None:
    states, heard = [], []

    def hear(sequence: int) -> None:
        heard.append(1 // sequence)

    taps = FanOut(hear)
    for sequence in (1, 0, 1):
        taps.put(sequence)
    taps.start(lambda name, state, _detail: states.append((name, state)))
    taps.stop()
    assert heard == [1, 1]
    assert states == [("periphery:taps", DeviceState.RAISES), ("periphery:taps", DeviceState.WORKS)]


def test_no_more_wait_than_may() -> None:
    states, heard = [], []
    taps: FanOut[int] = FanOut(heard.append)
    for sequence in range(fan_out.WAITING + 5):
        taps.put(sequence)
    taps.start(lambda _name, state, _detail: states.append(state))
    taps.stop()
    assert heard == list(range(fan_out.WAITING))
