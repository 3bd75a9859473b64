"""A code that a resident's phone shows to a scanner: no card is there, and all else is a tap as any other.

What is no code of ours is answered and leaves no row, whatever is held before the scanner for however long. A code
counts once on this terminal: the counter of the last one is kept with the phone's state.

A code on paper counts where the document says so, and when staff saw whose it is (M-35): it waits for their word, and
is then served as if it were read once more. In a canteen they see by the class list who should stand there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from msgspec import Struct

from cardproto.credential.code import MAX_TEXT, PREFIX, CodeWindow, ShownCode, code_bytes, verify_code_bytes
from cardproto.credential.grant import Credential, RejectedCredential
from cardproto.credential.keys import IssuerKeys
from cardproto.credential.proof import ProofDefect, RejectedProof
from cardproto.errors import FormatError
from terminal.decision.outcome import Decision, Message
from terminal.decision.phone import CodeShown, PhoneSnapshot, decide_phone, printable
from terminal.media.held import HeldEvents
from terminal.media.phone.state import PhoneStates, not_believed
from terminal.media.port import MediumSetup, Presented, UnsupportedCard
from terminal.policy.policy import Policy
from terminal.trip.facts import Trip

TRUSTED: Final = CodeWindow()
IN_DOUBT: Final = CodeWindow(timedelta(minutes=2), timedelta(minutes=2))
"""For a terminal whose clock is in doubt: the day is right, the minute may not be."""


class OtherCode(StrEnum):
    """Codes of others that residents hold before a scanner."""

    PAYMENT = "payment"
    RAIL = "rail"
    HEALTH = "health"
    LINK = "link"
    UNKNOWN = "unknown"


_BEGINS: Final = (
    ("https://qr.nspk.ru/", OtherCode.PAYMENT),
    ("ST00012|", OtherCode.PAYMENT),
    ("#UT", OtherCode.RAIL),
    ("U1", OtherCode.RAIL),
    ("U2", OtherCode.RAIL),
    ("HC1:", OtherCode.HEALTH),
    ("http://", OtherCode.LINK),
    ("https://", OtherCode.LINK),
)
_DEFECTS: Final = MappingProxyType(
    {ProofDefect.TOO_OLD: Message.CODE_TOO_OLD, ProofDefect.AHEAD: Message.CODE_AHEAD}
)


_OF_OTHERS: Final = MappingProxyType(
    {
        OtherCode.PAYMENT: Message.CODE_OF_BANK,
        OtherCode.RAIL: Message.CODE_OF_RAIL,
        OtherCode.HEALTH: Message.CODE_OF_HEALTH,
        OtherCode.LINK: Message.CODE_IS_LINK,
        OtherCode.UNKNOWN: Message.CODE_OF_OTHERS,
    }
)
"""What its holder reads."""
WAITS: Final = timedelta(seconds=60)
"""Staff say whose a printed code is within a minute, or it is shown again."""


class WaitingCode(Struct, frozen=True):
    """A printed code that was read `at` and waits for staff. `key` names it in a form; `concessions` are those of it
    that count, `person` is whose it is where the profile knows people.
    """

    content: bytes
    concessions: tuple[int, ...]
    at: datetime
    person: bytes | None = None

    @property
    def key(self) -> str:
        return hashlib.sha256(self.content).hexdigest()[:16]


def other_code(text: str) -> OtherCode:
    """Whose code it is, as far as its first characters say."""
    return next((kind for begins, kind in _BEGINS if text.startswith(begins)), OtherCode.UNKNOWN)


class CodeTaker:
    """Codes of residents of one region. `issuers` are those whose credentials count."""

    def __init__(self, setup: MediumSetup, issuers: IssuerKeys, held: HeldEvents) -> None:
        self._issuers = issuers
        self._held = held
        self._states = PhoneStates(setup, held)
        self._setup = setup
        self._waiting: WaitingCode | None = None
        self._checked: WaitingCode | None = None
        self.serve: Callable[[bytes], None] = lambda _content: None
        """Lets a code be read once more, between two taps; from any thread."""

    def trust(self, issuers: IssuerKeys) -> None:
        """Others count from the next code on."""
        self._issuers = issuers

    def open(
        self, content: bytes, now: datetime, policy: Policy, *, clock_suspect: bool, inspecting: bool = False
    ) -> Presented:
        """Whose code it is, and what was kept of that phone. Raises `UnsupportedCard` with what its holder reads."""
        text = content.decode("latin-1")
        if not text.startswith(PREFIX) or len(text) > MAX_TEXT:
            other = other_code(text)
            raise UnsupportedCard(f"a code of others: {other}", _OF_OTHERS[other])
        try:
            data = code_bytes(text)
            shown = verify_code_bytes(data, self._issuers, now, IN_DOUBT if clock_suspect else TRUSTED)
        except FormatError as error:
            why = f"the code: {ProofDefect.MALFORMED}"
            raise UnsupportedCard(why, Message.CREDENTIAL_NOT_TRUSTED) from error
        match shown:
            case RejectedCredential():
                raise not_believed(shown)
            case RejectedProof():
                message = _DEFECTS.get(shown.reason, Message.CREDENTIAL_NOT_TRUSTED)
                raise UnsupportedCard(f"the code: {shown.reason}", message)
            case ShownCode(printed=False):
                return self._states.shown(shown, data, now)
        checked = not inspecting and self._seen(content, now, shown.credential, policy)
        return self._states.on_paper(shown.credential, data, now, checked=checked)

    def waiting(self, now: datetime) -> WaitingCode | None:
        """The printed code that waits for staff. Any thread."""
        one = self._waiting
        return one if one is not None and abs(now - one.at) <= WAITS else None

    def check(self, key: str, now: datetime) -> bool:
        """Staff saw whose the waiting code `key` is: it is served now. False where it waits no more. Any thread."""
        one = self.waiting(now)
        if one is None or one.key != key:
            return False
        self._waiting, self._checked = None, one
        self.serve(one.content)
        return True

    def _seen(self, content: bytes, now: datetime, credential: Credential, policy: Policy) -> bool:
        """True for the code that staff have spoken of, once. Others wait for it, and leave no row."""
        said, self._checked = self._checked, None
        if said is not None and said.content == content and abs(now - said.at) <= 2 * WAITS:
            return True
        concessions = printable(credential, policy)
        if not concessions:
            raise UnsupportedCard("a printed code", Message.CODE_PRINTED)
        person = self._setup.person(credential.pseudonym)
        self._waiting = WaitingCode(content, concessions, now, person)
        raise UnsupportedCard("a printed code: whose it is has to be seen", Message.CODE_CHECK)

    def spend(self, card: Presented, now: datetime) -> None:
        """Let the code that `open` read count no more, also where its tap had nothing to write: what let one in lets no
        picture of it in. Raises `JournalError`.
        """
        if isinstance(card.snapshot, PhoneSnapshot) and isinstance(card.snapshot.way, CodeShown):
            self._held.spend(card.reference, card.snapshot.way.counter, now)

    def decide(self, snapshot: Any, policy: Policy, trip: Trip, now: datetime) -> Decision:
        """As the phone itself does, of the snapshot that `open` made."""
        return decide_phone(snapshot, policy, trip, now)
