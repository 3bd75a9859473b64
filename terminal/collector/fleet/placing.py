"""Where a batch stands to what is held: pure, and used alike by gateways and consumers."""

from __future__ import annotations

from collections.abc import Mapping

from terminal.collector.alarms import Alarm, AlarmCause, AlarmKind, detail_of
from terminal.collector.restoring import declared_gap, previous_row
from terminal.collector.store import BatchRefused
from terminal.journal.chain import Head
from terminal.sync.wire import Batch, RefusalCode


def statements(batch: Batch, hashes: list[bytes]) -> dict[int, bytes]:
    """Everything a batch says about rows of its terminal: hash by sequence. `hashes` belong to its bodies."""
    stated = dict(enumerate(hashes, batch.first))
    stated[previous_row(batch)] = batch.previous_hash
    stated.setdefault(batch.head_sequence, batch.head_hash)
    return stated


def brings_rows(batch: Batch, hashes: list[bytes], held: Head) -> bool:
    """Whether `batch` continues the chain that ends at `held`; False when all its rows lie before that.

    A terminal continues behind a gap that it declares. Raises `BatchRefused` when rows are
    missing otherwise, or when it contradicts `held`: that one comparison covers every row before, because each hash
    covers all that came before it.
    """
    if batch.first > held.sequence + 1:
        if declared_gap(batch, held) is None:
            raise missing_rows(batch, held)
        return True
    compare(batch, hashes, {held.sequence: held.hash})
    return batch.last > held.sequence


def compare(batch: Batch, hashes: list[bytes], held: Mapping[int, bytes]) -> None:
    """Raises `BatchRefused`, naming the first row that `batch` states otherwise than `held` has it."""
    stated = statements(batch, hashes)
    for sequence in sorted(stated.keys() & held.keys()):
        if stated[sequence] != held[sequence]:
            detail = _differs(sequence, stated[sequence], held[sequence])
            alarm = Alarm(AlarmKind.OTHER_HASH, batch.terminal, sequence, detail)
            raise BatchRefused(RefusalCode.OTHER_HASH, alarm, "keep both journals and call the auditor")


def missing_rows(batch: Batch, held: Head) -> BatchRefused:
    """The refusal of a batch that begins too far on."""
    wants = held.sequence + 1
    detail = detail_of(AlarmCause.ROWS_MISSING, first=wants, last=batch.first - 1)
    alarm = Alarm(AlarmKind.GAP, batch.terminal, wants, detail)
    return BatchRefused(RefusalCode.GAP, alarm, "send from there", wants=wants)


def given_up(batch: Batch, sequence: int) -> BatchRefused:
    """The refusal of a batch with a row behind which its terminal was restored on other hardware."""
    detail = detail_of(AlarmCause.GIVEN_UP, row=sequence)
    alarm = Alarm(AlarmKind.OTHER_HASH, batch.terminal, sequence, detail)
    return BatchRefused(RefusalCode.OTHER_HASH, alarm, "stop this machine and call the auditor")


def cut_tail(batch: Batch) -> Alarm | None:
    """The alarm when the terminal itself says its journal ends before a row it knows it has sent."""
    if batch.head_sequence >= batch.confirmed_through:
        return None
    detail = detail_of(AlarmCause.ENDS_EARLY, last=batch.head_sequence, sent=batch.confirmed_through)
    return Alarm(AlarmKind.CUT_TAIL, batch.terminal, batch.head_sequence, detail)


def _differs(row: int, stated: bytes, held: bytes) -> str:
    return detail_of(AlarmCause.HASH_DIFFERS, row=row, stated=_short(stated), held=_short(held))


def _short(value: bytes) -> str:
    return value.hex()[:16]
