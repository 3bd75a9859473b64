"""What a terminal and a card said during one tap, exchange by exchange, read with the laboratory's keys.

A `TracingConnection` between the two records every exchange; `traced` then presents it: bytes with secret content
masked (D-05), the command each exchange belongs to, and where its time went.

`waterfall` draws the air time of a tap: one bar for each exchange, from the command's first bit to the answer's last.

Shapes carry class names and colours of their own, so that the picture stands alone and a page's style may still
repaint it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from cardproto.connection import CardConnection
from cardproto.errors import TransmissionError
from sim.air import AirModel, compute_ms
from sim.card.virtual import CLA_READER
from sim.field import FieldClock
from sim.transcript import MASK, Exchange, TranscribedTap
from sim.transcript_mask import Masker
from sim.transcript_view import DecodedCommand, Keyring, read_tap

MS_DIGITS: Final = 3
ISO_CLASSES: Final = ("00", "80")
READER: Final = f"{CLA_READER:02X}"
FURTHER_FRAME: Final = "further frame"


class TracingConnection:
    """A connection that does what `connection` does, and remembers. Raises what the connection raises."""

    def __init__(self, connection: CardConnection, clock: FieldClock) -> None:
        self._connection = connection
        self._clock = clock
        self._began_s = clock.monotonic()
        self._at = clock.now()
        self._exchanges: list[Exchange] = []

    def transmit(self, command: bytes) -> bytes:
        """The card's answer."""
        sent_ms, answer, lost = self._ms(), None, None
        try:
            answer = self._connection.transmit(command)
        except TransmissionError as error:
            lost = type(error).__name__
            raise
        finally:
            shown = None if answer is None else answer.hex().upper()
            self._exchanges.append(Exchange(command.hex().upper(), shown, lost, sent_ms, self._ms()))
        return answer

    def recorded(self, number: int) -> TranscribedTap:
        """Everything so far as tap `number`, nothing masked."""
        return TranscribedTap(number, self._at, tuple(self._exchanges))

    def _ms(self) -> float:
        return round((self._clock.monotonic() - self._began_s) * 1000, MS_DIGITS)


@dataclass(frozen=True, slots=True)
class Traced:
    """One exchange to look at. `number` counts those with the card, 0 is answered by the reader itself. `part` says
    which part of the command `name` it is, empty for a whole one.

    `up_ms`, `card_ms` and `down_ms` are the air model's; what it took beyond them (a late card, a silent one) is
    `waited_ms`. Details of a command of several frames stand at its first.
    """

    number: int
    name: str
    part: str
    status: str
    mode: str
    verified: bool
    session: str
    content: tuple[str, ...]
    command: str
    answer: str | None
    lost: str | None
    sent_ms: float
    took_ms: float
    up_ms: float
    card_ms: float
    down_ms: float

    @property
    def waited_ms(self) -> float:
        return max(0.0, self.took_ms - self.up_ms - self.card_ms - self.down_ms)


def traced(tap: TranscribedTap, keyring: Keyring, air: AirModel, secrets: tuple[bytes, ...]) -> list[Traced]:
    """Every exchange of `tap`; `secrets` (UID, pseudonym) are masked in whatever was deciphered."""
    steps = {step.first_exchange: step for step in read_tap(tap, keyring)}
    masked = masked_tap(tap)
    rows: list[Traced] = []
    step, number = DecodedCommand(0, 0, 0.0, 0.0, "", ""), 0
    for at, (clear, shown) in enumerate(zip(tap.exchanges, masked.exchanges, strict=True), 1):
        first = at in steps
        step = steps.get(at, step)
        on_air = not clear.command.startswith(READER)
        number += on_air
        rows.append(_row(number if on_air else 0, step, clear, shown, air, secrets, first=first))
    return rows


def masked_tap(tap: TranscribedTap) -> TranscribedTap:
    """The tap as a masked transcript holds it."""
    masker, exchanges = Masker(), []
    for e in tap.exchanges:
        command = masker.command(bytes.fromhex(e.command))
        answer = None if e.answer is None else masker.answer(bytes.fromhex(e.answer))
        exchanges.append(Exchange(command, answer, e.lost, e.sent_ms, e.answered_ms))
    return TranscribedTap(tap.number, tap.at, tuple(exchanges))


def _row(
    number: int,
    step: DecodedCommand,
    clear: Exchange,
    shown: Exchange,
    air: AirModel,
    secrets: tuple[bytes, ...],
    *,
    first: bool,
) -> Traced:
    command, answer = clear.filled
    on_air = number > 0
    heard = on_air and clear.answer is not None
    return Traced(
        number=number,
        name=step.name,
        part=step.part if first else FURTHER_FRAME,
        status=step.status if clear.answer is not None or first else f"no answer: {clear.lost}",
        mode=step.mode,
        verified=step.verified,
        session=step.session if first else "",
        content=_content(step, clear, shown, secrets) if first else (),
        command=shown.command,
        answer=shown.answer,
        lost=clear.lost,
        sent_ms=clear.sent_ms,
        took_ms=round(clear.answered_ms - clear.sent_ms, MS_DIGITS),
        up_ms=round(air.transfer_ms(len(command)), MS_DIGITS) if heard else 0.0,
        card_ms=round(compute_ms(command), MS_DIGITS) if heard else 0.0,
        down_ms=round(air.transfer_ms(len(answer)), MS_DIGITS) if heard else 0.0,
    )


def _content(
    step: DecodedCommand, clear: Exchange, shown: Exchange, secrets: tuple[bytes, ...]
) -> tuple[str, ...]:
    """What was read of the command; nothing of what an ISO answer masks, which is shown masked beside it."""
    if clear.command.startswith(ISO_CLASSES) and shown.masked:
        return ()
    return tuple(_hidden(line, secrets) for line in step.content)


def _hidden(line: str, secrets: tuple[bytes, ...]) -> str:
    for secret in secrets:
        text = secret.hex().upper()
        line = line.replace(text, MASK * len(secret)).replace(text.lower(), MASK * len(secret))
        line = line.replace(repr(secret), MASK * len(secret))
    return line


WIDTH: Final = 720
NAMES: Final = 240
RIGHT: Final = 58
ROW: Final = 22
TOP: Final = 26
MOST_ROWS: Final = 80
TICKS: Final = 5
NICE_MS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 60_000)
PARTS: Final = (("up", "#3b82f6"), ("compute", "#f59e0b"), ("down", "#10b981"), ("waited", "#a1a1aa"))
INK: Final = "#52525b"
MONO: Final = "ui-monospace, monospace"
LONGEST: Final = 38
MS: Final = "ms"
MORE: Final = "and {count} more exchanges"


def waterfall(rows: Sequence[Traced], title: str, say: Callable[[str], str] = str) -> str:
    """An SVG document; `say` puts `MS`, `MORE` and the parts of commands into the reader's language, names of the
    protocol stand marked as code. More than `MOST_ROWS` exchanges are cut off and counted in the last line.
    """
    on_air = [row for row in rows if row.number]
    shown = on_air[:MOST_ROWS]
    left_out = len(on_air) - len(shown)
    end_ms = max((row.sent_ms + row.took_ms for row in shown), default=1.0) or 1.0
    height = TOP + ROW * (len(shown) + bool(left_out)) + 8
    scale = (WIDTH - NAMES - RIGHT) / end_ms
    body = "".join((*_axis(end_ms, scale, height, say(MS)), *_bars(shown, scale, say)))
    if left_out:
        body += _text(0, height - 14, say(MORE).format(count=left_out), "more")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" class="waterfall" '
        f'font-family="system-ui, sans-serif" font-size="12"><title>{escape(title)}</title>{body}</svg>'
    )


def _axis(end_ms: float, scale: float, height: int, ms: str) -> Iterator[str]:
    step = next((nice for nice in NICE_MS if end_ms / nice <= TICKS), NICE_MS[-1])
    for number in range(int(end_ms // step) + 1):
        x = NAMES + number * step * scale
        yield (
            f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height - 4}" '
            f'stroke="{INK}" stroke-opacity=".22"/>'
        )
        yield _text(x, 12, f"{number * step} {ms}", "axis", "middle" if number else "start")


def _bars(rows: Sequence[Traced], scale: float, say: Callable[[str], str]) -> Iterator[str]:
    for index, row in enumerate(rows):
        y = TOP + index * ROW
        part = f", {say(row.part)}" if row.part else ""
        yield _text(0, y + 13, f"{row.number}  ", "name", code=row.name, after=part)
        x = NAMES + row.sent_ms * scale
        for (part, colour), length in zip(PARTS, _lengths(row), strict=True):
            width = length * scale
            if width > 0:
                yield (
                    f'<rect class="{part}" x="{x:.2f}" y="{y + 3}" width="{max(width, 0.6):.2f}" '
                    f'height="{ROW - 9}" rx="1.5" fill="{colour}"/>'
                )
            x += width
        if row.lost is not None:
            yield f'<path class="lost" d="M{x + 3:.1f} {y + 4}l9 11m0-11l-9 11" stroke="#e11d48" stroke-width="2.2"/>'
            x += 14
        took = f"{row.took_ms:.1f}" if row.lost is None else ""
        yield _text(x + 5, y + 13, took, "took", code=row.lost or "")


def _lengths(row: Traced) -> tuple[float, float, float, float]:
    return row.up_ms, row.card_ms, row.down_ms, row.waited_ms


def _text(
    x: float, y: float, words: str, kind: str, anchor: str = "start", *, code: str = "", after: str = ""
) -> str:
    """One line, at most `LONGEST` characters of each part; `code` is in the protocol's language whatever the page's."""
    named = (
        f'<tspan class="code" lang="en" font-family="{MONO}" font-size="11">{_short(code)}</tspan>'
        if code
        else ""
    )
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" fill="{INK}" text-anchor="{anchor}">'
        f"{_short(words)}{named}{_short(after)}</text>"
    )


def _short(words: str) -> str:
    return escape(words if len(words) <= LONGEST else words[: LONGEST - 1] + "…")
