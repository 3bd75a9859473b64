"""What is known of how an intent ended: facts that only add up, and what the card itself proves.

Both ways of making books use it: all records at once (`terminal.collector.reconcile`) and step by step
(`terminal.collector.books`). Neither uses the fold of a terminal (`terminal.journal.taps`): that one believes the
first word on an intent, while here cards and later taps are heard as well, in whatever order the journals arrive, and
what a card showed counts for more than what its terminal denies.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, TypeAlias

from cardproto.desfire.transaction_mac import DataCommand, tmi, transaction_mac_value
from terminal.collector.alarms import Alarm, AlarmCause, AlarmKind, detail_of
from terminal.collector.registry import CardRegistry
from terminal.journal.records import Committed, Intent, NotCommitted, SettledBy
from terminal.journal.taps import End, TapId


class Proof(Enum):
    """What the card's transaction MAC says of a committed intent."""

    UNCHECKED = "unchecked"
    VERIFIED = "verified"
    FAILED = "failed"


Evidence: TypeAlias = int
"""Facts about one intent, added up. Plain numbers: several are handled for every tap of a fleet."""

NOTHING_KNOWN: Final = 0
STATED_COMMITTED: Final = 1
STATED_NOT_COMMITTED: Final = 2
RECOVERED: Final = 4
"""Its terminal stated the end, but did not learn it from the tap itself."""
SEEN: Final = 8
"""Its own event was found on a card."""
SEEN_AGAIN: Final = 16
"""Its terminal, later, still found the event it had found."""
WENT_ON: Final = 32
"""Another tap that started from the same event was committed."""

STATED: Final = STATED_COMMITTED | STATED_NOT_COMMITTED
_ALL: Final = range(64)


def _end(known: Evidence) -> End:
    if known & (STATED_COMMITTED | SEEN):
        return End.COMMITTED
    if known & (STATED_NOT_COMMITTED | SEEN_AGAIN | WENT_ON):
        return End.NOT_COMMITTED
    return End.UNRESOLVED


def _settled(known: Evidence) -> bool:
    if known & STATED_COMMITTED:
        return bool(known & RECOVERED)
    if known & SEEN:
        return True
    if known & STATED_NOT_COMMITTED:
        return bool(known & RECOVERED)
    return _end(known) is not End.UNRESOLVED


END: Final = tuple(map(_end, _ALL))
"""How the intent ended, by evidence; what a card showed counts for more than what a terminal denies."""

SETTLED: Final = tuple(map(_settled, _ALL))
"""Whether the end is known but its terminal did not learn it from the tap itself, by evidence."""


def contradicts(known: Evidence) -> bool:
    """The terminal denies what a card showed."""
    return bool(known & STATED_NOT_COMMITTED and known & SEEN)


def stated_by(record: Committed | NotCommitted) -> Evidence:
    """What a terminal's word on the end is worth; its first word counts."""
    stated = STATED_COMMITTED if isinstance(record, Committed) else STATED_NOT_COMMITTED
    return stated | RECOVERED if record.how is SettledBy.RECOVERED else stated


def check_proof(intent: Intent, committed: Committed, registry: CardRegistry) -> Proof:
    """What the card's transaction MAC says of the tap, as far as the registry knows the card."""
    card = registry.card(intent.card_ref)
    if committed.tmc is None or card is None or not intent.proof:
        return Proof.UNCHECKED
    commands = (DataCommand(*command) for command in intent.proof)
    genuine = transaction_mac_value(card.key, card.uid, committed.tmc, tmi(commands)) == committed.tmv
    return Proof.VERIFIED if genuine else Proof.FAILED


def proof_failed(tap_id: TapId, committed: Committed) -> Alarm:
    return Alarm(
        AlarmKind.TMV_MISMATCH, *tap_id, detail_of(AlarmCause.PROOF_FAILED, counter=committed.tmc or 0)
    )


def counter_twice(tap_id: TapId, other: TapId, tmc: int) -> Alarm:
    detail = detail_of(AlarmCause.COUNTER_TWICE, counter=tmc, row=other[1], terminal=other[0])
    return Alarm(AlarmKind.TMC_TWICE, *tap_id, detail)


def contradiction(tap_id: TapId) -> Alarm:
    return Alarm(AlarmKind.CONTRADICTION, *tap_id, AlarmCause.FOUND_LATER)
