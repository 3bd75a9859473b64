"""The card's end of a protected command: EV2, EV1 and D40, each opening what came and sealing what goes.

The arithmetic is cardproto's, for both ends; what a card insists on is stated here.
"""

from __future__ import annotations

from typing import TypeAlias

from cardproto.desfire.authentication import MAC_BYTES
from cardproto.desfire.crypto import crc32
from cardproto.desfire.legacy_crypto import crc16, pad_zero
from cardproto.desfire.legacy_messaging import D40Session, Ev1Session
from cardproto.desfire.messaging import COUNTER_LIMIT, CommMode, Session
from cardproto.desfire.status import Status
from sim.card.call import Call
from sim.card.refusal import DesfireRefusal

AnySession: TypeAlias = Session | Ev1Session | D40Session
_OK = b"\0"


def opened(session: AnySession, call: Call, body: bytes) -> bytes:
    """Verify and decipher what follows the header; returns the plain command data or refuses."""
    match session:
        case Session():
            return _opened_ev2(session, call, body)
        case Ev1Session():
            return _opened_ev1(session, call, body)
        case D40Session():
            return _opened_d40(session, call, body)


def sealed(session: AnySession, call: Call, answer: bytes) -> bytes:
    """Protect a successful answer."""
    match session:
        case Session():
            return _sealed_ev2(session, call, answer)
        case Ev1Session():
            return _sealed_ev1(session, call, answer)
        case D40Session():
            return _sealed_d40(session, call, answer)


def wire_bytes(session: AnySession | None, call: Call, length: int) -> int:
    """How long `length` bytes of file content are on the wire, for native chaining."""
    if session is None or call.mode is CommMode.PLAIN:
        return length
    if isinstance(session, Session):
        return (length + 16 - length % 16 if call.mode is CommMode.FULL and length else length) + MAC_BYTES
    if call.mode is CommMode.MAC:
        return length + session.mac_bytes
    return length + session.crc_bytes + -(length + session.crc_bytes) % session.block_bytes


def _opened_ev2(session: Session, call: Call, body: bytes) -> bytes:
    """Plain commands count, too. Length and integrity are refused before anything is executed."""
    if session.counter >= COUNTER_LIMIT:
        raise DesfireRefusal(Status.INTEGRITY_ERROR)
    if call.mode is not CommMode.PLAIN:
        body = _verified_ev2(session, call, body)
    session.counter += 1
    return body


def _verified_ev2(session: Session, call: Call, body: bytes) -> bytes:
    if len(body) < MAC_BYTES:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    data, mac = body[:-MAC_BYTES], body[-MAC_BYTES:]
    if session.command_mac(call.ins, call.header, data) != mac:
        raise DesfireRefusal(Status.INTEGRITY_ERROR)
    if call.mode is CommMode.MAC:
        return data
    return _found(session.decrypt_command(data))


def _sealed_ev2(session: Session, call: Call, answer: bytes) -> bytes:
    if call.mode is CommMode.PLAIN:
        return answer
    if call.mode is CommMode.FULL:
        answer = session.encrypt_response(answer)
    return answer + session.response_mac(answer)


def _opened_ev1(session: Ev1Session, call: Call, body: bytes) -> bytes:
    """Every command moves the vector; only content in MAC mode brings its MAC along."""
    head = bytes((call.ins,)) + call.header
    if call.mode is CommMode.FULL and body:
        plain = _found(session.decipher(body))
        return _found(
            session.opened(plain, head, b"", call.plain_bytes, call.trailer_bytes(session.crc_bytes))
        )
    if not (call.content and call.mode is CommMode.MAC and body):
        session.mac(head + body)
        return body
    data, mac = body[: -session.mac_bytes], body[-session.mac_bytes :]
    if len(body) <= session.mac_bytes:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    if session.mac(head + data) != mac:
        raise DesfireRefusal(Status.INTEGRITY_ERROR)
    return data


def _sealed_ev1(session: Ev1Session, call: Call, answer: bytes) -> bytes:
    """Everything is MACed, whatever the mode, except content that is enciphered."""
    if call.mode is not CommMode.FULL or not answer:
        return answer + session.mac(answer + _OK)
    plain = answer + crc32(answer + _OK) + _end(call)
    return session.encipher(pad_zero(plain, session.block_bytes))


def _opened_d40(session: D40Session, call: Call, body: bytes) -> bytes:
    if call.mode is CommMode.FULL and body:
        plain = _found(session.receive(body))
        return _found(session.opened(plain, call.plain_bytes, call.trailer_bytes(session.crc_bytes)))
    if not (call.content and call.mode is CommMode.MAC and body):
        return body
    data, mac = body[: -session.mac_bytes], body[-session.mac_bytes :]
    if len(body) <= session.mac_bytes:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    if session.mac(data) != mac:
        raise DesfireRefusal(Status.INTEGRITY_ERROR)
    return data


def _sealed_d40(session: D40Session, call: Call, answer: bytes) -> bytes:
    """Management answers travel as they are; nothing but content proves where it comes from."""
    if not answer or call.mode is CommMode.PLAIN:
        return answer
    if call.mode is CommMode.FULL:
        return session.encipher(answer + crc16(answer) + _end(call))
    return answer + session.mac(answer) if call.content else answer


def _end(call: Call) -> bytes:
    """An answer of another length than asked for ends with 80, so that the other side finds where."""
    return b"\x80" if call.content and call.open_ended else b""


def _found(plain: bytes | None) -> bytes:
    if plain is None:
        raise DesfireRefusal(Status.INTEGRITY_ERROR)
    return plain
