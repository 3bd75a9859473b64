"""What acceptance works with: the rig, the keys, the twin, the transcript, and conversations with the one card."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from cardproto.connection import CardConnection
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.channel import DesfireChannel
from cardproto.desfire.crypto import AesKey
from cardproto.desfire.messaging import CommMode
from cardproto.desfire.transaction_mac import DataCommand, TransactionMac, tmi, transaction_mac_value
from cardproto.errors import CardError, StatusError, TransmissionError
from cardproto.resident.features import CardFeature
from cardproto.resident.keyset import MasterKeys, ResidentKeys
from cardproto.resident.layout import AID, FILE_PURSE, KeyNo
from cardproto.resident.opening import begin_with, in_memory
from cardproto.resident.personalise import PERSONALISATION_EXCHANGES
from sim.air import VirtualClock
from terminal.errors import ReaderError
from terminal.lab.acceptance.assumptions import (
    FALLBACK,
    NEVER_TRIED,
    Assumption,
    AssumptionRow,
    CardFallback,
    CardVerdict,
)
from terminal.lab.acceptance.rig import Rig
from terminal.lab.acceptance.twin import LedTwin

CARD_WAIT_S: Final = 60.0
AGAIN: Final = (
    "Lay the same card on the reader and run the same command again, with --finish: "
    "it takes the card up and restores it."
)


class AcceptanceEnd(StrEnum):
    """How the stages came to their end. A card that answers wrongly ends one stage, and is a row of the report."""

    COMPLETE = "complete"
    LEFT = "left"
    """The card or its reader went away, or another card was laid on."""
    STOPPED = "stopped"
    """An operator ordered it to."""


class ListedCard(DesfireCard):
    """Keeps what its last commit was about."""

    committed: list[DataCommand]

    def commit_transaction(self, *, return_mac: bool) -> TransactionMac | None:
        self.committed = list(self.data_commands)
        return super().commit_transaction(return_mac=return_mac)


@dataclass(slots=True)
class AcceptanceBench:
    """One acceptance. `say` hears codes of what begins; `record` wraps each connection; `clock` is the taps' own."""

    rig: Rig
    masters: MasterKeys
    region: int
    clock: VirtualClock
    random: Callable[[int], bytes]
    say: Callable[[str], None]
    record: Callable[[CardConnection], CardConnection] = field(default=lambda connection: connection)
    uid: bytes = b""
    generation: str = ""
    twin: LedTwin | None = None
    rows: dict[Assumption, AssumptionRow] = field(default_factory=dict)
    wait_s: float = CARD_WAIT_S
    finish: bool = False
    """Take a card whose issue was interrupted, too: it may be another issuing point's."""
    without: frozenset[CardFeature] = frozenset()
    fare_minor: int = 0
    taken: bool = False
    """The card is one to work with: from here on it is restored, whatever comes."""
    stage: str = ""
    ended: AcceptanceEnd = AcceptanceEnd.COMPLETE
    cause: str = ""
    restored: bool = False
    not_restored: dict[str, int | str] = field(default_factory=dict)

    def begin(self, stage: str) -> None:
        self.stage = stage
        self.say(stage)

    @contextmanager
    def noting(self, assumption: Assumption) -> Iterator[None]:
        """What the card answers wrongly within is a failure of `assumption`. Raises `TransmissionError` as it comes."""
        try:
            yield
        except TransmissionError:
            raise
        except CardError as error:
            self.holds(assumption, False, **came(error))

    @property
    def keys(self) -> ResidentKeys:
        return self.masters.for_card(self.uid, self.region)

    @property
    def proving(self) -> bool:
        return self.generation != "EV1"

    def connect(self) -> CardConnection:
        """The card, fresh; raises `ReaderError` when it does not come back, or another one does."""
        self.rig.cut_power()
        connection = self.record(self.rig.connect(self.wait_s))
        if self.twin is not None:
            connection = self.twin.lead(connection)
        return connection

    def channel(self) -> DesfireChannel:
        channel = DesfireChannel(self.connect(), max_exchanges=3 * PERSONALISATION_EXCHANGES)
        shown = channel.read_uid()
        if self.uid and shown != self.uid:
            raise ReaderError("another card was laid on the reader", AGAIN)
        return channel

    def open(self, number: KeyNo) -> ListedCard:
        """The application under one of its keys, of whichever generation the card has."""
        card = ListedCard(self.channel())
        card.select_application(AID)
        generations = (self.keys, *self.keys.spare)
        begin_with(
            card,
            number,
            range(len(generations)),
            lambda at: in_memory(AesKey(generations[at].application_key(number)), self.random)(),
        )
        return card

    def purse_minor(self) -> int:
        return self.open(KeyNo.VALIDATE).get_value(FILE_PURSE, CommMode.MAC)

    def proven(self, card: ListedCard, proof: TransactionMac | None) -> bool:
        """Whether the card's proof is what its commands come to."""
        if proof is None:
            return False
        key = AesKey(self.keys.transaction_mac)
        return transaction_mac_value(key, self.uid, proof.counter, tmi(card.committed)) == proof.value

    def holds(
        self, assumption: Assumption, fine: bool, fallback: CardFallback | None = None, /, **saw: int | str
    ) -> None:
        """Note what the card said; a failure stays."""
        before = self.rows.get(assumption)
        if before is None or before.verdict is not CardVerdict.FAILS:
            self.rows[assumption] = AssumptionRow(
                assumption,
                CardVerdict.HOLDS if fine else CardVerdict.FAILS,
                fallback or FALLBACK[assumption],
                saw,
            )

    def all_rows(self) -> list[AssumptionRow]:
        """A row for every assumption, in the order of the table; EV1 cannot prove, and has a fallback of its own."""
        missing = (
            AssumptionRow(each, CardVerdict.NOT_TRIED, FALLBACK[each])
            for each in Assumption
            if each not in self.rows
        )
        found = {row.assumption: row for row in (*self.rows.values(), *missing)}
        return [found[each] for each in Assumption]


def usable(rows: list[AssumptionRow]) -> bool:
    """Whether a terminal can serve such cards: nothing failed that has no fallback, and nothing needed was left out."""
    needed = (Assumption.ISSUE, Assumption.TAP, Assumption.TEARS)
    for row in rows:
        if row.verdict is CardVerdict.FAILS and row.fallback is CardFallback.NONE:
            return False
        if row.assumption in needed and row.verdict is not CardVerdict.HOLDS:
            return False
    return not any(row.verdict is not CardVerdict.NOT_TRIED for row in rows if row.assumption in NEVER_TRIED)


def came(error: CardError) -> dict[str, int | str]:
    """What an answer was that could not be worked with."""
    if isinstance(error, StatusError):
        return {"command": error.command, "status": f"{error.sw:04X}"}
    return {"error": type(error).__name__}
