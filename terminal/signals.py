"""What hears of taps besides card and journal, none of which can end one or hold it up.

Lamps, sounds and barriers (`Signal`), standard output and the log each work on a thread of their own (`DeviceWorker`):
one that raises or hangs loses what it was to show, and nothing else. What returns at once by itself, the display and
the operator's console, is called in turn (`Guarded`).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from terminal.devices import DeviceWatch, OnDeviceState
from terminal.errors import JournalError

if TYPE_CHECKING:
    from terminal.clock import Clock
    from terminal.decision.outcome import Outcome

T = TypeVar("T")

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


class DeviceWorker(Generic[T]):
    """Passes things on to one device, on its own daemon thread, and watches how it does.

    `name` is its role and name ("signal:led"), `show` and `close` what it does. `waiting` things wait for it while it
    is slow, the oldest gives way; a call that takes `HANGS_S` longer than `busy_s` hangs. `pass_on` returns at once,
    always. A device that never returns is left to its thread when the terminal stops.
    """

    def __init__(
        self,
        name: str,
        show: Callable[[T], None],
        close: Callable[[], None],
        clock: Clock,
        waiting: int = WAITING,
        busy_s: float = 0.0,
    ) -> None:
        self._watch = DeviceWatch(name)
        self._show = show
        self._end = close
        self._clock = clock
        self._busy_s = busy_s
        self._waiting: deque[T] = deque(maxlen=waiting)
        self._wake = threading.Event()
        self._idle = threading.Event()
        self._lock = threading.Lock()
        self._closing = False
        self._busy_since_s: float | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self, on_state: OnDeviceState) -> None:
        """Begin to serve the device; what was passed on before waits until now."""
        self._watch.on_state = on_state
        self._thread.start()

    def pass_on(self, thing: T) -> None:
        """Let the device show `thing` as soon as it can."""
        with self._lock:
            self._idle.clear()
            self._waiting.append(thing)
        self._wake.set()
        self.look()

    def look(self) -> None:
        """Find out whether it hangs; to be called now and then, because no tap may come for hours."""
        since_s = self._busy_since_s
        if since_s is not None and self._clock.monotonic() - since_s > HANGS_S + self._busy_s:
            self._watch.hangs()

    def drain(self) -> None:
        """Return when everything was shown that was passed on by now, after `CLOSE_S` at the latest."""
        if self._thread.is_alive():
            self._wake.set()
            self._idle.wait(CLOSE_S)

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
            self._show_what_waits()
        self._show_what_waits()  # what came between the last look and the end
        self._call(self._end)

    def _show_what_waits(self) -> None:
        while self._waiting:
            self._call(partial(self._show, self._waiting.popleft()))
        with self._lock:
            if not self._waiting:
                self._idle.set()

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


class Guarded(Generic[T]):
    """`call`, whose mistakes are said once and end nothing; `on_state` hears of them. A `JournalError` passes: without
    a journal nothing goes on.
    """

    def __init__(
        self,
        name: str,
        call: Callable[[T], None],
        on_state: OnDeviceState = lambda _name, _state, _detail: None,
    ) -> None:
        self._watch = DeviceWatch(name, on_state)
        self._call = call

    def start(self, on_state: OnDeviceState) -> None:
        """Let `on_state` hear of it from here on."""
        self._watch.on_state = on_state

    def __call__(self, thing: T) -> None:
        try:
            self._call(thing)
        except JournalError:
            raise
        except Exception as error:  # noqa: BLE001 whatever it is: the tap it is about has happened
            self._watch.raised(error)
        else:
            self._watch.works()
