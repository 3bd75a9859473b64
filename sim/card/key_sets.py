"""Several sets of keys in one application, of which one is active (EV2/EV3).

A set is initialised, its keys are changed one by one, it is finalised, and a roll makes it the active one: a fleet
of cards changes its keys at once. `(?)` throughout: public sources name the commands and their parameters, not
every rule; this is the plainest reading of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from cardproto.desfire.key_types import KeyType
from cardproto.desfire.status import Status
from sim.card.call import Call
from sim.card.keys import KEY_NUMBER_MASK, change_key, other_key, require_right_to_change
from sim.card.memory import KeySet, StoredKeySets
from sim.card.refusal import DesfireRefusal
from sim.card.state import CardState

MOST_SETS: Final = 16
ENABLED: Final = 0x01
ROLL_KEY_MASK: Final = 0x0F


def parse_key_sets(rest: bytes, kind: KeyType) -> tuple[StoredKeySets | None, bytes]:
    """KS3 and, when it says so, version of the active set, number of sets, longest key, roll settings."""
    if not rest:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    if not rest[0] & ENABLED:
        if rest[0]:
            raise DesfireRefusal(Status.PARAMETER_ERROR)
        return None, rest[1:]
    if len(rest) < 5:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    version, count, longest, roll = rest[1:5]
    if not 2 <= count <= MOST_SETS or longest not in (16, 24) or longest < kind.key_bytes:
        raise DesfireRefusal(Status.PARAMETER_ERROR)
    return StoredKeySets(version, count, longest, roll, {}), rest[5:]


def change_key_ev2_gate(state: CardState, call: Call) -> None:
    """As ChangeKey; a key of a set that is not active is always another one than the authenticated."""
    if state.session is None:
        raise DesfireRefusal(Status.AUTHENTICATION_ERROR)
    number, coded = call.header
    kind = state.application.key_type if number == 0 else _set(state, number).type
    call.plain_bytes = kind.key_bytes + (kind is KeyType.AES)
    call.other_key = bool(number) or coded & KEY_NUMBER_MASK != state.session.key_no


def change_key_ev2(state: CardState, call: Call) -> bytes:
    """C6 keySetNo keyNo: set 0 is the active one, as with ChangeKey."""
    number, coded = call.header
    if number == 0:
        return change_key(state, Call(call.ins, bytes((coded,)), call.mode, data=call.data))
    key_no, chosen = coded & KEY_NUMBER_MASK, _set(state, number)
    if key_no >= len(chosen.keys):
        raise DesfireRefusal(Status.NO_SUCH_KEY)
    require_right_to_change(state, state.application, key_no)
    slot = other_key(state, chosen.type, chosen.keys[key_no], call.data)
    keys = (*chosen.keys[:key_no], slot, *chosen.keys[key_no + 1 :])
    _store(state, number, replace(chosen, keys=keys, finalized=False))
    return b""


def initialize_key_set(state: CardState, call: Call) -> bytes:
    """56 keySetNo type: all keys of the set become the default key."""
    number, coded = _two(call)
    sets = _sets(state)
    state.require_master_key()
    if not 1 <= number < sets.count:
        raise DesfireRefusal(Status.NO_SUCH_KEY)
    try:
        kind = KeyType(coded)
    except ValueError:
        raise DesfireRefusal(Status.PARAMETER_ERROR) from None
    if kind.key_bytes > sets.longest_bytes:
        raise DesfireRefusal(Status.PARAMETER_ERROR)
    keys = (state.memory.default_key.slot(kind),) * len(state.application.keys)
    _store(state, number, KeySet(keys, kind, 0, finalized=False))
    return b""


def finalize_key_set(state: CardState, call: Call) -> bytes:
    """57 keySetNo version: the set is complete and may be rolled to."""
    number, version = _two(call)
    state.require_master_key()
    _store(state, number, replace(_set(state, number), version=version, finalized=True))
    return b""


def roll_key_set(state: CardState, call: Call) -> bytes:
    """55 keySetNo, under the roll key: the set becomes the active one, and the session ends."""
    if len(call.data) != 1:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    number, sets, application = call.data[0], _sets(state), state.application
    chosen = _set(state, number)
    if state.session is None or state.session.key_no != sets.roll_settings & ROLL_KEY_MASK:
        raise DesfireRefusal(Status.AUTHENTICATION_ERROR)
    if not chosen.finalized:
        raise DesfireRefusal(Status.PERMISSION_DENIED)
    before = KeySet(application.keys, application.key_type, sets.active_version, finalized=True)
    rolled = replace(sets, active_version=chosen.version, others={**sets.others, number: before})
    state.application = replace(application, keys=chosen.keys, key_type=chosen.type, key_sets=rolled)
    state.session = None
    return b""


def _two(call: Call) -> tuple[int, int]:
    if len(call.data) != 2:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    return call.data[0], call.data[1]


def _sets(state: CardState) -> StoredKeySets:
    sets = state.application.key_sets
    if sets is None:
        raise DesfireRefusal(Status.PERMISSION_DENIED)
    return sets


def _set(state: CardState, number: int) -> KeySet:
    sets = state.application.key_sets
    if sets is None or number not in sets.others:
        raise DesfireRefusal(Status.NO_SUCH_KEY)
    return sets.others[number]


def _store(state: CardState, number: int, changed: KeySet) -> None:
    sets = _sets(state)
    stored = replace(sets, others={**sets.others, number: changed})
    state.application = replace(state.application, key_sets=stored)
