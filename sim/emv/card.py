"""Cards and phones with a bank application: on a chip of its own, or beside the resident application."""

from __future__ import annotations

from typing import Final

from cardproto.apdu import SW
from sim.card.image import Json
from sim.card.memory import Memory
from sim.card.state import RandomSource
from sim.card.virtual import CLA_ISO, CLA_READER, CLA_WRAPPED, GET_UID, UID_BYTES, VirtualCard
from sim.emv.chip import CLA_BANK, BankChip
from sim.emv.memory import ChipMemory, chip_image

ATR_CONTACTLESS: Final = bytes.fromhex("3B80800101")
"""ISO 14443-4 without historical bytes, as PC/SC part 3 spells it."""
ATR_CONTACTS: Final = bytes.fromhex("3B600000")
"""The basic answer of EMV Book 1 for T=0."""
RANDOM_UID_HEAD: Final = 0x08
_SELECT_BY_NAME: Final = bytes.fromhex("00A404")
_NOT_SUPPORTED: Final = SW.CLA_NOT_SUPPORTED.to_bytes(2, "big")


class VirtualBankCard:
    """A bank's card, or a phone in its place. Not thread-safe."""

    def __init__(self, uid: bytes, rng: RandomSource, memory: ChipMemory) -> None:
        if len(uid) != UID_BYTES:
            raise ValueError(f"a UID is {UID_BYTES} bytes, not {len(uid)}")
        self.uid: Final = uid
        self._rng: Final = rng
        self._chip: Final = BankChip(memory, rng)
        self._shown_uid = uid

    @property
    def atr(self) -> bytes:
        """What a PC/SC reader reports for the interface it is read through."""
        return ATR_CONTACTS if self._chip.contacts else ATR_CONTACTLESS

    @property
    def chip_memory(self) -> ChipMemory:
        """Everything that survives power loss."""
        return self._chip.memory

    def use_contacts(self) -> None:
        """From now on it lies in a reader with contacts; a card for both has one directory for each."""
        self._chip.contacts = True

    def power_on(self) -> None:
        """Enter the field: nothing selected."""
        self._chip.power_on()
        self._shown_uid = self._draw_uid()

    def power_off(self) -> None:
        """Leave the field."""
        self.power_on()

    def reset(self) -> None:
        """As leaving and entering the field."""
        self.power_on()

    def transmit(self, command: bytes) -> bytes:
        """Answer any bytes whatsoever; never raises."""
        if command[:1] == bytes((CLA_READER,)):
            known = command[:4] == GET_UID and not self._chip.contacts
            return self._shown_uid + _word(SW.OK) if known else _word(SW.FUNCTION_NOT_SUPPORTED)
        if command[:1] == bytes((CLA_WRAPPED,)):
            return _NOT_SUPPORTED
        return self._chip.answer(command)

    def image(self) -> dict[str, Json]:
        """What survives power loss, numbers masked."""
        return {"uid": self.uid.hex().upper(), "bank": chip_image(self.chip_memory)}

    def clone(self) -> VirtualBankCard:
        """An independent card in the same state."""
        return VirtualBankCard(self.uid, self._rng, self.chip_memory)

    def _draw_uid(self) -> bytes:
        """A phone shows another one each time."""
        if len(self.chip_memory.wallets) > 1:
            return bytes((RANDOM_UID_HEAD,)) + self._rng(3)
        return self.uid


class DualCard(VirtualCard):
    """One chip with both: native DESFire for the resident application, SELECT by name for the bank's.

    What is not addressed to the bank application goes the way of a plain DESFire, with the same bytes; a native command
    leaves the bank application, as a selection does.
    """

    def __init__(
        self,
        uid: bytes,
        rng: RandomSource,
        chip: ChipMemory,
        *,
        generation: str = "EV2",
        memory: Memory | None = None,
    ) -> None:
        super().__init__(uid, rng, generation=generation, memory=memory)
        self._bank_rng: Final = rng
        self._chip: Final = BankChip(chip, rng)

    @property
    def chip_memory(self) -> ChipMemory:
        """What survives power loss on the bank side."""
        return self._chip.memory

    def power_on(self) -> None:
        """Enter the field: nothing selected on either side."""
        super().power_on()
        self._chip.power_on()

    def transmit(self, command: bytes) -> bytes:
        """Answer any bytes whatsoever; never raises."""
        by_name = command[:3] == _SELECT_BY_NAME
        name = command[5 : 5 + command[4]] if len(command) > 5 else b""
        if by_name and self._chip.knows(name):
            self._state.fail()
            return self._chip.answer(command)
        iso = command[:1] == bytes((CLA_ISO,)) and self._chip.selected and not by_name
        if iso or command[:1] == bytes((CLA_BANK,)):
            return self._chip.answer(command)
        if command[:1] == bytes((CLA_READER,)):
            return super().transmit(command)
        self._chip.deselect()
        return super().transmit(command)

    def image(self) -> dict[str, Json]:
        """Both sides; a plain DESFire's image with one part more."""
        return {**super().image(), "bank": chip_image(self.chip_memory)}

    def clone(self) -> DualCard:
        """An independent card with the same committed state, just powered on."""
        return DualCard(
            self.uid, self._bank_rng, self.chip_memory, generation=self.generation, memory=self.memory
        )


def _word(sw: SW) -> bytes:
    return sw.to_bytes(2, "big")
