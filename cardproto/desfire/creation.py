"""Payloads of the Create*File and ChangeFileSettings commands, both ways (a software card parses them).

Additional access-right sets are not part of creation: ChangeFileSettings adds them afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cardproto.desfire.commands import (
    INS_CREATE_BACKUP_FILE,
    INS_CREATE_CYCLIC_FILE,
    INS_CREATE_LINEAR_FILE,
    INS_CREATE_STANDARD_FILE,
    INS_CREATE_TRANSACTION_MAC_FILE,
    INS_CREATE_VALUE_FILE,
)
from cardproto.desfire.files import (
    KEY_OPTION_AES,
    OPTION_ADDITIONAL,
    OPTION_MODE,
    AccessRights,
    Cursor,
    DataFileSettings,
    FileSettings,
    FileType,
    RecordFileSettings,
    TransactionMacSettings,
    ValueFileSettings,
    build_right_sets,
    check_option,
    file_option,
    parse_mode,
    parse_right_sets,
    value_flags,
)
from cardproto.desfire.messaging import CommMode
from cardproto.errors import FormatError

CREATE_INS: Final = {
    FileType.STANDARD: INS_CREATE_STANDARD_FILE,
    FileType.BACKUP: INS_CREATE_BACKUP_FILE,
    FileType.VALUE: INS_CREATE_VALUE_FILE,
    FileType.LINEAR: INS_CREATE_LINEAR_FILE,
    FileType.CYCLIC: INS_CREATE_CYCLIC_FILE,
    FileType.TRANSACTION_MAC: INS_CREATE_TRANSACTION_MAC_FILE,
}
_TYPE_OF_INS: Final = {ins: kind for kind, ins in CREATE_INS.items()}


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """What ChangeFileSettings sets: mode, rights, and (EV2/EV3) the additional access-right sets."""

    mode: CommMode
    rights: AccessRights
    additional: tuple[AccessRights, ...] = ()


def build_create(file_no: int, settings: FileSettings, iso_id: int | None = None) -> bytes:
    """The header Create*File sends for `settings`; the INS is `CREATE_INS[settings.type]`.

    For the transaction MAC file the key and its version follow, encrypted, as command data.
    """
    option = file_option(settings) & ~OPTION_ADDITIONAL
    iso = b"" if iso_id is None else iso_id.to_bytes(2, "little")
    head = bytes((file_no,)) + iso + bytes((option,)) + settings.rights.to_bytes()
    match settings:
        case DataFileSettings():
            return head + settings.size.to_bytes(3, "little")
        case ValueFileSettings():
            numbers = (settings.lower, settings.upper, settings.value)
            body = b"".join(n.to_bytes(4, "little", signed=True) for n in numbers)
            return head + body + bytes((value_flags(settings),))
        case RecordFileSettings():
            return (
                head
                + settings.record_bytes.to_bytes(3, "little")
                + settings.max_records.to_bytes(3, "little")
            )
        case TransactionMacSettings():
            if settings.tmc_limit is not None:
                raise ValueError("a TMC limit is set by ChangeFileSettings, not when creating")
            return head + bytes((KEY_OPTION_AES,))


def parse_create(ins: int, header: bytes, *, iso_ids: bool = False) -> tuple[int, int | None, FileSettings]:
    """(file number, ISO file id or None, settings) from a Create*File header; raises `FormatError`."""
    where = "create file"
    kind = _TYPE_OF_INS.get(ins)
    if kind is None:
        raise FormatError(where, f"command {ins:02X} creates no file")
    cursor = Cursor(header, where)
    file_no = cursor.number(1)
    carries_iso_id = iso_ids and kind not in (FileType.VALUE, FileType.TRANSACTION_MAC)
    iso_id = cursor.number(2) if carries_iso_id else None
    option = cursor.number(1)
    check_option(option, kind, where)
    settings = _parse_body(cursor, kind, parse_mode(option), AccessRights.parse(cursor.take(2)))
    cursor.end()
    return file_no, iso_id, settings


def _parse_body(cursor: Cursor, kind: FileType, mode: CommMode, rights: AccessRights) -> FileSettings:
    if kind in (FileType.STANDARD, FileType.BACKUP):
        return DataFileSettings(kind, mode, rights, cursor.number(3))
    if kind is FileType.VALUE:
        lower, upper, value, flags = cursor.signed(), cursor.signed(), cursor.signed(), cursor.number(1)
        if flags > 3:
            raise FormatError("create file", f"reserved value flags {flags:02X}", cursor.at - 1)
        return ValueFileSettings(mode, rights, lower, upper, value, bool(flags & 1), bool(flags & 2))
    if kind is FileType.TRANSACTION_MAC:
        if cursor.number(1) != KEY_OPTION_AES:
            raise FormatError("create file", "transaction MAC key is not AES", cursor.at - 1)
        return TransactionMacSettings(mode, rights)
    return RecordFileSettings(kind, mode, rights, cursor.number(3), cursor.number(3))


def build_change(change: SettingsChange) -> bytes:
    """The data of ChangeFileSettings (without the file number): option, rights, sets."""
    option = change.mode | (OPTION_ADDITIONAL if change.additional else 0)
    return bytes((option,)) + change.rights.to_bytes() + build_right_sets(change.additional)


def parse_change(data: bytes) -> SettingsChange:
    """The inverse of `build_change`; raises `FormatError` for reserved bits, missing or extra bytes."""
    where = "change file settings"
    cursor = Cursor(data, where)
    option = cursor.number(1)
    if option & ~(OPTION_MODE | OPTION_ADDITIONAL):
        raise FormatError(where, f"reserved option bits in {option:02X}", 0)
    rights = AccessRights.parse(cursor.take(2))
    additional = parse_right_sets(cursor) if option & OPTION_ADDITIONAL else ()
    cursor.end()
    return SettingsChange(parse_mode(option), rights, additional)
