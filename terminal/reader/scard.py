"""The plain PC/SC calls, with return codes turned into errors and bytes on both sides.

The binding is passed in (`smartcard.scard`, or anything with its functions), so that this module imports without it.
Every call here may block for as long as the service or a driver likes; `terminal.reader.pcsc` makes them on a thread
that it can stop waiting for.

Each return code means that the card has gone, the reader has, or the service has. One table says which,
complete for the codes of pcsc-lite's pcsclite.h (names and values as there). Codes that no call of ours is
known to return are in it too: a code is never a surprise. The kinds ask for different remedies:

    CardGone      wait for the next card
    ReaderGone    look for the reader again
    ServiceGone   establish a new context; also for anything unclear, as that is the most thorough remedy
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from cardproto.atr import parse_atr
from cardproto.errors import (
    CardGone,
    FormatError,
    ProtocolError,
    ReaderGone,
    ReaderTaken,
    ServiceGone,
    TransmissionError,
)

SUCCESS: Final = 0
INSUFFICIENT_BUFFER: Final = 0x80100008
TIMEOUT: Final = 0x8010000A
SHARING_VIOLATION: Final = 0x8010000B
NO_SERVICE: Final = 0x8010001D
NO_READERS_AVAILABLE: Final = 0x8010002E
UNRESPONSIVE_CARD: Final = 0x80100066
UNPOWERED_CARD: Final = 0x80100067
SECURITY_VIOLATION: Final = 0x8010006A


class Meaning(Struct, frozen=True):
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
    0x8010000B: Meaning("SCARD_E_SHARING_VIOLATION", ReaderTaken, "another program is using the card"),
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


SCOPE_SYSTEM: Final = 2
SHARE_EXCLUSIVE: Final = 1
SHARE_SHARED: Final = 2
PROTOCOL_T0_OR_T1: Final = 3
RESET_CARD: Final = 1
UNPOWER_CARD: Final = 2

STATE_UNAWARE: Final = 0x0000
STATE_IGNORE: Final = 0x0001
STATE_CHANGED: Final = 0x0002
STATE_UNKNOWN: Final = 0x0004
STATE_UNAVAILABLE: Final = 0x0008
STATE_PRESENT: Final = 0x0020
STATE_MUTE: Final = 0x0200
STATE_GONE: Final = STATE_IGNORE | STATE_UNKNOWN | STATE_UNAVAILABLE

PLUG_EVENTS: Final = "\\\\?PnP?\\Notification"
"""The pseudo reader that changes when a reader is plugged in or pulled out."""

MAX_SHORT_RESPONSE_BYTES: Final = 256 + 2
MAX_EXTENDED_RESPONSE_BYTES: Final = 65536 + 2

CONNECT_ATTEMPTS: Final = 5
CONNECT_PAUSE_S: Final = 0.06
CONNECT_AGAIN: Final = (SHARING_VIOLATION, UNRESPONSIVE_CARD, UNPOWERED_CARD)
"""A desktop program that looks at every new card lets go in a moment; a card laid down slowly wakes up in one."""


class Sighting(Struct, frozen=True):
    """What the service says of a reader: `event` is its state word, with the event counter in the upper 16 bits.

    The counter rises with every insertion and removal, so an equal `presentation` is the same card still lying
    there. Counters start again when reader or service come back; `epoch` distinguishes such periods. `atr` is what the
    card answered to reset.
    """

    epoch: int
    event: int
    atr: bytes = b""

    @property
    def present(self) -> bool:
        """A card is on the reader."""
        return bool(self.event & STATE_PRESENT)

    @property
    def mute(self) -> bool:
        """It does not answer to reset."""
        return bool(self.event & STATE_MUTE)

    @property
    def contactless(self) -> bool:
        """Whether the reset answer has the form that contactless readers make up (PC/SC part 3)."""
        try:
            return parse_atr(self.atr).contactless
        except FormatError:
            return False

    @property
    def presentation(self) -> tuple[int, int]:
        """Identifies one presentation of one card."""
        return self.epoch, self.event >> 16


class Scard:
    """One context and at most one connected card. Use it from one thread.

    A context is established when a call needs one. Raises `CardGone`, `ReaderGone` and `ServiceGone` by the table
    in this module's table; after `ServiceGone` the next call starts with a new context.
    """

    def __init__(self, binding: Any) -> None:
        self._scard = binding
        self._context: int | None = None
        self._card: int | None = None
        self._protocol = 0
        self._plug_state = STATE_UNAWARE
        self._epochs = 0
        self._epoch_of: dict[str, int] = {}
        self.plugged = False
        self.shared = False
        """Whether the connected card is used between transactions of another program."""

    def readers(self) -> list[str]:
        """The names of the readers plugged in, in the service's order."""
        code, names = self._scard.SCardListReaders(self._open_context(), [])
        if code & 0xFFFFFFFF == NO_READERS_AVAILABLE:
            return []
        self._check(code, "readers")
        return list(names)

    def wait(
        self, names: Sequence[str], known: Mapping[str, Sighting], timeout_s: float
    ) -> dict[str, Sighting]:
        """What is to be seen on the readers once one of them differs from `known`, or `known` after `timeout_s`.

        A reader without a `known` sighting of its epoch is looked at at once. Raises `ReaderGone` when one of them is
        pulled out; `plugged` says afterwards whether any reader came or went.
        """
        self.plugged = False
        context = self._open_context()
        states = [(name, self._known_event(name, known) & ~STATE_CHANGED) for name in names]
        code, seen = self._scard.SCardGetStatusChange(
            context, round(timeout_s * 1000), [*states, self._plug_events()]
        )
        if code & 0xFFFFFFFF == TIMEOUT:
            return {name: known[name] if name in known else Sighting(self.epoch(name), 0) for name in names}
        self._check(code, names[0] if len(names) == 1 else "readers")
        *seen, plug = seen
        gone = [name for name, event, _ in seen if event & STATE_GONE]
        self.plugged = self._note_plug_event(plug[1])
        if self.plugged:
            listed = self.readers()
            gone += [name for name in names if name not in listed and name not in gone]
        for name in gone:
            self.forget(name)
        if gone:
            raise ReaderGone(f"{gone[0]}: the reader was unplugged")
        return {name: Sighting(self.epoch(name), event, bytes(atr)) for name, event, atr in seen}

    def epoch(self, name: str) -> int:
        """In which period of the reader we are: its counters mean nothing in another."""
        return self._epoch_of.setdefault(name, self._epochs)

    def forget(self, name: str) -> None:
        """The reader is gone; if one of this name comes back, a new period begins."""
        self._epochs += 1
        self._epoch_of[name] = self._epochs

    def _known_event(self, name: str, known: Mapping[str, Sighting]) -> int:
        sighting = known.get(name)
        return (
            sighting.event if sighting is not None and sighting.epoch == self.epoch(name) else STATE_UNAWARE
        )

    def wait_for_plug(self, timeout_s: float) -> None:
        """Return when a reader was plugged in or pulled out, or after `timeout_s`."""
        context = self._open_context()
        code, states = self._scard.SCardGetStatusChange(
            context, round(timeout_s * 1000), [self._plug_events()]
        )
        if code & 0xFFFFFFFF != TIMEOUT:
            self._check(code, "readers")
            self._note_plug_event(states[0][1])

    def connect(self, name: str) -> None:
        """Take the card for ourselves alone. Raises `CardGone` for a card that left or does not wake up, `ReaderTaken`
        for one that another program has for itself alone.

        Where another program keeps a handle that it shares, the card is ours for one transaction, reset first.
        """
        context = self._open_context()
        for attempt in range(CONNECT_ATTEMPTS):
            code, card, protocol = self._scard.SCardConnect(context, name, SHARE_EXCLUSIVE, PROTOCOL_T0_OR_T1)
            if code & 0xFFFFFFFF not in CONNECT_AGAIN or attempt == CONNECT_ATTEMPTS - 1:
                break
            time.sleep(CONNECT_PAUSE_S)
        if code & 0xFFFFFFFF == SHARING_VIOLATION:
            self._connect_between(context, name)
            return
        self._check(code, name)
        self._card, self._protocol, self.shared = card, protocol, False

    def _connect_between(self, context: int, name: str) -> None:
        code, card, protocol = self._scard.SCardConnect(context, name, SHARE_SHARED, PROTOCOL_T0_OR_T1)
        self._check(code, name)
        self._card, self._protocol, self.shared = card, protocol, True
        try:
            code, self._protocol = self._scard.SCardReconnect(
                card, SHARE_SHARED, PROTOCOL_T0_OR_T1, RESET_CARD
            )
            self._check(code, name)
            self._check(self._scard.SCardBeginTransaction(card), name)
        except TransmissionError:
            self.disconnect()
            raise

    def transmit(self, command: bytes) -> bytes:
        """One exchange with the connected card. Raises `ProtocolError` for an answer no card may give.

        An empty answer is `CardGone`: it is how some drivers, vpcd among them, report success of an exchange in
        which the card was pulled; no card answers less than its status word.
        """
        assert self._card is not None, "connect comes first"
        code, answer = self._scard.SCardTransmit(self._card, self._protocol, list(command))
        if code & 0xFFFFFFFF == INSUFFICIENT_BUFFER:
            raise ProtocolError("the card answered more than an APDU may hold")
        self._check(code, "card")  # before a look at the answer: after an error it holds stray memory
        if not answer:
            raise CardGone("the exchange ended without an answer")
        if len(answer) < 2:
            raise ProtocolError("the card answered one byte, no status word")
        if len(answer) > _max_response_bytes(command):
            raise ProtocolError(f"the card answered {len(answer)} bytes to a command of {len(command)}")
        return bytes(answer)

    def disconnect(self, disposition: int = RESET_CARD) -> None:
        """Reset the card (or cut its power) and let it go. Harmless without one; never raises: the card may be gone."""
        card, self._card = self._card, None
        if card is None:
            return
        code = self._scard.SCardDisconnect(card, disposition) & 0xFFFFFFFF
        if code != SUCCESS and isinstance(error_for(code, "card"), ServiceGone):
            self._drop_context()

    def close(self) -> None:
        """Give everything back."""
        self.disconnect()
        self._drop_context()

    def _open_context(self) -> int:
        if self._context is None:
            code, context = self._scard.SCardEstablishContext(SCOPE_SYSTEM)
            self._check(code, "PC/SC")
            self._context = context
            self._plug_state = STATE_UNAWARE
        return self._context

    def _drop_context(self) -> None:
        """Forget the context; its card and its counters mean nothing any more."""
        context, self._context = self._context, None
        self._card = None
        for name in self._epoch_of:
            self.forget(name)
        if context is not None:
            self._scard.SCardReleaseContext(
                context
            )  # whatever it answers, there is nothing more to give back

    def _plug_events(self) -> tuple[str, int]:
        return PLUG_EVENTS, self._plug_state

    def _note_plug_event(self, event: int) -> bool:
        self._plug_state = event & ~STATE_CHANGED
        return bool(event & STATE_CHANGED)

    def _check(self, code: int, where: str) -> None:
        """Raise what `code` stands for, after giving up what it made useless."""
        if code == SUCCESS:
            return
        error = error_for(code, where)
        if isinstance(error, ServiceGone):
            self._drop_context()
        elif isinstance(error, ReaderGone) and where in self._epoch_of and type(error) is ReaderGone:
            self.forget(where)
        raise error


def _max_response_bytes(command: bytes) -> int:
    """An extended command (ISO 7816-4, 5.1: a zero where the length byte would be, and more) may be answered long."""
    extended = len(command) >= 7 and command[4] == 0
    return MAX_EXTENDED_RESPONSE_BYTES if extended else MAX_SHORT_RESPONSE_BYTES
