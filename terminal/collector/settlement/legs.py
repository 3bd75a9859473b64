"""The rides and cash sales of a service day as its carriers' accounts need them, read from the records by way of the
books: how each tap ended, what proves it, and from which event of the card it started.

The books say where the rows of a day stand and which taps are not simply committed and proven; so a day costs its own
rows, whatever else is held.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from cardproto.errors import FormatError
from cardproto.resident.records.event import EventKind, PaidBy, parse_event
from terminal.collector.books_reader import books_failures
from terminal.collector.day_rows import RowSpan, stretches_of
from terminal.collector.days import ServiceCalendar
from terminal.collector.proof import Proof
from terminal.collector.reading import read_record
from terminal.collector.store import CollectorStore, read_only
from terminal.decision.recompute import CannotRecompute, read_of, snapshot_of
from terminal.export.product import CONCESSIONS, payment_code
from terminal.journal.records import AnyRecord, CashSale, Intent, UnreadableRecord
from terminal.journal.taps import End, JournalTap, TapId

CASH: Final = "cash"
OTHER: Final = "other"
_DAYS: Final = """
WITH RECURSIVE days(day) AS (
    SELECT min(day) FROM day_rows UNION ALL
    SELECT (SELECT min(day) FROM day_rows WHERE day_rows.day > days.day) FROM days WHERE day IS NOT NULL
) SELECT day FROM days WHERE day IS NOT NULL
"""
_ROWS: Final = (
    "SELECT sequence, body FROM record WHERE terminal = ? AND sequence BETWEEN ? AND ? ORDER BY sequence"
)
_ENDS: Final = "SELECT sequence, end FROM watched WHERE terminal = ? AND sequence BETWEEN ? AND ?"
_TAKEN_BACK: Final = (
    "SELECT sequence FROM annulled WHERE cash = 1 AND terminal = ? AND sequence BETWEEN ? AND ?"
)
_UNPROVEN: Final = (
    "SELECT sequence, proof, counted_minor FROM unproven WHERE terminal = ? AND sequence BETWEEN ? AND ?"
)


class RideLeg(NamedTuple):
    """One ride, or rides sold for cash. `charge_minor` is what counts of it, `None` while its end is not known.

    `previous` is the row whose event it found on the card. `goes_on`: it continues the journey of that one, as a
    transfer or as the exit from it (`leaves`).
    """

    row: TapId
    day: str
    route: int
    product: str
    concession: int
    currency: str
    persons: int
    charge_minor: int | None
    proof: Proof | None
    """None for cash, which no card proves."""
    card: bytes
    previous: TapId
    goes_on: bool
    leaves: bool

    @property
    def proven(self) -> bool:
        return self.proof is Proof.PROVEN


class HeldLegs:
    """What one collector holds, read through two connections of its own. Its methods raise `CollectorError`."""

    def __init__(self, books: sqlite3.Connection, records: sqlite3.Connection) -> None:
        self._books = books
        self._records = records
        made_for = dict(books.execute("SELECT name, value FROM made_for"))
        self.calendar: Final = ServiceCalendar(ZoneInfo(made_for["zone"]), int(made_for["day_ends_at"]))

    def days(self) -> list[str]:
        """The service days with any rows, in order."""
        return [day for (day,) in self._books.execute(_DAYS)]

    def state_of(self, day: str) -> bytes:
        """The same as long as nothing is known of that day that was not known before."""
        state = sha256(day.encode())
        for terminal, stretches in stretches_of(self._books, day).items():
            for span in stretches:
                state.update(repr((terminal, *span)).encode())
                for query in (_ENDS, _UNPROVEN, _TAKEN_BACK):
                    found = self._books.execute(query, (terminal, *span)).fetchall()
                    state.update(repr(sorted(found)).encode())
        return state.digest()

    def day(self, day: str) -> Iterator[RideLeg]:
        """The legs of a service day, by terminal and row. A tap that did not come true is none."""
        for terminal, stretches in stretches_of(self._books, day).items():
            for span in stretches:
                yield from self._stretch(terminal, span)

    def leg(self, row: TapId) -> RideLeg | None:
        """The leg in one row; None where there is none, or it has not come."""
        return next(self._stretch(row[0], RowSpan(row[1], row[1])), None)

    def taps(self, day: str) -> Iterator[JournalTap]:
        """The rides and cash sales of a service day with their ends, those of unknown end and those that did not come
        true as well."""
        for terminal, stretches in stretches_of(self._books, day).items():
            for span in stretches:
                yield from (tap for tap, _ in self._taps(terminal, span))

    def _stretch(self, terminal: int, span: RowSpan) -> Iterator[RideLeg]:
        for tap, unproven in self._taps(terminal, span):
            record, row = tap.record, (terminal, tap.sequence)
            if isinstance(record, CashSale) and tap.end is End.SOLD:
                yield _of_cash(row, self.calendar.day_of(record.at_ms), record, tap.riders)
            elif isinstance(record, Intent) and tap.end is not End.NOT_COMMITTED:
                yield _of_tap(row, self.calendar.day_of(record.at_ms), record, tap.end, unproven)

    def _taps(self, terminal: int, span: RowSpan) -> Iterator[tuple[JournalTap, tuple[str, int] | None]]:
        """Each with why it is not proven, and what counts of it; None for what its card proves."""
        ends = dict(self._books.execute(_ENDS, (terminal, *span)))
        unproven = {row[0]: (row[1], row[2]) for row in self._books.execute(_UNPROVEN, (terminal, *span))}
        taken_back = {sequence for (sequence,) in self._books.execute(_TAKEN_BACK, (terminal, *span))}
        for sequence, body in self._records.execute(_ROWS, (terminal, *span)):
            record = _readable(body)
            if isinstance(record, CashSale):
                end = End.CANCELLED if sequence in taken_back else End.SOLD
                yield JournalTap(terminal, sequence, record, end), None
            elif isinstance(record, Intent) and record.meal is None:
                end = End(ends.get(sequence, End.COMMITTED))
                yield JournalTap(terminal, sequence, record, end), unproven.get(sequence)


def _readable(body: bytes) -> AnyRecord | None:
    try:
        return read_record(body)
    except UnreadableRecord:
        return None


def _of_cash(row: TapId, day: str, sale: CashSale, riders: int) -> RideLeg:
    return RideLeg(
        row,
        day,
        sale.route,
        CASH,
        0,
        sale.currency,
        riders,
        sale.sum_minor,
        None,
        b"",
        row,
        goes_on=False,
        leaves=False,
    )


def _of_tap(row: TapId, day: str, intent: Intent, end: End, unproven: tuple[str, int] | None) -> RideLeg:
    proof, charge_minor = (
        (Proof.PROVEN, intent.charge_minor) if unproven is None else (Proof(unproven[0]), unproven[1])
    )
    goes_on, leaves = _journey(intent.event)
    product, concession = what_paid(intent)
    companions = intent.trip.get("companions", 0)
    return RideLeg(
        row,
        day,
        intent.route,
        product,
        concession,
        intent.currency,
        0 if leaves else 1 + companions if isinstance(companions, int) else 1,
        charge_minor if end is End.COMMITTED else None,
        proof,
        intent.card_ref,
        (intent.prev_terminal, intent.prev_sequence),
        goes_on=goes_on,
        leaves=leaves,
    )


def _journey(event: bytes) -> tuple[bool, bool]:
    """Whether the tap that writes this event continues a journey, and whether it is an exit."""
    try:
        written = parse_event(event)
    except FormatError:
        return False, False
    leaves = written.kind is EventKind.CHECK_OUT
    return leaves or written.transfers > 0, leaves


def what_paid(intent: Intent) -> tuple[str, int]:
    """What a ride was paid with, as a code, and the concession used, 0 for none."""
    try:
        paid_by = PaidBy(intent.paid_by)
        product = payment_code(intent)
    except ValueError:  # no terminal of this software states such a one
        return OTHER, 0
    if paid_by not in CONCESSIONS:
        return product, 0
    try:
        held = snapshot_of(read_of(intent.proof)).rights.concessions[CONCESSIONS.index(paid_by)]
    except CannotRecompute:
        held = None
    return product, 0 if held is None else held.code


@contextmanager
def held_legs(books: Path, store: CollectorStore) -> Iterator[HeldLegs]:
    """The legs of a collector, whether it runs or not: all as of one moment of its books. Raises `CollectorError`."""
    with (
        books_failures(books),
        closing(read_only(books)) as reader,
        closing(store.reader()) as records,
    ):
        reader.execute("BEGIN")  # the books as of now; records only ever come on top
        yield HeldLegs(reader, records)
