"""The port between a tap and what a person may present: one object with few verbs (docs/adr/0021-media-as-rooms.md).

A terminal has a list of media in order. The first whose `select` answers True opens what is on the reader; from then
on the tap (`terminal.tap`) works with the `Presented` value alone:

    select ──▶ open ──▶ Presented: reference, snapshot ──▶ decide ──▶ writer.planned, .commit     where it writes
                                                                      writer.became                next presentation

A medium that writes nothing has no `writer`. What raises here is about the card; a refusal is a value of `decide`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

from msgspec import Struct

from cardproto.channel import CardChannel
from cardproto.connection import CardConnection
from cardproto.errors import CardError, ExchangeTimeout
from terminal.clock import Clock
from terminal.decision.outcome import Decision, Message, WritePlan
from terminal.journal.journal import Pending
from terminal.journal.taps import TapId
from terminal.keys.provider import BankToken, KeyProvider, card_token, person_token
from terminal.messages import MediumMessage
from terminal.policy.policy import Policy
from terminal.trip.facts import Trip

PURPOSE: Final = {"bus": "transport", "canteen": "school"}
"""Under which purpose a profile knows cards and people (D-01)."""
KNOWS_PEOPLE: Final = frozenset({"canteen"})
"""Profiles whose rights and accounts are a person's, not a card's: their rows name both (ADR 28)."""

Randomness: TypeAlias = Callable[[int], bytes]
"""`n -> n` unpredictable bytes."""


class UnsupportedCard(Exception):
    """The card cannot be served by this terminal; `why` is one line for the operator, `message` what its holder reads:
    a `Message`, or one of the medium's own.
    """

    def __init__(self, why: str, message: str = Message.UNKNOWN_CARD) -> None:
        super().__init__(why)
        self.why = why
        self.message = message


class MediumFailed(Exception):
    """The code of the medium `medium` did something amiss, so the terminal cannot say anything of the card; `why` is
    one line for the operator.
    """

    def __init__(self, medium: str, why: str) -> None:
        super().__init__(f"{medium}: {why}")
        self.medium = medium
        self.why = why


class WriteDone(Struct, frozen=True):
    """The medium holds the write, verified. `counter` and `mac` are its proof; None and empty when it has none, or a
    later write has replaced it."""

    counter: int | None = None
    mac: bytes = b""


class WriteNotDone(Struct, frozen=True):
    """The medium does not and will not hold the write: it is as it was. `cause` is why, where that is known."""

    cause: CardError | None = None


class WriteUnknown(Struct, frozen=True):
    """The write was sent and no verified answer came: the medium may hold it or not, and only the medium can tell."""

    cause: CardError


WriteResult: TypeAlias = WriteDone | WriteNotDone | WriteUnknown


class LastTap(Struct, frozen=True):
    """The newest tap that the medium itself states, and when it was."""

    tap: TapId
    at: datetime


class PlannedWrite(Struct, frozen=True):
    """What the intent row keeps of a write before it can happen.

    `event` is what the medium will hold of this tap; `proof` lists (INS, header, plain data) of all commands its proof
    covers, those already executed and those to come. `key_version` is that of the medium's keys, 0 where it has none.
    """

    event: bytes
    proof: tuple[tuple[int, bytes, bytes], ...]
    paid_by: int
    balance_before_minor: int
    balance_after_minor: int
    key_version: int = 0


class MediumWriter(Protocol):
    """The writing side of one opened medium."""

    def planned(self, plan: WritePlan) -> PlannedWrite:
        """What `plan` will put on the medium; no exchange."""
        ...

    def commit(self, plan: WritePlan, intent: Pending) -> WriteResult:
        """Write `plan`, all or nothing. `intent.wait()` must have returned before anything on the medium can change.

        The medium that left, was torn away or answers wrongly is a result, never an exception. Raises `JournalError`
        when the intent could not be stored: nothing was written then.
        """
        ...

    def became(self, earlier: TapId, previous: TapId) -> WriteDone | WriteNotDone | None:
        """What became of the tap `earlier`, whose end is unknown; None when the medium cannot tell any more.

        `previous` is the newest tap the medium stated when `earlier` began. Raises `CardError`.
        """
        ...


class Presented(Struct, frozen=True):
    """A recognised and opened card, phone or code: what was read, and how it can be written.

    `reference` is the keyed token that stands for it in every record: for this card, not for its holder. `person`
    stands for the holder, the same on each of his cards; None where the profile needs no person or the medium knows
    none. `snapshot` is all that `Medium.decide` may know of it, immutable. None: it states no tap, has no purse, writes
    nothing. `read` is what `snapshot` was made of, in its own bytes, for the row of a tap that writes nothing to be
    decided again from; empty where that cannot be.
    """

    reference: bytes
    snapshot: object
    person: bytes | None = None
    last: LastTap | None = None
    balance_minor: int | None = None
    read: tuple[bytes, ...] = ()
    taken: tuple[tuple[int, int], ...] | None = None
    """When this terminal took something from it lately that is charged later (unix ms), and how much (T-43); None where
    the medium pays at once."""
    writer: MediumWriter | None = None

    @property
    def previous(self) -> TapId:
        """Terminal and number of the newest tap it states; zeros where it states none."""
        return (0, 0) if self.last is None else self.last.tap


class Medium(Protocol):
    """One kind of thing that a terminal takes."""

    @property
    def name(self) -> str:
        """In lower case, as terminal.toml lists it."""
        ...

    @property
    def messages(self) -> tuple[MediumMessage, ...]:
        """Messages of its own that its decisions use, each code beginning with `name` and a dot."""
        ...

    def select(self, channel: CardChannel) -> bool:
        """Whether it recognises the card, by its application; at most one exchange. Raises `CardError` for a card that
        deserves another try, never for one of another kind."""
        ...

    def open(self, channel: CardChannel, now: datetime) -> Presented:
        """Read what a decision needs from the card that `select` has just recognised.

        Raises `UnsupportedCard` when it is damaged or of another issuer (no other medium is asked then), `CardError`
        for anything that deserves another try, `KeyLimitReached` at a ceiling of the key provider.
        """
        ...

    def decide(self, snapshot: Any, policy: Policy, trip: Trip, now: datetime) -> Decision:
        """What the tap means, from `Presented.snapshot` and the arguments alone: same input, same decision. A refusal
        is an outcome; nothing raises for what a card holds."""
        ...


@runtime_checkable
class SecondMedium(Protocol):
    """A medium that may stand on one card beside another, and pays what that cannot (K-02)."""

    def select(self, channel: CardChannel) -> bool:
        """As `Medium.select`."""
        ...

    def open_second(self, channel: CardChannel, now: datetime) -> Presented:
        """As `Medium.open`; the application asked before leaves the ride to this one."""
        ...

    def decide(self, snapshot: Any, policy: Policy, trip: Trip, now: datetime) -> Decision:
        """As `Medium.decide`."""
        ...


class MediumSetup(Struct, frozen=True):
    """What a terminal lends the media it is made with."""

    profile: str
    region: int
    keys: KeyProvider
    random: Randomness
    zone: tzinfo = UTC

    def reference(self, identity: bytes) -> bytes:
        """The keyed token of `identity` for this terminal's purpose (D-01).

        Another medium than the resident card begins `identity` with its own name, so that two never meet. Raises
        `KeyLimitReached`.
        """
        return self.keys.token(PURPOSE[self.profile], identity)

    def card(self, uid: bytes) -> bytes:
        """The reference of the resident card with this UID. Raises `KeyLimitReached`."""
        return card_token(self.keys, PURPOSE[self.profile], uid)

    def bank(self, identity: bytes) -> Sequence[BankToken]:
        """What stands for a bank card or an account, by live epoch, the newest first. Raises `KeyLimitReached`."""
        return self.keys.bank_tokens(identity)

    def person(self, pseudonym: bytes) -> bytes | None:
        """What stands for a resident; None where the profile knows cards only. Raises `KeyLimitReached`."""
        if self.profile not in KNOWS_PEOPLE:
            return None
        return person_token(self.keys, PURPOSE[self.profile], pseudonym)


# The limits of one tap

MAX_EXCHANGES: Final = 48
MAX_BYTES: Final = 4096
"""Room for one tap (7 to 14 exchanges), its recovery and a retry; an endless card runs into these."""
TAP_DEADLINE_S: Final = 3.0
"""From the first exchange to the last, recovery included. A sound tap takes about a tenth of it."""


class GuardedConnection:
    """Refuses to start an exchange after the deadline, and reports one that ended after it as a time-out.

    An exchange that never ends is the reader port's business: only it can give up on the hardware.
    """

    def __init__(self, connection: CardConnection, clock: Clock, deadline_s: float = TAP_DEADLINE_S) -> None:
        self._connection = connection
        self._clock = clock
        self._deadline = clock.monotonic() + deadline_s

    def transmit(self, command: bytes) -> bytes:
        self._check()
        answer = self._connection.transmit(command)
        self._check()
        return answer

    def _check(self) -> None:
        if self._clock.monotonic() > self._deadline:
            raise ExchangeTimeout("the card took longer than a tap may take")


def open_channel(connection: CardConnection, clock: Clock | None = None) -> CardChannel:
    """A channel that holds one tap's exchanges and bytes within limits, and with a clock its time."""
    guarded = connection if clock is None else GuardedConnection(connection, clock)
    return CardChannel(guarded, max_exchanges=MAX_EXCHANGES, max_bytes=MAX_BYTES)
