from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cardproto.desfire.authentication import Ev2Cipher
from cardproto.desfire.crypto import AesKey
from cardproto.desfire.messaging import CommMode, Session


def session(counter: int = 0) -> Session:
    return Session(1, b"\x01\x02\x03\x04", counter, Ev2Cipher(AesKey(bytes(16)), AesKey(bytes(range(16)))))


@given(st.binary(max_size=40), st.integers(0, 0xFFFF))
def test_either_direction_can_be_read_back(plain: bytes, counter: int) -> None:
    s = session(counter)
    assert s.decrypt_command(s.encrypt_command(plain)) == plain
    assert s.decrypt_response(s.encrypt_response(plain)) == plain


def test_empty_data_is_not_encrypted() -> None:
    assert session().encrypt_command(b"") == b""
    assert session().encrypt_response(b"") == b""


def test_a_whole_block_gains_a_block() -> None:
    assert len(session().encrypt_command(bytes(16))) == 32


def test_the_two_directions_and_every_counter_differ() -> None:
    plain = bytes(16)
    texts = {session(n).encrypt_command(plain) for n in range(3)} | {
        session(n).encrypt_response(plain) for n in range(3)
    }
    assert len(texts) == 6


def test_the_status_and_the_counter_enter_the_answers_mac() -> None:
    macs = {
        session(1).response_mac(b"data"),
        session(2).response_mac(b"data"),
        session(1).response_mac(b"data", 0x90),
    }
    assert len(macs) == 3
    assert {len(mac) for mac in macs} == {8}


@given(st.binary(max_size=70))
def test_any_cryptogram_is_plain_text_or_none(data: bytes) -> None:
    plain = session().decrypt_response(data)
    assert plain is None or len(plain) <= len(data)
    if len(data) % 16:
        assert plain is None


def test_a_session_shows_no_keys() -> None:
    shown = repr(
        Session(1, b"\0" * 4, 0, Ev2Cipher(AesKey(b"SECRETSECRETSECR"), AesKey(b"HIDDENHIDDENHIDD")))
    )
    assert "SECRET" not in shown
    assert "HIDDEN" not in shown


def test_mode_values_are_the_file_options_low_bits() -> None:
    assert [int(mode) for mode in CommMode] == [0, 1, 3]
