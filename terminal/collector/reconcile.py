"""What the records of all terminals add up to, and how taps of unknown end are settled from each other.

A tap is a row that states a result for a card: an intent (the card was to be written) or a refusal record
(nothing to write). Every intent ends in one of three ways, so that for each terminal

    taps = accepted + refused + not_committed + unresolved_open

and money counts only for intents known to be committed. An intent whose terminal never learned its end is
settled by what was read from the same card later, here or anywhere. Every record names the event it found on
the card (`prev_terminal`, `prev_sequence`), and a card's events form one line, so no clock is needed:

- somebody found the intent's own event on a card: committed;
- the same terminal, later, still found the event the intent had found: not committed;
- another tap that started from that same event was committed: the card went another way, not committed.

A refusal elsewhere that found the older event proves nothing, because it may have come before: it stays open.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from cardproto.desfire.transaction_mac import DataCommand, tmi, transaction_mac_value
from terminal.collector.registry import CardRegistry
from terminal.collector.store import Alarm, AlarmKind, StoredRecord
from terminal.journal.records import (
    AnyRecord,
    Committed,
    Intent,
    NotCommitted,
    Refused,
    UnreadableRecord,
    parse_record,
)

TapId: TypeAlias = tuple[int, int]
"""Terminal and sequence: names an intent and the event it writes."""


class End(Enum):
    """How an intent ended, as far as is known."""

    OPEN = "open"
    COMMITTED = "committed"
    NOT_COMMITTED = "not committed"


class Proof(Enum):
    """What the card's transaction MAC says of a committed intent."""

    UNCHECKED = "unchecked"
    VERIFIED = "verified"
    FAILED = "failed"


@dataclass(slots=True)
class Totals:
    """Counts and money of one terminal or of all. Money is in kopecks."""

    records: int = 0
    taps: int = 0
    accepted: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    charged_minor: int = 0
    not_committed: int = 0
    unresolved_open: int = 0
    unresolved_settled: int = 0
    tmv_verified: int = 0
    tmv_failed: int = 0
    tmv_unchecked: int = 0
    unreadable: int = 0

    def add(self, other: Totals) -> None:
        for name in self.__slots__:
            if name != "refused":
                setattr(self, name, getattr(self, name) + getattr(other, name))
        for message, count in other.refused.items():
            self.refused[message] = self.refused.get(message, 0) + count


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """`findings` are what an operator must look at, besides what was noticed at upload."""

    total: Totals
    terminals: dict[int, Totals]
    findings: list[Alarm]


@dataclass(slots=True)
class _Tap:
    """What is kept of one intent; its proof is checked and dropped as soon as its end is known."""

    intent: Intent | None
    card: bytes
    previous: TapId
    charge_minor: int
    end: End = End.OPEN
    proof: Proof = Proof.UNCHECKED
    settled: bool = False
    """The terminal did not learn the end from the tap itself."""


def reconcile(records: Iterable[StoredRecord], registry: CardRegistry) -> Reconciliation:
    """Add up `records`, ordered by terminal and sequence. Memory grows with the intents among them."""
    ledger = _Ledger(registry)
    for record in records:
        ledger.take(record)
    ledger.settle()
    return ledger.result()


def ends(records: Iterable[StoredRecord], registry: CardRegistry) -> dict[TapId, End]:
    """How every intent among `records`, ordered by terminal and sequence, ended, as far as all of them tell."""
    ledger = _Ledger(registry)
    for record in records:
        ledger.take(record)
    ledger.settle()
    return ledger.ends()


class _Ledger:
    """One pass over the records, then what follows from all of them together."""

    def __init__(self, registry: CardRegistry) -> None:
        self._registry = registry
        self._totals: dict[int, Totals] = {}
        self._taps: dict[TapId, _Tap] = {}
        self._seen_on_a_card: set[TapId] = set()
        self._last_seen_here: dict[tuple[int, bytes, TapId], int] = {}
        self._counters: dict[tuple[bytes, int], TapId] = {}
        self._findings: list[Alarm] = []

    def take(self, stored: StoredRecord) -> None:
        totals = self._totals.setdefault(stored.terminal, Totals())
        totals.records += 1
        try:
            self._take(totals, (stored.terminal, stored.sequence), parse_record(stored.body))
        except UnreadableRecord:
            totals.unreadable += 1  # of newer software: kept, counted, not understood here

    def _take(self, totals: Totals, tap_id: TapId, record: AnyRecord) -> None:
        match record:
            case Intent():
                totals.taps += 1
                previous = (record.prev_terminal, record.prev_sequence)
                card = self._card_of(record.card_ref)
                self._taps[tap_id] = _Tap(record, card, previous, record.charge_minor)
                self._saw(tap_id, card, previous)
            case Refused():
                totals.taps += 1
                totals.accepted += record.accepted
                if not record.accepted:
                    totals.refused[record.message] = totals.refused.get(record.message, 0) + 1
                if record.card_ref is not None:
                    card = self._card_of(record.card_ref)
                    self._saw(tap_id, card, (record.prev_terminal, record.prev_sequence))
            case Committed() | NotCommitted():
                tap = self._taps.get((tap_id[0], record.intent))
                if tap is not None:
                    self._end((tap_id[0], record.intent), tap, record)
            case _:
                pass

    def _card_of(self, card_ref: bytes) -> bytes:
        """One name per card where the registry knows it; otherwise each pseudonym is taken for a card of its
        own.
        """
        card = self._registry.card(card_ref)
        return card.uid if card else card_ref

    def _saw(self, tap_id: TapId, card: bytes, previous: TapId) -> None:
        self._seen_on_a_card.add(previous)
        self._last_seen_here[tap_id[0], card, previous] = tap_id[1]

    def _end(self, tap_id: TapId, tap: _Tap, record: Committed | NotCommitted) -> None:
        tap.settled = record.how == "recovered"
        if isinstance(record, Committed):
            tap.end = End.COMMITTED
            self._check_proof(tap_id, tap, record)
        else:
            tap.end = End.NOT_COMMITTED
        tap.intent = None

    # The card's own proof

    def _check_proof(self, tap_id: TapId, tap: _Tap, record: Committed) -> None:
        if record.tmc is None or tap.intent is None:
            return
        self._check_counter(tap_id, tap.card, record.tmc)
        card = self._registry.card(tap.intent.card_ref)
        if card is None or not tap.intent.proof:
            return
        commands = (DataCommand(*command) for command in tap.intent.proof)
        genuine = transaction_mac_value(card.key, card.uid, record.tmc, tmi(commands)) == record.tmv
        tap.proof = Proof.VERIFIED if genuine else Proof.FAILED
        if not genuine:
            self._find(AlarmKind.TMV_MISMATCH, tap_id, f"card counter {record.tmc}")

    def _check_counter(self, tap_id: TapId, card: bytes, tmc: int) -> None:
        earlier = self._counters.setdefault((card, tmc), tap_id)
        if earlier != tap_id:
            self._find(
                AlarmKind.TMC_TWICE,
                tap_id,
                f"card counter {tmc} also in row {earlier[1]} of terminal {earlier[0]}",
            )

    # Settling

    def settle(self) -> None:
        """End the open intents that other records decide."""
        for tap_id in self._seen_on_a_card & self._taps.keys():
            tap = self._taps[tap_id]
            if tap.end is End.NOT_COMMITTED:
                self._find(AlarmKind.CONTRADICTION, tap_id, "stated not committed, found on the card later")
            if tap.end is not End.COMMITTED:
                tap.end, tap.settled = End.COMMITTED, True
        went_on = {(tap.card, tap.previous) for tap in self._taps.values() if tap.end is End.COMMITTED}
        for tap_id, tap in self._taps.items():
            if tap.end is not End.OPEN:
                continue
            seen_again = self._last_seen_here[tap_id[0], tap.card, tap.previous] > tap_id[1]
            if seen_again or (tap.card, tap.previous) in went_on:
                tap.end, tap.settled = End.NOT_COMMITTED, True

    def ends(self) -> dict[TapId, End]:
        return {tap_id: tap.end for tap_id, tap in self._taps.items()}

    def _find(self, kind: AlarmKind, tap_id: TapId, detail: str) -> None:
        self._findings.append(Alarm(kind, *tap_id, detail))

    def result(self) -> Reconciliation:
        for (terminal, _), tap in self._taps.items():
            totals = self._totals[terminal]
            totals.unresolved_settled += tap.settled
            totals.unresolved_open += tap.end is End.OPEN
            totals.not_committed += tap.end is End.NOT_COMMITTED
            if tap.end is End.COMMITTED:
                totals.accepted += 1
                totals.charged_minor += tap.charge_minor
                totals.tmv_verified += tap.proof is Proof.VERIFIED
                totals.tmv_failed += tap.proof is Proof.FAILED
                totals.tmv_unchecked += tap.proof is Proof.UNCHECKED
        total = Totals()
        for totals in self._totals.values():
            total.add(totals)
        return Reconciliation(total, self._totals, sorted(self._findings))
