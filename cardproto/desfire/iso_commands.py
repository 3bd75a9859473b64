"""The ISO 7816-4 commands of a DESFire: selection by name or file id, plain reading and writing.

Parameters are most significant byte first here, unlike in native commands. Everything travels plain and unproved:
for public content such as NDEF, and for finding applications by name. A session ends with any of them.
"""

from __future__ import annotations

from typing import Final

from cardproto.apdu import CommandApdu, describe
from cardproto.desfire.secure import SecureConversation
from cardproto.errors import StatusError

INS_ISO_SELECT: Final = 0xA4
INS_ISO_READ_BINARY: Final = 0xB0
INS_ISO_UPDATE_BINARY: Final = 0xD6
P1_BY_ID: Final = 0x00
P1_BY_NAME: Final = 0x04
P2_FILE_CONTROL: Final = 0x00
P2_NO_ANSWER: Final = 0x0C
_SUCCESS: Final = (0x9000, 0x6283)
_NAMES: Final = {
    INS_ISO_SELECT: "ISOSelectFile",
    INS_ISO_READ_BINARY: "ISOReadBinary",
    INS_ISO_UPDATE_BINARY: "ISOUpdateBinary",
}


class IsoCommands(SecureConversation):
    """Each raises `StatusError` with the card's status word."""

    def iso_select_name(self, df_name: bytes, *, file_control: bool = False) -> bytes:
        """Select an application by DF name; returns its file control information when asked for."""
        return self._select(P1_BY_NAME, df_name, file_control)

    def iso_select_id(self, file_id: int, *, file_control: bool = False) -> bytes:
        """Select the card (3F00), an application or a file of the selected application by ISO id."""
        return self._select(P1_BY_ID, file_id.to_bytes(2, "big"), file_control)

    def _select(self, p1: int, data: bytes, file_control: bool) -> bytes:
        p2, le = (P2_FILE_CONTROL, 0) if file_control else (P2_NO_ANSWER, None)
        return self._iso(CommandApdu(0, INS_ISO_SELECT, p1, p2, data, le))

    def iso_read_binary(self, offset: int, length: int = 0) -> bytes:
        """Part of the selected file; `length` 0: as much as one answer holds."""
        return self._iso(CommandApdu(0, INS_ISO_READ_BINARY, offset >> 8, offset & 0xFF, le=length))

    def iso_update_binary(self, offset: int, data: bytes) -> None:
        """Write to the selected standard file, at once; at most 255 bytes."""
        self._iso(CommandApdu(0, INS_ISO_UPDATE_BINARY, offset >> 8, offset & 0xFF, data))

    def _iso(self, command: CommandApdu) -> bytes:
        self.drop_session()
        answer = self.channel.send(command)
        if answer.sw not in _SUCCESS:
            raise StatusError(_NAMES[command.ins], answer.sw, describe(answer.sw))
        return answer.data
