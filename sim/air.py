"""How long an exchange takes: contactless timing on a virtual clock.

Counted from ISO 14443-3/4 for Type A; `fc` is the 13.56 MHz carrier.

- A byte is 8 data bits and a parity bit at every rate; a bit lasts 128/fc at 106 kbit/s (9.44 us), halving
  with each higher rate. Each frame adds a start and an end of communication (2 bit times).
- A block carries PCB (1), information, CRC (2): FSC - 3 information bytes at most. Longer APDUs are chained,
  every chained block but the last answered by a 3-byte R-block. No CID, no NAD.
- Between blocks one side waits: 1172/fc (86 us) before the card answers, the same before the reader goes on.

What the card computes on top is **assumed, not measured**: the figures in `COMPUTE_MS` are of the order that
published comparisons of DESFire chips show; a real chip differs by generation, field strength and rate. Host
and PC/SC time is not included: benchmarks measure that on the real machine.

`DeskClock` is the virtual clock that a person may set, also back, as a wrong clock really goes.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Final

BIT_RATES_KBIT: Final = (106, 212, 424, 848)
FRAME_SIZES_BYTES: Final = (64, 96, 128, 256)
BIT_106_MS: Final = 128 / 13_560
BITS_PER_BYTE: Final = 9
FRAME_OVERHEAD_BITS: Final = 2
FRAME_DELAY_MS: Final = 1172 / 13_560
BLOCK_OVERHEAD_BYTES: Final = 3
R_BLOCK_BYTES: Final = 3

COMPUTE_MS: Final[dict[int, float]] = {
    0x5A: 1.2,  # SelectApplication
    0x71: 2.0,  # AuthenticateEV2First: one AES block, a random number
    0x77: 2.0,  # AuthenticateEV2NonFirst
    0xAF: 3.5,  # second half: token check, session keys, answer
    0xAD: 1.4,  # ReadData with MACs
    0xBD: 1.4,
    0xAB: 1.5,  # ReadRecords
    0xBB: 1.5,
    0x6C: 1.2,  # GetValue
    0x8D: 3.0,  # WriteData: non-volatile memory
    0x3D: 3.0,
    0x8B: 3.0,  # WriteRecord
    0x3B: 3.0,
    0xBA: 3.0,  # UpdateRecord
    0xDB: 3.0,
    0xDC: 2.2,  # Debit
    0x0C: 2.2,  # Credit
    0x1C: 2.2,  # LimitedCredit
    0xC8: 2.0,  # CommitReaderID
    0xC7: 5.0,  # CommitTransaction: validity flags, TMC, TMV
    0xC4: 4.0,  # ChangeKey
    0xCA: 8.0,  # CreateApplication
    0xFC: 20.0,  # Format
}
BANK_COMPUTE_MS: Final[dict[int, float]] = {
    0x84: 1.0,  # GET CHALLENGE
    0x88: 70.0,  # INTERNAL AUTHENTICATE: one RSA signature
    0xA8: 10.0,  # GET PROCESSING OPTIONS: the counter in non-volatile memory
    0xAE: 90.0,  # GENERATE AC: cryptogram and RSA signature
    0xB2: 2.0,  # READ RECORD
    0xC0: 1.0,  # GET RESPONSE
    0xCA: 1.5,  # GET DATA
}
"""Of a bank application, by INS under class 00 or 80; other commands of these classes count as selections."""
NO_OPTIONS_BYTES: Final = 8
"""Length of GET PROCESSING OPTIONS without data of the terminal's."""
SIGNED_OPTIONS_MS: Final = 70.0
"""GET PROCESSING OPTIONS that brings the terminal's data: the card may sign at once."""
OTHER_COMPUTE_MS: Final = 1.0
CREATE_FILE_MS: Final = 5.0
_CREATES: Final = frozenset((0xCD, 0xCB, 0xCC, 0xC0, 0xC1, 0xCE))

ACTIVATION_FRAMES: Final = ((1, 2), (2, 5), (9, 3), (2, 5), (9, 3), (4, 13))
"""Bytes each way of REQA, two cascade levels (anticollision, select) and RATS, for a 7-byte UID."""


class AirModel:
    """The field at one bit rate (both directions) and one frame size: FSD and FSC are taken as equal."""

    def __init__(self, bit_rate_kbit: int = 106, frame_bytes: int = 64) -> None:
        if bit_rate_kbit not in BIT_RATES_KBIT:
            raise ValueError(f"bit rate {bit_rate_kbit} kbit/s; there are {BIT_RATES_KBIT}")
        if frame_bytes not in FRAME_SIZES_BYTES:
            raise ValueError(f"frame size {frame_bytes} bytes; there are {FRAME_SIZES_BYTES}")
        self.bit_rate_kbit: Final = bit_rate_kbit
        self.frame_bytes: Final = frame_bytes
        self._bit_ms = BIT_106_MS / (bit_rate_kbit // 106)
        self._information_bytes = frame_bytes - BLOCK_OVERHEAD_BYTES

    def exchange_ms(self, command: bytes, answer: bytes) -> float:
        """One APDU each way plus the card's computing. Pseudo APDUs (CLA FF) never reach the air: 0."""
        if command[:1] == b"\xff":
            return 0.0
        return self.command_ms(command) + self.transfer_ms(len(answer))

    def command_ms(self, command: bytes) -> float:
        """From the command's first bit until the card has executed it and could begin to answer."""
        return self.transfer_ms(len(command)) + compute_ms(command)

    def transfer_ms(self, length: int) -> float:
        """One APDU of `length` bytes in one direction, with chaining and one frame delay per frame."""
        chained = max(0, -(-length // self._information_bytes) - 1)
        blocks_bytes = length + (chained + 1) * BLOCK_OVERHEAD_BYTES
        frames = 1 + 2 * chained
        bits = (blocks_bytes + chained * R_BLOCK_BYTES) * BITS_PER_BYTE + frames * FRAME_OVERHEAD_BITS
        return bits * self._bit_ms + frames * FRAME_DELAY_MS

    def activation_ms(self) -> float:
        """From an empty field to a card ready for its first APDU, always at 106 kbit/s, polling apart."""
        total = sum(map(sum, ACTIVATION_FRAMES)) * BITS_PER_BYTE
        frames = 2 * len(ACTIVATION_FRAMES)
        return (total + frames * FRAME_OVERHEAD_BITS) * BIT_106_MS + frames * FRAME_DELAY_MS


def compute_ms(command: bytes) -> float:
    """The card's own assumed time for a wrapped command or a bank application's; others count as selections."""
    if len(command) < 2 or command[0] not in (0x00, 0x80, 0x90):
        return COMPUTE_MS[0x5A]
    ins = command[1]
    if command[0] != 0x90:
        signs = command[:2] == b"\x80\xa8" and len(command) > NO_OPTIONS_BYTES
        return SIGNED_OPTIONS_MS if signs else BANK_COMPUTE_MS.get(ins, COMPUTE_MS[0x5A])
    return CREATE_FILE_MS if ins in _CREATES else COMPUTE_MS.get(ins, OTHER_COMPUTE_MS)


class VirtualClock:
    """Time that passes only when a caller moves it. Thread-safe; fits the terminal's clock."""

    def __init__(self, start: datetime) -> None:
        if start.utcoffset() is None:
            raise ValueError("a clock needs an aware start")
        self._start = start
        self._elapsed_s = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Aware, in the start's zone."""
        with self._lock:
            return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic(self) -> float:
        """Seconds since the start."""
        with self._lock:
            return self._elapsed_s

    def advance(self, seconds: float) -> None:
        """Let time pass; never back."""
        if seconds < 0:
            raise ValueError(f"time cannot go back by {-seconds} s")
        with self._lock:
            self._elapsed_s += seconds


class DeskClock(VirtualClock):
    """Setting moves the time of day only; `monotonic` never jumps, so delays and deadlines stay what they are."""

    def set(self, moment: datetime) -> None:
        """It is `moment` now; raises `ValueError` for one without an offset."""
        if moment.utcoffset() is None:
            raise ValueError("a clock needs an aware moment")
        with self._lock:
            self._start = moment - timedelta(seconds=self._elapsed_s)
