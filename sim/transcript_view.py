"""A recorded tap read command by command: names, files, statuses, content in lines for people, counters,
session, timing.

With the laboratory's master keys (and the UID, recorded or given) sessions are followed and content is
deciphered and verified; without them a MACed file is still readable and said to be unverified. EV2 sessions are
followed; of older ones the commands are shown as sent."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from cardproto.apdu import describe
from cardproto.desfire import commands as ins
from cardproto.desfire.authentication import MAC_BYTES
from cardproto.desfire.crypto import AesKey, CardKey
from cardproto.desfire.messaging import CommMode
from cardproto.desfire.recording import (
    AUTHENTICATES,
    CHANGES_VALUE,
    READS_DATA,
    READS_RECORDS,
    WRITES_DATA,
    WRITES_RECORD,
    Joined,
    RecordedCommand,
    SessionReader,
    join_frames,
)
from cardproto.desfire.transaction_mac import CONTENT_BYTES, TransactionMac
from cardproto.errors import CardError, FormatError, IntegrityError
from cardproto.resident.keyset import UID_BYTES, MasterKeys, ResidentKeys
from cardproto.resident.layout import AID, DF_NAME, FILE_EVENTS, FILE_RIGHTS, FILES, KeyNo
from cardproto.resident.records.event import EVENT_BYTES, Event, parse_event
from cardproto.resident.records.rights import RIGHTS_BYTES, parse_rights
from sim.card.virtual import CLA_READER, GET_UID
from sim.emv.chip import CLA_BANK
from sim.transcript import Exchange, TranscribedTap

ZERO_KEY: Final = bytes(16)
ISO_NAMES: Final = {
    0x84: "ISO GET CHALLENGE",
    0x88: "ISO INTERNAL AUTHENTICATE",
    0xA4: "ISO SELECT",
    0xB0: "ISO READ BINARY",
    0xB2: "ISO READ RECORDS",
    0xC0: "ISO GET RESPONSE",
}
BANK_NAMES: Final = {0xA8: "GET PROCESSING OPTIONS", 0xAE: "GENERATE AC", 0xCA: "GET DATA"}
"""Commands of a bank application, class 80."""
SECOND_HALF: Final = "second half"
_MORE: Final = 0xAF
_MODES: Final = {f.number: f.settings.mode for f in FILES}


@dataclass(frozen=True, slots=True)
class DecodedCommand:
    """One command with its answer. `name` is the protocol's, `part` says which part of it this is where it has several.
    `verified`: every MAC of it was checked with the session's keys.
    """

    first_exchange: int
    frames: int
    sent_ms: float
    took_ms: float
    name: str
    status: str
    mode: str = ""
    verified: bool = False
    session: str = ""
    content: tuple[str, ...] = ()
    part: str = ""


@dataclass(frozen=True, slots=True)
class Keyring:
    """Laboratory keys for one transcript; `uid` replaces a masked one."""

    masters: MasterKeys
    region: int
    uid: bytes | None = None


def read_tap(tap: TranscribedTap, keyring: Keyring | None = None) -> list[DecodedCommand]:
    """Every command of the tap. Never raises for what a card or a terminal may have said."""
    reading = _TranscriptReading(_keys(tap, keyring))
    return [reading.step(at, group, before) for at, group, before in _groups(tap.exchanges)]


def _keys(tap: TranscribedTap, keyring: Keyring | None) -> ResidentKeys | None:
    if keyring is None:
        return None
    uid = keyring.uid or recorded_uid(tap)
    return None if uid is None else keyring.masters.for_card(uid, keyring.region)


def recorded_uid(tap: TranscribedTap) -> bytes | None:
    """The real UID if the reader returned it and it is not masked."""
    for exchange in tap.exchanges:
        known = exchange.known
        if known and known[0][:4] == GET_UID and len(known[1]) == UID_BYTES + 2:
            return known[1][:-2]
    return None


def key_candidates(keys: ResidentKeys | None, resident: bool, number: int) -> list[CardKey]:
    """Keys a slot may have had: the diversified one of each generation, and zeros as it is delivered."""
    own: list[bytes] = []
    if keys is not None and resident and number in tuple(KeyNo):
        own += (generation.application_key(KeyNo(number)) for generation in (keys, *keys.spare))
    elif keys is not None and not resident and number == 0:
        own.append(keys.picc)
    return [AesKey(key) for key in (*own, ZERO_KEY)]


Group = tuple[int, list[Exchange], Exchange | None]


def _groups(exchanges: tuple[Exchange, ...]) -> Iterator[Group]:
    """Exchanges by command: (number of the first, exchanges, the one before); authentication stays two."""
    group: list[Exchange] = []
    start = 0
    for at, exchange in enumerate(exchanges, 1):
        if group and _continues(group, exchange):
            group.append(exchange)
            continue
        if group:
            yield start, group, exchanges[start - 2] if start > 1 else None
        group, start = [exchange], at
    if group:
        yield start, group, exchanges[start - 2] if start > 1 else None


def _continues(group: list[Exchange], exchange: Exchange) -> bool:
    code = _code(exchange)
    return code == _MORE and _code(group[0]) not in (*AUTHENTICATES, _MORE) and _has_more(group[-1])


def _code(exchange: Exchange) -> int:
    raw = exchange.filled[0]
    if raw[:1] == b"\x90":
        return raw[1] if len(raw) > 1 else 0
    return raw[0] if raw and raw[0] not in (0x00, CLA_BANK, CLA_READER) else 0


def _has_more(exchange: Exchange) -> bool:
    command, answer = exchange.filled
    return answer[-2:] == b"\x91\xaf" if command[:1] == b"\x90" else answer[:1] == b"\xaf"


@dataclass(slots=True)
class _TranscriptReading:
    """What is known of the conversation so far."""

    keys: ResidentKeys | None
    resident: bool = False
    candidate: CardKey | None = None
    reader: SessionReader = field(init=False)

    def __post_init__(self) -> None:
        self.reader = SessionReader(self._key)

    def _key(self, number: int) -> CardKey:
        del number
        if self.candidate is None:
            raise IntegrityError("no key for this authentication")
        return self.candidate

    def step(self, at: int, group: list[Exchange], before: Exchange | None) -> DecodedCommand:
        command, answer = group[0].filled
        step = DecodedCommand(
            at, len(group), group[0].sent_ms, group[-1].answered_ms - group[0].sent_ms, "", ""
        )
        lost = next((e.lost or "no answer" for e in group if e.answer is None), None)
        if command[:1] == bytes((CLA_READER,)):
            return _with(step, "reader: " + _reader_name(command), lost or _words(answer), _shown(group))
        if command[:1] == bytes((CLA_BANK,)):
            self.reader.session = None
            return _with(step, _bank_name(command), lost or _words(answer), _shown(group))
        try:
            if lost is not None:
                return self._lost(step, group, lost)
            return self._read(step, _joined(group, before), group, before)
        except CardError as error:
            self.reader.session = None
            return _with(step, "not understood", _words(answer), (str(error), *_shown(group)))

    def _lost(self, step: DecodedCommand, group: list[Exchange], why: str) -> DecodedCommand:
        self.reader.session = None
        name = ins.command_name(_code(group[0]))
        return _with(step, name, f"no answer: {why}", _shown(group))

    def _read(
        self, step: DecodedCommand, joined: Joined, group: list[Exchange], before: Exchange | None
    ) -> DecodedCommand:
        if joined.iso or joined.ins == ins.INS_SELECT_APPLICATION:
            self.resident = joined.message in (AID[::-1], DF_NAME)
        if joined.ins == _MORE and before is not None:
            return self._proof(step, joined, before)
        session = self.reader.session
        masked = any(exchange.masked for exchange in group)
        try:
            found = self.reader.take(joined)
            verified = session is not None and found.mode not in (None, CommMode.PLAIN)
            problem: tuple[str, ...] = ()
        except IntegrityError as error:
            found, verified = _unverified(joined), False
            problem = ("masked, so not verified",) if masked else (str(error),)
            if not masked:
                self.reader.session = None
        if session is None and not verified:
            found = self._without_mac(found)
        lines = (*content_lines(found, self.resident), *problem)
        return self._done(step, found, joined, lines, verified=verified)

    def _proof(self, step: DecodedCommand, joined: Joined, before: Exchange) -> DecodedCommand:
        """The second half of an authentication: whichever key fits opens the session."""
        number = before.filled[0][5] if len(before.filled[0]) > 5 else 0
        lines: tuple[str, ...] = ()
        waiting = copy.copy(self.reader)
        for candidate in key_candidates(self.keys, self.resident, number):
            self.reader, self.candidate = copy.copy(waiting), candidate
            try:
                self.reader.take(joined)
                lines = (f"proved with key {number}",) if self.reader.session else ()
                break
            except (IntegrityError, ValueError) as error:
                lines = (f"session not followed: {error}",)
        name = ins.command_name(_code(before))
        verified = self.reader.session is not None
        return self._done(
            step, _unverified(joined), joined, lines, name=name, part=SECOND_HALF, verified=verified
        )

    def _without_mac(self, found: RecordedCommand) -> RecordedCommand:
        """A MACed file is readable without any key; the view states that the MAC was not checked."""
        mode = _MODES.get(found.header[0]) if self.resident and found.header else None
        if mode is not CommMode.MAC:
            return found
        data, answer = found.data[:-MAC_BYTES], found.answer[:-MAC_BYTES]
        return RecordedCommand(found.ins, found.header, data, found.status, answer, None)

    def _done(
        self,
        step: DecodedCommand,
        found: RecordedCommand,
        joined: Joined,
        lines: tuple[str, ...],
        *,
        verified: bool,
        name: str | None = None,
        part: str = "",
    ) -> DecodedCommand:
        session = self.reader.session
        state = "" if session is None else f"key {session.key_no}, TI {session.ti.hex().upper()}, "
        state += "" if session is None else f"counter {session.counter}"
        status = _status(joined)
        mode = "" if found.mode is None else found.mode.name
        named = name or (_iso_name(joined) if joined.iso else ins.command_name(found.ins))
        return DecodedCommand(
            step.first_exchange,
            step.frames,
            step.sent_ms,
            step.took_ms,
            named,
            status,
            mode,
            verified,
            state,
            lines,
            part,
        )


def _joined(group: list[Exchange], before: Exchange | None) -> Joined:
    own = [exchange.filled for exchange in group]
    if _code(group[0]) == _MORE and before is not None and before.answer is not None:
        return join_frames([before.filled, *own])[-1]
    return join_frames(own)[0]


def _unverified(joined: Joined) -> RecordedCommand:
    length = {ins.INS_SELECT_APPLICATION: 0, ins.INS_COMMIT_TRANSACTION: 0}.get(joined.ins, 7)
    if joined.ins in (ins.INS_DEBIT, ins.INS_CREDIT, ins.INS_LIMITED_CREDIT, ins.INS_GET_VALUE):
        length = 1
    header, data = joined.message[:length], joined.message[length:]
    return RecordedCommand(joined.ins, header, data, joined.status, joined.answer, None)


def _with(step: DecodedCommand, name: str, status: str, content: tuple[str, ...]) -> DecodedCommand:
    return DecodedCommand(
        step.first_exchange, step.frames, step.sent_ms, step.took_ms, name, status, "", False, "", content
    )


def _shown(group: list[Exchange]) -> tuple[str, ...]:
    lines = []
    for exchange in group:
        lines.append(f"> {exchange.command}")
        if exchange.answer is not None:
            lines.append(f"< {exchange.answer}")
    return tuple(lines)


def _status(joined: Joined) -> str:
    sw = joined.status if joined.iso else 0x9100 | joined.status
    return f"{sw:04X} {describe(sw)}"


def _words(answer: bytes) -> str:
    if len(answer) < 2:
        return f"{len(answer)} bytes, no status word"
    sw = int.from_bytes(answer[-2:], "big")
    return f"{sw:04X} {describe(sw)}"


def _reader_name(command: bytes) -> str:
    return {b"\xff\xca\x00\x00": "UID", b"\xff\xca\x01\x00": "ATS"}.get(command[:4], "pseudo APDU")


def _iso_name(joined: Joined) -> str:
    return ISO_NAMES.get(joined.ins, f"ISO {joined.ins:02X}")


def _bank_name(command: bytes) -> str:
    return BANK_NAMES.get(command[1], f"bank {command[1]:02X}") if len(command) > 1 else "bank"


_FILES: Final = {f.number: f for f in FILES}
_WITH_FILE: Final = (
    READS_DATA
    | READS_RECORDS
    | WRITES_DATA
    | WRITES_RECORD
    | CHANGES_VALUE
    | {
        ins.INS_GET_VALUE,
        ins.INS_CLEAR_RECORD_FILE,
    }
)


def content_lines(command: RecordedCommand, resident: bool) -> tuple[str, ...]:
    """File, place and content; of the resident application also what it means."""
    lines: list[str] = []
    if command.ins in _WITH_FILE and command.header:
        lines.append(_place(command, resident))
    elif command.header or command.data:
        lines.append(f"data {(command.header + command.data).hex().upper()}")
    data = command.data if command.ins in WRITES_DATA | WRITES_RECORD else _answer(command, resident)
    if command.ins in CHANGES_VALUE and len(command.data) >= 4:
        lines.append(f"amount {int.from_bytes(command.data[:4], 'little')}")
    elif command.ins == ins.INS_GET_VALUE and len(data) >= 4:
        lines.append(f"value {int.from_bytes(data[:4], 'little', signed=True)}")
    elif command.ins == ins.INS_COMMIT_TRANSACTION and len(data) in (CONTENT_BYTES, CONTENT_BYTES + 8):
        proof = TransactionMac.parse(data[:CONTENT_BYTES])
        lines.append(f"TMC {proof.counter}, TMV {proof.value.hex().upper()}")
    elif data:
        lines += _meaning(command, data, resident)
    return tuple(lines)


def _answer(command: RecordedCommand, resident: bool) -> bytes:
    """Where the bytes fit both readings, the card map knows how its files travel."""
    if command.otherwise is None or not (resident and command.header):
        return command.answer
    known = _FILES.get(command.header[0])
    return command.otherwise if known and known.settings.mode is CommMode.MAC else command.answer


def _place(command: RecordedCommand, resident: bool) -> str:
    number, numbers = command.header[0], command.header[1:]
    name = f" ({_FILES[number].name})" if resident and number in _FILES else ""
    where = ""
    if len(numbers) >= 6:
        first, length = (int.from_bytes(numbers[at : at + 3], "little") for at in (0, 3))
        words = ("record", "count") if command.ins in READS_RECORDS else ("offset", "length")
        where = f", {words[0]} {first}, {words[1]} {length}"
    return f"file {number:02X}{name}{where}"


def _meaning(command: RecordedCommand, data: bytes, resident: bool) -> list[str]:
    number = command.header[0] if command.header and command.ins in _WITH_FILE else None
    try:
        if resident and number == FILE_RIGHTS and len(data) == RIGHTS_BYTES:
            return [_fields(parse_rights(data))]
        if resident and number == FILE_EVENTS and len(data) % EVENT_BYTES == 0:
            parts = [data[at : at + EVENT_BYTES] for at in range(0, len(data), EVENT_BYTES)]
            return [_fields(parse_event(part)) for part in parts]
    except FormatError as error:
        return [data.hex().upper(), f"not understood: {error}"]
    return [data.hex().upper()]


def _fields(record: object) -> str:
    shown = []
    names = record._fields if isinstance(record, Event) else record.__slots__  # type: ignore[attr-defined]
    for name in names:  # other records are slotted dataclasses
        words = _content_words(getattr(record, name))
        if words:
            shown.append(f"{name} {words}")
    return ", ".join(shown)


def _content_words(value: object) -> str:
    """A field for people; empty for what says nothing."""
    if value is None or value is False or value == 0 or (isinstance(value, bytes) and not any(value)):
        return ""
    if isinstance(value, bytes):
        return value.hex().upper()
    if isinstance(value, tuple):
        return "; ".join(f"({_fields(item)})" for item in value if item is not None)
    return value.name.lower() if isinstance(value, IntEnum) else str(value)
