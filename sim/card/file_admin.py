"""Creating, listing, changing and deleting files (datasheet 11.7)."""

from __future__ import annotations

from typing import Final

from cardproto.desfire.crypto import BLOCK
from cardproto.desfire.status import Status
from sim.card.call import Call
from sim.card.data import number
from sim.card.files import (
    OPTION_MODE,
    OPTION_MORE_RIGHTS,
    OPTION_SKIP_UNAUTHENTICATED,
    OPTION_TMC_LIMIT,
    AccessMasks,
    CardFile,
    DataFile,
    FileHeader,
    RecordFile,
    TransactionMacFile,
    ValueFile,
    room,
    settings,
    with_head,
)
from sim.card.keys import require_listing_right
from sim.card.memory import FREE_CREATE, PICC_AID
from sim.card.refusal import DesfireRefusal
from sim.card.state import CardState
from sim.card.transaction import Transaction

HIGHEST_FILE: Final = 0x1F
INS_CREATE_BACKUP: Final = 0xCB
INS_CREATE_CYCLIC: Final = 0xC0
TMC_UNLIMITED: Final = 0xFFFFFFFF
MAX_RIGHT_SETS: Final = 7


def get_file_ids(state: CardState, call: Call) -> bytes:
    """Numbers in the order of creation."""
    _require_listing(state, call)
    return bytes(state.application.files)


def get_iso_file_ids(state: CardState, call: Call) -> bytes:
    """Least significant byte first, unlike in ISO SELECT."""
    _require_listing(state, call)
    ids = (file.head.iso_id for file in state.application.files.values())
    return b"".join(iso_id.to_bytes(2, "little") for iso_id in ids if iso_id)


def get_file_settings(state: CardState, call: Call) -> bytes:
    if call.data:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    file = state.application.files.get(call.header[0])
    if file is None:
        raise DesfireRefusal(Status.FILE_NOT_FOUND)
    require_listing_right(state)
    return settings(file)


def create_data_file(state: CardState, call: Call) -> bytes:
    """fno [isoId] opt AR size, standard (CD) or backup (CB)."""
    head, rest = _new_head(state, call, 3)
    size = number(rest)
    if not size:
        raise DesfireRefusal(Status.PARAMETER_ERROR)
    _refuse_beyond_memory(state, size)
    return _add(state, DataFile(head, call.ins == INS_CREATE_BACKUP, bytes(size)))


def create_value_file(state: CardState, call: Call) -> bytes:
    """fno opt AR lower upper value flags; the limits are signed."""
    head, rest = _new_head(state, call, 13, iso=False)
    lower, upper, value = (int.from_bytes(rest[i : i + 4], "little", signed=True) for i in (0, 4, 8))
    flags = rest[12]
    if not lower <= value <= upper or flags > 3:
        raise DesfireRefusal(Status.PARAMETER_ERROR)
    return _add(state, ValueFile(head, lower, upper, value, 0, bool(flags & 1), bool(flags & 2)))


def create_record_file(state: CardState, call: Call) -> bytes:
    """fno [isoId] opt AR recSize maxRecs, linear (C1) or cyclic (C0, at least two records)."""
    head, rest = _new_head(state, call, 6)
    size, count = number(rest[:3]), number(rest[3:])
    cyclic = call.ins == INS_CREATE_CYCLIC
    if not size or count < (2 if cyclic else 1):
        raise DesfireRefusal(Status.PARAMETER_ERROR)
    _refuse_beyond_memory(state, size * count)
    return _add(state, RecordFile(head, cyclic, size, count, ()))


def create_transaction_mac_file(state: CardState, call: Call) -> bytes:
    """fno opt AR 02 | key ver, always under the application master key; starts counting at 0."""
    _require_application(state)
    state.require_master_key()
    if len(call.data) != BLOCK + 1:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    option, key_option = call.header[1], call.header[4]
    rights = AccessMasks.of(number(call.header[2:4]))
    if key_option != 2 or rights.sets[0] >> 8 & 15 != 15 or option & ~OPTION_MODE:
        raise DesfireRefusal(Status.PARAMETER_ERROR)
    _refuse_unknown_keys(state, rights)
    if state.transaction_mac() is not None:
        raise DesfireRefusal(Status.DUPLICATE_ERROR)
    head = _checked_head(state, call.header[0], option, rights, 0)
    state.transaction = Transaction()
    key, version = call.data[:BLOCK], call.data[BLOCK]
    return _add(state, TransactionMacFile(head, key, version, 0, bytes(8), bytes(BLOCK), TMC_UNLIMITED))


def delete_file(state: CardState, call: Call) -> bytes:
    """Under the master key; others than the transaction MAC file also freely when KS1 bit 2 says so."""
    if call.data:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    file = state.application.files.get(call.header[0])
    if file is None:
        raise DesfireRefusal(Status.FILE_NOT_FOUND)
    if state.identity.generation.fixed and not isinstance(file, TransactionMacFile):
        raise DesfireRefusal(Status.PERMISSION_DENIED)
    free = state.application.key_settings & FREE_CREATE
    if not free or isinstance(file, TransactionMacFile):
        state.require_master_key()
    state.transaction = Transaction()
    state.application = state.application.without_file(file.head.number)
    return b""


def change_file_settings(state: CardState, call: Call) -> bytes:
    """option AR [count sets] [TMCLimit]; drops pending changes, which were made under the old settings."""
    file = state.application.files[call.header[0]]
    data = call.data
    if len(data) < 3:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    option, first, rest = data[0], number(data[1:3]), data[3:]
    if option & OPTION_MORE_RIGHTS and not state.identity.generation.transaction_mac:
        raise DesfireRefusal(Status.PARAMETER_ERROR)
    more, rest = _more_rights(rest) if option & OPTION_MORE_RIGHTS else ((), rest)
    rights = AccessMasks.of(first, *more)
    _refuse_unknown_keys(state, rights)
    head = FileHeader(file.head.number, option, rights, file.head.iso_id)
    if isinstance(file, TransactionMacFile):
        changed = _changed_mac_file(file, head, rest)
    else:
        if rest:
            raise DesfireRefusal(Status.LENGTH_ERROR)
        if option & ~(OPTION_MODE | OPTION_MORE_RIGHTS):
            raise DesfireRefusal(Status.PARAMETER_ERROR)
        changed = with_head(file, head)
    state.transaction = Transaction()
    state.application = state.application.with_file(changed)
    return b""


def _changed_mac_file(file: TransactionMacFile, head: FileHeader, rest: bytes) -> CardFile:
    allowed = OPTION_MODE | OPTION_TMC_LIMIT | OPTION_SKIP_UNAUTHENTICATED
    if head.option & ~allowed or head.rights.sets[0] >> 8 & 15 != 15:
        raise DesfireRefusal(Status.PARAMETER_ERROR)
    if len(rest) != (4 if head.option & OPTION_TMC_LIMIT else 0):
        raise DesfireRefusal(Status.LENGTH_ERROR)
    limit = number(rest) if rest else TMC_UNLIMITED
    return TransactionMacFile(
        head, file.key, file.key_version, file.counter, file.value, file.previous_reader, limit
    )


def _more_rights(rest: bytes) -> tuple[tuple[int, ...], bytes]:
    count = rest[0] if rest else 0
    if len(rest) < 1 + 2 * count:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    if not 1 <= count <= MAX_RIGHT_SETS:
        raise DesfireRefusal(Status.PARAMETER_ERROR)
    sets = tuple(number(rest[i : i + 2]) for i in range(1, 1 + 2 * count, 2))
    return sets, rest[1 + 2 * count :]


def _new_head(state: CardState, call: Call, tail_bytes: int, *, iso: bool = True) -> tuple[FileHeader, bytes]:
    """The common start of the Create commands; the ISO id is there when the length says so.

    Additional access-right sets come later, by ChangeFileSettings; option bit 7 is refused here.
    """
    _require_application(state)
    if not state.application.key_settings & FREE_CREATE:
        state.require_master_key()
    body, iso_id = call.data, 0
    if iso and len(body) == 2 + 3 + tail_bytes:
        iso_id, body = number(body[:2]), body[2:]
        if not state.application.iso_file_ids:
            raise DesfireRefusal(Status.PARAMETER_ERROR)
    if len(body) != 3 + tail_bytes:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    option, rights = body[0], AccessMasks.of(number(body[1:3]))
    if option & ~OPTION_MODE:
        raise DesfireRefusal(Status.PARAMETER_ERROR)
    _refuse_unknown_keys(state, rights)
    return _checked_head(state, call.header[0], option, rights, iso_id), body[3:]


def _checked_head(state: CardState, fno: int, option: int, rights: AccessMasks, iso_id: int) -> FileHeader:
    if fno > HIGHEST_FILE:
        raise DesfireRefusal(Status.PARAMETER_ERROR)
    files = state.application.files
    if fno in files or (iso_id and any(f.head.iso_id == iso_id for f in files.values())):
        raise DesfireRefusal(Status.DUPLICATE_ERROR)
    return FileHeader(fno, option, rights, iso_id)


def _refuse_unknown_keys(state: CardState, rights: AccessMasks) -> None:
    if rights.highest_key() >= len(state.application.keys):
        raise DesfireRefusal(Status.PARAMETER_ERROR)


def _refuse_beyond_memory(state: CardState, size: int) -> None:
    """Before the content is allocated, so that a hostile size costs nothing."""
    if size > state.memory.free_bytes():
        raise DesfireRefusal(Status.OUT_OF_MEMORY)


def _add(state: CardState, file: CardFile) -> bytes:
    if room(file) > state.memory.free_bytes():
        raise DesfireRefusal(Status.OUT_OF_MEMORY)
    state.application = state.application.with_file(file)
    return b""


def _require_listing(state: CardState, call: Call) -> None:
    if call.data:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    _require_application(state)
    require_listing_right(state)


def _require_application(state: CardState) -> None:
    if state.selected == PICC_AID:
        raise DesfireRefusal(Status.PERMISSION_DENIED)
