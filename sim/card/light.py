"""What a DESFire Light holds when it leaves the factory: one application with six files (datasheet 8.2).

The native commands name applications by three bytes; Light's has none, so it is kept under a name of our own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from sim.card.files import CardFile, DataFile, Head, RecordFile, Rights, TransactionMacFile, ValueFile
from sim.card.generation import GENERATIONS
from sim.card.memory import PICC_AID, ZERO_KEY, Application, KeySlot, Memory, blank_memory

LIGHT_AID: Final = b"\x01\xdf\xff"
LIGHT_DF_NAME: Final = bytes.fromhex("A00000039656434103F015400000000B")
LIGHT_DF_ID: Final = 0xDF01
_FULL: Final = 3
_NEVER_REACHED: Final = 0xFFFFFFFF


def _files() -> tuple[CardFile, ...]:
    """In the order GetFileIDs of a real card tells them."""
    mac_head = Head(0x0F, _FULL, Rights.of(0x1F10), 0)
    return (
        TransactionMacFile(mac_head, ZERO_KEY, 0, 0, bytes(8), bytes(16), _NEVER_REACHED),
        DataFile(Head(0x1F, 0, Rights.of(0xEF30), 0xEF1F), backup=False, content=bytes(32)),
        ValueFile(Head(3, _FULL, Rights.of(0x1230), 0), 0, 0x7FFFFFFF, 0, 0, True, True),
        DataFile(Head(0, _FULL, Rights.of(0x1F30), 0xEF00), backup=False, content=bytes(256)),
        # Four records can be read; the fifth place is the pending one.
        RecordFile(Head(1, _FULL, Rights.of(0x1230), 0xEF01), True, 16, 5, ()),
        DataFile(Head(4, _FULL, Rights.of(0x1230), 0xEF04), backup=False, content=bytes(256)),
    )


def light_memory() -> Memory:
    """Five AES keys, all zero; the level above has no key at all."""
    application = Application(
        LIGHT_AID,
        0x0B,
        (KeySlot(ZERO_KEY),) * 5,
        {file.head.number: file for file in _files()},
        True,
        LIGHT_DF_ID,
        LIGHT_DF_NAME,
    )
    memory = blank_memory(generation=GENERATIONS["Light"])
    above = replace(memory.applications[PICC_AID], keys=())
    return memory.with_application(above).with_application(application)
