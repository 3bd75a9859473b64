"""What goes wrong between reader and card, planned by exchange number.

Exchanges are counted from 1 since the card was presented; pseudo APDUs (CLA FF) never reach the card and are
not counted. Plans combine with `|`: `tear_after(7) | delay(3, 0.2)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

SILENCE_S: Final = 1.0
MORE_FRAMES: Final = b"\x91\xaf"


@dataclass(frozen=True, slots=True)
class TearBefore:
    """The card leaves before it gets command `at`."""

    at: int


@dataclass(frozen=True, slots=True)
class TearAfter:
    """The card executes command `at` and leaves before its answer arrives."""

    at: int


@dataclass(frozen=True, slots=True)
class Silence:
    """No answer to command `at` although the card stays; `executed` says whether it did the command."""

    at: int
    lasts_s: float = SILENCE_S
    executed: bool = False


@dataclass(frozen=True, slots=True)
class Delay:
    """Answer `at` comes `seconds` late (waiting time extensions, a relay)."""

    at: int
    seconds: float


@dataclass(frozen=True, slots=True)
class CorruptBit:
    """Bit `bit` of answer `at` is flipped, 0 being the top bit of the first byte; it counts round."""

    at: int
    bit: int


@dataclass(frozen=True, slots=True)
class ReplaceAnswer:
    """Command `at` is executed, but the terminal gets `answer`."""

    at: int
    answer: bytes


@dataclass(frozen=True, slots=True)
class EndlessFrames:
    """From exchange `at` on every answer is `frame` ("more frames"); no command reaches the card."""

    at: int
    frame: bytes = MORE_FRAMES


Fault: TypeAlias = TearBefore | TearAfter | Silence | Delay | CorruptBit | ReplaceAnswer | EndlessFrames


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Faults of one presentation; no faults is an undisturbed tap."""

    faults: tuple[Fault, ...] = ()

    def __or__(self, other: FaultPlan) -> FaultPlan:
        return FaultPlan(self.faults + other.faults)

    def at(self, exchange: int) -> tuple[Fault, ...]:
        """The faults that concern this exchange."""
        return tuple(
            fault
            for fault in self.faults
            if fault.at == exchange or (isinstance(fault, EndlessFrames) and fault.at <= exchange)
        )


NO_FAULTS: Final = FaultPlan()


def tear_before(exchange: int) -> FaultPlan:
    """The card is pulled before it gets this command."""
    return FaultPlan((TearBefore(exchange),))


def tear_after(exchange: int) -> FaultPlan:
    """The card is pulled after executing this command; its answer is lost."""
    return FaultPlan((TearAfter(exchange),))


def silence(exchange: int, lasts_s: float = SILENCE_S, *, executed: bool = False) -> FaultPlan:
    """`ExchangeTimeout` instead of an answer."""
    return FaultPlan((Silence(exchange, lasts_s, executed),))


def delay(exchange: int, seconds: float) -> FaultPlan:
    """A late answer."""
    return FaultPlan((Delay(exchange, seconds),))


def corrupt(exchange: int, bit: int) -> FaultPlan:
    """One flipped bit in this answer."""
    return FaultPlan((CorruptBit(exchange, bit),))


def replace(exchange: int, answer: bytes) -> FaultPlan:
    """Another answer than the card's."""
    return FaultPlan((ReplaceAnswer(exchange, answer),))


def endless_frames(exchange: int, frame: bytes = MORE_FRAMES) -> FaultPlan:
    """Nothing but "more frames" from here on."""
    return FaultPlan((EndlessFrames(exchange, frame),))


def flip(answer: bytes, bit: int) -> bytes:
    """`answer` with one bit flipped; an empty answer has none."""
    if not answer:
        return answer
    index, place = divmod(bit % (8 * len(answer)), 8)
    return answer[:index] + bytes((answer[index] ^ 0x80 >> place,)) + answer[index + 1 :]
