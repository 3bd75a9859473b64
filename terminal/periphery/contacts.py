"""Contacts: one thread that reads every input line of the chip and calls what each of them is for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from terminal.devices import DeviceWatch

if TYPE_CHECKING:
    from terminal.devices import OnDeviceState
    from terminal.periphery.port import InputLines

LOOK_S: Final = 0.25
AGAIN_S: Final = 1.0
CLOSE_S: Final = 2.0
OnContact = Callable[[bool], None]
"""Hears whether the line is active; what it says twice means nothing new."""


class Contacts:
    """Calls `heard[line]` with how each line stands at the start, and with each change."""

    def __init__(self, open_lines: Callable[[], InputLines], heard: Mapping[str, OnContact]) -> None:
        self._open_lines = open_lines
        self._heard = heard
        self._stop = threading.Event()
        self._stands: dict[str, bool] = {}
        self._watch = DeviceWatch("periphery:contacts")
        self._thread = threading.Thread(target=self._run, name=self._watch.name, daemon=True)
        self.edges = 0

    def start(self, on_state: OnDeviceState) -> None:
        """Begin to read; `on_state` hears when the chip cannot be read, and when it can again."""
        self._watch.on_state = on_state
        self._thread.start()

    def stop(self) -> None:
        """Returns after `CLOSE_S` at the latest."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(CLOSE_S)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._read()
            except Exception as error:  # noqa: BLE001 a driver's mistake ends no thread: the chip is tried again
                self._watch.raised(error)
                self._stop.wait(AGAIN_S)

    def _read(self) -> None:
        lines = self._open_lines()
        try:
            changed = lines.states()
            while not self._stop.is_set():
                self._watch.works()
                for line, active in changed:
                    self._hear(line, active)
                changed = lines.edges(LOOK_S)
        finally:
            lines.close()

    def _hear(self, line: str, active: bool) -> None:
        """An active line at the start is an edge; an inactive one is how things should be."""
        if self._stands.get(line, False) is not active:
            self._stands[line] = active
            self.edges += 1
            self._heard[line](active)
