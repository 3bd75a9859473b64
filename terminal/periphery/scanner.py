"""A scanner of codes: what it reads comes out as `ScannedCode` values, within limits, from one thread.

A code ends with CR or LF. One that does not end within its time was cut off, and is dropped: half a code is none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from terminal.periphery.device_reader import LOOK_S, DeviceReader
from terminal.periphery.port import MAX_CODE_BYTES, ScannedCode

if TYPE_CHECKING:
    from terminal.clock import Clock
    from terminal.periphery.port import OpenStream

ENDS_S: Final = 1.0
"""After its first byte a code has so long to end: 1 kB at 9600 baud."""
BURST: Final = 5
EVERY_S: Final = 0.5
"""So many codes at once, then one in this time; people present no more."""


class ScannerCounts(Struct):
    """Since the start. `cut`: without an end. `too_long`: above the limit. `too_fast`: above the rate."""

    codes: int = 0
    cut: int = 0
    too_long: int = 0
    too_fast: int = 0
    opened: int = 0


class CodeAssembler:
    """Codes from bytes as they come. Holds `MAX_CODE_BYTES` at most."""

    def __init__(self, counts: ScannerCounts) -> None:
        self._counts = counts
        self._held = bytearray()
        self._since_s = 0.0
        self._overflow = False
        self._allowed, self._looked_s = float(BURST), 0.0

    def feed(self, data: bytes, now_s: float) -> list[ScannedCode]:
        """The codes that `data` completes."""
        self.look(now_s)
        found = []
        for part in data.replace(b"\r", b"\n").splitlines(keepends=True):
            self._hold(part.removesuffix(b"\n"), now_s)
            if part.endswith(b"\n") and (code := self._ended(now_s)) is not None:
                found.append(code)
        return found

    def look(self, now_s: float) -> None:
        """Drop what has not ended in its time."""
        if now_s - self._since_s > ENDS_S:
            self.drop()

    def drop(self) -> None:
        """What is held has no end any more: the device is another one now, or its time is over."""
        if self._held or self._overflow:
            self._counts.cut += 1
            self._forget()

    def _hold(self, part: bytes, now_s: float) -> None:
        if not self._held and not self._overflow:
            self._since_s = now_s
        if len(self._held) + len(part) > MAX_CODE_BYTES:
            self._overflow = True
            self._held.clear()
        elif not self._overflow:
            self._held += part

    def _ended(self, now_s: float) -> ScannedCode | None:
        content, overflow = bytes(self._held), self._overflow
        self._forget()
        if overflow:
            self._counts.too_long += 1
            return None
        if not content:
            return None  # CR and LF, or an empty line
        self._allowed = min(BURST, self._allowed + (now_s - self._looked_s) / EVERY_S)
        self._looked_s = now_s
        if self._allowed < 1:
            self._counts.too_fast += 1
            return None
        self._allowed -= 1
        self._counts.codes += 1
        return ScannedCode(content, now_s)

    def _forget(self) -> None:
        self._held.clear()
        self._overflow = False


class Scanner(DeviceReader):
    """Hands each code to `on_code`, on its thread; opens the device, and opens it again whenever it comes back."""

    def __init__(self, open_stream: OpenStream, on_code: Callable[[ScannedCode], None], clock: Clock) -> None:
        super().__init__("periphery:scanner")
        self._open_stream = open_stream
        self._on_code = on_code
        self._clock = clock
        self.counts = ScannerCounts()
        self._assembler = CodeAssembler(self.counts)

    def _read(self) -> None:
        stream = self._open_stream()
        self._assembler.drop()
        self.counts.opened += 1
        try:
            while self._goes_on():
                data = stream.read(LOOK_S)
                now_s = self._clock.monotonic()
                for code in self._assembler.feed(data, now_s):
                    self._on_code(code)
        finally:
            stream.close()
