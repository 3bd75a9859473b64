"""The running transaction: pending changes of backed-up files and the transaction MAC input (TMI).

Reads never look in here: until the commit they show the committed file (datasheet 10).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from cardproto.desfire.crypto import AesKey, truncate_mac, zero_pad
from cardproto.desfire.status import Status
from sim.card.files import CardFile, DataFile, RecordFile, TransactionMacFile, ValueFile
from sim.card.memory import Application
from sim.card.refusal import DesfireRefusal

_LABEL_MAC: Final = b"\x5a\x00\x01\x00\x80"
_LABEL_ENC: Final = b"\xa5\x00\x01\x00\x80"


class PendingChange(Protocol):
    """Uncommitted changes of one file."""

    def applied(self) -> CardFile:
        """The file as it will be after the commit."""
        ...


class PendingData:
    """A backup file's second copy."""

    def __init__(self, file: DataFile) -> None:
        self._file = file
        self.content = bytearray(file.content)

    def applied(self) -> CardFile:
        return replace(self._file, content=bytes(self.content))


class PendingValue:
    """Credits and debits so far; the limits hold for committed value plus pending changes."""

    def __init__(self, file: ValueFile) -> None:
        self._file = file
        self._value = file.value
        self._debited: int | None = None
        self._allowance = file.allowance

    def credit(self, amount: int) -> None:
        """BOUNDARY_ERROR above the upper limit."""
        if self._value + amount > self._file.upper:
            raise DesfireRefusal(Status.BOUNDARY_ERROR)
        self._value += amount

    def debit(self, amount: int) -> None:
        """BOUNDARY_ERROR below the lower limit. What is debited may be given back after the commit."""
        if self._value - amount < self._file.lower:
            raise DesfireRefusal(Status.BOUNDARY_ERROR)
        self._value -= amount
        self._debited = (self._debited or 0) + amount

    def limited_credit(self, amount: int) -> None:
        """Once, and at most what the latest committed transaction with a debit took."""
        if amount > self._allowance:
            raise DesfireRefusal(Status.BOUNDARY_ERROR)
        self.credit(amount)
        self._allowance = 0

    def applied(self) -> CardFile:
        allowance = self._allowance if self._debited is None else self._debited
        return replace(self._file, value=self._value, allowance=allowance)


class PendingRecords:
    """One new record, or changed records, or an emptied file: the three do not mix in one transaction."""

    def __init__(self, file: RecordFile) -> None:
        self._file = file
        self._new: bytearray | None = None
        self._updated: dict[int, bytearray] = {}
        self._cleared = False

    def write(self, offset: int, data: bytes) -> None:
        """Into the one pending record, which starts zero-filled and becomes the newest at commit."""
        file = self._file
        if self._updated or self._cleared:
            raise DesfireRefusal(Status.PERMISSION_DENIED)
        if not file.cyclic and len(file.records) >= file.max_records:
            raise DesfireRefusal(Status.BOUNDARY_ERROR)
        if self._new is None:
            self._new = bytearray(file.record_bytes)
        self._new[offset : offset + len(data)] = data

    def update(self, number: int, offset: int, data: bytes) -> None:
        """Into the pending copy of committed record `number`, 0 being the newest."""
        if self._new is not None or self._cleared:
            raise DesfireRefusal(Status.PERMISSION_DENIED)
        if number >= len(self._file.records):
            raise DesfireRefusal(Status.BOUNDARY_ERROR)
        record = self._updated.setdefault(number, bytearray(self._file.records[number]))
        record[offset : offset + len(data)] = data

    def clear(self) -> None:
        self._new = None
        self._updated = {}
        self._cleared = True

    def applied(self) -> CardFile:
        records = () if self._cleared else self._file.records
        if self._updated:
            records = tuple(bytes(self._updated.get(i, old)) for i, old in enumerate(records))
        if self._new is not None:
            records = (bytes(self._new), *records)[: self._file.readable]
        return replace(self._file, records=records)


@dataclass(slots=True)
class Transaction:
    """Everything between two commits. `reader_id` is TMRICur, set once by CommitReaderID."""

    pending: dict[int, PendingChange] = field(default_factory=dict)
    tmi: bytearray = field(default_factory=bytearray)
    reader_id: bytes | None = None
    reader_authenticated: bool = False

    @property
    def empty(self) -> bool:
        """Nothing changed and nothing for the transaction MAC: such a commit is refused."""
        return not self.pending and not self.tmi

    def note(self, head: bytes, data: bytes = b"") -> None:
        """Extend the TMI: head (INS, parameters) and plain data, each filled up with zero bytes."""
        self.tmi += zero_pad(head) + zero_pad(data)

    def note_whole(self, command: bytes) -> None:
        """Extend the TMI by a command whose parameters and data are filled up together."""
        self.tmi += zero_pad(command)

    def committed(self, application: Application, mac: TransactionMacFile | None) -> Application:
        """The application with all pending changes and `mac` in place."""
        files = dict(application.files)
        for number, change in self.pending.items():
            files[number] = change.applied()
        if mac is not None:
            files[mac.head.number] = mac
        return replace(application, files=files)


def proved(file: TransactionMacFile, uid: bytes, transaction: Transaction) -> TransactionMacFile:
    """The transaction MAC file after a commit: counter, TMV over the TMI, and the reader id to remember."""
    counter = file.counter + 1
    value = truncate_mac(transaction_key(file, uid, _LABEL_MAC).cmac(bytes(transaction.tmi)))
    reader = transaction.reader_id if transaction.reader_authenticated else None
    return replace(file, counter=counter, value=value, previous_reader=reader or file.previous_reader)


def encrypted_previous_reader(file: TransactionMacFile, uid: bytes) -> bytes:
    """EncTMRI: the reader id of the transaction before, under SesTMENCKey (not the session key)."""
    return transaction_key(file, uid, _LABEL_ENC).encrypt(bytes(16), file.previous_reader)


def transaction_key(file: TransactionMacFile, uid: bytes, label: bytes) -> AesKey:
    """SesTMMACKey or SesTMENCKey of the running transaction, whose counter is TMC + 1."""
    counter = (file.counter + 1).to_bytes(4, "little")
    return AesKey(AesKey(file.key).cmac(label + counter + uid))
