"""A reload desk for software cards: what a profile or an image needs changed, through the card's own commands.

K2 credits, and writes rights and the event that states the new balance; all of it in one transaction, as
`cardproto.resident.layout` allows. Laboratory keys only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from cardproto.channel import CardChannel
from cardproto.connection import CardConnection
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.crypto import AesKey
from cardproto.desfire.messaging import CommMode, Session
from cardproto.resident.keyset import ResidentKeys
from cardproto.resident.layout import AID, FILE_EVENTS, FILE_PURSE, FILE_RIGHTS, KeyNo
from cardproto.resident.opening import begin
from cardproto.resident.records.event import EVENT_BYTES, Event, EventKind, build_event, parse_event
from cardproto.resident.records.rights import RIGHTS_BYTES, Rights, build_rights, parse_rights

RELOAD_DESK = 0


@dataclass(frozen=True, slots=True)
class CardView:
    """What a desk reads."""

    rights: Rights
    event: Event
    purse_minor: int


class ReloadDesk:
    """One desk with the keys of one card. Every method is one conversation; raises `CardError`."""

    def __init__(self, connection: CardConnection, keys: ResidentKeys, rng: Callable[[int], bytes]) -> None:
        self._connection = connection
        self._keys = keys
        self._rng = rng

    def read(self) -> CardView:
        """Rights, newest event, and the purse (which only K1 may read)."""
        card = self._open(KeyNo.VALIDATE)
        return CardView(*self._files(card), card.get_value(FILE_PURSE, CommMode.MAC))

    def set_purse(self, purse_minor: int, at: datetime) -> None:
        """Credit or debit to `purse_minor`, and append the event that says so."""
        before = self.read()
        card = self._open(KeyNo.RELOAD)
        difference = purse_minor - before.purse_minor
        if difference > 0:
            card.credit(FILE_PURSE, difference, CommMode.MAC)
        elif difference < 0:
            card.debit(FILE_PURSE, -difference, CommMode.MAC)
        self._append(card, before.event, EventKind.RELOAD, at, abs(difference), purse_minor)
        _commit(card)

    def set_rights(self, change: Callable[[Rights], Rights], at: datetime) -> Rights:
        """Write changed rights with the next revision, and append the event that says so; returns them."""
        before = self.read()
        rights, event = before.rights, before.event
        card = self._open(KeyNo.RELOAD)
        changed = replace(change(rights), revision=(rights.revision + 1) & 0xFFFF)
        card.write_data(FILE_RIGHTS, 0, build_rights(changed), CommMode.MAC)
        self._append(card, event, EventKind.RIGHTS_CHANGE, at, 0, event.balance_after_minor)
        _commit(card)
        return changed

    def _open(self, key_no: KeyNo) -> DesfireCard:
        card = DesfireCard(CardChannel(self._connection))
        card.select_application(AID)
        begin(card, key_no, AesKey(self._keys.application_key(key_no)), self._rng)
        return card

    def _files(self, card: DesfireCard) -> tuple[Rights, Event]:
        rights = parse_rights(card.read_data(FILE_RIGHTS, 0, RIGHTS_BYTES, CommMode.MAC))
        return rights, parse_event(card.read_records(FILE_EVENTS, 0, 1, CommMode.MAC, EVENT_BYTES))

    def _append(
        self,
        card: DesfireCard,
        last: Event,
        kind: EventKind,
        at: datetime,
        amount_minor: int,
        balance_minor: int,
    ) -> None:
        """The running state goes on unchanged; only what this desk did is new."""
        event = replace(
            last,
            kind=kind,
            at=at.replace(microsecond=0),
            terminal=RELOAD_DESK,
            sequence=last.sequence + 1,
            amount_minor=amount_minor,
            balance_after_minor=balance_minor,
        )
        card.write_record(FILE_EVENTS, 0, build_event(event), CommMode.MAC)


def _commit(card: DesfireCard) -> None:
    """With the card's proof where it has one to give (not on EV1)."""
    card.commit_transaction(return_mac=isinstance(card.session, Session))
