"""A judge of bank cards for tests: it recovers certificates and signatures with the public keys alone, step by step as
EMV Book 2 has them, and shares nothing with the card or the terminal. `Rejected` says what is wrong.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from sim.emv.chain import lab_ca_keys

AMOUNT, RANDOM = bytes.fromhex("000000004300"), bytes.fromhex("8F21C0DE")
VALUES = {
    0x9F66: bytes.fromhex("21000000"), 0x9F02: AMOUNT, 0x9F03: bytes(6), 0x9F1A: bytes.fromhex("0643"),
    0x95: bytes(5), 0x5F2A: bytes.fromhex("0643"), 0x9A: bytes.fromhex("260915"), 0x9C: b"\0", 0x9F37: RANDOM,
    0x9F35: b"\x25", 0x8A: b"Y1",
}  # fmt: skip


class Rejected(Exception):
    """The card is not what it says."""


def objects(data: bytes) -> list[tuple[int, bytes]]:
    """Data objects of one level, in order."""
    found, at = [], 0
    while at < len(data):
        size = 2 if data[at] & 0x1F == 0x1F else 1
        tag, at = int.from_bytes(data[at : at + size], "big"), at + size
        length, at = data[at], at + 1
        if length == 0x81:
            length, at = data[at], at + 1
        found.append((tag, data[at : at + length]))
        at += length
    return found


def asked(dol: bytes, values: dict[int, bytes] | None = None) -> bytes:
    """The values a list of objects asks for."""
    found, at = b"", 0
    while at < len(dol):
        size = 2 if dol[at] & 0x1F == 0x1F else 1
        found += (VALUES | (values or {}))[int.from_bytes(dol[at : at + size], "big")]
        at += size + 1
    return found


@dataclass
class Judge:
    """One conversation. `data` is all that was read, by tag; `static` what the card's certificate covers."""

    card: object
    data: dict[int, bytes] = field(default_factory=dict)
    static: bytes = b""
    pdol: bytes = b""
    sent: bytes = b""

    def transmit(self, command: str) -> tuple[bytes, int]:
        answer = self.card.transmit(bytes.fromhex(command))  # type: ignore[attr-defined]
        if answer[-2] == 0x61:
            answer = self.card.transmit(bytes.fromhex("00C00000") + answer[-1:])  # type: ignore[attr-defined]
        elif answer[-2] == 0x6C:
            answer = self.card.transmit(bytes.fromhex(command)[:-1] + answer[-1:])  # type: ignore[attr-defined]
        return answer[:-2], int.from_bytes(answer[-2:], "big")

    def taken(self, command: str) -> bytes:
        answer, sw = self.transmit(command)
        if sw != 0x9000:
            raise Rejected(f"{sw:04X}")
        return answer

    def select(self, name: str = "A0000006581010") -> None:
        answer = self.taken(f"00A40400{len(name) // 2:02X}{name}00")
        inside = dict(objects(dict(objects(dict(objects(answer))[0x6F]))[0xA5]))
        self.pdol = inside.get(0x9F38, b"")

    def start(self, values: dict[int, bytes] | None = None) -> None:
        """Processing options and records."""
        self.sent = asked(self.pdol, values)
        body = b"\x83" + bytes((len(self.sent),)) + self.sent
        ((template, content),) = objects(self.taken(f"80A80000{len(body):02X}{body.hex()}00"))
        found = {0x82: content[:2], 0x94: content[2:]} if template == 0x80 else dict(objects(content))
        self.data |= found
        afl = found[0x94]
        for at in range(0, len(afl), 4):
            sfi, first, last, signed = afl[at : at + 4]
            for number in range(first, last + 1):
                ((tag, record),) = objects(self.taken(f"00B2{number:02X}{sfi | 4:02X}00"))
                assert tag == 0x70
                self.data |= dict(objects(record))
                if number < first + signed:
                    self.static += record
        self.static += found[0x82]

    def card_key(self) -> tuple[int, int]:
        """Modulus and exponent of the card's key, through both certificates."""
        ca = next(key for key in lab_ca_keys() if key.index == self.data[0x8F][0])
        assert hashlib.sha1(ca.rid + bytes((ca.index,)) + ca.modulus + ca.exponent).digest() == ca.checksum
        top = int.from_bytes(ca.modulus, "big"), int.from_bytes(ca.exponent, "big")
        issuer = self._key(top, 0x90, 2, 0x92, 0x9F32, b"")
        return self._key(issuer, 0x9F46, 4, 0x9F48, 0x9F47, self.static)

    def issuer_key(self) -> tuple[int, int]:
        ca = next(key for key in lab_ca_keys() if key.index == self.data[0x8F][0])
        top = int.from_bytes(ca.modulus, "big"), int.from_bytes(ca.exponent, "big")
        return self._key(top, 0x90, 2, 0x92, 0x9F32, b"")

    def _key(
        self, by: tuple[int, int], tag: int, form: int, rest: int, exponent: int, covered: bytes
    ) -> tuple[int, int]:
        remainder, e = self.data.get(rest, b""), self.data[exponent]
        body = recovered(by, self.data[tag], form, remainder + e + covered)
        head = 14 if form == 2 else 20
        length, exponent_length, key = body[head - 2], body[head - 1], body[head:]
        if exponent_length != len(e):
            raise Rejected("exponent")
        whole = key[:length] if length <= len(key) else key + remainder
        if len(whole) != length or key[len(whole) :].strip(b"\xbb") or (length <= len(key) and remainder):
            raise Rejected("key length")
        if form == 4 and body[1:11].hex().rstrip("f") != self.data[0x5A].hex().rstrip("f"):
            raise Rejected("number")
        return int.from_bytes(whole, "big"), int.from_bytes(e, "big")

    def dda(self) -> bytes:
        """The card's dynamic number."""
        ((template, content),) = objects(self.taken(f"0088000004{RANDOM.hex()}00"))
        signature = content if template == 0x80 else dict(objects(content))[0x9F4B]
        body = recovered(self.card_key(), signature, 5, RANDOM)
        return dynamic(body)[1:]

    def fdda(self) -> bytes:
        """The transaction counter that was signed."""
        covered = RANDOM + AMOUNT + VALUES[0x5F2A] + self.data[0x9F69]
        return dynamic(recovered(self.card_key(), self.data[0x9F4B], 5, covered))[1:]

    def cda(self, kind: int = 0x50, *, second: bool = False) -> tuple[int, bytes]:
        """Kind and value of the cryptogram, from the signature."""
        values = asked(self.data[0x8D if second else 0x8C])
        ((template, content),) = objects(self.taken(f"80AE{kind:02X}00{len(values):02X}{values.hex()}00"))
        assert template == 0x77
        self.sent += values
        answer = objects(content)
        shown = dict(answer)
        part = dynamic(recovered(self.card_key(), shown[0x9F4B], 5, RANDOM))
        part = part[1 + part[0] :]
        covered = self.sent + b"".join(rebuilt(tag, value) for tag, value in answer if tag != 0x9F4B)
        if hashlib.sha1(covered).digest() != part[9:29] or part[0] != shown[0x9F27][0] or len(part) != 29:
            raise Rejected("transaction data")
        return part[0], part[1:9]

    def sda(self) -> None:
        """A signed copy of static data, which proves nothing about this card."""
        recovered(self.issuer_key(), self.data[0x93], 3, self.static)


def rebuilt(tag: int, value: bytes) -> bytes:
    return tag.to_bytes(2 if tag > 0xFF else 1, "big") + bytes((len(value),)) + value


def recovered(key: tuple[int, int], signed: bytes, form: int, covered: bytes) -> bytes:
    """What was signed, without head, hash and trailer."""
    modulus, exponent = key
    length = (modulus.bit_length() + 7) // 8
    if len(signed) != length:
        raise Rejected("length")
    block = pow(int.from_bytes(signed, "big"), exponent, modulus).to_bytes(length, "big")
    if block[0] != 0x6A or block[-1] != 0xBC or block[1] != form:
        raise Rejected("form")
    if hashlib.sha1(block[1:-21] + covered).digest() != block[-21:-1]:
        raise Rejected("hash")
    return block[1:-21]


def dynamic(body: bytes) -> bytes:
    """The recovered dynamic data, its padding checked."""
    assert body[1] == 1
    if body[3 + body[2] :].strip(b"\xbb"):
        raise Rejected("padding")
    return body[3 : 3 + body[2]]
