"""Commands on the content of files. Each notes what the transaction MAC will cover.

With the ISO-chained codes long transfers are cut so that every APDU stays short (Lc at most 255, Le 256); each
part is one command of its own for the counter and for the transaction MAC.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cardproto.desfire.commands import (
    INS_CLEAR_RECORD_FILE,
    INS_CREDIT,
    INS_DEBIT,
    INS_GET_VALUE,
    INS_LIMITED_CREDIT,
)
from cardproto.desfire.messaging import CommMode
from cardproto.desfire.secure import SecureConversation
from cardproto.desfire.transaction_mac import CONTENT_BYTES, DataCommand, TransactionMac
from cardproto.errors import ProtocolError

MAX_AMOUNT: Final = 0x7FFFFFFF
_READ_PART: Final = {CommMode.PLAIN: 256, CommMode.MAC: 248, CommMode.FULL: 239}
_WRITE_PART: Final = {CommMode.PLAIN: 245, CommMode.MAC: 237, CommMode.FULL: 223}
"""Room for the longest header (10), the MAC (8) and full padding in 255 bytes."""
_WHOLE_PART: Final = 8192
"""With native chaining one command takes whatever a file holds."""


def _three(number: int) -> bytes:
    return number.to_bytes(3, "little")


class FileContent(SecureConversation):
    """Data, value and record files; `mode` is the file's communication mode as the card map says."""

    def read_data(self, file_no: int, offset: int, length: int, mode: CommMode) -> bytes:
        """`length` bytes of a data file as last committed; 0: to the end, which must then fit one answer.

        Not for the transaction MAC file, which the transaction MAC leaves out: `read_transaction_mac`.
        """
        if not length:
            return self._read_part(file_no, offset, 0, mode)
        size = _WHOLE_PART if self.codes.whole else _READ_PART[mode]
        if length <= size:
            return self._read_part(file_no, offset, length, mode)
        ends = range(offset, offset + length, size)
        return b"".join(self._read_part(file_no, at, min(size, offset + length - at), mode) for at in ends)

    def _parts(self, data: bytes, mode: CommMode) -> Iterator[tuple[int, bytes]]:
        size = _WHOLE_PART if self.codes.whole else _WRITE_PART[mode]
        return ((at, data[at : at + size]) for at in range(0, len(data), size))

    def _read_part(self, file_no: int, offset: int, length: int, mode: CommMode) -> bytes:
        place = bytes((file_no,)) + _three(offset)
        data = self.execute(self.codes.read_data, place + _three(length), b"", mode, length or None)
        self.data_commands.append(DataCommand(self.codes.read_data, place + _three(len(data)), data))
        return data

    def write_data(self, file_no: int, offset: int, data: bytes, mode: CommMode) -> None:
        """Write to a data file: at once for standard files, at commit for backup files."""
        for at, part in self._parts(data, mode):
            header = bytes((file_no,)) + _three(offset + at) + _three(len(part))
            self.execute(self.codes.write_data, header, part, mode)
            self.data_commands.append(DataCommand(self.codes.write_data, header, part))

    def read_transaction_mac(self, file_no: int, mode: CommMode) -> TransactionMac:
        """Counter and MAC of the last committed transaction; the way to settle a lost commit answer."""
        header = bytes((file_no,)) + _three(0) + _three(CONTENT_BYTES)
        return TransactionMac.parse(self.execute(self.codes.read_data, header, b"", mode, CONTENT_BYTES))

    def read_records(self, file_no: int, first: int, count: int, mode: CommMode, record_bytes: int) -> bytes:
        """`count` whole records (0: all there are) from number `first`, 0 being the newest, in one string.

        They stand in it **oldest first**. An empty file answers `StatusError` BE.
        """
        place = bytes((file_no,)) + _three(first)
        expected = count * record_bytes or None
        data = self.execute(self.codes.read_records, place + _three(count), b"", mode, expected)
        read, rest = divmod(len(data), record_bytes)
        if rest or not read:
            self.drop_session()
            raise ProtocolError(f"ReadRecords: {len(data)} bytes are no whole records of {record_bytes}")
        self.data_commands.append(DataCommand(self.codes.read_records, place + _three(read), data))
        return data

    def write_record(self, file_no: int, offset: int, data: bytes, mode: CommMode) -> None:
        """Fill the pending new record; it becomes number 0 at commit. Repeated calls fill the same record."""
        for at, part in self._parts(data, mode):
            header = bytes((file_no,)) + _three(offset + at) + _three(len(part))
            self.execute(self.codes.write_record, header, part, mode)
            self.data_commands.append(DataCommand(self.codes.write_record, header, part))

    def update_record(self, file_no: int, record: int, offset: int, data: bytes, mode: CommMode) -> None:
        """Change an existing record at commit."""
        for at, part in self._parts(data, mode):
            header = bytes((file_no,)) + _three(record) + _three(offset + at) + _three(len(part))
            self.execute(self.codes.update_record, header, part, mode)
            self.data_commands.append(DataCommand(self.codes.update_record, header, part))

    def clear_records(self, file_no: int) -> None:
        """Empty a record file at commit."""
        header = bytes((file_no,))
        self.execute(INS_CLEAR_RECORD_FILE, header)
        self.data_commands.append(DataCommand(INS_CLEAR_RECORD_FILE, header, b""))

    def get_value(self, file_no: int, mode: CommMode) -> int:
        """The committed value of a value file."""
        header = bytes((file_no,))
        data = self.execute(INS_GET_VALUE, header, b"", mode, 4)
        self.data_commands.append(DataCommand(INS_GET_VALUE, header, data))
        return int.from_bytes(data, "little", signed=True)

    def credit(self, file_no: int, amount: int, mode: CommMode) -> None:
        """Add at commit; needs the ReadWrite right. Over the upper limit: `StatusError` BE."""
        self._change_value(INS_CREDIT, file_no, amount, mode)

    def debit(self, file_no: int, amount: int, mode: CommMode) -> None:
        """Take away at commit; the Read right is enough. Under the lower limit: `StatusError` BE."""
        self._change_value(INS_DEBIT, file_no, amount, mode)

    def limited_credit(self, file_no: int, amount: int, mode: CommMode) -> None:
        """Give back at most what the last debiting transaction took; needs the file's limited-credit flag."""
        self._change_value(INS_LIMITED_CREDIT, file_no, amount, mode)

    def _change_value(self, ins: int, file_no: int, amount: int, mode: CommMode) -> None:
        if not 0 <= amount <= MAX_AMOUNT:
            raise ValueError(f"amount {amount} is not between 0 and {MAX_AMOUNT}")
        header, value = bytes((file_no,)), amount.to_bytes(4, "little")
        self.execute(ins, header, value, mode)
        self.data_commands.append(DataCommand(ins, header, value))
