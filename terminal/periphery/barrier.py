"""A barrier: one passage for each tap that was paid or covered here, whose end is on record (ADR 48).

It opens on a thread of its own, which also closes it, when the person has passed or the time is over, whatever the
rest of the terminal does then. Passages that follow one another are opened one by one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from terminal.signals import DeviceWorker

if TYPE_CHECKING:
    from terminal.clock import Clock
    from terminal.periphery.port import OutputLines

GAP_S: Final = 0.2
"""Closed between two passages, for a gate that counts openings."""
LATEST_S: Final = 10.0
"""A barrier that could not open for so long, the passages before it apart, stays closed for that tap: its rider has
gone."""
CHATTER_S: Final = 0.15
"""A contact that opens and closes again within it chatters: two persons are further apart."""
SHUTS_S: Final = 3.0
"""How long a barrier may take to shut."""
WAITING: Final = 64
REMEMBERED: Final = 256


class Opening(Struct, frozen=True):
    """One passage: the journal's number of its tap, and until when it may begin."""

    sequence: int
    until_s: float


class BarrierCounts(Struct, frozen=True):
    """Since the start. `forced`: stood open, or was passed, while it was closed. `late`: not opened, see `LATEST_S`."""

    opened: int = 0
    passed: int = 0
    forced: int = 0
    late: int = 0


class Barrier:
    """Opens `line` for each committed tap, once; `tap` and the contacts' methods return at once. `begins` hears of each
    passage before it begins, on the barrier's thread.
    """

    def __init__(self, lines: OutputLines, line: str, open_ms: int, clock: Clock) -> None:
        self.begins: Callable[[int], None] = lambda _sequence: None
        self._lines = lines
        self._line = line
        self._open_s = open_ms / 1000
        self._clock = clock
        self._change = threading.Condition()
        self._known: deque[int] = deque(maxlen=REMEMBERED)
        self._open = self._stands_open = False
        self._stopping = False
        self._persons = 0
        self._ahead = 0
        self._moved_s: dict[str, float] = {}
        self._shut_by_s: float | None = None
        self.counts = BarrierCounts()
        self.worker: Final = DeviceWorker(
            "periphery:barrier", self._pass, self._close, clock, WAITING, self._open_s
        )

    @property
    def open(self) -> bool:
        """Whether it is open now."""
        return self._open

    def tap(self, sequence: int) -> None:
        """The tap `sequence` is paid or covered, and its end on record: open for one person, once."""
        if sequence in self._known:
            return
        self._known.append(sequence)
        with self._change:
            self._ahead += 1
            wait_s = LATEST_S + self._ahead * (self._open_s + GAP_S)
        self.worker.pass_on(Opening(sequence, self._clock.monotonic() + wait_s))

    def passed(self, active: bool) -> None:
        """The contact behind it: a person has passed when it becomes active."""
        with self._change:
            if not self._begins("passed", active):
                return
            if self._open:
                self._count(passed=1)
                self._persons += 1
                self._change.notify_all()
            else:
                self._count(forced=1)

    def stands_open(self, active: bool) -> None:
        """The contact on it: active while it stands open, which it may only when it was opened."""
        with self._change:
            if self._begins("open", active) and not self._open:
                self._count(forced=1)
            self._stands_open = active

    def _begins(self, contact: str, active: bool) -> bool:
        """Whether a contact that was quiet for `CHATTER_S` has become active."""
        now_s = self._clock.monotonic()
        quiet_s = now_s - self._moved_s.get(contact, -CHATTER_S)
        self._moved_s[contact] = now_s
        return active and quiet_s >= CHATTER_S

    def look(self) -> None:
        """Find out whether it hangs, or stands open though it was closed; to be called now and then."""
        self.worker.look()
        with self._change:
            by_s = self._shut_by_s
            if by_s is not None and not self._open and self._clock.monotonic() > by_s:
                self._shut_by_s = None
                if self._stands_open:
                    self._count(forced=1)

    def stop(self) -> None:
        """Close it, at once where it stands open; taps that wait are not opened for any more."""
        with self._change:
            self._stopping = True
            self._change.notify_all()
        self.worker.close()

    def _pass(self, opening: Opening) -> None:
        """On the worker's thread: open, wait for the person or the end of the time, close."""
        try:
            if self._clock.monotonic() > opening.until_s:
                self._count(late=1)
            elif not self._stopping:
                self._begin(opening.sequence)
        finally:
            with self._change:
                self._ahead -= 1

    def _begin(self, sequence: int) -> None:
        """What cannot be noted costs the rider nothing, and is reported behind the passage."""
        try:
            self.begins(sequence)
        finally:
            self._let_one_pass()

    def _let_one_pass(self) -> None:
        try:
            with self._change:
                self._open, self._persons = True, 0
            self._lines.set(self._line, True)
            self._count(opened=1)
            with self._change:
                self._change.wait_for(lambda: self._persons > 0 or self._stopping, self._open_s)
        finally:
            self._close()
        with self._change:
            self._change.wait_for(lambda: self._stopping, GAP_S)

    def _close(self) -> None:
        try:
            self._lines.set(self._line, False)
        except OSError:
            self._lines.set(self._line, False)  # a chip that is asked for anew has all its lines inactive
        with self._change:
            self._open = False
            self._shut_by_s = self._clock.monotonic() + SHUTS_S

    def _count(self, opened: int = 0, passed: int = 0, forced: int = 0, late: int = 0) -> None:
        before = self.counts
        self.counts = BarrierCounts(
            before.opened + opened, before.passed + passed, before.forced + forced, before.late + late
        )
