"""A receipt printer: each ticket once, and one that may be on paper never again without saying that it is a copy.

Tickets wait where there is no paper, and are forgotten when their rider has gone. Everything is done on one thread.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from terminal.periphery.escpos import ASK_PAPER, ASK_PRINTED, has_paper, still_has_paper, ticket_bytes
from terminal.signals import DeviceWorker

if TYPE_CHECKING:
    from terminal.clock import Clock
    from terminal.periphery.port import OpenStream, Stream

ANSWER_S: Final = 1.0
PRINTED_S: Final = 3.0
"""How long a ticket may take."""
AGAIN_S: Final = 2.0
"""Between two attempts."""
KEPT_S: Final = 120.0
"""A ticket that was not printed for so long is not printed any more."""
WAITING: Final = 16
REMEMBERED: Final = 256
TicketLines = Callable[[bool], tuple[str, ...] | None]
"""The lines of a ticket, made on the printer's thread; True: as a copy. None: nothing is to be printed."""


class PrintState(StrEnum):
    """How it stands with one ticket."""

    WAITING = "waiting"
    PAPER_OUT = "paper_out"
    """Nothing of it is on paper; it is printed when there is paper."""
    PRINTED = "printed"
    UNKNOWN = "unknown"
    """It may be on paper, whole or in part."""
    EXPIRED = "expired"
    """Nothing of it is on paper, and it waits no longer."""
    NOTHING = "nothing"
    """No ticket belongs to it."""


class PrinterFault(OSError):
    """The printer cannot print now."""


class _TicketJob(Struct, frozen=True):
    id: str
    lines: TicketLines
    at_s: float
    state: PrintState = PrintState.WAITING


class Printer:
    """Prints what is submitted; `submit`, `status` and `look` return at once, on any thread."""

    def __init__(self, open_stream: OpenStream, columns: int, clock: Clock) -> None:
        self._open_stream = open_stream
        self._columns = columns
        self._clock = clock
        self._stream: Stream | None = None
        self._jobs: deque[_TicketJob] = deque()
        self._states: dict[str, PrintState] = {}
        self._lock = threading.Lock()
        self._stopping = False
        self._next_s: float | None = None
        self.changed: Callable[[], None] = lambda: None
        """Hears that a ticket stands otherwise than before; on any thread, and returns at once."""
        self.troubled = False
        """Whether the newest attempt to print failed."""
        self.printed = 0
        self.worker: Final = DeviceWorker("periphery:printer", self._work, self._give_back, clock, waiting=1)

    def submit(self, id: str, lines: TicketLines) -> str:
        """Print this ticket once: the same `id` again changes nothing. Returns the id."""
        with self._lock:
            if id in self._states:
                return id
            if len(self._jobs) >= WAITING:
                self._done(self._jobs.popleft(), PrintState.EXPIRED)
            self._jobs.append(_TicketJob(id, lines, self._clock.monotonic()))
            self._states[id] = PrintState.WAITING
            while len(self._states) > REMEMBERED:
                del self._states[next(iter(self._states))]
        self.worker.pass_on(None)
        return id

    def status(self, id: str) -> PrintState | None:
        """How it stands with that ticket; None for one that was never submitted, or long ago."""
        return self._states.get(id)

    @property
    def waiting(self) -> int:
        """How many tickets are to be printed yet."""
        return len(self._jobs)

    def look(self) -> None:
        """Try again what could not be printed; to be called now and then."""
        self.worker.look()
        due_s = self._next_s
        if due_s is not None and self._clock.monotonic() >= due_s:
            self._next_s = None
            self.worker.pass_on(None)

    def stop(self) -> None:
        """What waits is not printed any more."""
        self._stopping = True
        self.worker.close()

    # On the worker's thread

    def _work(self, _wake: None) -> None:
        while (job := self._first()) is not None:
            try:
                self._print(job)
                self.troubled = False
            except OSError:
                self.troubled = True
                self.changed()
                self._next_s = self._clock.monotonic() + AGAIN_S
                self._give_back()
                raise

    def _first(self) -> _TicketJob | None:
        with self._lock:
            while self._jobs and not self._stopping:
                if self._clock.monotonic() - self._jobs[0].at_s <= KEPT_S:
                    return self._jobs[0]
                job = self._jobs.popleft()
                unknown = job.state is PrintState.UNKNOWN
                self._done(job, PrintState.UNKNOWN if unknown else PrintState.EXPIRED)
        return None

    def _print(self, job: _TicketJob) -> None:
        lines = job.lines(job.state is PrintState.UNKNOWN)
        if lines is None:
            self._ends(job, PrintState.NOTHING)
            return
        stream = self._ready(job)
        self._becomes(job, PrintState.UNKNOWN)  # from its first byte on
        stream.write(ticket_bytes(lines, self._columns) + ASK_PRINTED)
        if not _answer(stream, still_has_paper, PRINTED_S):
            raise PrinterFault("paper ended within a ticket")
        self.printed += 1
        self._ends(job, PrintState.PRINTED)

    def _ready(self, job: _TicketJob) -> Stream:
        """The printer, once it has said that it has paper."""
        if self._stream is None:
            self._stream = self._open_stream()
        while self._stream.read(0):
            pass  # what it said of an earlier ticket, too late
        self._stream.write(ASK_PAPER)
        if not _answer(self._stream, has_paper, ANSWER_S):
            if job.state is PrintState.WAITING:
                self._becomes(job, PrintState.PAPER_OUT)
            raise PrinterFault("no paper")
        return self._stream

    def _becomes(self, job: _TicketJob, state: PrintState) -> None:
        with self._lock:
            if self._jobs and self._jobs[0].id == job.id:
                self._jobs[0] = replace(job, state=state)
            self._done(job, state)

    def _ends(self, job: _TicketJob, state: PrintState) -> None:
        with self._lock:
            if self._jobs and self._jobs[0].id == job.id:
                self._jobs.popleft()
            self._done(job, state)

    def _done(self, job: _TicketJob, state: PrintState) -> None:
        if job.id in self._states:
            self._states[job.id] = state
        self.changed()

    def _give_back(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()


def _answer(stream: Stream, meaning: Callable[[int], bool | None], wait_s: float) -> bool:
    """What the first byte says that is such an answer; raises `PrinterFault` when none comes."""
    for _ in range(8):
        said = stream.read(wait_s)
        if not said:
            break
        understood = [says for says in map(meaning, said) if says is not None]
        if understood:
            return understood[0]
    raise PrinterFault("it does not answer")
