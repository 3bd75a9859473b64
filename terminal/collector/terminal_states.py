"""What the newest rows of a terminal say of it: what is in force there, whether its clock is in doubt, and who says
where the vehicle is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final

from terminal.codes import ClockFault
from terminal.journal.clock_ledger import CLOCK_DOUBTS
from terminal.journal.operation_records import ClockAccepted, ClockAuthenticated, SetActivated
from terminal.journal.records import AnyRecord, CashSale, Committed, Fault, Intent, NotCommitted, Unwritten

CLOCK: Final = "clock"
PLACE: Final = "place"
IN_FORCE: Final = "set:"
SCHEMA: Final = """CREATE TABLE terminal_state (
    terminal INTEGER, what TEXT, value TEXT NOT NULL, PRIMARY KEY (terminal, what)
) WITHOUT ROWID"""
KEEP_STATE: Final = (
    "INSERT INTO terminal_state VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"
)


def states_in(record: AnyRecord) -> Iterator[tuple[str, str]]:
    """What a row changes of its terminal's state, each with the new value."""
    match record:
        case SetActivated():
            yield f"{IN_FORCE}{record.kind}", f"{record.id}:{record.version}"
        case Fault() if record.code in CLOCK_DOUBTS:
            yield CLOCK, record.code
        case Fault(code=ClockFault.WORKS) | ClockAccepted():
            yield CLOCK, ""
        case ClockAuthenticated() if record.agrees:
            yield CLOCK, ""
        case Intent(meal=None) | Unwritten(profile="bus") | CashSale():
            yield PLACE, str(record.trip.get("place.source", ""))
        case _:
            pass


def latest_states(records: Sequence[tuple[int, AnyRecord]]) -> dict[str, str]:
    """What rows that follow one another change in the end."""
    found: dict[str, str] = {}
    for _, record in reversed(records):
        kind = type(record)
        if kind in _WITHOUT or (PLACE in found and kind in _WITH_PLACE):
            continue
        for what, value in states_in(record):
            found.setdefault(what, value)
    return found


_WITHOUT: Final = (Committed, NotCommitted)
_WITH_PLACE: Final = (Intent, Unwritten, CashSale)


def states_of(books: sqlite3.Connection) -> dict[int, dict[str, str]]:
    """The states of every terminal, by `CLOCK`, `PLACE` and `IN_FORCE` with the kind."""
    found: dict[int, dict[str, str]] = {}
    for terminal, what, value in books.execute("SELECT terminal, what, value FROM terminal_state"):
        found.setdefault(terminal, {})[what] = value
    return found
