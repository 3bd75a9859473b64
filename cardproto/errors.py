"""Every way a conversation with a card can fail, as one tree.

    CardError
    ├── TransmissionError      the exchange did not complete; whether the card executed it is unknown
    │   ├── CardGone           the card left the field or was reset from outside
    │   ├── ReaderGone         the reader was unplugged or failed
    │   │   └── ReaderTaken    another program has its card for itself alone
    │   ├── ServiceGone        the operating system's PC/SC service stopped
    │   └── ExchangeTimeout    the tap's deadline passed while the card was silent
    ├── StatusError            the card answered with a status word that refuses the command
    ├── ProtocolError          the card answered something the protocol does not allow
    │   ├── IntegrityError     a MAC, padding or authentication token does not verify
    │   └── LimitExceeded      more exchanges or bytes than a tap may take
    ├── FormatError            stored bytes that do not follow the card layout
    └── NotAuthenticated       a protected command was asked for without a session; nothing was sent

A refusal of a passenger is never an exception; see `terminal.decision`.
"""

from __future__ import annotations

from typing import Final


class CardError(Exception):
    """Anything that stops a conversation with a card."""


class TransmissionError(CardError):
    """The exchange did not complete: whether the card executed the command is *unknown*."""


class CardGone(TransmissionError):
    """The card left the field, was pulled, or was reset."""


class ReaderGone(TransmissionError):
    """The reader itself is gone."""


class ReaderTaken(ReaderGone):
    """Another program has the card on it for itself alone. `turned_away`: it is a card that was not refused before."""

    turned_away: bool = False


class ServiceGone(TransmissionError):
    """The PC/SC service is not there; establish a new context when it is back."""


class ExchangeTimeout(TransmissionError):
    """The card stayed silent past the deadline."""


_PASSING: Final = frozenset({0x910B, 0x911E, 0x91AD, 0x91CA, 0x91EE})
"""Command forbidden just now, checksum wrong, authentication delayed, command aborted, memory not written."""
_NO_ANSWER: Final = 0x64
"""ISO 7816-4: not executed, nothing has changed; 6401 is what readers say for a card that did not answer them."""


class StatusError(CardError):
    """The card refused a command.

    `command` names it ("ReadData"), `sw` is the status word (0x91AE), `meaning` its name in the reference.
    """

    def __init__(self, command: str, sw: int, meaning: str) -> None:
        super().__init__(f"{command}: card answered {sw:04X} ({meaning})")
        self.command = command
        self.sw = sw
        self.meaning = meaning

    @property
    def passing(self) -> bool:
        """Whether the same command may succeed at the next try: it says nothing of what the card is or holds."""
        return self.sw in _PASSING or self.sw >> 8 == _NO_ANSWER


class ProtocolError(CardError):
    """The card answered something no card of this kind may answer."""


class IntegrityError(ProtocolError):
    """A MAC, a padding or an authentication token from the card does not verify."""


class LimitExceeded(ProtocolError):
    """The conversation used up its exchanges or bytes: a broken or hostile card."""


class FormatError(CardError):
    """Stored bytes that do not follow the card layout.

    `where` names the file or record, `offset` the byte (or None when the whole is wrong).
    """

    def __init__(self, where: str, problem: str, offset: int | None = None) -> None:
        at = "" if offset is None else f" at byte {offset}"
        super().__init__(f"{where}{at}: {problem}")
        self.where = where
        self.offset = offset
        self.problem = problem


class NotAuthenticated(CardError):
    """A protected command without a session (an earlier error ended it, too); nothing was sent."""
