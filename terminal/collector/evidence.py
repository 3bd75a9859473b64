"""What is known of how an intent ended: facts that only add up (what a card proves: `terminal.collector.proof`).

Both ways of making books use it: all records at once (`terminal.collector.reconcile`) and step by step
(`terminal.collector.books`). Neither uses the fold of a terminal (`terminal.journal.taps`): that one believes the
first word on an intent, while here cards and later taps are heard as well, in whatever order the journals arrive, and
what a card showed counts for more than what its terminal denies.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from terminal.collector.alarms import Alarm, AlarmCause, AlarmKind, detail_of
from terminal.journal.operation_records import SetReturned
from terminal.journal.records import Committed, NotCommitted, SettledBy
from terminal.journal.taps import End, TapId

OFFICE: Final = 0
"""The terminal number of issuing and reload points in a card's events: their journals do not come here."""

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
DOUBTED: Final = 64
"""Its terminal states it as committed, and what it states is not the card's word: others are not settled by that."""

STATED: Final = STATED_COMMITTED | STATED_NOT_COMMITTED
_ALL: Final = range(128)


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


def _happened(known: Evidence) -> bool:
    return _end(known) is End.COMMITTED and (not known & DOUBTED or bool(known & SEEN))


END: Final = tuple(map(_end, _ALL))
"""How the intent ended, by evidence; what a card showed counts for more than what a terminal denies."""

SETTLED: Final = tuple(map(_settled, _ALL))
"""Whether the end is known but its terminal did not learn it from the tap itself, by evidence."""

HAPPENED: Final = tuple(map(_happened, _ALL))
"""Whether the card is believed to have gone on from the event the intent had found, by evidence."""


def contradicts(known: Evidence) -> bool:
    """The terminal denies what a card showed."""
    return bool(known & STATED_NOT_COMMITTED and known & SEEN)


def stated_by(record: Committed | NotCommitted) -> Evidence:
    """What a terminal's word on the end is worth; its first word counts."""
    stated = STATED_COMMITTED if isinstance(record, Committed) else STATED_NOT_COMMITTED
    return stated | RECOVERED if record.how is SettledBy.RECOVERED else stated


def counter_twice(tap_id: TapId, other: TapId, tmc: int) -> Alarm:
    detail = detail_of(AlarmCause.COUNTER_TWICE, counter=tmc, row=other[1], terminal=other[0])
    return Alarm(AlarmKind.TMC_TWICE, *tap_id, detail)


def counter_skipped(tap_id: TapId, tmc: int, start: TapId, before: int) -> Alarm:
    """`start` is the event that the tap under counter `tmc` found, made under counter `before`."""
    detail = detail_of(
        AlarmCause.COUNTER_SKIPPED, counter=tmc, before=before, row=start[1], terminal=start[0]
    )
    return Alarm(AlarmKind.COUNTER_GAP, *tap_id, detail)


def dropped(event: TapId, finder: TapId) -> Alarm:
    """Row `event` is no tap of the card on which row `finder`, proven, found its event."""
    detail = detail_of(AlarmCause.NOT_IN_JOURNAL, row=finder[1], terminal=finder[0])
    return Alarm(AlarmKind.DROPPED_TAP, *event, detail)


def contradiction(tap_id: TapId) -> Alarm:
    return Alarm(AlarmKind.CONTRADICTION, *tap_id, AlarmCause.FOUND_LATER)


def returned(row: TapId, record: SetReturned) -> Alarm:
    """The terminal of `row` took a region document back. The edition is what a terminal wrote: no space gets in."""
    detail = detail_of(
        AlarmCause.SET_RETURNED,
        edition=f"{record.id}:{record.version}".replace(" ", "_"),
        back_to=record.back_to,
        why=record.cause.value,
        refused=record.refused,
        taps=record.taps,
        refused_before=record.refused_before,
        taps_before=record.taps_before,
    )
    return Alarm(AlarmKind.TAKEN_BACK, *row, detail)
