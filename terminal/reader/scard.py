"""The plain PC/SC calls, with return codes turned into errors and bytes on both sides.

The binding is passed in (`smartcard.scard`, or anything with its functions), so that this module imports without it.
Every call here may block for as long as the service or a driver likes; `terminal.reader.pcsc` makes them on a thread
that it can stop waiting for.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from cardproto.errors import CardGone, ProtocolError, ReaderGone, ServiceGone
from terminal.reader import scard_codes as codes

SCOPE_SYSTEM: Final = 2
SHARE_EXCLUSIVE: Final = 1
PROTOCOL_T0_OR_T1: Final = 3
RESET_CARD: Final = 1

STATE_UNAWARE: Final = 0x0000
STATE_IGNORE: Final = 0x0001
STATE_CHANGED: Final = 0x0002
STATE_UNKNOWN: Final = 0x0004
STATE_UNAVAILABLE: Final = 0x0008
STATE_PRESENT: Final = 0x0020
STATE_GONE: Final = STATE_IGNORE | STATE_UNKNOWN | STATE_UNAVAILABLE

PLUG_EVENTS: Final = "\\\\?PnP?\\Notification"
"""The pseudo reader that changes when a reader is plugged in or pulled out."""

MAX_SHORT_RESPONSE_BYTES: Final = 256 + 2
MAX_EXTENDED_RESPONSE_BYTES: Final = 65536 + 2

CONNECT_ATTEMPTS: Final = 5
CONNECT_PAUSE_S: Final = 0.06
CONNECT_AGAIN: Final = (codes.SHARING_VIOLATION, codes.UNRESPONSIVE_CARD, codes.UNPOWERED_CARD)
"""A desktop program that looks at every new card lets go in a moment; a card laid down slowly wakes up in one."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the service says of a reader: `event` is its state word, with the event counter in the upper 16 bits.

    The counter rises with every insertion and removal, so an equal `presentation` is the same card still lying
    there. Counters start again when reader or service come back; `epoch` tells such times apart.
    """

    epoch: int
    event: int

    @property
    def present(self) -> bool:
        """A card is on the reader."""
        return bool(self.event & STATE_PRESENT)

    @property
    def presentation(self) -> tuple[int, int]:
        """Identifies one presentation of one card."""
        return self.epoch, self.event >> 16


class Scard:
    """One context and at most one connected card. Use it from one thread.

    A context is established when a call needs one. Raises `CardGone`, `ReaderGone` and `ServiceGone` by the table
    in `scard_codes`; after `ServiceGone` the next call starts with a new context.
    """

    def __init__(self, binding: Any) -> None:
        self._scard = binding
        self._context: int | None = None
        self._card: int | None = None
        self._protocol = 0
        self._plug_state = STATE_UNAWARE
        self._epoch = 0

    def readers(self) -> list[str]:
        """The names of the readers plugged in, in the service's order."""
        code, names = self._scard.SCardListReaders(self._open_context(), [])
        if code & 0xFFFFFFFF == codes.NO_READERS_AVAILABLE:
            return []
        self._check(code, "readers")
        return list(names)

    def readers_with_card(self, names: Sequence[str]) -> list[str]:
        """Those of `names` on which a card lies."""
        states = [(name, STATE_UNAWARE) for name in names]
        code, states = self._scard.SCardGetStatusChange(self._open_context(), 0, states)
        self._check(code, "readers")
        return [name for name, event, _ in states if event & STATE_PRESENT]

    def wait(self, name: str, known: Sighting | None, timeout_s: float) -> Sighting:
        """What is to be seen on the reader once it differs from `known`, or `known` after `timeout_s`.

        Without a `known` sighting of this epoch it answers at once. Raises `ReaderGone` when it is pulled out.
        """
        context = self._open_context()
        current = known.event if known is not None and known.epoch == self._epoch else STATE_UNAWARE
        code, states = self._scard.SCardGetStatusChange(
            context, round(timeout_s * 1000), [(name, current & ~STATE_CHANGED), self._plug_events()]
        )
        if code & 0xFFFFFFFF == codes.TIMEOUT:
            return Sighting(self._epoch, current)
        self._check(code, name)
        event = states[0][1]
        plugged = self._note_plug_event(states[1][1])
        if event & STATE_GONE or (plugged and name not in self.readers()):
            self._epoch += 1
            raise ReaderGone(f"{name}: the reader was unplugged")
        return Sighting(self._epoch, event)

    def wait_for_plug(self, timeout_s: float) -> None:
        """Return when a reader was plugged in or pulled out, or after `timeout_s`."""
        context = self._open_context()
        code, states = self._scard.SCardGetStatusChange(
            context, round(timeout_s * 1000), [self._plug_events()]
        )
        if code & 0xFFFFFFFF != codes.TIMEOUT:
            self._check(code, "readers")
            self._note_plug_event(states[0][1])

    def connect(self, name: str) -> None:
        """Take the card for ourselves alone. Raises `CardGone` for a card that left or does not wake up."""
        context = self._open_context()
        for attempt in range(CONNECT_ATTEMPTS):
            code, card, protocol = self._scard.SCardConnect(context, name, SHARE_EXCLUSIVE, PROTOCOL_T0_OR_T1)
            if code & 0xFFFFFFFF not in CONNECT_AGAIN or attempt == CONNECT_ATTEMPTS - 1:
                break
            time.sleep(CONNECT_PAUSE_S)
        self._check(code, name)
        self._card, self._protocol = card, protocol

    def transmit(self, command: bytes) -> bytes:
        """One exchange with the connected card. Raises `ProtocolError` for an answer no card may give.

        An empty answer is `CardGone`: it is how some drivers, vpcd among them, report success of an exchange in
        which the card was pulled; no card answers less than its status word.
        """
        assert self._card is not None, "connect comes first"
        code, answer = self._scard.SCardTransmit(self._card, self._protocol, list(command))
        if code & 0xFFFFFFFF == codes.INSUFFICIENT_BUFFER:
            raise ProtocolError("the card answered more than an APDU may hold")
        self._check(code, "card")  # before a look at the answer: after an error it holds stray memory
        if not answer:
            raise CardGone("the exchange ended without an answer")
        if len(answer) < 2:
            raise ProtocolError("the card answered one byte, no status word")
        if len(answer) > _max_response_bytes(command):
            raise ProtocolError(f"the card answered {len(answer)} bytes to a command of {len(command)}")
        return bytes(answer)

    def disconnect(self) -> None:
        """Reset the card and let it go. Harmless without one; never raises, for the card may be gone."""
        card, self._card = self._card, None
        if card is None:
            return
        code = self._scard.SCardDisconnect(card, RESET_CARD) & 0xFFFFFFFF
        if code != codes.SUCCESS and isinstance(codes.error_for(code, "card"), ServiceGone):
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
        self._epoch += 1
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
        if code == codes.SUCCESS:
            return
        error = codes.error_for(code, where)
        if isinstance(error, ServiceGone):
            self._drop_context()
        elif isinstance(error, ReaderGone):
            self._epoch += 1
        raise error


def _max_response_bytes(command: bytes) -> int:
    """An extended command (ISO 7816-4, 5.1: a zero where the length byte would be, and more) may be answered long."""
    extended = len(command) >= 7 and command[4] == 0
    return MAX_EXTENDED_RESPONSE_BYTES if extended else MAX_SHORT_RESPONSE_BYTES
