"""Who hears on standard output and standard error what a running terminal does, without ever holding up a tap.

Both are written by workers (`terminal.signals`): a full disk behind them, a reader that went away or stopped reading,
a locale that lacks a letter lose lines, are said once where it still can be seen, and end nothing.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import tzinfo
from typing import Final, TextIO

from msgspec import Struct

from cardcli.characters import visible, visible_line
from cardcli.output import READABLE
from terminal.app.extensions import DeviceBoard
from terminal.app.output import as_json, report_as_json, report_as_line
from terminal.clock import Clock
from terminal.decision.outcome import Outcome
from terminal.devices import OnDeviceState
from terminal.messages import text
from terminal.signals import DeviceWorker, Guarded
from terminal.tap_report import TapReport

STDOUT: Final = "output:stdout"
LOG: Final = "output:log"
LINES: Final = 512
"""What waits for a slow reader; then the oldest lines are lost."""


class Audience(Struct, frozen=True):
    """Who hears what a running station does: `outcome` at once; `report` when a tap has ended, with the zone of its
    local time. `shift`: whether the log says at the start which shift is open. `out` writes what they say, if anything.
    """

    outcome: Callable[[Outcome], None]
    report: Callable[[TapReport, tzinfo], None]
    shift: bool = True
    out: DeviceWorker[bytes] | None = None


def for_people(out: DeviceWorker[bytes], language: str) -> Audience:
    """The passenger's message at the moment the card's commit is verified; a line for staff when the tap has ended."""
    return Audience(
        outcome=lambda outcome: out.pass_on(_line(f"» {text(outcome.message, language, outcome.values)}")),
        report=lambda tap, zone: out.pass_on(_line(report_as_line(tap, zone))),
        out=out,
    )


def for_programs(out: DeviceWorker[bytes], language: str) -> Audience:
    """One JSON object when the tap has ended, and nothing before."""
    return Audience(
        outcome=lambda _outcome: None,
        report=lambda tap, _zone: out.pass_on(as_json(report_as_json(tap, language))),
        shift=False,
        out=out,
    )


def _line(said: str) -> bytes:
    """A letter that the locale does not have is spelled with others."""
    return f"{visible_line(said)}\n".encode(sys.stdout.encoding or "utf-8", READABLE)


class Hearing(Struct, frozen=True):
    """All that hear of a result or of a tap's end: display, signals, what the command prints. None can end a tap."""

    display: Guarded[Outcome]
    devices: DeviceBoard
    messages: Guarded[Outcome]
    reports: Guarded[tuple[TapReport, tzinfo]]
    outlets: tuple[DeviceWorker[bytes], ...]
    lamps: Callable[[Outcome], None]
    ended: Guarded[TapReport]
    """What the display still has to show of a tap that has ended."""

    @classmethod
    def of(
        cls,
        display: Callable[[Outcome], None],
        devices: DeviceBoard,
        audience: Audience,
        log: DeviceWorker[bytes],
        lamps: Callable[[Outcome], None] = lambda _outcome: None,
        ended: Callable[[TapReport], None] = lambda _report: None,
    ) -> Hearing:
        return cls(
            Guarded("screen:display", display),
            devices,
            Guarded("output:messages", audience.outcome),
            Guarded("output:reports", lambda tap: audience.report(*tap)),
            (log,) if audience.out is None else (log, audience.out),
            lamps,
            Guarded("screen:codes", ended),
        )

    def start(self, on_state: OnDeviceState) -> None:
        """Begin to serve; `on_state` hears of what does not work."""
        self.devices.start(on_state)
        for guarded in (self.display, self.messages):
            guarded.start(on_state)
        for hears in (self.reports, self.ended):
            hears.start(on_state)
        for outlet in self.outlets:
            outlet.start(on_state)

    def outcome(self, outcome: Outcome) -> None:
        """For `Terminal.signal`."""
        self.lamps(outcome)
        self.display(outcome)
        self.devices.outcome(outcome)
        self.messages(outcome)

    def report(self, tap: TapReport, zone: tzinfo) -> None:
        """The tap has ended."""
        self.ended(tap)
        self.reports((tap, zone))

    def drain(self) -> None:
        """Let the outlets write what waits: what they cannot is still to be recorded."""
        for outlet in self.outlets:
            outlet.drain()

    def look(self) -> None:
        """Find out what hangs; to be called now and then."""
        self.devices.look()
        for outlet in self.outlets:
            outlet.look()


@contextmanager
def output_worker(clock: Clock) -> Iterator[DeviceWorker[bytes]]:
    """What writes to standard output, once it is started; at the end it writes what waits."""
    worker = DeviceWorker(STDOUT, line_writer(sys.stdout), lambda: None, clock, LINES)
    try:
        yield worker
    finally:
        worker.close()


@contextmanager
def log_worker(clock: Clock) -> Iterator[DeviceWorker[bytes]]:
    """The same for the log, on standard error."""
    worker = DeviceWorker(LOG, line_writer(sys.stderr), lambda: None, clock, LINES)
    try:
        yield worker
    finally:
        worker.close()


def log_lines(out: DeviceWorker[bytes]) -> Callable[[str], None]:
    """What a `Log` writes to: its lines are JSON, or text that journald takes for UTF-8."""
    return lambda line: out.pass_on(line.encode("utf-8", READABLE))


def said_lines(out: DeviceWorker[bytes]) -> Callable[[str], None]:
    """For lines to people beside the log, in the letters of their locale; they are lost with the log, and end nothing
    either.
    """
    return lambda line: out.pass_on(f"{visible(line)}\n".encode(sys.stderr.encoding or "utf-8", READABLE))


def line_writer(stream: TextIO) -> Callable[[bytes], None]:
    """Writes whole lines past the stream's own buffer, which would keep a line that failed and fail with it again at
    the end of the process.
    """
    try:
        raw = io.FileIO(stream.fileno(), "w", closefd=False)
    except io.UnsupportedOperation:  # a stream in memory, as in tests
        return lambda line: _print(stream, line)
    return lambda line: _write_all(raw, line)


def _print(stream: TextIO, line: bytes) -> None:
    stream.write(line.decode())
    stream.flush()


def _write_all(raw: io.FileIO, line: bytes) -> None:
    left = memoryview(line)
    while left:
        left = left[raw.write(left) or 0 :]
