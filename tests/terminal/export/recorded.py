"""Rows of a journal, made up: what a bus terminal writes of taps that end in every way."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from cardproto.resident.records.event import Event, EventKind, PaidBy, build_event
from terminal.clock import unix_ms
from terminal.codes import Admission
from terminal.journal.records import AnyRecord, Committed, Intent, NotCommitted, SettledBy, Unwritten
from terminal.policy.load import load_region
from terminal.policy.policy import Policy

POLICY = Policy.of(load_region("demo"))
ZONE = ZoneInfo("Europe/Volgograd")
TERMINAL = 7
CARD_REF = bytes.fromhex("0102030405060708")


def at(clock: str, day: str = "2026-09-15") -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=ZONE)


def intent(
    when: datetime,
    charge_minor: int = 2400,
    paid_by: PaidBy = PaidBy.PURSE,
    kind: EventKind = EventKind.RIDE,
    shift: int = 1,
    **more: object,
) -> Intent:
    event = Event(kind, when, TERMINAL, 5, 7600, charge_minor, 15, 1, paid_by=paid_by)
    stated: dict[str, object] = {
        "at_ms": unix_ms(when),
        "card_ref": CARD_REF,
        "profile": "bus",
        "shift": shift,
        "turn": 0,
        "route": 15,
        "direction": 1,
        "message": "ok_paid",
        "charge_minor": charge_minor,
        "balance_before_minor": 7600 + charge_minor,
        "balance_after_minor": 7600,
        "paid_by": paid_by,
        "tariff": POLICY.tariff,
        "reasons": (),
        "prev_terminal": 0,
        "prev_sequence": 0,
        "event": build_event(event),
        "proof": (),
        "values": {},
        "currency": POLICY.currency,
    }
    return Intent(**(stated | more))  # type: ignore[arg-type] # a record of whatever the test says


def unwritten(
    when: datetime, message: str = "no_funds", admission: Admission = Admission.REFUSED, shift: int = 1
) -> Unwritten:
    return Unwritten(
        unix_ms(when),
        CARD_REF,
        "bus",
        shift,
        message,
        admission,
        POLICY.tariff,
        (),
        0,
        0,
        currency=POLICY.currency,
    )


def committed(number: int, how: SettledBy = SettledBy.ANSWERED) -> Committed:
    return Committed(0, number, None, b"", how)


def not_committed(number: int) -> NotCommitted:
    return NotCommitted(0, number, SettledBy.RECOVERED)


def numbered(*records: AnyRecord) -> list[tuple[int, AnyRecord]]:
    return list(enumerate(records, start=1))
