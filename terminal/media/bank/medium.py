"""A bank card as a medium: found by its directory, proven offline, known by a keyed token. Nothing is written to it.

    select   the directory of its applications; one exchange, after the resident application's
    open     records, signature, cryptogram; from here on there is a token, and what is for the back office is sealed
    decide   `terminal.decision.bus.bank`
    commit   the ride and the sealed record, kept by the terminal

The number is known inside `open` alone: what leaves it is the token, the sealed record, and a verdict. A card that
leaves at any exchange has done nothing, and the next tap begins at its directory with another random number.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from cardproto.channel import CardChannel
from cardproto.emv import tags
from cardproto.emv.faults import NotRead, ReadFault
from cardproto.emv.keys import Trust
from cardproto.emv.opening import read_directory
from cardproto.emv.reading import BankReading, read_listed
from cardproto.emv.selection import Candidate
from cardproto.emv.transaction import BankTransaction
from cardproto.errors import FormatError
from cardproto.resident.records.event import Event, parse_event
from terminal.bank_record import account_identity, bank_record, card_identity, sealed_record
from terminal.clock import unix_ms
from terminal.decision.bank_row import BankRow, bank_row_of
from terminal.decision.bus.bank import NEVER_EXPIRES, BankSnapshot
from terminal.decision.decide import decide
from terminal.decision.outcome import Decision, Message
from terminal.keys.provider import BankToken
from terminal.media.bank import BANK
from terminal.media.bank.keeping import BankKeeper, tap_of
from terminal.media.held import HeldEvents
from terminal.media.port import LastTap, MediumSetup, Presented, UnsupportedCard
from terminal.messages import MediumMessage
from terminal.policy.policy import Policy
from terminal.sealed_box import SealedSeries
from terminal.trip.facts import Trip

READS: Final = MappingProxyType(
    {
        ReadFault.SEE_PHONE: Message.UNLOCK_PHONE,
        ReadFault.NUMBER_MISMATCH: Message.ONE_CARD,
        ReadFault.CARD_BLOCKED: Message.BLOCKED,
        ReadFault.APPLICATION_BLOCKED: Message.BLOCKED,
        **dict.fromkeys(
            (
                ReadFault.UNSUPPORTED,
                ReadFault.NO_RECORDS,
                ReadFault.MAGNETIC_STRIPE_ONLY,
                ReadFault.NO_BANK_APPLICATION,
            ),
            Message.UNKNOWN_CARD,
        ),
    }
)
"""What the holder of a card reads that gave no data; "not accepted" of any other."""


class BankTerms(Struct, frozen=True):
    """What cards are shown of this terminal, and which of their applications are taken."""

    applications: tuple[bytes, ...]
    country: int
    currency: int
    amount_minor: int


class BankTrust(Struct, frozen=True):
    """Whose cards are believed, and to whom their taps are sealed (raw X25519)."""

    trust: Trust
    office: bytes


class BankMedium:
    """Bank cards at terminal `number`. `believed` None: none can be taken, and each reads so."""

    name: Final = BANK
    messages: Final[tuple[MediumMessage, ...]] = ()

    def __init__(
        self, setup: MediumSetup, number: int, terms: BankTerms, believed: BankTrust | None, held: HeldEvents
    ) -> None:
        self._setup = setup
        self._number = number
        self._terms = terms
        self._believed = believed
        self._held = held
        self._sealing = None if believed is None else SealedSeries(believed.office)
        self._directory: tuple[Candidate, ...] | NotRead | None = None

    def believe(self, trust: Trust) -> None:
        """Let these CA keys alone count from the next tap on, where cards can be taken at all."""
        if self._believed is not None:
            self._believed = replace(self._believed, trust=trust)

    def select(self, channel: CardChannel) -> bool:
        self._directory = directory = read_directory(channel)
        return not (isinstance(directory, NotRead) and directory.fault is ReadFault.NO_BANK_APPLICATION)

    def open(self, channel: CardChannel, now: datetime) -> Presented:
        if self._believed is None or self._sealing is None:
            raise UnsupportedCard("a bank card, and none can be taken now", Message.BANK_CLOSED)
        reading = self._read(channel, now, self._believed.trust)
        if isinstance(reading, NotRead):
            message = READS.get(reading.fault, Message.NOT_ACCEPTED)
            raise UnsupportedCard(f"the bank application: {reading.fault}", message)
        return self._presented(reading, now, self._sealing)

    def open_second(self, channel: CardChannel, now: datetime) -> Presented:
        card = self.open(channel, now)
        assert isinstance(card.snapshot, BankSnapshot)
        row = bank_row_of(card.read)
        assert row is not None, "open has just made it"
        row = replace(row, second=True)
        assert isinstance(card.writer, BankKeeper)
        return replace(
            card,
            snapshot=replace(card.snapshot, second=True),
            read=row.parts,
            writer=card.writer.as_second(),
        )

    def decide(self, snapshot: BankSnapshot, policy: Policy, trip: Trip, now: datetime) -> Decision:
        return decide(snapshot, policy, trip, now)

    def _read(self, channel: CardChannel, now: datetime, trust: Trust) -> BankReading | NotRead:
        directory, self._directory = self._directory, None
        assert directory is not None, "open follows a selection"
        if isinstance(directory, NotRead):
            return directory
        terms, local = self._terms, now.astimezone(self._setup.zone)
        transaction = BankTransaction(local, terms.amount_minor, terms.currency, terms.country)
        return read_listed(channel, directory, terms.applications, transaction, trust, self._setup.random)

    def _presented(self, reading: BankReading, now: datetime, sealing: SealedSeries) -> Presented:
        card, accounts = self._tokens(reading)
        proven, opened = reading.authentication, reading.opened
        others = tuple(one.token for one in (*card[1:], *accounts))
        sealed = b""
        if proven.genuine:
            record = bank_record(self._number, unix_ms(now), card[0].token, reading)
            sealed = sealed_record(record, sealing)
        known, taken = self._held.known((one.token for one in card), now)
        event = b"" if known is None else known.event
        row = BankRow(
            expires_on=opened.expires_on,
            sequence=opened.sequence,
            method=proven.method,
            fault=proven.fault,
            epoch=card[0].epoch,
            account=accounts[0].token if accounts else b"",
            event=event,
        )
        kept = _parsed(event)
        snapshot = BankSnapshot(
            token=card[0].token,
            expires_on=opened.expires_on or NEVER_EXPIRES,
            authenticated=proven.genuine,
            others=others,
            event=kept,
        )
        return Presented(
            reference=card[0].token,
            snapshot=snapshot,
            last=None if kept is None else LastTap(tap_of(kept), kept.at),
            read=row.parts,
            taken=taken,
            writer=BankKeeper(self._held, card[0].token, kept, row, sealed),
        )

    def _tokens(self, reading: BankReading) -> tuple[Sequence[BankToken], Sequence[BankToken]]:
        """Of the card and of its account, each by epoch, the newest first."""
        opened = reading.opened
        card = self._setup.bank(card_identity(opened.pan.in_clear, opened.sequence))
        par = opened.data.get(tags.TAG_PAR)
        return card, () if par is None else self._setup.bank(account_identity(par))


def _parsed(event: bytes) -> Event | None:
    try:
        return parse_event(event) if event else None
    except FormatError:
        return None
