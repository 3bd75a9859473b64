"""Records as a bus terminal writes them, made of synthetic cards."""

from __future__ import annotations

from typing import Any

import msgspec

from terminal.codes import Admission
from terminal.journal.records import AnyRecord, Committed, Intent, SettledBy, Unwritten
from terminal.trail import TrailEntry

CARD = bytes.fromhex("c0ffee0000000001")
INTENT = Intent(
    at_ms=1_770_000_000_000,
    card_ref=CARD,
    profile="bus",
    shift=2,
    turn=1,
    route=7,
    direction=0,
    message="ok_paid",
    charge_minor=3_400,
    balance_before_minor=10_000,
    balance_after_minor=6_600,
    paid_by=1,
    tariff="demo:1",
    reasons=(TrailEntry("t-01:ordinary_fare"),),
    prev_terminal=900,
    prev_sequence=12,
    event=bytes(range(32)),
    proof=((0xAD, bytes.fromhex("01000000400000"), bytes(64)), (0xDC, bytes.fromhex("03480d0000"), b"")),
    values={"n": 6_600},
    currency="RUB",
)
REFUSED = Unwritten(
    at_ms=1_770_000_000_000,
    card_ref=CARD,
    profile="bus",
    shift=2,
    message="no_funds",
    admission=Admission.REFUSED,
    tariff="demo:1",
    reasons=(TrailEntry("t-34:not_enough_money", {"balance_minor": 0, "charge_minor": 3_400}),),
    prev_terminal=900,
    prev_sequence=12,
    currency="RUB",
)


def intent(**changes: Any) -> Intent:
    return msgspec.structs.replace(INTENT, **changes)


def refused(**changes: Any) -> Unwritten:
    return msgspec.structs.replace(REFUSED, **changes)


def committed(
    sequence: int, tmc: int | None = 5, tmv: bytes = bytes(8), how: SettledBy = SettledBy.ANSWERED
) -> Committed:
    return Committed(at_ms=INTENT.at_ms + 300, intent=sequence, tmc=tmc, tmv=tmv, how=how)


def day(taps: int) -> list[AnyRecord]:
    """`taps` paid rides, as records of a journal that starts empty."""
    return [
        record for tap in range(taps) for record in (intent(turn=tap), committed(2 * tap + 1, tmc=tap + 1))
    ]
