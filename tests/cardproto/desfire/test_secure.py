"""The terminal side must not believe a card: wrong proofs, MACs, paddings, lengths, words, and any bytes at all."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardproto.desfire.authentication import AesAuthentication, Ev2Cipher
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.channel import DesfireChannel
from cardproto.desfire.crypto import ZERO_IV, AesKey, rotate_left
from cardproto.desfire.messaging import COUNTER_LIMIT, CommMode, Session
from cardproto.errors import (
    CardError,
    CardGone,
    IntegrityError,
    NotAuthenticated,
    ProtocolError,
    StatusError,
)
from cardproto.resident.layout import AID, FILE_CREDENTIAL, FILE_EVENTS, FILE_PURSE, FILE_RIGHTS, KeyNo
from tests.cardproto.cards import KEYS, authenticated, numbers, resident_card, terminal_end
from tests.cardproto.scripted import AnsweringConnection, ScriptedConnection, TamperingConnection
from tests.properties import examples

KEY = AesKey(KEYS.validate)
RND_A = numbers("terminal")(16)
RND_B = bytes(range(16))
FIRST_PROTECTED = 4
"""Exchange number of the first protected command: select and two authentication frames come before."""


def flip(at: int) -> Callable[[bytes], bytes]:
    return lambda answer: answer[:at] + bytes((answer[at] ^ 1,)) + answer[at + 1 :]


def without_mac(answer: bytes) -> bytes:
    return answer[:-10] + answer[-2:]


def card_with_session(*answers: bytes | str) -> tuple[DesfireCard, Session]:
    card = DesfireCard(DesfireChannel(AnsweringConnection(*answers)))
    card.session = session = Session(
        1, b"\x01\x02\x03\x04", 0, Ev2Cipher(AesKey(bytes(16)), AesKey(bytes(range(16))))
    )
    return card, session


def protected(session: Session, plain: bytes, mode: CommMode) -> bytes:
    """What a card answers to the first command of `session`."""
    after = Session(1, session.ti, session.counter + 1, session.cipher)
    body = after.encrypt_response(plain) if mode is CommMode.FULL else plain
    return body + (after.response_mac(body) if mode else b"") + b"\x91\x00"


def test_authentication_with_the_right_key_begins_a_session() -> None:
    card = authenticated(resident_card())
    assert card.session is not None
    assert (card.session.counter, card.session.key_no) == (0, KeyNo.VALIDATE)


def test_the_wrong_key_is_told_by_the_card() -> None:
    card = terminal_end(resident_card())
    card.select_application(AID)
    with pytest.raises(StatusError, match=r"AuthenticateEV2First.*authentication error") as refusal:
        card.authenticate_ev2_first(KeyNo.VALIDATE, AesAuthentication(AesKey(KEYS.inspect), RND_A))
    assert refusal.value.sw == 0x91AE
    assert card.session is None


def test_a_key_that_is_not_there() -> None:
    card = terminal_end(resident_card())
    card.select_application(AID)
    with pytest.raises(StatusError, match="no such key"):
        card.authenticate_ev2_first(9, AesAuthentication(KEY, RND_A))


@pytest.mark.parametrize("at", range(32))
def test_every_changed_byte_of_a_cards_proof_is_noticed(at: int) -> None:
    card = terminal_end(TamperingConnection(resident_card(), 3, flip(at)))
    card.select_application(AID)
    with pytest.raises(IntegrityError, match="does not prove"):
        card.authenticate_ev2_first(KeyNo.VALIDATE, AesAuthentication(KEY, RND_A))
    assert card.session is None


def first_answers(proof: bytes) -> tuple[bytes, bytes]:
    return KEY.encrypt(ZERO_IV, RND_B) + b"\x91\xaf", KEY.encrypt(ZERO_IV, proof) + b"\x91\x00"


@pytest.mark.parametrize(
    ("answers", "error", "words"),
    [
        ((bytes(17) + b"\x91\xaf",), ProtocolError, "17 bytes answered; LRP"),
        ((bytes(18) + b"\x91\xaf",), ProtocolError, "18 bytes answered; LRP"),
        ((b"\x91\xaf",), ProtocolError, "0 bytes"),
        ((bytes(16) + b"\x91\x00",), ProtocolError, "status 00 where AF belongs"),
        ((bytes(16) + b"\x91\xaf", bytes(32) + b"\x91\xaf"), ProtocolError, "status AF where 00 belongs"),
        ((bytes(16) + b"\x91\xaf", bytes(16) + b"\x91\x00"), ProtocolError, "16 bytes answered, 32 expected"),
        ((bytes(16) + b"\x91\xaf", bytes(32) + b"\x91\x00"), IntegrityError, "does not prove"),
        (first_answers(b"tiii" + RND_A + bytes(12)), IntegrityError, "does not prove"),
        (
            first_answers(b"tiii" + rotate_left(rotate_left(RND_A)) + bytes(12)),
            IntegrityError,
            "does not prove",
        ),
        ((bytes(16) + b"\x91\xaf", b"\x91\xae"), StatusError, "AuthenticateEV2First.*authentication error"),
        ((b"\x6d\x00",), StatusError, "ins not supported"),
    ],
)
def test_authentication_answers_that_are_none(
    answers: tuple[bytes, ...], error: type[CardError], words: str
) -> None:
    card = DesfireCard(DesfireChannel(AnsweringConnection(*answers)))
    with pytest.raises(error, match=words):
        card.authenticate_ev2_first(1, AesAuthentication(KEY, RND_A))
    assert card.session is None


def test_the_capabilities_are_not_asked_for() -> None:
    script = ScriptedConnection([("9071000002" + "0100" + "00", "919D")])
    with pytest.raises(StatusError):
        DesfireCard(DesfireChannel(script)).authenticate_ev2_first(1, AesAuthentication(KEY, RND_A))


def test_random_numbers_have_sixteen_bytes() -> None:
    with pytest.raises(ValueError, match="16 random bytes, not 8"):
        terminal_end(AnsweringConnection()).authenticate_ev2_first(1, AesAuthentication(KEY, bytes(8)))


def test_non_first_needs_a_session_and_keeps_identifier_counter_and_transaction() -> None:
    card = authenticated(resident_card())
    card.debit(FILE_PURSE, 100, CommMode.MAC)
    before = card.session
    assert before is not None
    card.authenticate_ev2_non_first(KeyNo.INSPECT, AesAuthentication(AesKey(KEYS.inspect), RND_A))
    after = card.session
    assert (after.ti, after.counter, after.key_no) == (before.ti, 1, KeyNo.INSPECT)
    assert len(card.data_commands) == 1
    with pytest.raises(NotAuthenticated):
        terminal_end(resident_card()).authenticate_ev2_non_first(1, AesAuthentication(KEY, RND_A))


def test_a_failed_non_first_ends_the_session() -> None:
    card = authenticated(resident_card())
    with pytest.raises(StatusError):
        card.authenticate_ev2_non_first(KeyNo.INSPECT, AesAuthentication(KEY, RND_A))
    assert card.session is None


def test_plain_commands_count_and_additional_frames_do_not() -> None:
    """One increment per command however many frames (datasheet 9)."""
    card, session = card_with_session("AA91AF", "BB9100", "9100")
    assert card.execute(0xBD, bytes(7), b"", CommMode.PLAIN, 2) == b"\xaa\xbb"
    assert session.counter == 1


@pytest.mark.parametrize("mode", [CommMode.MAC, CommMode.FULL])
def test_a_protected_answer_in_many_frames_is_verified_as_a_whole(mode: CommMode) -> None:
    card, session = card_with_session()
    answer = protected(session, bytes(range(40)), mode)[:-2]
    frames = [answer[:20] + b"\x91\xaf", answer[20:33] + b"\x91\xaf", answer[33:] + b"\x91\x00"]
    card.channel = DesfireChannel(AnsweringConnection(*frames))
    assert card.execute(0xAD, bytes(7), b"", mode, 40) == bytes(range(40))
    assert session.counter == 1


@pytest.mark.parametrize("file_no", [FILE_RIGHTS, FILE_CREDENTIAL])
def test_every_changed_byte_of_a_protected_answer_is_noticed(file_no: int) -> None:
    mode = CommMode.FULL if file_no == FILE_CREDENTIAL else CommMode.MAC
    size = len(authenticated(resident_card()).read_data(file_no, 0, 64, mode))
    for at in range(size + (24 if mode is CommMode.FULL else 8)):
        card = authenticated(TamperingConnection(resident_card(), FIRST_PROTECTED, flip(at)))
        with pytest.raises(IntegrityError, match=r"ReadData.*MAC"):
            card.read_data(file_no, 0, 64, mode)
        assert card.session is None
        assert not card.data_commands


@pytest.mark.parametrize("change", [without_mac, lambda a: a[-2:], lambda a: b"\0" + a, lambda a: a[1:]])
def test_a_missing_mac_or_byte_is_noticed(change: Callable[[bytes], bytes]) -> None:
    card = authenticated(TamperingConnection(resident_card(), FIRST_PROTECTED, change))
    with pytest.raises(IntegrityError):
        card.read_data(FILE_RIGHTS, 0, 64, CommMode.MAC)


def test_an_answer_of_the_previous_command_is_no_answer_to_this_one() -> None:
    seen: list[bytes] = []

    def replay(answer: bytes) -> bytes:
        return seen[0]

    inner = resident_card()
    recording = TamperingConnection(inner, FIRST_PROTECTED, lambda answer: (seen.append(answer), answer)[1])
    card = authenticated(TamperingConnection(recording, FIRST_PROTECTED + 1, replay))
    card.read_data(FILE_RIGHTS, 0, 64, CommMode.MAC)
    with pytest.raises(IntegrityError):
        card.read_data(FILE_RIGHTS, 0, 64, CommMode.MAC)


def test_wrong_padding_under_a_right_mac_is_noticed() -> None:
    card, session = card_with_session()
    after = Session(1, session.ti, 1, session.cipher)
    body = session.cipher.seal(after.response_nonce(), bytes(16))
    card.channel = DesfireChannel(AnsweringConnection(body + after.response_mac(body) + b"\x91\x00"))
    with pytest.raises(IntegrityError, match="padding"):
        card.execute(0x51, mode=CommMode.FULL, answer_bytes=7)
    assert card.session is None


@pytest.mark.parametrize("mode", list(CommMode))
@pytest.mark.parametrize("length", [0, 3, 5])
def test_more_or_less_than_asked_for_is_refused_though_properly_protected(
    mode: CommMode, length: int
) -> None:
    card, session = card_with_session()
    card.channel = DesfireChannel(AnsweringConnection(protected(session, bytes(length), mode)))
    with pytest.raises(ProtocolError, match=f"GetValue: {length} bytes answered, 4 expected"):
        card.get_value(FILE_PURSE, mode)
    assert card.session is None


def test_any_error_status_ends_the_session_and_the_transaction() -> None:
    card = authenticated(resident_card())
    card.debit(FILE_PURSE, 100, CommMode.MAC)
    kept = card.data_commands
    with pytest.raises(StatusError, match="CommitReaderID"):
        card.commit_reader_id(bytes(16))
    assert card.session is None
    assert card.data_commands == []
    assert len(kept) == 1, "a caller's list is replaced, not emptied"


def test_a_lost_answer_ends_the_session_too() -> None:
    class Gone:
        def transmit(self, command: bytes) -> bytes:
            raise CardGone("pulled")

    card, _ = card_with_session()
    card.channel = DesfireChannel(Gone())
    with pytest.raises(CardGone):
        card.read_data(FILE_RIGHTS, 0, 64, CommMode.MAC)
    assert card.session is None


@pytest.mark.parametrize(
    "command",
    [
        lambda c: c.read_data(1, 0, 4, CommMode.MAC),
        lambda c: c.write_record(2, 0, b"x", CommMode.FULL),
        lambda c: c.debit(3, 1, CommMode.MAC),
        lambda c: c.get_card_uid(),
        lambda c: c.set_configuration(0, b"\0"),
        lambda c: c.change_key(1, bytes(16), 1),
    ],
)
def test_a_protected_command_without_a_session_is_not_sent(command: Callable[[DesfireCard], object]) -> None:
    connection = AnsweringConnection("9100")
    with pytest.raises(NotAuthenticated):
        command(DesfireCard(DesfireChannel(connection)))
    assert connection.sent == []


def test_selection_ends_everything() -> None:
    card = authenticated(resident_card())
    card.debit(FILE_PURSE, 100, CommMode.MAC)
    card.select_application(AID)
    assert card.session is None
    assert card.data_commands == []


def test_an_application_travels_reversed_and_a_missing_one_is_told() -> None:
    script = ScriptedConnection([("905A000003" + "015A4B" + "00", "91A0")])
    with pytest.raises(StatusError, match="application not found") as refusal:
        DesfireCard(DesfireChannel(script)).select_application(AID)
    assert refusal.value.sw == 0x91A0
    with pytest.raises(ValueError, match="3 bytes, not 2"):
        terminal_end(resident_card()).select_application(b"\x4b\x5a")
    with pytest.raises(ProtocolError, match="1 bytes"):
        terminal_end(AnsweringConnection("AA9100")).select_application(AID)


def test_a_used_up_counter_is_not_used_again() -> None:
    card, session = card_with_session("9100")
    session.counter = COUNTER_LIMIT
    with pytest.raises(ProtocolError, match="counter is used up"):
        card.get_value(FILE_PURSE, CommMode.MAC)
    assert card.channel.exchanges == 0
    assert card.session is None


def test_errors_say_nothing_secret() -> None:
    card = authenticated(TamperingConnection(resident_card(), FIRST_PROTECTED, flip(0)))
    with pytest.raises(CardError) as error:
        card.read_data(FILE_CREDENTIAL, 0, 64, CommMode.FULL)
    for secret in (KEYS.validate, RND_A):
        assert secret.hex() not in repr(error.value).lower()
    assert repr(KEYS) == "ResidentKeys(…)"


answers = (
    st.binary(max_size=90)
    | st.binary(max_size=80).map(lambda b: b + b"\x91\x00")
    | st.binary(max_size=70).map(lambda b: b + b"\x91\xaf")
)


@examples(60)
@given(st.lists(answers, min_size=1, max_size=6))
def test_whatever_a_card_answers_ends_in_an_error_of_ours_or_a_value(given_answers: list[bytes]) -> None:
    talks: list[Callable[[DesfireCard], object]] = [
        lambda c: c.select_application(AID),
        lambda c: c.authenticate_ev2_first(1, AesAuthentication(KEY, RND_A)),
        lambda c: c.read_data(FILE_RIGHTS, 0, 64, CommMode.MAC),
        lambda c: c.read_data(FILE_CREDENTIAL, 0, 0, CommMode.FULL),
        lambda c: c.read_records(FILE_EVENTS, 0, 0, CommMode.PLAIN, 32),
        lambda c: c.read_transaction_mac(15, CommMode.PLAIN),
        lambda c: c.commit_transaction(return_mac=True),
        lambda c: c.commit_reader_id(bytes(16)),
        lambda c: c.get_file_settings(1),
        lambda c: c.get_application_ids(),
        lambda c: c.get_key_settings(),
        lambda c: c.get_version(),
        lambda c: c.get_card_uid(),
        lambda c: c.free_memory(),
        lambda c: c.read_signature(),
        lambda c: c.change_key(1, bytes(16), 1),
    ]
    for talk in talks:
        card, _ = card_with_session()
        connection = AnsweringConnection(*given_answers)
        card.channel = DesfireChannel(connection, max_exchanges=20)
        with suppress(CardError):
            talk(card)
        assert len(connection.sent) <= 20
