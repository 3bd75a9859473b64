"""The life of the vehicle's side process, seen from the terminal (ADR 31): started, heard, ended, started again.

One daemon thread does it all, so a process that dies, hangs, floods or sends garbage costs a tap nothing: what was
heard last stays where a tap reads it. The process has none of the terminal's environment, files or keys; it gets one
pipe down and one up, and ends when they close, however the terminal ended.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final

from terminal.codes import VehicleFault
from terminal.trip.vehicle_report import (
    NO_RUN,
    SILENT_S,
    BrokenFrame,
    SourceSays,
    SourceSettings,
    SourceState,
    UpMessage,
    VehicleReport,
    VehicleRun,
    frame,
    up_frames,
)

COMMAND: Final = (sys.executable, "-I", "-m", "terminal.vehicle")
"""Isolated: neither the environment nor the working folder says what is imported."""
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 60.0
STEADY_S: Final = 60.0
"""A process that has worked so long starts over with the first pause."""
MOST_MESSAGES: Final = 300
MOST_BYTES: Final = 1 << 20
"""Of one second. A source of ours says at most a hundred things a second."""
READ_BYTES: Final = 64 * 1024
LEAVE_S: Final = 1.5
"""For the process to take leave of the vehicle's network when the terminal stops."""

FAULT_OF: Final = {
    SourceState.UNREACHABLE: VehicleFault.UNREACHABLE,
    SourceState.REFUSED: VehicleFault.REFUSED,
    SourceState.ENDED: VehicleFault.ENDED,
    SourceState.BROKEN: VehicleFault.BROKEN,
}

OnReport = Callable[[VehicleReport], None]
OnSource = Callable[[VehicleFault | None, str], None]
"""Hears how the source does, at each change: what is wrong, None for nothing, and a line for the log."""


class _Ended(Exception):
    """The process has to be ended, or has ended by itself."""

    def __init__(self, fault: VehicleFault, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault
        self.detail = detail


class _Rate:
    """How much came within one second."""

    def __init__(self) -> None:
        self._begun_s = 0.0
        self._messages = self._bytes = 0

    def take(self, messages: int, size: int, now_s: float) -> None:
        """Raise `_Ended` for too much."""
        if now_s - self._begun_s >= 1.0:
            self._begun_s, self._messages, self._bytes = now_s, 0, 0
        self._messages += messages
        self._bytes += size
        if self._messages > MOST_MESSAGES or self._bytes > MOST_BYTES:
            raise _Ended(
                VehicleFault.FLOODS, f"{self._messages} messages, {self._bytes} bytes within a second"
            )


class SideProcess:
    """Runs the side process of `settings` until `close`. `on_report` and `on_source` are called on its thread; they
    must return at once. `send` is for any thread.
    """

    def __init__(
        self,
        settings: SourceSettings,
        on_report: OnReport,
        on_source: OnSource,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._settings = settings
        self._on_report = on_report
        self._on_source = on_source
        self._command = tuple(command)
        self._run = NO_RUN
        self._sent = NO_RUN
        self._due = b""
        self._stopping = threading.Event()
        self._wake_fd, self._woken_fd = os.pipe()
        os.set_blocking(self._woken_fd, False)
        os.set_blocking(self._wake_fd, False)
        self._thread = threading.Thread(target=self._work, name="vehicle", daemon=True)
        self._fault: VehicleFault | None = None
        self.process_id: int | None = None
        """Of the process that runs now; None between two."""
        self.starts = 0

    def start(self) -> None:
        """Start the first process; returns at once."""
        self._thread.start()

    def send(self, run: VehicleRun) -> None:
        """What the terminal runs now, for this process and every later one; returns at once."""
        self._run = run
        self._wake()

    def close(self) -> None:
        """End the process and wait for it, `LEAVE_S` at most."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._wake()
            self._thread.join()
        os.close(self._wake_fd)
        os.close(self._woken_fd)

    def _wake(self) -> None:
        try:
            os.write(self._woken_fd, b"!")
        except BlockingIOError:
            return  # it has been woken often enough

    # On the thread

    def _work(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            begun_s = monotonic()
            try:
                self._serve_one()
            except _Ended as end:
                self._says(end.fault, end.detail)
            if monotonic() - begun_s > STEADY_S:
                pause_s = FIRST_PAUSE_S
            self._stopping.wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _serve_one(self) -> None:
        """One process from its start to its end; returns when the terminal stops, else raises `_Ended`."""
        try:
            process = subprocess.Popen(  # noqa: S603 our own interpreter and module
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise _Ended(VehicleFault.BROKEN, f"cannot be started ({error.strerror})") from error
        self.process_id = process.pid
        self.starts += 1
        try:
            self._converse(process)
        finally:
            self._end(process)

    def _converse(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        down_fd, up_fd = process.stdin.fileno(), process.stdout.fileno()
        os.set_blocking(down_fd, False)
        self._sent, self._due = NO_RUN, frame(self._settings)
        frames, rate, heard_s = up_frames(), _Rate(), monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(up_fd, selectors.EVENT_READ)
            selector.register(self._wake_fd, selectors.EVENT_READ)
            while not self._stopping.is_set():
                self._write(selector, down_fd)
                ready = {key.fd for key, _ in selector.select(heard_s + SILENT_S - monotonic())}
                now_s = monotonic()
                if self._wake_fd in ready:
                    os.read(self._wake_fd, READ_BYTES)
                if up_fd in ready:
                    content = os.read(up_fd, READ_BYTES)
                    if not content:
                        raise self._by_itself(process)
                    heard_s = now_s
                    messages = _parsed(frames.feed, content)
                    rate.take(len(messages), len(content), now_s)
                    for message in messages:
                        self._take(message)
                elif now_s - heard_s >= SILENT_S:
                    raise _Ended(VehicleFault.HANGS, f"nothing heard for {SILENT_S:g} s")

    def _write(self, selector: selectors.BaseSelector, down_fd: int) -> None:
        """As much as the pipe takes; the newest run replaces one that was not begun."""
        if not self._due and self._run != self._sent:
            self._sent = self._run
            self._due = frame(self._sent)
        try:
            if self._due:
                self._due = self._due[os.write(down_fd, self._due) :]
        except BlockingIOError:
            pass  # the selector says when there is room
        except BrokenPipeError:
            self._due = b""  # it has ended, as its other pipe says
        waits = down_fd in selector.get_map()
        if self._due and not waits:
            selector.register(down_fd, selectors.EVENT_WRITE)
        elif waits and not self._due:
            selector.unregister(down_fd)

    def _take(self, message: UpMessage) -> None:
        if isinstance(message, SourceSays):
            self._says(FAULT_OF.get(message.state), message.detail)
        else:
            self._on_report(message)

    def _says(self, fault: VehicleFault | None, detail: str) -> None:
        if fault is not self._fault:
            self._fault = fault
            self._on_source(fault, detail)

    def _by_itself(self, process: subprocess.Popen[bytes]) -> _Ended:
        """Why it ended: what it said of that itself, where it said anything."""
        try:
            code = process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            return _Ended(VehicleFault.NOT_UNDERSTOOD, "it has closed its pipe and goes on")
        if self._fault is VehicleFault.BROKEN:
            return _Ended(VehicleFault.BROKEN, f"exit code {code}")
        return _Ended(VehicleFault.DIED, f"signal {-code}" if code < 0 else f"exit code {code}")

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Close the pipes and, unless it was at fault, give the process time to take its leave."""
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(LEAVE_S if self._stopping.is_set() else 0.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        self.process_id = None


def _parsed(feed: Callable[[bytes], list[UpMessage]], content: bytes) -> list[UpMessage]:
    try:
        return feed(content)
    except BrokenFrame as error:
        raise _Ended(VehicleFault.NOT_UNDERSTOOD, str(error)) from error
