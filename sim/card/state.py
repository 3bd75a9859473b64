"""What the card knows while it is powered: committed memory, and everything a power loss wipes.

    selected ──┬── session        who is authenticated (cardproto's; the card is its other end: sim.card.messaging)
               ├── handshake      the first half of an authentication
               ├── chain          an unfinished multi-frame command or answer
               └── transaction    pending changes and the running transaction MAC input

Any refusal ends session, handshake, chain and transaction (datasheet 9), only a D40 session stays; a
selection ends them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cardproto.desfire.legacy_messaging import D40Session
from cardproto.desfire.status import Status
from sim.card.call import Call
from sim.card.deviation import NO_DEVIATIONS, ChipDeviation
from sim.card.files import TransactionMacFile
from sim.card.generation import Generation
from sim.card.memory import PICC_AID, Application, Memory
from sim.card.messaging import AnySession, opened, sealed
from sim.card.refusal import DesfireRefusal
from sim.card.transaction import Transaction


@dataclass(slots=True)
class PreparedProximityCheck:
    """A proximity check that has been prepared: the card's challenge, and both sides' bytes, round by round."""

    own: bytes
    rounds: bytes = b""
    done: int = 0


RandomSource = Callable[[int], bytes]
Handshake = Callable[["CardState", bytes], bytes]
"""The second half of an authentication: takes the terminal's token, opens the session, returns the proof."""


@dataclass(frozen=True, slots=True)
class ChipIdentity:
    """What the chip was made as."""

    uid: bytes
    generation: Generation
    batch: bytes
    week: int
    year: int


@dataclass(slots=True)
class PartialCommand:
    """A native-chained command of which `payload` has arrived so far, out of `total` bytes."""

    ins: int
    payload: bytes
    total: int


@dataclass(slots=True)
class CardState:
    """The running card. Commands read and change it; only `VirtualCard` owns one."""

    identity: ChipIdentity
    rng: RandomSource
    memory: Memory
    selected: bytes = PICC_AID
    iso_file: int | None = None
    session: AnySession | None = None
    handshake: Handshake | None = None
    incoming: PartialCommand | None = None
    outgoing: list[bytes] = field(default_factory=list)
    transaction: Transaction = field(default_factory=Transaction)
    proximity: PreparedProximityCheck | None = None
    deviations: frozenset[ChipDeviation] = NO_DEVIATIONS

    @property
    def application(self) -> Application:
        """The selected application; the PICC level is one, with AID 000000."""
        return self.memory.applications[self.selected]

    @application.setter
    def application(self, changed: Application) -> None:
        self.memory = self.memory.with_application(changed)

    def select(self, aid: bytes) -> None:
        """Make `aid` current; a selection of the same application resets everything as well."""
        self.selected = aid
        self.iso_file = None
        self.fail()

    def refuse(self, status: Status) -> None:
        """What every refusal does, except that a D40 authentication outlives those that are no forgery.

        The transaction ends all the same. (Field tools tested against real cards count on it.)
        """
        session = self.session
        self.fail()
        if isinstance(session, D40Session) and status is not Status.INTEGRITY_ERROR:
            self.session = session

    def fail(self) -> None:
        """No session, nothing pending."""
        self.session = None
        self.handshake = None
        self.incoming = None
        self.outgoing = []
        self.transaction = Transaction()
        self.proximity = None

    def open(self, call: Call, body: bytes) -> bytes:
        """Verify and decipher what follows the header; returns the plain command data."""
        return body if self.session is None else opened(self.session, call, body)

    def seal(self, call: Call, answer: bytes) -> bytes:
        """Protect a successful answer; bare when the command itself ended the session (ChangeKey)."""
        return answer if self.session is None else sealed(self.session, call, answer)

    def require_master_key(self) -> None:
        """Refuse unless key 0 of the selected level is authenticated."""
        if self.session is None or self.session.key_no != 0:
            raise DesfireRefusal(Status.AUTHENTICATION_ERROR)

    def transaction_mac(self) -> TransactionMacFile | None:
        return self.application.transaction_mac
