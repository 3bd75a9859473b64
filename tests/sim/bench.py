"""A test bench: an example application on a software card, and a terminal that can also send what is wrong.

The terminal here is written apart from `cardproto.desfire.card`: it builds every APDU from INS, header and data,
so that tests can leave the path a well-behaved terminal takes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from cardproto.desfire.crypto import ZERO_IV, AesKey, crc32, rotate_left
from cardproto.desfire.messaging import CommMode, Session
from sim.card.virtual import VirtualCard
from sim.days import service_days

SERVICE_DAY = service_days("Europe/Volgograd", 3)
"""Of the demo region, as a reload point has it."""
PLAIN, MAC, FULL = CommMode.PLAIN, CommMode.MAC, CommMode.FULL

UID = bytes.fromhex("04AABBCC112233")
AID = bytes.fromhex("0100A1")
DF_NAME = bytes.fromhex("F054455354")
PICC = bytes(3)
ZERO = bytes(16)
TMAC_KEY = bytes.fromhex("0F1E2D3C4B5A69788796A5B4C3D2E1F0")

STANDARD_FREE, BACKUP, CYCLIC, VALUE, STANDARD_FULL, LINEAR, TMAC = 0, 1, 2, 3, 4, 5, 15
READ, WRITE, READ_WRITE, MASTER = 1, 2, 3, 0


def key(number: int) -> bytes:
    """The example application's key of this number."""
    return bytes((number,)) * 16


def le(number: int, length: int = 3) -> bytes:
    return number.to_bytes(length, "little")


class Counting:
    """Reproducible 'random' bytes, different every time."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, length: int) -> bytes:
        self.calls += 1
        return bytes((self.calls + i) % 256 for i in range(length))


@dataclass
class Bench:
    """A card and the terminal's half of whatever session there is."""

    card: VirtualCard
    session: Session | None = None
    sent: list[bytes] = field(default_factory=list)

    def transmit(self, message: bytes | str) -> bytes:
        raw = bytes.fromhex(message) if isinstance(message, str) else message
        self.sent.append(raw)
        return self.card.transmit(raw)

    def wrapped(self, ins: int, data: bytes = b"") -> tuple[int, bytes]:
        """One wrapped exchange; the status word must be 91xx."""
        body = bytes((len(data),)) + data if data else b""
        answer = self.transmit(bytes((0x90, ins, 0, 0)) + body + b"\0")
        assert answer[-2] == 0x91, answer.hex()
        return answer[-1], answer[:-2]

    def chained(self, ins: int, data: bytes = b"") -> tuple[int, bytes]:
        """A wrapped command whose answer frames are collected."""
        status, collected = self.wrapped(ins, data)
        while status == 0xAF:
            status, part = self.wrapped(0xAF)
            collected += part
        return status, collected

    def select(self, aid: bytes = AID) -> int:
        self.session = None
        return self.wrapped(0x5A, aid)[0]

    def authenticate(self, number: int, secret: bytes | None = None, *, non_first: bool = False) -> int:
        """AuthenticateEV2First or NonFirst; returns the last status."""
        cipher = AesKey(key(number) if secret is None else secret)
        before = self.session
        status, cryptogram = self.wrapped(
            *((0x77, bytes((number,))) if non_first else (0x71, bytes((number, 0))))
        )
        if status != 0xAF:
            self.session = None
            return status
        rnd_a, rnd_b = bytes(range(0x30, 0x40)), cipher.decrypt(ZERO_IV, cryptogram)
        status, proof = self.wrapped(0xAF, cipher.encrypt(ZERO_IV, rnd_a + rotate_left(rnd_b)))
        if status != 0x00:
            self.session = None
            return status
        plain = cipher.decrypt(ZERO_IV, proof)
        if non_first:
            assert before is not None
            assert plain == rotate_left(rnd_a)
            self.session = Session.derive(cipher, number, rnd_a, rnd_b, before.ti, before.counter)
        else:
            assert plain[4:20] == rotate_left(rnd_a)
            self.session = Session.derive(cipher, number, rnd_a, rnd_b, plain[:4])
        return status

    def protect(self, ins: int, header: bytes, data: bytes, mode: CommMode) -> bytes:
        """What a terminal sends for this command: header, data as it travels, MAC."""
        if self.session is None or mode is PLAIN:
            return header + data
        body = self.session.encrypt_command(data) if mode is FULL else data
        return header + body + self.session.command_mac(ins, header, body)

    def accept(self, answer: bytes, mode: CommMode) -> bytes:
        """Verify and open a successful answer; the counter moves on."""
        if self.session is None:
            return answer
        self.session.counter += 1
        if mode is PLAIN:
            return answer
        body, mac = answer[:-8], answer[-8:]
        assert self.session.response_mac(body) == mac
        if mode is MAC:
            return body
        plain = self.session.decrypt_response(body)
        assert plain is not None
        return plain

    def run(
        self, ins: int, header: bytes = b"", data: bytes = b"", mode: CommMode = MAC
    ) -> tuple[int, bytes]:
        """A whole protected command: (status, plain answer). An error ends the terminal's session, too."""
        status, answer = self.chained(ins, self.protect(ins, header, data, mode))
        if status:
            self.session = None
            return status, answer
        return status, self.accept(answer, mode)

    def ok(self, ins: int, header: bytes = b"", data: bytes = b"", mode: CommMode = MAC) -> bytes:
        status, answer = self.run(ins, header, data, mode)
        assert status == 0, f"{ins:02X}: {status:02X}"
        return answer

    def begin(self, number: int) -> None:
        """Select the example application and authenticate with one of its keys."""
        assert self.select() == 0
        assert self.authenticate(number) == 0

    def change_key(self, number: int, new: bytes, version: int, old: bytes = ZERO) -> None:
        mixed = bytes(a ^ b for a, b in zip(new, old, strict=True))
        self.ok(0xC4, bytes((number,)), mixed + bytes((version,)) + crc32(new), FULL)


def write_record(bench: Bench, data: bytes, file: int = CYCLIC, offset: int = 0) -> int:
    return bench.run(0x8B, bytes((file,)) + le(offset) + le(len(data)), data)[0]


def read_records(bench: Bench, first: int = 0, count: int = 0, file: int = CYCLIC) -> tuple[int, bytes]:
    return bench.run(0xAB, bytes((file,)) + le(first) + le(count))


def debit(bench: Bench, amount: int) -> int:
    return bench.run(0xDC, bytes((VALUE,)), le(amount, 4), FULL)[0]


def credit(bench: Bench, amount: int) -> int:
    return bench.run(0x0C, bytes((VALUE,)), le(amount, 4), FULL)[0]


def limited_credit(bench: Bench, amount: int) -> int:
    return bench.run(0x1C, bytes((VALUE,)), le(amount, 4), FULL)[0]


def get_value(bench: Bench) -> int:
    return int.from_bytes(bench.ok(0x6C, bytes((VALUE,)), b"", FULL), "little", signed=True)


def commit(bench: Bench, option: bytes = b"") -> tuple[int, bytes]:
    return bench.run(0xC7, b"", option)


def example(*, proving: bool = False) -> Bench:
    """A fresh copy of the example card; `proving` adds the transaction MAC file. Keys are `key(n)`."""
    return Bench(_example(proving).clone())


@cache
def _example(proving: bool) -> VirtualCard:
    bench = Bench(VirtualCard(UID, Counting()))
    assert bench.authenticate(0, ZERO) == 0
    bench.ok(0xCA, AID + bytes.fromhex("0FA5") + le(0x4B5A, 2) + DF_NAME)
    assert bench.select() == 0
    assert bench.authenticate(0, ZERO) == 0
    for number in range(1, 5):
        bench.change_key(number, key(number), number)
    rights = bytes.fromhex("3012")
    bench.ok(0xCD, bytes((STANDARD_FREE,)) + le(0xEF00, 2) + bytes.fromhex("00E0EE") + le(64))
    bench.ok(0xCB, bytes((BACKUP,)) + b"\x01" + rights + le(64))
    bench.ok(0xC0, bytes((CYCLIC,)) + b"\x01" + rights + le(16) + le(4))
    bench.ok(0xCC, bytes((VALUE,)) + b"\x03" + rights + le(0, 4) + le(100_000, 4) + le(1000, 4) + b"\x01")
    bench.ok(0xCD, bytes((STANDARD_FULL,)) + b"\x03" + rights + le(64))
    bench.ok(0xC1, bytes((LINEAR,)) + b"\x01" + rights + le(16) + le(2))
    if proving:
        # Read for key 1, CommitReaderID never.
        bench.ok(0xCE, bytes((TMAC,)) + bytes.fromhex("01F01F02"), TMAC_KEY + b"\x05", FULL)
    return bench.card
