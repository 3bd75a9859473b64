"""A simulated card beside the real one, led through the same bytes: what it would have answered.

Whatever the real card draws at random, its twin is given: the laboratory knows every key, so it reads the card's
random number and transaction identifier out of the two answers of an authentication.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from cardproto.connection import CardConnection
from cardproto.desfire.commands import INS_GET_VALUE, INS_READ_DATA, INS_READ_RECORDS
from cardproto.desfire.crypto import ZERO_IV, AesKey
from cardproto.desfire.key_types import KeyType
from cardproto.desfire.legacy_crypto import DesKey
from sim.card.memory import PICC_AID, Memory
from sim.card.virtual import VirtualCard

INS_EV2_FIRST: Final = 0x71
INS_BEGIN: Final = (INS_EV2_FIRST, 0x77, 0xAA, 0x1A)
INS_SELECT: Final = 0x5A
INS_MORE: Final = 0xAF
AUTHENTICATION_BYTES: Final = (8, 16)
OWN_DATA: Final = (0x60, 0x6E)
"""GetVersion and FreeMemory say what no other chip says."""
MOST_DIFFERENCES: Final = 20
MORE: Final = b"\x91\xaf"
DONE: Final = (b"\x91\x00", MORE, b"\x90\x00")
READS: Final = (INS_GET_VALUE, INS_READ_DATA, INS_READ_RECORDS)
"""Where other data is answered the card holds other data."""


class TwinDifference(Struct, frozen=True):
    """An exchange that went otherwise: the command, and both answers' status words."""

    exchange: int
    ins: str
    card: str
    twin: str


class LedTwin:
    """The simulated card and the comparison. `lead` is the connection it is led by.

    After a difference the rest of the conversation is not compared. What the card refused and its twin did is taken
    back, so that the next conversation is compared again; where the card did more than its twin, or showed other
    data, nothing is compared any more, and the report says how much was not.
    """

    def __init__(self, uid: bytes, generation: str, key_type: KeyType) -> None:
        self._drawn: list[bytes] = []
        self.card = VirtualCard(uid, self._draw, generation=generation, key_type=key_type)
        self.compared = 0
        self.different = 0
        self.not_compared = 0
        self.differences: list[TwinDifference] = []
        self._apart = False
        """The card did what its twin could not do, or read back something else: there is no telling any more."""
        self._silent = False

    def lead(self, connection: CardConnection) -> CardConnection:
        """A connection to the real card whose every exchange the twin hears, powered up anew."""
        self.card.power_on()
        self._drawn.clear()
        self._silent = self._apart
        return _Led(self, connection)

    @property
    def in_line(self) -> bool:
        """Whether its state is the card's."""
        return not self._apart

    @property
    def counts(self) -> dict[str, int | str]:
        """Exchanges, for the report."""
        return {
            "compared": self.compared,
            "different": self.different,
            "not_compared": self.not_compared,
        }

    def give(self, drawn: bytes) -> None:
        self._drawn.append(drawn)

    def compare(self, command: bytes, answer: bytes, ins: int) -> None:
        """Let the twin answer, too, and note where it differs."""
        before = self.card.memory
        own = self.card.transmit(command)
        alike = own == answer or (ins in OWN_DATA and own[-2:] == answer[-2:])
        if self._silent:
            self.not_compared += 1
        else:
            self.compared += 1
            if not alike:
                self._note(own, answer, ins)
        if not alike:
            self._silent = True
            self._fall_in_line(before, own, answer, ins)

    def _fall_in_line(self, before: Memory, own: bytes, answer: bytes, ins: int) -> None:
        done, twin_done = answer[-2:] in DONE, own[-2:] in DONE
        if twin_done and not done:
            self.card.take_back(before)
        elif done:
            self._apart |= not twin_done or ins in READS

    def _note(self, own: bytes, answer: bytes, ins: int) -> None:
        self.different += 1
        if len(self.differences) < MOST_DIFFERENCES:
            status, other = answer[-2:].hex().upper(), own[-2:].hex().upper()
            self.differences.append(TwinDifference(self.compared, f"{ins:02X}", status, other))

    def _draw(self, count: int) -> bytes:
        if self._drawn and len(self._drawn[0]) == count:
            return self._drawn.pop(0)
        return bytes(count)


class _Led:
    """One conversation."""

    def __init__(self, twin: LedTwin, connection: CardConnection) -> None:
        self._twin = twin
        self._connection = connection
        self._selected = PICC_AID
        self._ins = 0
        self._key: AesKey | DesKey | None = None

    def transmit(self, command: bytes) -> bytes:
        answer = self._connection.transmit(command)
        if command[:1] != b"\xff" and len(command) > 1:
            self._follow(command, answer)
            self._twin.compare(command, answer, self._ins)
        return answer

    def _follow(self, command: bytes, answer: bytes) -> None:
        ins = command[1]
        if ins == INS_SELECT and answer[-2:] == b"\x91\x00":
            self._selected = command[5:8][::-1]
        if ins in INS_BEGIN and answer[-2:] == MORE:
            self._key = self._key_of(command[5])
            if self._key is not None and len(answer) - 2 in AUTHENTICATION_BYTES:
                self._twin.give(self._key.decrypt(_zeros(self._key), answer[:-2]))
        elif ins == INS_MORE and self._ins == INS_EV2_FIRST and len(answer) == 34 and self._key is not None:
            self._twin.give(self._key.decrypt(ZERO_IV, answer[:-2])[:4])
        if ins != INS_MORE:
            self._ins = ins

    def _key_of(self, number: int) -> AesKey | DesKey | None:
        applications = self._twin.card.memory.applications
        found = applications.get(self._selected) or applications.get(self._selected[::-1])
        if found is None or number >= len(found.keys):
            return None
        slot = found.keys[number]
        return AesKey(slot.key) if slot.type is KeyType.AES else DesKey(slot.key)


def _zeros(key: AesKey | DesKey) -> bytes:
    return bytes(16) if isinstance(key, AesKey) else bytes(8)
