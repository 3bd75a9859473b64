"""Lamps, buzzer and barrier on lines in memory, with the faults such lines have."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sim.periphery.lines import LineFault, SimLines
from terminal.clock import SystemClock
from terminal.codes import Admission
from terminal.decision.outcome import Message, Outcome
from terminal.devices import DeviceState
from terminal.messages import Colour
from terminal.periphery import barrier as barriers
from terminal.periphery.barrier import Barrier
from terminal.periphery.lamps import LampLayout, Lamps, Tone, tone_of

PATIENCE_S = 10.0
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
def gate_on(chip: SimLines, open_ms: int = 50) -> Iterator[Barrier]:
    barrier = Barrier(chip, "gate", open_ms, SystemClock())
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


def test_a_barrier_closes_behind_the_person_who_passed() -> None:
    chip = lines()
    with gate_on(chip, open_ms=30_000) as barrier:
        barrier.tap(1)
        assert chip.wait_for("gate", True, PATIENCE_S)
        barrier.stands_open(True)  # as it should
        for chattering in (True, False, True, False):
            barrier.passed(chattering)
        assert chip.wait_for("gate", False, PATIENCE_S)
    assert barrier.counts.passed == 1 or barrier.counts.forced == 0


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
    """Every call of the tap's thread returns, though no line ever answers; their median is asserted."""
    chip = lines()
    for line in chip.lines:
        chip.fault(line, LineFault.SILENT)
    lamps, barrier, costs = Lamps(chip, LAYOUT, SystemClock()), Barrier(chip, "gate", 50, SystemClock()), []
    for device in (lamps.worker, barrier.worker):
        device.start(lambda _name, _state, _detail: None)
    for sequence in range(301):
        begun_s = time.perf_counter()
        lamps.outcome(PAID)
        barrier.tap(sequence)
        costs.append(time.perf_counter() - begun_s)
    assert sorted(costs)[150] < 100e-6  # bench/everything.py measures; a loaded machine takes its time
    for line in chip.lines:
        chip.fault(line, None)
    lamps.stop()
    barrier.stop()
