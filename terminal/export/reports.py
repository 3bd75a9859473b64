"""Day and shift reports that add up: every line is a count and a sum of records, the last line is all of them; where
records are in more than one currency, the last line of each currency, for sums of two are never added up.

A day is a service day (T-14). Money counts only where the card's commit is known; taps of unknown end stand in a
column of their own until they are settled (T-66). Cash sales are counted like taps; `cash` is their part of the
sum.

Tables are written as spreadsheets and TIDES tools read them: a header, UTF-8, commas, CRLF as RFC 4180 says.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Final, NamedTuple, TextIO

from cardcli.characters import plain_cell
from terminal.clock import from_unix_ms
from terminal.codes import Admission
from terminal.export.product import payment_code, payment_name
from terminal.journal.records import AnyRecord, CashSale, Intent, ShiftClosed, ShiftOpened, Unwritten
from terminal.journal.taps import NOWHERE_SETTLED, End, JournalTap, taps
from terminal.money import amount_text
from terminal.policy.policy import Policy

DAY_FIELDS: Final = (
    "service_date",
    "terminal",
    "profile",
    "kind",
    "code",
    "product",
    "taps",
    "persons",
    "currency",
    "amount",
)
SHIFT_FIELDS: Final = (
    "terminal",
    "shift",
    "operator",
    "route",
    "opened_at",
    "closed_at",
    "taps",
    "accepted",
    "inside",
    "refused",
    "not_committed",
    "unresolved",
    "cash_sales",
    "cancelled",
    "currency",
    "cash",
    "amount",
    "refusals",
)
TOTAL: Final = "total"
CASH: Final = "cash"
COUNTED: Final = (
    "taps",
    "accepted",
    "inside",
    "refused",
    "not_committed",
    "unresolved",
    "cash_sales",
    "cancelled",
)


@dataclass(slots=True)
class RideTotals:
    """Taps, persons and money of one line."""

    taps: int = 0
    riders: int = 0
    amount_minor: int = 0

    def add(self, other: RideTotals) -> None:
        self.taps += other.taps
        self.riders += other.riders
        self.amount_minor += other.amount_minor


class DayEntry(NamedTuple):
    """In which line a tap stands: codes alone. `kind` is an admission, "cash", or the end of a write that is not
    committed; `code` is what paid for a ride, else the message."""

    day: str
    terminal: int
    profile: str
    kind: str
    code: str
    currency: str


class RideReport:
    """Per service day and terminal: what rides were paid with, what was refused and why, what is unknown."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._lines: dict[DayEntry, RideTotals] = {}
        self._named: dict[str, Policy | None] = {}
        """What paid for rides, and a policy that knows its name, if one came by."""

    def take(self, tap: JournalTap, policy: Policy | None) -> None:
        """Count one tap; `policy` is the one it was decided with, None when that is not known."""
        day = self._policy.service_date(_local(tap.record.at_ms, self._policy.zone)).isoformat()
        entry = DayEntry(day, tap.terminal, tap.profile, *_kind_and_code(tap), tap.record.currency)
        self._lines.setdefault(entry, RideTotals()).add(RideTotals(1, tap.riders, tap.charge_minor))
        if entry.kind == Admission.LET_IN and isinstance(tap.record, Intent) and tap.profile == "bus":
            self._named[entry.code] = self._named.get(entry.code) or policy

    def rows(self) -> list[dict[str, str]]:
        """The lines in order, and their total last, one for each currency."""
        totals: dict[str, RideTotals] = {}
        rows = []
        for entry, line in sorted(self._lines.items()):
            totals.setdefault(entry.currency, RideTotals()).add(line)
            rows.append(_day_row(entry, self._product(entry), line))
        return rows + [
            _day_row(DayEntry(TOTAL, 0, "", "", "", currency), "", total)
            for currency, total in sorted(totals.items() or {"": RideTotals()}.items())
        ]

    def _product(self, entry: DayEntry) -> str:
        """The line's product in words; empty where nothing was sold."""
        if entry.kind == CASH:
            return "Cash ticket"
        if entry.kind == Admission.LET_IN and entry.code in self._named:
            return payment_name(entry.code, self._named[entry.code])
        return ""


@dataclass(slots=True)
class Shift:
    """One shift and what happened in it."""

    terminal: int
    opened: ShiftOpened
    closed: ShiftClosed | None
    taps: int = 0
    accepted: int = 0
    inside: int = 0
    not_committed: int = 0
    unresolved: int = 0
    amount_minor: int = 0
    cash_sales: int = 0
    cancelled: int = 0
    cash_minor: int = 0
    currency: str = ""
    refusals: dict[str, int] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """Each of `COUNTED` by name."""
        refused = sum(self.refusals.values())
        return {name: refused if name == "refused" else getattr(self, name) for name in COUNTED}


def shift_report(
    terminal: int, rows: Iterable[tuple[int, AnyRecord]], settled: Mapping[int, End] = NOWHERE_SETTLED
) -> list[Shift]:
    """The shifts of one journal in order. What was tapped with no shift open belongs to none."""
    shifts: dict[int, Shift] = {}

    def note_shifts() -> Iterable[tuple[int, AnyRecord]]:
        for sequence, record in rows:
            if isinstance(record, ShiftOpened):
                shifts[record.shift] = Shift(terminal, record, None)
            elif isinstance(record, ShiftClosed) and record.shift in shifts:
                shifts[record.shift].closed = record
            yield sequence, record

    for tap in taps(terminal, note_shifts(), settled):
        shift = shifts.get(tap.record.shift)
        if shift is not None:
            _count(shift, tap)
    return list(shifts.values())


def shift_rows(shifts: Iterable[Shift], zone: tzinfo) -> list[dict[str, str]]:
    """The shifts as rows, and their total last, one for each currency. A shift has one, as its journal."""
    rows: list[dict[str, str]] = []
    numbers: dict[str, Counter[str]] = {}
    for shift in shifts:
        sums = {"cash": shift.cash_minor, "amount": shift.amount_minor}
        numbers.setdefault(shift.currency, Counter()).update(shift.counts | sums)
        refusals = " ".join(f"{message}={count}" for message, count in sorted(shift.refusals.items()))
        rows.append(
            {
                "terminal": str(shift.terminal),
                "shift": str(shift.opened.shift),
                "operator": shift.opened.operator_ref,
                "route": str(shift.opened.route),
                "opened_at": _local(shift.opened.at_ms, zone).isoformat(),
                "closed_at": _local(shift.closed.at_ms, zone).isoformat() if shift.closed else "",
                **_numbers(shift.counts | sums, shift.currency),
                "refusals": refusals,
            }
        )
    nothing = dict.fromkeys(SHIFT_FIELDS, "") | {"terminal": TOTAL}
    return rows + [
        nothing | _numbers(counted, currency)
        for currency, counted in sorted(numbers.items() or {"": Counter()}.items())
    ]


def _numbers(counted: Mapping[str, int], currency: str) -> dict[str, str]:
    sums = {name: amount_text(counted.get(name, 0), currency) for name in ("cash", "amount")}
    return {name: str(counted.get(name, 0)) for name in COUNTED} | {"currency": currency} | sums


def _count(shift: Shift, tap: JournalTap) -> None:
    shift.taps += 1
    shift.accepted += tap.accepted
    shift.inside += tap.admission is Admission.INSIDE
    shift.not_committed += tap.end is End.NOT_COMMITTED
    shift.unresolved += tap.end is End.UNRESOLVED
    shift.amount_minor += tap.charge_minor
    if isinstance(tap.record, CashSale):
        shift.cash_minor += tap.charge_minor
        shift.cash_sales += tap.end is End.SOLD
        shift.cancelled += tap.end is End.CANCELLED
    shift.currency = shift.currency or tap.record.currency
    if isinstance(tap.record, Unwritten) and tap.admission is Admission.REFUSED:
        shift.refusals[tap.record.message] = shift.refusals.get(tap.record.message, 0) + 1


def _kind_and_code(tap: JournalTap) -> tuple[str, str]:
    record = tap.record
    if isinstance(record, CashSale):
        return (CASH, "") if tap.end is End.SOLD else (tap.end, CASH)
    if isinstance(record, Unwritten):
        return record.admission, record.message
    if tap.end is not End.COMMITTED:
        return tap.end, ""
    return Admission.LET_IN, payment_code(record) if record.profile == "bus" else record.message


def _day_row(entry: DayEntry, product: str, line: RideTotals) -> dict[str, str]:
    return {
        "service_date": entry.day,
        "terminal": str(entry.terminal or ""),
        "profile": entry.profile,
        "kind": entry.kind,
        "code": entry.code,
        "product": product,
        "taps": str(line.taps),
        "persons": str(line.riders),
        "currency": entry.currency,
        "amount": amount_text(line.amount_minor, entry.currency),
    }


def _local(at_ms: int, zone: tzinfo) -> datetime:
    return from_unix_ms(at_ms).astimezone(zone)


def write_table(out: TextIO, fields: Sequence[str], rows: Iterable[Mapping[str, str]]) -> int:
    """Write the header and every row; returns how many rows. No cell starts a formula."""
    writer = csv.writer(out)
    writer.writerow(fields)
    count = 0
    for row in rows:
        writer.writerow([plain_cell(row[field]) for field in fields])
        count += 1
    return count
