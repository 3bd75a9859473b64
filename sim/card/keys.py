"""Keys and key settings (reference section 9)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from cardproto.desfire.crypto import crc32
from cardproto.desfire.status import Status
from sim.card.memory import (
    FREE_LISTING,
    KEY_TYPE_AES,
    MASTER_KEY_CHANGEABLE,
    PICC_AID,
    SETTINGS_CHANGEABLE,
    Application,
    KeySlot,
)
from sim.card.refusal import Refusal
from sim.card.state import Call, CardState

KEY_NUMBER_MASK: Final = 0x3F
CHANGE_BY_SAME_KEY: Final = 0x0E
CHANGE_FROZEN: Final = 0x0F
ISO_FILE_IDS: Final = 0x20


def change_key(state: CardState, call: Call) -> bytes:
    """C4 keyNo: `new ver` for the authenticated key, `new^old ver crc32(new)` for another one.

    Changing the authenticated key ends the session: the answer has no MAC then.
    """
    return _change(state, call.header[0], call.data)


def change_key_ev2(state: CardState, call: Call) -> bytes:
    """C6 keySetNo keyNo: our card has one key set, number 0."""
    if call.header[0] != 0:
        raise Refusal(Status.NO_SUCH_KEY)
    return _change(state, call.header[1], call.data)


def _change(state: CardState, coded: int, data: bytes) -> bytes:
    application = state.application
    number = coded & KEY_NUMBER_MASK
    if number >= len(application.keys):
        raise Refusal(Status.NO_SUCH_KEY)
    if application.aid == PICC_AID and coded & ~KEY_NUMBER_MASK != KEY_TYPE_AES:
        raise Refusal(Status.PARAMETER_ERROR)
    _require_right_to_change(state, application, number)
    session = state.session
    assert session is not None
    if session.key_no == number:
        state.application = application.with_key(number, _same_key(data))
        state.session = None
    else:
        slot = _other_key(application.keys[number], data)
        state.application = application.with_key(number, slot)
    return b""


def _require_right_to_change(state: CardState, application: Application, number: int) -> None:
    changer = application.key_settings >> 4
    if number == 0:
        if not application.key_settings & MASTER_KEY_CHANGEABLE:
            raise Refusal(Status.PERMISSION_DENIED)
        needed = 0
    elif changer == CHANGE_FROZEN:
        raise Refusal(Status.PERMISSION_DENIED)
    elif changer == CHANGE_BY_SAME_KEY:
        needed = number
    else:
        needed = 0 if changer == number else changer
    if state.session is None or state.session.key_no != needed:
        raise Refusal(Status.AUTHENTICATION_ERROR)


def _same_key(data: bytes) -> KeySlot:
    if len(data) != 17:
        raise Refusal(Status.LENGTH_ERROR)
    return KeySlot(data[:16], data[16])


def _other_key(old: KeySlot, data: bytes) -> KeySlot:
    if len(data) != 21:
        raise Refusal(Status.LENGTH_ERROR)
    new = bytes(a ^ b for a, b in zip(data[:16], old.key, strict=True))
    if crc32(new) != data[17:]:
        raise Refusal(Status.INTEGRITY_ERROR)
    return KeySlot(new, data[16])


def get_key_version(state: CardState, call: Call) -> bytes:
    """Free for everybody."""
    if call.data:
        raise Refusal(Status.LENGTH_ERROR)
    keys = state.application.keys
    number = call.header[0] & KEY_NUMBER_MASK
    if number >= len(keys):
        raise Refusal(Status.NO_SUCH_KEY)
    return bytes((keys[number].version,))


def get_key_settings(state: CardState, call: Call) -> bytes:
    """KS1, KS2."""
    if call.data:
        raise Refusal(Status.LENGTH_ERROR)
    require_listing_right(state)
    application = state.application
    flags = ISO_FILE_IDS if application.iso_file_ids else 0
    return bytes((application.key_settings, KEY_TYPE_AES | flags | len(application.keys)))


def change_key_settings(state: CardState, call: Call) -> bytes:
    """New KS1 of the selected level, under its master key, unless frozen."""
    application = state.application
    if len(call.data) != 1:
        raise Refusal(Status.LENGTH_ERROR)
    if not application.key_settings & SETTINGS_CHANGEABLE:
        raise Refusal(Status.PERMISSION_DENIED)
    state.require_master_key()
    state.application = replace(application, key_settings=call.data[0])
    return b""


def require_listing_right(state: CardState) -> None:
    """KS1 bit 1 frees directory listing, otherwise the master key is needed."""
    if not state.application.key_settings & FREE_LISTING:
        state.require_master_key()
