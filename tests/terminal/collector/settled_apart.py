"""Carriers' settlement once more, from exported records alone: knows neither books nor settlement of the product.

It reads row bodies as msgpack, takes all of them together, and divides money with fractions. What it shares with the
product is what the documents say: the fields of rows, the bits of an event, and the rule of the division.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import floor
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

INTENT, COMMITTED, NOT_COMMITTED, CASH, CANCELLED = 4, 5, 6, 10, 56
EXIT = 5
Row = tuple[int, int]


def settled_apart(
    records: Mapping[Row, bytes], carrier_of: Mapping[int, str], split: str, weights: Mapping[str, int]
) -> dict[tuple[str, str, int, str], tuple[int, int]]:
    """By day, carrier, route and currency: what was taken, and what the carrier is due, in minor units."""
    rows = {row: msgspec.msgpack.decode(body[1:]) for row, body in records.items()}
    ended = _ends(rows)
    given_back = {(row[0], fields[3]) for row, fields in rows.items() if fields[0] == CANCELLED}
    taps: dict[Row, Any] = {}
    found: dict[tuple[str, str, int, str], list[Fraction]] = defaultdict(lambda: [Fraction(0), Fraction(0)])

    def at(row: Row) -> tuple[str, str, int, str]:
        fields = rows[row]
        route = fields[6] if fields[0] == INTENT else fields[4]
        currency = fields[26 if fields[0] == INTENT else 13]
        return _day(fields[1]), carrier_of.get(route, ""), route, currency

    for row, fields in rows.items():
        if fields[0] == CASH and row not in given_back:
            for place in (0, 1):
                found[at(row)][place] += fields[7]
        elif fields[0] == INTENT and ended.get(row) == COMMITTED:
            taps[row] = fields
            for place in (0, 1):
                found[at(row)][place] += fields[9]
    for row, fields in taps.items():
        kind, transfers = fields[17][0] & 0x0F, _bits(fields[17], 82, 4)
        if split == "none" or not (transfers or kind == EXIT):
            continue
        chain = _chain(row, taps)
        if chain is None:
            continue
        for sign, part in ((1, chain), (-1, chain[:-1])):
            rides = [one for one in part if taps[one][17][0] & 0x0F != EXIT]
            if not rides:
                continue
            parts = [weights.get(at(one)[1], 1) if split == "weights" else 1 for one in rides]
            money = sum(taps[one][9] for one in part)
            for one, share in zip(rides, _shares(money, parts), strict=True):
                found[(at(row)[0], *at(one)[1:])][1] += sign * share
        found[at(row)][1] -= fields[9]
    return {key: (int(taken), int(due)) for key, (taken, due) in found.items() if taken or due}


def _ends(rows: Mapping[Row, Any]) -> dict[Row, int]:
    """How each tap ended: by its terminal's own first word, else by the card that came back with its event."""
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
    return ended


def _chain(row: Row, taps: Mapping[Row, Any]) -> list[Row] | None:
    chain = [row]
    while _bits(taps[chain[0]][17], 82, 4) or taps[chain[0]][17][0] & 0x0F == EXIT:
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
