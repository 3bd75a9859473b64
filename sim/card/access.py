"""Gates: what must hold before a command's data is even opened, and in which mode it travels.

Order of checks, as the reference states it for our card: length, file exists, file type and never-rights,
authentication, integrity, parameters.
"""

from __future__ import annotations

from typing import TypeVar

from cardproto.desfire.messaging import CommMode
from cardproto.desfire.status import Status
from sim.card.call import Call
from sim.card.files import (
    FREE_BIT,
    OPTION_SKIP_UNAUTHENTICATED,
    CardFile,
    DataFile,
    RecordFile,
    TransactionMacFile,
    ValueFile,
)
from sim.card.refusal import DesfireRefusal
from sim.card.state import CardState

FileT = TypeVar("FileT", DataFile, ValueFile, RecordFile, TransactionMacFile)


def authenticated(state: CardState, _call: Call) -> None:
    """Some session, whatever its key; the command then travels in the mode the table states."""
    if state.session is None:
        raise DesfireRefusal(Status.AUTHENTICATION_ERROR)


def read_data(state: CardState, call: Call) -> None:
    file = _find(state, call)
    if not isinstance(file, (DataFile, TransactionMacFile)):
        raise DesfireRefusal(Status.PERMISSION_DENIED)
    if isinstance(file, TransactionMacFile):
        _admit(state, call, file, file.readers)
        return
    _refuse_when_exhausted(state)
    _admit(state, call, file, file.head.rights.read)


def write_data(state: CardState, call: Call) -> None:
    file = _data(state, call, DataFile)
    _admit(state, call, file, file.head.rights.write)


def get_value(state: CardState, call: Call) -> None:
    file = _data(state, call, ValueFile)
    free = FREE_BIT if file.free_get_value else 0
    _admit(state, call, file, file.head.rights.read_or_write | free)


def debit(state: CardState, call: Call) -> None:
    """Datasheet table 9: Read alone is enough to take money."""
    file = _data(state, call, ValueFile)
    _admit(state, call, file, file.head.rights.read_or_write)


def limited_credit(state: CardState, call: Call) -> None:
    file = _data(state, call, ValueFile)
    if not file.limited_credit:
        raise DesfireRefusal(Status.PERMISSION_DENIED)
    _admit(state, call, file, file.head.rights.write)


def credit(state: CardState, call: Call) -> None:
    file = _data(state, call, ValueFile)
    _admit(state, call, file, file.head.rights.read_write)


def read_records(state: CardState, call: Call) -> None:
    file = _data(state, call, RecordFile)
    _admit(state, call, file, file.head.rights.read)


def write_record(state: CardState, call: Call) -> None:
    file = _data(state, call, RecordFile)
    _admit(state, call, file, file.head.rights.write)


def update_record(state: CardState, call: Call) -> None:
    file = _data(state, call, RecordFile)
    _admit(state, call, file, file.head.rights.read_write)


def clear_records(state: CardState, call: Call) -> None:
    """Needs ReadWrite; travels as MAC whatever the file's mode."""
    update_record(state, call)
    call.mode = CommMode.MAC


def change_file_settings(state: CardState, call: Call) -> None:
    """Full under the Change key, whatever the file's own mode; plain when the change is free."""
    file = _find(state, call)
    _admit(state, call, file, file.head.rights.change)
    call.mode = CommMode.PLAIN if file.head.rights.change & FREE_BIT else CommMode.FULL


def commit_reader_id(state: CardState, call: Call) -> None:
    """Only the key named in the transaction MAC file's ReadWrite nibble; MAC mode inside a session."""
    file = state.transaction_mac()
    if file is None or file.exhausted:
        raise DesfireRefusal(Status.PERMISSION_DENIED)
    call.file = file
    _mode_for(state, file, file.head.rights.read_write)


def opened(call: Call, kind: type[FileT]) -> FileT:
    """The file the gate found, with the type the gate has made sure of."""
    assert isinstance(call.file, kind)
    return call.file


def proving(state: CardState) -> bool:
    """Whether data commands enter a transaction MAC now."""
    file = state.transaction_mac()
    if file is None:
        return False
    return state.session is not None or not file.head.option & OPTION_SKIP_UNAUTHENTICATED


def _find(state: CardState, call: Call) -> CardFile:
    file = state.application.files.get(call.header[0])
    if file is None:
        raise DesfireRefusal(Status.FILE_NOT_FOUND)
    call.file = file
    return file


def _data(state: CardState, call: Call, kind: type[FileT]) -> FileT:
    file = _find(state, call)
    if not isinstance(file, kind):
        raise DesfireRefusal(Status.PERMISSION_DENIED)
    _refuse_when_exhausted(state)
    return file


def _refuse_when_exhausted(state: CardState) -> None:
    file = state.transaction_mac()
    if file is not None and file.exhausted:
        raise DesfireRefusal(Status.PERMISSION_DENIED)


def _admit(state: CardState, call: Call, file: CardFile, granted: int) -> None:
    call.mode = _mode_for(state, file, granted)
    if call.content:
        call.plain_bytes = 4 if isinstance(file, ValueFile) else int.from_bytes(call.header[-3:], "little")


def _mode_for(state: CardState, file: CardFile, granted: int) -> CommMode:
    """The file's mode for a key that is granted, plain for free access, otherwise a refusal."""
    session = state.session
    if session is not None and granted >> session.key_no & 1:
        return file.head.mode
    if granted & FREE_BIT:
        return CommMode.PLAIN
    raise DesfireRefusal(Status.AUTHENTICATION_ERROR if granted else Status.PERMISSION_DENIED)
