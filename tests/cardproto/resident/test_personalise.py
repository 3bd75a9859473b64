from __future__ import annotations

from dataclasses import replace

import pytest

from cardproto.desfire.administration import CONFIGURE_CAPABILITIES
from cardproto.desfire.authentication import AesAuthentication
from cardproto.desfire.crypto import AesKey
from cardproto.desfire.messaging import CommMode
from cardproto.desfire.transaction_mac import tmi, transaction_mac_value
from cardproto.errors import StatusError
from cardproto.resident.layout import (
    AID,
    DOCUMENTS_BYTES,
    EVENTS_KEPT,
    FILE_CREDENTIAL,
    FILE_DOCUMENTS,
    FILE_EVENTS,
    FILE_PURSE,
    FILE_RIGHTS,
    FILE_TRANSACTION_MAC,
    KEY_VERSION,
    PASS_TAP,
    PURSE_LIMIT_MINOR,
    PURSE_TAP,
    SPARE_KEY_SETS,
    TRANSACTION_TIMER,
    ExchangeBudget,
    KeyNo,
)
from cardproto.resident.personalise import (
    PERSONALISATION_EXCHANGES,
    STEPS,
    CardContent,
    TimerState,
    personalise,
)
from cardproto.resident.records.event import EVENT_BYTES, Event, EventKind, PaidBy, build_event, parse_event
from cardproto.resident.records.rights import RIGHTS_BYTES, build_rights, parse_rights
from sim.card.virtual import VirtualCard
from tests.cardproto.cards import (
    CONTENT,
    ISSUED,
    KEYS,
    NEXT_MASTERS,
    PURSE_MINOR,
    REGION,
    RIGHTS,
    UID,
    authenticated,
    blank_card,
    numbers,
    resident_card,
    terminal_end,
)

MAC = CommMode.MAC
CARD_KEYS = list(KeyNo)


def test_a_personalised_card_holds_what_was_asked_for_and_proves_its_first_transaction() -> None:
    virtual = blank_card()
    issuing = terminal_end(virtual)
    credential = bytes(range(200))
    content = CardContent(RIGHTS, ISSUED, PURSE_MINOR, credential)
    proof = personalise(issuing, KEYS, content, numbers("desk")).proof
    assert proof is not None
    assert proof.counter == 1
    assert issuing.channel.exchanges == 58
    card = authenticated(virtual)
    assert parse_rights(card.read_data(FILE_RIGHTS, 0, RIGHTS_BYTES, MAC)) == RIGHTS
    assert parse_event(card.read_records(FILE_EVENTS, 0, 0, MAC, EVENT_BYTES)) == ISSUED
    assert card.get_value(FILE_PURSE, MAC) == PURSE_MINOR
    assert card.read_data(FILE_CREDENTIAL, 0, 256, CommMode.FULL) == credential.ljust(256, b"\0")
    assert card.read_transaction_mac(FILE_TRANSACTION_MAC, MAC) == proof


def test_a_card_without_money_or_credential() -> None:
    card = authenticated(resident_card(CardContent(RIGHTS, ISSUED._replace(balance_after_minor=0))))
    assert card.get_value(FILE_PURSE, MAC) == 0
    assert card.read_data(FILE_CREDENTIAL, 0, 4, CommMode.FULL) == bytes(4)


def test_the_documents_are_zero_and_their_issuer_s() -> None:
    card = authenticated(resident_card(), KeyNo.ENTITLE)
    assert card.read_data(FILE_DOCUMENTS, 0, 0, CommMode.FULL) == bytes(DOCUMENTS_BYTES)
    card.write_data(FILE_DOCUMENTS, 0, b"reference", CommMode.FULL)
    card.commit_transaction(return_mac=True)
    assert card.read_data(FILE_DOCUMENTS, 0, 9, CommMode.FULL) == b"reference"


# --- key sets and the transaction timer


def test_the_next_two_generations_lie_in_the_spare_key_sets() -> None:
    card = authenticated(resident_card(), KeyNo.APPLICATION)
    for number in KeyNo:
        versions = [card.get_key_version_in_set(number, key_set) for key_set in range(1 + SPARE_KEY_SETS)]
        assert versions == [1, 2, 3]


@pytest.mark.parametrize("key_set", [1, 2])
def test_a_roll_changes_every_key_of_the_application_at_once(key_set: int) -> None:
    virtual = resident_card()
    authenticated(virtual, KeyNo.ROLL).roll_key_set(key_set)
    for number in KeyNo:
        with pytest.raises(StatusError, match="authentication error"):
            authenticated(virtual, number)
        card = authenticated(virtual, number, KEYS.spare[key_set - 1])
        assert card.get_key_version(number) == 1 + key_set
    sets = card.get_key_settings().key_sets
    assert sets is not None
    assert sets.active_version == 1 + key_set
    card = authenticated(virtual, KeyNo.ROLL, KEYS.spare[key_set - 1])
    card.roll_key_set(key_set)
    assert authenticated(virtual).get_value(FILE_PURSE, MAC) == PURSE_MINOR


@pytest.mark.parametrize("number", [number for number in KeyNo if number is not KeyNo.ROLL])
def test_only_the_roll_key_rolls(number: KeyNo) -> None:
    card = authenticated(resident_card(), number)
    with pytest.raises(StatusError, match="authentication error"):
        card.roll_key_set(1)


def test_a_card_takes_as_many_generations_as_it_has_spare_sets() -> None:
    issuing = terminal_end(blank_card())
    with pytest.raises(ValueError, match="0 spare generations of keys; a card takes 2"):
        personalise(issuing, NEXT_MASTERS[0].for_card(UID, REGION), CONTENT, numbers())
    assert issuing.channel.exchanges == 0


class WithoutTimer(VirtualCard):
    """An EV3 that takes another form of SetConfiguration 05 than the one sent."""

    def transmit(self, command: bytes) -> bytes:
        if command[:2] == b"\x90\x5c" and command[5] == CONFIGURE_CAPABILITIES:
            command = command[:-2] + bytes((command[-2] ^ 1,)) + command[-1:]
        return super().transmit(command)


@pytest.mark.parametrize(
    ("kind", "generation", "timer", "kept"),
    [
        (VirtualCard, "EV1", TimerState.ABSENT, 0),
        (VirtualCard, "EV2", TimerState.ABSENT, 0),
        (VirtualCard, "EV3", TimerState.SET, TRANSACTION_TIMER),
        (WithoutTimer, "EV3", TimerState.REFUSED, 0),
    ],
)
def test_the_transaction_timer(
    kind: type[VirtualCard], generation: str, timer: TimerState, kept: int
) -> None:
    virtual = kind(UID, numbers(), generation=generation)
    virtual.power_on()
    issued = personalise(terminal_end(virtual, PERSONALISATION_EXCHANGES), KEYS, CONTENT, numbers("desk"))
    assert issued.timer is timer
    assert virtual.image()["transaction_timer"] == kept
    if generation != "EV1":
        assert authenticated(virtual).get_value(FILE_PURSE, MAC) == PURSE_MINOR


@pytest.mark.parametrize("number", CARD_KEYS)
def test_every_default_key_is_gone(number: KeyNo) -> None:
    card = authenticated(resident_card(), number)
    assert card.get_key_version(number) == KEY_VERSION
    card.select_application(AID)
    with pytest.raises(StatusError, match="authentication error"):
        card.authenticate_ev2_first(number, AesAuthentication(AesKey(bytes(16)), bytes(16)))


def test_the_cards_own_default_key_is_gone() -> None:
    card = terminal_end(resident_card())
    card.select_application(bytes(3))
    with pytest.raises(StatusError, match="authentication error"):
        card.authenticate_ev2_first(0, AesAuthentication(AesKey(bytes(16)), bytes(16)))
    card.authenticate_ev2_first(0, AesAuthentication(AesKey(KEYS.picc), bytes(16)))


@pytest.mark.parametrize("step", STEPS[:-1])
def test_a_half_personalised_card_is_never_taken_for_a_finished_one(step: str) -> None:
    virtual = blank_card()
    issued = personalise(terminal_end(virtual), KEYS, CONTENT, numbers("desk"), stop_after=step)
    assert issued.proof is None
    virtual.power_off()
    virtual.power_on()
    with pytest.raises(StatusError):
        authenticated(virtual).read_records(FILE_EVENTS, 0, 1, MAC, EVENT_BYTES)


def test_the_last_step_is_the_whole_card() -> None:
    virtual = blank_card()
    personalise(terminal_end(virtual), KEYS, CONTENT, numbers("desk"), stop_after=STEPS[-1])
    assert authenticated(virtual).get_value(FILE_PURSE, MAC) == PURSE_MINOR


def test_an_unknown_step_is_named_before_the_card_is_touched() -> None:
    issuing = terminal_end(blank_card())
    with pytest.raises(
        ValueError, match=r"'engrave'; there are application, timer, card_key, keys, key_sets, "
    ):
        personalise(issuing, KEYS, CONTENT, numbers(), stop_after="engrave")
    assert issuing.channel.exchanges == 0


def test_a_card_is_not_personalised_twice() -> None:
    with pytest.raises(StatusError, match="AuthenticateEV2First"):
        personalise(terminal_end(resident_card()), KEYS, CONTENT, numbers())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"purse_minor": -1}, "0 to 1500000"),
        ({"purse_minor": PURSE_LIMIT_MINOR + 1}, "0 to 1500000"),
        ({"purse_minor": 7}, "balance is not the purse"),
        ({"credential": bytes(240)}, "240 bytes"),
    ],
)
def test_content_a_card_cannot_hold(change: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(CONTENT, **change)


# --- what the card map promises about a card in use


def ride(sequence: int, **change: object) -> Event:
    event = Event(EventKind.RIDE, ISSUED.at, 100001, sequence, PURSE_MINOR, 0, paid_by=PaidBy.CONTRACT_A)
    return event._replace(**change)


@pytest.mark.parametrize(("debit_minor", "budget"), [(0, PASS_TAP), (3_000, PURSE_TAP)])
def test_a_tap_keeps_to_its_budget_and_is_proved(debit_minor: int, budget: ExchangeBudget) -> None:
    card = authenticated(resident_card())
    parse_rights(card.read_data(FILE_RIGHTS, 0, RIGHTS_BYTES, MAC))
    parse_event(card.read_records(FILE_EVENTS, 0, 1, MAC, EVENT_BYTES))
    if debit_minor:
        card.debit(FILE_PURSE, debit_minor, MAC)
    card.write_record(FILE_EVENTS, 0, build_event(ride(1)), MAC)
    commands = card.data_commands
    proof = card.commit_transaction(return_mac=True)
    assert proof is not None
    assert card.channel.exchanges == budget.exchanges
    assert card.channel.apdu_bytes <= budget.apdu_bytes
    tmk = AesKey(KEYS.transaction_mac)
    assert proof.value == transaction_mac_value(tmk, UID, proof.counter, tmi(commands))


def test_six_events_are_kept_newest_last() -> None:
    card = authenticated(resident_card())
    for sequence in range(1, 9):
        card.write_record(FILE_EVENTS, 0, build_event(ride(sequence)), MAC)
        card.commit_transaction(return_mac=False)
    raw = card.read_records(FILE_EVENTS, 0, 0, MAC, EVENT_BYTES)
    kept = [parse_event(raw[at : at + EVENT_BYTES]).sequence for at in range(0, len(raw), EVENT_BYTES)]
    assert kept == [3, 4, 5, 6, 7, 8]
    assert len(kept) == EVENTS_KEPT


def test_the_purse_ends_at_its_limits() -> None:
    card = authenticated(resident_card())
    with pytest.raises(StatusError, match="boundary"):
        card.debit(FILE_PURSE, PURSE_MINOR + 1, MAC)
    card = authenticated(resident_card(), KeyNo.RELOAD)
    with pytest.raises(StatusError, match="boundary"):
        card.credit(FILE_PURSE, PURSE_LIMIT_MINOR - PURSE_MINOR + 1, MAC)


ALLOWED = [
    (KeyNo.VALIDATE, lambda c: c.debit(FILE_PURSE, 1, MAC)),
    (KeyNo.VALIDATE, lambda c: c.read_data(FILE_CREDENTIAL, 0, 16, CommMode.FULL)),
    (KeyNo.VALIDATE, lambda c: c.read_transaction_mac(FILE_TRANSACTION_MAC, MAC)),
    (KeyNo.RELOAD, lambda c: c.credit(FILE_PURSE, 1, MAC)),
    (KeyNo.RELOAD, lambda c: c.write_record(FILE_EVENTS, 0, build_event(ride(1)), MAC)),
    (KeyNo.RELOAD, lambda c: c.read_records(FILE_EVENTS, 0, 1, MAC, EVENT_BYTES)),
    (KeyNo.RELOAD, lambda c: c.write_data(FILE_RIGHTS, 0, build_rights(RIGHTS), MAC)),
    (KeyNo.INSPECT, lambda c: c.read_data(FILE_RIGHTS, 0, RIGHTS_BYTES, MAC)),
    (KeyNo.INSPECT, lambda c: c.read_records(FILE_EVENTS, 0, 0, MAC, EVENT_BYTES)),
    (KeyNo.INSPECT, lambda c: c.read_data(FILE_DOCUMENTS, 0, 0, CommMode.FULL)),
    (KeyNo.IDENTIFY, lambda c: c.get_card_uid()),
    (KeyNo.ENTITLE, lambda c: c.read_data(FILE_RIGHTS, 0, RIGHTS_BYTES, MAC)),
    (KeyNo.ENTITLE, lambda c: c.write_data(FILE_RIGHTS, 0, build_rights(RIGHTS), MAC)),
    (KeyNo.ENTITLE, lambda c: c.write_data(FILE_CREDENTIAL, 0, b"grant", CommMode.FULL)),
    (KeyNo.ENTITLE, lambda c: c.write_record(FILE_EVENTS, 0, build_event(ride(1)), MAC)),
    (KeyNo.ENTITLE, lambda c: c.read_records(FILE_EVENTS, 0, 1, MAC, EVENT_BYTES)),
]
ANY_FILE = [
    lambda c: c.read_data(FILE_RIGHTS, 0, RIGHTS_BYTES, MAC),
    lambda c: c.read_records(FILE_EVENTS, 0, 1, MAC, EVENT_BYTES),
    lambda c: c.write_record(FILE_EVENTS, 0, build_event(ride(1)), MAC),
    lambda c: c.get_value(FILE_PURSE, MAC),
    lambda c: c.debit(FILE_PURSE, 1, MAC),
    lambda c: c.read_data(FILE_CREDENTIAL, 0, 16, CommMode.FULL),
    lambda c: c.read_transaction_mac(FILE_TRANSACTION_MAC, MAC),
]
FORBIDDEN = [
    (KeyNo.VALIDATE, lambda c: c.credit(FILE_PURSE, 1, MAC)),
    (KeyNo.VALIDATE, lambda c: c.write_data(FILE_RIGHTS, 0, build_rights(RIGHTS), MAC)),
    (KeyNo.VALIDATE, lambda c: c.write_data(FILE_CREDENTIAL, 0, b"forged", CommMode.FULL)),
    (KeyNo.VALIDATE, lambda c: c.delete_file(FILE_TRANSACTION_MAC)),
    (KeyNo.RELOAD, lambda c: c.clear_records(FILE_EVENTS)),
    (KeyNo.RELOAD, lambda c: c.update_record(FILE_EVENTS, 0, 0, b"x", MAC)),
    (KeyNo.RELOAD, lambda c: c.read_data(FILE_CREDENTIAL, 0, 16, CommMode.FULL)),
    (KeyNo.INSPECT, lambda c: c.write_record(FILE_EVENTS, 0, build_event(ride(1)), MAC)),
    (KeyNo.INSPECT, lambda c: c.debit(FILE_PURSE, 1, MAC)),
    (KeyNo.INSPECT, lambda c: c.get_value(FILE_PURSE, MAC)),
    (KeyNo.INSPECT, lambda c: c.read_data(FILE_CREDENTIAL, 0, 16, CommMode.FULL)),
    (KeyNo.ENTITLE, lambda c: c.credit(FILE_PURSE, 1, MAC)),
    (KeyNo.ENTITLE, lambda c: c.clear_records(FILE_EVENTS)),
    (KeyNo.APPLICATION, lambda c: c.credit(FILE_PURSE, 1, MAC)),
    *(
        (number, lambda c: c.read_data(FILE_DOCUMENTS, 0, 16, CommMode.FULL))
        for number in CARD_KEYS
        if number not in (KeyNo.INSPECT, KeyNo.ENTITLE)
    ),
    *(
        (number, lambda c: c.write_data(FILE_DOCUMENTS, 0, b"forged", CommMode.FULL))
        for number in CARD_KEYS
        if number is not KeyNo.ENTITLE
    ),
    *((number, action) for number in (KeyNo.IDENTIFY, KeyNo.ROLL) for action in ANY_FILE),
    *((number, lambda c: c.commit_reader_id(bytes(16))) for number in CARD_KEYS),
]


@pytest.mark.parametrize(("number", "action"), ALLOWED)
def test_allowed(number: KeyNo, action: object) -> None:
    card = authenticated(resident_card(), number)
    action(card)
    assert card.session is not None


@pytest.mark.parametrize(("number", "action"), FORBIDDEN)
def test_forbidden(number: KeyNo, action: object) -> None:
    card = authenticated(resident_card(), number)
    with pytest.raises(StatusError):
        action(card)
    assert card.session is None
