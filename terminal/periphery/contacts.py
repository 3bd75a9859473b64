"""Contacts: one thread that reads every input line of the chip and calls what each of them is for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from terminal.periphery.device_reader import LOOK_S, DeviceReader

if TYPE_CHECKING:
    from terminal.periphery.port import InputLines

OnContact = Callable[[bool], None]
"""Hears whether the line is active; what it says twice means nothing new."""


class Contacts(DeviceReader):
    """Calls `heard[line]` with how each line stands at the start, and with each change."""

    def __init__(self, open_lines: Callable[[], InputLines], heard: Mapping[str, OnContact]) -> None:
        super().__init__("periphery:contacts")
        self._open_lines = open_lines
        self._heard = heard
        self._stands: dict[str, bool] = {}
        self.edges = 0

    def _read(self) -> None:
        lines = self._open_lines()
        try:
            changed = lines.states()
            while self._goes_on():
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
