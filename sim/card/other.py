"""Cards that are not ours: some in order, some broken or hostile. Each must end in a clear outcome, with the
terminal ready for the next card."""

from __future__ import annotations

import copy
import random
from typing import Final, Self

from cardproto.apdu import SW, CommandApdu
from cardproto.errors import ExchangeTimeout, ProtocolError
from sim.card.files import AccessMasks, DataFile, FileHeader
from sim.card.image import Json
from sim.card.memory import Application, KeySlot, blank_memory
from sim.card.state import RandomSource
from sim.card.virtual import ATR, CLA_READER, GET_UID, VirtualCard

FOREIGN_AID: Final = bytes.fromhex("10A0F5")
"""Another system's application, as it travels (least significant byte first)."""
PAYMENT_DF_NAME: Final = bytes.fromhex("F04F5448455201")


class ForeignDesfire(VirtualCard):
    """A DESFire of another system: genuine in every answer, without the resident application."""

    def __init__(self, uid: bytes, rng: RandomSource) -> None:
        file = DataFile(
            FileHeader(1, 0, AccessMasks.of(0xE000), 0), backup=False, content=b"another system".ljust(32)
        )
        application = Application(FOREIGN_AID, 0x0F, (KeySlot(rng(16), 1),), {1: file})
        super().__init__(uid, rng, memory=blank_memory().with_application(application))


class NotDesfire:
    """A processor card with one ISO application: knows SELECT, refuses classes and files it has not."""

    def __init__(self, uid: bytes) -> None:
        self.uid: Final = uid
        self.atr: Final = ATR
        self._selected = False

    def power_on(self) -> None:
        self._selected = False

    def power_off(self) -> None:
        self._selected = False

    def reset(self) -> None:
        self._selected = False

    def image(self) -> dict[str, Json]:
        """It keeps nothing a terminal could change."""
        return {"uid": self.uid.hex().upper(), "df_name": PAYMENT_DF_NAME.hex().upper()}

    def clone(self) -> NotDesfire:
        return NotDesfire(self.uid)

    def transmit(self, command: bytes) -> bytes:
        """Answer any bytes whatsoever; never raises."""
        if command[:4] == GET_UID:
            return self.uid + SW.OK.to_bytes(2, "big")
        return self._answer(command).to_bytes(2, "big")

    def _answer(self, command: bytes) -> SW:
        try:
            apdu = CommandApdu.parse(command)
        except ProtocolError:
            return SW.WRONG_LENGTH
        if apdu.cla == CLA_READER:
            return SW.FUNCTION_NOT_SUPPORTED
        if apdu.cla & 0xF0:
            return SW.CLA_NOT_SUPPORTED
        if apdu.ins != 0xA4:
            return SW.INS_NOT_SUPPORTED
        self._selected = apdu.data == PAYMENT_DF_NAME
        return SW.OK if self._selected else SW.FILE_NOT_FOUND


HOSTILE_UID: Final = bytes.fromhex("04BADC0FFEE080")
LONGEST_ANSWER: Final = 300


class HostileCard:
    """Anticollision works, so a reader reports it like any card; every APDU gets `answer`."""

    def __init__(self, uid: bytes = HOSTILE_UID) -> None:
        self.uid: Final = uid
        self.atr: Final = ATR

    def power_on(self) -> None:
        """Nothing to forget."""

    def power_off(self) -> None:
        """Nothing to forget."""

    def reset(self) -> None:
        """Nothing to forget."""

    def image(self) -> dict[str, Json]:
        return {"uid": self.uid.hex().upper(), "kind": type(self).__name__}

    def clone(self) -> Self:
        return copy.deepcopy(self)

    def transmit(self, command: bytes) -> bytes:
        """The UID is the reader's knowledge; everything else is the card's malice."""
        if command[:1] == bytes((CLA_READER,)):
            known = command[:4] == GET_UID
            return (
                self.uid + SW.OK.to_bytes(2, "big") if known else SW.FUNCTION_NOT_SUPPORTED.to_bytes(2, "big")
            )
        return self.answer(command)

    def answer(self, command: bytes) -> bytes:
        """What this card says to `command`."""
        raise NotImplementedError


class SilentCard(HostileCard):
    """Never answers."""

    def answer(self, command: bytes) -> bytes:
        raise ExchangeTimeout(f"the card is silent after {len(command)} command bytes")


class EndlessChainCard(HostileCard):
    """Always has one frame more."""

    def __init__(self, uid: bytes = HOSTILE_UID, frame: bytes = bytes(16)) -> None:
        super().__init__(uid)
        self._frame = frame

    def answer(self, command: bytes) -> bytes:
        return self._frame + b"\x91\xaf" if command else b"\x91\xaf"


class WrongLengthCard(HostileCard):
    """Says success with data of another length than asked for; `lengths` (status word included) repeat."""

    def __init__(self, uid: bytes = HOSTILE_UID, lengths: tuple[int, ...] = (2, 18, 3, 0, 1, 258)) -> None:
        super().__init__(uid)
        self._lengths = lengths
        self._next = 0

    def answer(self, command: bytes) -> bytes:
        length = self._lengths[self._next % len(self._lengths)]
        self._next += 1
        status = b"\x91\xaf" if command[1:2] in (b"\x71", b"\x77") else b"\x91\x00"
        return bytes(max(0, length - 2)) + status[: min(2, length)]


class RandomBytesCard(HostileCard):
    """Any bytes of any length, the same for the same seed; half of them end in a plausible status word."""

    def __init__(self, seed: int, uid: bytes = HOSTILE_UID) -> None:
        super().__init__(uid)
        self._random = random.Random(seed)  # noqa: S311 reproducible noise, nothing secret

    def answer(self, command: bytes) -> bytes:
        noise = self._random.randbytes(self._random.randrange(LONGEST_ANSWER))
        endings = (b"", b"\x91\x00", b"\x91\xaf", b"", b"\x90\x00", b"\x91" + noise[:1], b"", b"")
        return noise + self._random.choice(endings) + command[:0]
