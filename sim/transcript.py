"""Transcripts: what a terminal and a card said to each other, and when, in a file of JSON lines.

    {"format": "resident-card-transcript", "version": 1, "masked": true}
    {"tap": 1, "at": "2026-09-15T06:40:00+00:00"}
    {"ms": 0.0, "to": "card", "bytes": "FFCA000000"}
    {"ms": 0.4, "to": "terminal", "bytes": "XXXXXXXXXXXXXX9000"}
    {"ms": 9.1, "to": "terminal", "lost": "CardGone"}

`ms` counts from the start of the tap. `XX` is a masked byte (`sim.transcript_mask`); a file that shows everything says
`"masked": false, "environment": "laboratory"` in its first line, so the first line shows which kind it is (D-05).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from cardproto import errors

FORMAT: Final = "resident-card-transcript"
VERSION: Final = 1
LABORATORY: Final = "laboratory"
MASK: Final = "XX"
MOST_BYTES: Final = 64 << 20
"""A tap takes some 5 kB."""
RECORD_AGAIN: Final = "Record it again with [recording] in terminal.toml."

Hex = Annotated[str, Meta(pattern="^([0-9A-F]{2}|XX)*$")]
Milliseconds = Annotated[float, Meta(ge=0)]


class TranscriptFault(ValueError):
    """A transcript that cannot be used: `what` is wrong and `advice` what to do."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(f"{what}. {advice}")
        self.what = what
        self.advice = advice


class HeaderLine(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The first line."""

    format: Literal["resident-card-transcript"]
    version: int
    masked: bool
    environment: str | None = None


class TranscriptTap(Struct, frozen=True, forbid_unknown_fields=True):
    """A card was presented."""

    tap: Annotated[int, Meta(ge=1)]
    at: datetime


class TranscriptMessage(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One message, or the reason why there was none (the name of a `cardproto.errors.TransmissionError`)."""

    ms: Milliseconds
    to: Literal["card", "terminal"]
    bytes: Hex | None = None
    lost: str | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """One command and its answer as the file holds them; `answer` None: `lost` says why there is none."""

    command: str
    answer: str | None
    lost: str | None
    sent_ms: float
    answered_ms: float

    @property
    def masked(self) -> bool:
        """Whether any byte of it is missing."""
        return MASK in self.command or MASK in (self.answer or "")

    @property
    def known(self) -> tuple[bytes, bytes] | None:
        """Both messages; None when something is masked or lost."""
        if self.answer is None or self.masked:
            return None
        return bytes.fromhex(self.command), bytes.fromhex(self.answer)

    @property
    def filled(self) -> tuple[bytes, bytes]:
        """Both messages with 00 for every masked byte; an answer that was lost is empty."""
        return filled(self.command), filled(self.answer or "")


@dataclass(frozen=True, slots=True)
class TranscribedTap:
    """One presentation of a card."""

    number: int
    at: datetime
    exchanges: tuple[Exchange, ...]

    @property
    def masked(self) -> bool:
        return any(exchange.masked for exchange in self.exchanges)


@dataclass(frozen=True, slots=True)
class Transcript:
    """A whole file."""

    masked: bool
    taps: tuple[TranscribedTap, ...]

    def tap(self, number: int) -> TranscribedTap:
        """Raises `TranscriptFault` when there is no such tap."""
        for tap in self.taps:
            if tap.number == number:
                return tap
        raise TranscriptFault(f"there is no tap {number}", f"The transcript has {len(self.taps)} taps.")


def filled(text: str) -> bytes:
    """The bytes of a message, masked ones as 00."""
    return bytes.fromhex(text.replace(MASK, "00"))


def load_transcript(path: Path) -> Transcript:
    """Read a transcript; raises `TranscriptFault` naming the line."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        lines = content.decode("utf-8").splitlines()
    except FileNotFoundError as error:
        raise TranscriptFault(f"there is no file {path}", RECORD_AGAIN) from error
    except (OSError, UnicodeDecodeError) as error:
        raise TranscriptFault(f"{path} cannot be read ({error})", "Check the file and its rights.") from error
    if len(content) > MOST_BYTES:
        raise TranscriptFault(
            f"{path} has more than {MOST_BYTES >> 20} MB", "Cut it at a line that begins a tap."
        )
    return parse_transcript(lines, str(path))


def parse_transcript(lines: list[str], name: str) -> Transcript:
    """The transcript in these lines; raises `TranscriptFault` naming the line."""
    header = _header(lines, name)
    taps: list[TranscribedTap] = []
    for number, line in enumerate(lines[1:], 2):
        try:
            _take_line(taps, line, masked=header.masked)
        except (ValueError, RecursionError) as error:  # msgspec's are ValueErrors
            raise TranscriptFault(
                f"{name}, line {number}: {error}", "Remove the damaged tap, or record again."
            ) from error
    return Transcript(header.masked, tuple(taps))


def _header(lines: list[str], name: str) -> HeaderLine:
    try:
        header = msgspec.json.decode(lines[0] if lines else "", type=HeaderLine)
    except (ValueError, RecursionError) as error:
        raise TranscriptFault(f"{name} is no transcript: {error}", RECORD_AGAIN) from error
    if header.version != VERSION:
        raise TranscriptFault(
            f"{name} has version {header.version}, this software reads {VERSION}",
            "Use the software that wrote it.",
        )
    if not header.masked and header.environment != LABORATORY:
        raise TranscriptFault(
            f"{name} is not masked and not marked as laboratory",
            "Only laboratory cards are recorded in clear.",
        )
    return header


def _take_line(taps: list[TranscribedTap], line: str, *, masked: bool) -> None:
    if line.startswith('{"tap"'):
        tap = msgspec.json.decode(line, type=TranscriptTap)
        taps.append(TranscribedTap(tap.tap, tap.at, ()))
        return
    message = msgspec.json.decode(line, type=TranscriptMessage)
    if not taps:
        raise ValueError("a message before the first tap")
    if not masked and MASK in (message.bytes or ""):
        raise ValueError("masked bytes in a file that says it is not masked")
    tap_so_far = taps[-1]
    exchanges = _with_message(tap_so_far.exchanges, message)
    taps[-1] = TranscribedTap(tap_so_far.number, tap_so_far.at, exchanges)


def _with_message(before: tuple[Exchange, ...], message: TranscriptMessage) -> tuple[Exchange, ...]:
    open_one = before[-1] if before and before[-1].answer is None and before[-1].lost is None else None
    if message.to == "card":
        if message.bytes is None or open_one is not None:
            raise ValueError("a command where an answer belongs")
        return (*before, Exchange(message.bytes, None, None, message.ms, message.ms))
    if open_one is None or (message.bytes is None) == (message.lost is None):
        raise ValueError("an answer where a command belongs, or neither bytes nor a reason")
    if message.lost is not None:
        transmission_error(message.lost)
    answered = Exchange(open_one.command, message.bytes, message.lost, open_one.sent_ms, message.ms)
    return (*before[:-1], answered)


def transmission_error(name: str) -> Callable[[str], errors.TransmissionError]:
    """The error class of this name; raises `ValueError` for one that is no `TransmissionError`."""
    kind = getattr(errors, name, None)
    if not (isinstance(kind, type) and issubclass(kind, errors.TransmissionError)):
        raise ValueError(f"{name!r} is no way to lose an answer")
    return kind


def lines_of(transcript: Transcript) -> Iterator[str]:
    """The file again, line by line."""
    yield encode(HeaderLine(FORMAT, VERSION, transcript.masked, None if transcript.masked else LABORATORY))
    for tap in transcript.taps:
        yield encode(TranscriptTap(tap.number, tap.at))
        for exchange in tap.exchanges:
            yield encode(TranscriptMessage(exchange.sent_ms, "card", exchange.command))
            if exchange.answer is not None or exchange.lost is not None:
                yield encode(
                    TranscriptMessage(exchange.answered_ms, "terminal", exchange.answer, exchange.lost)
                )


def encode(line: HeaderLine | TranscriptTap | TranscriptMessage) -> str:
    """One line of the file."""
    return msgspec.json.encode(line).decode()
