"""What other authors add to a terminal, and how each of these does its work, said once for each change."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

import msgspec

from terminal.decoding import decode_msgpack

MAX_HELD_BYTES: Final = 4096
"""Of what another author's code may put into one row."""

_SHOWN_CHARACTERS: Final = 200


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
"""Hears of each change: its role and name, its state, and what it raised, if anything. On any thread."""


def one_line(text: str) -> str:
    """`text` as one line, cut to what fits into one."""
    return "".join(sign for sign in " ".join(text.split()) if sign.isprintable())[:_SHOWN_CHARACTERS]


def said_of(error: BaseException) -> str:
    """`error` in one line, also where it cannot say itself what it is about."""
    try:
        says = str(error)
    except BaseException:  # noqa: BLE001 other people's code, which is about to be reported anyway
        says = "it does not say what"
    return one_line(f"{type(error).__name__}: {says}")


def require_held(value: object, kind: Any) -> None:
    """Raises `ValueError` or `TypeError` unless `value` comes back from a journal row as a `kind`."""
    try:
        content = msgspec.msgpack.encode(value)
    except OverflowError as error:
        raise ValueError(f"a row cannot hold it: {error}") from error
    if len(content) > MAX_HELD_BYTES:
        raise ValueError(f"it is larger than {MAX_HELD_BYTES} bytes")
    decode_msgpack(content, kind, MAX_HELD_BYTES)


class DeviceWatch:
    """Remembers the state of one device and passes changes on. `name` is role and name: "signal:led"."""

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
        detail = said_of(error)
        self._becomes(DeviceState.RAISES, detail)
        return detail

    def _becomes(self, state: DeviceState, detail: str = "") -> None:
        if state is not self.state:
            self.state = state
            self.on_state(self.name, state, detail)
