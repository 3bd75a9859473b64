"""What the crew of a bus is shown, read from journal and policy. Nothing personal: no card, not even by pseudonym."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Struct

from terminal.clock import Clock, from_unix_ms, unix_ms
from terminal.codes import TicketKind
from terminal.decision.bus.cash import decide_cash
from terminal.decision.outcome import Message
from terminal.journal.console_records import OrderDeclared, SaleCancelled
from terminal.journal.journal import Journal
from terminal.journal.records import (
    AnyRecord,
    CashSale,
    Fault,
    ShiftClosed,
    ShiftOpened,
    parse_record,
)
from terminal.journal.taps import End, JournalTap, taps
from terminal.messages import Colour, colour
from terminal.policy.policy import Policy
from terminal.trip.facts import Trip

LOOK_BACK_ROWS: Final = 400
MARKS: Final = {Colour.GREEN: "✓", Colour.YELLOW: "!", Colour.RED: "✕"}


class TapLine(Struct, frozen=True):
    """One tap or sale in the list of the newest. `message` empty: the end of the tap is not known yet."""

    at: datetime
    message: str
    colour: str
    mark: str
    charge_minor: int = 0
    persons: int = 0
    """Above 0 for a cash sale."""
    sequence: int = 0
    cancelled: bool = False


def newest_taps(journal: Journal, limit: int) -> list[TapLine]:
    """The newest taps and cash sales, newest first."""
    after = max(journal.base.sequence, journal.head.sequence - LOOK_BACK_ROWS)
    rows = ((row.sequence, parse_record(row.body)) for row in journal.rows(after, LOOK_BACK_ROWS))
    found = [_line(tap) for tap in taps(journal.terminal, rows) if tap.end is not End.NOT_COMMITTED]
    return sorted(found, key=lambda line: line.at, reverse=True)[:limit]


def _line(tap: JournalTap) -> TapLine:
    record, at = tap.record, from_unix_ms(tap.record.at_ms)
    if tap.end is End.UNRESOLVED:
        return TapLine(at, "", Colour.YELLOW, "?", sequence=tap.sequence)
    message, persons = (
        (Message.OK_PAID, record.persons) if isinstance(record, CashSale) else (record.message, 0)
    )
    shade = colour(message)
    cancelled = tap.end is End.CANCELLED
    if cancelled:
        shade = Colour.YELLOW
    return TapLine(at, message, shade, MARKS[shade], tap.charge_minor, persons, tap.sequence, cancelled)


class Unsent(Struct, frozen=True):
    """How much waits for the network, and how old the oldest of it is."""

    rows: int
    age_s: int


def unsent(journal: Journal, clock: Clock) -> Unsent:
    """What the collector has not confirmed yet (T-65)."""
    oldest = journal.rows(journal.acknowledged_through, 1)
    if not oldest:
        return Unsent(0, 0)
    age_ms = unix_ms(clock.now()) - parse_record(oldest[0].body).at_ms
    return Unsent(journal.unsent, max(0, age_ms) // 1000)


def newest_faults(journal: Journal, limit: int) -> list[Fault | OrderDeclared]:
    """The newest faults among the last rows, newest first, and when staff took the terminal out of service (T-64)."""
    after = max(journal.base.sequence, journal.head.sequence - 10 * LOOK_BACK_ROWS)
    rows = (parse_record(row.body) for row in journal.rows(after, 10 * LOOK_BACK_ROWS))
    return [record for record in rows if isinstance(record, Fault | OrderDeclared)][::-1][:limit]


def shift_of(journal: Journal, closed_in: int) -> tuple[ShiftOpened | None, ShiftClosed] | None:
    """The shift that row `closed_in` closed, with its opening where that is still held; None: it closed none."""
    closed = _record(journal, closed_in)
    if not isinstance(closed, ShiftClosed):
        return None
    opened = _record(journal, closed.shift)
    return opened if isinstance(opened, ShiftOpened) else None, closed


def sale_of(journal: Journal, sequence: int) -> CashSale | None:
    """The cash sale in this row."""
    record = _record(journal, sequence)
    return record if isinstance(record, CashSale) else None


def cancellation_of(journal: Journal, sequence: int) -> SaleCancelled | None:
    """The row that cancelled the sale in row `sequence`: it stands before the next sale and the end of the shift."""
    after = sequence
    while rows := journal.rows(after, LOOK_BACK_ROWS):
        for row in rows:
            record = parse_record(row.body)
            if isinstance(record, CashSale | ShiftClosed | ShiftOpened):
                return None
            if isinstance(record, SaleCancelled):
                return record if record.sale == sequence else None
        after = rows[-1].sequence
    return None


def _record(journal: Journal, sequence: int) -> AnyRecord | None:
    rows = journal.rows(sequence - 1, 1)
    return parse_record(rows[0].body) if rows and rows[0].sequence == sequence else None


class CashPrice(Struct, frozen=True):
    """What one person pays in cash now; `message` says why it is None."""

    sum_minor: int | None
    message: str


def cash_price(policy: Policy, trip: Trip, now: datetime, kind: TicketKind = TicketKind.FULL) -> CashPrice:
    """The price of one ticket that the crew is shown before selling."""
    decision = decide_cash(policy, trip, 1, now, kind)
    return CashPrice(decision.sum_minor, decision.message.value)
