"""A device that is read: on one thread, which opens it, and opens it again whenever it comes back."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from terminal.devices import DeviceWatch

if TYPE_CHECKING:
    from terminal.devices import OnDeviceState

LOOK_S: Final = 0.25
"""A read waits no longer, so that a stop is seen."""
AGAIN_S: Final = 1.0
"""Before a device that was unplugged is looked for again."""
CLOSE_S: Final = 2.0


class DeviceReader(ABC):
    """`name` is its role and name ("periphery:scanner")."""

    def __init__(self, name: str) -> None:
        self._stop = threading.Event()
        self._watch = DeviceWatch(name)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self, on_state: OnDeviceState) -> None:
        """Begin to read; `on_state` hears when the device cannot be read, and when it can again."""
        self._watch.on_state = on_state
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Returns at once; `stop` then waits less."""
        self._stop.set()

    def stop(self) -> None:
        """Returns after `CLOSE_S` at the latest."""
        self.ask_to_stop()
        if self._thread.ident is not None:
            self._thread.join(CLOSE_S)

    @abstractmethod
    def _read(self) -> None:
        """Open the device and read it while `_goes_on`; close it at the end, and when it fails."""

    def _goes_on(self) -> bool:
        """Asked before each read: the device works, and nothing has stopped it."""
        if self._stop.is_set():
            return False
        self._watch.works()
        return True

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._read()
            except Exception as error:  # noqa: BLE001 a driver's mistake ends no thread: the device is tried again
                self._watch.raised(error)
                self._stop.wait(AGAIN_S)
