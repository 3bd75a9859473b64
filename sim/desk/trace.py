"""What a terminal and a card said during one tap, exchange by exchange, read with the laboratory's keys.

A `Listener` between the two writes everything down as it happened; `traced` then gives it to read: bytes with what
must not be seen masked (D-05), the command each exchange belongs to, and where its time went.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cardproto.connection import CardConnection
from cardproto.errors import TransmissionError
from sim.air import AirModel, compute_ms
from sim.card.virtual import CLA_READER
from sim.field import Clock
from sim.transcript import MASK, Exchange, RecordedTap
from sim.transcript_mask import Masker
from sim.transcript_view import Keyring, Step, read_tap

MS_DIGITS: Final = 3
READER: Final = f"{CLA_READER:02X}"


class Listener:
    """A connection that does what `connection` does, and remembers. Raises what the connection raises."""

    def __init__(self, connection: CardConnection, clock: Clock) -> None:
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

    def recorded(self, number: int) -> RecordedTap:
        """Everything so far as tap `number`, nothing masked."""
        return RecordedTap(number, self._at, tuple(self._exchanges))

    def _ms(self) -> float:
        return round((self._clock.monotonic() - self._began_s) * 1000, MS_DIGITS)


@dataclass(frozen=True, slots=True)
class Traced:
    """One exchange to look at. `number` counts those with the card, 0 is answered by the reader itself.

    `up_ms`, `card_ms` and `down_ms` are the air model's; what it took beyond them (a late card, a silent one) is
    `waited_ms`. Details of a command of several frames stand at its first.
    """

    number: int
    name: str
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


def traced(tap: RecordedTap, keyring: Keyring, air: AirModel, secrets: tuple[bytes, ...]) -> list[Traced]:
    """Every exchange of `tap`; `secrets` (UID, pseudonym) are masked in whatever was deciphered."""
    steps = {step.first_exchange: step for step in read_tap(tap, keyring)}
    masked = masked_tap(tap)
    rows: list[Traced] = []
    step, number = Step(0, 0, 0.0, 0.0, "", ""), 0
    for at, (clear, shown) in enumerate(zip(tap.exchanges, masked.exchanges, strict=True), 1):
        first = at in steps
        step = steps.get(at, step)
        on_air = not clear.command.startswith(READER)
        number += on_air
        rows.append(_row(number if on_air else 0, step, clear, shown, air, secrets, first=first))
    return rows


def masked_tap(tap: RecordedTap) -> RecordedTap:
    """The tap as a masked transcript holds it."""
    masker, exchanges = Masker(), []
    for e in tap.exchanges:
        command = masker.command(bytes.fromhex(e.command))
        answer = None if e.answer is None else masker.answer(bytes.fromhex(e.answer))
        exchanges.append(Exchange(command, answer, e.lost, e.sent_ms, e.answered_ms))
    return RecordedTap(tap.number, tap.at, tuple(exchanges))


def _row(
    number: int,
    step: Step,
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
        name=step.name if first else f"{step.name}, further frame",
        status=step.status if clear.answer is not None or first else f"no answer: {clear.lost}",
        mode=step.mode,
        verified=step.verified,
        session=step.session if first else "",
        content=tuple(_hidden(line, secrets) for line in step.content) if first else (),
        command=shown.command,
        answer=shown.answer,
        lost=clear.lost,
        sent_ms=clear.sent_ms,
        took_ms=round(clear.answered_ms - clear.sent_ms, MS_DIGITS),
        up_ms=round(air.transfer_ms(len(command)), MS_DIGITS) if heard else 0.0,
        card_ms=round(compute_ms(command), MS_DIGITS) if heard else 0.0,
        down_ms=round(air.transfer_ms(len(answer)), MS_DIGITS) if heard else 0.0,
    )


def _hidden(line: str, secrets: tuple[bytes, ...]) -> str:
    for secret in secrets:
        text = secret.hex().upper()
        line = line.replace(text, MASK * len(secret)).replace(text.lower(), MASK * len(secret))
        line = line.replace(repr(secret), MASK * len(secret))
    return line
