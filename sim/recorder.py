"""Records taps into a transcript file: a wrapper around any connection to a card, simulated or PC/SC."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from cardproto.connection import CardConnection
from cardproto.errors import TransmissionError
from sim.field import Clock
from sim.transcript import (
    FORMAT,
    LABORATORY,
    VERSION,
    HeaderLine,
    MessageLine,
    TapLine,
    TranscriptFault,
    encode,
)
from sim.transcript_mask import Masker

MS_DIGITS: Final = 3


class TranscriptWriter:
    """An open transcript file. Every message is written at once, so that a crash loses none that was seen.

    `masked` False is for laboratory cards: the file then shows everything and says so in its first line. A disk
    that fills up ends the recording, never the tap: `failure` then says what happened.
    """

    def __init__(self, path: Path, clock: Clock, *, masked: bool = True) -> None:
        """Start a new file, readable by its owner only; raises `TranscriptFault`, also for an existing one."""
        self._clock = clock
        self._masked = masked
        self._taps = 0
        self.failure: OSError | None = None
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as error:
            raise TranscriptFault(f"{path} exists already", "Choose another name.") from error
        except OSError as error:
            raise TranscriptFault(
                f"{path} cannot be written ({error.strerror})", "Check the folder and its rights."
            ) from error
        self._file = os.fdopen(handle, "w", encoding="utf-8")
        self.write(HeaderLine(FORMAT, VERSION, masked, None if masked else LABORATORY))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def record(self, connection: CardConnection) -> Recorder:
        """A connection that does what `connection` does and is written down as the next tap."""
        self._taps += 1
        self.write(TapLine(self._taps, self._clock.now()))
        return Recorder(connection, self, self._clock, Masker() if self._masked else None)

    def write(self, line: HeaderLine | TapLine | MessageLine) -> None:
        """Append one line."""
        if self.failure is not None:
            return
        try:
            self._file.write(encode(line) + "\n")
            self._file.flush()
        except OSError as error:
            self.failure = error


class Recorder:
    """One tap's connection, written down on the way. Raises what the connection raises."""

    def __init__(
        self, connection: CardConnection, writer: TranscriptWriter, clock: Clock, masker: Masker | None
    ) -> None:
        self._connection = connection
        self._writer = writer
        self._clock = clock
        self._masker = masker
        self._began_s = clock.monotonic()

    def transmit(self, command: bytes) -> bytes:
        """The card's answer; both messages are in the file when it returns."""
        shown = self._masker.command(command) if self._masker else command.hex().upper()
        self._writer.write(MessageLine(self._ms(), "card", shown))
        try:
            answer = self._connection.transmit(command)
        except TransmissionError as error:
            self._writer.write(MessageLine(self._ms(), "terminal", None, type(error).__name__))
            raise
        at_ms = self._ms()
        shown = self._masker.answer(answer) if self._masker else answer.hex().upper()
        self._writer.write(MessageLine(at_ms, "terminal", shown))
        return answer

    def _ms(self) -> float:
        return round((self._clock.monotonic() - self._began_s) * 1000, MS_DIGITS)
