"""File types, access rights and file settings: as GetFileSettings answers them and as Create* sends them.

One frozen class per kind of file; `parse_*` and `build_*` are exact inverses and serve both ends.
Source: datasheet 8.2.3, 11.7; additional access-right sets (option bit 7) are EV2/EV3 only.
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
MAX_ADDITIONAL: Final = 7
_FLAG_LIMITED_CREDIT: Final = 0x01
_FLAG_FREE_GET_VALUE: Final = 0x02


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

    def allows(self, key_no: int, *rights: str) -> bool:
        """Whether this key is named by one of the rights ("read", "write", "read_write", "change")."""
        return any(getattr(self, right) == key_no for right in rights)


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


class Cursor:
    """Reads little-endian fields off a settings string; raises `FormatError` at its end, never past it."""

    __slots__ = ("_raw", "_where", "at")

    def __init__(self, raw: bytes, where: str) -> None:
        self._raw = raw
        self._where = where
        self.at = 0

    def take(self, length: int) -> bytes:
        end = self.at + length
        if end > len(self._raw):
            raise FormatError(self._where, f"ends after {len(self._raw)} bytes, {end} needed", self.at)
        field, self.at = self._raw[self.at : end], end
        return field

    def number(self, length: int) -> int:
        return int.from_bytes(self.take(length), "little")

    def signed(self) -> int:
        return int.from_bytes(self.take(4), "little", signed=True)

    def end(self) -> None:
        if self.at != len(self._raw):
            raise FormatError(self._where, f"{len(self._raw) - self.at} bytes too many", self.at)


def parse_mode(option: int) -> CommMode:
    """The communication mode in a file option byte: x0 plain, 01 MAC, 11 Full."""
    bits = option & OPTION_MODE
    return CommMode.PLAIN if bits in (0, 2) else CommMode(bits)


def parse_file_settings(raw: bytes) -> FileSettings:
    """GetFileSettings' answer; raises `FormatError` for unknown types and bits, missing or extra bytes."""
    where = "file settings"
    cursor = Cursor(raw, where)
    code, option = cursor.number(1), cursor.number(1)
    rights = AccessRights.parse(cursor.take(2))
    try:
        kind = FileType(code)
    except ValueError as error:
        raise FormatError(where, f"unknown file type {code:02X}", 0) from error
    check_option(option, kind, where)
    mode = parse_mode(option)
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


def check_option(option: int, kind: FileType, where: str) -> None:
    """Raise `FormatError` when reserved bits of a file option byte are set."""
    if kind is FileType.TRANSACTION_MAC:
        known = OPTION_MODE | OPTION_EXCLUDE_UNAUTHENTICATED | OPTION_TMC_LIMIT
    else:
        known = OPTION_MODE | OPTION_ADDITIONAL
    if option & ~known:
        raise FormatError(where, f"reserved option bits {option & ~known:02X} set", 1)


def _parse_value(cursor: Cursor, mode: CommMode, rights: AccessRights, option: int) -> ValueFileSettings:
    lower, upper, limited = cursor.signed(), cursor.signed(), cursor.signed()
    flags = cursor.number(1)
    if flags & ~(_FLAG_LIMITED_CREDIT | _FLAG_FREE_GET_VALUE):
        raise FormatError("file settings", f"reserved value flags {flags:02X}", cursor.at - 1)
    return ValueFileSettings(
        mode,
        rights,
        lower,
        upper,
        limited_credit=bool(flags & _FLAG_LIMITED_CREDIT),
        free_get_value=bool(flags & _FLAG_FREE_GET_VALUE),
        limited_credit_value=limited,
        additional=_parse_additional(cursor, option),
    )


def _parse_transaction_mac(
    cursor: Cursor, mode: CommMode, rights: AccessRights, option: int
) -> TransactionMacSettings:
    key_option = cursor.number(1)
    if key_option != KEY_OPTION_AES:
        raise FormatError(
            "file settings", f"transaction MAC key option {key_option:02X}, expected 02 (AES)", 4
        )
    version = cursor.number(1)
    limit = cursor.number(4) if option & OPTION_TMC_LIMIT else None
    cursor.end()
    return TransactionMacSettings(mode, rights, version, limit, bool(option & OPTION_EXCLUDE_UNAUTHENTICATED))


def _parse_additional(cursor: Cursor, option: int) -> tuple[AccessRights, ...]:
    if not option & OPTION_ADDITIONAL:
        return ()
    return parse_right_sets(cursor)


def parse_right_sets(cursor: Cursor) -> tuple[AccessRights, ...]:
    """Count (1) and that many access-right sets (2 each)."""
    count = cursor.number(1)
    if not 1 <= count <= MAX_ADDITIONAL:
        raise FormatError("file settings", f"{count} additional access-right sets", cursor.at - 1)
    return tuple(AccessRights.parse(cursor.take(2)) for _ in range(count))


def build_right_sets(sets: tuple[AccessRights, ...]) -> bytes:
    """The inverse of `parse_right_sets`; nothing at all for no sets."""
    return bytes((len(sets),)) + b"".join(s.to_bytes() for s in sets) if sets else b""


def file_option(settings: FileSettings) -> int:
    """The option byte these settings stand for."""
    if isinstance(settings, TransactionMacSettings):
        excluded = OPTION_EXCLUDE_UNAUTHENTICATED if settings.exclude_unauthenticated else 0
        return settings.mode | excluded | (0 if settings.tmc_limit is None else OPTION_TMC_LIMIT)
    return settings.mode | (OPTION_ADDITIONAL if settings.additional else 0)


def value_flags(settings: ValueFileSettings) -> int:
    """The flag byte of a value file: bit 0 limited credit, bit 1 free GetValue."""
    return settings.limited_credit * _FLAG_LIMITED_CREDIT | settings.free_get_value * _FLAG_FREE_GET_VALUE


def build_file_settings(settings: FileSettings) -> bytes:
    """GetFileSettings' answer for these settings (what a card sends)."""
    head = bytes((settings.type, file_option(settings))) + settings.rights.to_bytes()
    match settings:
        case DataFileSettings():
            body = settings.size.to_bytes(3, "little")
        case ValueFileSettings():
            numbers = (settings.lower, settings.upper, settings.limited_credit_value)
            body = b"".join(n.to_bytes(4, "little", signed=True) for n in numbers)
            body += bytes((value_flags(settings),))
        case RecordFileSettings():
            numbers = (settings.record_bytes, settings.max_records, settings.current_records)
            body = b"".join(n.to_bytes(3, "little") for n in numbers)
        case TransactionMacSettings():
            body = bytes((KEY_OPTION_AES, settings.key_version))
            if settings.tmc_limit is not None:
                body += settings.tmc_limit.to_bytes(4, "little")
            return head + body
    return head + body + build_right_sets(settings.additional)
