"""File types, access rights, and file settings as GetFileSettings answers them: one frozen class per kind.

`creation.py` sends the same classes to the card. Source: datasheet 8.2.3, 11.7; additional access-right sets
(option bit 7) are EV2/EV3 only.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from cardproto.desfire.messaging import CommMode
from cardproto.errors import FormatError

FREE: Final = 0xE
NEVER: Final = 0xF
OPTION_MODE: Final = 0x03
OPTION_EXCLUDE_UNAUTHENTICATED: Final = 0x10
OPTION_TMC_LIMIT: Final = 0x20
OPTION_ADDITIONAL: Final = 0x80
KEY_OPTION_AES: Final = 0x02
FLAG_LIMITED_CREDIT: Final = 0x01
FLAG_FREE_GET_VALUE: Final = 0x02
MAX_ADDITIONAL: Final = 7
WHERE: Final = "file settings"


class FileType(IntEnum):
    """The first byte of the file settings."""

    STANDARD = 0
    BACKUP = 1
    VALUE = 2
    LINEAR = 3
    CYCLIC = 4
    TRANSACTION_MAC = 5


@dataclass(frozen=True, slots=True)
class AccessRights:
    """Who may do what: a key number 0 to 13 each, `FREE` (14) or `NEVER` (15).

    `read` also grants GetValue and Debit; only `read_write` grants Credit, UpdateRecord, ClearRecordFile.
    """

    read: int = NEVER
    write: int = NEVER
    read_write: int = NEVER
    change: int = NEVER

    def to_bytes(self) -> bytes:
        """Two bytes as they travel: ReadWrite and Change first, then Read and Write."""
        return bytes((self.read_write << 4 | self.change, self.read << 4 | self.write))

    @classmethod
    def parse(cls, raw: bytes) -> AccessRights:
        if len(raw) != 2:
            raise FormatError("access rights", f"{len(raw)} bytes, expected 2")
        return cls(raw[1] >> 4, raw[1] & 15, raw[0] >> 4, raw[0] & 15)


@dataclass(frozen=True, slots=True)
class DataFileSettings:
    """Standard (written at once) or backup (written at commit) data file of `size` bytes."""

    type: FileType
    mode: CommMode
    rights: AccessRights
    size: int
    additional: tuple[AccessRights, ...] = ()


@dataclass(frozen=True, slots=True)
class ValueFileSettings:
    """A signed 32-bit value between two limits. `value` is the initial value and only sent when creating."""

    mode: CommMode
    rights: AccessRights
    lower: int
    upper: int
    value: int = 0
    limited_credit: bool = False
    free_get_value: bool = False
    limited_credit_value: int = 0
    additional: tuple[AccessRights, ...] = ()
    type: FileType = FileType.VALUE


@dataclass(frozen=True, slots=True)
class RecordFileSettings:
    """Linear or cyclic records. A cyclic file can read `max_records - 1` of them: one is the pending slot."""

    type: FileType
    mode: CommMode
    rights: AccessRights
    record_bytes: int
    max_records: int
    current_records: int = 0
    additional: tuple[AccessRights, ...] = ()


@dataclass(frozen=True, slots=True)
class TransactionMacSettings:
    """The file with the transaction counter and MAC; `rights.read_write` rules CommitReaderID."""

    mode: CommMode
    rights: AccessRights
    key_version: int = 0
    tmc_limit: int | None = None
    exclude_unauthenticated: bool = False
    type: FileType = FileType.TRANSACTION_MAC


FileSettings = DataFileSettings | ValueFileSettings | RecordFileSettings | TransactionMacSettings


class _SettingsReader:
    """Reads little-endian fields off a settings string; raises `FormatError` at its end, never past it."""

    __slots__ = ("_raw", "at")

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self.at = 0

    def take(self, length: int) -> bytes:
        end = self.at + length
        if end > len(self._raw):
            raise FormatError(WHERE, f"ends after {len(self._raw)} bytes, {end} needed", self.at)
        field, self.at = self._raw[self.at : end], end
        return field

    def number(self, length: int) -> int:
        return int.from_bytes(self.take(length), "little")

    def signed(self) -> int:
        return int.from_bytes(self.take(4), "little", signed=True)

    def end(self) -> None:
        if self.at != len(self._raw):
            raise FormatError(WHERE, f"{len(self._raw) - self.at} bytes too many", self.at)


def _parse_mode(option: int) -> CommMode:
    """The communication mode in a file option byte: x0 plain, 01 MAC, 11 Full."""
    bits = option & OPTION_MODE
    return CommMode.PLAIN if bits in (0, 2) else CommMode(bits)


def parse_file_settings(raw: bytes) -> FileSettings:
    """GetFileSettings' answer; raises `FormatError` for unknown types and bits, missing or extra bytes."""
    cursor = _SettingsReader(raw)
    code, option = cursor.number(1), cursor.number(1)
    rights = AccessRights.parse(cursor.take(2))
    try:
        kind = FileType(code)
    except ValueError as error:
        raise FormatError(WHERE, f"unknown file type {code:02X}", 0) from error
    _check_option(option, kind)
    mode = _parse_mode(option)
    if kind is FileType.TRANSACTION_MAC:
        return _parse_transaction_mac(cursor, mode, rights, option)
    settings: FileSettings
    if kind in (FileType.STANDARD, FileType.BACKUP):
        size = cursor.number(3)
        settings = DataFileSettings(kind, mode, rights, size, _parse_additional(cursor, option))
    elif kind is FileType.VALUE:
        settings = _parse_value(cursor, mode, rights, option)
    else:
        sizes = cursor.number(3), cursor.number(3), cursor.number(3)
        settings = RecordFileSettings(kind, mode, rights, *sizes, _parse_additional(cursor, option))
    cursor.end()
    return settings


def _check_option(option: int, kind: FileType) -> None:
    if kind is FileType.TRANSACTION_MAC:
        known = OPTION_MODE | OPTION_EXCLUDE_UNAUTHENTICATED | OPTION_TMC_LIMIT
    else:
        known = OPTION_MODE | OPTION_ADDITIONAL
    if option & ~known:
        raise FormatError(WHERE, f"reserved option bits {option & ~known:02X} set", 1)


def _parse_value(
    cursor: _SettingsReader, mode: CommMode, rights: AccessRights, option: int
) -> ValueFileSettings:
    lower, upper, limited = cursor.signed(), cursor.signed(), cursor.signed()
    flags = cursor.number(1)
    if flags & ~(FLAG_LIMITED_CREDIT | FLAG_FREE_GET_VALUE):
        raise FormatError(WHERE, f"reserved value flags {flags:02X}", cursor.at - 1)
    return ValueFileSettings(
        mode,
        rights,
        lower,
        upper,
        limited_credit=bool(flags & FLAG_LIMITED_CREDIT),
        free_get_value=bool(flags & FLAG_FREE_GET_VALUE),
        limited_credit_value=limited,
        additional=_parse_additional(cursor, option),
    )


def _parse_transaction_mac(
    cursor: _SettingsReader, mode: CommMode, rights: AccessRights, option: int
) -> TransactionMacSettings:
    key_option = cursor.number(1)
    if key_option != KEY_OPTION_AES:
        raise FormatError(WHERE, f"transaction MAC key option {key_option:02X}, expected 02 (AES)", 4)
    version = cursor.number(1)
    limit = cursor.number(4) if option & OPTION_TMC_LIMIT else None
    cursor.end()
    return TransactionMacSettings(mode, rights, version, limit, bool(option & OPTION_EXCLUDE_UNAUTHENTICATED))


def _parse_additional(cursor: _SettingsReader, option: int) -> tuple[AccessRights, ...]:
    if not option & OPTION_ADDITIONAL:
        return ()
    count = cursor.number(1)
    if not 1 <= count <= MAX_ADDITIONAL:
        raise FormatError(WHERE, f"{count} additional access-right sets", cursor.at - 1)
    return tuple(AccessRights.parse(cursor.take(2)) for _ in range(count))
