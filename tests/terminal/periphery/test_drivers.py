"""Drivers against the libraries they are written for. No GPIO chip and no input device is here: a stand-in takes their
place whose signatures are held to the real library's, and a real one's reading loop reads recorded events from a pipe.
"""

from __future__ import annotations

import inspect
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import gpiod
import pytest

from terminal.errors import ConfigError
from terminal.periphery import drivers
from terminal.periphery.drivers import GpioInputs, GpioOutputs, HidStream, require_library
from terminal.periphery.key_codes import TypedKeys
from terminal.periphery.port import LineLayout

LAYOUT = LineLayout(
    outputs=("gate", "green"),
    inputs=("door", "fails"),
    active_low=frozenset({"door", "green"}),
    pull_up=frozenset({"door"}),
    debounce_ms=5,
)


class FakeRequest:
    """Lines as the kernel would lend them, with what was asked for."""

    def __init__(self, path: str, config: Any, consumer: str | None) -> None:
        self.path, self.config, self.consumer = path, config, consumer
        self.values = {line: settings.output_value for line, settings in config.items()}
        self.lines = list(config)
        self.offsets = [10 + number for number in range(len(self.lines))]
        self.released = False
        self.gone = False
        self.events: list[Any] = []

    def set_value(self, line: int | str, value: Any) -> None:
        if self.gone:
            raise OSError("no such device")
        self.values[line] = value

    def set_values(self, values: dict[int | str, Any]) -> None:
        for line, value in values.items():
            self.set_value(line, value)

    def get_values(self, lines: Any = None) -> list[Any]:
        return [self.values[line] for line in lines]

    def wait_edge_events(self, timeout: Any = None) -> bool:
        return bool(self.events)

    def read_edge_events(self, max_events: int | None = None) -> list[Any]:
        events, self.events = self.events, []
        return events

    def release(self) -> None:
        self.released = True


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[FakeRequest]:
    made: list[FakeRequest] = []

    def request_lines(
        path: str,
        config: Any,
        consumer: str | None = None,
        event_buffer_size: int | None = None,
        output_values: Any = None,
    ) -> FakeRequest:
        if "none" in path:
            raise FileNotFoundError(path)
        made.append(FakeRequest(path, config, consumer))
        return made[-1]

    names = inspect.signature(gpiod.request_lines).parameters
    assert list(inspect.signature(request_lines).parameters) == list(names)
    monkeypatch.setattr(gpiod, "request_lines", request_lines)
    return made


def test_the_stand_in_has_the_methods_of_a_real_request() -> None:
    real = gpiod.LineRequest
    for name in ("set_value", "set_values", "get_values", "wait_edge_events", "read_edge_events", "release"):
        ours = inspect.signature(getattr(FakeRequest, name)).parameters
        assert list(ours) == list(inspect.signature(getattr(real, name)).parameters)
    assert isinstance(real.offsets, property)
    assert isinstance(real.lines, property)


def test_outputs_are_asked_for_inactive_by_name_and_given_back_so(requests: list[FakeRequest]) -> None:
    value = gpiod.line.Value
    lines = GpioOutputs("/dev/gpiochip0", LAYOUT)
    lines.set("gate", True)
    (request,) = requests
    assert (request.path, request.consumer, request.lines) == (
        "/dev/gpiochip0",
        "resident-terminal",
        ["gate", "green"],
    )
    for line, settings in request.config.items():
        assert settings.direction is gpiod.line.Direction.OUTPUT
        assert settings.output_value is value.INACTIVE
        assert settings.active_low is (line == "green")
    assert request.values == {"gate": value.ACTIVE, "green": value.INACTIVE}
    lines.close()
    assert request.values["gate"] is value.INACTIVE
    assert request.released


def test_a_chip_that_went_away_is_asked_for_anew(requests: list[FakeRequest]) -> None:
    lines = GpioOutputs("/dev/gpiochip0", LAYOUT)
    lines.set("gate", True)
    requests[0].gone = True
    with pytest.raises(OSError, match="no such device"):
        lines.set("gate", False)
    assert requests[0].released
    lines.set("gate", False)
    assert len(requests) == 2


def test_inputs_are_read_with_their_edges(requests: list[FakeRequest]) -> None:
    lines = GpioInputs("/dev/gpiochip0", LAYOUT)
    (request,) = requests
    door = request.config["door"]
    assert door.direction is gpiod.line.Direction.INPUT
    assert door.edge_detection is gpiod.line.Edge.BOTH
    assert (door.bias, request.config["fails"].bias) == (gpiod.line.Bias.PULL_UP, gpiod.line.Bias.AS_IS)
    assert door.active_low
    assert door.debounce_period.total_seconds() == 0.005
    request.values["fails"] = gpiod.line.Value.ACTIVE
    assert lines.states() == (("door", False), ("fails", True))
    rising, falling = gpiod.EdgeEvent.Type.RISING_EDGE, gpiod.EdgeEvent.Type.FALLING_EDGE
    request.events = [
        gpiod.EdgeEvent(int(rising.value), 1, 10, 1, 1),
        gpiod.EdgeEvent(int(falling.value), 2, 11, 2, 1),
    ]
    assert lines.edges(0.1) == (("door", True), ("fails", False))
    assert lines.edges(0.0) == ()


def test_a_chip_that_is_not_there_is_an_error_of_the_device() -> None:
    with pytest.raises(OSError, match="gpiochip"):
        GpioOutputs("/dev/gpiochip-of-no-machine", LAYOUT).set("gate", True)


def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError) as refused:
        require_library("evdev", "hid under [periphery.scanner]")
    assert 'pip install "resident-card-terminal[hid]"' in refused.value.advice


# A scanner that types

EVENT = struct.Struct("@llHHi")
"""struct input_event of linux/input.h."""
SYN, KEY = 0, 1
A, B, ONE, SHIFT, ENTER = 30, 48, 2, 42, 28


def recorded(*keys: tuple[int, int]) -> bytes:
    """Key events as the kernel hands them over: (code, value), each with its report."""
    return b"".join(EVENT.pack(1, 0, KEY, code, value) + EVENT.pack(1, 0, SYN, 0, 0) for code, value in keys)


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, list[str]]]:
    """The end to write events to, and what was asked of the device. Its reading is evdev's own where that is installed,
    else that of a stand-in.
    """
    ours, theirs = os.pipe()
    asked: list[str] = []
    try:
        import evdev  # noqa: PLC0415 it may not be installed

        base, module = evdev.InputDevice, evdev
    except ImportError:
        base, module = _PlainDevice, ModuleType("evdev")
        monkeypatch.setitem(sys.modules, "evdev", module)

    class PipedDevice(base):  # type: ignore[misc, valid-type]
        """Opened without the questions that only an input device answers."""

        def __init__(self, dev: str) -> None:
            asked.append(f"open {dev}")
            self.fd = ours

        def grab(self) -> None:
            asked.append("grab")

        def close(self) -> None:
            asked.append("close")

        def __del__(self) -> None:
            pass

    monkeypatch.setattr(module, "InputDevice", PipedDevice, raising=False)
    os.set_blocking(ours, False)
    yield theirs, asked
    os.close(ours)
    os.close(theirs)


class _PlainEvent:
    def __init__(self, kind: int, code: int, value: int) -> None:
        self.type, self.code, self.value = kind, code, value


class _PlainDevice:
    fd: int

    def read(self) -> Iterator[_PlainEvent]:
        for _, _, kind, code, value in EVENT.iter_unpack(os.read(self.fd, 64 * EVENT.size)):
            yield _PlainEvent(kind, code, value)


def test_a_scanner_that_types_is_ours_alone_and_read_as_characters(keyboard: tuple[int, list[str]]) -> None:
    end, asked = keyboard
    stream = HidStream(Path("/dev/input/event7"))
    assert asked == ["open /dev/input/event7", "grab"]
    os.write(end, recorded((A, 1), (A, 0), (SHIFT, 1), (B, 1), (B, 0), (SHIFT, 0), (ONE, 1), (ONE, 0)))
    os.write(end, recorded((ENTER, 1), (ENTER, 0)))
    assert stream.read(1.0) == b"aB1\n"
    assert stream.read(0.0) == b""
    with pytest.raises(OSError, match="keyboard"):
        stream.write(b"x")
    stream.close()
    assert asked[-1] == "close"


KERNEL = (
    "KEY_1 2 KEY_2 3 KEY_3 4 KEY_4 5 KEY_5 6 KEY_6 7 KEY_7 8 KEY_8 9 KEY_9 10 KEY_0 11 KEY_Q 16 "
    "KEY_W 17 KEY_E 18 KEY_R 19 KEY_T 20 KEY_Y 21 KEY_U 22 KEY_I 23 KEY_O 24 KEY_P 25 KEY_A 30 "
    "KEY_S 31 KEY_D 32 KEY_F 33 KEY_G 34 KEY_H 35 KEY_J 36 KEY_K 37 KEY_L 38 KEY_Z 44 KEY_X 45 "
    "KEY_C 46 KEY_V 47 KEY_B 48 KEY_N 49 KEY_M 50 KEY_MINUS 12 KEY_EQUAL 13 KEY_LEFTBRACE 26 "
    "KEY_RIGHTBRACE 27 KEY_SEMICOLON 39 KEY_APOSTROPHE 40 KEY_GRAVE 41 KEY_BACKSLASH 43 KEY_COMMA 51 "
    "KEY_DOT 52 KEY_SLASH 53 KEY_SPACE 57 KEY_KP7 71 KEY_KP0 82 KEY_KPDOT 83 KEY_ENTER 28 "
    "KEY_KPENTER 96 KEY_LEFTSHIFT 42 KEY_RIGHTSHIFT 54 KEY_F1 59 "
)
"""From linux/input-event-codes.h of Linux 6.1."""


def test_key_codes_are_those_of_the_kernel() -> None:
    words = KERNEL.split()
    codes = {name: int(code) for name, code in zip(words[::2], words[1::2], strict=True)}
    named = {f"KEY_{sign.upper()}": sign for sign in "abcdefghijklmnopqrstuvwxyz0123456789"}
    named |= {"KEY_MINUS": "-", "KEY_SLASH": "/", "KEY_DOT": ".", "KEY_COMMA": ",", "KEY_SEMICOLON": ";"}
    named |= {
        "KEY_EQUAL": "=",
        "KEY_BACKSLASH": "\\",
        "KEY_GRAVE": "`",
        "KEY_APOSTROPHE": "'",
        "KEY_SPACE": " ",
    }
    named |= {"KEY_LEFTBRACE": "[", "KEY_RIGHTBRACE": "]", "KEY_KP7": "7", "KEY_KP0": "0", "KEY_KPDOT": "."}
    named |= {"KEY_ENTER": "\n", "KEY_KPENTER": "\n", "KEY_F1": "", "KEY_LEFTSHIFT": "", "KEY_RIGHTSHIFT": ""}
    assert set(named) == set(codes)
    assert {name: TypedKeys().typed(code, 1).decode() for name, code in codes.items()} == named
    keys = TypedKeys()
    keys.typed(codes["KEY_RIGHTSHIFT"], 1)
    assert keys.typed(codes["KEY_2"], 1) == b"@"
    assert keys.typed(codes["KEY_2"], 0) == b""
