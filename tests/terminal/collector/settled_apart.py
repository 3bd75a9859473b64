"""Carriers' settlement once more, from exported records alone: knows neither books nor settlement of the product.

It reads row bodies as msgpack, takes all of them together, and divides money with fractions; what the cards prove it
finds out with AES-CMAC. What it shares with the product is what the documents say: the fields of rows, the bits of
rights and events (docs/card-layout.md), the transaction MAC of the data sheet (10.3), and the rule of the division.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cache
from math import floor
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

INTENT, COMMITTED, NOT_COMMITTED, CASH, CANCELLED = 4, 5, 6, 10, 56
READ_DATA, VALUE_COMMANDS = 0xAD, (0x6C, 0x0C, 0xDC, 0x1C, 0xC8)
EXIT = 5
PAID_WITH = {
    **{1: "purse", 7: "transfer", 9: "grace", 10: "bank"},
    **dict.fromkeys((4, 5, 6), "concession"),
    **dict.fromkeys((2, 3), "contract"),
}
Row = tuple[int, int]
Cards = Mapping[bytes, tuple[bytes, bytes]]
"""UID and key of the transaction MAC, by the reference that rows know a card by."""
Numbers = dict[str, int]


class SettledAs(NamedTuple):
    """What is counted together."""

    day: str
    carrier: str
    route: int
    product: str
    concession: str
    currency: str


def settled_apart(
    records: Mapping[Row, bytes],
    carrier_of: Mapping[int, str],
    split: str,
    weights: Mapping[str, int],
    cards: Cards,
    together: Collection[int] = (),
) -> dict[SettledAs, Numbers]:
    """Rides and minor units by what is counted together, as a line of a statement has them; `due` is their sum."""
    rows = {row: msgspec.msgpack.decode(body[1:]) for row, body in records.items()}
    ended = _ends(rows)
    proven = {
        (row[0], fields[2])
        for row, fields in rows.items()
        if fields[0] == COMMITTED and _proves(fields, rows.get((row[0], fields[2])), cards)
    }
    given_back = {(row[0], fields[3]) for row, fields in rows.items() if fields[0] == CANCELLED}
    taps: dict[Row, Any] = {}
    found: dict[SettledAs, Numbers] = defaultdict(lambda: defaultdict(int))

    def at(row: Row, day: str = "") -> SettledAs:
        fields, cash = rows[row], rows[row][0] == CASH
        route, currency = (fields[4], fields[13]) if cash else (fields[6], fields[26])
        product, code = ("cash", 0) if cash else _paid_with(fields)
        concession = "together" if code in together else str(code or "")
        return SettledAs(
            day or _day(fields[1]), carrier_of.get(route, ""), route, product, concession, currency
        )

    def move(row: Row, chain: list[Row], sign: int) -> None:
        """Each kind of money by itself."""
        rides = [one for one in chain if taps[one][17][0] & 0x0F != EXIT]
        if not rides:
            return
        parts = [weights.get(at(one).carrier, 1) if split == "weights" else 1 for one in rides]
        for name, counts in (("moved_proven", True), ("moved_unproven", False)):
            money = sum(taps[one][9] for one in chain if (one in proven) is counts)
            for one, share in zip(rides, _shares(money, parts), strict=True):
                found[at(one, at(row).day)][name] += sign * share

    for row, fields in rows.items():
        if fields[0] == CASH and row not in given_back:
            found[at(row)]["rides_cash"] += 0 if fields[14:15] == ["luggage"] else fields[6]
            found[at(row)]["cash"] += fields[7]
        elif fields[0] == INTENT and fields[20] is None and ended.get(row) != NOT_COMMITTED:
            persons = 0 if fields[17][0] & 0x0F == EXIT else 1 + fields[21].get("companions", 0)
            if row not in ended:
                found[at(row)]["rides_open"] += persons
                continue
            taps[row], sort = fields, "proven" if row in proven else "unproven"
            found[at(row)][f"rides_{sort}"] += persons
            found[at(row)][sort] += fields[9]
    for row, fields in taps.items():
        if split == "none" or not _goes_on(fields):
            continue
        chain = _chain(row, taps)
        if chain is None:
            found[at(row)]["unlinked"] += 1
            continue
        move(row, chain, 1)
        move(row, chain[:-1], -1)
        found[at(row)]["moved_proven" if row in proven else "moved_unproven"] -= fields[9]
    money = ("proven", "unproven", "cash", "moved_proven", "moved_unproven")
    for numbers in found.values():
        numbers["due"] = sum(numbers[name] for name in money)
    lines = {key: {name: one for name, one in numbers.items() if one} for key, numbers in found.items()}
    return {key: numbers for key, numbers in lines.items() if numbers}


def _ends(rows: Mapping[Row, Any]) -> dict[Row, int]:
    """How each tap ended: by its terminal's own first word, else by the card that came back: with its event, or to the
    same terminal with the one that was before it; or went on from that one otherwise (docs/adr/0003).
    """
    ended: dict[Row, int] = {}
    for (terminal, _), fields in sorted(rows.items()):
        if fields[0] in (COMMITTED, NOT_COMMITTED):
            ended.setdefault((terminal, fields[2]), fields[0])
    for fields in rows.values():
        if fields[0] == INTENT:
            previous = (fields[15], fields[16])
            writer = rows.get(previous)
            if writer is not None and writer[0] == INTENT and writer[2] == fields[2]:
                ended.setdefault(previous, COMMITTED)
    from_same: dict[tuple[bytes, int, int], list[Row]] = defaultdict(list)
    for row, fields in rows.items():
        if fields[0] == INTENT:
            from_same[fields[2], fields[15], fields[16]].append(row)
    for row in [row for row, fields in rows.items() if fields[0] == INTENT and row not in ended]:
        others = from_same[rows[row][2], rows[row][15], rows[row][16]]
        found_again = any(one[0] == row[0] and one[1] > row[1] for one in others)
        if found_again or any(ended.get(one) == COMMITTED for one in others):
            ended[row] = NOT_COMMITTED
    return ended


def _proves(committed: Any, intent: Any, cards: Cards) -> bool:
    """Whether the value that came with the commit is the card's MAC over the commands in the row (data sheet 10.3)."""
    card = None if intent is None else cards.get(intent[2])
    counter, value = committed[3], committed[4]
    if card is None or counter is None or not intent[18]:
        return False
    covered = b""
    for ins, header, data in intent[18]:
        covered += bytes([ins]) + header
        covered += data if ins in VALUE_COMMANDS else bytes(-len(covered) % 16) + data
        covered += bytes(-len(covered) % 16)
    session = _cmac(card[1], b"\x5a\x00\x01\x00\x80" + counter.to_bytes(4, "little") + card[0])
    return _cmac(session, covered)[1::2] == bytes(value)


@cache
def _cmac(key: bytes, message: bytes) -> bytes:
    mac = CMAC(AES(key))
    mac.update(message)
    return mac.finalize()


def _paid_with(intent: Any) -> tuple[str, int]:
    """The product, and the category of the concession used; both stand in the rights that the row's commands read."""
    paid_by = intent[12]
    rights = next((data for ins, header, data in intent[18] if ins == READ_DATA and header[0] == 1), b"")
    product = PAID_WITH.get(paid_by, "other")
    if product == "contract" and rights:
        sold = int.from_bytes(rights[38 + 8 * (paid_by - 2) :][:2], "big")
        return f"product:{sold}" if sold else product, 0
    return product, rights[20 + 6 * (paid_by - 4)] if product == "concession" and rights else 0


def _goes_on(intent: Any) -> bool:
    return intent[17][0] & 0x0F == EXIT or _bits(intent[17], 82, 4) > 0


def _chain(row: Row, taps: Mapping[Row, Any]) -> list[Row] | None:
    chain = [row]
    while _goes_on(taps[chain[0]]):
        before = (taps[chain[0]][15], taps[chain[0]][16])
        if before not in taps or taps[before][2] != taps[row][2]:
            return None
        chain.insert(0, before)
    return chain


def _shares(money: int, weights: list[int]) -> list[int]:
    exact = [Fraction(money * weight, sum(weights)) for weight in weights]
    shares = [floor(one) for one in exact]
    missing = money - sum(shares)
    for place in sorted(range(len(exact)), key=lambda at: (shares[at] - exact[at], at))[:missing]:
        shares[place] += 1
    return shares


def _bits(event: bytes, low: int, count: int) -> int:
    return int.from_bytes(event, "big") >> low & (1 << count) - 1


def _day(at_ms: int) -> str:
    local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).astimezone(
        ZoneInfo("Europe/Moscow")
    )
    return (local - timedelta(hours=3)).date().isoformat()
