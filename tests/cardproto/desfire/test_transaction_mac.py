"""How commands become transaction MAC input; worked figures are in the vectors, the rules in datasheet 10.3.4."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardproto.desfire.crypto import AesKey
from cardproto.desfire.transaction_mac import (
    READER_ID_BYTES,
    TMV_BYTES,
    DataCommand,
    TransactionMac,
    decrypt_reader_id,
    encrypt_reader_id,
    session_tm_keys,
    tmi,
    transaction_mac_value,
)

TMK = AesKey(bytes(range(16)))
UID = bytes.fromhex("04AA1122334455")


def three(*numbers: int) -> bytes:
    return b"".join(n.to_bytes(3, "little") for n in numbers)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (
            DataCommand(0xAD, b"\x01" + three(0, 20), b"\xaa" * 20),
            "AD01000000140000" + "00" * 8 + "AA" * 20 + "00" * 12,
        ),
        (DataCommand(0x8D, b"\x01" + three(2, 16), b"\xbb" * 16), "8D01020000100000" + "00" * 8 + "BB" * 16),
        (DataCommand(0xAB, b"\x02" + three(0, 1), b"\xcc" * 32), "AB02000000010000" + "00" * 8 + "CC" * 32),
        (
            DataCommand(0x8B, b"\x02" + three(0, 3), b"\xdd" * 3),
            "8B02000000030000" + "00" * 8 + "DDDDDD" + "00" * 13,
        ),
        (
            DataCommand(0xBA, b"\x02" + three(1, 0, 16), b"\xee" * 16),
            "BA02010000000000100000" + "00" * 5 + "EE" * 16,
        ),
        (DataCommand(0xEB, b"\x02", b""), "EB02" + "00" * 14),
        (DataCommand(0xDC, b"\x03", b"\x26\0\0\0"), "DC0326000000" + "00" * 10),
        (DataCommand(0x6C, b"\x03", b"\xe8\x03\0\0"), "6C03E8030000" + "00" * 10),
        (DataCommand(0xC8, b"\x43" * 16, b"\xa5" * 16), "C8" + "43" * 16 + "A5" * 16 + "00" * 15),
        (DataCommand(0xC8, b"\x43" * 16, b""), "C8" + "43" * 16 + "00" * 15),
    ],
)
def test_each_command_is_padded_by_its_rule(command: DataCommand, expected: str) -> None:
    assert tmi([command]).hex().upper() == expected


commands = st.builds(
    DataCommand,
    st.sampled_from([0xAD, 0x8D, 0xAB, 0x8B, 0xDC]),
    st.binary(min_size=1, max_size=10),
    st.binary(max_size=70),
)


@given(st.lists(commands, max_size=6))
def test_the_input_is_whole_blocks_in_the_order_of_the_commands(given_commands: list[DataCommand]) -> None:
    whole = tmi(given_commands)
    assert len(whole) % 16 == 0
    assert whole == b"".join(tmi([command]) for command in given_commands)


def test_the_value_depends_on_everything() -> None:
    covered = tmi([DataCommand(0xDC, b"\x03", b"\x26\0\0\0")])
    values = {
        transaction_mac_value(TMK, UID, 1, covered),
        transaction_mac_value(TMK, UID, 2, covered),
        transaction_mac_value(TMK, UID[::-1], 1, covered),
        transaction_mac_value(AesKey(bytes(16)), UID, 1, covered),
        transaction_mac_value(TMK, UID, 1, covered + bytes(16)),
    }
    assert len(values) == 5
    assert {len(value) for value in values} == {TMV_BYTES} == {8}
    assert READER_ID_BYTES == 16


def test_a_reader_id_can_be_read_by_whoever_has_the_key_of_that_transaction() -> None:
    _, enc = session_tm_keys(TMK, 7, UID)
    answer = encrypt_reader_id(enc, b"TERMINAL-0000017")
    assert decrypt_reader_id(enc, answer) == b"TERMINAL-0000017"
    _, other = session_tm_keys(TMK, 8, UID)
    assert decrypt_reader_id(other, answer) != b"TERMINAL-0000017"


def test_the_cards_answer() -> None:
    assert TransactionMac.parse(b"\x2a\0\0\0" + b"12345678") == TransactionMac(42, b"12345678")
    with pytest.raises(ValueError, match="11 bytes"):
        TransactionMac.parse(bytes(11))


def test_a_proof_is_twelve_bytes_the_counter_first() -> None:
    found = TransactionMac.parse(bytes.fromhex("785634120102030405060708"))
    assert (found.counter, found.value.hex()) == (0x12345678, "0102030405060708")
    for length in (0, 11, 13, 16):
        with pytest.raises(ValueError, match="expected 12"):
            TransactionMac.parse(bytes(length))
