"""What the records of all terminals add up to, and how taps of unknown end are settled from each other.

A tap is a row that states a result for a card: an intent (the card was to be written) or an unwritten tap
(nothing to write). Every intent ends in one of three ways, so that for each terminal

    taps = accepted + inside + refused + not_committed + unresolved_open

and money counts only for intents known to be committed. An intent whose terminal never learned its end is
settled by what was read from the same card later, here or anywhere. Every record names the event it found on
the card (`prev_terminal`, `prev_sequence`), and a card's events form one line, so no clock is needed:

- the intent's own event was found on a card: committed;
- the same terminal, later, still found the event the intent had found: not committed;
- another tap that started from that same event was committed: the card went another way, not committed.

A refusal elsewhere that found the older event proves nothing, because it may have come before: it stays open.

What is known of an intent is a set of such facts (`terminal.collector.evidence`) that only ever grows, and its end
is a function of the set: records may arrive in any order. This module computes everything from all records at once and
keeps nothing; the running collector does the same step by step (`terminal.collector.books`) and must agree with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from terminal.collector.alarms import Alarm
from terminal.collector.evidence import (
    END,
    NOTHING_KNOWN,
    SEEN,
    SEEN_AGAIN,
    WENT_ON,
    Evidence,
    Proof,
    check_proof,
    contradiction,
    contradicts,
    counter_twice,
    proof_failed,
    stated_by,
)
from terminal.collector.reading import read_record
from terminal.collector.registry import CardRegistry
from terminal.collector.store import StoredRecord
from terminal.collector.totals import Amount, Totals
from terminal.journal.records import (
    AnyRecord,
    Committed,
    Intent,
    NotCommitted,
    UnreadableRecord,
    Unwritten,
)
from terminal.journal.taps import End, TapId

__all__ = ["Reconciliation", "Totals", "ends", "reconcile"]


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """`findings` are what an operator must look at, besides what was noticed at upload."""

    total: Totals
    terminals: dict[int, Totals]
    findings: list[Alarm]


@dataclass(slots=True)
class _CountedTap:
    """What is kept of one intent; what it wrote is dropped as soon as its terminal has stated its end."""

    intent: Intent | None
    card: bytes
    previous: TapId
    charge: Amount
    evidence: Evidence = NOTHING_KNOWN
    proof: Proof = Proof.UNCHECKED


def reconcile(records: Iterable[StoredRecord], registry: CardRegistry) -> Reconciliation:
    """Add up `records`, ordered by terminal and sequence. Memory grows with the intents among them."""
    ledger = _Reconciler(registry)
    for record in records:
        ledger.take(record)
    ledger.settle()
    return ledger.result()


def ends(records: Iterable[StoredRecord], registry: CardRegistry) -> dict[TapId, End]:
    """How every intent among `records`, ordered by terminal and sequence, ended, as far as all of them tell."""
    ledger = _Reconciler(registry)
    for record in records:
        ledger.take(record)
    ledger.settle()
    return ledger.ends()


class _Reconciler:
    """One pass over the records, then what follows from all of them together."""

    def __init__(self, registry: CardRegistry) -> None:
        self._registry = registry
        self._totals: dict[int, Totals] = {}
        self._taps: dict[TapId, _CountedTap] = {}
        self._seen_on_a_card: set[TapId] = set()
        self._last_seen_here: dict[tuple[int, bytes, TapId], int] = {}
        self._counters: dict[tuple[bytes, int], list[TapId]] = {}
        self._findings: list[Alarm] = []

    def take(self, stored: StoredRecord) -> None:
        totals = self._totals.setdefault(stored.terminal, Totals())
        totals.records += 1
        try:
            self._take(totals, (stored.terminal, stored.sequence), read_record(stored.body))
        except UnreadableRecord:
            totals.unreadable += 1  # of newer software: kept, counted, not understood here

    def _take(self, totals: Totals, tap_id: TapId, record: AnyRecord) -> None:
        match record:
            case Intent():
                totals.taps += 1
                previous = (record.prev_terminal, record.prev_sequence)
                card = self._registry.name(record.card_ref)
                self._taps[tap_id] = _CountedTap(
                    record, card, previous, Amount(record.charge_minor, record.currency)
                )
                self._saw(tap_id, card, previous)
            case Unwritten():
                totals.count_unwritten(record)
                if record.card_ref is not None:
                    card = self._registry.name(record.card_ref)
                    self._saw(tap_id, card, (record.prev_terminal, record.prev_sequence))
            case Committed() | NotCommitted():
                tap = self._taps.get((tap_id[0], record.intent))
                if tap is not None:
                    self._end((tap_id[0], record.intent), tap, record)
            case _:
                pass

    def _saw(self, tap_id: TapId, card: bytes, previous: TapId) -> None:
        self._seen_on_a_card.add(previous)
        self._last_seen_here[tap_id[0], card, previous] = tap_id[1]

    def _end(self, tap_id: TapId, tap: _CountedTap, record: Committed | NotCommitted) -> None:
        if tap.intent is None:
            return
        tap.evidence |= stated_by(record)
        if isinstance(record, Committed):
            tap.proof = check_proof(tap.intent, record, self._registry)
            if record.tmc is not None:
                self._counters.setdefault((tap.card, record.tmc), []).append(tap_id)
            if tap.proof is Proof.FAILED:
                self._findings.append(proof_failed(tap_id, record))
        tap.intent = None

    def settle(self) -> None:
        """Find out what other records say of each intent."""
        for tap_id in self._seen_on_a_card & self._taps.keys():
            self._taps[tap_id].evidence |= SEEN
        went_on = {
            (tap.card, tap.previous) for tap in self._taps.values() if END[tap.evidence] is End.COMMITTED
        }
        for tap_id, tap in self._taps.items():
            if END[tap.evidence] is End.UNRESOLVED:
                if self._last_seen_here[tap_id[0], tap.card, tap.previous] > tap_id[1]:
                    tap.evidence |= SEEN_AGAIN
                if (tap.card, tap.previous) in went_on:
                    tap.evidence |= WENT_ON

    def ends(self) -> dict[TapId, End]:
        return {tap_id: END[tap.evidence] for tap_id, tap in self._taps.items()}

    def result(self) -> Reconciliation:
        findings = self._findings
        for tap_id, tap in self._taps.items():
            self._totals[tap_id[0]].count_tap(tap.evidence, tap.proof, tap.charge)
            if contradicts(tap.evidence):
                findings.append(contradiction(tap_id))
        for (_, tmc), taps in self._counters.items():
            first, *others = sorted(taps)
            findings += [counter_twice(tap_id, first, tmc) for tap_id in others]
        total = Totals()
        for totals in self._totals.values():
            total.add(totals)
        return Reconciliation(total, self._totals, sorted(findings))
