"""Stages 2 and 3 of a tap: find an application we know, prove both sides, read the few files a decision needs.

The connection has a deadline: a slow or silent card must not hold the validator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cardproto.connection import CardConnection
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.channel import DesfireChannel
from cardproto.desfire.messaging import CommMode, Session
from cardproto.desfire.transaction_mac import TransactionMac
from cardproto.errors import ExchangeTimeout, FormatError, IntegrityError, StatusError
from cardproto.resident.keyset import IDENTIFY_MASTER, diversifier, identify_diversifier
from cardproto.resident.layout import AID, FILE_EVENTS, FILE_PURSE, FILE_RIGHTS, FILE_TRANSACTION_MAC, KeyNo
from cardproto.resident.opening import has_transaction_mac, open_as
from cardproto.resident.records.event import EVENT_BYTES, Event, parse_event
from cardproto.resident.records.rights import RIGHTS_BYTES, parse_rights
from cardproto.resident.snapshot import CardSnapshot
from terminal.clock import Clock
from terminal.keys.provider import KeyProvider

MAX_EXCHANGES: Final = 48
MAX_BYTES: Final = 4096
"""Room for one tap (7 to 14 exchanges), its recovery and a retry; an endless card runs into these."""

Randomness = Callable[[int], bytes]
"""`n -> n` unpredictable bytes."""


class NotOurs(Exception):
    """The card holds nothing this terminal serves; `why` is one line for the operator."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(slots=True)
class CardSession:
    """An authenticated conversation and what it read."""

    card: DesfireCard
    snapshot: CardSnapshot

    @property
    def proving(self) -> bool:
        """Whether the card proves its transactions: every EV2 resident card does, no EV1 card can."""
        return isinstance(self.card.session, Session)

    def recent_events(self) -> list[Event]:
        """Every event the card still keeps, newest first (recovery only)."""
        data = self.card.read_records(FILE_EVENTS, 0, 0, CommMode.MAC, EVENT_BYTES)
        records = [data[i : i + EVENT_BYTES] for i in range(0, len(data), EVENT_BYTES)]
        return [parse_event(record) for record in reversed(records)]

    def last_transaction_mac(self) -> TransactionMac | None:
        """TMC and TMV of the newest commit: the card's own statement of what it did last (recovery only).

        None from a card that cannot prove.
        """
        return self.card.read_transaction_mac(FILE_TRANSACTION_MAC, CommMode.MAC) if self.proving else None

    def purse_agrees(self) -> bool:
        """Whether the purse is what the newest event says: the second witness where there is no proof."""
        return self.proving or self.card.get_value(FILE_PURSE, CommMode.MAC) == self.snapshot.balance_minor


def open_channel(connection: CardConnection) -> DesfireChannel:
    """A channel that holds one tap's exchanges and bytes within limits."""
    return DesfireChannel(connection, max_exchanges=MAX_EXCHANGES, max_bytes=MAX_BYTES)


def open_session(channel: DesfireChannel, keys: KeyProvider, region: int, random: Randomness) -> CardSession:
    """Select, authenticate, read rights and newest event: 5 exchanges, about 270 bytes; 3 more for a random UID.

    An EV1 card takes 8 (docs/adr/0007-ev1-without-proof.md). Raises `NotOurs` when the card is somebody else's,
    damaged or half-personalised, and `CardError` for anything that deserves another try. The terminal asks for its
    own application and never judges a card by its ATR.
    """
    shown_uid = channel.read_uid()
    card = DesfireCard(channel)
    try:
        card.select_application(AID)
        uid = open_as(
            card,
            shown_uid,
            KeyNo.VALIDATE,
            lambda uid: keys.derive("validate", diversifier(uid, region)),
            lambda: keys.derive(IDENTIFY_MASTER, identify_diversifier(region)),
            random,
        )
        _refuse_detour(card)
        rights = parse_rights(card.read_data(FILE_RIGHTS, 0, RIGHTS_BYTES, CommMode.MAC))
        event = parse_event(card.read_records(FILE_EVENTS, 0, 1, CommMode.MAC, EVENT_BYTES))
    except StatusError as refusal:
        raise NotOurs(str(refusal)) from refusal
    except FormatError as damage:
        raise NotOurs(f"card content not understood: {damage}") from damage
    return CardSession(card, CardSnapshot(uid, rights, event))


def _refuse_detour(card: DesfireCard) -> None:
    """A card that has the transaction MAC knows EV2: whoever said it does not stands in between."""
    if not isinstance(card.session, Session) and has_transaction_mac(card):
        raise IntegrityError("the card can prove its transactions, but somebody says it cannot")


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
