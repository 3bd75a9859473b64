"""Cards that are in order but not ours."""

from __future__ import annotations

from typing import Final

from cardproto.apdu import SW, CommandApdu
from cardproto.errors import ProtocolError
from sim.card.files import DataFile, Head, Rights
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
        file = DataFile(Head(1, 0, Rights.of(0xE000), 0), backup=False, content=b"another system".ljust(32))
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
