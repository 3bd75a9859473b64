"""The terminal side and the software card, end to end: two implementations of one reference meet on the wire."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardproto.desfire.application import PICC_AES_KEY, PICC_AID, KeySettings
from cardproto.desfire.authentication import AesAuthentication
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.creation import SettingsChange
from cardproto.desfire.crypto import AesKey
from cardproto.desfire.files import (
    FREE,
    NEVER,
    AccessRights,
    DataFileSettings,
    FileSettings,
    FileType,
    RecordFileSettings,
    TransactionMacSettings,
    ValueFileSettings,
)
from cardproto.desfire.messaging import CommMode
from cardproto.desfire.transaction_mac import decrypt_reader_id, session_tm_keys, tmi, transaction_mac_value
from cardproto.errors import CardGone, IntegrityError, ProtocolError, StatusError
from sim.card.virtual import VirtualCard
from tests.cardproto.cards import UID, blank_card, numbers, terminal_end
from tests.cardproto.scripted import TamperingConnection
from tests.properties import examples

ZERO = bytes(16)
TMK = bytes(range(16))
APPLICATION = bytes.fromhex("A1B2C3")
ALL_BY_KEY_1 = AccessRights(1, 1, 1, 0)
STANDARD, BACKUP, VALUE, LINEAR, CYCLIC, PROOF = range(1, 7)
RECORD = 20


def begin(card: DesfireCard, number: int = 1, key: bytes = ZERO) -> DesfireCard:
    card.select_application(APPLICATION)
    card.authenticate_ev2_first(number, AesAuthentication(AesKey(key), numbers("terminal")(16)))
    return card


def workshop(mode: CommMode, *, proof: bool = True, commit_reader: int = NEVER) -> VirtualCard:
    """A card with one file of every kind in one mode, all opened by key 1."""
    virtual = blank_card()
    card = terminal_end(virtual)
    card.select_application(PICC_AID)
    card.authenticate_ev2_first(0, AesAuthentication(AesKey(ZERO), ZERO))
    card.create_application(APPLICATION, KeySettings(3, free_listing=True))
    begin(card, 0)
    card.create_standard_file(STANDARD, DataFileSettings(FileType.STANDARD, mode, ALL_BY_KEY_1, 600))
    card.create_backup_file(BACKUP, DataFileSettings(FileType.BACKUP, mode, ALL_BY_KEY_1, 600))
    card.create_value_file(VALUE, ValueFileSettings(mode, ALL_BY_KEY_1, -10, 1000, 100, limited_credit=True))
    card.create_linear_file(LINEAR, RecordFileSettings(FileType.LINEAR, mode, ALL_BY_KEY_1, RECORD, 3))
    card.create_cyclic_file(CYCLIC, RecordFileSettings(FileType.CYCLIC, mode, ALL_BY_KEY_1, RECORD, 4))
    if proof:
        rights = AccessRights(read=1, read_write=commit_reader, change=0)
        card.create_transaction_mac_file(PROOF, TransactionMacSettings(mode, rights), TMK)
    virtual.power_on()
    return virtual


def expect_proof(card: DesfireCard) -> None:
    """Commit, and check the card's value against what this side logged."""
    commands = card.data_commands
    proof = card.commit_transaction(return_mac=True)
    assert proof is not None
    assert proof.value == transaction_mac_value(AesKey(TMK), UID, proof.counter, tmi(commands))
    assert card.data_commands == []


def status_of(action: Callable[[], object]) -> int:
    with pytest.raises(StatusError) as refusal:
        action()
    return refusal.value.sw & 0xFF


modes = pytest.mark.parametrize("mode", list(CommMode), ids=lambda m: m.name)


@modes
def test_every_kind_of_file_in_every_mode(mode: CommMode) -> None:
    virtual = workshop(mode)
    card = begin(terminal_end(virtual))
    content = bytes(range(200))
    card.write_data(BACKUP, 10, content, mode)
    card.write_record(LINEAR, 0, b"a" * RECORD, mode)
    card.write_record(CYCLIC, 2, b"b" * 5, mode)
    card.credit(VALUE, 50, mode)
    card.debit(VALUE, 20, mode)
    assert card.read_data(BACKUP, 10, 4, mode) == bytes(4), "old content until commit"
    assert card.get_value(VALUE, mode) == 100
    expect_proof(card)
    assert card.read_data(BACKUP, 10, 200, mode) == content
    assert card.read_data(BACKUP, 580, 0, mode) == bytes(20)
    assert card.get_value(VALUE, mode) == 130
    assert card.read_records(LINEAR, 0, 1, mode, RECORD) == b"a" * RECORD
    assert card.read_records(CYCLIC, 0, 0, mode, RECORD) == b"\0\0bbbbb".ljust(RECORD, b"\0")
    expect_proof(card)


@modes
def test_long_content_is_cut_and_comes_back_whole(mode: CommMode) -> None:
    card = begin(terminal_end(workshop(mode)))
    content = bytes(n % 251 for n in range(600))
    for file_no in (STANDARD, BACKUP):
        card.write_data(file_no, 0, content, mode)
    expect_proof(card)
    for file_no in (STANDARD, BACKUP):
        assert card.read_data(file_no, 0, 600, mode) == content
    expect_proof(card)


def test_apdus_stay_short_whatever_is_written() -> None:
    class Measuring(TamperingConnection):
        longest = 0

        def transmit(self, command: bytes) -> bytes:
            self.longest = max(self.longest, len(command))
            return super().transmit(command)

    for mode in CommMode:
        measured = Measuring(workshop(mode), 0, lambda answer: answer)
        card = begin(terminal_end(measured))
        for length in (222, 223, 224, 237, 239, 240, 245, 255, 600):
            card.write_data(STANDARD, 0, bytes(length), mode)
            assert len(card.read_data(STANDARD, 0, length, mode)) == length
        assert measured.longest <= 5 + 255 + 1


@modes
def test_records_newest_is_0_and_they_come_oldest_first(mode: CommMode) -> None:
    card = begin(terminal_end(workshop(mode)))
    for letter in b"abcde":
        card.write_record(CYCLIC, 0, bytes((letter,)) * RECORD, mode)
        expect_proof(card)
    assert card.read_records(CYCLIC, 0, 0, mode, RECORD) == b"c" * RECORD + b"d" * RECORD + b"e" * RECORD
    assert card.read_records(CYCLIC, 1, 1, mode, RECORD) == b"d" * RECORD
    expect_proof(card)
    card.update_record(CYCLIC, 1, 0, b"D", mode)
    expect_proof(card)
    assert card.read_records(CYCLIC, 1, 1, mode, RECORD) == b"D" + b"d" * (RECORD - 1)
    card.clear_records(CYCLIC)
    expect_proof(card)
    assert status_of(lambda: card.read_records(CYCLIC, 0, 0, mode, RECORD)) == 0xBE


def test_limited_credit_gives_back_what_was_taken() -> None:
    card = begin(terminal_end(workshop(CommMode.MAC)))
    card.debit(VALUE, 40, CommMode.MAC)
    expect_proof(card)
    card.limited_credit(VALUE, 30, CommMode.MAC)
    expect_proof(card)
    assert card.get_value(VALUE, CommMode.MAC) == 90
    assert status_of(lambda: card.limited_credit(VALUE, 1, CommMode.MAC)) == 0xBE


@pytest.mark.parametrize("amount", [-1, 0x80000000])
def test_amounts_no_card_takes_are_not_sent(amount: int) -> None:
    card = begin(terminal_end(workshop(CommMode.MAC)))
    before = card.channel.exchanges
    with pytest.raises(ValueError, match="amount"):
        card.debit(VALUE, amount, CommMode.MAC)
    assert card.channel.exchanges == before
    assert card.session is not None


def test_over_a_limit_everything_pending_is_lost() -> None:
    virtual = workshop(CommMode.MAC)
    card = begin(terminal_end(virtual))
    card.write_data(BACKUP, 0, b"pending", CommMode.MAC)
    assert status_of(lambda: card.debit(VALUE, 1000, CommMode.MAC)) == 0xBE
    assert card.session is None
    begin(card)
    assert card.read_data(BACKUP, 0, 7, CommMode.MAC) == bytes(7)


def test_abort_forgets_and_goes_on() -> None:
    card = begin(terminal_end(workshop(CommMode.MAC)))
    card.debit(VALUE, 40, CommMode.MAC)
    card.abort_transaction()
    assert card.data_commands == []
    assert card.get_value(VALUE, CommMode.MAC) == 100
    expect_proof(card)


def test_nothing_to_commit_and_nothing_to_abort_are_errors_that_end_the_session() -> None:
    for action in (lambda c: c.commit_transaction(return_mac=True), lambda c: c.abort_transaction()):
        card = begin(terminal_end(workshop(CommMode.MAC)))
        assert status_of(lambda action=action, card=card: action(card)) == 0x0C
        assert card.session is None


def test_a_proof_from_a_card_without_transaction_mac() -> None:
    card = begin(terminal_end(workshop(CommMode.MAC, proof=False)))
    card.debit(VALUE, 1, CommMode.MAC)
    assert status_of(lambda: card.commit_transaction(return_mac=True)) == 0x9E
    begin(card).debit(VALUE, 1, CommMode.MAC)
    assert card.commit_transaction(return_mac=False) is None
    assert card.get_value(VALUE, CommMode.MAC) == 99


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda answer: answer[:-3] + bytes((answer[-3] ^ 1,)) + answer[-2:], IntegrityError),
        (lambda answer: bytes((answer[0] ^ 1,)) + answer[1:], IntegrityError),
        (lambda answer: b"\x91\x00", ProtocolError),
        (lambda answer: b"\x91\xae", StatusError),
        (lambda answer: b"", ProtocolError),
    ],
)
def test_an_unverified_commit_is_unknown_and_the_card_may_have_done_it(
    change: Callable[[bytes], bytes], error: type[Exception]
) -> None:
    virtual = workshop(CommMode.MAC)
    card = begin(terminal_end(TamperingConnection(virtual, 5, change)))
    card.debit(VALUE, 40, CommMode.MAC)
    with pytest.raises(error):
        card.commit_transaction(return_mac=True)
    assert card.session is None
    again = begin(terminal_end(virtual))
    assert again.get_value(VALUE, CommMode.MAC) == 60
    assert again.read_transaction_mac(PROOF, CommMode.MAC).counter == 1


def test_a_lost_commit_answer_is_settled_by_the_cards_own_proof() -> None:
    def lost(answer: bytes) -> bytes:
        raise CardGone("pulled after the card had committed")

    virtual = workshop(CommMode.MAC)
    card = begin(terminal_end(TamperingConnection(virtual, 5, lost)))
    card.debit(VALUE, 40, CommMode.MAC)
    commands = card.data_commands
    with pytest.raises(CardGone):
        card.commit_transaction(return_mac=True)
    virtual.power_off()
    virtual.power_on()
    proof = begin(terminal_end(virtual)).read_transaction_mac(PROOF, CommMode.MAC)
    assert proof.value == transaction_mac_value(AesKey(TMK), UID, 1, tmi(commands))


def test_reading_the_proof_is_not_part_of_the_next_one() -> None:
    card = begin(terminal_end(workshop(CommMode.MAC)))
    card.read_transaction_mac(PROOF, CommMode.MAC)
    assert card.data_commands == []
    card.debit(VALUE, 1, CommMode.MAC)
    expect_proof(card)


def test_a_reader_id_is_proved_and_comes_back_enciphered_next_time() -> None:
    card = begin(terminal_end(workshop(CommMode.MAC, commit_reader=1)))
    card.debit(VALUE, 1, CommMode.MAC)
    card.commit_reader_id(b"TERMINAL-0000017")
    expect_proof(card)
    card.debit(VALUE, 1, CommMode.MAC)
    answer = card.commit_reader_id(b"TERMINAL-0000018")
    _, enc = session_tm_keys(AesKey(TMK), 2, UID)
    assert decrypt_reader_id(enc, answer) == b"TERMINAL-0000017"
    expect_proof(card)
    with pytest.raises(ValueError, match="16 bytes, not 3"):
        card.commit_reader_id(b"abc")


def test_several_authentications_share_one_transaction() -> None:
    card = begin(terminal_end(workshop(CommMode.MAC)))
    card.debit(VALUE, 1, CommMode.MAC)
    card.authenticate_ev2_non_first(2, AesAuthentication(AesKey(ZERO), ZERO))
    card.authenticate_ev2_first(1, AesAuthentication(AesKey(ZERO), ZERO))
    card.debit(VALUE, 2, CommMode.MAC)
    expect_proof(card)
    assert card.get_value(VALUE, CommMode.MAC) == 97


def test_files_open_to_everybody_need_no_session() -> None:
    virtual = workshop(CommMode.MAC, proof=False)
    card = begin(terminal_end(virtual), 0)
    free = AccessRights(FREE, FREE, FREE, 0)
    card.change_file_settings(STANDARD, SettingsChange(CommMode.PLAIN, free))
    card.select_application(APPLICATION)
    card.write_data(STANDARD, 0, b"hello", CommMode.PLAIN)
    assert card.read_data(STANDARD, 0, 5, CommMode.PLAIN) == b"hello"


def test_a_free_file_read_inside_a_session_goes_plain_and_counts() -> None:
    """Authenticated, but only free access is satisfied (datasheet 8.2.3)."""
    virtual = workshop(CommMode.MAC, proof=False)
    card = begin(terminal_end(virtual), 0)
    card.change_file_settings(STANDARD, SettingsChange(CommMode.FULL, AccessRights(FREE, NEVER, NEVER, 0)))
    begin(card, 2)
    assert card.read_data(STANDARD, 0, 2, CommMode.PLAIN) == bytes(2)
    assert card.session is not None
    assert card.session.counter == 1
    assert card.get_file_ids() == (1, 2, 3, 4, 5)


# --- administration


@modes
def test_what_was_created_is_what_the_card_says(mode: CommMode) -> None:
    card = begin(terminal_end(workshop(mode)), 0)
    assert set(card.get_file_ids()) == {STANDARD, BACKUP, VALUE, LINEAR, CYCLIC, PROOF}
    assert card.get_file_settings(BACKUP) == DataFileSettings(FileType.BACKUP, mode, ALL_BY_KEY_1, 600)
    assert card.get_file_settings(LINEAR) == RecordFileSettings(
        FileType.LINEAR, mode, ALL_BY_KEY_1, RECORD, 3
    )
    assert card.get_file_settings(VALUE) == ValueFileSettings(
        mode, ALL_BY_KEY_1, -10, 1000, limited_credit=True
    )
    expected = TransactionMacSettings(mode, AccessRights(read=1, change=0))
    assert card.get_file_settings(PROOF) == expected
    assert card.get_key_settings() == KeySettings(3, free_listing=True)


rights = st.builds(AccessRights, *[st.sampled_from([0, 1, 2, FREE, NEVER])] * 4)
any_settings = st.one_of(
    st.builds(
        DataFileSettings,
        st.sampled_from([FileType.STANDARD, FileType.BACKUP]),
        st.sampled_from(CommMode),
        rights,
        st.integers(1, 500),
    ),
    st.builds(
        ValueFileSettings,
        st.sampled_from(CommMode),
        rights,
        st.integers(-100, 0),
        st.integers(1, 2**31 - 1),
        st.just(0),
        st.booleans(),
        st.booleans(),
    ),
    st.builds(
        RecordFileSettings,
        st.sampled_from([FileType.LINEAR, FileType.CYCLIC]),
        st.sampled_from(CommMode),
        rights,
        st.integers(1, 64),
        st.integers(2, 9),
    ),
)


@examples(25)
@given(any_settings)
def test_any_settings_survive_creation_and_enquiry(wanted: FileSettings) -> None:
    card = terminal_end(blank_card())
    card.create_application(APPLICATION, KeySettings(3, free_listing=True))
    begin(card, 0)
    card.create_file(9, wanted)
    assert card.get_file_settings(9) == wanted


def test_settings_of_another_kind_are_not_sent() -> None:
    card = begin(terminal_end(workshop(CommMode.MAC)), 0)
    with pytest.raises(ValueError, match="BACKUP file, not STANDARD"):
        card.create_standard_file(9, DataFileSettings(FileType.BACKUP, CommMode.MAC, ALL_BY_KEY_1, 9))
    with pytest.raises(TypeError, match="needs its key"):
        card.create_file(9, TransactionMacSettings(CommMode.MAC, AccessRights()))


def test_keys_change_and_the_session_goes_on_for_others_only() -> None:
    card = begin(terminal_end(workshop(CommMode.MAC)), 0)
    new_1, new_0 = b"\x11" * 16, b"\x22" * 16
    card.change_key(1, new_1, 7, old_key=ZERO)
    assert card.get_key_version(1) == 7
    card.change_key(0, new_0, 8)
    assert card.session is None
    begin(card, 1, new_1)
    begin(card, 0, new_0)
    assert card.get_key_version(0) == 8
    assert status_of(lambda: begin(card, 0, ZERO)) == 0xAE


def test_a_key_change_says_which_form_it_needs() -> None:
    card = begin(terminal_end(workshop(CommMode.MAC)), 0)
    for number, old in ((0, ZERO), (1, None)):
        with pytest.raises(ValueError, match="exactly when"):
            card.change_key(number, ZERO, 1, old_key=old)
    with pytest.raises(ValueError, match="16 bytes"):
        card.change_key(0, bytes(8), 1)
    assert card.session is not None


def test_a_mac_where_a_key_change_has_none_is_refused() -> None:
    card = begin(terminal_end(TamperingConnection(workshop(CommMode.MAC), 4, lambda a: bytes(8) + a)), 0)
    with pytest.raises(ProtocolError, match="8 bytes"):
        card.change_key(0, b"\x22" * 16, 1)
    assert card.session is None


def test_the_card_level() -> None:
    virtual = workshop(CommMode.MAC)
    card = terminal_end(virtual)
    assert card.get_application_ids() == (APPLICATION,)
    card.select_application(PICC_AID)
    card.authenticate_ev2_first(0, AesAuthentication(AesKey(ZERO), ZERO))
    assert card.get_card_uid() == UID
    assert card.get_version().uid == UID
    used = card.free_memory()
    assert len(card.read_signature()) == 56
    card.delete_application(APPLICATION)
    assert card.get_application_ids() == ()
    assert card.free_memory() > used
    card.create_application(APPLICATION, KeySettings(1), iso_id=0xA1B2, df_name=b"NAME")
    card.format_picc()
    assert card.get_application_ids() == ()
    card.change_key(PICC_AES_KEY, b"\x33" * 16, 1)
    card.select_application(PICC_AID)
    card.authenticate_ev2_first(0, AesAuthentication(AesKey(b"\x33" * 16), ZERO))


def test_deleting_files() -> None:
    card = begin(terminal_end(workshop(CommMode.MAC)), 0)
    card.delete_file(PROOF)
    card.delete_file(STANDARD)
    assert STANDARD not in card.get_file_ids()
    assert status_of(lambda: card.get_file_settings(STANDARD)) == 0xF0


def test_enquiries_without_a_session_are_plain() -> None:
    card = terminal_end(workshop(CommMode.MAC))
    assert len(card.read_signature()) == 56
    assert card.get_version().hardware.vendor == 4
    card.select_application(APPLICATION)
    assert card.get_key_settings().key_count == 3
    assert card.get_key_version(1) == 0
