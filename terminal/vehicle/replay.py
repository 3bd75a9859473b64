"""A recording as the vehicle: JSON lines, played at their own times.

    {"at_s": 0, "line": "15", "stop_ref": "de:1501", "zones": ["2203"], "coming_ref": "de:1502"}
    {"at_s": 40, "line": "15", "stop_ref": "de:1501", "coming_ref": "de:1502", "arriving": true}
    {"at_s": 44, "line": "15", "stop_ref": "de:1502", "doors_open": true, "razzia": true}

`at_s` are seconds since the beginning, at once where left out; the rest is that of a `VehicleReport`. A named pipe is
played as it is written to, by one writer after another, and has no end.
"""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Iterator
from itertools import count
from time import monotonic
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from terminal.decoding import decode_json
from terminal.trip.vehicle_report import BEAT_S, SourceSettings, SourceState, VehicleReport
from terminal.vehicle.source import SourceBroken, SourceLink

LONGEST_LINE_BYTES: Final = 16 * 1024
NAME: Final = "replay"
AtSeconds = Annotated[float, Meta(ge=0, le=1e8)]


class ReplaySource:
    """Plays the file of `settings` once; at its end it says so and stays."""

    def __init__(self, settings: SourceSettings) -> None:
        self._path = settings.replay
        self._speed = settings.replay_speed

    def serve(self, link: SourceLink) -> None:
        begun_s = monotonic()
        for at_s, report in self._recorded(link):
            due_s = begun_s + at_s / self._speed
            if link.wait(due_s - monotonic()):
                return
            link.report(msgspec.structs.replace(report, heard_s=monotonic()))
        link.says(SourceState.ENDED, f"{self._path} has been played to its end")
        while not link.wait(60.0):
            pass

    def _recorded(self, link: SourceLink) -> Iterator[tuple[float, VehicleReport]]:
        before_s = 0.0
        for number, line in zip(count(1), self._lines(link)):
            if not line.strip():
                continue
            try:
                at_s, report = parse_recorded(line, before_s)
            except ValueError as error:
                raise SourceBroken(f"{self._path}, line {number}: {error}") from error
            before_s = at_s
            yield at_s, report

    def _lines(self, link: SourceLink) -> Iterator[bytes]:
        """Whole lines, of a pipe as they come."""
        try:
            pipe = stat.S_ISFIFO(os.stat(self._path).st_mode)
            handle = os.open(self._path, (os.O_RDWR if pipe else os.O_RDONLY) | os.O_NONBLOCK)
        except OSError as error:
            raise SourceBroken(f"{self._path} cannot be read ({error.strerror})") from error
        held = b""
        try:
            while content := self._content(handle, link):
                *lines, held = (held + content).split(b"\n")
                yield from lines
                if len(held) > LONGEST_LINE_BYTES:
                    raise SourceBroken(f"{self._path}: a line longer than {LONGEST_LINE_BYTES} bytes")
        finally:
            os.close(handle)
        yield held

    def _content(self, handle: int, link: SourceLink) -> bytes:
        """What can be read next; nothing at the end, and when it is over."""
        while not select.select([handle], [], [], BEAT_S / 2)[0]:
            if link.wait(0):
                return b""
        return os.read(handle, LONGEST_LINE_BYTES)


def parse_recorded(line: bytes, before_s: float = 0.0) -> tuple[float, VehicleReport]:
    """When to play the line, not before `before_s`, and its report; raises `ValueError` with what is wrong."""
    try:
        stated = decode_json(line, dict[str, Any], LONGEST_LINE_BYTES)
        at_s = msgspec.convert(stated.pop("at_s", before_s), AtSeconds)
        if at_s < before_s:
            raise ValueError(f"at_s = {at_s:g} comes before the line above it ({before_s:g})")
        return at_s, msgspec.convert({**stated, "heard_s": 0.0, "source": NAME}, VehicleReport)
    except RecursionError as error:
        raise ValueError("is nested too deep") from error
