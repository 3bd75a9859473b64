"""What is known of how an intent ended: facts that only add up, and what the card itself proves.

Both ways of making books use it: all records at once (`terminal.collector.reconcile`) and step by step
(`terminal.collector.books`).
"""

from __future__ import annotations

from enum import Enum, IntFlag
from typing import Final, TypeAlias

from cardproto.desfire.transaction_mac import DataCommand, tmi, transaction_mac_value
from terminal.collector.alarms import Alarm, AlarmKind
from terminal.collector.registry import CardRegistry
from terminal.journal.records import Committed, Intent, NotCommitted

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


class Evidence(IntFlag):
    """Facts about one intent."""

    STATED_COMMITTED = 1
    STATED_NOT_COMMITTED = 2
    RECOVERED = 4
    """Its terminal stated the end, but did not learn it from the tap itself."""
    SEEN = 8
    """Its own event was found on a card."""
    SEEN_AGAIN = 16
    """Its terminal, later, still found the event it had found."""
    WENT_ON = 32
    """Another tap that started from the same event was committed."""

    @property
    def stated(self) -> bool:
        return bool(self & (Evidence.STATED_COMMITTED | Evidence.STATED_NOT_COMMITTED))

    @property
    def end(self) -> End:
        """How the intent ended; what a card showed counts for more than what a terminal denies."""
        if self & (Evidence.STATED_COMMITTED | Evidence.SEEN):
            return End.COMMITTED
        if self & (Evidence.STATED_NOT_COMMITTED | Evidence.SEEN_AGAIN | Evidence.WENT_ON):
            return End.NOT_COMMITTED
        return End.OPEN

    @property
    def settled(self) -> bool:
        """The end is known, but its terminal did not learn it from the tap itself."""
        if self & Evidence.STATED_COMMITTED:
            return bool(self & Evidence.RECOVERED)
        if self & Evidence.SEEN:
            return True
        if self & Evidence.STATED_NOT_COMMITTED:
            return bool(self & Evidence.RECOVERED)
        return self.end is not End.OPEN

    @property
    def contradicts(self) -> bool:
        """The terminal denies what a card showed."""
        return bool(self & Evidence.STATED_NOT_COMMITTED and self & Evidence.SEEN)


NOTHING_KNOWN: Final = Evidence(0)


def stated_by(record: Committed | NotCommitted) -> Evidence:
    """What a terminal's word on the end is worth; its first word counts."""
    stated = Evidence.STATED_COMMITTED if isinstance(record, Committed) else Evidence.STATED_NOT_COMMITTED
    return stated | (Evidence.RECOVERED if record.how == "recovered" else NOTHING_KNOWN)


def check_proof(intent: Intent, committed: Committed, registry: CardRegistry) -> Proof:
    """What the card's transaction MAC says of the tap, as far as the registry knows the card."""
    card = registry.card(intent.card_ref)
    if committed.tmc is None or card is None or not intent.proof:
        return Proof.UNCHECKED
    commands = (DataCommand(*command) for command in intent.proof)
    genuine = transaction_mac_value(card.key, card.uid, committed.tmc, tmi(commands)) == committed.tmv
    return Proof.VERIFIED if genuine else Proof.FAILED


def proof_failed(tap_id: TapId, committed: Committed) -> Alarm:
    return Alarm(AlarmKind.TMV_MISMATCH, *tap_id, f"card counter {committed.tmc}")


def counter_twice(tap_id: TapId, other: TapId, tmc: int) -> Alarm:
    detail = f"card counter {tmc} also in row {other[1]} of terminal {other[0]}"
    return Alarm(AlarmKind.TMC_TWICE, *tap_id, detail)


def contradiction(tap_id: TapId) -> Alarm:
    return Alarm(AlarmKind.CONTRADICTION, *tap_id, "stated not committed, found on the card later")
