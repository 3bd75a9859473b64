"""The proximity check (EV2/EV3), the card's half: how far away can something be that answers this fast?

`(?)` only secondary sources describe it. In software the times mean nothing; what is served is the protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cardproto.desfire import commands as ins
from cardproto.desfire.crypto import AesKey, truncate_mac
from cardproto.desfire.messaging import Session
from cardproto.desfire.status import Status
from sim.card.refusal import Refusal
from sim.card.state import CardState, ProximityCheck

CHALLENGE_BYTES: Final = 8
OPTION: Final = b"\0"
PUBLISHED_TIME: Final = bytes.fromhex("0320")
ANSWER_CODE: Final = b"\x90"


def prepare(state: CardState, payload: bytes) -> bytes:
    """F0: answers option and published response time; the card's own eight bytes are drawn now."""
    if payload:
        raise Refusal(Status.LENGTH_ERROR)
    state.proximity = ProximityCheck(state.rng(CHALLENGE_BYTES))
    return OPTION + PUBLISHED_TIME


def answer_round(state: CardState, payload: bytes) -> bytes:
    """F2 len bytes: as many of the card's bytes in return, at once."""
    check = state.proximity
    if check is None:
        raise Refusal(Status.PERMISSION_DENIED)
    if not payload or len(payload) != 1 + payload[0] or not payload[0]:
        raise Refusal(Status.LENGTH_ERROR)
    end = check.done + payload[0]
    if end > CHALLENGE_BYTES:
        raise Refusal(Status.PARAMETER_ERROR)
    own = check.own[check.done : end]
    check.rounds += own + payload[1:]
    check.done = end
    return own


def verify(state: CardState, payload: bytes) -> bytes:
    """FD MAC over everything exchanged: proves that the terminal saw the same bytes, and answers likewise."""
    check, state.proximity = state.proximity, None
    if check is None or check.done != CHALLENGE_BYTES:
        raise Refusal(Status.PERMISSION_DENIED)
    covered = OPTION + PUBLISHED_TIME + check.rounds
    session = state.session
    key = session.mac if isinstance(session, Session) else AesKey(state.memory.proximity_key.key)
    code = bytes((ins.INS_VERIFY_PROXIMITY_CHECK,))
    if payload != truncate_mac(key.cmac(code + covered)):
        raise Refusal(Status.INTEGRITY_ERROR)
    return truncate_mac(key.cmac(ANSWER_CODE + covered))


STEPS: Final[dict[int, Callable[[CardState, bytes], bytes]]] = {
    ins.INS_PREPARE_PROXIMITY_CHECK: prepare,
    ins.INS_PROXIMITY_CHECK: answer_round,
    ins.INS_VERIFY_PROXIMITY_CHECK: verify,
}
