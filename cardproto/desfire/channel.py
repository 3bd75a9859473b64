"""The native DESFire commands of a conversation: ISO wrapping and AF chaining in both directions.

Everything here is on the hot path of a tap, so commands are built as bytes, not as APDU objects.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from cardproto.apdu import describe
from cardproto.channel import CardChannel
from cardproto.desfire.commands import INS_ADDITIONAL_FRAME, ISO_CHAINED, command_name
from cardproto.errors import ProtocolError, StatusError

NATIVE_FRAME_BYTES: Final = 54
"""Most data one native-chained frame carries towards the card; libraries in the field agree on it."""
SHORT_APDU_BYTES: Final = 255

_CLA_NATIVE: Final = 0x90
_SW1_NATIVE: Final = 0x91
_STATUS_MORE: Final = 0xAF


class NativeAnswer(NamedTuple):
    """A DESFire answer: the one-byte status and everything the card said, AF frames joined."""

    status: int
    data: bytes


class DesfireChannel(CardChannel):
    """A `CardChannel` that speaks to a DESFire card; counts and limits are the same."""

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
            raw = self.transmit(b"%c%c\0\0%c%b\0" % (_CLA_NATIVE, ins, len(data), data))
        else:
            raw = self.transmit(b"%c%c\0\0\0" % (_CLA_NATIVE, ins))
        if len(raw) < 2:
            raise ProtocolError(
                f"{command_name(ins)}: an answer of {len(raw)} bytes; the status word alone is 2"
            )
        if raw[-2] != _SW1_NATIVE:
            sw = raw[-2] << 8 | raw[-1]
            raise StatusError(command_name(ins), sw, describe(sw))
        return NativeAnswer(raw[-1], raw[:-2])
