"""Commands on the content of files, native and ISO 7816-4. Each native one notes what the transaction MAC will cover.

With the ISO-chained codes long transfers are cut so that every APDU stays short (Lc at most 255, Le 256); each
part is one command of its own for the counter and for the transaction MAC.

ISO 7816-4 selects by name or file id and reads and writes plainly. Its parameters are most significant byte
first here, unlike in native commands. Everything travels plain and unproved: for public content such as NDEF,
and for finding applications by name. A session ends with any of them."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import Final

from cardproto.apdu import CommandApdu, describe
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
from cardproto.errors import ProtocolError, StatusError

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


INS_ISO_SELECT: Final = 0xA4
INS_ISO_READ_BINARY: Final = 0xB0
INS_ISO_UPDATE_BINARY: Final = 0xD6
BY_SHORT_ID: Final = 0x80
LAST_SHORT_ID: Final = 0x1F
LAST_OFFSET: Final = 0x7FFF
P2_FILE_CONTROL: Final = 0x00
P2_NO_ANSWER: Final = 0x0C
_SUCCESS: Final = (0x9000, 0x6283)
_NAMES: Final = {
    INS_ISO_SELECT: "ISOSelectFile",
    INS_ISO_READ_BINARY: "ISOReadBinary",
    INS_ISO_UPDATE_BINARY: "ISOUpdateBinary",
}


class Among(IntEnum):
    """Where ISOSelectFile looks (P1)."""

    ALL = 0
    APPLICATIONS = 1
    FILES = 2
    PARENT = 3
    NAMES = 4


class IsoCommands(SecureConversation):
    """Each raises `StatusError` with the card's status word."""

    def iso_select_name(self, df_name: bytes, *, file_control: bool = False) -> bytes:
        """Select an application by DF name; returns its file control information when asked for."""
        return self._select(Among.NAMES, df_name, file_control)

    def iso_select_id(self, file_id: int, among: Among = Among.ALL, *, file_control: bool = False) -> bytes:
        """Select the card (3F00), an application, or a file of the selected application by ISO id."""
        return self._select(among, file_id.to_bytes(2, "big"), file_control)

    def iso_select_parent(self) -> None:
        """Go up to the card level."""
        self._select(Among.PARENT, b"", False)

    def _select(self, p1: Among, data: bytes, file_control: bool) -> bytes:
        p2, le = (P2_FILE_CONTROL, 0) if file_control else (P2_NO_ANSWER, None)
        return self._iso(CommandApdu(0, INS_ISO_SELECT, p1, p2, data, le))

    def iso_read_binary(self, offset: int, length: int = 0, short_id: int | None = None) -> bytes:
        """Part of the selected file, or of the one with this short id (its file number, 0 to 1F).

        `length` 0: as much as one answer holds. With a short id the offset is 255 at most.
        """
        p1, p2 = _place(offset, short_id)
        return self._iso(CommandApdu(0, INS_ISO_READ_BINARY, p1, p2, le=length))

    def iso_update_binary(self, offset: int, data: bytes, short_id: int | None = None) -> None:
        """Write to a standard file, at once; at most 255 bytes. The file as for `iso_read_binary`."""
        p1, p2 = _place(offset, short_id)
        self._iso(CommandApdu(0, INS_ISO_UPDATE_BINARY, p1, p2, data))

    def _iso(self, command: CommandApdu) -> bytes:
        self.drop_session()
        answer = self.channel.send(command)
        if answer.sw not in _SUCCESS:
            raise StatusError(_NAMES[command.ins], answer.sw, describe(answer.sw))
        return answer.data


def _place(offset: int, short_id: int | None) -> tuple[int, int]:
    if short_id is None:
        if not 0 <= offset <= LAST_OFFSET:
            raise ValueError(f"offset {offset} is not between 0 and {LAST_OFFSET}")
        return offset >> 8, offset & 0xFF
    if not (0 <= short_id <= LAST_SHORT_ID and 0 <= offset <= 0xFF):
        raise ValueError(f"no place: short id {short_id}, offset {offset}")
    return BY_SHORT_ID | short_id, offset
