"""CommitTransaction, AbortTransaction, CommitReaderID (datasheet 11.9)."""

from __future__ import annotations

from typing import Final

from cardproto.desfire.status import Status
from sim.card.access import opened, proving
from sim.card.call import Call
from sim.card.files import TransactionMacFile
from sim.card.refusal import Refusal
from sim.card.state import CardState
from sim.card.transaction import Transaction, encrypted_previous_reader, proved

READER_ID_BYTES: Final = 16
OPTION_RETURN_MAC: Final = 0x01


def commit_transaction(state: CardState, call: Call) -> bytes:
    """All pending changes at once, or none: one reference to the new memory is swapped in.

    Option bit 0 asks for TMC and TMV; PARAMETER_ERROR when no transaction MAC runs, NO_CHANGES when there is
    nothing to commit, PERMISSION_DENIED when the reader id is required and was not committed.
    """
    if len(call.data) > state.identity.generation.transaction_mac:
        raise Refusal(Status.LENGTH_ERROR)
    option = call.data[0] if call.data else 0
    if option & ~OPTION_RETURN_MAC:
        raise Refusal(Status.PARAMETER_ERROR)
    transaction = state.transaction
    file = state.transaction_mac()
    if option and file is None:
        raise Refusal(Status.PARAMETER_ERROR)
    if transaction.empty:
        raise Refusal(Status.NO_CHANGES)
    if file is not None:
        if option and not transaction.tmi:
            raise Refusal(Status.PARAMETER_ERROR)
        file = _prove(state, file) if transaction.tmi else None
    state.application = transaction.committed(state.application, file)
    state.transaction = Transaction()
    return file.content() if option and file is not None else b""


def _prove(state: CardState, file: TransactionMacFile) -> TransactionMacFile:
    if file.head.rights.read_write and state.transaction.reader_id is None:
        raise Refusal(Status.PERMISSION_DENIED)
    return proved(file, state.identity.uid, state.transaction)


def abort_transaction(state: CardState, call: Call) -> bytes:
    """Drops pending changes and the transaction MAC input, keeps the authentication."""
    if call.data:
        raise Refusal(Status.LENGTH_ERROR)
    if state.transaction.empty:
        raise Refusal(Status.NO_CHANGES)
    state.transaction = Transaction()
    return b""


def commit_reader_id(state: CardState, call: Call) -> bytes:
    """Once per transaction; inside a session it answers the previous reader's id for the back office."""
    file = opened(call, TransactionMacFile)
    reader_id = call.data
    if len(reader_id) != READER_ID_BYTES:
        raise Refusal(Status.LENGTH_ERROR)
    if state.transaction.reader_id is not None:
        raise Refusal(Status.PERMISSION_DENIED)
    answer = b""
    if state.session is not None:
        answer = encrypted_previous_reader(file, state.identity.uid)
    state.transaction.reader_id = reader_id
    state.transaction.reader_authenticated = state.session is not None
    if proving(state):
        state.transaction.note_whole(bytes((call.ins,)) + reader_id + answer)
    return answer
