"""Shifts: opened by a service card, closed with totals (T-60, T-66)."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Final

from terminal.errors import JournalError
from terminal.journal.canteen_records import Annulment, BuffetSale, IssueRefused, MealServed
from terminal.journal.journal import Journal
from terminal.journal.records import (
    CashSale,
    Committed,
    Intent,
    NotCommitted,
    Refused,
    ShiftClosed,
    ShiftOpened,
    parse_record,
)

PAGE_ROWS: Final = 1000
CLOSE_FIRST: Final = "Close it with `terminal shift close` first."


def open_shift(
    journal: Journal, now: datetime, operator_ref: str, profile: str, route: int = 0, direction: int = 0
) -> ShiftOpened:
    """Open a shift; raises `JournalError` when one is open. The number is the journal sequence of its opening, so it
    never repeats on a terminal."""
    if journal.open_shift is not None:
        raise JournalError(f"shift {journal.open_shift.shift} is already open", CLOSE_FIRST)
    opened = ShiftOpened(
        at_ms=int(now.timestamp() * 1000),
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


def close_shift(journal: Journal, now: datetime) -> ShiftClosed:
    """Close the open shift with its totals; raises `JournalError` when none is open."""
    shift = journal.open_shift
    if shift is None:
        raise JournalError("no shift is open", "Open one with `terminal shift open`.")
    closed = ShiftClosed(
        int(now.timestamp() * 1000), shift=shift.shift, totals=shift_totals(journal, shift.shift)
    )
    journal.append(closed)
    return closed


def shift_totals(journal: Journal, shift: int) -> dict[str, int]:
    """Taps, accepted, sum charged, refusals by reason, cash, taps whose end is unknown, and rows not yet sent.

    A shift's number is its first row, so nothing before it is read.
    """
    totals: Counter[str] = Counter(taps=0, accepted=0, charged_minor=0, unresolved=0)
    intents: dict[int, Intent] = {}
    after = shift
    while rows := journal.rows(after=after, limit=PAGE_ROWS):
        for row in rows:
            match parse_record(row.body):
                case Intent() as intent if intent.shift == shift:
                    intents[row.sequence] = intent
                    totals["taps"] += 1
                case Committed(intent=sequence) if sequence in intents:
                    intent = intents.pop(sequence)
                    totals["accepted"] += 1
                    totals["charged_minor"] += intent.charge_minor
                    totals[f"message_{intent.message}"] += 1
                case NotCommitted(intent=sequence):
                    intents.pop(sequence, None)
                case CashSale(shift=number) as sale if number == shift:
                    totals["cash_sales"] += 1
                    totals["cash_minor"] += sale.sum_minor
                case Refused(shift=number) as refused if number == shift:
                    totals["taps"] += 1
                    totals["accepted"] += refused.accepted
                    totals[f"message_{refused.message}"] += 1
                case MealServed(shift=number) if number == shift:
                    totals["meals_without_card"] += 1
                case BuffetSale(shift=number) as sold if number == shift:
                    totals["buffet_sales"] += 1
                    totals["buffet_minor"] += sold.sum_minor
                case Annulment(shift=number) if number == shift:
                    totals["annulled"] += 1
                case IssueRefused(shift=number) as refusal if number == shift:
                    totals["refused_without_card"] += 1
                    totals[f"message_{refusal.message}"] += 1
                case _:
                    pass
        after = rows[-1].sequence
    totals["unresolved"] = len(intents)
    totals["unsent_rows"] = journal.unsent
    return dict(totals)
