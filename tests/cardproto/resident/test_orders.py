"""What the key for card orders opens: a credit and an event beside a fare, in one proved transaction, nothing else."""

from __future__ import annotations

import pytest

from cardproto.desfire.authentication import AesAuthentication
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.commands import INS_CREDIT, INS_DEBIT
from cardproto.desfire.crypto import AesKey
from cardproto.desfire.messaging import CommMode
from cardproto.desfire.transaction_mac import tmi, transaction_mac_value
from cardproto.errors import StatusError
from cardproto.resident.layout import (
    CREDENTIAL_BYTES,
    DOCUMENTS_BYTES,
    FILE_CREDENTIAL,
    FILE_DOCUMENTS,
    FILE_EVENTS,
    FILE_PURSE,
    FILE_RIGHTS,
    PURSE_LIMIT_MINOR,
    KeyNo,
)
from cardproto.resident.records.event import EVENT_BYTES, Event, EventKind, PaidBy, build_event, parse_event
from cardproto.resident.records.rights import RIGHTS_BYTES, build_rights
from tests.cardproto.cards import (
    ISSUED,
    KEYS,
    PURSE_MINOR,
    RIGHTS,
    UID,
    authenticated,
    numbers,
    resident_card,
)

MAC, FULL = CommMode.MAC, CommMode.FULL
FARE_MINOR, CREDIT_MINOR = 3_000, 40_000
RIDE = Event(
    EventKind.RIDE,
    ISSUED.at,
    terminal=70001,
    sequence=5,
    balance_after_minor=PURSE_MINOR - FARE_MINOR + CREDIT_MINOR,
    amount_minor=FARE_MINOR,
    paid_by=PaidBy.PURSE,
    last_order=12,
)


def go_on_as(card: DesfireCard, number: KeyNo) -> None:
    key = AesKey(KEYS.application_key(number))
    card.authenticate_ev2_non_first(number, AesAuthentication(key, numbers("order")(16)))


def test_fare_and_credit_share_one_proved_transaction_begun_by_the_validate_key() -> None:
    card = authenticated(resident_card())
    card.read_data(FILE_RIGHTS, 0, RIGHTS_BYTES, MAC)
    card.read_records(FILE_EVENTS, 0, 1, MAC, EVENT_BYTES)
    card.debit(FILE_PURSE, FARE_MINOR, MAC)
    before = card.channel.exchanges
    go_on_as(card, KeyNo.ORDER)
    card.credit(FILE_PURSE, CREDIT_MINOR, MAC)
    assert card.channel.exchanges - before == 3, "what an order costs more"
    card.write_record(FILE_EVENTS, 0, build_event(RIDE), MAC)
    commands = card.data_commands
    proof = card.commit_transaction(return_mac=True)
    assert proof is not None
    tmk = AesKey(KEYS.transaction_mac)
    assert proof.value == transaction_mac_value(tmk, UID, proof.counter, tmi(commands))
    moved = [command.ins for command in commands if command.ins in (INS_DEBIT, INS_CREDIT)]
    assert moved == [INS_DEBIT, INS_CREDIT], "the proof names both sums"
    go_on_as(card, KeyNo.VALIDATE)
    assert card.get_value(FILE_PURSE, MAC) == RIDE.balance_after_minor
    assert parse_event(card.read_records(FILE_EVENTS, 0, 1, MAC, EVENT_BYTES)) == RIDE


def test_without_a_commit_neither_fare_nor_credit_is_there() -> None:
    virtual = resident_card()
    card = authenticated(virtual)
    card.debit(FILE_PURSE, FARE_MINOR, MAC)
    go_on_as(card, KeyNo.ORDER)
    card.credit(FILE_PURSE, CREDIT_MINOR, MAC)
    card.write_record(FILE_EVENTS, 0, build_event(RIDE), MAC)
    virtual.power_on()
    assert authenticated(virtual).get_value(FILE_PURSE, MAC) == PURSE_MINOR


def test_an_order_alone_needs_no_other_key() -> None:
    card = authenticated(resident_card(), KeyNo.ORDER)
    card.debit(FILE_PURSE, 1_000, MAC)
    alone = RIDE._replace(kind=EventKind.ORDER, amount_minor=1_000, balance_after_minor=PURSE_MINOR - 1_000)
    card.write_record(FILE_EVENTS, 0, build_event(alone), MAC)
    assert card.commit_transaction(return_mac=True) is not None
    assert card.get_value(FILE_PURSE, MAC) == PURSE_MINOR - 1_000


NEVER_BY_AN_ORDER = [
    lambda c: c.write_data(FILE_RIGHTS, 0, build_rights(RIGHTS), MAC),
    lambda c: c.read_data(FILE_RIGHTS, 0, RIGHTS_BYTES, MAC),
    lambda c: c.write_data(FILE_CREDENTIAL, 0, bytes(CREDENTIAL_BYTES), FULL),
    lambda c: c.read_data(FILE_CREDENTIAL, 0, 16, FULL),
    lambda c: c.write_data(FILE_DOCUMENTS, 0, bytes(DOCUMENTS_BYTES), FULL),
    lambda c: c.read_data(FILE_DOCUMENTS, 0, 16, FULL),
    lambda c: c.read_records(FILE_EVENTS, 0, 1, MAC, EVENT_BYTES),
    lambda c: c.clear_records(FILE_EVENTS),
    lambda c: c.update_record(FILE_EVENTS, 0, 0, b"x", MAC),
    lambda c: c.credit(FILE_PURSE, PURSE_LIMIT_MINOR, MAC),
    lambda c: c.roll_key_set(1),
    lambda c: c.change_key(KeyNo.ENTITLE, bytes(16), 1, KEYS.entitle),
]


@pytest.mark.parametrize("first", [KeyNo.ORDER, KeyNo.VALIDATE])
@pytest.mark.parametrize("action", NEVER_BY_AN_ORDER)
def test_the_order_key_opens_nothing_else(action: object, first: KeyNo) -> None:
    """Alone, and after the validate key in one conversation: a session has the rights of its newest key only."""
    virtual = resident_card()
    before = virtual.image()
    card = authenticated(virtual, first)
    if first is not KeyNo.ORDER:
        go_on_as(card, KeyNo.ORDER)
    with pytest.raises(StatusError):
        action(card)
    assert card.session is None
    assert virtual.image() == before
