"""A conversation with one card: framing, follow-up exchanges, and the limits that end a hostile one.

What only one kind of card speaks is above it, as `DesfireChannel` in `cardproto.desfire.channel`.
"""

from __future__ import annotations

from typing import Final

from cardproto.apdu import CommandApdu, ResponseApdu
from cardproto.connection import CardConnection
from cardproto.errors import LimitExceeded, ProtocolError

UID_LENGTHS: Final = (4, 7, 10)

_CLA_READER: Final = 0xFF
_GET_UID: Final = CommandApdu(_CLA_READER, 0xCA, 0, 0, le=0)


class CardChannel:
    """One tap's way to the card. Counts what it spends and stops at its limits with `LimitExceeded`.

    `exchanges` and `apdu_bytes` (both directions, status words included) count what was sent to the card and what it
    answered, not a command that a limit stopped; pseudo APDUs (CLA FF) are answered by the reader and counted in
    `reader_exchanges` instead. `uid` is what the reader last said of it, empty before `read_uid`; `uid_refused`: it was
    asked and had none.
    """

    def __init__(self, connection: CardConnection, *, max_exchanges: int = 64, max_bytes: int = 8192) -> None:
        self._connection = connection
        self._max_exchanges = max_exchanges
        self._max_bytes = max_bytes
        self.uid = b""
        self.uid_refused = False
        self.exchanges = 0
        self.apdu_bytes = 0
        self.reader_exchanges = 0

    def send(self, command: CommandApdu) -> ResponseApdu:
        """Send one APDU and follow 61xx (more data waiting) and 6Cxx (wrong Le); returns the joined answer.

        Raises `ProtocolError` for an answer without status word, `LimitExceeded`, `TransmissionError`.
        """
        answer = ResponseApdu.parse(self.transmit(command.to_bytes()))
        if answer.sw >> 8 == 0x6C:
            again = CommandApdu(
                command.cla, command.ins, command.p1, command.p2, command.data, answer.sw & 0xFF
            )
            answer = ResponseApdu.parse(self.transmit(again.to_bytes()))
        if answer.sw >> 8 != 0x61:
            return answer
        collected = answer.data
        while answer.sw >> 8 == 0x61:
            more = CommandApdu(command.cla & 0x0F, 0xC0, le=answer.sw & 0xFF)
            answer = ResponseApdu.parse(self.transmit(more.to_bytes()))
            collected += answer.data
        return ResponseApdu(collected, answer.sw)

    def read_uid(self) -> bytes:
        """The UID from anticollision, asked from the reader. Raises `ProtocolError` when it has none."""
        answer = ResponseApdu.parse(self.transmit(_GET_UID.to_bytes()))
        self.uid_refused = answer.sw != 0x9000 or len(answer.data) not in UID_LENGTHS
        if self.uid_refused:
            raise ProtocolError(f"reader gives no UID: status {answer.sw:04X}, {len(answer.data)} bytes")
        self.uid = answer.data
        return answer.data

    def transmit(self, command: bytes) -> bytes:
        """The answer to one command as it stands, counted. Raises `LimitExceeded`, `TransmissionError`."""
        by_reader = command[0] == _CLA_READER
        apdu_bytes = self.apdu_bytes + (0 if by_reader else len(command))
        if self.exchanges + self.reader_exchanges >= self._max_exchanges or apdu_bytes > self._max_bytes:
            raise LimitExceeded(
                f"more than {self._max_exchanges} exchanges or {self._max_bytes} bytes with one card"
            )
        if by_reader:
            self.reader_exchanges += 1
        else:
            self.exchanges += 1
            self.apdu_bytes = apdu_bytes
        answer = self._connection.transmit(command)
        if not by_reader:
            self.apdu_bytes += len(answer)
        return answer
