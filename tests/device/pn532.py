"""A PN532 contactless reader on a pseudo-terminal, with a software card on it.

Debian's libnfc knows no PC/SC, so its tools cannot be pointed at the virtual reader; but it knows this chip on a
serial line. Only what libnfc asks of it is answered (NXP UM0701-02): one type A target, ISO 14443-4.
"""

from __future__ import annotations

import contextlib
import os
import pty
import threading
import tty
from enum import IntEnum
from typing import Final

from sim.card.port import SimCard

ACKNOWLEDGED: Final = bytes.fromhex("0000FF00FF00")
START: Final = b"\x00\xff"
TO_CHIP, FROM_CHIP = 0xD4, 0xD5
TYPE_A: Final = 0
TIMED_OUT: Final = b"\x01"
FIRMWARE_1_6: Final = bytes.fromhex("32010607")
GET_UID: Final = bytes.fromhex("FFCA000000")
GET_ATS: Final = bytes.fromhex("FFCA010000")


class Code(IntEnum):
    """The commands that answer something of interest; all others just succeed."""

    DIAGNOSE = 0x00
    FIRMWARE = 0x02
    READ_REGISTER = 0x06
    EXCHANGE = 0x40
    THRU = 0x42
    DESELECT = 0x44
    LIST_TARGETS = 0x4A
    RELEASE = 0x52


class Pn532:
    """`with Pn532(card) as reader:` serves on `reader.port` (for LIBNFC_DEVICE) until the end of the block."""

    def __init__(self, card: SimCard) -> None:
        self._card = card
        self._chip, self._line = pty.openpty()
        tty.setraw(self._line)
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.port = f"pn532_uart:{os.ttyname(self._line)}:115200"
        self.exchanges: list[tuple[bytes, bytes]] = []

    def __enter__(self) -> Pn532:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.set()
        os.write(self._line, b"\0")  # wakes the reading thread
        self._thread.join(5)
        os.close(self._line)
        os.close(self._chip)

    def _serve(self) -> None:
        received = b""
        while not self._leaving.is_set():
            with contextlib.suppress(OSError):
                received += os.read(self._chip, 4096)
            while (taken := _frame(received)) is not None:
                command, received = taken
                if command[:1] == bytes((TO_CHIP,)):
                    answer = self._answer(command[1], command[2:])
                    os.write(self._chip, ACKNOWLEDGED + _framed(command[1] + 1, answer))

    def _answer(self, code: int, data: bytes) -> bytes:
        match code:
            case Code.DIAGNOSE:
                return data
            case Code.FIRMWARE:
                return FIRMWARE_1_6
            case Code.READ_REGISTER:
                return bytes(len(data) // 2)
            case Code.LIST_TARGETS:
                return self._found() if data[1] == TYPE_A else b"\0"
            case Code.EXCHANGE:
                return b"\0" + self._exchange(data[1:])
            case Code.THRU:
                return TIMED_OUT
            case Code.DESELECT | Code.RELEASE:
                self._card.power_off()
                return b"\0"
            case _:
                return b""

    def _found(self) -> bytes:
        """One target: number, ATQA, SAK, UID, ATS. Finding it is a presentation."""
        self._card.power_on()
        uid = self._card.transmit(GET_UID)[:-2]
        ats = self._card.transmit(GET_ATS)[:-2]
        atqa = b"\x03\x44" if len(uid) == 7 else b"\x03\x04"
        return b"\x01\x01" + atqa + b"\x20" + bytes((len(uid),)) + uid + ats

    def _exchange(self, command: bytes) -> bytes:
        answer = self._card.transmit(command)
        self.exchanges.append((command, answer))
        return answer


def _frame(received: bytes) -> tuple[bytes, bytes] | None:
    """The next whole frame's content and what follows it; None while there is none."""
    start = received.find(START)
    if start < 0:
        return None
    body = received[start + 2 :]
    if len(body) < 2:
        return None
    if body[:2] == b"\xff\xff":
        if len(body) < 5:
            return None
        length, at = int.from_bytes(body[2:4], "big"), 5
    else:
        length, at = body[0], 2
    if length == 0:
        return b"", body[2:]
    if len(body) < at + length + 1:
        return None
    return body[at : at + length], body[at + length + 1 :]


def _framed(code: int, answer: bytes) -> bytes:
    content = bytes((FROM_CHIP, code)) + answer
    checksum = bytes((-sum(content) & 0xFF,))
    if len(content) < 0xFF:
        head = bytes((len(content), -len(content) & 0xFF))
    else:
        size = len(content).to_bytes(2, "big")
        head = b"\xff\xff" + size + bytes((-sum(size) & 0xFF,))
    return b"\0" + START + head + content + checksum + b"\0"
