"""What the card knows while it is powered: committed memory, and everything a power loss wipes.

    selected ──┬── session        who is authenticated (cardproto's Session; the card is its other end)
               ├── handshake      the first half of an authentication
               ├── chain          an unfinished multi-frame command or answer
               └── transaction    pending changes and the running transaction MAC input

Any refusal ends session, handshake, chain and transaction (reference section 5); a selection does too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cardproto.desfire.messaging import COUNTER_LIMIT, MAC_BYTES, CommMode, Session
from cardproto.desfire.status import Status
from sim.card.files import CardFile, TransactionMacFile
from sim.card.memory import PICC_AID, Application, Memory
from sim.card.refusal import Refusal
from sim.card.transaction import Transaction

RandomSource = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Identity:
    """What the chip was made as. `hardware` and `software` are the 7-byte parts of GetVersion."""

    uid: bytes
    hardware: bytes
    software: bytes
    batch: bytes
    week: int
    year: int


@dataclass(slots=True)
class Handshake:
    """An authentication whose first half is done; `continued` is the session a NonFirst carries on."""

    key_no: int
    rnd_b: bytes
    capabilities: bytes
    continued: Session | None


@dataclass(slots=True)
class PartialCommand:
    """A native-chained command of which `payload` has arrived so far, out of `total` bytes."""

    ins: int
    payload: bytes
    total: int


@dataclass(slots=True)
class Call:
    """One command on its way through the card: the gate fills `file` and `mode`, the channel `data`.

    `cuts` are the lengths of the first frames of an answer that is not simply cut every 59 bytes.
    """

    ins: int
    header: bytes
    mode: CommMode
    data: bytes = b""
    file: CardFile | None = None
    cuts: tuple[int, ...] = ()


@dataclass(slots=True)
class CardState:
    """The running card. Commands read and change it; only `VirtualCard` owns one."""

    identity: Identity
    rng: RandomSource
    memory: Memory
    selected: bytes = PICC_AID
    iso_file: int | None = None
    session: Session | None = None
    handshake: Handshake | None = None
    incoming: PartialCommand | None = None
    outgoing: list[bytes] = field(default_factory=list)
    transaction: Transaction = field(default_factory=Transaction)

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

    def fail(self) -> None:
        """What every refusal does: nobody is authenticated, nothing is pending."""
        self.session = None
        self.handshake = None
        self.incoming = None
        self.outgoing = []
        self.transaction = Transaction()

    def open(self, call: Call, body: bytes) -> bytes:
        """Verify and decrypt what follows the header; returns the plain command data.

        Plain commands count too. Length and integrity are refused before anything is executed.
        """
        session = self.session
        if session is None:
            return body
        if session.counter >= COUNTER_LIMIT:
            raise Refusal(Status.INTEGRITY_ERROR)
        if call.mode is not CommMode.PLAIN:
            body = self._verified(session, call, body)
        session.counter += 1
        return body

    def _verified(self, session: Session, call: Call, body: bytes) -> bytes:
        if len(body) < MAC_BYTES:
            raise Refusal(Status.LENGTH_ERROR)
        data, mac = body[:-MAC_BYTES], body[-MAC_BYTES:]
        if session.command_mac(call.ins, call.header, data) != mac:
            raise Refusal(Status.INTEGRITY_ERROR)
        if call.mode is CommMode.MAC:
            return data
        plain = session.decrypt_command(data)
        if plain is None:
            raise Refusal(Status.INTEGRITY_ERROR)
        return plain

    def seal(self, call: Call, answer: bytes) -> bytes:
        """Protect a successful answer; bare when the command itself ended the session (ChangeKey)."""
        session = self.session
        if session is None or call.mode is CommMode.PLAIN:
            return answer
        if call.mode is CommMode.FULL:
            answer = session.encrypt_response(answer)
        return answer + session.response_mac(answer)

    def require_master_key(self) -> None:
        """Refuse unless key 0 of the selected level is authenticated."""
        if self.session is None or self.session.key_no != 0:
            raise Refusal(Status.AUTHENTICATION_ERROR)

    def transaction_mac(self) -> TransactionMacFile | None:
        return self.application.transaction_mac
