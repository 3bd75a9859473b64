"""Taps into a transcript file, and back: a wrapper around any connection to a card, simulated or PC/SC, that records;
and a recorded card that answers exactly as in the transcript, wherever a software card can be used.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from cardproto.apdu import SW
from cardproto.connection import CardConnection
from cardproto.desfire.crypto import BLOCK, ZERO_IV, CardKey
from cardproto.desfire.recording import AUTHENTICATES
from cardproto.errors import CardGone, TransmissionError
from sim.card.image import Json
from sim.card.virtual import ATR, CLA_READER, GET_UID
from sim.field import FieldClock
from sim.transcript import (
    FORMAT,
    LABORATORY,
    VERSION,
    Exchange,
    HeaderLine,
    TranscribedTap,
    TranscriptFault,
    TranscriptMessage,
    TranscriptTap,
    encode,
    transmission_error,
)
from sim.transcript_mask import Masker

MS_DIGITS: Final = 3


class TranscriptWriter:
    """An open transcript file. Every message is written at once, so that a crash loses none that was seen.

    `masked` False is for laboratory cards: the file then shows everything and says so in its first line. A disk
    that fills up ends the recording, never the tap: `failure` then says what happened.
    """

    def __init__(self, path: Path, clock: FieldClock, *, masked: bool = True) -> None:
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
        self.write(TranscriptTap(self._taps, self._clock.now()))
        return Recorder(connection, self, self._clock, Masker() if self._masked else None)

    def write(self, line: HeaderLine | TranscriptTap | TranscriptMessage) -> None:
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
        self, connection: CardConnection, writer: TranscriptWriter, clock: FieldClock, masker: Masker | None
    ) -> None:
        self._connection = connection
        self._writer = writer
        self._clock = clock
        self._masker = masker
        self._began_s = clock.monotonic()

    def transmit(self, command: bytes) -> bytes:
        """The card's answer; both messages are in the file when it returns."""
        shown = self._masker.command(command) if self._masker else command.hex().upper()
        self._writer.write(TranscriptMessage(self._ms(), "card", shown))
        try:
            answer = self._connection.transmit(command)
        except TransmissionError as error:
            self._writer.write(TranscriptMessage(self._ms(), "terminal", None, type(error).__name__))
            raise
        at_ms = self._ms()
        shown = self._masker.answer(answer) if self._masker else answer.hex().upper()
        self._writer.write(TranscriptMessage(at_ms, "terminal", shown))
        return answer

    def _ms(self) -> float:
        return round((self._clock.monotonic() - self._began_s) * 1000, MS_DIGITS)


NO_UID: Final = bytes(7)
_DIVERGED: Final = SW.CONDITIONS_OF_USE.to_bytes(2, "big")
_CLA_WRAPPED: Final = 0x90


class ReplayCard:
    """One recorded tap as a card; every power-up starts it from the beginning.

    A command other than the recorded one is answered 6985 and noted in `diverged` ("exchange 4: …"), and so is
    everything after it; with `strict` False the answers come in order whatever is asked, as an attacker's replay does.
    After the last exchange the card has left (`CardGone`). Pseudo APDUs are the reader's: they always return the UID.
    """

    def __init__(self, tap: TranscribedTap, *, strict: bool = True) -> None:
        """Raises `TranscriptFault` for a masked tap: it cannot be answered exactly as recorded."""
        if tap.masked:
            raise TranscriptFault(
                f"tap {tap.number} is masked",
                "Record a laboratory card with masked = false under [recording] to replay it.",
            )
        self.atr: Final = ATR
        self.uid: Final = _uid_of(tap)
        self._tap: Final = tap
        self._strict: Final = strict
        self._exchanges = [e for e in tap.exchanges if not _for_reader(e)]
        self._next = 0
        self.diverged: str | None = None

    def power_on(self) -> None:
        """From the beginning."""
        self._next = 0
        self.diverged = None

    def power_off(self) -> None:
        """Nothing to forget that `power_on` does not."""

    def transmit(self, command: bytes) -> bytes:
        """The recorded answer. Raises `CardGone` at the end, and what the recording lost an answer by."""
        if command[:1] == bytes((CLA_READER,)):
            if command[:4] == GET_UID:
                return self.uid + SW.OK.to_bytes(2, "big")
            return SW.FUNCTION_NOT_SUPPORTED.to_bytes(2, "big")
        if self._next >= len(self._exchanges):
            raise CardGone("the recording ends here")
        exchange = self._exchanges[self._next]
        if self._strict and (self.diverged or bytes.fromhex(exchange.command) != command):
            self.diverged = self.diverged or (
                f"exchange {self._next + 1}: {exchange.command} was recorded, not {command.hex().upper()}"
            )
            return _DIVERGED
        self._next += 1
        if exchange.answer is None:
            raise transmission_error(exchange.lost or CardGone.__name__)("as recorded")
        return bytes.fromhex(exchange.answer)

    def image(self) -> dict[str, Json]:
        """A recording holds no state."""
        return {"uid": self.uid.hex().upper(), "kind": type(self).__name__, "exchanges": len(self._exchanges)}

    def clone(self) -> ReplayCard:
        """The same recording, from its beginning."""
        return ReplayCard(self._tap, strict=self._strict)


def terminal_randoms(tap: TranscribedTap, key_of: Callable[[int], CardKey]) -> list[bytes]:
    """The terminal's random numbers (RndA of every EV2 authentication), found with the card's keys by number."""
    found: list[bytes] = []
    known = [exchange.known for exchange in tap.exchanges]
    sent = [pair[0] if pair else b"" for pair in known]
    for first, second in itertools.pairwise(sent):
        if first[:1] != bytes((_CLA_WRAPPED,)) or len(first) < 6 or first[1] not in AUTHENTICATES:
            continue
        token = second[5:-1]
        if second[1:2] == b"\xaf" and len(token) == 2 * BLOCK:
            found.append(key_of(first[5]).decrypt(ZERO_IV, token)[:BLOCK])
    return found


def _for_reader(exchange: Exchange) -> bool:
    return exchange.command.startswith("FF")


def _uid_of(tap: TranscribedTap) -> bytes:
    for exchange in tap.exchanges:
        known = exchange.known
        if known is not None and known[0][:4] == GET_UID and known[1][-2:] == b"\x90\x00":
            return known[1][:-2]
    return NO_UID
