"""Data, value and record commands (datasheet 11.8), and what ends a transaction (11.9).

Standard data is written at once, everything else at commit. Record 0 is the newest, answers travel oldest first.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from cardproto.desfire.status import Status
from sim.card.access import opened, proving
from sim.card.call import Call
from sim.card.deviating import keep_fewer_records
from sim.card.deviation import ChipDeviation
from sim.card.files import DataFile, RecordFile, TransactionMacFile, ValueFile
from sim.card.refusal import DesfireRefusal
from sim.card.state import CardState
from sim.card.transaction import (
    PendingData,
    PendingRecords,
    PendingValue,
    Transaction,
    encrypted_previous_reader,
    proved,
)

MAX_AMOUNT: Final = 0x7FFFFFFF


def number(data: bytes) -> int:
    """Native parameters are least significant byte first."""
    return int.from_bytes(data, "little")


def read_data(state: CardState, call: Call) -> bytes:
    """Length 0 reads to the end. Backup files show committed content only."""
    file = call.file
    if call.data:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    if isinstance(file, TransactionMacFile):
        return _slice(file.content(), call.header)
    part = _slice(opened(call, DataFile).content, call.header)
    if proving(state):
        head = call.header[:4] + len(part).to_bytes(3, "little")
        state.transaction.note(bytes((call.ins,)) + head, part)
    return part


def _slice(content: bytes, header: bytes) -> bytes:
    offset, length = number(header[1:4]), number(header[4:7])
    end = offset + length if length else len(content)
    if offset >= len(content) or end > len(content):
        raise DesfireRefusal(Status.BOUNDARY_ERROR)
    return content[offset:end]


def write_data(state: CardState, call: Call) -> bytes:
    """A standard file changes now and for good; a backup file at commit."""
    file = opened(call, DataFile)
    offset, length = number(call.header[1:4]), number(call.header[4:7])
    if len(call.data) != length:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    if not length:
        raise DesfireRefusal(Status.PARAMETER_ERROR)
    if offset + length > len(file.content):
        raise DesfireRefusal(Status.BOUNDARY_ERROR)
    if file.backup:
        pending = state.transaction.pending.setdefault(file.head.number, PendingData(file))
        assert isinstance(pending, PendingData)
        pending.content[offset : offset + length] = call.data
    else:
        content = file.content[:offset] + call.data + file.content[offset + length :]
        state.application = state.application.with_file(replace(file, content=content))
    if proving(state):
        _note_written(state, call, ChipDeviation.OTHER_BACKUP_PROOF)
    return b""


def get_value(state: CardState, call: Call) -> bytes:
    """The committed value, whatever is pending."""
    if call.data:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    value = opened(call, ValueFile).value.to_bytes(4, "little", signed=True)
    if proving(state):
        state.transaction.note_whole(bytes((call.ins,)) + call.header + value)
    return value


def credit(state: CardState, call: Call) -> bytes:
    pending, amount = _value_change(state, call)
    pending.credit(amount)
    return b""


def debit(state: CardState, call: Call) -> bytes:
    pending, amount = _value_change(state, call)
    if ChipDeviation.NO_CREDIT_AHEAD in state.deviations and amount > opened(call, ValueFile).value:
        raise DesfireRefusal(Status.BOUNDARY_ERROR)
    pending.debit(amount)
    return b""


def limited_credit(state: CardState, call: Call) -> bytes:
    pending, amount = _value_change(state, call)
    pending.limited_credit(amount)
    return b""


def _value_change(state: CardState, call: Call) -> tuple[PendingValue, int]:
    file = opened(call, ValueFile)
    if len(call.data) != 4:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    amount = number(call.data)
    if amount > MAX_AMOUNT:
        raise DesfireRefusal(Status.PARAMETER_ERROR)
    pending = state.transaction.pending.setdefault(file.head.number, PendingValue(file))
    assert isinstance(pending, PendingValue)
    if proving(state):
        state.transaction.note_whole(bytes((call.ins,)) + call.header + call.data)
    return pending, amount


def read_records(state: CardState, call: Call) -> bytes:
    """Count 0 reads all from the given record on. Only committed records are seen."""
    if call.data:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    records = opened(call, RecordFile).records
    first, count = number(call.header[1:4]), number(call.header[4:7])
    end = first + count if count else len(records)
    if first >= len(records) or end > len(records):
        raise DesfireRefusal(Status.BOUNDARY_ERROR)
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
        raise DesfireRefusal(Status.LENGTH_ERROR)
    _pending(state, call).clear()
    return _noted(state, call)


def _offset(call: Call, place: bytes) -> int:
    offset, length = number(place[:3]), number(place[3:])
    if len(call.data) != length:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    if not length:
        raise DesfireRefusal(Status.PARAMETER_ERROR)
    if offset + length > opened(call, RecordFile).record_bytes:
        raise DesfireRefusal(Status.BOUNDARY_ERROR)
    return offset


def _pending(state: CardState, call: Call) -> PendingRecords:
    file = opened(call, RecordFile)
    pending = state.transaction.pending.setdefault(file.head.number, PendingRecords(file))
    assert isinstance(pending, PendingRecords)
    return pending


def _noted(state: CardState, call: Call) -> bytes:
    if proving(state):
        _note_written(state, call, ChipDeviation.OTHER_RECORD_PROOF)
    return b""


def _note_written(state: CardState, call: Call, otherwise: ChipDeviation) -> None:
    head = bytes((call.ins,)) + call.header
    if otherwise in state.deviations:
        state.transaction.note_whole(head + call.data)
    else:
        state.transaction.note(head, call.data)


READER_ID_BYTES: Final = 16
OPTION_RETURN_MAC: Final = 0x01


def commit_transaction(state: CardState, call: Call) -> bytes:
    """All pending changes at once, or none: one reference to the new memory is swapped in.

    Option bit 0 asks for TMC and TMV; PARAMETER_ERROR when no transaction MAC runs, NO_CHANGES when there is
    nothing to commit, PERMISSION_DENIED when the reader id is required and was not committed.
    """
    if len(call.data) > state.identity.generation.transaction_mac:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    option = call.data[0] if call.data else 0
    if option & ~OPTION_RETURN_MAC:
        raise DesfireRefusal(Status.PARAMETER_ERROR)
    transaction = state.transaction
    file = state.transaction_mac()
    if option and file is None:
        raise DesfireRefusal(Status.PARAMETER_ERROR)
    if transaction.empty:
        raise DesfireRefusal(Status.NO_CHANGES)
    if file is not None:
        if option and not transaction.tmi:
            raise DesfireRefusal(Status.PARAMETER_ERROR)
        file = _prove(state, file) if transaction.tmi else None
    state.application = transaction.committed(state.application, file)
    state.transaction = Transaction()
    keep_fewer_records(state)
    return file.content() if option and file is not None else b""


def _prove(state: CardState, file: TransactionMacFile) -> TransactionMacFile:
    if file.head.rights.read_write and state.transaction.reader_id is None:
        raise DesfireRefusal(Status.PERMISSION_DENIED)
    return proved(file, state.identity.uid, state.transaction)


def abort_transaction(state: CardState, call: Call) -> bytes:
    """Drops pending changes and the transaction MAC input, keeps the authentication."""
    if call.data:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    if state.transaction.empty:
        raise DesfireRefusal(Status.NO_CHANGES)
    state.transaction = Transaction()
    return b""


def commit_reader_id(state: CardState, call: Call) -> bytes:
    """Once per transaction; inside a session it answers the previous reader's id for the back office."""
    file = opened(call, TransactionMacFile)
    reader_id = call.data
    if len(reader_id) != READER_ID_BYTES:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    if state.transaction.reader_id is not None:
        raise DesfireRefusal(Status.PERMISSION_DENIED)
    answer = b""
    if state.session is not None:
        answer = encrypted_previous_reader(file, state.identity.uid)
    state.transaction.reader_id = reader_id
    state.transaction.reader_authenticated = state.session is not None
    if proving(state):
        state.transaction.note_whole(bytes((call.ins,)) + reader_id + answer)
    return answer
