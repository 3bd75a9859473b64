"""What the rows of a service day come to (D-09): every fact once, with what its proof and its decision are worth.

Rows come terminal by terminal and in their order, those of other days among them: a later row may say how a tap of the
day ended. Facts and their states are those of the books (`terminal.collector.days`):

- a tap counts when its terminal says that it was committed, or another row found its event on the card;
- of the meals of one pupil, day and kind that were not taken back, the first by the clock counts (O-08).

Held in memory are the taps still open and the meals of the day, nothing else of a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from msgspec import Struct

from cardproto.resident.records.event import PaidBy
from terminal.audit.statement import (
    MOST_LISTED,
    AuditLine,
    AuditTally,
    DifferingRow,
    Subject,
    Worth,
)
from terminal.audit.verdicts import DECIDED_BY_STAFF, NO_CARD, AuditFinding, Decisions, Proofs
from terminal.collector.day_rows import day_of
from terminal.collector.days import (
    PURSE,
    CountState,
    ServiceCalendar,
    line_of_cash,
    line_of_meal,
    line_of_sale,
    line_of_tap,
)
from terminal.journal.canteen_records import Annulment, BuffetSale, CardLent, MealLine, MealServed, owner_of
from terminal.journal.console_records import SaleCancelled
from terminal.journal.records import AnyRecord, CashSale, Committed, Intent, NotCommitted, Unwritten
from terminal.journal.taps import TapId

NOTHING_BOUGHT: Final = ""
_PAID_BY: Final = {int(paid): paid.name.lower() for paid in PaidBy}


class _Fact(NamedTuple):
    """What goes into one line, once its state is known."""

    row: TapId
    at_ms: int
    sold: Subject
    right: str
    currency: str
    payers: Mapping[str, int]
    decision: AuditFinding
    proof: AuditFinding
    stated_minor: int


class _PendingTap(Struct):
    """A tap of the day whose end is not known yet."""

    intent: Intent
    decision: AuditFinding
    pupil: bytes
    """Whose meal it is: the card may have been lent when it was tapped."""
    denied: bool = False


class _ServedPortion(NamedTuple):
    at_ms: int
    row: TapId
    fact: _Fact


class DayCount:
    """Counts one day. `asked` are the rows of any terminal that show how a tap elsewhere ended, with that tap."""

    def __init__(
        self,
        day: str,
        calendar: ServiceCalendar,
        proofs: Proofs,
        decisions: Decisions,
        asked: Mapping[TapId, Iterable[TapId]],
    ) -> None:
        self._day = day
        self._calendar = calendar
        self._proofs = proofs
        self._decisions = decisions
        self._asked = asked
        self._lines: dict[tuple[int, str, Subject, str, str], AuditLine] = {}
        self._open: dict[TapId, _PendingTap] = {}
        self._shown: set[TapId] = set()
        self._annulled: set[TapId] = set()
        self._cancelled: set[TapId] = set()
        """Cash sales taken back; what takes back a meal takes back no cash, and the other way round."""
        self._loans: dict[tuple[int, bytes], bytes] = {}
        self._portions: dict[tuple[bytes, str], list[_ServedPortion]] = {}
        self._sales: list[_Fact] = []
        self.unreadable = 0
        self.differing = 0
        self.differing_rows: list[DifferingRow] = []

    def take(self, row: TapId, record: AnyRecord) -> None:
        """Count one row; of one terminal they come in their order."""
        if row in self._asked:
            self._hear(row, record)
        match record:
            case Intent():
                if self._of_day(record):
                    lent = self._loans.get((row[0], record.card_ref))
                    pupil = lent or owner_of(record.card_ref, record.person_ref)
                    self._open[row] = _PendingTap(record, self._decisions.on(row, record), pupil)
                    if (record.prev_terminal, record.prev_sequence) == row:
                        self._shown.add(row)
            case Committed() | NotCommitted():
                self._end(row, record)
            case Unwritten() if self._of_day(record):
                self._count_unwritten(row, record)
            case Annulment():
                self._annulled.add((row[0], record.of))
            case SaleCancelled():
                self._cancelled.add((row[0], record.sale))
            case CardLent() if self._of_day(record):
                self._loans[row[0], record.card_ref] = record.pupil
            case CashSale() | MealServed() | BuffetSale() if self._of_day(record):
                self._count_sale(row, record)
            case _:
                self._decisions.heed(row, record)

    def _of_day(self, record: AnyRecord) -> bool:
        return day_of(record, self._calendar) == self._day

    # Taps

    def _hear(self, row: TapId, record: AnyRecord) -> None:
        """A row elsewhere that is said to show how a tap ended: it does when it found that tap's event."""
        if isinstance(record, Intent) or (isinstance(record, Unwritten) and record.card_ref is not None):
            found = (record.prev_terminal, record.prev_sequence)
            if found in self._asked[row]:
                self._shown.add(found)

    def _end(self, row: TapId, word: Committed | NotCommitted) -> None:
        tap_id = (row[0], word.intent)
        tap = self._open.get(tap_id)
        if tap is None or tap.denied:
            return  # of another day, or not the terminal's first word on it
        if isinstance(word, NotCommitted):
            tap.denied = True
            return
        del self._open[tap_id]
        self._committed(tap_id, tap, self._proofs.on(tap_id, tap.intent, row, word))

    def _committed(self, row: TapId, tap: _PendingTap, proof: AuditFinding) -> None:
        intent = tap.intent
        fact = self._fact_of_tap(row, intent, tap.decision, proof)
        if intent.meal is None:
            self._count(fact, CountState.COUNTED)
        else:
            self._serve(tap.pupil, intent.meal, intent.at_ms, fact)

    def _fact_of_tap(self, row: TapId, intent: Intent, decision: AuditFinding, proof: AuditFinding) -> _Fact:
        line = line_of_tap(row[0], intent, self._calendar)
        payers = line.payers
        if intent.meal is None and proof.counted_minor is not None:
            payers = {PURSE: proof.counted_minor}  # the card's word counts, not the row's
        sold = Subject.RIDE if intent.meal is None else Subject.MEAL
        right = _PAID_BY.get(intent.paid_by, str(intent.paid_by))
        stated_minor = sum(line.payers.values())
        return _Fact(row, intent.at_ms, sold, right, intent.currency, payers, decision, proof, stated_minor)

    # The rest

    def _count_unwritten(self, row: TapId, record: Unwritten) -> None:
        decision = self._decisions.on(row, record)
        fact = _Fact(
            row, record.at_ms, Subject.UNWRITTEN, record.message, record.currency, {}, decision, NO_CARD, 0
        )
        self._count(fact, record.admission.value)

    def _count_sale(self, row: TapId, record: CashSale | MealServed | BuffetSale) -> None:
        match record:
            case CashSale():
                line, decision = line_of_cash(row[0], record, self._calendar), self._decisions.on(row, record)
                sold, right = Subject.CASH, NOTHING_BOUGHT
            case MealServed():
                line, decision = line_of_meal(row[0], record.meal, record.currency), DECIDED_BY_STAFF
                sold, right = Subject.MEAL, record.how.value
            case BuffetSale():
                line, decision = line_of_sale(row[0], record), DECIDED_BY_STAFF
                sold, right = Subject.BUFFET, NOTHING_BOUGHT
        sum_minor = sum(line.payers.values())
        fact = _Fact(
            row, record.at_ms, sold, right, record.currency, line.payers, decision, NO_CARD, sum_minor
        )
        if isinstance(record, MealServed):
            self._serve(record.pupil, record.meal, record.at_ms, fact)
        else:
            self._sales.append(fact)

    def _serve(self, pupil: bytes, meal: MealLine, at_ms: int, fact: _Fact) -> None:
        self._portions.setdefault((pupil, meal.kind), []).append(_ServedPortion(at_ms, fact.row, fact))

    # The end

    def settle(self) -> tuple[AuditLine, ...]:
        """All rows were taken: what they come to, in a fixed order."""
        for row, tap in sorted(self._open.items()):
            if row in self._shown:
                self._committed(row, tap, self._proofs.not_stated(row, tap.intent))
            else:
                state = CountState.NOT_COMMITTED if tap.denied else CountState.OPEN
                fact = self._fact_of_tap(row, tap.intent, tap.decision, self._proofs.not_ended())
                self._count(fact, state)
        for fact in self._sales:
            back = self._cancelled if fact.sold is Subject.CASH else self._annulled
            self._count(fact, CountState.ANNULLED if fact.row in back else CountState.COUNTED)
        for portions in self._portions.values():
            self._settle_portions(portions)
        self.differing_rows.sort(key=lambda one: (one.terminal, one.sequence))
        return tuple(self._lines[place] for place in sorted(self._lines))

    def _settle_portions(self, portions: list[_ServedPortion]) -> None:
        state = CountState.COUNTED
        for _, row, fact in sorted(portions, key=lambda one: one[:2]):
            if row in self._annulled:
                self._count(fact, CountState.ANNULLED)
            else:
                self._count(fact, state)
                state = CountState.DUPLICATE

    def _count(self, fact: _Fact, state: str) -> None:
        place = (fact.row[0], fact.currency, fact.sold, fact.right, str(state))
        line = self._lines.get(place)
        if line is None:
            line = self._lines[place] = AuditLine(*place)
        sum_minor = sum(fact.payers.values())
        line.facts += 1
        line.sum_minor += sum_minor
        line.overstated_minor += max(0, fact.stated_minor - sum_minor)
        line.understated_minor += max(0, sum_minor - fact.stated_minor)
        for payer, amount_minor in fact.payers.items():
            line.payers[payer] = line.payers.get(payer, 0) + amount_minor
        line.proof.setdefault(fact.proof.code, AuditTally()).add(1, sum_minor)
        line.decision.setdefault(fact.decision.code, AuditTally()).add(1, sum_minor)
        if Worth.DIFFERING in (fact.proof.code, fact.decision.code):
            self._differs(fact)

    def _differs(self, fact: _Fact) -> None:
        self.differing += 1
        if len(self.differing_rows) >= MOST_LISTED:
            return
        self.differing_rows.append(
            DifferingRow(
                terminal=fact.row[0],
                sequence=fact.row[1],
                at_ms=fact.at_ms,
                sold=fact.sold,
                currency=fact.currency,
                sum_minor=fact.stated_minor,
                proof=fact.proof.details,
                decision=fact.decision.details,
            )
        )
