"""A GPIO chip for a process of its own: a folder takes the place of the kernel, under gpiod's own names.

`stand_in` makes a module `gpiod` to be put on the path of `terminal run`. It is the real library, but for
`request_lines`: lines that are driven are written to the file `driven`, edges come as datagrams to a socket, and where
the file `gone` is, every call fails as it does for a chip that was unplugged.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DRIVEN, CONTACTS, EDGES, GONE = "driven", "contacts", "edges", "gone"
MODULE = """\
import os
import sys
from importlib import import_module

here = os.path.dirname(__file__)
sys.path.remove(here)
del sys.modules["gpiod"]
gpiod = import_module("gpiod")
sys.path.insert(0, here)
from tests.chip_twin import request_lines
gpiod.request_lines = request_lines
"""
PATIENCE_S = 30.0


def stand_in(folder: Path) -> str:
    """A module search path that begins with the stand-in."""
    folder.mkdir()
    (folder / "gpiod.py").write_text(MODULE, "utf-8")
    return os.pathsep.join((str(folder), str(ROOT)))


class ChipTwin:
    """The test's side of the chip in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._stands: dict[str, bool] = {}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    @property
    def driven(self) -> list[tuple[str, bool]]:
        """Each value that was set, in order; a request begins with all of its lines."""
        path = self.folder / DRIVEN
        words = (line.split() for line in path.read_text().splitlines()) if path.exists() else ()
        return [(line, value == "1") for line, value in words]

    def move(self, line: str, active: bool) -> None:
        """A contact stands so from now on."""
        self._stands[line] = active
        text = "".join(f"{name} {value:d}\n" for name, value in self._stands.items())
        (self.folder / CONTACTS).write_text(text)
        if not (self.folder / GONE).exists():
            self._socket.sendto(f"{line} {active:d}".encode(), str(self.folder / EDGES))

    def unplug(self) -> None:
        (self.folder / GONE).touch()

    def plug_in(self) -> None:
        (self.folder / GONE).unlink()

    def until(self, holds: Callable[[list[tuple[str, bool]]], bool]) -> list[tuple[str, bool]]:
        """What was driven, once that holds."""
        end_s = time.monotonic() + PATIENCE_S
        while not holds(driven := self.driven):
            assert time.monotonic() < end_s, driven
            time.sleep(0.01)
        return driven

    def close(self) -> None:
        self._socket.close()


# In the terminal's process


def request_lines(
    path: str,
    config: dict[Any, Any],
    consumer: str | None = None,
    event_buffer_size: int | None = None,
    output_values: dict[Any, Any] | None = None,
) -> ChipRequest:
    return ChipRequest(Path(path), config)


class ChipRequest:
    """Lines as the library lends them."""

    def __init__(self, folder: Path, config: dict[Any, Any]) -> None:
        from gpiod.line import Direction  # noqa: PLC0415 the real one, behind the stand-in

        self._folder = folder
        self._require()
        self.lines = list(config)
        self.offsets = [10 + number for number in range(len(self.lines))]
        self._edges: socket.socket | None = None
        for line, settings in config.items():
            if settings.direction is Direction.OUTPUT:
                self.set_value(line, settings.output_value)
            elif self._edges is None:
                (folder / EDGES).unlink(missing_ok=True)
                self._edges = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._edges.bind(str(folder / EDGES))

    def _require(self) -> None:
        if (self._folder / GONE).exists():
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    def set_value(self, line: int | str, value: Any) -> None:
        self._require()
        with (self._folder / DRIVEN).open("a") as file:
            file.write(f"{line} {value.value}\n")

    def set_values(self, values: dict[int | str, Any]) -> None:
        for line, value in values.items():
            self.set_value(line, value)

    def get_values(self, lines: Iterable[int | str] | None = None) -> list[Any]:
        from gpiod.line import Value  # noqa: PLC0415

        self._require()
        path = self._folder / CONTACTS
        text = path.read_text() if path.exists() else ""
        stands: dict[Any, str] = dict(line.split() for line in text.splitlines())
        return [
            Value.ACTIVE if stands.get(line) == "1" else Value.INACTIVE
            for line in (self.lines if lines is None else lines)
        ]

    def wait_edge_events(self, timeout: timedelta | float | None = None) -> bool:
        wait_s = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        assert self._edges is not None
        ready, _, _ = select.select([self._edges], [], [], wait_s)
        self._require()
        return bool(ready)

    def read_edge_events(self, max_events: int | None = None) -> list[Any]:
        from gpiod import EdgeEvent  # noqa: PLC0415

        assert self._edges is not None
        line, value = self._edges.recv(100).decode().split()
        kind = EdgeEvent.Type.RISING_EDGE if value == "1" else EdgeEvent.Type.FALLING_EDGE
        return [EdgeEvent(int(kind.value), time.monotonic_ns(), self.offsets[self.lines.index(line)], 1, 1)]

    def release(self) -> None:
        if self._edges is not None:
            self._edges.close()
