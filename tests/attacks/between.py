"""Somebody between reader and card, and what must hold whatever they do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cardproto.connection import CardConnection
from cardproto.desfire.crypto import AesKey
from sim.card.virtual import VirtualCard
from sim.faults import flip
from sim.lab_keys import load_lab_keys
from terminal.collector.reconcile import Reconciliation, reconcile
from terminal.collector.registry import CardRegistry, CardSecret
from terminal.collector.store import StoredRecord
from terminal.journal.journal import Journal
from terminal.journal.records import Committed, Intent, NotCommitted, parse_record
from terminal.journal.taps import End
from terminal.lab.town import Town
from terminal.lab.world import events_on, purse_minor
from terminal.tap import Terminal, take_tap
from terminal.tap_report import TapReport

FARE_MINOR = 2400
REGION = 34

Change = Callable[[int, bytes], bytes]
"""(exchange from 0, message) -> message; the reader's UID is exchange 0."""


def unchanged(at: int, message: bytes) -> bytes:
    return message


@dataclass
class Between:
    """Passes everything on, changed by `command` and `answer`; keeps what both sides really said."""

    card: CardConnection
    command: Change = unchanged
    answer: Change = unchanged
    said: list[tuple[bytes, bytes]] = field(default_factory=list)

    def transmit(self, command: bytes) -> bytes:
        at = len(self.said)
        answer = self.card.transmit(self.command(at, command))
        self.said.append((command, answer))
        return self.answer(at, answer)


def flip_at(exchange: int, bit: int) -> Change:
    return lambda at, message: flip(message, bit) if at == exchange else message


@dataclass
class Bystander:
    """Follows one terminal's journal and holds it against what the card really did."""

    terminal: Terminal
    seen: int = 0

    def __post_init__(self) -> None:
        self.seen = self.journal.next_sequence - 1

    @property
    def journal(self) -> Journal:
        return self.terminal.journal

    def charged_minor(self) -> int:
        """By the journal, since last asked: committed intents only."""
        rows = [(row.sequence, parse_record(row.body)) for row in self.journal.rows(self.seen, 1000)]
        self.seen = self.journal.next_sequence - 1
        intents = {sequence: record for sequence, record in rows if isinstance(record, Intent)}
        ended = [record.intent for _, record in rows if isinstance(record, Committed | NotCommitted)]
        assert len(ended) == len(set(ended)), "one end for each intent"
        return sum(intents[record.intent].charge_minor for _, record in rows if isinstance(record, Committed))

    def attacked_tap(self, card: VirtualCard, connection: CardConnection) -> TapReport:
        """A tap through `connection`, and if its end stays unknown one more without anybody between.

        What the terminal says, what its journal says and what the card holds must be one story.
        """
        before = purse_minor(card), events_on(card)
        report = take_tap(connection, self.terminal)
        card.power_on()
        if report.end is End.UNRESOLVED:
            report = take_tap(card, self.terminal)
            card.power_on()
            assert report.outcome.accepted, "the second presentation settles it"
        spent_minor, charged_minor = before[0] - purse_minor(card), self.charged_minor()
        assert spent_minor == charged_minor, "card and journal agree"
        assert not self.journal.open_intents()
        if report.outcome.accepted:
            assert spent_minor == report.outcome.charge_minor == FARE_MINOR
            assert len(events_on(card)) == len(before[1]) + 1
        else:
            assert spent_minor == 0
            assert events_on(card) == before[1]
        return report


def reconciled(town: Town, taps: Iterable[TapReport], *cards: VirtualCard) -> Reconciliation:
    """What the collector makes of all journals, with the issuing point's registry of these cards."""
    masters = load_lab_keys()
    refs = {tap.card_ref for tap in taps if tap.card_ref is not None}
    secrets = {}
    for card in cards:
        key = masters.for_card(card.uid, REGION).transaction_mac
        secrets |= {ref: CardSecret(card.uid, AesKey(key)) for ref in refs}
    stored = [
        StoredRecord(number, row.sequence, row.body)
        for number, terminal in sorted(town.terminals.items())
        for row in terminal.journal.rows(0, 100_000)
    ]
    return reconcile(stored, CardRegistry(secrets))
