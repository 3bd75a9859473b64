"""What lamps and a barrier cost a tap: CPU of the tap's own thread, with devices that work and with lines that hang."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench.everything import PERIPHERY
from bench.result import Result, at_most
from sim.periphery.lines import LineFault, SimLines
from terminal.app.config.read import parse
from terminal.app.config.write import new_file
from terminal.app.periphery import Periphery
from terminal.app.running import SWITCH_S
from terminal.clock import SystemClock
from terminal.codes import Admission
from terminal.decision.outcome import Message, Outcome
from terminal.journal.taps import End
from terminal.tap_report import TapReport

TAPS = 500
BETWEEN_S = 0.002
LIMIT_US = 20
PAID = Outcome(Message.OK_PAID, Admission.LET_IN)


def tap_cpu() -> Iterator[Result]:
    """The result and the report of a tap, as the terminal passes them on; all other threads are idle before each."""
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        for name, fault in (("", None), (", their lines hang", LineFault.SILENT)):
            costs = _costs_us(fault)
            note = f"median of {TAPS}; mean {statistics.fmean(costs):.1f} us"
            yield at_most(
                f"lamps and barrier, CPU of a tap{name}", statistics.median(costs), "us CPU", LIMIT_US, note
            )
    finally:
        sys.setswitchinterval(before_s)


def _costs_us(fault: LineFault | None) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        on_lines = {
            name: keys for name, keys in PERIPHERY.items() if "device" not in keys and "serial" not in keys
        }
        text = new_file(on_lines | {"reader": {"name": "sim:"}})
        _, config = parse(Path(folder) / "terminal.toml", text)
    tables = config.periphery
    chip = SimLines(tuple(tables.outputs.values()), tuple(tables.inputs.values()))
    devices = Periphery(tables, SystemClock(), chip)
    assert devices.lamps is not None
    assert devices.barrier is not None
    for begun in (devices.lamps.worker, devices.barrier.worker, devices.taps):
        begun.start(lambda _name, _state, _detail: None)
    for line in chip.lines if fault is not None else ():
        chip.fault(line, fault)
    costs = [_tap_us(devices, sequence) for sequence in range(TAPS)]
    for line in chip.lines:
        chip.fault(line, None)
    devices.close()
    return costs


def _tap_us(devices: Periphery, sequence: int) -> float:
    at = datetime(2026, 9, 15, tzinfo=UTC)
    report = TapReport(PAID, End.COMMITTED, at, 7, 300, "RUB", sequence=sequence)
    time.sleep(BETWEEN_S)
    begun_ns = time.thread_time_ns()
    devices.outcome(PAID)
    devices.report(report)
    return (time.thread_time_ns() - begun_ns) / 1000
