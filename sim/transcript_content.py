"""What the content of one recorded command says, in lines for people."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from cardproto.desfire import commands as ins
from cardproto.desfire.messaging import CommMode
from cardproto.desfire.recording import (
    CHANGES_VALUE,
    READS_DATA,
    READS_RECORDS,
    WRITES_DATA,
    WRITES_RECORD,
    RecordedCommand,
)
from cardproto.desfire.transaction_mac import CONTENT_BYTES, TransactionMac
from cardproto.errors import FormatError
from cardproto.resident.layout import FILE_EVENTS, FILE_RIGHTS, FILES
from cardproto.resident.records.event import EVENT_BYTES, parse_event
from cardproto.resident.records.rights import RIGHTS_BYTES, parse_rights

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
    for name in record.__slots__:  # type: ignore[attr-defined]  # records are slotted dataclasses
        words = _words(getattr(record, name))
        if words:
            shown.append(f"{name} {words}")
    return ", ".join(shown)


def _words(value: object) -> str:
    """A field for people; empty for what says nothing."""
    if value is None or value is False or value == 0 or (isinstance(value, bytes) and not any(value)):
        return ""
    if isinstance(value, bytes):
        return value.hex().upper()
    if isinstance(value, tuple):
        return "; ".join(f"({_fields(item)})" for item in value if item is not None)
    return value.name.lower() if isinstance(value, IntEnum) else str(value)
