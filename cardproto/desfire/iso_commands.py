"""The ISO 7816-4 commands of a DESFire: selection by name or file id, plain reading and writing.

Parameters are most significant byte first here, unlike in native commands. Everything travels plain and unproved:
for public content such as NDEF, and for finding applications by name. A session ends with any of them.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from cardproto.apdu import CommandApdu, describe
from cardproto.desfire.secure import SecureConversation
from cardproto.errors import StatusError

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
