"""What a tap passes on to its devices: one put, however many there are; a thread of its own does the rest."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from terminal.devices import DeviceWatch

if TYPE_CHECKING:
    from terminal.devices import OnDeviceState

T = TypeVar("T")
WAITING: Final = 256
"""So many things wait at most; devices take them at once, so that only a mistake of ours lets them wait."""
CLOSE_S: Final = 2.0


class FanOut(Generic[T]):
    """Hands what is put to `hear`, in order, on its thread; `put` costs its caller about two microseconds."""

    def __init__(self, hear: Callable[[T], None]) -> None:
        self._hear = hear
        self._queue: SimpleQueue[T | None] = SimpleQueue()
        self._watch = DeviceWatch("periphery:taps")
        self._thread = threading.Thread(target=self._run, name=self._watch.name, daemon=True)

    def start(self, on_state: OnDeviceState) -> None:
        """Begin; what was put before waits until now."""
        self._watch.on_state = on_state
        self._thread.start()

    def put(self, thing: T) -> None:
        """Returns at once."""
        if self._queue.qsize() < WAITING:
            self._queue.put(thing)
        else:
            self._watch.hangs()

    def stop(self) -> None:
        """What was put is heard first; returns after `CLOSE_S` at the latest."""
        if self._thread.ident is not None:
            self._queue.put(None)
            self._thread.join(CLOSE_S)

    def _run(self) -> None:
        while (thing := self._queue.get()) is not None:
            try:
                self._hear(thing)
            except Exception as error:  # noqa: BLE001 the next tap is to be heard, too
                self._watch.raised(error)
            else:
                self._watch.works()
