"""Records as a bus terminal writes them, made of synthetic cards."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from cardproto.resident.records.event import Event, EventKind, build_event
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


AT: Final = datetime(2026, 2, 2, 2, 40, tzinfo=UTC)
READ_RIGHTS: Final = (0xAD, bytes.fromhex("01000000400000"), bytes(64))


def fitting(record: Intent, terminal: int, sequence: int) -> Intent:
    """`record` as terminal and row would have it: event and card commands say what the row says, and the balance after
    it is that before less the charge. A row with commands of its own stays as it is.
    """
    if record.proof != INTENT.proof or record.event != INTENT.event:
        return record
    charge_minor = record.charge_minor
    before_minor = max(record.balance_before_minor, charge_minor)
    found = _event(record.prev_terminal, record.prev_sequence, before_minor, 0)
    event = _event(terminal, sequence, before_minor - charge_minor, charge_minor)
    commands = [READ_RIGHTS, (0xAB, bytes.fromhex("02000000010000"), found)]
    if charge_minor:
        commands.append((0xDC, b"\x03" + charge_minor.to_bytes(4, "little"), b""))
    commands.append((0x8B, bytes.fromhex("02000000200000"), event))
    return msgspec.structs.replace(
        record,
        event=event,
        proof=tuple(commands),
        balance_before_minor=before_minor,
        balance_after_minor=before_minor - charge_minor,
    )


def _event(terminal: int, sequence: int, balance_minor: int, amount_minor: int) -> bytes:
    return build_event(Event(EventKind.RIDE, AT, terminal, sequence, balance_minor, amount_minor, route=7))


def refused(**changes: Any) -> Unwritten:
    return msgspec.structs.replace(REFUSED, **changes)


def committed(
    sequence: int, tmc: int | None = 5, tmv: bytes = bytes(8), how: SettledBy = SettledBy.ANSWERED
) -> Committed:
    return Committed(at_ms=INTENT.at_ms + 300, intent=sequence, tmc=tmc, tmv=tmv, how=how)


def day(taps: int, terminal: int = 7) -> list[AnyRecord]:
    """`taps` paid rides, as records of the terminal's journal that starts empty."""
    return [
        record
        for tap in range(taps)
        for record in (
            fitting(intent(turn=tap), terminal, 2 * tap + 1),
            committed(2 * tap + 1, tmc=tap + 1),
        )
    ]
