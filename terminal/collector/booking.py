"""Booking some rows: what they add to the sums, and what they say about taps booked before.

Every rule of `terminal.collector.reconcile` is here once more, turned round: instead of looking at all records for
what decides a tap, each record looks up the taps it decides. Facts only add up and the end of a tap follows from
them, so it makes no difference in which order batches came. What a row costs does not depend on how many there are.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from terminal.codes import ReaderFault
from terminal.collector.alarms import Alarm
from terminal.collector.day_rows import DayRows, RowSpan
from terminal.collector.days import (
    STATE_OF,
    Cell,
    CountState,
    DayLine,
    ProofCell,
    ServiceCalendar,
    What,
    cells_of,
    line_of_tap,
    moved_by_proof,
)
from terminal.collector.evidence import (
    DOUBTED,
    END,
    HAPPENED,
    NOTHING_KNOWN,
    OFFICE,
    SEEN,
    SEEN_AGAIN,
    SETTLED,
    STATED,
    STATED_COMMITTED,
    WENT_ON,
    Evidence,
    contradiction,
    contradicts,
    counter_skipped,
    counter_twice,
    dropped,
    returned,
    stated_by,
)
from terminal.collector.phones import KeptShowings, phone_findings
from terminal.collector.portions import Portions, Watched, WatchedTap
from terminal.collector.proof import (
    Checked,
    EvidenceLimits,
    Proof,
    check_proof,
    day_findings,
    differing,
    finding_of,
    not_stated,
)
from terminal.collector.reading import read_record
from terminal.collector.registry import CardRegistry
from terminal.collector.ride_sums import RideSums
from terminal.collector.terminal_states import KEEP_STATE, latest_states
from terminal.collector.totals import COUNTS, ProofSum, Totals
from terminal.collector.troubles import READER_FAULTS, finding_of_fault
from terminal.journal.canteen_records import Annulment, BuffetSale, CardLent, MealServed
from terminal.journal.console_records import SaleCancelled
from terminal.journal.operation_records import SetReturned
from terminal.journal.records import (
    AnyRecord,
    CashSale,
    Committed,
    Fault,
    Intent,
    NotCommitted,
    UnreadableRecord,
    Unwritten,
)
from terminal.journal.taps import End, TapId

_ENDS: Final = (Committed, NotCommitted)
_FROM_CARDS: Final = (Intent, Unwritten)

_ADDING: Final = (
    " ON CONFLICT DO UPDATE SET taps = taps + excluded.taps, charged_minor = charged_minor + excluded.charged_minor,"
    " overstated_minor = overstated_minor + excluded.overstated_minor,"
    " understated_minor = understated_minor + excluded.understated_minor"
)
_ADD_PROOF_TOTAL: Final = f"INSERT INTO proof_total VALUES (?, ?, ?, ?, ?, ?, ?){_ADDING}"  # noqa: S608 a constant
_ADD_PROOF_DAY: Final = f"INSERT INTO proof_day VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?){_ADDING}"  # noqa: S608 a constant
_UNPROVEN: Final = (
    "INSERT INTO unproven VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET proof = excluded.proof, counted_minor = excluded.counted_minor"
)
_PROVEN_NOW: Final = "DELETE FROM unproven WHERE terminal = ? AND sequence = ?"
_PROOFS_OF_DAY: Final = "SELECT proof, sum(taps) FROM proof_day WHERE day = ? AND terminal = ? GROUP BY proof"


@dataclass(slots=True)
class Mark:
    """How far a terminal's rows are booked, the time of the newest, and the fault of its reader ("" none)."""

    sequence: int = 0
    at_ms: int = 0
    reader: str = ""


class Booking:
    """Books rows within the caller's transaction; `finish` writes the sums. Not used again after an error."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        body_of: Callable[[TapId], bytes | None],
        registry: CardRegistry,
        calendar: ServiceCalendar,
        limits: EvidenceLimits,
        marks: Mapping[int, Mark],
    ) -> None:
        self._connection = connection
        self._watched = Watched(connection)
        self._body_of = body_of
        self._registry = registry
        self._calendar = calendar
        self._limits = limits
        self._before = marks
        self.marks: dict[int, Mark] = {}
        """Those that have moved."""
        self.findings: list[Alarm] = []
        self._totals: dict[int, Totals] = {}
        self._cells: dict[Cell, list[int]] = {}
        self._proofs: dict[ProofCell, ProofSum] = {}
        self._unproven: dict[TapId, tuple[Proof, int] | None] = {}
        self._states: dict[tuple[int, str], str] = {}
        self._rides = RideSums(calendar)
        self._batch: tuple[int, dict[int, AnyRecord]] = (0, {})
        self._day_rows = DayRows(connection, calendar, self._reached)
        self._portions = Portions(connection, self._record_of, self._fill, self.findings, calendar)
        self._received_at_ms = 0

    def mark_of(self, terminal: int) -> Mark:
        """Where the booking of `terminal` has come to, to be changed."""
        mark = self.marks.get(terminal)
        if mark is None:
            old = self._before.get(terminal, Mark())
            mark = self.marks[terminal] = Mark(old.sequence, old.at_ms, old.reader)
        return mark

    def book(
        self, terminal: int, rows: Sequence[tuple[int, bytes]], received_at_ms: int
    ) -> list[tuple[int, AnyRecord]]:
        """Book rows that follow the terminal's mark and came together; return those this software can read."""
        totals = self._totals.setdefault(terminal, Totals())
        totals.records += len(rows)
        self._received_at_ms = received_at_ms
        span = RowSpan(rows[0][0], rows[-1][0])
        records, taps, ends = _read(rows)
        totals.unreadable += len(rows) - len(records)  # of newer software: kept, counted, not understood here
        mark = self.mark_of(terminal)
        self._expect(taps, ends)
        early = self._watched.load_early(terminal, *span)
        self._batch = terminal, dict(records)
        self._day_rows.take(terminal, span, records, self._watched.ended)
        for sequence, record in records:
            mark.sequence = sequence
            if isinstance(record, Intent):
                self._book_tap((terminal, sequence), record, ends.get(sequence))
                continue
            if early:
                self._shown_early((terminal, sequence), None)
            if isinstance(record, _ENDS):
                if ends.get(record.intent) is not record:
                    self._book_end((terminal, record.intent), record)
                continue
            self._book((terminal, sequence), record)
        for what, value in latest_states(records).items():
            self._states[terminal, what] = value
        mark.sequence = span.last
        return records

    def _expect(
        self, taps: Sequence[tuple[int, Intent | Unwritten]], ends: Mapping[int, Committed | NotCommitted]
    ) -> None:
        """Have the watched taps and the histories at hand that these ask for."""
        name, asked = self._registry.name, []
        for sequence, tap in taps:
            if tap.card_ref is not None:
                end = ends.get(sequence)
                tmc = end.tmc if isinstance(end, Committed) else None
                asked.append((name(tap.card_ref), (tap.prev_terminal, tap.prev_sequence), tmc))
        self._watched.expect(asked)

    def _book(self, row: TapId, record: AnyRecord) -> None:
        match record:
            case Unwritten():
                self._totals[row[0]].count_unwritten(record)
                if record.card_ref is not None:
                    start = (record.prev_terminal, record.prev_sequence)
                    self._card_shows(row, self._registry.name(record.card_ref), start)
            case CashSale():
                self._portions.sell_cash(row, record)
            case MealServed():
                self._portions.give(row, record.at_ms, record.pupil, record.meal, record.currency)
            case BuffetSale():
                self._portions.sell(row, record)
            case Annulment() | SaleCancelled():
                self._portions.take_back(row[0], record)
            case CardLent():
                self._portions.lend(row, record.card_ref, record.day, record.pupil)
            case Fault() | SetReturned():
                self._book_trouble(row, record)
            case _:
                pass

    # A tap and its end

    def _book_tap(self, row: TapId, intent: Intent, end: Committed | NotCommitted | None) -> None:
        card = self._registry.name(intent.card_ref)
        start = (intent.prev_terminal, intent.prev_sequence)
        known, tmc = NOTHING_KNOWN, None
        if end is not None:
            known = stated_by(end)
        if isinstance(end, Committed):
            checked, known = self._checked(row, intent, end, known)
            tmc = None if known & DOUBTED else end.tmc
            if _is_ride(intent, checked) and self._watched.goes_on(row, card, start, tmc):
                self._book_ride(row, intent, known, checked)
                return
        else:
            checked = not_stated(row, intent)
        totals = self._totals[row[0]]
        totals.taps += 1
        shown = self._shown_early(row, card)
        if start == row or any(self._registry.may_be_one(card, other) for other in shown):
            known |= SEEN
        others = self._card_shows(row, card, start)
        if END[known] is End.UNRESOLVED and self._watched.card_went_on(card, start):
            known |= WENT_ON
        self._shown(row, intent, known)
        tap = WatchedTap(row, card, start, known)
        totals.count_tap(known, checked, intent.currency)
        self._ended(tap, intent, checked, before=None)
        if HAPPENED[known]:
            self._happened(tap, tmc, others)
        if not known & STATED_COMMITTED or known & DOUBTED:
            self._watched.watch(tap, self._received_at_ms)

    def _book_ride(self, row: TapId, intent: Intent, known: Evidence, checked: Checked) -> None:
        """A ride that its card proves, or lets stand, and that concerns no other tap: as nearly all do."""
        self._rides.add(row[0], intent, checked.proof, SETTLED[known])
        if checked.proof is not Proof.PROVEN:
            self._unproven[row] = checked.proof, checked.counted_minor

    def _book_end(self, tap_id: TapId, record: Committed | NotCommitted) -> None:
        """The terminal's word on a tap that was booked with an earlier part of its journal."""
        tap = self._watched.at(tap_id)
        if tap is None or tap.evidence & STATED:
            return
        if not isinstance(record, Committed):
            self._learn(tap, stated_by(record))
            return
        checked, fact = self._checked(tap_id, self._intent(tap_id), record, stated_by(record))
        after = self._learn(tap, fact, checked)
        if fact & DOUBTED:
            return  # watched on: it settles others only once the card itself shows it
        if record.tmc is not None:
            self._watched.forget_unknown_counter(tap)
            self._into_history(after, record.tmc)
        self._watched.leave(tap_id)

    def _learn(self, tap: WatchedTap, fact: Evidence, checked: Checked | None = None) -> WatchedTap:
        """Add a fact about a watched tap, and what follows from it; `checked` with its terminal's word."""
        known = tap.evidence | fact
        if known == tap.evidence:
            return tap
        after = tap._replace(evidence=known)
        if known & ~tap.evidence & SEEN:
            self._shown(tap.id, self._intent(tap.id), known)
        if not tap.evidence & STATED_COMMITTED:  # afterwards nothing changes what it counts as
            intent = self._intent(tap.id)
            unstated = not_stated(tap.id, intent)
            totals = self._totals.setdefault(tap.id[0], Totals())
            totals.count_tap(tap.evidence, unstated, intent.currency, -1)
            totals.count_tap(known, checked or unstated, intent.currency)
            self._ended(after, intent, checked or unstated, before=tap.evidence)
        self._watched.know(after)
        if HAPPENED[known] and not HAPPENED[tap.evidence]:
            self._happened(after, None, self._watched.started_from(tap.card, tap.start))
        return after

    def _shown(self, row: TapId, intent: Intent, known: Evidence) -> None:
        """A card has shown a tap whose terminal has not said that it happened, or is not believed."""
        believed = known & STATED_COMMITTED and not known & DOUBTED
        if known & SEEN and not believed and (found := differing(row, not_stated(row, intent))) is not None:
            self.findings.append(found)

    def _ended(self, tap: WatchedTap, intent: Intent, checked: Checked, before: Evidence | None) -> None:
        """Bring the day's sums up to what is now known of a tap."""
        end, was = END[tap.evidence], None if before is None else END[before]
        if contradicts(tap.evidence) and not (before is not None and contradicts(before)):
            self.findings.append(contradiction(tap.id))
        line = line_of_tap(tap.id[0], intent, self._calendar)
        if was is not end:
            if was is not None:
                self._fill(line, STATE_OF[was], -1)
            if end is End.COMMITTED and intent.meal is not None:
                pupil = self._portions.holder_of(tap.id, intent, intent.meal)
                self._portions.give(tap.id, intent.at_ms, pupil, intent.meal, intent.currency)
            else:
                self._fill(line, STATE_OF[end], 1)
        elif end is End.COMMITTED:
            self._prove(line, not_stated(tap.id, intent), -1)
        if end is End.COMMITTED:
            self._prove(line, checked, 1)
            if checked.proof is not Proof.PROVEN:
                self._unproven[tap.id] = checked.proof, checked.counted_minor
            elif before is not None:
                self._unproven[tap.id] = None

    def _happened(self, tap: WatchedTap, tmc: int | None, others: list[WatchedTap]) -> None:
        """Other taps that started from the same event did not come true."""
        self._into_history(tap, tmc)
        for other in others:
            if other.id != tap.id:
                self._learn(self._now(other), WENT_ON)

    # What a card shows

    def _card_shows(self, row: TapId, card: bytes, start: TapId) -> list[WatchedTap]:
        """`row` found the event `start` on the card; return the watched taps that started from it."""
        writer, others = self._watched.concerned(card, start)
        if writer is not None:
            if self._registry.may_be_one(writer.card, card):
                self._learn(writer, SEEN)
        elif start[1] > self._reached(start[0]) and start[0] != OFFICE:
            self._watched.seen_early(start, card)
        for tap in others:
            if tap.id[0] == row[0] and tap.id[1] < row[1]:
                self._learn(self._now(tap), SEEN_AGAIN)
        return others

    def _shown_early(self, row: TapId, card: bytes | None) -> set[bytes]:
        """The cards on which the event of `row`, a tap of `card` or of none, was found before it came."""
        cards = self._watched.cards_seen_early(row)
        for other in cards - {card}:
            self.findings += [dropped(row, finder) for finder, _ in self._proven_from(other, row)]
        return cards

    def _now(self, tap: WatchedTap) -> WatchedTap:
        """What is known of a watched tap by now: what one tap taught may have taught others."""
        return self._watched.at(tap.id) or tap

    def _reached(self, terminal: int) -> int:
        mark = self.marks.get(terminal) or self._before.get(terminal)
        return mark.sequence if mark else 0

    # The card's own proof

    def _checked(
        self, row: TapId, intent: Intent, committed: Committed, known: Evidence
    ) -> tuple[Checked, Evidence]:
        checked = check_proof(row, intent, committed, self._registry)
        if (finding := finding_of(row, committed, checked)) is not None:
            self.findings.append(finding)
        if checked.phone is not None:
            self.findings += phone_findings(
                row, checked.phone, intent.reasons, KeptShowings(self._connection)
            )
        return checked, known if checked.happened else known | DOUBTED

    def _into_history(self, tap: WatchedTap, tmc: int | None) -> None:
        """Keep the tap in its card's history; of the taps under one card counter all but the first are findings, and so
        is one that found an event not made under the counter before."""
        around = self._watched.into_history(tap, tmc)
        if tmc is None:
            return
        if around.under is not None:
            first, last = sorted([tap.id, around.under])
            self.findings.append(counter_twice(last, first, tmc))
        if self._registry.card(tap.card) is None:
            return
        if not around.linked and tap.start[0] != OFFICE and tap.start != tap.id:
            self._not_linked(tap, tmc)
        if tap.evidence & SEEN:
            for finder, after in self._proven_from(tap.card, tap.id):
                if after != tmc + 1 and finder != tap.id:
                    self.findings.append(counter_skipped(finder, after, tap.id, tmc))

    def _not_linked(self, tap: WatchedTap, tmc: int) -> None:
        """A proven tap that did not find the event made under the counter before, as far as is known by now."""
        before = self._watched.counter_of(tap.card, tap.start)
        if before is not None:
            self.findings.append(counter_skipped(tap.id, tmc, tap.start, before))
            return
        record = self._record_of(tap.start)
        if record is not None and not self._is_tap_of(record, tap.card):
            self.findings.append(dropped(tap.start, tap.id))

    def _is_tap_of(self, record: AnyRecord, card: bytes) -> bool:
        return isinstance(record, Intent) and self._registry.name(record.card_ref) == card

    def _proven_from(self, card: bytes, event: TapId) -> list[tuple[TapId, int]]:
        """Taps that the card proves and that found an event, with their counters."""
        return [] if self._registry.card(card) is None else self._watched.found_by(card, event)

    def _prove(self, line: DayLine, checked: Checked, times: int) -> None:
        """Count a committed tap of a day by what proves it."""
        cell = (line.day, line.terminal, line.what, line.currency, checked.proof)
        one = self._proofs.get(cell)
        if one is None:
            one = self._proofs[cell] = ProofSum()
        one.take(checked, times)
        if checked.differences and line.what is What.RIDE:
            for moved, amount_minor in moved_by_proof(line, checked):
                self._cells.setdefault(moved, [0, 0])[1] += times * amount_minor

    # The rest

    def _book_trouble(self, row: TapId, fault: Fault | SetReturned) -> None:
        if isinstance(fault, SetReturned):
            self.findings.append(returned(row, fault))
            return
        if fault.code == ReaderFault.WORKS:
            self.mark_of(row[0]).reader = ""
        elif fault.code in READER_FAULTS:
            self.mark_of(row[0]).reader = fault.code
        if (found := finding_of_fault(row, fault)) is not None:
            self.findings.append(found)

    def _intent(self, tap_id: TapId) -> Intent:
        record = self._record_of(tap_id)
        assert isinstance(record, Intent), "only intents are watched"
        return record

    def _record_of(self, row: TapId) -> AnyRecord | None:
        """The record of a row that is booked, as far as it can be read."""
        terminal, records = self._batch
        record = records.get(row[1]) if row[0] == terminal else None
        if record is None and row[1] <= self._reached(row[0]) and (body := self._body_of(row)) is not None:
            try:
                record = read_record(body)
            except UnreadableRecord:
                return None
        return record if row[1] <= self._reached(row[0]) else None

    def _fill(self, line: DayLine, state: CountState, times: int) -> None:
        for cell, amount_minor in cells_of(line, state):
            self._fill_cell(cell, times, times * amount_minor)

    def _fill_cell(self, cell: Cell, facts: int, sum_minor: int) -> None:
        filled = self._cells.get(cell)
        if filled is None:
            filled = self._cells[cell] = [0, 0]
        filled[0] += facts
        filled[1] += sum_minor

    def finish(self) -> None:
        """Add everything counted to the sums."""
        self._watched.keep()
        self._day_rows.finish()
        self._rides.into(self._totals, self._fill_cell, self._proofs)
        self._finish_proofs()
        states = [(*of, value) for of, value in self._states.items()]
        self._connection.executemany(KEEP_STATE, states)
        many = self._connection.executemany
        adding = ", ".join(f"{name} = {name} + excluded.{name}" for name in COUNTS)
        many(
            f"INSERT INTO total (terminal, {', '.join(COUNTS)}) VALUES (?{', ?' * len(COUNTS)})"  # noqa: S608 our names
            f" ON CONFLICT DO UPDATE SET {adding}",
            [(n, *(getattr(totals, name) for name in COUNTS)) for n, totals in self._totals.items()],
        )
        many(
            "INSERT INTO refusal VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
            [(n, message, count) for n, t in self._totals.items() for message, count in t.refused.items()],
        )
        many(
            "INSERT INTO charged VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET"
            " sum_minor = sum_minor + excluded.sum_minor",
            [(n, *charged) for n, t in self._totals.items() for charged in t.charged_minor.items()],
        )
        many(
            "INSERT INTO cell VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " count = count + excluded.count, sum_minor = sum_minor + excluded.sum_minor",
            [(*cell, *filled) for cell, filled in self._cells.items() if filled != [0, 0]],
        )
        many(
            "INSERT INTO mark VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET sequence = excluded.sequence,"
            " at_ms = excluded.at_ms, reader = excluded.reader",
            [(n, mark.sequence, mark.at_ms, mark.reader) for n, mark in self.marks.items()],
        )

    def _finish_proofs(self) -> None:
        """The sums by what proves the taps, and what of a terminal's day must be looked at."""
        totals = [
            (terminal, proof, currency, *one.numbers)
            for (_, terminal, _, currency, proof), one in self._proofs.items()
        ]
        self._connection.executemany(_ADD_PROOF_TOTAL, totals)
        self._finish_unproven()
        days = [(*cell, *one.numbers) for cell, one in self._proofs.items()]
        self._connection.executemany(_ADD_PROOF_DAY, days)
        for day, terminal in sorted({cell[:2] for cell in self._proofs}):
            counted = self._connection.execute(_PROOFS_OF_DAY, (day, terminal))
            taps = {Proof(proof): count for proof, count in counted}
            self.findings += day_findings(terminal, day, taps, self._limits)

    def _finish_unproven(self) -> None:
        """Which taps no card proves, one by one."""
        many, taps = self._connection.executemany, self._unproven.items()
        many(_PROVEN_NOW, [row for row, proof in taps if proof is None])
        many(_UNPROVEN, [(*row, *proof) for row, proof in taps if proof is not None])


_Read: TypeAlias = tuple[
    list[tuple[int, AnyRecord]], list[tuple[int, Intent | Unwritten]], dict[int, Committed | NotCommitted]
]


def _read(rows: Sequence[tuple[int, bytes]]) -> _Read:
    """The records that this software can read, those of cards among them, and the first word on each intent. Most taps
    end a row or two later: those need never be watched.
    """
    records: list[tuple[int, AnyRecord]] = []
    taps: list[tuple[int, Intent | Unwritten]] = []
    ends: dict[int, Committed | NotCommitted] = {}
    first = rows[0][0]
    for sequence, body in rows:
        try:
            record = read_record(body)
        except UnreadableRecord:
            continue
        records.append((sequence, record))
        if isinstance(record, _ENDS):
            if first <= record.intent < sequence:
                ends.setdefault(record.intent, record)
        elif isinstance(record, _FROM_CARDS):
            taps.append((sequence, record))
    return records, taps, ends


def _is_ride(intent: Intent, checked: Checked) -> bool:
    """Whether it is a card's ride of which nothing is found fault with."""
    return intent.meal is None and checked.happened and not checked.differences and checked.phone is None
