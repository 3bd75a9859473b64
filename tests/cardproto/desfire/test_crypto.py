from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardproto.desfire.crypto import ZERO_IV, AesKey, pad, rotate_left, truncate_mac, unpad, zero_pad
from cardproto.desfire.diversify import an10922_aes128

KEY = AesKey(bytes(range(16)))


@given(st.binary(max_size=64))
def test_padding_is_always_added_and_comes_off(data: bytes) -> None:
    padded = pad(data)
    assert len(padded) % 16 == 0
    assert len(padded) > len(data)
    assert unpad(padded) == data


@pytest.mark.parametrize("wrong", [b"", bytes(16), b"\x80" + bytes(16), bytes(15) + b"\x81", b"\x01" * 16])
def test_wrong_padding_is_noticed(wrong: bytes) -> None:
    assert unpad(wrong) is None


def test_a_whole_block_gains_a_block() -> None:
    assert pad(bytes(16)) == bytes(16) + b"\x80" + bytes(15)
    assert zero_pad(bytes(16)) == bytes(16)
    assert zero_pad(b"\x01") == b"\x01" + bytes(15)


def test_truncation_takes_the_odd_bytes() -> None:
    assert truncate_mac(bytes(range(16))) == bytes((1, 3, 5, 7, 9, 11, 13, 15))


def test_rotation_is_by_one_byte() -> None:
    assert rotate_left(b"\x01\x02\x03") == b"\x02\x03\x01"


@pytest.mark.parametrize("length", [0, 15, 17, 32])
def test_a_key_has_sixteen_bytes_and_the_error_does_not_show_them(length: int) -> None:
    secret = b"\x5a" * length
    with pytest.raises(ValueError, match=f"not {length}") as error:
        AesKey(secret)
    assert "5a" not in str(error.value)
    assert "Z" not in str(error.value)


def test_a_key_never_shows_its_bytes() -> None:
    assert repr(AesKey(b"SECRETSECRETSECR")) == "AesKey(…)"
    assert "SECRET" not in str(AesKey(b"SECRETSECRETSECR"))


def test_incomplete_blocks_are_refused_not_dropped() -> None:
    for length in (1, 15, 17):
        with pytest.raises(ValueError, match="whole number of AES blocks"):
            KEY.encrypt(ZERO_IV, bytes(length))
        with pytest.raises(ValueError, match="whole number of AES blocks"):
            KEY.decrypt(ZERO_IV, bytes(length))


@given(st.integers(1, 3).flatmap(lambda n: st.binary(min_size=16 * n, max_size=16 * n)))
def test_decryption_undoes_encryption(data: bytes) -> None:
    assert KEY.decrypt(ZERO_IV, KEY.encrypt(ZERO_IV, data)) == data


@given(st.binary(min_size=1, max_size=31))
def test_a_diversified_key_is_the_cmac_for_long_inputs_only(m: bytes) -> None:
    """AN10922 pads short inputs to two blocks where CMAC would pad to one: the known mistake of libraries."""
    assert (an10922_aes128(KEY, m) == KEY.cmac(b"\x01" + m)) == (len(m) >= 16)


@pytest.mark.parametrize("length", [0, 32])
def test_a_diversification_input_has_1_to_31_bytes(length: int) -> None:
    with pytest.raises(ValueError, match="1 to 31"):
        an10922_aes128(KEY, bytes(length))


def test_diversification_needs_nothing_but_encryption() -> None:
    class EncryptOnly:
        def encrypt(self, iv: bytes, data: bytes) -> bytes:
            return KEY.encrypt(iv, data)

        def decrypt(self, iv: bytes, data: bytes) -> bytes:
            raise AssertionError("a SAM may refuse this")

        def cmac(self, data: bytes) -> bytes:
            raise AssertionError("a SAM may refuse this")

    assert an10922_aes128(EncryptOnly(), bytes(12)) == an10922_aes128(KEY, bytes(12))
