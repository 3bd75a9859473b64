"""One card in the field: its exchanges, what they cost, and the faults that strike them."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Final, Protocol

from cardproto.errors import CardGone, ExchangeTimeout
from sim.air import AirModel, VirtualClock
from sim.card.port import SimCard
from sim.card.virtual import CLA_READER
from sim.faults import (
    SILENCE_S,
    CorruptBit,
    Delay,
    EndlessFrames,
    Fault,
    FaultPlan,
    ReplaceAnswer,
    Silence,
    TearAfter,
    TearBefore,
    flip,
)


class FieldClock(Protocol):
    """The terminal's clock or a virtual one."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...


class Field:
    """Time and air between reader and card."""

    def __init__(self, clock: FieldClock, air: AirModel | None) -> None:
        self.clock: Final = clock
        self.air: Final = air

    def wait(self, seconds: float) -> None:
        """A virtual clock moves at once; with a real one the thread waits."""
        if isinstance(self.clock, VirtualClock):
            self.clock.advance(seconds)
        else:
            time.sleep(seconds)

    def spend(self, milliseconds: float) -> None:
        """Air time moves a virtual clock only: under a real one the exchange takes its real time."""
        if isinstance(self.clock, VirtualClock):
            self.clock.advance(milliseconds / 1000)


class Presentation:
    """One card laid on the reader once. `gone` when it has left, by whatever means; `lay_there` when the reader found
    it at its first look.

    `exchanges`, `apdu_bytes` (both directions) and `air_ms` count since the card was laid down; pseudo APDUs
    (CLA FF) are answered in the reader and not counted.
    """

    def __init__(self, card: SimCard, field: Field, faults: FaultPlan, hold_s: float | None) -> None:
        self.card: Final = card
        self.leaves_at_s: Final = None if hold_s is None else field.clock.monotonic() + hold_s
        self._field = field
        self._faults = faults
        self.gone = False
        self.handed_out = False
        self.lay_there = False
        self.exchanges = 0
        self.apdu_bytes = 0
        self.air_ms = 0.0
        card.power_on()

    def activate(self) -> None:
        """Spend what finding and waking the card takes."""
        if self._field.air is not None:
            self._spend(self._field.air.activation_ms())

    def pull(self) -> None:
        """Take the card out of the field."""
        if not self.gone:
            self.gone = True
            self.card.power_off()

    def leave_when_due(self, later_ms: float = 0.0) -> bool:
        """Pull the card if its holder takes it away within `later_ms` from now; whether it is gone."""
        due = self.leaves_at_s
        if due is not None and self._field.clock.monotonic() + later_ms / 1000 >= due:
            self.pull()
        return self.gone

    def exchange(self, command: bytes) -> bytes:
        """One exchange. Raises `CardGone` or `ExchangeTimeout`; the card may have executed the command."""
        if self.leave_when_due():
            raise CardGone("the card has left the field")
        if command[:1] == bytes((CLA_READER,)):
            return self.card.transmit(command)
        self.exchanges += 1
        faults = self._faults.at(self.exchanges)
        answer = self._instead_of_card(faults, command)
        if answer is None:
            answer = self._ask_card(command)
            for fault in faults:
                answer = self._disturbed(fault, answer)
        self._arrive(command, answer)
        return answer

    def _instead_of_card(self, faults: tuple[Fault, ...], command: bytes) -> bytes | None:
        """What happens before the card gets the command; None when it does get it."""
        air = self._field.air
        for fault in faults:
            if isinstance(fault, TearBefore):
                raise self._torn(f"pulled before exchange {fault.at}")
            if isinstance(fault, EndlessFrames):
                if air is not None:
                    self._spend(air.command_ms(command))
                return fault.frame
            if isinstance(fault, Silence) and not fault.executed:
                raise self._silent(fault.lasts_s)
        if air is not None and self.leave_when_due(air.transfer_ms(len(command))):
            raise self._torn("taken away before the command arrived")
        return None

    def _ask_card(self, command: bytes) -> bytes:
        if self._field.air is not None:
            self._spend(self._field.air.command_ms(command))
        try:
            return self.card.transmit(command)
        except ExchangeTimeout:
            self._field.wait(SILENCE_S)
            raise

    def _disturbed(self, fault: Fault, answer: bytes) -> bytes:
        match fault:
            case TearAfter(at=at):
                raise self._torn(f"pulled after exchange {at}")
            case Silence(lasts_s=lasts_s):
                raise self._silent(lasts_s)
            case Delay(seconds=seconds):
                self._field.wait(seconds)
                return answer
            case CorruptBit(bit=bit):
                return flip(answer, bit)
            case ReplaceAnswer(answer=replacement):
                return replacement
            case _:
                return answer

    def _arrive(self, command: bytes, answer: bytes) -> None:
        if self._field.air is not None:
            self._spend(self._field.air.transfer_ms(len(answer)))
            if self.leave_when_due():
                raise CardGone("taken away before the answer arrived")
        self.apdu_bytes += len(command) + len(answer)

    def _spend(self, milliseconds: float) -> None:
        self.air_ms += milliseconds
        self._field.spend(milliseconds)

    def _torn(self, why: str) -> CardGone:
        self.pull()
        return CardGone(why)

    def _silent(self, lasts_s: float) -> ExchangeTimeout:
        self._field.wait(lasts_s)
        return ExchangeTimeout(f"no answer within {lasts_s} s")
