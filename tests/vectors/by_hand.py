"""Whole EV2 sessions written from the datasheet's formulas with nothing but AES: no function of ours takes part.

The card's and the terminal's messages are both made here, so that the reading side (`transaction.py`) is tested by
something that cannot share its mistakes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.cmac import CMAC

KEY = bytes.fromhex("5B1A3C77D02E49F8A6610B9D4E82C315")
TRANSACTION_KEY = bytes.fromhex("C0FFEE00112233445566778899AABBCC")
UID = bytes.fromhex("04C3A19B2E6F80")
RND_A = bytes.fromhex("8E1F0A7B3C5D6E90A1B2C3D4E5F60718")
RND_B = bytes.fromhex("19283746556473829100AFBECDDCEBFA")
TI = bytes.fromhex("7A3B11C4")
PREVIOUS_READER = bytes.fromhex("4255532D3030372D4130000000000000")
READER = bytes.fromhex("43414E5445454E2D3032000000000000")


def cbc(key: bytes, iv: bytes, data: bytes) -> bytes:
    return Cipher(AES(key), CBC(iv)).encryptor().update(data)


def cmac(key: bytes, data: bytes) -> bytes:
    mac = CMAC(AES(key))
    mac.update(data)
    return mac.finalize()


def odd(mac: bytes) -> bytes:
    return bytes(mac[i] for i in range(1, 16, 2))


def rotated(data: bytes) -> bytes:
    return data[1:] + data[:1]


def le(number: int, length: int) -> bytes:
    return number.to_bytes(length, "little")


@dataclass
class Session:
    """One session being written down; `mode` is "Plain", "MAC" or "Full" for file content."""

    mode: str = "MAC"
    frame: int = 0
    tmc: int = 41
    counter: int = 0
    apdus: list[list[str]] = field(default_factory=list)
    tmi: bytes = b""

    def __post_init__(self) -> None:
        mixed = bytes(RND_A[2 + i] ^ RND_B[i] for i in range(6))
        context = b"\0\1\0\x80" + RND_A[:2] + mixed + RND_B[6:] + RND_A[8:]
        self.enc, self.mac = cmac(KEY, b"\xa5\x5a" + context), cmac(KEY, b"\x5a\xa5" + context)
        tail = b"\0\1\0\x80" + le(self.tmc + 1, 4) + UID
        self.tm_mac, self.tm_enc = (
            cmac(TRANSACTION_KEY, b"\x5a" + tail),
            cmac(TRANSACTION_KEY, b"\xa5" + tail),
        )

    def exchange(self, ins: int, message: bytes, answer: bytes, status: int = 0) -> None:
        """One command, cut into frames of `frame` bytes in both directions when that is not 0."""
        cut = self.frame or 1000
        sent = [message[i : i + cut] for i in range(0, len(message), cut)] or [b""]
        got = [answer[i : i + cut] for i in range(0, len(answer), cut)] or [b""]
        for at in range(len(sent) + len(got) - 1):
            part, reply = sent[at : at + 1], got[max(0, at - len(sent) + 1)] if at >= len(sent) - 1 else b""
            last = at == len(sent) + len(got) - 2
            body = bytes((len(part[0]),)) + part[0] if part and part[0] else b""
            command = bytes((0x90, ins if at == 0 else 0xAF, 0, 0)) + body + b"\0"
            self.apdus.append(
                [command.hex().upper(), (reply + bytes((0x91, status if last else 0xAF))).hex().upper()]
            )

    def authenticate(self, number: int) -> None:
        zero, frame, self.frame = bytes(16), self.frame, 0
        self.exchange(0x71, bytes((number, 0)), cbc(KEY, zero, RND_B), 0xAF)
        token = cbc(KEY, zero, RND_A + rotated(RND_B))
        self.exchange(0xAF, token, cbc(KEY, zero, TI + rotated(RND_A) + bytes(12)))
        self.frame = frame

    def command(
        self, ins: int, header: bytes, data: bytes = b"", answer: bytes = b"", mode: str = ""
    ) -> None:
        mode = mode or self.mode
        body, reply = data, answer
        if mode == "Full":
            body, reply = self.enciphered(b"\xa5\x5a", data, 0), self.enciphered(b"\x5a\xa5", answer, 1)
        mac = b"" if mode == "Plain" else self.tag(ins, self.counter, header + body)
        proof = b"" if mode == "Plain" else self.tag(0, self.counter + 1, reply)
        self.exchange(ins, header + body + mac, reply + proof)
        self.counter += 1

    def enciphered(self, label: bytes, data: bytes, later: int) -> bytes:
        if not data:
            return b""
        iv = cbc(self.enc, bytes(16), label + TI + le(self.counter + later, 2) + bytes(8))
        return cbc(self.enc, iv, data + b"\x80" + bytes(-(len(data) + 1) % 16))

    def tag(self, first: int, counter: int, rest: bytes) -> bytes:
        return odd(cmac(self.mac, bytes((first,)) + le(counter, 2) + TI + rest))

    def cover(self, head: bytes, data: bytes = b"") -> None:
        for part in (head, data):
            self.tmi += part + bytes(-len(part) % 16)

    def tmv(self) -> bytes:
        return odd(cmac(self.tm_mac, self.tmi))


def entry(
    *,
    mode: str = "MAC",
    frame: int = 0,
    reader_id: bool = True,
    answered: bool = True,
    iso_chained: bool = True,
    read_all: bool = False,
) -> dict[str, Any]:
    """A vector of a fare: a read, the purse asked, a debit, a record, perhaps the reader's id, the commit."""
    s = Session(mode, frame)
    record = bytes(range(0x40, 0x60))
    read, records, write = (0xAD, 0xAB, 0x8B) if iso_chained else (0xBD, 0xBB, 0x3B)
    s.authenticate(1)
    rights = bytes(range(48))
    s.command(read, b"\1" + le(0, 3) + le(0 if read_all else 48, 3), answer=rights)
    s.cover(bytes((read, 1)) + le(0, 3) + le(48, 3), rights)
    s.command(records, b"\2" + le(0, 3) + le(0 if read_all else 2, 3), answer=record * 2)
    s.cover(bytes((records, 2)) + le(0, 3) + le(2, 3), record * 2)
    if not answered:
        s.command(read, b"\x0f" + le(0, 3) + le(12, 3), answer=le(s.tmc, 4) + bytes(8))
    s.command(0x6C, b"\3", answer=le(5000, 4))
    s.cover(b"\x6c\3" + le(5000, 4))
    s.command(0xDC, b"\3", le(2400, 4))
    s.cover(b"\xdc\3" + le(2400, 4))
    s.command(write, b"\2" + le(0, 3) + le(32, 3), record)
    s.cover(bytes((write, 2)) + le(0, 3) + le(32, 3), record)
    expected = {"record_plain": record.hex().upper()}
    if reader_id:
        enc = cbc(s.tm_enc, bytes(16), PREVIOUS_READER)
        s.command(0xC8, b"", READER, enc, "MAC")
        s.cover(b"\xc8" + READER + enc)
        ids = {"EncTMRI": enc, "TMRIPrev": PREVIOUS_READER, "TMRICur": READER}
        expected |= {name: value.hex().upper() for name, value in ids.items()}
    proof = le(s.tmc + 1, 4) + s.tmv()
    s.command(0xC7, b"", b"\1" if answered else b"", proof if answered else b"", "MAC")
    found = {"TI": TI, "SesAuthENCKey": s.enc, "SesAuthMACKey": s.mac, "SesTMMACKey": s.tm_mac}
    found |= {"SesTMENCKey": s.tm_enc, "TMI": s.tmi, "TMV": s.tmv()}
    return {
        "id": "by-hand",
        "kind": "ev2_transaction_with_tmac",
        "inputs": {
            "uid": UID.hex().upper(),
            "auth_key_no": 1,
            "auth_key": KEY.hex().upper(),
            "tmac_key": TRANSACTION_KEY.hex().upper(),
            "apdus": s.apdus,
        },
        "expected": {name: value.hex().upper() for name, value in found.items()}
        | {"TMC": s.tmc + 1}
        | expected,
    }
