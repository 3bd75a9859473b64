"""Shifts: opened by a service card, closed with totals (T-60, T-66), and their turns (T-62), crews and breaks (T-67,
T-68).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from threading import Lock
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from terminal.clock import unix_ms
from terminal.codes import Admission
from terminal.errors import JournalError
from terminal.journal.canteen_records import Annulment, BuffetSale, IssueRefused, MealServed
from terminal.journal.console_records import (
    BreakDeclared,
    CashHandedOver,
    CrewChanged,
    NoticeRead,
    SaleCancelled,
    TurnStarted,
)
from terminal.journal.journal import Journal
from terminal.journal.operation_records import AnswerRepeated
from terminal.journal.records import (
    AnyRecord,
    CashSale,
    Committed,
    Intent,
    NotCommitted,
    ShiftClosed,
    ShiftOpened,
    Unwritten,
    parse_record,
)
from terminal.journal.taps import End, Intents

PAGE_ROWS: Final = 1000
FIRST_TURN: Final = 1
"""The turn a shift opens with."""
CLOSE_FIRST: Final = "Close it with `terminal shift close` first."


def start_turn(journal: Journal, now: datetime, operator_ref: str, route: int, direction: int) -> TurnStarted:
    """The next turn of the open shift, on this trip (T-62); raises `JournalError` when no shift is open."""
    shift, before = journal.open_shift, journal.open_turn
    if shift is None:
        raise JournalError("no shift is open", "Open one first: a turn belongs to a shift.")
    started = TurnStarted(
        at_ms=unix_ms(now),
        shift=shift.shift,
        turn=1 + (before.turn if before else FIRST_TURN),
        route=route,
        direction=direction,
        operator_ref=operator_ref,
    )
    journal.append(started)
    return started


def open_shift(
    journal: Journal, now: datetime, operator_ref: str, profile: str, route: int = 0, direction: int = 0
) -> ShiftOpened:
    """Open a shift; raises `JournalError` when one is open. The number is the journal sequence of its opening, so it
    never repeats on a terminal."""
    if journal.open_shift is not None:
        raise JournalError(f"shift {journal.open_shift.shift} is already open", CLOSE_FIRST)
    opened = ShiftOpened(
        at_ms=unix_ms(now),
        shift=journal.next_sequence,
        operator_ref=operator_ref,
        profile=profile,
        route=route,
        direction=direction,
    )
    journal.append(opened)
    return opened


def require_shift_of(journal: Journal, profile: str) -> None:
    """Raise `JournalError` when the open shift is one of another kind of terminal: taps would be counted into its
    totals, and a bus would ride on no route."""
    shift = journal.open_shift
    if shift is not None and shift.profile != profile:
        raise JournalError(
            f"shift {shift.shift} was opened for profile {shift.profile}, not {profile}", CLOSE_FIRST
        )


def require_currency(journal: Journal, currency: str) -> None:
    """Raise `JournalError` when the newest tap of the journal was in another currency: sums of a shift would be of two,
    and the cards' purses go on counting in the first.
    """
    last = journal.last_intent
    if last is not None and last.intent.currency != currency:
        raise JournalError(
            f"this terminal has taken {last.intent.currency or 'no currency'}, the region document is in {currency}",
            "Give the document of its region, or begin a new terminal number with a state folder of its own.",
        )


def close_shift(journal: Journal, now: datetime, count: ShiftCount | None = None) -> ShiftClosed:
    """Close the open shift with its totals; raises `JournalError` when none is open.

    `count`: of this shift, to read only what it has not counted yet.
    """
    shift = journal.open_shift
    if shift is None:
        raise JournalError("no shift is open", "Open one with `terminal shift open`.")
    if count is None or count.shift != shift.shift:
        count = ShiftCount(shift.shift)
    totals = count.totals(journal)
    closed = ShiftClosed(unix_ms(now), shift=shift.shift, totals=totals, currency=count.currency)
    journal.append(closed)
    return closed


def cash_due(totals: Mapping[str, int]) -> int:
    """What cash there should be in the vehicle, by the totals of a shift: sold and not handed over (T-67)."""
    gone = totals.get("cash_handed_minor", 0) + totals.get("cash_short_minor", 0)
    return totals.get("cash_minor", 0) + totals.get("cash_over_minor", 0) - gone


class LastSale(Struct, frozen=True):
    """The newest cash sale of a shift, in row `sequence`; it may be cancelled for a time (T-54)."""

    sequence: int
    sale: CashSale
    cancelled: bool = False


COUNTED: Final = ("taps", "accepted", "inside", "refused", "not_committed", "charged_minor", "unresolved")
"""Totals that every shift has, 0 included."""


class ShiftCount:
    """The totals of one shift while it goes on: each look reads only the rows that have come since."""

    def __init__(self, shift: int) -> None:
        self.shift = shift
        self.currency = ""
        """What the sums are in, as far as counted: a terminal's journal has one currency (`require_currency`)."""
        self._counts: Counter[str] = Counter(dict.fromkeys(COUNTED, 0))
        self._refused: Counter[str] = Counter()
        self._inside: Counter[str] = Counter()
        self._lock = Lock()
        self._intents = Intents()
        self.crew: list[CrewChanged] = []
        """Who took the vehicle over, as far as counted."""
        self.read: set[tuple[str, str]] = set()
        """Which notices of the office were read, by whom."""
        self._break_at_ms: int | None = None
        self._last_sale: LastSale | None = None
        self._after = shift

    @property
    def refused(self) -> Mapping[str, int]:
        """How often each message refused a tap, as far as counted."""
        return self._refused

    @property
    def last_sale(self) -> LastSale | None:
        """The newest cash sale, as far as counted."""
        return self._last_sale

    @property
    def inside(self) -> Mapping[str, int]:
        """How often each message neither let in nor refused, as far as counted."""
        return self._inside

    def totals(self, journal: Journal) -> dict[str, int]:
        """Taps, which are those let in, already inside, refused, not committed and of unknown end together; the sum
        charged, counts by message, rows not yet sent; cash that was taken, and what of it was given back, handed
        over or short; answers given again to a card that had not left, which are no taps; how long breaks were.

        A shift's number is its first row, so nothing before it is read. Any thread.
        """
        with self._lock:
            while rows := journal.rows(after=self._after, limit=PAGE_ROWS):
                for row in rows:
                    self._count(row.sequence, parse_record(row.body))
                self._after = rows[-1].sequence
            return dict(self._counts) | {"unresolved": len(self._intents), "unsent_rows": journal.unsent}

    def _count(self, sequence: int, record: AnyRecord) -> None:
        totals, number = self._counts, self.shift
        if (
            isinstance(record, Intent | Unwritten | CashSale | MealServed | BuffetSale)
            and record.shift == number
        ):
            self.currency = self.currency or record.currency
        match record:
            case Intent() if record.shift == number:
                self._intents.take(sequence, record)
                totals["taps"] += 1
            case Committed() | NotCommitted():
                settled = self._intents.take(sequence, record)
                totals["not_committed"] += settled is not None and settled.end is End.NOT_COMMITTED
                if settled is not None and settled.end is End.COMMITTED:
                    totals["accepted"] += 1
                    totals["charged_minor"] += settled.intent.charge_minor
                    totals[f"message_{settled.intent.message}"] += 1
            case CashSale() if record.shift == number:
                totals["cash_sales"] += 1
                totals["cash_minor"] += record.sum_minor
                self._last_sale = LastSale(sequence, record)
            case NoticeRead() if record.shift == number:
                self.read.add((record.notice, record.operator_ref))
            case AnswerRepeated():
                totals["repeated"] += 1
            case SaleCancelled() | CashHandedOver() | CrewChanged() | BreakDeclared() if (
                record.shift == number
            ):
                self._count_crew(record)
            case Unwritten() if record.shift == number:
                totals["taps"] += 1
                totals["accepted"] += record.admission is Admission.LET_IN
                totals["inside"] += record.admission is Admission.INSIDE
                totals["refused"] += record.admission is Admission.REFUSED
                self._refused[record.message] += record.admission is Admission.REFUSED
                self._inside[record.message] += record.admission is Admission.INSIDE
                totals[f"message_{record.message}"] += 1
            case MealServed() | BuffetSale() | Annulment() | IssueRefused() if record.shift == number:
                self._count_counter(record)
            case _:
                pass

    def _count_counter(self, record: MealServed | BuffetSale | Annulment | IssueRefused) -> None:
        totals = self._counts
        match record:
            case MealServed():
                totals["meals_without_card"] += 1
            case BuffetSale():
                totals["buffet_sales"] += 1
                totals["buffet_minor"] += record.sum_minor
            case Annulment():
                totals["annulled"] += 1
            case IssueRefused():
                totals["refused_without_card"] += 1
                totals[f"message_{record.message}"] += 1

    def _count_crew(self, record: SaleCancelled | CashHandedOver | CrewChanged | BreakDeclared) -> None:
        totals = self._counts
        match record:
            case SaleCancelled():
                if self._last_sale is None or self._last_sale.sequence != record.sale:
                    return
                self._last_sale = replace(self._last_sale, cancelled=True)
                totals["cash_sales"] -= 1
                totals["cash_minor"] -= record.sum_minor
                totals["cancelled_sales"] += 1
                totals["cancelled_minor"] += record.sum_minor
            case CashHandedOver():
                totals["cash_handed_minor"] += record.sum_minor
            case CrewChanged():
                self.crew.append(record)
                totals["cash_short_minor"] += max(0, record.due_minor - record.sum_minor)
                totals["cash_over_minor"] += max(0, record.sum_minor - record.due_minor)
            case BreakDeclared(begins=True):
                totals["breaks"] += 1
                self._break_at_ms = record.at_ms
            case BreakDeclared() if self._break_at_ms is not None:
                totals["break_s"] += max(0, record.at_ms - self._break_at_ms) // 1000
                self._break_at_ms = None
