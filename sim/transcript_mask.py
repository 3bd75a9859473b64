"""What a transcript must not show (D-05), found while it is being recorded.

Masked: the card's UID wherever it appears, the resident's pseudonym in file 01, a phone's credential, the data of
commands that carry keys or PINs, and in ISO answers the values of EMV tags that name a person or a card. A bank card's
number is found without its tag, too (`sim.card_numbers`): by its beginning and check digit, as a data object of digits
and nothing else, and wherever it stands once it is known. Bytes that may be secret are masked: a masked transcript may
hide a byte too many,
never show one too many. What it can show: a number without a valid check digit, in a mixed field, before any field
of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from cardproto.credential.phone import INS_READ, PHONE_AID
from cardproto.desfire import commands as ins
from cardproto.desfire.recording import READS_DATA, WRITES_DATA
from cardproto.emv import tags
from cardproto.errors import FormatError
from cardproto.resident.layout import AID, DF_NAME, FILE_RIGHTS
from cardproto.tlv import parse_tlv
from sim.card_numbers import cut_at_end, cut_at_start, numbers_in, occurrences_of, packed_number, track_number
from sim.transcript import MASK

SECRET_TAGS: Final = {
    b"\x5a": 10,  # PAN
    b"\x57": 19,  # track 2 equivalent
    b"\x5f\x20": 26,  # cardholder name
    b"\x9f\x0b": 45,  # cardholder name, extended
    b"\x56": 76,  # track 1
    b"\x9f\x6b": 19,  # track 2, contactless magnetic stripe mode
    b"\x9f\x1f": 76,  # track 1 discretionary data
    b"\x9f\x20": 76,  # track 2 discretionary data
    b"\x9f\x24": 29,  # payment account reference
    b"\x9f\x46": 248,  # the card's certificate: with the CA's public key the number is read in it
    b"\x9f\x4b": 248,  # the card's signature
}
"""EMV tags with the longest value they have."""

KEY_COMMANDS: Final = {
    ins.INS_CHANGE_KEY: 1,
    ins.INS_CHANGE_KEY_EV2: 2,
    ins.INS_CREATE_TRANSACTION_MAC_FILE: 5,
    ins.INS_SET_CONFIGURATION: 1,
}
"""Commands whose data is a key, enciphered perhaps under a public key, and how much is shown."""

_READER_LOADS_KEY: Final = b"\xff\x82"
_READER_UID: Final = b"\xff\xca\x00\x00"
_CREDENTIAL_READ: Final = bytes((0, INS_READ))
_ISO_PIN: Final = (0x20, 0x24, 0x2C)
_TERMINAL_DATA: Final = (
    tags.INS_GET_PROCESSING_OPTIONS,
    tags.INS_GENERATE_AC,
    tags.INS_INTERNAL_AUTHENTICATE,
)
"""Commands with amounts, dates and random numbers one after the other, in which check digits fit by chance."""
_TRACKS: Final = (tags.TAG_TRACK_2, tags.TAG_TRACK_2_MAGNETIC, tags.TAG_TRACK_1_MAGNETIC)
_DEEPEST: Final = 6
_PSEUDONYM: Final = (4, 12)
_CONTENT_HEADER_BYTES: Final = 7


@dataclass(slots=True)
class Masker:
    """Masks one conversation; `command` and `answer` must see every message, in order."""

    _uids: set[bytes] = field(default_factory=set)
    _resident: bool = False
    _phone: bool = False
    _ins: int = 0
    _frames: int = 0
    _last: bytes = b""
    _carry: int = 0
    _goes_on: bool = False
    _numbers: set[str] = field(default_factory=set)

    def command(self, raw: bytes) -> str:
        """The command as it may be written."""
        self._last = raw
        hidden = self._found_uids(raw)
        if raw[:2] == _READER_LOADS_KEY or (len(raw) > 5 and raw[0] in (0x00, 0x80) and raw[1] in _ISO_PIN):
            hidden |= set(range(5, len(raw)))
        elif raw[:1] == b"\x00" and raw[1:2] == b"\xa4":
            self._resident = raw[5 : 5 + len(DF_NAME)] == DF_NAME
            self._phone = raw[5 : 5 + len(PHONE_AID)] == PHONE_AID
            self._ins = 0
        elif raw[:1] not in (b"\xff", b"\x00", b"\x80"):
            hidden |= self._native(raw)
        if raw[:1] in (b"\x00", b"\x80") and raw[1:2] not in map(_byte, _TERMINAL_DATA):
            hidden |= numbers_in(raw)
        return _text(raw, hidden | self._known_numbers(raw))

    def _native(self, raw: bytes) -> set[int]:
        """Wrapped (90 INS 00 00 Lc data 00) or native (INS data)."""
        wrapped = raw[:1] == b"\x90"
        start, end = (5, max(5, len(raw) - 1)) if wrapped else (1, len(raw))
        code = raw[1] if wrapped and len(raw) > 1 else raw[:1][0] if raw else 0
        if code == ins.INS_ADDITIONAL_FRAME:
            self._frames += 1
            return set(range(start, end)) if self._ins in KEY_COMMANDS else set()
        self._ins, self._frames = code, 0
        if code == ins.INS_SELECT_APPLICATION:
            self._resident = raw[start:end] == AID[::-1]
        if code in KEY_COMMANDS:
            return set(range(start + KEY_COMMANDS[code], end))
        if code in WRITES_DATA:
            return self._pseudonym(raw[start:end], start + _CONTENT_HEADER_BYTES, end)
        return set()

    def answer(self, raw: bytes) -> str:
        """The answer to the last command as it may be written."""
        sent = self._last
        hidden: set[int] = set()
        if sent[:4] == _READER_UID and raw[-2:] == b"\x90\x00":
            self._uids.add(raw[:-2])
        elif self._phone and sent[:2] == _CREDENTIAL_READ:
            hidden |= set(range(len(raw) - 2))
        elif sent[:1] in (b"\x00", b"\x80"):
            hidden |= self._emv(raw)
        elif sent[:1] not in (b"\xff", b""):
            hidden |= self._native_answer(sent, raw)
        return _text(raw, hidden | self._found_uids(raw) | self._known_numbers(raw))

    def _native_answer(self, sent: bytes, raw: bytes) -> set[int]:
        wrapped = sent[:1] == b"\x90"
        start, end = (0, max(0, len(raw) - 2)) if wrapped else (1, len(raw))
        if self._ins == ins.INS_GET_VERSION and self._frames == 2 and raw[start : start + 7]:
            self._uids.add(raw[start : start + 7])
        if self._ins in READS_DATA and not self._frames:
            payload = sent[5:-1] if wrapped else sent[1:]
            return self._pseudonym(payload, start, end)
        return set()

    def _pseudonym(self, payload: bytes, data_at: int, end: int) -> set[int]:
        """Where the pseudonym stands in content that begins at `data_at` and belongs to this header."""
        if not self._resident or payload[:1] != bytes((FILE_RIGHTS,)):
            return set()
        offset = int.from_bytes(payload[1:4], "little")
        first, last = (data_at + at - offset for at in _PSEUDONYM)
        return set(range(max(first, data_at), min(last, end)))

    def _emv(self, raw: bytes) -> set[int]:
        end = max(0, len(raw) - 2)
        hidden = set(range(min(self._carry, end)))
        self._carry = max(0, self._carry - end)
        for tag, longest in SECRET_TAGS.items():
            at = raw.find(tag, 0, end)
            while at >= 0:
                value, length = _value(raw, at + len(tag), longest)
                hidden |= set(range(value, min(value + length, end)))
                self._carry = max(self._carry, value + length - end)
                at = raw.find(tag, at + 1, end)
        body = raw[:end]
        self._numbers |= set(_numbers_of(body, 0))
        hidden |= numbers_in(body)
        if self._goes_on:
            hidden |= cut_at_start(body)
        if raw[-2:-1] != b"\x61":
            self._carry = 0
        self._goes_on = raw[-2:-1] == b"\x61" and not self._carry
        if self._goes_on:
            hidden |= cut_at_end(body)
        return hidden

    def _known_numbers(self, raw: bytes) -> set[int]:
        return {at for number in self._numbers for at in occurrences_of(number, raw)}

    def _found_uids(self, raw: bytes) -> set[int]:
        found: set[int] = set()
        for uid in self._uids:
            at = raw.find(uid)
            while uid and at >= 0:
                found |= set(range(at, at + len(uid)))
                at = raw.find(uid, at + 1)
        return found


def _numbers_of(body: bytes, depth: int) -> Iterator[str]:
    """Every number that stands in a field of its own or at the beginning of a track."""
    try:
        objects = parse_tlv(body, skip_filler=True)
    except FormatError:
        return
    for one in objects:
        if one.constructed and depth < _DEEPEST:
            yield from _numbers_of(one.value, depth + 1)
        found = packed_number(one.value) or (track_number(one.value) if one.tag in _TRACKS else "")
        if found:
            yield found


def _byte(value: int) -> bytes:
    return bytes((value,))


def _value(raw: bytes, at: int, longest: int) -> tuple[int, int]:
    """Where a value begins and how long it is; 0 long when this can be no object of that tag."""
    if raw[at : at + 1] == b"\x81":
        at += 1
    elif raw[at : at + 2] == b"\x82\x00":
        at += 2
    length = raw[at] if at < len(raw) else 0
    return at + 1, length if length <= longest else 0


def _text(raw: bytes, hidden: set[int]) -> str:
    return "".join(MASK if at in hidden else f"{byte:02X}" for at, byte in enumerate(raw))
