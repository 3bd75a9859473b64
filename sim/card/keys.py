"""Keys and key settings (datasheet 11.6, MF3DHx3 data sheet).

A key is changed to another kind only at the PICC level, where bits 7..6 of the key number say which; an
application's keys are all of the kind it was created with.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from cardproto.desfire.crypto import crc32
from cardproto.desfire.key_types import KeyType
from cardproto.desfire.legacy_crypto import crc16
from cardproto.desfire.legacy_messaging import D40Session
from cardproto.desfire.status import Status
from sim.card.call import Call
from sim.card.memory import (
    FREE_LISTING,
    MASTER_KEY_CHANGEABLE,
    PICC_AID,
    SETTINGS_CHANGEABLE,
    Application,
    KeySlot,
)
from sim.card.refusal import DesfireRefusal
from sim.card.state import CardState

KEY_NUMBER_MASK: Final = 0x3F
KEY_TYPE_SHIFT: Final = 6
CHANGE_BY_SAME_KEY: Final = 0x0E
CHANGE_FROZEN: Final = 0x0F
ISO_FILE_IDS: Final = 0x20
KEY_SETS_PRESENT: Final = 0x10
IN_KEY_SET: Final = 0x40
PROXIMITY_KEY: Final = 0x21
"""The PICC level's key for the proximity check; never one to authenticate with."""


def change_key_gate(state: CardState, call: Call) -> None:
    """Needs a session, and the length of the new key, which depends on its kind."""
    if state.session is None:
        raise DesfireRefusal(Status.AUTHENTICATION_ERROR)
    coded = call.header[-1]
    number = coded & KEY_NUMBER_MASK
    kind = _new_type(state.application, coded)
    call.plain_bytes = kind.key_bytes + (kind is KeyType.AES)
    call.other_key = number != state.session.key_no


def change_key(state: CardState, call: Call) -> bytes:
    """C4 keyNo: `new [ver]` for the authenticated key, `new^old [ver] crc(new)` for another one.

    Only AES keys bring a version byte. Changing the authenticated key ends the session: the answer has no MAC.
    """
    coded = call.header[0]
    number, application = coded & KEY_NUMBER_MASK, state.application
    old = slot_of(state, number)
    require_right_to_change(state, application, number)
    session, kind = state.session, _new_type(application, coded)
    assert session is not None
    if session.key_no == number:
        _store(state, number, _same_key(kind, call.data))
        state.session = None
    else:
        _store(state, number, other_key(state, kind, old, call.data))
    return b""


def _new_type(application: Application, coded: int) -> KeyType:
    if application.aid != PICC_AID:
        return application.key_type
    if coded & KEY_NUMBER_MASK == PROXIMITY_KEY:
        return KeyType.AES
    try:
        return KeyType(coded >> KEY_TYPE_SHIFT)
    except ValueError:
        raise DesfireRefusal(Status.PARAMETER_ERROR) from None


def slot_of(state: CardState, number: int) -> KeySlot:
    """The key of this number at the selected level; NO_SUCH_KEY otherwise."""
    if _is_proximity_key(state, number):
        return state.memory.proximity_key
    keys = state.application.keys
    if number >= len(keys):
        raise DesfireRefusal(Status.NO_SUCH_KEY)
    return keys[number]


def _store(state: CardState, number: int, slot: KeySlot) -> None:
    if _is_proximity_key(state, number):
        state.memory = replace(state.memory, proximity_key=slot)
        return
    application = state.application.with_key(number, slot)
    if application.aid == PICC_AID:
        application = replace(application, key_type=slot.type)
    state.application = application


def _is_proximity_key(state: CardState, number: int) -> bool:
    knows = state.identity.generation.transaction_mac and not state.identity.generation.fixed
    return number == PROXIMITY_KEY and state.selected == PICC_AID and knows


def require_right_to_change(state: CardState, application: Application, number: int) -> None:
    """KS1: the master key's own bit for key 0, the change key (or each its own, or none) for the others."""
    changer = application.key_settings >> 4
    if application.aid == PICC_AID and number:
        needed = 0
    elif number == 0:
        if not application.key_settings & MASTER_KEY_CHANGEABLE:
            raise DesfireRefusal(Status.PERMISSION_DENIED)
        needed = 0
    elif changer == CHANGE_FROZEN:
        raise DesfireRefusal(Status.PERMISSION_DENIED)
    elif changer == CHANGE_BY_SAME_KEY:
        needed = number
    else:
        needed = 0 if changer == number else changer
    if state.session is None or state.session.key_no != needed:
        raise DesfireRefusal(Status.AUTHENTICATION_ERROR)


def _same_key(kind: KeyType, data: bytes) -> KeySlot:
    if len(data) != kind.key_bytes + (kind is KeyType.AES):
        raise DesfireRefusal(Status.LENGTH_ERROR)
    return KeySlot.sent(kind, data[: kind.key_bytes], data[-1])


def other_key(state: CardState, kind: KeyType, old: KeySlot, data: bytes) -> KeySlot:
    """The new key out of its difference to the old one; INTEGRITY_ERROR when its checksum does not fit."""
    checksum = crc16 if isinstance(state.session, D40Session) else crc32
    head = kind.key_bytes + (kind is KeyType.AES)
    if len(data) != head + len(checksum(b"")):
        raise DesfireRefusal(Status.LENGTH_ERROR)
    before = old.key.ljust(kind.key_bytes, b"\0")
    new = bytes(a ^ b for a, b in zip(data[: kind.key_bytes], before, strict=False))
    if checksum(new) != data[head:]:
        raise DesfireRefusal(Status.INTEGRITY_ERROR)
    return KeySlot.sent(kind, new, data[head - 1])


def get_key_version(state: CardState, call: Call) -> bytes:
    """Needs no session. With bit 6 in the key number a key set's number follows."""
    number, sets = call.header[0] & KEY_NUMBER_MASK, state.application.key_sets
    if call.header[0] & IN_KEY_SET and sets is not None:
        if len(call.data) != 1:
            raise DesfireRefusal(Status.LENGTH_ERROR)
        chosen = sets.others.get(call.data[0])
        keys = state.application.keys if not call.data[0] else () if chosen is None else chosen.keys
        if number >= len(keys):
            raise DesfireRefusal(Status.NO_SUCH_KEY)
        return bytes((keys[number].version,))
    if call.data:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    return bytes((slot_of(state, number).version,))


def get_key_settings(state: CardState, call: Call) -> bytes:
    """KS1, KS2, and what there is to say of key sets."""
    if call.data:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    require_listing_right(state)
    application = state.application
    flags = ISO_FILE_IDS if application.iso_file_ids else 0
    sets = application.key_sets
    flags |= 0 if sets is None else KEY_SETS_PRESENT
    second = application.key_type << KEY_TYPE_SHIFT | flags | len(application.keys)
    tail = (
        () if sets is None else (1, sets.active_version, sets.count, sets.longest_bytes, sets.roll_settings)
    )
    return bytes((application.key_settings, second, *tail))


def change_key_settings_gate(state: CardState, call: Call) -> None:
    if state.session is None:
        raise DesfireRefusal(Status.AUTHENTICATION_ERROR)
    call.plain_bytes = 1


def change_key_settings(state: CardState, call: Call) -> bytes:
    """New KS1 of the selected level, under its master key, unless frozen."""
    application = state.application
    if len(call.data) != 1:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    if not application.key_settings & SETTINGS_CHANGEABLE:
        raise DesfireRefusal(Status.PERMISSION_DENIED)
    state.require_master_key()
    state.application = replace(application, key_settings=call.data[0])
    return b""


def require_listing_right(state: CardState) -> None:
    """KS1 bit 1 frees directory listing, otherwise the master key is needed."""
    if not state.application.key_settings & FREE_LISTING:
        state.require_master_key()
