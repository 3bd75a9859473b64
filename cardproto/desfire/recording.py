"""Recorded exchanges read back with the keys: what both sides meant, command by command.

For vectors, transcripts and the back office. Nothing is sent. Every MAC of a protected command and of its answer
must verify; the mode of a command follows from the bytes, because a recording does not say it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from cardproto.apdu import CommandApdu, ResponseApdu
from cardproto.desfire import commands as ins
from cardproto.desfire.authentication import MAC_BYTES
from cardproto.desfire.crypto import BLOCK, ZERO_IV, CardKey, rotate_left
from cardproto.desfire.messaging import CommMode, Session
from cardproto.errors import IntegrityError, ProtocolError

CLA_ISO: Final = 0x00
CLA_WRAPPED: Final = 0x90
CLA_READER: Final = 0xFF
_MORE: Final = 0xAF
_SUCCESS: Final = (0x00, 0x90)

_CONTENT: Final = (ins.ISO_CHAINED_CODES, ins.NATIVE_CHAINED_CODES)
READS_DATA: Final = frozenset(codes.read_data for codes in _CONTENT)
READS_RECORDS: Final = frozenset(codes.read_records for codes in _CONTENT)
WRITES_DATA: Final = frozenset(codes.write_data for codes in _CONTENT)
WRITES_RECORD: Final = frozenset(codes.write_record for codes in _CONTENT)
UPDATES_RECORD: Final = frozenset(codes.update_record for codes in _CONTENT)
CHANGES_VALUE: Final = frozenset((ins.INS_CREDIT, ins.INS_DEBIT, ins.INS_LIMITED_CREDIT))
AUTHENTICATES: Final = frozenset((ins.INS_AUTHENTICATE_EV2_FIRST, ins.INS_AUTHENTICATE_EV2_NON_FIRST))
_READS: Final = READS_DATA | READS_RECORDS | {ins.INS_GET_VALUE}
_WRITES: Final = WRITES_DATA | WRITES_RECORD | UPDATES_RECORD
_ALWAYS_FULL: Final = {
    ins.INS_GET_CARD_UID: 0,
    ins.INS_CHANGE_KEY: 1,
    ins.INS_CHANGE_KEY_EV2: 2,
    ins.INS_CHANGE_KEY_SETTINGS: 0,
    ins.INS_SET_CONFIGURATION: 1,
    ins.INS_CHANGE_FILE_SETTINGS: 1,
    ins.INS_CREATE_TRANSACTION_MAC_FILE: 5,
    ins.INS_READ_SIGNATURE: 1,
}
"""Enciphered whatever the file, with the length of their header."""
_HEADER_BYTES: Final = {
    **dict.fromkeys(READS_DATA | READS_RECORDS | WRITES_DATA | WRITES_RECORD, 7),
    **dict.fromkeys(UPDATES_RECORD, 10),
    **dict.fromkeys(CHANGES_VALUE | {ins.INS_GET_VALUE, ins.INS_CLEAR_RECORD_FILE}, 1),
    **_ALWAYS_FULL,
}


@dataclass(frozen=True, slots=True)
class Joined:
    """One command with all its `frames` put together. `iso` is a CLA 00 APDU, whose status is a whole word."""

    ins: int
    message: bytes
    status: int
    answer: bytes
    iso: bool = False
    frames: int = 1


@dataclass(frozen=True, slots=True)
class RecordedCommand:
    """One command as meant: plain `data` and `answer`, the mode it travelled in (None: no session).

    `otherwise` is the answer read as MACed where the bytes fit both an enciphered and a MACed reading.
    """

    ins: int
    header: bytes
    data: bytes
    status: int
    answer: bytes
    mode: CommMode | None
    otherwise: bytes | None = None


def join_frames(exchanges: Iterable[tuple[bytes, bytes]]) -> list[Joined]:
    """Commands out of exchanges, wrapped (CLA 90), ISO (00) or native; AF frames of both directions joined.

    The two messages of an authentication stay two commands. Pseudo APDUs (FF) were for the reader and are left
    out. Raises `ProtocolError` for a continuation of nothing.
    """
    found: list[Joined] = []
    for command, response in exchanges:
        if command[:1] == bytes((CLA_READER,)):
            continue
        part = _one(command, response)
        if part.ins != _MORE or part.iso:
            found.append(part)
            continue
        if not found or found[-1].status != _MORE:
            raise ProtocolError("a continuation frame where nothing is to be continued")
        before = found[-1]
        if before.ins in AUTHENTICATES:
            found.append(part)
            continue
        message, answer = before.message + part.message, before.answer + part.answer
        found[-1] = Joined(before.ins, message, part.status, answer, frames=before.frames + 1)
    return found


def _one(command: bytes, response: bytes) -> Joined:
    if command[:1] == bytes((CLA_WRAPPED,)):
        sent, got = CommandApdu.parse(command), ResponseApdu.parse(response)
        return Joined(sent.ins, sent.data, got.sw & 0xFF, got.data)
    if command[:1] == bytes((CLA_ISO,)):
        sent, got = CommandApdu.parse(command), ResponseApdu.parse(response)
        return Joined(sent.ins, sent.data, got.sw, got.data, iso=True)
    if not command or not response:
        raise ProtocolError("an empty message")
    return Joined(command[0], command[1:], response[0], response[1:])


class SessionReader:
    """Follows one recorded conversation; `key_of` gives the card's key of a number.

    `session` is the EV2 session in force after the last command taken, None when there is none.
    """

    def __init__(self, key_of: Callable[[int], CardKey]) -> None:
        self._key_of = key_of
        self._challenge: tuple[int, int, bytes, Session | None] | None = None
        self.session: Session | None = None

    def take(self, command: Joined) -> RecordedCommand:
        """The next command. Raises `IntegrityError` where a MAC, a padding or a proof does not verify."""
        if command.iso or command.ins == ins.INS_SELECT_APPLICATION:
            self.session = None
            return _as_sent(command)
        if command.ins in AUTHENTICATES or self._challenge is not None:
            self._authenticate(command)
            return _as_sent(command)
        if self.session is None:
            return _split(command, None)
        if command.status not in _SUCCESS:
            self.session = None
            return _split(command, None)
        return self._protected(self.session, command)

    def _authenticate(self, command: Joined) -> None:
        if self._challenge is None:
            before, self.session = self.session, None
            if command.status == _MORE:
                self._challenge = (command.ins, command.message[0], command.answer, before)
            return
        (code, number, challenge, before), self._challenge = self._challenge, None
        if command.ins != _MORE or command.status:
            return
        key = self._key_of(number)
        token, proof = key.decrypt(ZERO_IV, command.message), key.decrypt(ZERO_IV, command.answer)
        rnd_a, rnd_b = token[:BLOCK], key.decrypt(ZERO_IV, challenge)
        first = code == ins.INS_AUTHENTICATE_EV2_FIRST
        returned = proof[4 : 4 + BLOCK] if first else proof
        if token[BLOCK:] != rotate_left(rnd_b) or returned != rotate_left(rnd_a):
            raise IntegrityError("the authentication was not made with this key")
        if not first and before is None:
            raise ProtocolError("a non-first authentication without a session")
        ti, counter = (proof[:4], 0) if first or before is None else (before.ti, before.counter)
        self.session = Session.derive(key, number, rnd_a, rnd_b, ti, counter)

    def _protected(self, session: Session, command: Joined) -> RecordedCommand:
        body, mac = command.message[:-MAC_BYTES], command.message[-MAC_BYTES:]
        if len(mac) != MAC_BYTES or session.command_mac(command.ins, b"", body) != mac:
            session.counter += 1
            return _plain(command)
        at = _HEADER_BYTES.get(command.ins, len(body))
        header, sent = body[:at], body[at:]
        enciphered = bool(sent) and _is_enciphered(command.ins, header, sent)
        data = session.decrypt_command(sent) if enciphered else sent
        session.counter += 1
        answer = _checked_answer(session, command)
        if data is None:
            raise IntegrityError(f"{ins.command_name(command.ins)}: the command's padding is wrong")
        if answer is None:
            self.session = None
            return RecordedCommand(command.ins, header, data, command.status, b"", CommMode.FULL)
        mode = CommMode.FULL if enciphered else CommMode.MAC
        if not answer or (sent and command.ins not in _ALWAYS_FULL):
            return RecordedCommand(command.ins, header, data, command.status, answer, mode)
        return _with_answer(session, command, header, data, answer)


def _is_enciphered(code: int, header: bytes, sent: bytes) -> bool:
    if code in _WRITES:
        return len(sent) != int.from_bytes(header[-3:], "little")
    return len(sent) != 4 if code in CHANGES_VALUE else code in _ALWAYS_FULL


def _checked_answer(session: Session, command: Joined) -> bytes | None:
    """The answer without its MAC; None for the bare one with which a changed key ends the session."""
    answer = command.answer
    if not answer and command.ins in (ins.INS_CHANGE_KEY, ins.INS_CHANGE_KEY_EV2):
        return None
    body, mac = answer[:-MAC_BYTES], answer[-MAC_BYTES:]
    if session.response_mac(body, command.status) != mac:
        raise IntegrityError(f"{ins.command_name(command.ins)}: the answer's MAC does not verify")
    return body


def _with_answer(
    session: Session, command: Joined, header: bytes, data: bytes, body: bytes
) -> RecordedCommand:
    """A command that answered something: enciphered when it must be, or when only that reading fits."""
    code, plain = command.ins, session.decrypt_response(body)
    if code in _ALWAYS_FULL and plain is None:
        raise IntegrityError(f"{ins.command_name(code)}: the answer's padding is wrong")
    if plain is None or (code not in _ALWAYS_FULL and code not in _READS):
        return RecordedCommand(code, header, data, command.status, body, CommMode.MAC)
    length = 4 if code == ins.INS_GET_VALUE else int.from_bytes(header[-3:], "little")
    if code in READS_RECORDS:
        length = 0
    if length:
        mode, answer = (CommMode.MAC, body) if len(body) == length else (CommMode.FULL, plain)
        return RecordedCommand(code, header, data, command.status, answer, mode)
    otherwise = None if code in _ALWAYS_FULL else body
    return RecordedCommand(code, header, data, command.status, plain, CommMode.FULL, otherwise)


def _as_sent(command: Joined) -> RecordedCommand:
    return RecordedCommand(command.ins, b"", command.message, command.status, command.answer, None)


def _plain(command: Joined) -> RecordedCommand:
    """A command without a MAC inside a session: only where the file's mode or a free right allows it."""
    found = _split(command, CommMode.PLAIN)
    if not _fits_plain(found):
        raise IntegrityError(f"{ins.command_name(command.ins)}: the command's MAC does not verify")
    return found


def _fits_plain(command: RecordedCommand) -> bool:
    code, length = command.ins, len(command.data)
    if code in _READS:
        return length == 0
    if code in CHANGES_VALUE:
        return length == 4
    if code in _WRITES:
        return length == int.from_bytes(command.header[-3:], "little")
    return code == ins.INS_CHANGE_FILE_SETTINGS and length >= 3


def _split(command: Joined, mode: CommMode | None) -> RecordedCommand:
    at = _HEADER_BYTES.get(command.ins, len(command.message))
    header, data = command.message[:at], command.message[at:]
    return RecordedCommand(command.ins, header, data, command.status, command.answer, mode)
