"""DESFire's one-byte status codes (the second status byte of a wrapped answer), datasheet 8.4 and 11."""

from __future__ import annotations

from enum import IntEnum
from typing import NoReturn

from cardproto.desfire.commands import command_name
from cardproto.errors import StatusError


class Status(IntEnum):
    """What the card says about the last command. Everything but OK and ADDITIONAL_FRAME ends a session."""

    OK = 0x00
    NO_CHANGES = 0x0C
    OUT_OF_MEMORY = 0x0E
    ILLEGAL_COMMAND = 0x1C
    INTEGRITY_ERROR = 0x1E
    NO_SUCH_KEY = 0x40
    LENGTH_ERROR = 0x7E
    SIGNATURE_OK = 0x90
    PERMISSION_DENIED = 0x9D
    PARAMETER_ERROR = 0x9E
    APPLICATION_NOT_FOUND = 0xA0
    APPLICATION_INTEGRITY_ERROR = 0xA1
    AUTHENTICATION_DELAY = 0xAD
    AUTHENTICATION_ERROR = 0xAE
    ADDITIONAL_FRAME = 0xAF
    BOUNDARY_ERROR = 0xBE
    PICC_INTEGRITY_ERROR = 0xC1
    COMMAND_ABORTED = 0xCA
    PICC_DISABLED = 0xCD
    COUNT_ERROR = 0xCE
    DUPLICATE_ERROR = 0xDE
    MEMORY_ERROR = 0xEE
    FILE_NOT_FOUND = 0xF0
    FILE_INTEGRITY_ERROR = 0xF1


def meaning(status: int) -> str:
    """The code's name in words, for people."""
    try:
        return Status(status).name.lower().replace("_", " ")
    except ValueError:
        return "unknown status"


def raise_status(command: str | int, status: int) -> NoReturn:
    """Raise `StatusError` for a command, given by name or INS, that the card refused with `status`."""
    name = command_name(command) if isinstance(command, int) else command
    raise StatusError(name, 0x9100 | status, meaning(status))
