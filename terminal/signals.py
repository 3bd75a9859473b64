"""Lamps, sounds, barriers: what shows a result besides the display, each on a thread of its own.

A signal receives each result at the moment the passenger's display does, and a tap never waits for it: one that raises
or hangs loses its own results and nothing else.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from terminal.devices import DeviceWatch, ExtensionRole, OnDeviceState

if TYPE_CHECKING:
    from terminal.clock import Clock
    from terminal.decision.outcome import Outcome

WAITING: Final = 8
"""Results that wait for a slow signal; the oldest gives way to a newer one."""

HANGS_S: Final = 5.0
"""A call that takes longer counts as hanging, until it returns."""

CLOSE_S: Final = 2.0
"""How long the end of the terminal waits for one signal."""


class Signal(Protocol):
    """A device that shows results. Both methods are called from one thread, which serves this signal alone.

    A method may block, for the time a lamp is lit: further results wait meanwhile (`WAITING` of them, the newest).
    What it raises is logged, `terminal health` shows it, and the next result is tried again.
    """

    def show(self, outcome: Outcome) -> None:
        """Show one result. A barrier opens when `outcome.admission` is `LET_IN`, and for nothing else."""
        ...

    def close(self) -> None:
        """Dark, closed, given back to the operating system: the terminal stops. Called once, last."""
        ...


class SignalWorker:
    """Passes results on to one signal, on its own daemon thread, and watches how it does.

    `pass_on` returns at once, always. A signal that never returns is left to its thread when the terminal stops.
    """

    def __init__(self, name: str, signal: Signal, clock: Clock) -> None:
        self._watch = DeviceWatch(f"{ExtensionRole.SIGNAL}:{name}")
        self._signal = signal
        self._clock = clock
        self._waiting: deque[Outcome] = deque(maxlen=WAITING)
        self._wake = threading.Event()
        self._closing = False
        self._busy_since_s: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"signal {name}", daemon=True)

    def start(self, on_state: OnDeviceState) -> None:
        """Begin to serve the signal; results passed on before wait until now."""
        self._watch.on_state = on_state
        self._thread.start()

    def pass_on(self, outcome: Outcome) -> None:
        """Let the signal show `outcome` as soon as it can."""
        self._waiting.append(outcome)
        self._wake.set()
        self.look()

    def look(self) -> None:
        """Find out whether it hangs; to be called now and then, because no tap may come for hours."""
        since_s = self._busy_since_s
        if since_s is not None and self._clock.monotonic() - since_s > HANGS_S:
            self._watch.hangs()

    def close(self) -> None:
        """Let it show what waits and close it; returns after `CLOSE_S` at the latest."""
        self._closing = True
        self._wake.set()
        if self._thread.ident is None:
            self._thread.start()
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            self._watch.hangs()

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait()
            self._wake.clear()
            while self._waiting:
                outcome = self._waiting.popleft()
                self._call(partial(self._signal.show, outcome))
        self._call(self._signal.close)

    def _call(self, call: Callable[[], None]) -> None:
        self._busy_since_s = self._clock.monotonic()
        try:
            call()
        except BaseException as error:  # noqa: BLE001 other people's code: whatever it raises, taps go on
            self._watch.raised(error)
        else:
            self._watch.works()
        finally:
            self._busy_since_s = None
