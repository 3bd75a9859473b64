"""What a thief writes who has one terminal's signing key and, for some stories, the rows that terminal wrote.

`python tests/attacks/forge.py KEY.pem NUMBER URL < stories.json` builds the chain, signs batches and sends them; it
prints the row in which each story stands. It shares no line with the terminal: rows, chain, batches and events are
built here from their documents. It knows no key of any card.
"""

from __future__ import annotations

import hashlib
import json
import struct
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

INTENT, COMMITTED, FAULT = 4, 5, 9
CARD_REF, CHARGE, BEFORE, AFTER, PREVIOUS, EVENT, PROOF = 2, 9, 10, 11, 15, 17, 18
"""Places of an intent's fields in its row, the kind being the first."""
FIRST_AT_S: Final = 1_704_067_200
BATCH: Final = 200


class Thief:
    """Builds rows of terminal `number` from the first on."""

    def __init__(self, number: int, captured: list[str]) -> None:
        self.number = number
        self.captured = [msgspec.msgpack.decode(bytes.fromhex(body)[1:]) for body in captured]
        self.rows: list[list[Any]] = []
        self.stands: dict[str, int] = {}

    def add(self, *rows: list[Any]) -> int:
        """Append rows; return the number of the first."""
        first = len(self.rows) + 1
        self.rows += rows
        return first

    @property
    def next(self) -> int:
        return len(self.rows) + 1

    def ride(self, card: str, *, at_row: int = 0, charge: int = 2400, proof: bool = True) -> list[Any]:
        """A ride as this terminal would have written it, had the card been there."""
        row, before = at_row or self.next, 50_000
        written = event(self.number, row, before - charge, charge)
        found = event(0, 0, before, before)
        commands = [
            [0xAD, bytes((1, 0, 0, 0, 160, 0, 0)), bytes(160)],
            [0xAB, bytes((2, 0, 0, 0, 1, 0, 0)), found],
            [0xDC, bytes((3,)) + charge.to_bytes(4, "little"), b""],
            [0x8B, bytes((2, 0, 0, 0, 32, 0, 0)), written],
        ]
        made = [
            INTENT,
            now_ms(),
            bytes.fromhex(card),
            "bus",
            1,
            1,
            15,
            0,
            "ok_paid",
            charge,
            before,
            before - charge,
        ]
        made += [
            1,
            "demo:1",
            [],
            0,
            0,
            written,
            commands if proof else [],
            {},
            None,
            {},
            [],
            {},
            1,
            None,
            "RUB",
        ]
        return made


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def event(terminal: int, row: int, balance: int, amount: int) -> bytes:
    """A ride's event, by docs/card-layout.md."""
    bits, width = 0, 0
    for value, length in (
        (2, 4), (3, 4), (now_ms() // 1000 - FIRST_AT_S, 30), (0, 6), (terminal, 20), (row, 28), (balance, 21),
        (amount, 21), (0, 1), (15, 15), (0, 3), ((1 << 17) - 1, 17), (0, 4), (1, 4), (1, 4), (0, 10), (0, 8), (0, 56),
    ):  # fmt: skip
        bits, width = bits << length | value, width + length
    assert width == 256
    return bits.to_bytes(32, "big")


def committed(intent: int, tmc: int | None, tmv: bytes, how: str = "answered") -> list[Any]:
    return [COMMITTED, now_ms(), intent, tmc, tmv, how]


def changed(row: list[Any], **fields: Any) -> list[Any]:
    """A row with other fields: `changed(intent, CHARGE=900000)`."""
    made = list(row)
    for name, value in fields.items():
        made[globals()[name]] = value
    return made


def play(thief: Thief, story: dict[str, Any]) -> None:
    """One story; where it is about captured rows they are `story["row"]` and the one behind it."""
    kind = story["story"]
    if kind == "as it was":
        thief.add(thief.captured[story["row"] - 1])
        return
    if kind in IN_PLACE:
        intent, end = thief.captured[story["row"] - 1 : story["row"] + 1]
        thief.stands[kind] = thief.add(*IN_PLACE[kind](intent, end, story))
        return
    thief.stands[kind] = thief.next
    thief.add(*ADDED[kind](thief, story))


IN_PLACE: Final = {
    "overstated": lambda intent, end, _: (changed(intent, CHARGE=900_000), end),
    "understated": lambda intent, end, _: (changed(intent, CHARGE=900), end),
    "no commands": lambda intent, end, _: (changed(intent, PROOF=[]), end),
    "an old card": lambda intent, end, _: (intent, committed(end[2], None, b"")),
    "another card": lambda intent, end, story: (changed(intent, CARD_REF=bytes.fromhex(story["card"])), end),
    "another balance": lambda intent, end, _: (changed(intent, BEFORE=60_000, AFTER=57_600), end),
    "dropped": lambda intent, end, _: ([FAULT, intent[1], "spare"], [FAULT, end[1], "spare"]),
}
"""What is done to a ride that really was, in the rows it has."""


def _again(thief: Thief, story: dict[str, Any]) -> list[list[Any]]:
    bodies = [msgspec.msgpack.decode(bytes.fromhex(body)[1:]) for body in story["bodies"]]
    intent, end = bodies
    if story.get("own event"):
        intent = changed(intent, EVENT=event(thief.number, thief.next, intent[AFTER], intent[CHARGE]))
    return [intent, committed(thief.next, end[3], end[4])]


def _many(thief: Thief, story: dict[str, Any]) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for _ in range(story["times"]):
        row = thief.next + len(rows)
        rows += [
            thief.ride(story["card"], at_row=row),
            committed(row, None, b"", story.get("how", "answered")),
        ]
    return rows


ADDED: Final = {
    "the key alone": lambda thief, story: [thief.ride(story["card"]), committed(thief.next, 5, bytes(8))],
    "a made-up proof": lambda thief, story: [thief.ride(story["card"]), committed(thief.next, 5, bytes(8))],
    "replayed": _again,
    "replayed with an event of its own": _again,
    "another terminal's proof": _again,
    "many old cards": _many,
    "replaced proofs": _many,
}
"""What is added behind them."""


def send(thief: Thief, key: Any, url: str) -> None:
    """Everything in signed batches."""
    bodies = [b"\x01" + msgspec.msgpack.encode(row) for row in thief.rows]
    head = hashlib.sha256(b"resident-journal-1" + thief.number.to_bytes(4, "big")).digest()
    for start in range(0, len(bodies), BATCH):
        part, previous = bodies[start : start + BATCH], head
        for body in part:
            head = hashlib.sha256(head + body).digest()
        last, at_ms = start + len(part), now_ms()
        header = struct.pack(">IIIQI", thief.number, start + 1, last, at_ms, last) + previous + head + head
        signature = key.sign(hashlib.sha256(b"resident-batch-1" + header).digest())
        batch = [1, thief.number, start + 1, previous, part, last, head, at_ms, signature]
        request = urllib.request.Request(
            f"{url}/v1/batches", msgspec.msgpack.encode(batch), {"content-type": "application/msgpack"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert answer.status == 200


def signing_key(content: bytes) -> Ed25519PrivateKey:
    """The key of batches among those of the file."""
    end = b"-----END PRIVATE KEY-----\n"
    keys = (load_pem_private_key(part + end, None) for part in content.split(end) if part.strip())
    return next(key for key in keys if isinstance(key, Ed25519PrivateKey))


def main(key_file: str, number: str, url: str) -> None:
    asked = json.load(sys.stdin)
    thief = Thief(int(number), asked["captured"])
    for story in asked["stories"]:
        play(thief, story)
    send(thief, signing_key(Path(key_file).read_bytes()), url)
    print(json.dumps(thief.stands))


if __name__ == "__main__":
    main(*sys.argv[1:])
