"""Stages 2 and 3 of a tap with a resident card: find the application, prove both sides, read the few files a decision
needs.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from msgspec import Struct

from cardproto.channel import CardChannel
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.channel import DesfireChannel
from cardproto.desfire.messaging import CommMode, Session
from cardproto.desfire.transaction_mac import TransactionMac
from cardproto.errors import FormatError, IntegrityError, ProtocolError, StatusError
from cardproto.resident.layout import (
    AID,
    DF_NAME,
    FILE_EVENTS,
    FILE_PURSE,
    FILE_RIGHTS,
    FILE_TRANSACTION_MAC,
    KeyNo,
)
from cardproto.resident.opening import NO_OWN_UID, has_transaction_mac, open_as
from cardproto.resident.records.event import EVENT_BYTES, Event, parse_event
from cardproto.resident.records.rights import RIGHTS_BYTES, parse_rights
from cardproto.resident.snapshot import CardSnapshot
from terminal.keys.provider import ValidationKeys
from terminal.media.port import UnsupportedCard


class CardSession(Struct):
    """An authenticated conversation and what it read: `read` are the rights and the newest event in their own bytes."""

    card: DesfireCard
    snapshot: CardSnapshot
    read: tuple[bytes, bytes]
    key_version: int
    """Which version of its keys the card has."""
    proof: bool = True
    """Whether the terminal asks for proofs."""

    @property
    def proving(self) -> bool:
        """Whether the card proves its transactions: every EV2 resident card does if asked, no EV1 card can."""
        return self.proof and isinstance(self.card.session, Session)

    def recent_records(self) -> list[bytes]:
        """Every event the card still keeps in its own bytes, newest first; only the newest has been understood."""
        data = self.card.read_records(FILE_EVENTS, 0, 0, CommMode.MAC, EVENT_BYTES)
        return [data[i : i + EVENT_BYTES] for i in range(0, len(data), EVENT_BYTES)][::-1]

    def recent_events(self) -> list[Event]:
        """The same understood (recovery only), up to the first that is not: what it was is unknown. A card that was
        repaired keeps the damage behind its newest event."""
        events: list[Event] = []
        for record in self.recent_records():
            try:
                events.append(parse_event(record))
            except FormatError:
                break
        return events

    def last_transaction_mac(self) -> TransactionMac | None:
        """TMC and TMV of the newest commit: the card's own statement of what it did last (recovery only).

        None from a card that cannot prove.
        """
        return self.card.read_transaction_mac(FILE_TRANSACTION_MAC, CommMode.MAC) if self.proving else None

    def purse_agrees(self) -> bool:
        """Whether the purse is what the newest event says: the second witness where there is no proof."""
        return self.proving or self.card.get_value(FILE_PURSE, CommMode.MAC) == self.snapshot.balance_minor


def select_resident(channel: CardChannel, *, by_name: bool = False) -> bool:
    """Ask natively for the resident application: one exchange. A card that says no in any way is of another kind.

    `by_name`: one that knows no native command is asked once more, by the application's DF name: of two applications on
    one chip some can be chosen by name only, and hear native commands then.

    The UID is asked of the reader first, before the card hears anything; the channel keeps it for `open_session`.
    Raises `CardError` for an answer that deserves another try.
    """
    with suppress(ProtocolError):  # no UID matters to a resident card only: `open_session` asks the card
        channel.read_uid()
    try:
        DesfireCard(DesfireChannel(channel)).select_application(AID)
    except StatusError as refusal:
        if refusal.passing:
            raise
        return by_name and refusal.sw in _KNOWS_NO_NATIVE and _by_name(channel)
    return True


_KNOWS_NO_NATIVE: Final = (0x6D00, 0x6E00)


def _by_name(channel: CardChannel) -> bool:
    try:
        DesfireCard(DesfireChannel(channel)).iso_select_name(DF_NAME)
    except StatusError:
        return False
    return True


def open_session(channel: CardChannel, keys: ValidationKeys, *, proof: bool = True) -> CardSession:
    """Authenticate in the selected application, read rights and newest event: 4 exchanges; 3 more for a random UID, and
    3 for one that the reader does not say.

    An EV1 card takes 3 more (docs/adr/0007-ev1-without-proof.md); a card whose keys are of the version before takes 2
    more while that is not known. Raises `UnsupportedCard` when the card is of another issuer, damaged or
    half-personalised, `CardError` for anything that deserves another try, and `KeyLimitReached`.
    """
    card = DesfireCard(DesfireChannel(channel))
    try:
        shown_uid = channel.uid or (_stated_uid(card) if channel.uid_refused else channel.read_uid())
        opened = open_as(card, shown_uid, KeyNo.VALIDATE, keys)
        keys.opened(opened)
        _refuse_detour(card)
        raw_rights = card.read_data(FILE_RIGHTS, 0, RIGHTS_BYTES, CommMode.MAC)
        rights = parse_rights(raw_rights)
        raw_event = card.read_records(FILE_EVENTS, 0, 1, CommMode.MAC, EVENT_BYTES)
        snapshot = CardSnapshot(opened.uid, rights, parse_event(raw_event))
    except StatusError as refusal:
        if refusal.passing:
            raise
        raise UnsupportedCard(str(refusal)) from refusal
    except FormatError as damage:
        raise UnsupportedCard(f"card content not understood: {damage}") from damage
    return CardSession(card, snapshot, (raw_rights, raw_event), opened.key_version, proof)


def _stated_uid(card: DesfireCard) -> bytes:
    """What the card says of itself in the open: as good as the reader's word, for its key proves it."""
    uid = card.get_version().uid
    return uid if any(uid) else NO_OWN_UID


def open_resident(channel: CardChannel, keys: ValidationKeys, *, proof: bool = True) -> CardSession:
    """Select and open, for commands that read resident cards only; raises as `open_session`."""
    if not select_resident(channel):
        raise UnsupportedCard("there is no resident application on it")
    return open_session(channel, keys, proof=proof)


def _refuse_detour(card: DesfireCard) -> None:
    """A card that has the transaction MAC knows EV2: an answer that denies it comes from a device in between."""
    if not isinstance(card.session, Session) and has_transaction_mac(card):
        raise IntegrityError("the card can prove its transactions, but its answer to EV2 denies it")
