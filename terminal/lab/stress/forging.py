"""What a thief can do who has a terminal, its journal and its key, and no card's: well-formed false records.

False statements about a tap are written in place of the true ones while the storm goes on; taps that never were are
added to the journal when all is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeVar

import msgspec

from terminal.clock import unix_ms
from terminal.journal.records import AnyRecord, Committed, Intent
from terminal.lab.stress.world import Post, StormTown

TOO_MUCH_MINOR: Final = 900_000
DRAIN_TRIES: Final = 30
_Row = TypeVar("_Row", Intent, Committed)


def forger(value: int) -> Callable[[AnyRecord], AnyRecord]:
    """Overstates, understates, or drops the proof."""

    def forge(record: AnyRecord) -> AnyRecord:
        if isinstance(record, Committed) and value % 3 == 2:
            return msgspec.structs.replace(record, tmc=None, tmv=b"")
        if isinstance(record, Intent) and value % 3 != 2:
            less = value % 3 == 1 and record.charge_minor
            false = record.charge_minor // 2 if less else record.charge_minor + TOO_MUCH_MINOR
            return msgspec.structs.replace(record, charge_minor=false)
        return record

    return forge


def provable(town: StormTown, record: AnyRecord) -> bool:
    """Whether the card of this tap can prove what it did."""
    card = town.registry.card(record.card_ref) if isinstance(record, Intent) else None
    return card is not None and card.proves


def made_up(town: StormTown, held: Mapping[tuple[int, int], AnyRecord]) -> list[str]:
    """Add taps that never were to a stolen terminal's journal, upload them, and return those that raise no alarm."""
    thief = next((post for post in town.posts if _taps_of(post, held)), None)
    if thief is None:
        return []
    before = {(alarm.kind, alarm.terminal, alarm.sequence) for alarm in town.store.alarms()}
    rows = {what: _add(thief, *pair) for what, pair in _inventions(_taps_of(thief, held))}
    for _ in range(DRAIN_TRIES):
        if thief.client.sync_once().problem is None:
            break
    while town.book(1_000):
        pass
    new = {(alarm.kind, alarm.terminal, alarm.sequence) for alarm in town.store.alarms()} - before
    about = {sequence for _, terminal, sequence in new if terminal == thief.number}
    return [what for what, sequences in rows.items() if not about & set(sequences)]


def _taps_of(post: Post, held: Mapping[tuple[int, int], AnyRecord]) -> list[tuple[Intent, Committed]]:
    """Proven taps of a terminal, as the collector holds them."""
    found = []
    for (number, _), record in held.items():
        if number == post.number and isinstance(record, Committed) and record.tmc is not None:
            intent = held.get((number, record.intent))
            if isinstance(intent, Intent) and intent.proof:
                found.append((intent, record))
    return found[:2]


def _inventions(taps: list[tuple[Intent, Committed]]) -> Iterator[tuple[str, tuple[Intent, Committed]]]:
    (intent, end), (_, other) = taps[0], taps[-1]
    yield "a tap played again", (intent, end)
    yield "another tap's proof", (intent, msgspec.structs.replace(end, tmc=other.tmc, tmv=other.tmv))
    yield "a proof made up", (intent, msgspec.structs.replace(end, tmv=bytes(8)))
    yield (
        "a tap without any proof",
        (
            msgspec.structs.replace(intent, proof=()),
            msgspec.structs.replace(end, tmc=None, tmv=b""),
        ),
    )


def _add(post: Post, intent: Intent, end: Committed) -> tuple[int, int]:
    at_ms = unix_ms(post.clock.now())
    sequence = post.journal.append(_at(intent, at_ms))
    return sequence, post.journal.append(_at(msgspec.structs.replace(end, intent=sequence), at_ms))


def _at(row: _Row, at_ms: int) -> _Row:
    return msgspec.structs.replace(row, at_ms=at_ms)
