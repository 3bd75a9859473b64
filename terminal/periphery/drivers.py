"""Drivers for real devices. Their libraries are extras, imported where a device of theirs is configured."""

from __future__ import annotations

import select
import threading
from datetime import timedelta
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from terminal.errors import ConfigError
from terminal.periphery.key_codes import TypedKeys
from terminal.periphery.port import Edge, LineLayout

if TYPE_CHECKING:
    from pathlib import Path

CONSUMER: Final = "resident-terminal"
"""Whom `gpioinfo` names as the user of our lines."""
EXTRAS: Final = {"gpiod": "gpio", "serial": "serial", "evdev": "hid"}
"""The libraries by the names they are imported under, and the extras of this package that bring them."""
WRITE_S: Final = 2.0
"""How long a serial device may take what is sent to it."""
MOST_READ: Final = 4096
EVENT_KEY: Final = 1
"""EV_KEY of linux/input-event-codes.h."""


def require_library(name: str, key: str) -> None:
    """Load the library that `key` of terminal.toml needs; raises `ConfigError` where it is not installed.

    It is loaded once and here: devices open on threads of their own, and two that import a package at once may get an
    error instead of it.
    """
    if find_spec(name) is None:
        extra = EXTRAS[name]
        raise ConfigError(
            f"{key} needs the extra {extra}, which is not installed",
            f'Install it: pip install "resident-card-terminal[{extra}]".',
        )
    import_module(name)


class GpioOutputs:
    """Output lines of a chip of the kernel's GPIO character device, by name."""

    def __init__(self, chip: str, layout: LineLayout) -> None:
        self._chip, self._layout = chip, layout
        self._request: Any = None
        self._lock = threading.Lock()

    def set(self, line: str, active: bool) -> None:
        from gpiod.line import Value

        with self._lock:
            if self._request is None:
                self._request = self._requested()
            try:
                self._request.set_value(line, Value.ACTIVE if active else Value.INACTIVE)
            except OSError:
                self._give_back()  # a chip that was unplugged is asked for anew with the next result
                raise

    def close(self) -> None:
        from gpiod.line import Value

        with self._lock:
            if self._request is None:
                return
            try:
                self._request.set_values(dict.fromkeys(self._layout.outputs, Value.INACTIVE))
            finally:
                self._give_back()

    def _requested(self) -> Any:
        import gpiod
        from gpiod.line import Direction, Value

        settings = {
            line: gpiod.LineSettings(
                direction=Direction.OUTPUT,
                output_value=Value.INACTIVE,
                active_low=line in self._layout.active_low,
            )
            for line in self._layout.outputs
        }
        return _request(self._chip, settings)

    def _give_back(self) -> None:
        request, self._request = self._request, None
        request.release()


class GpioInputs:
    """Input lines of such a chip, with the kernel's edge events."""

    def __init__(self, chip: str, layout: LineLayout) -> None:
        self._layout = layout
        self._request = _request(chip, _input_settings(layout))
        self._names = dict(zip(self._request.offsets, self._request.lines, strict=True))

    def states(self) -> tuple[Edge, ...]:
        from gpiod.line import Value

        values = self._request.get_values(self._layout.inputs)
        return tuple(
            (line, value is Value.ACTIVE) for line, value in zip(self._layout.inputs, values, strict=True)
        )

    def edges(self, timeout_s: float) -> tuple[Edge, ...]:
        from gpiod import EdgeEvent

        if not self._request.wait_edge_events(timeout_s):
            return ()
        return tuple(
            (self._names[event.line_offset], event.event_type is EdgeEvent.Type.RISING_EDGE)
            for event in self._request.read_edge_events()
        )

    def close(self) -> None:
        self._request.release()


def _input_settings(layout: LineLayout) -> dict[str, Any]:
    import gpiod
    from gpiod.line import Bias, Direction
    from gpiod.line import Edge as Edges

    return {
        line: gpiod.LineSettings(
            direction=Direction.INPUT,
            edge_detection=Edges.BOTH,
            bias=Bias.PULL_UP if line in layout.pull_up else Bias.AS_IS,
            active_low=line in layout.active_low,
            debounce_period=timedelta(milliseconds=layout.debounce_ms),
        )
        for line in layout.inputs
    }


def _request(chip: str, settings: dict[Any, Any]) -> Any:
    """The lines; raises `OSError`, also for a name that no line of the chip has."""
    import gpiod

    try:
        return gpiod.request_lines(chip, consumer=CONSUMER, config=settings)
    except (OSError, ValueError) as error:  # the latter for a name that no line has
        raise OSError(f"{chip}: {error}") from error


class SerialStream:
    """A serial line, ours alone while it is open."""

    def __init__(self, device: Path, baud: int) -> None:
        import serial

        self._port = serial.Serial(str(device), baud, timeout=0, write_timeout=WRITE_S, exclusive=True)

    def read(self, timeout_s: float) -> bytes:
        self._port.timeout = timeout_s
        first: bytes = self._port.read(1)
        self._port.timeout = 0
        return first + self._port.read(MOST_READ) if first else b""

    def write(self, data: bytes) -> None:
        self._port.write(data)

    def close(self) -> None:
        self._port.close()


class HidStream:
    """A scanner that types: what its keys mean as bytes, Enter as a line's end. No other program gets them."""

    def __init__(self, device: Path) -> None:
        import evdev

        self._device: Any = evdev.InputDevice(str(device))
        try:
            self._device.grab()
        except OSError:
            self._device.close()
            raise
        self._keys = TypedKeys()

    def read(self, timeout_s: float) -> bytes:
        ready, _, _ = select.select([self._device.fd], [], [], timeout_s)
        if not ready:
            return b""
        events = ((event.code, event.value) for event in self._device.read() if event.type == EVENT_KEY)
        return b"".join(self._keys.typed(code, value) for code, value in events)

    def write(self, data: bytes) -> None:
        """Nothing is sent to a keyboard."""
        raise OSError(f"{len(data)} bytes for a keyboard, which takes none")

    def close(self) -> None:
        self._device.close()
