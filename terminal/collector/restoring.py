"""A terminal that goes on behind a gap it declares: on new hardware (docs/adr/0012-new-hardware.md), or behind numbers
that it passed over after damage or a power cut (docs/adr/0039-numbers-outside-the-log.md)."""

from __future__ import annotations

from terminal.codes import SkipCause
from terminal.collector.alarms import Alarm, AlarmCause, AlarmKind, detail_of
from terminal.journal.chain import Head
from terminal.journal.operation_records import NumbersSkipped, Restored
from terminal.journal.records import AnyRecord, UnreadableRecord, parse_record
from terminal.sync.wire import Batch


def declared_gap(batch: Batch, held: Head) -> Alarm | None:
    """What an operator must know when `batch` begins behind a gap that its terminal declares; None when it begins with
    no such row, or does not continue what is `held`: then a gap before it was not declared.
    """
    first = _first_of(batch)
    match first:
        case Restored(after=after) if after == held.sequence and batch.previous_hash == held.hash:
            detail = detail_of(
                AlarmCause.ROWS_LOST, first=held.sequence + 1, last=batch.first - 1, backup=first.backup
            )
            return Alarm(AlarmKind.GAP, batch.terminal, held.sequence + 1, detail)
        case NumbersSkipped() if first.last == batch.first - 1 and _reaches(first, batch, held):
            return _skip_alarm(first, batch.terminal, held.sequence)
        case _:
            return None


def _reaches(skip: NumbersSkipped, batch: Batch, held: Head) -> bool:
    """Whether nothing is missing between what is `held` and the numbers passed over.

    What is held beyond the beginning of them was lost by the terminal only. A journal begun anew cannot send what was
    in the old one, so nothing else will come.
    """
    before = skip.first - 1
    if before == held.sequence:
        return batch.previous_hash == held.hash
    return before < held.sequence or skip.cause is SkipCause.BEGAN_ANEW


def _skip_alarm(skip: NumbersSkipped, terminal: int, held: int) -> Alarm:
    first = held + 1 if skip.cause is SkipCause.BEGAN_ANEW else max(skip.first, held + 1)
    if skip.stored >= first:
        detail = detail_of(AlarmCause.ROWS_DAMAGED, first=first, last=skip.stored, why=skip.cause)
        return Alarm(AlarmKind.ROWS_LOST, terminal, first, detail)
    if held >= skip.first:
        detail = detail_of(AlarmCause.ROWS_ONLY_HERE, first=skip.first, last=held, why=skip.cause)
        return Alarm(AlarmKind.ROWS_LOST, terminal, skip.first, detail)
    if skip.cause is SkipCause.BEGAN_ANEW:
        return Alarm(AlarmKind.ROWS_LOST, terminal, skip.first, AlarmCause.JOURNAL_REPLACED)
    # One line for each cause, counted: a bus whose power is cut every night is one thing to look at.
    return Alarm(AlarmKind.GAP, terminal, 0, detail_of(AlarmCause.NUMBERS_SKIPPED, why=skip.cause))


def previous_row(batch: Batch) -> int:
    """The row whose hash `batch` states as the one before its rows: behind numbers passed over that is the last before
    them.
    """
    first = _first_of(batch)
    if isinstance(first, NumbersSkipped) and first.last == batch.first - 1 and first.first <= batch.first:
        return first.first - 1
    return batch.first - 1


def _first_of(batch: Batch) -> AnyRecord | None:
    try:
        return parse_record(batch.bodies[0]) if batch.bodies else None
    except UnreadableRecord:
        return None
