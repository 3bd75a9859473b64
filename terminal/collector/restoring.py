"""A terminal that goes on on new hardware (docs/adr/0012-new-hardware.md): which of its rows are lost."""

from __future__ import annotations

from terminal.collector.alarms import Alarm, AlarmCause, AlarmKind, detail_of
from terminal.journal.chain import Head
from terminal.journal.operation_records import Restored
from terminal.journal.records import UnreadableRecord, parse_record
from terminal.sync.wire import Batch


def lost_by_restoring(batch: Batch, held: Head) -> Alarm | None:
    """What an operator must know when `batch` begins behind a gap because its terminal was restored; None when it was
    not, or does not continue what is `held`: then the gap was not declared.
    """
    if not batch.bodies or batch.previous_hash != held.hash:
        return None
    try:
        first = parse_record(batch.bodies[0])
    except UnreadableRecord:
        return None
    if not isinstance(first, Restored) or first.after != held.sequence:
        return None
    detail = detail_of(
        AlarmCause.ROWS_LOST, first=held.sequence + 1, last=batch.first - 1, backup=first.backup
    )
    return Alarm(AlarmKind.GAP, batch.terminal, held.sequence + 1, detail)
