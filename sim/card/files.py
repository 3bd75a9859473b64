"""The six file types as the card keeps them: frozen values, so committed state can only be replaced whole.

The layout of settings is written here a second time, on purpose: card and terminal must agree with the
reference (datasheet 8.2.3, 11.7), not merely with each other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from cardproto.desfire.messaging import CommMode

FREE: Final = 0x0E
NEVER: Final = 0x0F
OPTION_MODE: Final = 0x03
OPTION_MORE_RIGHTS: Final = 0x80
OPTION_TMC_LIMIT: Final = 0x20
OPTION_SKIP_UNAUTHENTICATED: Final = 0x10
FREE_BIT: Final = 1 << FREE
_GRANTABLE: Final = 0x7FFF


@dataclass(frozen=True, slots=True)
class AccessMasks:
    """Access rights as bit masks: bit k grants key k, bit 14 means free access; no bit means never.

    `sets` are the 16-bit values as stored, the first with a meaningful Change nibble, the others being EV2's
    additional sets. Datasheet 8.2.3.5: Read, Write and ReadWrite each open their own commands.
    """

    sets: tuple[int, ...]
    read: int
    write: int
    read_or_write: int
    read_write: int
    change: int

    @classmethod
    def of(cls, first: int, *more: int) -> AccessMasks:
        """From 16-bit values Read<<12 | Write<<8 | ReadWrite<<4 | Change."""
        sets = (first, *more)
        read = write = both = 0
        for value in sets:
            read |= 1 << (value >> 12 & 15)
            write |= 1 << (value >> 8 & 15)
            both |= 1 << (value >> 4 & 15)
        return cls(
            sets,
            (read | both) & _GRANTABLE,
            (write | both) & _GRANTABLE,
            (read | write | both) & _GRANTABLE,
            both & _GRANTABLE,
            1 << (first & 15) & _GRANTABLE,
        )

    def highest_key(self) -> int:
        """The highest key number any set names, -1 when none does."""
        nibbles = [value >> shift & 15 for value in self.sets for shift in (0, 4, 8, 12)]
        return max((n for n in nibbles if n < FREE), default=-1)


@dataclass(frozen=True, slots=True)
class FileHeader:
    """What every file has. `option` as created; `iso_id` 0 when it has none."""

    number: int
    option: int
    rights: AccessMasks
    iso_id: int

    @property
    def mode(self) -> CommMode:
        """Option bits 1..0: x0 plain, 01 MAC, 11 full."""
        return _MODES[self.option & OPTION_MODE]


_MODES: Final = (CommMode.PLAIN, CommMode.MAC, CommMode.PLAIN, CommMode.FULL)


@dataclass(frozen=True, slots=True)
class DataFile:
    """Standard (type 0, written at once) or backup (type 1, written at commit) data."""

    head: FileHeader
    backup: bool
    content: bytes

    @property
    def type_code(self) -> int:
        return 1 if self.backup else 0

    def settings_tail(self) -> bytes:
        return len(self.content).to_bytes(3, "little")


@dataclass(frozen=True, slots=True)
class ValueFile:
    """Type 2. `allowance` is what LimitedCredit may still give back."""

    head: FileHeader
    lower: int
    upper: int
    value: int
    allowance: int
    limited_credit: bool
    free_get_value: bool

    type_code = 2

    def settings_tail(self) -> bytes:
        flags = self.limited_credit | self.free_get_value << 1
        limits = _signed(self.lower) + _signed(self.upper) + _signed(self.allowance)
        return limits + bytes((flags,))


@dataclass(frozen=True, slots=True)
class RecordFile:
    """Linear (type 3) or cyclic (type 4) records, newest first."""

    head: FileHeader
    cyclic: bool
    record_bytes: int
    max_records: int
    records: tuple[bytes, ...]

    @property
    def type_code(self) -> int:
        return 4 if self.cyclic else 3

    @property
    def readable(self) -> int:
        """A cyclic file keeps one record slot for the pending write (EV1 to EV3)."""
        return self.max_records - 1 if self.cyclic else self.max_records

    def settings_tail(self) -> bytes:
        sizes = (self.record_bytes, self.max_records, len(self.records))
        return b"".join(n.to_bytes(3, "little") for n in sizes)


@dataclass(frozen=True, slots=True)
class TransactionMacFile:
    """Type 5. `previous_reader` is TMRIPrev; the key is no application key and is never shown."""

    head: FileHeader
    key: bytes
    key_version: int
    counter: int
    value: bytes
    previous_reader: bytes
    limit: int

    type_code = 5

    @property
    def exhausted(self) -> bool:
        """TMC reached TMCLimit: no further transaction may be proved, hence none may run."""
        return self.counter >= self.limit

    @property
    def readers(self) -> int:
        """Only the Read nibble: ReadWrite names the key for CommitReaderID here, and opens nothing else."""
        return 1 << (self.head.rights.sets[0] >> 12) & _GRANTABLE

    def content(self) -> bytes:
        """The 12 bytes ReadData shows: TMC, TMV."""
        return self.counter.to_bytes(4, "little") + self.value

    def settings_tail(self) -> bytes:
        tail = bytes((0x02, self.key_version))
        return tail + self.limit.to_bytes(4, "little") if self.head.option & OPTION_TMC_LIMIT else tail


CardFile: TypeAlias = DataFile | ValueFile | RecordFile | TransactionMacFile


def settings(file: CardFile) -> bytes:
    """The answer to GetFileSettings (datasheet 11.7); additional access-right sets come last."""
    first, *more = file.head.rights.sets
    answer = bytes((file.type_code, file.head.option)) + first.to_bytes(2, "little") + file.settings_tail()
    if file.head.option & OPTION_MORE_RIGHTS:
        answer += bytes((len(more),)) + b"".join(value.to_bytes(2, "little") for value in more)
    return answer


def with_head(file: CardFile, head: FileHeader) -> CardFile:
    """The same content under changed settings."""
    return replace(file, head=head)


def room(file: CardFile) -> int:
    """Bytes of card memory the file takes in our model: whole 32-byte blocks, backups twice."""
    match file:
        case DataFile(backup=backup, content=content):
            size = len(content) * (2 if backup else 1)
        case RecordFile(record_bytes=record_bytes, max_records=max_records):
            size = record_bytes * max_records
        case _:
            size = 64
    return -(-size // 32) * 32


def _signed(value: int) -> bytes:
    return value.to_bytes(4, "little", signed=True)
