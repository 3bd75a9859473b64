"""Who the chip says it is: GetVersion, GetCardUID, the originality signature."""

from __future__ import annotations

from typing import Final

from cardproto.desfire.status import Status
from sim.card.call import Call
from sim.card.generation import generation_of
from sim.card.originality import signature_of
from sim.card.refusal import Refusal
from sim.card.state import CardState, Identity

UID_BYTES: Final = 7


def identity_of(uid: bytes, generation: str) -> Identity:
    """An identity of this generation; batch and date are fixed, nothing depends on them."""
    return Identity(uid, generation_of(generation), batch=bytes.fromhex("5EED000001"), week=0x20, year=0x25)


def get_version(state: CardState, call: Call) -> bytes:
    """Three frames of 7, 7 and 14 bytes; the UID part is zero under random UID."""
    if call.data:
        raise Refusal(Status.LENGTH_ERROR)
    chip = state.identity
    uid = bytes(UID_BYTES) if state.memory.random_uid else chip.uid
    call.cuts = (7, 7)
    made = chip.batch + bytes((chip.week, chip.year))
    return chip.generation.hardware + chip.generation.software + uid + made


def get_card_uid(state: CardState, call: Call) -> bytes:
    """The real UID, always enciphered."""
    if call.data:
        raise Refusal(Status.LENGTH_ERROR)
    return state.identity.uid


def read_signature(state: CardState, call: Call) -> bytes:
    """56 bytes over the UID by our laboratory's key: the maker's own check refuses them, ours accepts them."""
    if call.header != b"\0" or call.data:
        raise Refusal(Status.PARAMETER_ERROR)
    return signature_of(state.identity.uid)
