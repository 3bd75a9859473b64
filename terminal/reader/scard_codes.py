"""What each PC/SC return code means for the terminal: the card has gone, the reader has, or the service has.

One table, complete for the codes of pcsc-lite's pcsclite.h (names and values as there). Codes that no call of ours
is known to return are in it too: a code is never a surprise. The kinds ask for different remedies:

    CardGone      wait for the next card
    ReaderGone    look for the reader again
    ServiceGone   establish a new context; also for anything unclear, as that is the most thorough remedy
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cardproto.errors import CardGone, ReaderGone, ServiceGone, TransmissionError

SUCCESS: Final = 0
INSUFFICIENT_BUFFER: Final = 0x80100008
TIMEOUT: Final = 0x8010000A
SHARING_VIOLATION: Final = 0x8010000B
NO_SERVICE: Final = 0x8010001D
NO_READERS_AVAILABLE: Final = 0x8010002E
UNRESPONSIVE_CARD: Final = 0x80100066
UNPOWERED_CARD: Final = 0x80100067
SECURITY_VIOLATION: Final = 0x8010006A


@dataclass(frozen=True, slots=True)
class Meaning:
    """`name` is the constant's, `kind` the error to raise, `text` what to tell a person."""

    name: str
    kind: type[TransmissionError]
    text: str


MEANINGS: Final[dict[int, Meaning]] = {
    0x80100001: Meaning("SCARD_F_INTERNAL_ERROR", ServiceGone, "the PC/SC service failed inside"),
    0x80100002: Meaning("SCARD_E_CANCELLED", ServiceGone, "the wait was cancelled"),
    0x80100003: Meaning("SCARD_E_INVALID_HANDLE", ServiceGone, "the service does not know us any more"),
    0x80100004: Meaning("SCARD_E_INVALID_PARAMETER", ServiceGone, "the service refused a parameter"),
    0x80100005: Meaning("SCARD_E_INVALID_TARGET", ServiceGone, "the service found its configuration invalid"),
    0x80100006: Meaning("SCARD_E_NO_MEMORY", ServiceGone, "no memory left"),
    0x80100007: Meaning("SCARD_F_WAITED_TOO_LONG", ServiceGone, "the service waited too long inside"),
    0x80100008: Meaning("SCARD_E_INSUFFICIENT_BUFFER", ServiceGone, "the data do not fit the buffer"),
    0x80100009: Meaning("SCARD_E_UNKNOWN_READER", ReaderGone, "the reader was unplugged"),
    0x8010000A: Meaning("SCARD_E_TIMEOUT", ReaderGone, "the reader did not answer in time"),
    0x8010000B: Meaning("SCARD_E_SHARING_VIOLATION", ReaderGone, "another program is using the card"),
    0x8010000C: Meaning("SCARD_E_NO_SMARTCARD", CardGone, "no card on the reader"),
    0x8010000D: Meaning("SCARD_E_UNKNOWN_CARD", CardGone, "the service does not know this card"),
    0x8010000E: Meaning("SCARD_E_CANT_DISPOSE", ServiceGone, "the service could not reset the card"),
    0x8010000F: Meaning("SCARD_E_PROTO_MISMATCH", CardGone, "the card speaks neither T=0 nor T=1"),
    0x80100010: Meaning("SCARD_E_NOT_READY", ReaderGone, "the reader is not ready"),
    0x80100011: Meaning("SCARD_E_INVALID_VALUE", ServiceGone, "the service refused a value"),
    0x80100012: Meaning("SCARD_E_SYSTEM_CANCELLED", ServiceGone, "the system is shutting down"),
    0x80100013: Meaning("SCARD_F_COMM_ERROR", ServiceGone, "the link to the PC/SC service broke"),
    0x80100014: Meaning("SCARD_F_UNKNOWN_ERROR", ServiceGone, "the PC/SC service failed"),
    0x80100015: Meaning("SCARD_E_INVALID_ATR", CardGone, "the card's reset answer is invalid"),
    0x80100016: Meaning("SCARD_E_NOT_TRANSACTED", CardGone, "the exchange broke off"),
    0x80100017: Meaning("SCARD_E_READER_UNAVAILABLE", ReaderGone, "the reader was unplugged or failed"),
    0x80100018: Meaning("SCARD_P_SHUTDOWN", ServiceGone, "the system is shutting down"),
    0x80100019: Meaning("SCARD_E_PCI_TOO_SMALL", ServiceGone, "the protocol structure is too small"),
    0x8010001A: Meaning("SCARD_E_READER_UNSUPPORTED", ReaderGone, "the reader's driver does not support it"),
    0x8010001B: Meaning("SCARD_E_DUPLICATE_READER", ReaderGone, "the reader's name is taken twice"),
    0x8010001C: Meaning("SCARD_E_CARD_UNSUPPORTED", CardGone, "the reader does not support this card"),
    0x8010001D: Meaning("SCARD_E_NO_SERVICE", ServiceGone, "the PC/SC service is not running"),
    0x8010001E: Meaning("SCARD_E_SERVICE_STOPPED", ServiceGone, "the PC/SC service stopped"),
    0x8010001F: Meaning("SCARD_E_UNSUPPORTED_FEATURE", ServiceGone, "the service lacks a feature"),
    0x80100020: Meaning("SCARD_E_ICC_INSTALLATION", CardGone, "no primary provider for the card"),
    0x80100021: Meaning("SCARD_E_ICC_CREATEORDER", CardGone, "the object order is not supported"),
    0x80100023: Meaning("SCARD_E_DIR_NOT_FOUND", CardGone, "directory not found on the card"),
    0x80100024: Meaning("SCARD_E_FILE_NOT_FOUND", CardGone, "file not found on the card"),
    0x80100025: Meaning("SCARD_E_NO_DIR", CardGone, "not a directory on the card"),
    0x80100026: Meaning("SCARD_E_NO_FILE", CardGone, "not a file on the card"),
    0x80100027: Meaning("SCARD_E_NO_ACCESS", CardGone, "access to a file of the card refused"),
    0x80100028: Meaning("SCARD_E_WRITE_TOO_MANY", CardGone, "no room on the card"),
    0x80100029: Meaning("SCARD_E_BAD_SEEK", CardGone, "file offset outside the card's file"),
    0x8010002A: Meaning("SCARD_E_INVALID_CHV", CardGone, "the card refused the PIN"),
    0x8010002B: Meaning("SCARD_E_UNKNOWN_RES_MNG", ServiceGone, "the service answered an unknown code"),
    0x8010002C: Meaning("SCARD_E_NO_SUCH_CERTIFICATE", CardGone, "no such certificate on the card"),
    0x8010002D: Meaning("SCARD_E_CERTIFICATE_UNAVAILABLE", CardGone, "certificate not available"),
    0x8010002E: Meaning("SCARD_E_NO_READERS_AVAILABLE", ReaderGone, "no reader is plugged in"),
    0x8010002F: Meaning("SCARD_E_COMM_DATA_LOST", CardGone, "data were lost between reader and card"),
    0x80100030: Meaning("SCARD_E_NO_KEY_CONTAINER", CardGone, "no key container on the card"),
    0x80100031: Meaning("SCARD_E_SERVER_TOO_BUSY", ServiceGone, "the PC/SC service is too busy"),
    0x80100065: Meaning("SCARD_W_UNSUPPORTED_CARD", CardGone, "the reader cannot talk to this card"),
    0x80100066: Meaning("SCARD_W_UNRESPONSIVE_CARD", CardGone, "the card does not answer to reset"),
    0x80100067: Meaning("SCARD_W_UNPOWERED_CARD", CardGone, "the card has no power"),
    0x80100068: Meaning("SCARD_W_RESET_CARD", CardGone, "the card was reset"),
    0x80100069: Meaning("SCARD_W_REMOVED_CARD", CardGone, "the card was taken away"),
    0x8010006A: Meaning("SCARD_W_SECURITY_VIOLATION", ServiceGone, "the system denies access to the service"),
    0x8010006B: Meaning("SCARD_W_WRONG_CHV", CardGone, "wrong PIN"),
    0x8010006C: Meaning("SCARD_W_CHV_BLOCKED", CardGone, "the PIN is blocked"),
    0x8010006D: Meaning("SCARD_W_EOF", CardGone, "end of the card's file"),
    0x8010006E: Meaning("SCARD_W_CANCELLED_BY_USER", CardGone, "cancelled by the user"),
    0x8010006F: Meaning("SCARD_W_CARD_NOT_AUTHENTICATED", CardGone, "no PIN was presented"),
}


def error_for(code: int, where: str) -> TransmissionError:
    """The error a return code stands for; `where` names reader or service for the person who reads it."""
    code &= 0xFFFFFFFF
    meaning = MEANINGS.get(code)
    if meaning is None:
        return ServiceGone(f"{where}: unknown PC/SC code {code:08X}")
    return meaning.kind(f"{where}: {meaning.text} ({meaning.name}, {code:08X})")
