"""A conversation with one card: framing, follow-up exchanges, and the limits that end a hostile one.

Everything here is on the hot path of a tap, so native commands are built as bytes, not as APDU objects.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from cardproto.apdu import CommandApdu, ResponseApdu, describe
from cardproto.connection import CardConnection
from cardproto.desfire.commands import INS_ADDITIONAL_FRAME, ISO_CHAINED, command_name
from cardproto.errors import LimitExceeded, ProtocolError, StatusError

NATIVE_FRAME_BYTES: Final = 54
"""Most data one native-chained frame carries towards the card; libraries in the field agree on it."""
SHORT_APDU_BYTES: Final = 255
UID_LENGTHS: Final = (4, 7, 10)

_CLA_NATIVE: Final = 0x90
_CLA_READER: Final = 0xFF
_SW1_NATIVE: Final = 0x91
_STATUS_MORE: Final = 0xAF
_GET_UID: Final = CommandApdu(_CLA_READER, 0xCA, 0, 0, le=0)


class NativeAnswer(NamedTuple):
    """A DESFire answer: the one-byte status and everything the card said, AF frames joined."""

    status: int
    data: bytes


class CardChannel:
    """One tap's way to the card. Counts what it spends and stops at its limits with `LimitExceeded`.

    `exchanges` and `apdu_bytes` (both directions, status words included) count what the card answered;
    pseudo APDUs (CLA FF) are answered by the reader and counted in `reader_exchanges` instead.
    """

    def __init__(self, connection: CardConnection, *, max_exchanges: int = 64, max_bytes: int = 8192) -> None:
        self._connection = connection
        self._max_exchanges = max_exchanges
        self._max_bytes = max_bytes
        self.exchanges = 0
        self.apdu_bytes = 0
        self.reader_exchanges = 0

    def send(self, command: CommandApdu) -> ResponseApdu:
        """Send one APDU and follow 61xx (more data waiting) and 6Cxx (wrong Le); returns the joined answer.

        Raises `ProtocolError` for an answer without status word, `LimitExceeded`, `TransmissionError`.
        """
        answer = ResponseApdu.parse(self._transmit(command.to_bytes()))
        if answer.sw >> 8 == 0x6C:
            again = CommandApdu(
                command.cla, command.ins, command.p1, command.p2, command.data, answer.sw & 0xFF
            )
            answer = ResponseApdu.parse(self._transmit(again.to_bytes()))
        collected = answer.data
        while answer.sw >> 8 == 0x61:
            more = CommandApdu(command.cla & 0x0F, 0xC0, le=answer.sw & 0xFF)
            answer = ResponseApdu.parse(self._transmit(more.to_bytes()))
            collected += answer.data
        return ResponseApdu(collected, answer.sw)

    def native(self, ins: int, data: bytes = b"") -> NativeAnswer:
        """One DESFire command in ISO wrapping, with AF chaining in both directions.

        The answer's status is never AF. Raises `StatusError` for a status word outside 91xx: not a DESFire.
        """
        limit = SHORT_APDU_BYTES if ins in ISO_CHAINED else NATIVE_FRAME_BYTES
        status, collected = self.frame(ins, data[:limit])
        for at in range(limit, len(data), limit):
            if status != _STATUS_MORE or collected:
                break
            status, collected = self.frame(INS_ADDITIONAL_FRAME, data[at : at + limit])
        while status == _STATUS_MORE:
            status, part = self.frame(INS_ADDITIONAL_FRAME)
            collected += part
        return NativeAnswer(status, collected)

    def frames(self, ins: int, data: bytes = b"") -> tuple[int, list[bytes]]:
        """As `native` for a short command, with the answer's frames kept apart."""
        status, part = self.frame(ins, data)
        parts = [part]
        while status == _STATUS_MORE:
            status, part = self.frame(INS_ADDITIONAL_FRAME)
            parts.append(part)
        return status, parts

    def frame(self, ins: int, data: bytes = b"") -> NativeAnswer:
        """Exactly one wrapped exchange; an AF status is handed to the caller (authentication needs that)."""
        if data:
            raw = self._transmit(b"%c%c\0\0%c%b\0" % (_CLA_NATIVE, ins, len(data), data))
        else:
            raw = self._transmit(b"%c%c\0\0\0" % (_CLA_NATIVE, ins))
        if len(raw) < 2:
            raise ProtocolError(
                f"{command_name(ins)}: an answer of {len(raw)} bytes; the status word alone is 2"
            )
        if raw[-2] != _SW1_NATIVE:
            sw = raw[-2] << 8 | raw[-1]
            raise StatusError(command_name(ins), sw, describe(sw))
        return NativeAnswer(raw[-1], raw[:-2])

    def read_uid(self) -> bytes:
        """The UID from anticollision, asked from the reader. Raises `ProtocolError` when it has none."""
        answer = ResponseApdu.parse(self._transmit(_GET_UID.to_bytes()))
        if answer.sw != 0x9000 or len(answer.data) not in UID_LENGTHS:
            raise ProtocolError(f"reader gives no UID: status {answer.sw:04X}, {len(answer.data)} bytes")
        return answer.data

    def _transmit(self, command: bytes) -> bytes:
        by_reader = command[0] == _CLA_READER
        if by_reader:
            self.reader_exchanges += 1
        else:
            self.exchanges += 1
            self.apdu_bytes += len(command)
        if self.exchanges + self.reader_exchanges > self._max_exchanges or self.apdu_bytes > self._max_bytes:
            raise LimitExceeded(
                f"more than {self._max_exchanges} exchanges or {self._max_bytes} bytes with one card"
            )
        answer = self._connection.transmit(command)
        if not by_reader:
            self.apdu_bytes += len(answer)
        return answer
