"""Record commands: record 0 is the newest, answers travel oldest first (reference section 8)."""

from __future__ import annotations

from cardproto.desfire.status import Status
from sim.card.access import opened, proving
from sim.card.call import Call
from sim.card.data import number
from sim.card.files import RecordFile
from sim.card.refusal import Refusal
from sim.card.state import CardState
from sim.card.transaction import PendingRecords


def read_records(state: CardState, call: Call) -> bytes:
    """Count 0 reads all from the given record on. Only committed records are seen."""
    if call.data:
        raise Refusal(Status.LENGTH_ERROR)
    records = opened(call, RecordFile).records
    first, count = number(call.header[1:4]), number(call.header[4:7])
    end = first + count if count else len(records)
    if first >= len(records) or end > len(records):
        raise Refusal(Status.BOUNDARY_ERROR)
    chosen = records[first:end]
    answer = b"".join(reversed(chosen))
    if proving(state):
        head = call.header[:4] + len(chosen).to_bytes(3, "little")
        state.transaction.note(bytes((call.ins,)) + head, answer)
    return answer


def write_record(state: CardState, call: Call) -> bytes:
    """Repeated calls fill the same new record until the commit."""
    offset = _offset(call, call.header[1:7])
    _pending(state, call).write(offset, call.data)
    return _noted(state, call)


def update_record(state: CardState, call: Call) -> bytes:
    """Changes a committed record in place, at commit."""
    offset = _offset(call, call.header[4:10])
    _pending(state, call).update(number(call.header[1:4]), offset, call.data)
    return _noted(state, call)


def clear_records(state: CardState, call: Call) -> bytes:
    """Empties the file at commit."""
    if call.data:
        raise Refusal(Status.LENGTH_ERROR)
    _pending(state, call).clear()
    return _noted(state, call)


def _offset(call: Call, place: bytes) -> int:
    offset, length = number(place[:3]), number(place[3:])
    if len(call.data) != length:
        raise Refusal(Status.LENGTH_ERROR)
    if not length:
        raise Refusal(Status.PARAMETER_ERROR)
    if offset + length > opened(call, RecordFile).record_bytes:
        raise Refusal(Status.BOUNDARY_ERROR)
    return offset


def _pending(state: CardState, call: Call) -> PendingRecords:
    file = opened(call, RecordFile)
    pending = state.transaction.pending.setdefault(file.head.number, PendingRecords(file))
    assert isinstance(pending, PendingRecords)
    return pending


def _noted(state: CardState, call: Call) -> bytes:
    if proving(state):
        state.transaction.note(bytes((call.ins,)) + call.header, call.data)
    return b""
