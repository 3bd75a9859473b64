"""Devices that do not work: extensions, outputs, what stands around the reader. On any thread; recorded with a beat."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock
from typing import Final

from terminal.codes import ExtensionFault, OutputFault, PeripheryFault
from terminal.devices import DeviceState, ExtensionRole
from terminal.journal.records import Fault

PERIPHERY: Final = "periphery"
"""What stands before the colon of the devices around the reader."""

_DEVICE_FAULTS: Final = {
    DeviceState.RAISES: ExtensionFault.FAILED,
    DeviceState.HANGS: ExtensionFault.HANGS,
}
_OUTPUT_FAULTS: Final = {
    DeviceState.RAISES: OutputFault.FAILED,
    DeviceState.HANGS: OutputFault.HANGS,
}
_PERIPHERY_FAULTS: Final = {
    DeviceState.RAISES: PeripheryFault.FAILED,
    DeviceState.HANGS: PeripheryFault.HANGS,
}
_EXTENSIONS: Final = frozenset(role.value for role in ExtensionRole)


class FailingDevices:
    """Which devices of one terminal fail, and which failures are still to be recorded."""

    def __init__(self) -> None:
        self.states: dict[str, DeviceState] = {}
        """By role and name; a device that works is not in it. Replaced with each change, never altered."""
        self._lock = Lock()
        self._noted: set[tuple[str, DeviceState]] = set()
        self._to_note: SimpleQueue[tuple[str, DeviceState]] = SimpleQueue()

    def become(self, name: str, state: DeviceState) -> None:
        """The device works no longer, or works again. On any thread."""
        with self._lock:
            others = {other: how for other, how in self.states.items() if other != name}
            self.states = others if state is DeviceState.WORKS else {**others, name: state}
        self._to_note.put((name, state))

    def note(self, at_ms: int, record: Callable[[Fault], None]) -> bool:
        """Whether something changed since the last time. `record` is given what fails: each once since the start,
        however often it comes and goes. What a medium does is on record with its tap.
        """
        changed = False
        while not self._to_note.empty():
            change = name, state = self._to_note.get()
            changed = True
            if state is not DeviceState.WORKS and change not in self._noted:
                self._noted.add(change)
                if not name.startswith(f"{ExtensionRole.MEDIUM}:"):
                    record(_fault_of(at_ms, name, state))
        return changed


def _fault_of(at_ms: int, name: str, state: DeviceState) -> Fault:
    role, _, device = name.partition(":")
    if role == PERIPHERY:
        return Fault(at_ms, _PERIPHERY_FAULTS[state], {"device": device})
    if role in _EXTENSIONS:
        return Fault(at_ms, _DEVICE_FAULTS[state], {"extension": name})
    return Fault(at_ms, _OUTPUT_FAULTS[state], {"output": name})
