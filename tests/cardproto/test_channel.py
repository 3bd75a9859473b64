from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardproto.apdu import CommandApdu
from cardproto.desfire.channel import DesfireChannel, NativeAnswer
from cardproto.errors import CardError, LimitExceeded, ProtocolError, StatusError
from tests.cardproto.scripted import AnsweringConnection, ScriptedConnection

SELECT = CommandApdu(0x00, 0xA4, 4, 0, b"\xf0\x4b", 0)


def test_more_data_is_fetched_until_there_is_none() -> None:
    script = ScriptedConnection(
        [("00A4040002F04B00", "01026102"), ("00C0000002", "03046101"), ("00C0000001", "059000")]
    )
    answer = DesfireChannel(script).send(SELECT)
    assert (answer.data.hex(), answer.sw) == ("0102030405", 0x9000)
    assert script.finished()


def test_a_wrong_le_is_corrected_once() -> None:
    script = ScriptedConnection([("00A4040002F04B00", "6C10"), ("00A4040002F04B10", "AABB9000")])
    assert DesfireChannel(script).send(SELECT).data == b"\xaa\xbb"


def test_a_card_that_never_agrees_with_le_gets_its_word_back() -> None:
    assert DesfireChannel(AnsweringConnection("6C10")).send(SELECT).sw == 0x6C10


def test_native_frames_from_the_card_are_joined() -> None:
    script = ScriptedConnection(
        [("9060000000", "0102" + "91AF"), ("90AF000000", "0391AF"), ("90AF000000", "9100")]
    )
    assert DesfireChannel(script).native(0x60) == NativeAnswer(0, b"\x01\x02\x03")


def test_native_chained_data_goes_in_frames() -> None:
    first, second = bytes(range(54)), bytes(range(54, 100))
    script = ScriptedConnection(
        [(b"\x90\x3d\0\0\x36" + first + b"\0", "91AF"), (b"\x90\xaf\0\0\x2e" + second + b"\0", "9100")]
    )
    assert DesfireChannel(script).native(0x3D, first + second) == NativeAnswer(0, b"")


def test_a_card_that_refuses_the_first_frame_gets_no_second() -> None:
    connection = AnsweringConnection("919E")
    assert DesfireChannel(connection).native(0x3D, bytes(100)).status == 0x9E
    assert len(connection.sent) == 1


def test_iso_chained_commands_are_one_full_apdu() -> None:
    connection = AnsweringConnection("9100")
    DesfireChannel(connection).native(0x8D, bytes(255))
    assert connection.sent == [b"\x90\x8d\0\0\xff" + bytes(255) + b"\0"]


@pytest.mark.parametrize("sw", ["6D00", "6E00", "6A82", "9000", "6700"])
def test_a_status_outside_91xx_is_no_desfire(sw: str) -> None:
    with pytest.raises(StatusError, match="SelectApplication") as refusal:
        DesfireChannel(AnsweringConnection(sw)).native(0x5A, bytes(3))
    assert refusal.value.sw == int(sw, 16)


@pytest.mark.parametrize("raw", ["", "91"])
def test_an_answer_without_status_word_is_no_answer(raw: str) -> None:
    with pytest.raises(ProtocolError, match="status word alone is 2"):
        DesfireChannel(AnsweringConnection(raw)).native(0x60)
    with pytest.raises(ProtocolError, match="status word alone is 2"):
        DesfireChannel(AnsweringConnection(raw)).send(SELECT)


def test_exchanges_and_bytes_count_both_ways_and_the_reader_apart() -> None:
    channel = DesfireChannel(AnsweringConnection("04112233445566" + "9000", "9100"))
    assert channel.read_uid().hex() == "04112233445566"
    assert (channel.exchanges, channel.apdu_bytes, channel.reader_exchanges) == (0, 0, 1)
    channel.native(0x5A, b"\x01\x5a\x4b")
    assert (channel.exchanges, channel.apdu_bytes) == (1, 9 + 2)


@pytest.mark.parametrize("answer", ["6A81", "9000", "0411229000", "6300"])
def test_a_reader_without_uid(answer: str) -> None:
    with pytest.raises(ProtocolError, match="no UID"):
        DesfireChannel(AnsweringConnection(answer)).read_uid()


@pytest.mark.parametrize("answer", ["91AF", "00" * 59 + "91AF"])
def test_endless_native_chaining_ends(answer: str) -> None:
    connection = AnsweringConnection(answer)
    with pytest.raises(LimitExceeded):
        DesfireChannel(connection, max_exchanges=20).native(0x60)
    assert len(connection.sent) == 20


@pytest.mark.parametrize("answer", ["6110", "00" * 200 + "61FF"])
def test_endless_more_data_ends(answer: str) -> None:
    connection = AnsweringConnection(answer)
    with pytest.raises(LimitExceeded):
        DesfireChannel(connection, max_exchanges=20).send(SELECT)
    assert len(connection.sent) == 20


def test_bytes_end_a_conversation_before_exchanges_do() -> None:
    connection = AnsweringConnection(bytes(256) + b"\x91\xaf")
    with pytest.raises(LimitExceeded):
        DesfireChannel(connection, max_bytes=1000).native(0x60)
    assert len(connection.sent) == 4


def test_the_reader_itself_is_limited_too() -> None:
    channel = DesfireChannel(AnsweringConnection("041122339000"), max_exchanges=3)
    for _ in range(3):
        channel.read_uid()
    with pytest.raises(LimitExceeded):
        channel.read_uid()


@given(st.lists(st.binary(max_size=270), min_size=1, max_size=8))
def test_any_answers_end_in_a_result_or_an_error_of_ours(answers: list[bytes]) -> None:
    for talk in (
        lambda channel: channel.send(SELECT),
        lambda channel: channel.native(0x60),
        lambda channel: channel.native(0x3D, bytes(120)),
        lambda channel: channel.read_uid(),
    ):
        connection = AnsweringConnection(*answers)
        with suppress(CardError):
            talk(DesfireChannel(connection, max_exchanges=30))
        assert len(connection.sent) <= 30


@given(
    st.lists(
        st.sampled_from([b"\x91\xaf", b"\x01\x91\xaf", b"\x61\x00", b"\x6c\x00"]), min_size=1, max_size=6
    )
)
def test_chaining_words_in_any_order_end(answers: list[bytes]) -> None:
    for talk in (lambda c: c.send(SELECT), lambda c: c.native(0x60)):
        connection = AnsweringConnection(*answers)
        with suppress(CardError):
            talk(DesfireChannel(connection, max_exchanges=30))
        assert len(connection.sent) <= 30
