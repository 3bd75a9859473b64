"""The PICC level: selecting, listing, creating and deleting applications, formatting, configuration."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from cardproto.desfire.key_types import KeyType
from cardproto.desfire.status import Status
from sim.card.call import Call
from sim.card.files import ValueFile
from sim.card.generation import KEY_SETS, Generation
from sim.card.key_sets import parse_key_sets
from sim.card.keys import (
    CHANGE_BY_SAME_KEY,
    CHANGE_FROZEN,
    ISO_FILE_IDS,
    KEY_TYPE_SHIFT,
    require_listing_right,
)
from sim.card.memory import (
    APPLICATION_BYTES,
    FREE_CREATE,
    LONGEST_KEY_BYTES,
    PICC_AID,
    Application,
    DefaultKey,
)
from sim.card.refusal import DesfireRefusal
from sim.card.state import CardState

KEY_COUNT_MASK: Final = 0x0F
KS3_PRESENT: Final = 0x10
MAX_KEYS: Final = 14
MAX_NAME_BYTES: Final = 16
OPTION_FLAGS: Final = 0
OPTION_DEFAULT_KEY: Final = 1
OPTION_CAPABILITIES: Final = 5
CAPABILITY_BYTES: Final = 10
TIMER_AT: Final = 5


def select_application(state: CardState, call: Call) -> bytes:
    """Drops authentication and pending changes, also when the same application is selected again."""
    aid = call.header + call.data
    if len(aid) != 3:
        raise DesfireRefusal(Status.LENGTH_ERROR if len(aid) != 6 else Status.PARAMETER_ERROR)
    if aid not in state.memory.applications:
        raise DesfireRefusal(Status.APPLICATION_NOT_FOUND)
    state.select(aid)
    return b""


def require_picc_level(state: CardState) -> None:
    """Some commands exist only before an application is selected."""
    if state.selected != PICC_AID:
        raise DesfireRefusal(Status.PERMISSION_DENIED)


def get_application_ids(state: CardState, call: Call) -> bytes:
    _nothing_more(call)
    require_picc_level(state)
    require_listing_right(state)
    return b"".join(aid for aid in state.memory.applications if aid != PICC_AID)


def get_df_names(state: CardState, call: Call) -> bytes:
    """One frame per application that has an ISO identity: AID, ISO id (least significant first), DF name."""
    _nothing_more(call)
    require_picc_level(state)
    require_listing_right(state)
    frames = [
        app.aid + app.iso_id.to_bytes(2, "little") + app.df_name
        for app in state.memory.applications.values()
        if app.iso_id or app.df_name
    ]
    call.cuts = tuple(map(len, frames[:-1]))
    return b"".join(frames)


def create_application(state: CardState, call: Call) -> bytes:
    """AID KS1 KS2 [KS3] [ISO id] [DF name]; KS2 says of what kind all its keys are."""
    require_picc_level(state)
    if not state.application.key_settings & FREE_CREATE:
        state.require_master_key()
    aid, ks1, ks2 = call.header[:3], call.header[3], call.header[4]
    rest = call.data
    count, kind = ks2 & KEY_COUNT_MASK, _key_type(ks2)
    if count > MAX_KEYS:
        raise DesfireRefusal(Status.PARAMETER_ERROR)
    sets = None
    if ks2 & KS3_PRESENT:
        if state.identity.generation.unknown >= KEY_SETS:
            raise DesfireRefusal(Status.PARAMETER_ERROR)
        sets, rest = parse_key_sets(rest, kind)
    iso_id, name = _iso_identity(rest)
    changer = ks1 >> 4
    if count and changer not in (CHANGE_BY_SAME_KEY, CHANGE_FROZEN) and changer >= count:
        raise DesfireRefusal(Status.PARAMETER_ERROR)
    _refuse_duplicate(state, aid, iso_id, name)
    if state.memory.free_bytes() < APPLICATION_BYTES:
        raise DesfireRefusal(Status.OUT_OF_MEMORY)
    if len(state.memory.applications) > state.identity.generation.most_applications:
        raise DesfireRefusal(Status.COUNT_ERROR)
    keys = (state.memory.default_key.slot(kind),) * count
    created = Application(aid, ks1, keys, {}, bool(ks2 & ISO_FILE_IDS), iso_id, name, kind, sets)
    state.memory = state.memory.with_application(created)
    return b""


def _key_type(ks2: int) -> KeyType:
    try:
        return KeyType(ks2 >> KEY_TYPE_SHIFT)
    except ValueError:
        raise DesfireRefusal(Status.PARAMETER_ERROR) from None


def _iso_identity(rest: bytes) -> tuple[int, bytes]:
    if not rest:
        return 0, b""
    if len(rest) < 2 or len(rest) > 2 + MAX_NAME_BYTES:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    return int.from_bytes(rest[:2], "little"), rest[2:]


def _refuse_duplicate(state: CardState, aid: bytes, iso_id: int, name: bytes) -> None:
    for app in state.memory.applications.values():
        same_iso = iso_id and app.iso_id == iso_id
        same_name = name and app.df_name == name
        if app.aid == aid or same_iso or same_name:
            raise DesfireRefusal(Status.DUPLICATE_ERROR)


def delete_application(state: CardState, call: Call) -> bytes:
    """Under the PICC master key, or under its own master key while it is selected."""
    _nothing_more(call)
    aid = call.header
    if aid not in state.memory.applications or aid == PICC_AID:
        raise DesfireRefusal(Status.APPLICATION_NOT_FOUND)
    if state.selected not in (PICC_AID, aid):
        raise DesfireRefusal(Status.PERMISSION_DENIED)
    state.require_master_key()
    state.memory = state.memory.without_application(aid)
    if state.selected == aid:
        state.select(PICC_AID)
    return b""


def format_picc(state: CardState, call: Call) -> bytes:
    """Deletes every application; keys and configuration of the PICC level stay."""
    _nothing_more(call)
    require_picc_level(state)
    if state.memory.format_disabled:
        raise DesfireRefusal(Status.PERMISSION_DENIED)
    state.require_master_key()
    state.memory = replace(state.memory, applications={PICC_AID: state.application})
    return b""


def free_memory(state: CardState, call: Call) -> bytes:
    _nothing_more(call)
    return state.memory.free_bytes().to_bytes(3, "little")


def set_configuration_gate(state: CardState, call: Call) -> None:
    """Needs a session, and the length of an option's data where it has one length only."""
    if state.session is None:
        raise DesfireRefusal(Status.AUTHENTICATION_ERROR)
    call.plain_bytes = {
        OPTION_FLAGS: 1,
        OPTION_DEFAULT_KEY: LONGEST_KEY_BYTES + 1,
        OPTION_CAPABILITIES: CAPABILITY_BYTES,
    }.get(call.header[0])


def set_configuration(state: CardState, call: Call) -> bytes:
    """Options 00 (format off, random UID), 01 (default key) and 02 (ATS), on EV3 also 05, on Light 09 (its value file).

    Of option 05 the transaction timer is kept, and nothing is done by it; other capabilities are a parameter error
    `(?)`. So are other options. On Light the application's master key configures, elsewhere the PICC's.
    """
    if not state.identity.generation.fixed:
        require_picc_level(state)
    state.require_master_key()
    option, data = call.header[0], call.data
    match option, len(data):
        case 0, 1:
            flags = data[0]
            state.memory = replace(
                state.memory,
                format_disabled=state.memory.format_disabled or bool(flags & 1),
                random_uid=state.memory.random_uid or bool(flags & 2),
            )
        case 1, 25 if not state.identity.generation.fixed:
            state.memory = replace(state.memory, default_key=DefaultKey(data[:24], data[24]))
        case 2, length if 1 <= length <= 20 and data[0] == length:
            state.memory = replace(state.memory, ats=data)
        case 5, 10 if state.identity.generation.transaction_timer:
            if any(data[:TIMER_AT]) or any(data[TIMER_AT + 1 :]):
                raise DesfireRefusal(Status.PARAMETER_ERROR)
            state.memory = replace(state.memory, transaction_timer=data[TIMER_AT])
        case 9, 14 if state.identity.generation.fixed:
            _configure_value_file(state, data)
        case _:
            raise DesfireRefusal(
                Status.LENGTH_ERROR
                if option in _options(state.identity.generation)
                else Status.PARAMETER_ERROR
            )
    return b""


def _options(generation: Generation) -> tuple[int, ...]:
    if generation.fixed:
        return (0, 2, 9)
    return (0, 1, 2, OPTION_CAPABILITIES) if generation.transaction_timer else (0, 1, 2)


def _configure_value_file(state: CardState, data: bytes) -> None:
    """Light: number, limits, value and flags of the one value file it has."""
    file = state.application.files.get(data[0])
    if not isinstance(file, ValueFile):
        raise DesfireRefusal(Status.PARAMETER_ERROR)
    lower, upper, value = (int.from_bytes(data[i : i + 4], "little", signed=True) for i in (1, 5, 9))
    if not lower <= value <= upper or data[13] > 3:
        raise DesfireRefusal(Status.PARAMETER_ERROR)
    limited, free = bool(data[13] & 1), bool(data[13] & 2)
    changed = ValueFile(file.head, lower, upper, value, 0, limited, free)
    state.application = state.application.with_file(changed)


def _nothing_more(call: Call) -> None:
    if call.data:
        raise DesfireRefusal(Status.LENGTH_ERROR)
