"""File 02, events: the newest tap together with the running state of the card (32 bytes).

One read and one append carry everything a decision needs: who tapped where, what was charged, the balance
after, the open journey, the meals of the day and the counters of the open periods. There is no separate
counter file that could disagree with the log after a torn write.

Counters belong to the periods (service day, month, ...) in which `at` lies; the region document names them
and splits the 56 bits, `counter_layout` says by which split they were written.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, Final

from construct import BitsInteger, Bitwise, ConstructError, Terminated
from construct import Struct as Layout

from cardproto.errors import FormatError

EVENT_BYTES: Final = 32
EVENT_VERSION: Final = 1
NO_JOURNEY: Final = 0x3FFFF
WHERE: Final = "file 02 (events)"


class EventKind(IntEnum):
    """What the newest record is about."""

    ISSUE = 1
    RELOAD = 2
    RIDE = 3
    CHECK_IN = 4
    CHECK_OUT = 5
    MEAL = 6
    CORRECTION = 7
    RIGHTS_CHANGE = 8


class PaidBy(IntEnum):
    """Which of the card's rights or moneys covered the event."""

    NOTHING = 0
    PURSE = 1
    CONTRACT_A = 2
    CONTRACT_B = 3
    CONCESSION_A = 4
    CONCESSION_B = 5
    CONCESSION_C = 6
    TRANSFER = 7
    BUDGET = 8
    GRACE = 9


@dataclass(frozen=True, slots=True)
class Event:
    """One record. Money in kopecks; `at` aware UTC, whole seconds; `journey_age_s` None: no open journey."""

    kind: EventKind
    at: datetime
    terminal: int
    sequence: int
    balance_after_minor: int
    amount_minor: int
    route: int = 0
    direction: int = 0
    journey_age_s: int | None = None
    transfers: int = 0
    paid_by: PaidBy = PaidBy.NOTHING
    counter_layout: int = 0
    meals: int = 0
    counters: int = 0


SCHEMA: Final[Any] = Bitwise(
    Layout(
        "version" / BitsInteger(4) * "record version, 1",
        "kind" / BitsInteger(4) * "kind of event, see below",
        "at" / BitsInteger(32) * "UTC, seconds since 1970",
        "terminal" / BitsInteger(24) * "terminal or service point that wrote it",
        "sequence" / BitsInteger(32) * "its journal number there",
        "balance_after_minor" / BitsInteger(24) * "purse after the event, kopecks",
        "amount_minor" / BitsInteger(24) * "charged or credited, kopecks",
        "direction" / BitsInteger(1) * "direction of the trip",
        "route" / BitsInteger(15) * "route, 0 where there is none",
        "journey_age_s"
        / BitsInteger(18)
        * "seconds since the open journey's first tap; all ones: none is open",
        "transfers" / BitsInteger(6) * "transfers used in the open journey",
        "paid_by" / BitsInteger(4) * "what covered it, see below",
        "counter_layout" / BitsInteger(4) * "which split of the region document the counters follow",
        "meals" / BitsInteger(8) * "meals of the service day, a bit each",
        "counters" / BitsInteger(56) * "counters of the open periods",
    )
)
"""As documented, most significant bit first; `parse_event` and `build_event` are its fast twins."""

EXACT_SCHEMA: Final[Any] = Layout("event" / SCHEMA, Terminated)

_KINDS: Final = {int(kind): kind for kind in EventKind}
_PAYMENTS: Final = {int(payment): payment for payment in PaidBy}
_FAST: Final = struct.Struct(">BI3sI3s3sH3sBB7s")


def parse_event(data: bytes) -> Event:
    """Return the event in exactly 32 bytes; raises `FormatError` for anything else, naming the byte."""
    if len(data) != EVENT_BYTES:
        raise FormatError(WHERE, f"record of {len(data)} bytes, expected {EVENT_BYTES}")
    head, at, terminal, sequence, balance, amount, way, journey, paid, meals, counters = _FAST.unpack(data)
    if head >> 4 != EVENT_VERSION:
        raise FormatError(WHERE, f"unknown record version {head >> 4}", 0)
    journey_bits = int.from_bytes(journey, "big")
    age = journey_bits >> 6
    kind, paid_by = _codes(head & 0x0F, paid >> 4)
    return Event(
        kind=kind,
        at=datetime.fromtimestamp(at, UTC),
        terminal=int.from_bytes(terminal, "big"),
        sequence=sequence,
        balance_after_minor=int.from_bytes(balance, "big"),
        amount_minor=int.from_bytes(amount, "big"),
        route=way & 0x7FFF,
        direction=way >> 15,
        journey_age_s=None if age == NO_JOURNEY else age,
        transfers=journey_bits & 0x3F,
        paid_by=paid_by,
        counter_layout=paid & 0x0F,
        meals=meals,
        counters=int.from_bytes(counters, "big"),
    )


def build_event(event: Event) -> bytes:
    """Return the 32 bytes of `event`; raises `FormatError` when a value does not fit its field."""
    if event.at.utcoffset() is None or event.at.microsecond:
        raise FormatError(WHERE, f"time {event.at!r} is not aware UTC in whole seconds", 1)
    age = event.journey_age_s
    if (age is not None and not 0 <= age < NO_JOURNEY) or not 0 <= event.transfers < 64:
        raise FormatError(WHERE, f"journey age {age} s or transfers {event.transfers} out of range", 20)
    if not 0 <= event.route <= 0x7FFF or event.direction not in (0, 1):
        raise FormatError(WHERE, f"route {event.route} or direction {event.direction} out of range", 18)
    if not 0 <= event.counter_layout <= 15:
        raise FormatError(WHERE, f"counter layout {event.counter_layout} out of range", 23)
    try:
        return _FAST.pack(
            EVENT_VERSION << 4 | event.kind,
            int(event.at.timestamp()),
            event.terminal.to_bytes(3, "big"),
            event.sequence,
            event.balance_after_minor.to_bytes(3, "big"),
            event.amount_minor.to_bytes(3, "big"),
            event.direction << 15 | event.route,
            ((NO_JOURNEY if age is None else age) << 6 | event.transfers).to_bytes(3, "big"),
            event.paid_by << 4 | event.counter_layout,
            event.meals,
            event.counters.to_bytes(7, "big"),
        )
    except (struct.error, OverflowError) as error:
        raise FormatError(WHERE, f"value does not fit: {error}") from error


def parse_event_with_schema(data: bytes) -> Event:
    """The documented schema, slowly: the yardstick `parse_event` is compared with."""
    try:
        raw = EXACT_SCHEMA.parse(data).event
    except ConstructError as error:
        raise FormatError(WHERE, str(error)) from error
    if raw.version != EVENT_VERSION:
        raise FormatError(WHERE, f"unknown record version {raw.version}", 0)
    kind, paid_by = _codes(raw.kind, raw.paid_by)
    return Event(
        kind=kind,
        at=datetime.fromtimestamp(raw.at, UTC),
        terminal=raw.terminal,
        sequence=raw.sequence,
        balance_after_minor=raw.balance_after_minor,
        amount_minor=raw.amount_minor,
        route=raw.route,
        direction=raw.direction,
        journey_age_s=None if raw.journey_age_s == NO_JOURNEY else raw.journey_age_s,
        transfers=raw.transfers,
        paid_by=paid_by,
        counter_layout=raw.counter_layout,
        meals=raw.meals,
        counters=raw.counters,
    )


def _codes(kind: int, paid_by: int) -> tuple[EventKind, PaidBy]:
    known_kind, known_payment = _KINDS.get(kind), _PAYMENTS.get(paid_by)
    if known_kind is None:
        raise FormatError(WHERE, f"unknown kind of event {kind}", 0)
    if known_payment is None:
        raise FormatError(WHERE, f"unknown payment {paid_by}", 23)
    return known_kind, known_payment
