"""What a source of the side process has to do, and its end of the link to the terminal.

    class MySource:
        def serve(self, link: SourceLink) -> None:
            while not link.wait(0.5):
                link.report(VehicleReport(heard_s=monotonic(), source="mine", line="15", stop_ref="de:1501"))

`serve` runs on the main thread until `link.wait` says that it is over. It may start daemon threads: every method of
the link may be called on any of them. It calls `wait`, `report` or `says` at least every `SILENT_S` seconds, or the
terminal takes the process for one that hangs and starts another.
"""

from __future__ import annotations

import os
import threading
from time import monotonic
from typing import Final, Protocol

from terminal.side_process import BrokenFrame, frame
from terminal.trip.vehicle_report import (
    BEAT_S,
    NO_RUN,
    SourceSays,
    SourceSettings,
    SourceState,
    UpMessage,
    VehicleReport,
    VehicleRun,
    down_frames,
)

GAP_S: Final = 0.01
"""Between two writes: what comes faster is replaced by what comes last."""
CHUNK_BYTES: Final = 64 * 1024
LEAVE_S: Final = 1.0
"""For a source to take leave of what it listens to, once the terminal is gone."""


class SourceBroken(Exception):
    """The source cannot go on; the text says why and what to do, in one line for staff."""


class ReportSource(Protocol):
    """One way to hear of the vehicle."""

    def serve(self, link: SourceLink) -> None:
        """Report until `link.wait` returns True. Raises `SourceBroken` where it cannot go on."""
        ...


class SourceLink:
    """The side process's end: what the terminal runs, and the newest report on its way up. Holds one report, one word
    on the source's state, and one run, however much comes.
    """

    def __init__(self, down_fd: int, up_fd: int) -> None:
        self._down_fd = down_fd
        self._up_fd = up_fd
        self._changed = threading.Condition()
        self._settings: SourceSettings | None = None
        self._run = NO_RUN
        self._ended = threading.Event()
        self._report: VehicleReport | None = None
        self._state = SourceSays(state=SourceState.LISTENS)
        self._state_due = True
        self._said_s = monotonic()
        self._writing = False

    def start(self) -> None:
        """Listen to the terminal, and speak to it."""
        threading.Thread(target=self._listen, name="down", daemon=True).start()
        threading.Thread(target=self._speak, name="up", daemon=True).start()

    # For sources

    @property
    def run(self) -> VehicleRun:
        """What the terminal runs now; another object once that changes."""
        return self._run

    @property
    def ended(self) -> bool:
        """Whether the terminal wants no more."""
        return self._ended.is_set()

    def report(self, report: VehicleReport) -> None:
        """Let the terminal have this report; one that has not left yet is replaced by it."""
        with self._changed:
            self._report, self._said_s = report, monotonic()
            self._changed.notify_all()

    def says(self, state: SourceState, detail: str = "") -> None:
        """Let the terminal know how the source does, where that has changed."""
        said = SourceSays(state=state, detail=_one_line(detail))
        with self._changed:
            self._state_due |= said != self._state
            self._state = said
            self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Wait so long; True at once when it is over. Says in between that the source lives."""
        until_s = monotonic() + seconds
        while True:
            self._alive()
            left_s = until_s - monotonic()
            if self._ended.wait(max(0.0, min(left_s, BEAT_S))):
                return True
            if left_s <= BEAT_S:
                return False

    def _alive(self) -> None:
        with self._changed:
            if monotonic() - self._said_s >= BEAT_S:
                self._state_due = True
                self._changed.notify_all()

    # For the process

    def settings(self) -> SourceSettings | None:
        """What to listen to; waits for it. None: the terminal is gone."""
        with self._changed:
            self._changed.wait_for(lambda: self._settings is not None or self.ended)
            return self._settings

    def flush(self) -> None:
        """Wait until what was said has left, `LEAVE_S` at most."""
        with self._changed:
            self._changed.wait_for(lambda: self.ended or not (self._pending or self._writing), LEAVE_S)

    @property
    def _pending(self) -> bool:
        return self._state_due or self._report is not None

    def _listen(self) -> None:
        """The end of the pipe is the end of the terminal, however it came: a source that stays is left behind."""
        frames = down_frames()
        try:
            while content := os.read(self._down_fd, CHUNK_BYTES):
                for message in frames.feed(content):
                    with self._changed:
                        if isinstance(message, VehicleRun):
                            self._run = message
                        else:
                            self._settings = message
                        self._changed.notify_all()
        except (OSError, BrokenFrame):
            pass  # a terminal that does not speak clearly is as good as gone; it starts another process
        finally:
            self._end()
        threading.Event().wait(LEAVE_S)
        os._exit(0)

    def _speak(self) -> None:
        while not self.ended:
            with self._changed:
                self._changed.wait_for(lambda: self._pending or self.ended)
                messages = self._taken()
                self._writing = True
            try:
                self._write(b"".join(frame(message) for message in messages))
            except OSError:  # the terminal is gone
                self._end()
            with self._changed:
                self._writing = False
                self._changed.notify_all()
            self._ended.wait(GAP_S)

    def _taken(self) -> list[UpMessage]:
        messages: list[UpMessage] = [] if self._report is None else [self._report]
        if self._state_due:
            messages.append(self._state)
        self._state_due, self._report, self._said_s = False, None, monotonic()
        return messages

    def _write(self, content: bytes) -> None:
        view = memoryview(content)
        while view:
            view = view[os.write(self._up_fd, view) :]

    def _end(self) -> None:
        with self._changed:
            self._ended.set()
            self._changed.notify_all()


def _one_line(text: str) -> str:
    return "".join(sign for sign in " ".join(text.split()) if sign.isprintable())[:300]
