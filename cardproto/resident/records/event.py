"""File 02, events: the newest tap together with the running state of the card (32 bytes).

One read and one append carry everything a decision needs: who tapped where, what was charged, the balance
after, the open journey, the meals of the day and the counters of the open periods. There is no separate
counter file that could disagree with the log after a torn write.

Counters belong to the periods (service day, month, ...) of the card's period day, `period_ahead` days after the service
day of `at`: so a clock that is behind opens no period again, and one that is ahead is noticed
(docs/adr/0026-periods-and-clocks.md). The region document names the counters and splits the 56 bits; `counter_layout`
says by which split they were written.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Final, NamedTuple

from cardproto.errors import FormatError
from cardproto.resident.limits import (
    LARGEST_MINOR,
    LARGEST_ROUTE,
    LARGEST_SEQUENCE,
    LARGEST_TERMINAL,
    LONGEST_AGE_S,
    MOST_TRANSFERS,
)

EVENT_BYTES: Final = 32
EVENT_VERSION: Final = 2
FIRST_AT: Final = datetime(2024, 1, 1, tzinfo=UTC)
MOST_SECONDS: Final = (1 << 30) - 1
LAST_AT: Final = FIRST_AT + timedelta(seconds=MOST_SECONDS)
"""The times a record can state."""
MOST_DAYS_BACK: Final = 32
MOST_DAYS_AHEAD: Final = 31
"""How far before and after the service day of `at` the card's period day can be stated."""
MOST_INSIDE: Final = 7
ORDER_NUMBERS: Final = 1 << 10
LARGEST_ORDER: Final = ORDER_NUMBERS - 1
LARGEST_COUNTERS: Final = (1 << 56) - 1
NO_JOURNEY: Final = LONGEST_AGE_S + 1
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
    ORDER = 9


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
    BANK = 10
    """Charged to a bank card later: in rows and in what terminals keep, never on a resident card."""


class Event(NamedTuple):
    """One record. Money in minor units of the region's currency; `at` aware UTC, whole seconds;
    `journey_age_s` None: no open journey.

    `amount_minor` is what the tap itself took, or what a reload, an issue or an order alone brought: where an order's
    credit and a fare share one commit and one event, it is the fare. `balance_after_minor` is after all of it.
    `inside` counts the persons checked in with the card, companions included, 0 when none is. `last_order` is the
    number of the newest card order that was carried out, modulo `ORDER_NUMBERS`.
    """

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
    period_ahead: int = 0
    inside: int = 0
    last_order: int = 0


_KINDS: Final = {int(kind): kind for kind in EventKind}
_PAYMENTS: Final = {int(payment): payment for payment in PaidBy}
_LARGEST: Final = {
    "terminal": LARGEST_TERMINAL,
    "sequence": LARGEST_SEQUENCE,
    "balance_after_minor": LARGEST_MINOR,
    "amount_minor": LARGEST_MINOR,
    "direction": 1,
    "route": LARGEST_ROUTE,
    "inside": MOST_INSIDE,
    "journey_age_s": NO_JOURNEY,
    "transfers": MOST_TRANSFERS,
    "counter_layout": 15,
    "last_order": LARGEST_ORDER,
    "meals": 0xFF,
    "counters": LARGEST_COUNTERS,
}


def parse_event(data: bytes) -> Event:
    """Return the event in exactly 32 bytes; raises `FormatError` for anything else, naming the byte."""
    if len(data) != EVENT_BYTES:
        raise FormatError(WHERE, f"record of {len(data)} bytes, expected {EVENT_BYTES}")
    if data[0] >> 4 != EVENT_VERSION:
        raise FormatError(
            WHERE, f"record of layout {data[0] >> 4}, not {EVENT_VERSION}: issue the card anew", 0
        )
    bits = int.from_bytes(data, "big")
    ahead, age = bits >> 212 & 0x3F, bits >> 86 & NO_JOURNEY
    kind, paid_by = codes_of(bits >> 248 & 0x0F, bits >> 78 & 0x0F)
    return Event(
        kind=kind,
        at=FIRST_AT + timedelta(seconds=bits >> 218 & MOST_SECONDS),
        terminal=bits >> 192 & LARGEST_TERMINAL,
        sequence=bits >> 164 & LARGEST_SEQUENCE,
        balance_after_minor=bits >> 143 & LARGEST_MINOR,
        amount_minor=bits >> 122 & LARGEST_MINOR,
        route=bits >> 106 & LARGEST_ROUTE,
        direction=bits >> 121 & 1,
        journey_age_s=None if age == NO_JOURNEY else age,
        transfers=bits >> 82 & MOST_TRANSFERS,
        paid_by=paid_by,
        counter_layout=bits >> 74 & 0x0F,
        meals=bits >> 56 & 0xFF,
        counters=bits & LARGEST_COUNTERS,
        period_ahead=ahead - 64 if ahead > MOST_DAYS_AHEAD else ahead,
        inside=bits >> 103 & MOST_INSIDE,
        last_order=bits >> 64 & LARGEST_ORDER,
    )


class StatedSums(NamedTuple):
    """Which row of which terminal wrote a record, and the money it states, in minor units."""

    terminal: int
    sequence: int
    balance_after_minor: int
    amount_minor: int


def stated_sums(data: bytes) -> StatedSums | None:
    """These four fields of a record, for those who compare many; None for bytes that are no record of this layout.

    Its kind, payer and time are not looked at: `parse_event` does that, at some five times the cost.
    """
    bits = packed_sums(data)
    if bits < 0:
        return None
    return StatedSums(
        bits >> 70, bits >> 42 & LARGEST_SEQUENCE, bits >> 21 & LARGEST_MINOR, bits & LARGEST_MINOR
    )


def packed_sums(data: bytes) -> int:
    """The same four fields as one number, as they lie in the record: 20, 28, 21 and 21 bits; -1 for no such record."""
    if len(data) != EVENT_BYTES or data[0] >> 4 != EVENT_VERSION:
        return -1
    return int.from_bytes(data[5:17], "big") >> 2 & _SUMS


_SUMS: Final = (1 << 90) - 1


def build_event(event: Event) -> bytes:
    """Return the 32 bytes of `event`; raises `FormatError` when a value does not fit its field."""
    (
        kind,
        at,
        terminal,
        sequence,
        balance_after_minor,
        amount_minor,
        route,
        direction,
        journey_age_s,
        transfers,
        paid_by,
        counter_layout,
        meals,
        counters,
        period_ahead,
        inside,
        last_order,
    ) = event
    if at.utcoffset() is None or at.microsecond or not FIRST_AT <= at <= LAST_AT:
        raise FormatError(WHERE, f"time {at!r} is not aware UTC in whole seconds from 2024 to 2058", 1)
    age = NO_JOURNEY if journey_age_s is None else journey_age_s
    fits = (  # at every tap: a loop over the names takes three times as long
        0 <= terminal <= LARGEST_TERMINAL
        and 0 <= sequence <= LARGEST_SEQUENCE
        and 0 <= balance_after_minor <= LARGEST_MINOR
        and 0 <= amount_minor <= LARGEST_MINOR
        and 0 <= direction <= 1
        and 0 <= route <= LARGEST_ROUTE
        and 0 <= inside <= MOST_INSIDE
        and 0 <= age <= NO_JOURNEY
        and journey_age_s != NO_JOURNEY
        and 0 <= transfers <= MOST_TRANSFERS
        and 0 <= counter_layout <= 15
        and 0 <= last_order <= LARGEST_ORDER
        and 0 <= meals <= 0xFF
        and 0 <= counters <= LARGEST_COUNTERS
        and -MOST_DAYS_BACK <= period_ahead <= MOST_DAYS_AHEAD
    )
    if not fits:
        raise _out_of_range(event)
    since = at - FIRST_AT
    bits = (
        EVENT_VERSION << 252
        | kind << 248
        | since.days * 86400 + since.seconds << 218
        | (period_ahead & 0x3F) << 212
        | terminal << 192
        | sequence << 164
        | balance_after_minor << 143
        | amount_minor << 122
        | direction << 121
        | route << 106
        | inside << 103
        | age << 86
        | transfers << 82
        | paid_by << 78
        | counter_layout << 74
        | last_order << 64
        | meals << 56
        | counters
    )
    return bits.to_bytes(EVENT_BYTES, "big")


def _out_of_range(event: Event) -> FormatError:
    """The error that names the first value of `event` that does not fit."""
    age_s, ahead = event.journey_age_s, event.period_ahead
    if age_s == NO_JOURNEY:
        return FormatError(WHERE, f"journey age {age_s} s out of range", 19)
    if not -MOST_DAYS_BACK <= ahead <= MOST_DAYS_AHEAD:
        return FormatError(WHERE, f"period {ahead} days ahead out of range", 4)
    values = {name: getattr(event, name) for name in _LARGEST} | {"journey_age_s": age_s or 0}
    name = next(name for name, most in _LARGEST.items() if not 0 <= values[name] <= most)
    return FormatError(WHERE, f"{name} {values[name]} out of range, at most {_LARGEST[name]}")


def codes_of(kind: int, paid_by: int) -> tuple[EventKind, PaidBy]:
    known_kind, known_payment = _KINDS.get(kind), _PAYMENTS.get(paid_by)
    if known_kind is None:
        raise FormatError(WHERE, f"unknown kind of event {kind}", 0)
    if known_payment is None:
        raise FormatError(WHERE, f"unknown payment {paid_by}", 21)
    return known_kind, known_payment
