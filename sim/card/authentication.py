"""AuthenticateEV2First and NonFirst, the card's half (reference section 4).

All four cryptograms are AES-CBC with a zero IV and no padding. The transaction survives an authentication.
"""

from __future__ import annotations

from typing import Final

from cardproto.desfire.crypto import ZERO_IV, AesKey, rotate_left
from cardproto.desfire.messaging import Session
from cardproto.desfire.status import Status
from sim.card.refusal import Refusal
from sim.card.state import CardState, Handshake

CAPABILITY_BYTES: Final = 6
CARD_CAPABILITIES: Final = bytes(CAPABILITY_BYTES)
RND_BYTES: Final = 16


def begin_first(state: CardState, payload: bytes) -> bytes:
    """71 keyNo lenCap cap: answers E(RndB). A wish for LRP is ignored: this is an AES card."""
    if len(payload) < 2 or len(payload) != 2 + payload[1]:
        raise Refusal(Status.LENGTH_ERROR)
    capabilities = payload[2 : 2 + CAPABILITY_BYTES].ljust(CAPABILITY_BYTES, b"\0")
    return _challenge(state, payload[0], capabilities, None)


def begin_non_first(state: CardState, payload: bytes) -> bytes:
    """77 keyNo: needs an active session, whose TI and counter live on."""
    if len(payload) != 1:
        raise Refusal(Status.LENGTH_ERROR)
    if state.session is None:
        raise Refusal(Status.PERMISSION_DENIED)
    return _challenge(state, payload[0], b"", state.session)


def _challenge(state: CardState, key_no: int, capabilities: bytes, continued: Session | None) -> bytes:
    key = _key(state, key_no)
    rnd_b = state.rng(RND_BYTES)
    state.session = None
    state.handshake = Handshake(key_no, rnd_b, capabilities, continued)
    return key.encrypt(ZERO_IV, rnd_b)


def finish(state: CardState, handshake: Handshake, payload: bytes) -> bytes:
    """AF E(RndA || rotl(RndB)): verifies the terminal, answers the card's own proof, opens the session."""
    state.handshake = None
    if len(payload) != 2 * RND_BYTES:
        raise Refusal(Status.LENGTH_ERROR)
    key = _key(state, handshake.key_no)
    plain = key.decrypt(ZERO_IV, payload)
    rnd_a, rnd_b = plain[:RND_BYTES], handshake.rnd_b
    if plain[RND_BYTES:] != rotate_left(rnd_b):
        raise Refusal(Status.AUTHENTICATION_ERROR)
    before = handshake.continued
    if before is not None:
        state.session = Session.derive(key, handshake.key_no, rnd_a, rnd_b, before.ti, before.counter)
        return key.encrypt(ZERO_IV, rotate_left(rnd_a))
    ti = state.rng(4)
    state.session = Session.derive(key, handshake.key_no, rnd_a, rnd_b, ti)
    return key.encrypt(ZERO_IV, ti + rotate_left(rnd_a) + CARD_CAPABILITIES + handshake.capabilities)


def _key(state: CardState, key_no: int) -> AesKey:
    keys = state.application.keys
    if key_no >= len(keys):
        raise Refusal(Status.NO_SUCH_KEY)
    return AesKey(keys[key_no].key)
