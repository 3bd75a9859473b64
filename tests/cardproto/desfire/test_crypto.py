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


def test_blocks_are_chained_as_nist_has_it() -> None:
    """NIST SP 800-38A, F.2.1 and F.2.2: CBC-AES128."""
    key, iv = AesKey(bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")), bytes(range(16))
    plain = bytes.fromhex(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
        "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
    )
    sealed = bytes.fromhex(
        "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
        "73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7"
    )
    for _ in range(2):  # what was done before leaves no trace in the key
        assert (key.encrypt(iv, plain), key.decrypt(iv, sealed)) == (sealed, plain)
        assert (key.encrypt(iv, plain[:16]), key.decrypt(iv, sealed[:16])) == (sealed[:16], plain[:16])
        assert (key.encrypt(iv, b""), key.decrypt(iv, b"")) == (b"", b"")


@pytest.mark.parametrize("length", [0, 15, 17])
def test_a_vector_of_another_length_is_refused(length: int) -> None:
    for use in (KEY.encrypt, KEY.decrypt):
        with pytest.raises(ValueError, match=f"not {length}"):
            use(bytes(length), bytes(16))


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
