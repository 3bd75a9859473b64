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

What a committed tap comes to is the card's word, not its terminal's (`terminal.collector.proof`). A tap whose proof
does not fit settles no other. A proven tap also says which event it found: where that is one of a row we hold, the row
must be a tap of the same card, and the card's counter must be the next.

What is known of an intent is a set of such facts (`terminal.collector.evidence`) that only ever grows, and its end
is a function of the set: records may arrive in any order. This module computes everything from all records at once and
keeps nothing; the running collector does the same step by step (`terminal.collector.books`) and must agree with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from terminal.collector.alarms import Alarm
from terminal.collector.days import ServiceCalendar, line_of_tap
from terminal.collector.evidence import (
    DOUBTED,
    END,
    HAPPENED,
    NOTHING_KNOWN,
    OFFICE,
    SEEN,
    SEEN_AGAIN,
    WENT_ON,
    Evidence,
    contradiction,
    contradicts,
    counter_skipped,
    counter_twice,
    dropped,
    stated_by,
)
from terminal.collector.phones import CountedShowings, phone_findings
from terminal.collector.proof import (
    DISBELIEVED,
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
from terminal.collector.store import StoredRecord
from terminal.collector.totals import Totals, total_of
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


@dataclass(frozen=True, slots=True)
class ReconcileSettings:
    """Where a service day ends, and what of it must be looked at."""

    zone: str = "Europe/Moscow"
    day_ends_at: int = 3
    evidence: EvidenceLimits = field(default_factory=EvidenceLimits)

    @property
    def calendar(self) -> ServiceCalendar:
        """The service days of these settings."""
        return ServiceCalendar(ZoneInfo(self.zone), self.day_ends_at)


@dataclass(slots=True)
class _CountedTap:
    """What is kept of one intent; what it wrote is dropped as soon as its terminal has stated its end."""

    intent: Intent | None
    card: bytes
    previous: TapId
    day: str
    currency: str
    checked: Checked | None = None
    """By its terminal's word on the end, once there is one."""
    unborne: Alarm | None = None
    """What its row says otherwise than the commands in it, where its terminal's word is not believed."""
    evidence: Evidence = NOTHING_KNOWN


def reconcile(
    records: Iterable[StoredRecord], registry: CardRegistry, settings: ReconcileSettings | None = None
) -> Reconciliation:
    """Add up `records`, ordered by terminal and sequence. Memory grows with the intents among them."""
    ledger = _Reconciler(registry, settings or ReconcileSettings())
    for record in records:
        ledger.take(record)
    ledger.settle()
    return ledger.result()


def ends(records: Iterable[StoredRecord], registry: CardRegistry) -> dict[TapId, End]:
    """How every intent among `records`, ordered by terminal and sequence, ended, as far as all of them tell."""
    ledger = _Reconciler(registry, ReconcileSettings())
    for record in records:
        ledger.take(record)
    ledger.settle()
    return ledger.ends()


class _HeldRows:
    """Which rows are held and can be read: stretches of each terminal, for they come in order."""

    def __init__(self) -> None:
        self._stretches: dict[int, list[list[int]]] = {}
        self._unreadable: set[TapId] = set()

    def take(self, row: TapId) -> None:
        stretches = self._stretches.setdefault(row[0], [])
        if stretches and stretches[-1][1] == row[1] - 1:
            stretches[-1][1] = row[1]
        else:
            stretches.append([row[1], row[1]])

    def cannot_read(self, row: TapId) -> None:
        self._unreadable.add(row)

    def __contains__(self, row: TapId) -> bool:
        held = any(first <= row[1] <= last for first, last in self._stretches.get(row[0], ()))
        return held and row not in self._unreadable


class _Reconciler:
    """One pass over the records, then what follows from all of them together."""

    def __init__(self, registry: CardRegistry, settings: ReconcileSettings) -> None:
        self._registry = registry
        self._limits, self._calendar = settings.evidence, settings.calendar
        self._totals: dict[int, Totals] = {}
        self._taps: dict[TapId, _CountedTap] = {}
        self._held = _HeldRows()
        self._seen_on: defaultdict[TapId, set[bytes]] = defaultdict(set)
        self._last_seen_here: dict[tuple[int, bytes, TapId], int] = {}
        self._counters: dict[tuple[bytes, int], list[TapId]] = {}
        self._showings = CountedShowings()
        self._findings: list[Alarm] = []

    def take(self, stored: StoredRecord) -> None:
        totals = self._totals.setdefault(stored.terminal, Totals())
        totals.records += 1
        row = (stored.terminal, stored.sequence)
        self._held.take(row)
        try:
            self._take(totals, row, read_record(stored.body))
        except UnreadableRecord:
            totals.unreadable += 1  # of newer software: kept, counted, not understood here
            self._held.cannot_read(row)

    def _take(self, totals: Totals, tap_id: TapId, record: AnyRecord) -> None:
        match record:
            case Intent():
                totals.taps += 1
                previous = (record.prev_terminal, record.prev_sequence)
                card = self._registry.name(record.card_ref)
                day = line_of_tap(tap_id[0], record, self._calendar).day
                self._taps[tap_id] = _CountedTap(record, card, previous, day, record.currency)
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
        self._seen_on[previous].add(card)
        self._last_seen_here[tap_id[0], card, previous] = tap_id[1]

    def _end(self, tap_id: TapId, tap: _CountedTap, record: Committed | NotCommitted) -> None:
        if tap.intent is None:
            return
        tap.evidence |= stated_by(record)
        if isinstance(record, Committed):
            checked = tap.checked = check_proof(tap_id, tap.intent, record, self._registry)
            if not checked.happened:
                tap.evidence |= DOUBTED
                if checked.proof in DISBELIEVED:
                    tap.unborne = differing(tap_id, not_stated(tap_id, tap.intent))
            elif record.tmc is not None:
                self._counters.setdefault((tap.card, record.tmc), []).append(tap_id)
            if (finding := finding_of(tap_id, record, checked)) is not None:
                self._findings.append(finding)
            if checked.phone is not None:
                self._findings += phone_findings(tap_id, checked.phone, tap.intent.reasons, self._showings)
        else:
            tap.checked = not_stated(tap_id, tap.intent)
            tap.unborne = differing(tap_id, tap.checked)
        tap.intent = None

    def settle(self) -> None:
        """Find out what other records say of each intent."""
        for tap_id, tap in self._taps.items():
            if any(self._registry.may_be_one(tap.card, card) for card in self._seen_on.get(tap_id, ())):
                tap.evidence |= SEEN
        went_on = {(tap.card, tap.previous) for tap in self._taps.values() if HAPPENED[tap.evidence]}
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
        days: dict[tuple[int, str], dict[Proof, int]] = defaultdict(lambda: defaultdict(int))
        for tap_id, tap in self._taps.items():
            totals = self._totals[tap_id[0]]
            checked = tap.checked
            if checked is None:
                assert tap.intent is not None, "its terminal has not stated an end"
                checked = not_stated(tap_id, tap.intent)
                tap.unborne = differing(tap_id, checked)
            totals.count_tap(tap.evidence, checked, tap.currency)
            if END[tap.evidence] is End.COMMITTED:
                totals.proof_sum(checked.proof, tap.currency).take(checked, 1)
                days[tap_id[0], tap.day][checked.proof] += 1
            if tap.evidence & SEEN and tap.unborne is not None:
                findings.append(tap.unborne)
            if contradicts(tap.evidence):
                findings.append(contradiction(tap_id))
        for (terminal, day), taps in days.items():
            findings += day_findings(terminal, day, taps, self._limits)
        for (_, tmc), found in self._counters.items():
            first, *others = sorted(found)
            findings += [counter_twice(tap_id, first, tmc) for tap_id in others]
        findings += self._broken_lines()
        return Reconciliation(total_of(self._totals.values()), self._totals, sorted(findings))

    def _broken_lines(self) -> list[Alarm]:
        """Proven taps that found an event which its row does not bear out."""
        counters = {tap_id: tmc for (_, tmc), found in self._counters.items() for tap_id in found}
        findings: dict[tuple[str, TapId], Alarm] = {}
        for tap_id, tmc in sorted(counters.items()):
            tap = self._taps[tap_id]
            start = tap.previous
            before, writer = counters.get(start), self._taps.get(start)
            if self._registry.card(tap.card) is None or start == tap_id:
                continue
            if writer is not None and writer.card == tap.card:
                if before is not None and before + 1 != tmc:
                    alarm = counter_skipped(tap_id, tmc, start, before)
                    findings.setdefault((alarm.kind, tap_id), alarm)
            elif start[0] != OFFICE and start in self._held:
                alarm = dropped(start, tap_id)
                findings.setdefault((alarm.kind, start), alarm)
        return list(findings.values())
