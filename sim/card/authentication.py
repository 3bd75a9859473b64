"""The card's half of every authentication: EV2First and NonFirst, AES, ISO, and the first cards' (0A).

EV2: all four cryptograms are AES-CBC with a zero IV and no padding, and the transaction survives. AES and ISO: one
initialisation vector runs through the three messages. 0A: the terminal deciphers, the card enciphers.

The proximity check (EV2/EV3) asks how far away something can be that answers this fast. `(?)` only secondary
sources describe it. In software the times mean nothing; what is served is the protocol."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from cardproto.desfire import commands as ins
from cardproto.desfire.authentication import Ev1Cipher
from cardproto.desfire.crypto import ZERO_IV, AesKey, rotate_left, truncate_mac
from cardproto.desfire.key_types import KeyType
from cardproto.desfire.legacy_crypto import (
    DES_BLOCK,
    CipherKey,
    DesKey,
    aes_session_key,
    d40_receive,
    des_session_key,
)
from cardproto.desfire.legacy_messaging import D40Session, Ev1Session
from cardproto.desfire.messaging import Session
from cardproto.desfire.status import Status
from sim.card.memory import KeySlot
from sim.card.refusal import DesfireRefusal
from sim.card.state import CardState, PreparedProximityCheck

CAPABILITY_BYTES: Final = 6
CARD_CAPABILITIES: Final = bytes(CAPABILITY_BYTES)
RND_BYTES: Final = 16
DES_KINDS: Final = (KeyType.DES, KeyType.TRIPLE_DES_3K)


def begin_first(state: CardState, payload: bytes) -> bytes:
    """71 keyNo lenCap cap: answers E(RndB). A wish for LRP is ignored: this is an AES card."""
    if len(payload) < 2 or len(payload) != 2 + payload[1]:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    key = AesKey(_slot(state, payload[0], KeyType.AES).key)
    capabilities = payload[2 : 2 + CAPABILITY_BYTES].ljust(CAPABILITY_BYTES, b"\0")
    rnd_b = state.rng(RND_BYTES)
    state.session = None
    state.handshake = partial(_finish_first, key, payload[0], rnd_b, capabilities)
    return key.encrypt(ZERO_IV, rnd_b)


def _finish_first(
    key: AesKey, key_no: int, rnd_b: bytes, capabilities: bytes, state: CardState, token: bytes
) -> bytes:
    rnd_a = _checked(key.decrypt(ZERO_IV, _sized(token, 2 * RND_BYTES)), rnd_b)
    ti = state.rng(4)
    state.session = Session.derive(key, key_no, rnd_a, rnd_b, ti)
    return key.encrypt(ZERO_IV, ti + rotate_left(rnd_a) + CARD_CAPABILITIES + capabilities)


def begin_non_first(state: CardState, payload: bytes) -> bytes:
    """77 keyNo: needs an active EV2 session, whose TI and counter live on."""
    if len(payload) != 1:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    before = state.session
    if not isinstance(before, Session):
        raise DesfireRefusal(Status.PERMISSION_DENIED)
    key = AesKey(_slot(state, payload[0], KeyType.AES).key)
    rnd_b = state.rng(RND_BYTES)
    state.session = None
    state.handshake = partial(_finish_non_first, key, payload[0], rnd_b, before)
    return key.encrypt(ZERO_IV, rnd_b)


def _finish_non_first(
    key: AesKey, key_no: int, rnd_b: bytes, before: Session, state: CardState, token: bytes
) -> bytes:
    rnd_a = _checked(key.decrypt(ZERO_IV, _sized(token, 2 * RND_BYTES)), rnd_b)
    state.session = Session.derive(key, key_no, rnd_a, rnd_b, before.ti, before.counter)
    return key.encrypt(ZERO_IV, rotate_left(rnd_a))


def begin_aes(state: CardState, payload: bytes) -> bytes:
    """AA keyNo: an AES key, EV1 messaging afterwards."""
    number = _key_number(payload)
    key = AesKey(_slot(state, number, KeyType.AES).key)
    rnd_b = state.rng(RND_BYTES)
    return _chained(state, key, ZERO_IV, rnd_b, partial(_aes_session, number, rnd_b))


def _aes_session(number: int, rnd_b: bytes, rnd_a: bytes) -> Ev1Session:
    return Ev1Session(number, Ev1Cipher(aes_session_key(rnd_a, rnd_b)))


def begin_iso(state: CardState, payload: bytes) -> bytes:
    """1A keyNo: a DES key of any length, EV1 messaging afterwards."""
    number = _key_number(payload)
    key = DesKey(_slot(state, number, *DES_KINDS).key)
    rnd_b = state.rng(key.random_bytes)
    return _chained(state, key, bytes(DES_BLOCK), rnd_b, partial(_iso_session, number, key, rnd_b))


def _iso_session(number: int, key: DesKey, rnd_b: bytes, rnd_a: bytes) -> Ev1Session:
    return Ev1Session(number, Ev1Cipher(des_session_key(key, rnd_a, rnd_b), DES_BLOCK), DES_BLOCK)


def _chained(
    state: CardState, key: CipherKey, iv: bytes, rnd_b: bytes, open_session: Callable[[bytes], Ev1Session]
) -> bytes:
    challenge = key.encrypt(iv, rnd_b)
    state.session = None
    state.handshake = partial(_finish_chained, key, challenge[-len(iv) :], rnd_b, open_session)
    return challenge


def _finish_chained(
    key: CipherKey,
    iv: bytes,
    rnd_b: bytes,
    open_session: Callable[[bytes], Ev1Session],
    state: CardState,
    token: bytes,
) -> bytes:
    rnd_a = _checked(key.decrypt(iv, _sized(token, 2 * len(rnd_b))), rnd_b)
    state.session = open_session(rnd_a)
    return key.encrypt(token[-len(iv) :], rotate_left(rnd_a))


def begin_d40(state: CardState, payload: bytes) -> bytes:
    """0A keyNo: a single DES or 2K3DES key, the first cards' messaging afterwards."""
    number = _key_number(payload)
    key = DesKey(_slot(state, number, KeyType.DES).key)
    rnd_b = state.rng(DES_BLOCK)
    state.session = None
    state.handshake = partial(_finish_d40, key, number, rnd_b)
    return key.encrypt(bytes(DES_BLOCK), rnd_b)


def _finish_d40(key: DesKey, number: int, rnd_b: bytes, state: CardState, token: bytes) -> bytes:
    rnd_a = _checked(d40_receive(key, _sized(token, 2 * DES_BLOCK)), rnd_b)
    state.session = D40Session(number, des_session_key(key, rnd_a, rnd_b))
    return key.encrypt(bytes(DES_BLOCK), rotate_left(rnd_a))


def finish(state: CardState, handshake: Callable[[CardState, bytes], bytes], token: bytes) -> bytes:
    """AF token: verifies the terminal, answers the card's own proof, opens the session."""
    state.handshake = None
    return handshake(state, token)


BEGINNINGS: Final[dict[int, Callable[[CardState, bytes], bytes]]] = {
    ins.INS_AUTHENTICATE_EV2_FIRST: begin_first,
    ins.INS_AUTHENTICATE_EV2_NON_FIRST: begin_non_first,
    ins.INS_AUTHENTICATE_AES: begin_aes,
    ins.INS_AUTHENTICATE_ISO: begin_iso,
    ins.INS_AUTHENTICATE_D40: begin_d40,
}


def _sized(token: bytes, expected: int) -> bytes:
    if len(token) != expected:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    return token


def _checked(plain: bytes, rnd_b: bytes) -> bytes:
    """RndA when the terminal has proved that it knows RndB, hence the key."""
    half = len(rnd_b)
    if plain[half:] != rotate_left(rnd_b):
        raise DesfireRefusal(Status.AUTHENTICATION_ERROR)
    return plain[:half]


def _key_number(payload: bytes) -> int:
    if len(payload) != 1:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    return payload[0]


def _slot(state: CardState, key_no: int, *kinds: KeyType) -> KeySlot:
    """The key, if it is there and of a kind this authentication is for."""
    keys = state.application.keys
    if key_no >= len(keys):
        raise DesfireRefusal(Status.NO_SUCH_KEY)
    slot = keys[key_no]
    if slot.type not in kinds:
        raise DesfireRefusal(Status.AUTHENTICATION_ERROR)
    return slot


CHALLENGE_BYTES: Final = 8
OPTION: Final = b"\0"
PUBLISHED_TIME: Final = bytes.fromhex("0320")
ANSWER_CODE: Final = b"\x90"


def prepare(state: CardState, payload: bytes) -> bytes:
    """F0: answers option and published response time; the card's own eight bytes are drawn now."""
    if payload:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    state.proximity = PreparedProximityCheck(state.rng(CHALLENGE_BYTES))
    return OPTION + PUBLISHED_TIME


def answer_round(state: CardState, payload: bytes) -> bytes:
    """F2 len bytes: as many of the card's bytes in return, at once."""
    check = state.proximity
    if check is None:
        raise DesfireRefusal(Status.PERMISSION_DENIED)
    if not payload or len(payload) != 1 + payload[0] or not payload[0]:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    end = check.done + payload[0]
    if end > CHALLENGE_BYTES:
        raise DesfireRefusal(Status.PARAMETER_ERROR)
    own = check.own[check.done : end]
    check.rounds += own + payload[1:]
    check.done = end
    return own


def verify(state: CardState, payload: bytes) -> bytes:
    """FD MAC over everything exchanged: proves that the terminal saw the same bytes, and answers likewise."""
    check, state.proximity = state.proximity, None
    if check is None or check.done != CHALLENGE_BYTES:
        raise DesfireRefusal(Status.PERMISSION_DENIED)
    covered = OPTION + PUBLISHED_TIME + check.rounds
    session = state.session
    own = AesKey(state.memory.proximity_key.key)
    mac = session.cipher.mac if isinstance(session, Session) else lambda sent: truncate_mac(own.cmac(sent))
    code = bytes((ins.INS_VERIFY_PROXIMITY_CHECK,))
    if payload != mac(code + covered):
        raise DesfireRefusal(Status.INTEGRITY_ERROR)
    return mac(ANSWER_CODE + covered)


STEPS: Final[dict[int, Callable[[CardState, bytes], bytes]]] = {
    ins.INS_PREPARE_PROXIMITY_CHECK: prepare,
    ins.INS_PROXIMITY_CHECK: answer_round,
    ins.INS_VERIFY_PROXIMITY_CHECK: verify,
}
