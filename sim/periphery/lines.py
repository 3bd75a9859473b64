"""A chip of lines in memory: lamps, a barrier and contacts without hardware, with the faults these have."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from enum import StrEnum

KEPT = 4096


class LineFault(StrEnum):
    """What goes wrong at a line or at the whole chip."""

    SILENT = "silent"
    """A call does not return until the fault is over."""
    STUCK = "stuck"
    """The line stays as it is, and no one hears of it."""
    GONE = "gone"
    """The chip was unplugged."""


class SimLines:
    """The lines of one chip. What drives them uses `set`, `states` and `edges`; a hand uses the rest. Any thread."""

    def __init__(self, outputs: tuple[str, ...], inputs: tuple[str, ...]) -> None:
        self._change = threading.Condition()
        self._outputs = dict.fromkeys(outputs, False)
        self._inputs = dict.fromkeys(inputs, False)
        self._edges: deque[tuple[str, bool]] = deque(maxlen=KEPT)
        self._faults: dict[str, LineFault] = {}
        self.history: deque[tuple[str, bool, float]] = deque(maxlen=KEPT)
        """Each change of an output: the line, whether it became active, and when, by the monotonic clock."""
        self.changed: Callable[[], None] = lambda: None
        """Hears of each change, on the thread that made it, and returns at once."""

    # What drives them

    def set(self, line: str, active: bool) -> None:
        with self._change:
            self._suffer(line)
            if self._faults.get(line) is LineFault.STUCK or self._outputs[line] is active:
                return
            self._outputs[line] = active
            self.history.append((line, active, time.monotonic()))
            self._change.notify_all()
        self.changed()

    def states(self) -> tuple[tuple[str, bool], ...]:
        with self._change:
            self._suffer(*self._inputs)
            return tuple(self._inputs.items())

    def edges(self, timeout_s: float) -> tuple[tuple[str, bool], ...]:
        with self._change:
            self._change.wait_for(lambda: self._edges or self._faults, timeout_s)
            self._suffer(*self._inputs)
            found = tuple(self._edges)
            self._edges.clear()
            return found

    def close(self) -> None:
        """All outputs inactive, as a chip is that is not driven."""
        for line in self._outputs:
            self.set(line, False)

    def _suffer(self, *lines: str) -> None:
        """Hang or fail as a fault of one of these lines has it; the condition is given back while it hangs."""
        self._change.wait_for(lambda: not any(self._faults.get(one) is LineFault.SILENT for one in lines))
        if any(self._faults.get(one) is LineFault.GONE for one in lines):
            raise OSError("no such device")

    # The hand

    @property
    def lines(self) -> dict[str, bool]:
        """How each line stands."""
        with self._change:
            return self._outputs | self._inputs

    def move(self, line: str, active: bool, bounces: int = 0) -> None:
        """Open or close a contact, which chatters so often before it stands. Raises `KeyError` for no such line."""
        with self._change:
            self._inputs[line]
            if self._faults.get(line) is LineFault.STUCK:
                return
            for _ in range(bounces):
                self._edges += ((line, active), (line, not active))
            if self._inputs[line] is not active:
                self._inputs[line] = active
                self._edges.append((line, active))
            self._change.notify_all()
        self.changed()

    def fault(self, line: str, fault: LineFault | None) -> None:
        """Let a line have that fault from now on, or none."""
        with self._change:
            self._faults.pop(line, None)
            if fault is not None:
                self._faults[line] = fault
            self._change.notify_all()

    def wait_for(self, line: str, active: bool, timeout_s: float) -> bool:
        """Wait until the line stands so; whether it does."""
        with self._change:
            return self._change.wait_for(lambda: (self._outputs | self._inputs)[line] is active, timeout_s)
