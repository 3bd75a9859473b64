"""The side process as the terminal sees it: whatever it does is reported once, bounded, and waited for by no tap."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from time import monotonic
from typing import Final, TypeAlias

import msgspec
import pytest

from terminal import side_process
from terminal.codes import VehicleFault
from terminal.side_process import BrokenFrame, frame
from terminal.trip.vehicle import COMMAND, VehicleProcess
from terminal.trip.vehicle_report import (
    MOST_UP_BYTES,
    SILENT_S,
    RunStop,
    SourceSays,
    SourceSettings,
    SourceState,
    VehicleReport,
    VehicleRun,
    down_frames,
    up_frames,
)

PATIENCE_S: Final = 30.0
LARGE: Final = VehicleRun(route=15, shape=tuple((50.0 + n / 1e6, 36.0) for n in range(20_000)))
SPEAKS: Final = """
import json, os, sys, time
from terminal.trip.vehicle_report import *
from terminal.side_process import frame
say = lambda message: os.write(1, frame(message))
report = lambda **said: say(VehicleReport(heard_s=time.monotonic(), source="test", **said))
"""
HeardUp: TypeAlias = VehicleReport | tuple[VehicleFault | None, str]


class Ears:
    """What a terminal hears of its side process."""

    def __init__(self) -> None:
        self._heard: SimpleQueue[HeardUp] = SimpleQueue()

    def on_report(self, report: VehicleReport) -> None:
        self._heard.put(report)

    def on_source(self, fault: VehicleFault | None, detail: str) -> None:
        self._heard.put((fault, detail))

    def next(self) -> HeardUp:
        return self._heard.get(timeout=PATIENCE_S)

    def fault(self) -> tuple[VehicleFault | None, str]:
        while True:
            heard = self.next()
            if not isinstance(heard, VehicleReport):
                return heard

    def faults(self) -> Iterator[VehicleFault | None]:
        """What else was said of the source so far."""
        while not self._heard.empty():
            heard = self.next()
            if not isinstance(heard, VehicleReport):
                yield heard[0]

    def report(self) -> VehicleReport:
        while True:
            heard = self.next()
            if isinstance(heard, VehicleReport):
                return heard


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_process, "FIRST_PAUSE_S", 0.02)


@contextmanager
def process_of(
    code: str, source: str = "replay", silent_s: float = SILENT_S, **settings: str
) -> Iterator[tuple[VehicleProcess, Ears]]:
    """A side process that runs `code` in the place of ours; ours where that is empty."""
    command = (sys.executable, "-I", "-c", SPEAKS + code) if code else COMMAND
    ears = Ears()
    process = VehicleProcess(
        SourceSettings(source=source, **settings),
        ears.on_report,
        ears.on_source,
        command,
        silent_s,
    )
    process.start()
    try:
        yield process, ears
    finally:
        process.close()


@pytest.mark.parametrize(
    ("code", "fault", "detail"),
    [
        ("sys.exit(3)", VehicleFault.DIED, "exit code 3"),
        ("os.kill(os.getpid(), 9)", VehicleFault.DIED, "signal 9"),
        ("raise RuntimeError('defect')", VehicleFault.DIED, "exit code 1"),
        (
            "os.write(1, b'Traceback (most recent call last)'); time.sleep(60)",
            VehicleFault.NOT_UNDERSTOOD,
            "",
        ),
        ("os.write(1, b'\\0\\0\\0\\4abcd'); time.sleep(60)", VehicleFault.NOT_UNDERSTOOD, "no message: "),
        ("os.write(1, b'\\xff\\xff\\xff\\xff'); time.sleep(60)", VehicleFault.NOT_UNDERSTOOD, "a message of"),
        ("os.close(1); time.sleep(60)", VehicleFault.NOT_UNDERSTOOD, "it has closed its pipe"),
        ("while True: report(line='15')", VehicleFault.FLOODS, ""),
        (
            "while True: os.write(1, (60000).to_bytes(4, 'big') + b'\\xc7' * 30000)",
            VehicleFault.NOT_UNDERSTOOD,
            "",
        ),
        (
            "say(SourceSays(state=SourceState.BROKEN, detail='no such port')); sys.exit(1)",
            VehicleFault.BROKEN,
            "no such port",
        ),
    ],
)
def test_one_that_fails_is_reported_once_and_started_again(
    code: str, fault: VehicleFault, detail: str
) -> None:
    with process_of(code) as (process, ears):
        found, says = ears.fault()
        assert found is fault
        assert says.startswith(detail)
        until_s = monotonic() + PATIENCE_S
        while process.starts < 3 and monotonic() < until_s:
            select.select([], [], [], 0.02)
        assert process.starts >= 3
    assert process.process_id is None
    assert set(ears.faults()) <= {fault}, "the same fault is not said again, and no other"


def test_one_that_cannot_be_started_is_reported() -> None:
    ears = Ears()
    process = VehicleProcess(
        SourceSettings(source="replay"), ears.on_report, ears.on_source, ("/no/such/program",)
    )
    process.start()
    fault, detail = ears.fault()
    process.close()
    assert (fault, detail) == (VehicleFault.BROKEN, "cannot be started (No such file or directory)")


def test_one_that_says_nothing_is_ended_and_started_again() -> None:
    with process_of("time.sleep(60)", silent_s=0.5) as (process, ears):
        fault, detail = ears.fault()
        assert (fault, detail) == (VehicleFault.HANGS, "nothing heard for 0.5 s")
        first = process.process_id
        assert first is None or process.starts > 1


def test_what_it_said_before_is_over_when_it_works_again() -> None:
    code = "say(SourceSays(state=SourceState.UNREACHABLE, detail='refused')); report(line='1')\n"
    code += "say(SourceSays(state=SourceState.LISTENS)); report(line='2'); time.sleep(60)"
    with process_of(code) as (_process, ears):
        assert ears.next() == (VehicleFault.UNREACHABLE, "refused")
        assert ears.report().line == "1"
        assert ears.next() == (None, "")
        assert ears.report().line == "2"


def test_it_has_no_environment_no_file_and_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESIDENT_TERMINAL_CONFIG", "/etc/secret.toml")
    code = """
open_files = sorted(os.listdir("/proc/self/fd"), key=int)
environment, leads = sorted(set(os.environ) - {"LC_CTYPE"}), os.getsid(0) == os.getpid()
report(line=json.dumps([environment, os.getcwd(), len(open_files), leads]))
time.sleep(60)
"""
    with process_of(code) as (_process, ears):
        assert msgspec.json.decode(ears.report().line) == [[], "/", 4, True]  # the fourth lists them


def test_it_hears_of_every_change_of_the_run_however_long_the_way() -> None:
    code = """
frames = down_frames()
while True:
    for message in frames.feed(os.read(0, 65536)):
        if isinstance(message, VehicleRun):
            report(line=str(message.route), stop_index=message.direction, mark=float(len(message.shape)))
"""
    with process_of(code) as (process, ears):
        process.send(VehicleRun(route=15, direction=1, stops=(RunStop(("a",), 1, None, None),)))
        assert (ears.report().line, process.starts) == ("15", 1)
        process.send(LARGE)
        assert ears.report().mark == 20_000


def test_one_that_reads_nothing_costs_the_terminal_no_time_and_no_memory() -> None:
    with process_of(
        "report(line='up')\nwhile True: say(SourceSays(state=SourceState.LISTENS)); time.sleep(0.2)"
    ) as (
        process,
        ears,
    ):
        assert ears.report().line == "up"
        begun_s = monotonic()
        for direction in (0, 1) * 50:
            process.send(msgspec.structs.replace(LARGE, direction=direction))
        assert monotonic() - begun_s < 0.5
        assert len(process._due) <= 2 * len(frame(LARGE))
        assert process.starts == 1


def test_ours_ends_with_its_terminal_however_that_ends(tmp_path_factory: pytest.TempPathFactory) -> None:
    recording = tmp_path_factory.mktemp("vehicle") / "short.jsonl"
    recording.write_text('{"line": "15"}\n')
    with process_of("", replay=str(recording)) as (process, ears):
        assert ears.report().line == "15"
        number = process.process_id
        assert number is not None
        own = os.getpriority(os.PRIO_PROCESS, 0)
        assert os.getpriority(os.PRIO_PROCESS, number) >= min(own + 1, 19), "taps come first"
        handle = os.pidfd_open(number)
    assert select.select([handle], [], [], PATIENCE_S)[0] == [handle]
    os.close(handle)


# frames


def test_a_message_comes_out_as_it_went_in_whatever_the_pipe_cuts() -> None:
    sent = [
        VehicleReport(
            heard_s=1.5, source="replay", line="15", zones=("A", "B"), razzia=True, lat=50.6, lon=36.6
        ),
        SourceSays(state=SourceState.LISTENS),
    ]
    content = b"".join(map(frame, sent))
    for size in (1, 3, 7, len(content)):
        frames = up_frames()
        got = [m for at in range(0, len(content), size) for m in frames.feed(content[at : at + size])]
        assert got == sent
    downward = down_frames()
    assert downward.feed(frame(LARGE)) == [LARGE]


@pytest.mark.parametrize(
    "content",
    [
        (MOST_UP_BYTES + 1).to_bytes(4, "big"),
        b"\0\0\0\1\xc1",
        b"\0\0\0\0",
        frame(VehicleRun()),
        (4000).to_bytes(4, "big") + b"\x91" * 4000,
    ],
)
def test_what_is_no_message_of_a_source_is_refused(content: bytes) -> None:
    with pytest.raises(BrokenFrame):
        up_frames().feed(content)


@pytest.mark.parametrize(
    "field",
    [
        {"heard_s": float("nan")},
        {"heard_s": float("inf")},
        {"heard_s": -1.0},
        {"line": "x" * 101},
        {"zones": ["z"] * 33},
        {"stop_index": -1},
        {"direction": 2},
        {"lat": 91.0},
        {"mark": float("inf")},
        {"source": ""},
        {"further": 1},
    ],
)
def test_a_report_beyond_its_limits_is_refused(field: dict[str, object]) -> None:
    content = msgspec.msgpack.encode({"type": "report", "heard_s": 1.0, "source": "test"} | field)
    with pytest.raises(BrokenFrame):
        up_frames().feed(len(content).to_bytes(4, "big") + content)
