"""What drivers of devices implement; `terminal.periphery.drivers` has ours, `sim.periphery` their twins.

A driver is opened by the thread that uses it, raises `OSError` when its device is gone, and is opened anew then.
Every call returns within its time: a driver that does not is left to its thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from msgspec import Struct

Edge: TypeAlias = tuple[str, bool]
"""A line, and whether it is active now."""

MAX_CODE_BYTES: Final = 4096


class LineLayout(Struct, frozen=True):
    """Which lines of a chip are used. Outputs are inactive when they are requested: dark, silent and closed."""

    outputs: tuple[str, ...]
    inputs: tuple[str, ...]
    active_low: frozenset[str] = frozenset()
    pull_up: frozenset[str] = frozenset()
    debounce_ms: int = 0


class OutputLines(Protocol):
    """Lines that are driven. Several threads may set lines of their own."""

    def set(self, line: str, active: bool) -> None:
        """Drive one line; raises `OSError`."""
        ...

    def close(self) -> None:
        """All inactive, and given back."""
        ...


class InputLines(Protocol):
    """Contacts that are read, by one thread."""

    def states(self) -> tuple[Edge, ...]:
        """How each line stands; raises `OSError`."""
        ...

    def edges(self, timeout_s: float) -> tuple[Edge, ...]:
        """What has changed, in order, waiting so long at most; raises `OSError`."""
        ...

    def close(self) -> None:
        """Given back."""
        ...


class Stream(Protocol):
    """A serial line, or what types like one."""

    def read(self, timeout_s: float) -> bytes:
        """What has come, waiting so long for the first byte; empty when none came. Raises `OSError`."""
        ...

    def write(self, data: bytes) -> None:
        """All of `data`; raises `OSError` when the device does not take it in time."""
        ...

    def close(self) -> None:
        """Given back."""
        ...


OpenStream: TypeAlias = Callable[[], Stream]
"""Opens the device; raises `OSError`."""


class ScannedCode(Struct, frozen=True):
    """What a scanner read: never empty, `MAX_CODE_BYTES` at most, without its end of line.

    It may stand for a person: it is not logged, and not kept.
    """

    content: bytes
    at_s: float
    """When its end came, by the monotonic clock."""
