"""Who the chip says it is: GetVersion, GetCardUID, the originality signature."""

from __future__ import annotations

import hashlib
from typing import Final

from cardproto.desfire.status import Status
from sim.card.refusal import Refusal
from sim.card.state import Call, CardState, Identity

SIGNATURE_BYTES: Final = 56
UID_BYTES: Final = 7
EV2_HARDWARE: Final = bytes.fromhex("04010112001A05")
EV2_SOFTWARE: Final = bytes.fromhex("04010102011A05")
EV3_HARDWARE: Final = bytes.fromhex("04010133001A05")
EV3_SOFTWARE: Final = bytes.fromhex("04010103001A05")
GENERATIONS: Final = {"EV2": (EV2_HARDWARE, EV2_SOFTWARE), "EV3": (EV3_HARDWARE, EV3_SOFTWARE)}


def identity_of(uid: bytes, generation: str) -> Identity:
    """An identity of this generation ("EV2" or "EV3"); batch and date are fixed, nothing depends on them."""
    hardware, software = GENERATIONS[generation]
    return Identity(uid, hardware, software, batch=bytes.fromhex("5EED000001"), week=0x20, year=0x25)


def get_version(state: CardState, call: Call) -> bytes:
    """Three frames of 7, 7 and 14 bytes; the UID part is zero under random UID."""
    if call.data:
        raise Refusal(Status.LENGTH_ERROR)
    chip = state.identity
    uid = bytes(UID_BYTES) if state.memory.random_uid else chip.uid
    call.cuts = (7, 7)
    return chip.hardware + chip.software + uid + chip.batch + bytes((chip.week, chip.year))


def get_card_uid(state: CardState, call: Call) -> bytes:
    """The real UID, always enciphered."""
    if call.data:
        raise Refusal(Status.LENGTH_ERROR)
    return state.identity.uid


def read_signature(state: CardState, call: Call) -> bytes:
    """56 bytes of the right shape that no originality check accepts: only the maker can sign."""
    if call.header != b"\0" or call.data:
        raise Refusal(Status.PARAMETER_ERROR)
    digest = hashlib.sha512(b"software card, not NXP's" + state.identity.uid).digest()
    return digest[:SIGNATURE_BYTES]
