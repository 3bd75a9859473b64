"""Command and response APDUs of ISO 7816-4, and the status words this project meets."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from cardproto.errors import ProtocolError

SHORT_DATA_BYTES: Final = 255
EXTENDED_LE_ALL: Final = 0x10000


class SW(IntEnum):
    """Status words by name; 91xx are DESFire's (wrapped), the rest ISO 7816-4."""

    OK = 0x9000
    NO_INFORMATION = 0x6300
    SELECTED_LIMITED = 0x6283
    END_OF_DATA = 0x6282
    WRONG_LENGTH = 0x6700
    SECURITY_STATUS = 0x6982
    CONDITIONS_OF_USE = 0x6985
    WRONG_DATA = 0x6A80
    FUNCTION_NOT_SUPPORTED = 0x6A81
    FILE_NOT_FOUND = 0x6A82
    WRONG_P1_P2 = 0x6A86
    WRONG_LC = 0x6A87
    INS_NOT_SUPPORTED = 0x6D00
    CLA_NOT_SUPPORTED = 0x6E00
    UNKNOWN_ERROR = 0x6F00
    DESFIRE_OK = 0x9100
    DESFIRE_SIGNATURE = 0x9190
    DESFIRE_NO_CHANGES = 0x910C
    DESFIRE_OUT_OF_MEMORY = 0x910E
    DESFIRE_ILLEGAL_COMMAND = 0x911C
    DESFIRE_INTEGRITY = 0x911E
    DESFIRE_NO_SUCH_KEY = 0x9140
    DESFIRE_LENGTH = 0x917E
    DESFIRE_PERMISSION_DENIED = 0x919D
    DESFIRE_PARAMETER = 0x919E
    DESFIRE_APPLICATION_NOT_FOUND = 0x91A0
    DESFIRE_APPLICATION_INTEGRITY = 0x91A1
    DESFIRE_AUTHENTICATION_DELAY = 0x91AD
    DESFIRE_AUTHENTICATION = 0x91AE
    DESFIRE_ADDITIONAL_FRAME = 0x91AF
    DESFIRE_BOUNDARY = 0x91BE
    DESFIRE_PICC_INTEGRITY = 0x91C1
    DESFIRE_ABORTED = 0x91CA
    DESFIRE_PICC_DISABLED = 0x91CD
    DESFIRE_COUNT = 0x91CE
    DESFIRE_DUPLICATE = 0x91DE
    DESFIRE_MEMORY = 0x91EE
    DESFIRE_FILE_NOT_FOUND = 0x91F0
    DESFIRE_FILE_INTEGRITY = 0x91F1


def describe(sw: int) -> str:
    """The status word's name in words ("file not found"), or what family it belongs to."""
    try:
        return SW(sw).name.removeprefix("DESFIRE_").lower().replace("_", " ")
    except ValueError:
        pass
    if sw >> 8 == 0x61:
        return "more data waiting"
    if sw >> 8 == 0x6C:
        return "wrong expected length"
    return "unknown status word"


@dataclass(frozen=True, slots=True)
class CommandApdu:
    """One command. `le` is the number as it is sent: None for absent, 0 for "all you have" in short form.

    Data over 255 bytes or `le` over 255 make it an extended APDU (65536 is its "all you have").
    """

    cla: int
    ins: int
    p1: int = 0
    p2: int = 0
    data: bytes = b""
    le: int | None = None

    def to_bytes(self) -> bytes:
        """The shortest encoding; raises `ValueError` when a field is out of range."""
        head = bytes((self.cla, self.ins, self.p1, self.p2))
        data, le = self.data, self.le
        if len(data) > 0xFFFF or (le is not None and not 0 <= le <= EXTENDED_LE_ALL):
            raise ValueError(f"no APDU holds {len(data)} data bytes with Le {le}")
        if len(data) > SHORT_DATA_BYTES or (le is not None and le > 0xFF):
            return head + _extended_body(data, le)
        if data:
            head += bytes((len(data),)) + data
        return head if le is None else head + bytes((le,))

    @classmethod
    def parse(cls, raw: bytes) -> CommandApdu:
        """The command in exactly these bytes, short or extended; raises `ProtocolError` otherwise."""
        if len(raw) < 4:
            raise ProtocolError(f"a command APDU of {len(raw)} bytes; at least 4 needed")
        head, body = raw[:4], raw[4:]
        data, le = _parse_body(body)
        return cls(head[0], head[1], head[2], head[3], data, le)


def _extended_body(data: bytes, le: int | None) -> bytes:
    body = b"\0"
    if data:
        body += len(data).to_bytes(2, "big") + data
    if le is not None:
        body += ((le or EXTENDED_LE_ALL) & 0xFFFF).to_bytes(2, "big")
    return body


def _parse_body(body: bytes) -> tuple[bytes, int | None]:
    if len(body) < 2:
        return b"", body[0] if body else None
    extended = body[0] == 0
    start, le_bytes = (3, 2) if extended else (1, 1)
    if extended and len(body) == 3:
        return b"", int.from_bytes(body[1:], "big") or EXTENDED_LE_ALL
    length = int.from_bytes(body[:start], "big")
    data, rest = body[start : start + length], body[start + length :]
    if not length or len(data) < length or len(rest) not in (0, le_bytes):
        raise ProtocolError(f"command APDU whose length fields do not fit its {len(body) + 4} bytes")
    le = int.from_bytes(rest, "big")
    return data, (le or EXTENDED_LE_ALL if extended else le) if rest else None


@dataclass(frozen=True, slots=True)
class ResponseApdu:
    """One answer: `data` without, `sw` with the two status bytes."""

    data: bytes
    sw: int

    @classmethod
    def parse(cls, raw: bytes) -> ResponseApdu:
        """Raises `ProtocolError` for fewer than the two status bytes."""
        if len(raw) < 2:
            raise ProtocolError(f"an answer of {len(raw)} bytes; the status word alone is 2")
        return cls(raw[:-2], raw[-2] << 8 | raw[-1])

    def to_bytes(self) -> bytes:
        return self.data + self.sw.to_bytes(2, "big")
