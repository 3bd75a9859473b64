"""What other authors add to a terminal, and how each of these does its work, said once for each change."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final


class ExtensionRole(StrEnum):
    """What an extension of another author supplies."""

    MEDIUM = "medium"
    READER = "reader"
    SIGNAL = "signal"
    VEHICLE_SOURCE = "vehicle_source"


class DeviceState(StrEnum):
    """How it does."""

    WORKS = "works"
    RAISES = "raises"
    HANGS = "hangs"


OnDeviceState = Callable[[str, DeviceState, str], None]
"""Hears of each change: its name, its state, and what it raised, if anything. On any thread."""


class DeviceWatch:
    """Remembers the state of one device and passes changes on."""

    def __init__(self, name: str, on_state: OnDeviceState = lambda _name, _state, _detail: None) -> None:
        self.name: Final = name
        self.on_state = on_state
        self.state = DeviceState.WORKS

    def works(self) -> None:
        self._becomes(DeviceState.WORKS)

    def hangs(self) -> None:
        self._becomes(DeviceState.HANGS)

    def raised(self, error: BaseException) -> str:
        """`error` in one line, as it was passed on."""
        detail = f"{type(error).__name__}: {error}"
        self._becomes(DeviceState.RAISES, detail)
        return detail

    def _becomes(self, state: DeviceState, detail: str = "") -> None:
        if state is not self.state:
            self.state = state
            self.on_state(self.name, state, detail)
