"""Data and value commands (datasheet 11.8): standard data at once, everything else at commit."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from cardproto.desfire.status import Status
from sim.card.access import opened, proving
from sim.card.call import Call
from sim.card.files import DataFile, TransactionMacFile, ValueFile
from sim.card.refusal import Refusal
from sim.card.state import CardState
from sim.card.transaction import PendingData, PendingValue

MAX_AMOUNT: Final = 0x7FFFFFFF


def number(data: bytes) -> int:
    """Native parameters are least significant byte first."""
    return int.from_bytes(data, "little")


def read_data(state: CardState, call: Call) -> bytes:
    """Length 0 reads to the end. Backup files show committed content only."""
    file = call.file
    if call.data:
        raise Refusal(Status.LENGTH_ERROR)
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
        raise Refusal(Status.BOUNDARY_ERROR)
    return content[offset:end]


def write_data(state: CardState, call: Call) -> bytes:
    """A standard file changes now and for good; a backup file at commit."""
    file = opened(call, DataFile)
    offset, length = number(call.header[1:4]), number(call.header[4:7])
    if len(call.data) != length:
        raise Refusal(Status.LENGTH_ERROR)
    if not length:
        raise Refusal(Status.PARAMETER_ERROR)
    if offset + length > len(file.content):
        raise Refusal(Status.BOUNDARY_ERROR)
    if file.backup:
        pending = state.transaction.pending.setdefault(file.head.number, PendingData(file))
        assert isinstance(pending, PendingData)
        pending.content[offset : offset + length] = call.data
    else:
        content = file.content[:offset] + call.data + file.content[offset + length :]
        state.application = state.application.with_file(replace(file, content=content))
    if proving(state):
        state.transaction.note(bytes((call.ins,)) + call.header, call.data)
    return b""


def get_value(state: CardState, call: Call) -> bytes:
    """The committed value, whatever is pending."""
    if call.data:
        raise Refusal(Status.LENGTH_ERROR)
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
    pending.debit(amount)
    return b""


def limited_credit(state: CardState, call: Call) -> bytes:
    pending, amount = _value_change(state, call)
    pending.limited_credit(amount)
    return b""


def _value_change(state: CardState, call: Call) -> tuple[PendingValue, int]:
    file = opened(call, ValueFile)
    if len(call.data) != 4:
        raise Refusal(Status.LENGTH_ERROR)
    amount = number(call.data)
    if amount > MAX_AMOUNT:
        raise Refusal(Status.PARAMETER_ERROR)
    pending = state.transaction.pending.setdefault(file.head.number, PendingValue(file))
    assert isinstance(pending, PendingValue)
    if proving(state):
        state.transaction.note_whole(bytes((call.ins,)) + call.header + call.data)
    return pending, amount
