"""What implementers of DESFire get wrong (datasheet 8 to 11), as far as a card is concerned: one test each."""

from __future__ import annotations

import pytest

from cardproto.desfire.crypto import ZERO_IV, AesKey, rotate_left, truncate_mac
from cardproto.desfire.messaging import Session
from sim.card.virtual import VirtualCard
from tests.sim.bench import (
    AID,
    BACKUP,
    CYCLIC,
    DF_NAME,
    FULL,
    MAC,
    MASTER,
    PICC,
    PLAIN,
    READ,
    READ_WRITE,
    STANDARD_FREE,
    STANDARD_FULL,
    TMAC,
    TMAC_KEY,
    UID,
    VALUE,
    WRITE,
    ZERO,
    Bench,
    Counting,
    commit,
    credit,
    debit,
    example,
    get_value,
    key,
    le,
    read_records,
    write_record,
)
from tests.vectors.fields import keys_in

EMPTY_DATA = bytes(16)


def test_trap_01_mac_takes_the_odd_bytes() -> None:
    bench = example()
    bench.begin(READ)
    session = bench.session
    assert session is not None
    whole = keys_in(session)[1].cmac(b"\x6f" + le(0, 2) + session.ti)
    assert bench.wrapped(0x6F, whole[0::2])[0] == 0x1E
    bench.begin(READ)
    session = bench.session
    assert session is not None
    whole = keys_in(session)[1].cmac(b"\x6f" + le(0, 2) + session.ti)
    status, answer = bench.wrapped(0x6F, whole[1::2])
    assert status == 0
    assert answer[-8:] == keys_in(session)[1].cmac(b"\x00" + le(1, 2) + session.ti + answer[:-8])[1::2]


def test_trap_02_response_uses_the_counter_plus_one() -> None:
    bench = example()
    bench.begin(READ)
    session = bench.session
    assert session is not None
    status, answer = bench.wrapped(0x6F, bench.protect(0x6F, b"", b"", MAC))
    assert status == 0
    assert answer[-8:] != session.response_mac(answer[:-8])
    session.counter += 1
    assert answer[-8:] == session.response_mac(answer[:-8])


def test_trap_03_plain_commands_count() -> None:
    bench = example()
    bench.begin(READ)
    for _ in range(3):
        bench.ok(0xAD, bytes((STANDARD_FREE,)) + le(0) + le(1), b"", PLAIN)
    assert bench.session is not None
    assert bench.session.counter == 3
    assert bench.ok(0x6F)


def test_trap_04_full_mode_pads_a_whole_block_with_a_block() -> None:
    bench = example()
    bench.begin(READ_WRITE)
    bench.ok(0x8D, bytes((STANDARD_FULL,)) + le(0) + le(16), bytes(range(16)), FULL)
    status, answer = bench.wrapped(
        0xAD, bench.protect(0xAD, bytes((STANDARD_FULL,)) + le(0) + le(16), b"", FULL)
    )
    assert (status, len(answer)) == (0, 32 + 8)
    assert bench.accept(answer, FULL) == bytes(range(16))


def test_trap_05_empty_data_is_not_enciphered() -> None:
    bench = example()
    bench.begin(READ)
    status, answer = bench.wrapped(0x6C, bench.protect(0x6C, bytes((VALUE,)), b"", FULL))
    assert len(bench.sent[-1]) == 4 + 1 + 1 + 8 + 1  # number and MAC, no padding block
    assert bench.accept(answer, FULL) == le(1000, 4)
    assert status == 0
    _, empty = bench.wrapped(0xDC, bench.protect(0xDC, bytes((VALUE,)), le(1, 4), FULL))
    assert len(empty) == 8


def test_trap_06_zero_vector_only_in_authentication() -> None:
    bench = example()
    bench.begin(READ)
    session = bench.session
    assert session is not None
    _, answer = bench.wrapped(0x51, bench.protect(0x51, b"", b"", FULL))
    assert keys_in(session)[0].decrypt(ZERO_IV, answer[:-8])[:7] != UID
    assert bench.accept(answer, FULL) == UID


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(lambda a, b: a + b, id="not rotated"),
        pytest.param(lambda a, b: a + b[-1:] + b[:-1], id="rotated to the right"),
        pytest.param(lambda a, b: a + bytes((x << 1 & 255) for x in b), id="rotated by a bit"),
    ],
)
def test_trap_07_rotation_is_one_byte_to_the_left(token) -> None:
    bench = example()
    bench.select()
    cipher = AesKey(key(READ))
    _, cryptogram = bench.wrapped(0x71, bytes((READ, 0)))
    rnd_a, rnd_b = bytes(16), cipher.decrypt(ZERO_IV, cryptogram)
    assert bench.wrapped(0xAF, cipher.encrypt(ZERO_IV, token(rnd_a, rnd_b))) == (0xAE, b"")
    _, cryptogram = bench.wrapped(0x71, bytes((READ, 0)))
    rnd_b = cipher.decrypt(ZERO_IV, cryptogram)
    status, proof = bench.wrapped(0xAF, cipher.encrypt(ZERO_IV, rnd_a + rotate_left(rnd_b)))
    assert status == 0
    assert cipher.decrypt(ZERO_IV, proof)[4:20] == rotate_left(rnd_a)


def test_trap_08_session_vector_window() -> None:
    """Session keys written out by hand from the reference, then used for one command."""
    bench = example()
    bench.select()
    cipher = AesKey(key(READ))
    _, cryptogram = bench.wrapped(0x71, bytes((READ, 0)))
    a, b = bytes(range(0x80, 0x90)), cipher.decrypt(ZERO_IV, cryptogram)
    _, proof = bench.wrapped(0xAF, cipher.encrypt(ZERO_IV, a + b[1:] + b[:1]))
    ti = cipher.decrypt(ZERO_IV, proof)[:4]
    mixed = bytes(x ^ y for x, y in zip(a[2:8], b[0:6], strict=True))
    vector = bytes.fromhex("5AA500010080") + a[0:2] + mixed + b[6:16] + a[8:16]
    mac_key = AesKey(cipher.cmac(vector))
    status, _ = bench.wrapped(0x6F, truncate_mac(mac_key.cmac(b"\x6f\0\0" + ti)))
    assert status == 0


@pytest.mark.parametrize(
    ("ins", "data", "status"),
    [
        pytest.param(0x6F, bytes(8), 0x1E, id="wrong MAC"),
        pytest.param(0xF5, b"\x1e" + bytes(8), 0x1E, id="wrong MAC on settings"),
        pytest.param(0xAD, b"\x1e" + bytes(14), 0xF0, id="no such file"),
        pytest.param(0x99, b"", 0x1C, id="unknown command"),
        pytest.param(0x5A, b"\x09\x09\x09", 0xA0, id="unknown application"),
        pytest.param(0xAF, b"", 0x1C, id="frame without chain"),
        pytest.param(0x6F, b"", 0x7E, id="no MAC at all"),
    ],
)
def test_trap_09_any_error_kills_session_and_pending_changes(ins: int, data: bytes, status: int) -> None:
    bench = example()
    bench.begin(READ_WRITE)
    assert write_record(bench, b"pending record..") == 0
    assert debit(bench, 100) == 0
    assert bench.wrapped(ins, data) == (status, b"")
    assert bench.wrapped(0x6C, bytes((VALUE,))) == (0xAE, b"")
    bench.begin(READ_WRITE)
    assert commit(bench)[0] == 0x0C
    bench.begin(READ_WRITE)
    assert get_value(bench) == 1000


def test_trap_10_reads_show_old_data_before_commit() -> None:
    bench = example()
    bench.begin(READ_WRITE)
    bench.ok(0x8D, bytes((BACKUP,)) + le(0) + le(4), b"new!")
    assert debit(bench, 400) == 0
    assert write_record(bench, b"new record......") == 0
    assert bench.ok(0xAD, bytes((BACKUP,)) + le(0) + le(4)) == bytes(4)
    assert get_value(bench) == 1000
    assert commit(bench)[0] == 0
    assert bench.ok(0xAD, bytes((BACKUP,)) + le(0) + le(4)) == b"new!"
    assert get_value(bench) == 600
    assert read_records(bench) == (0, b"new record......")


def test_trap_11_record_0_is_newest_but_the_oldest_travels_first() -> None:
    bench = example()
    bench.begin(READ_WRITE)
    for text in (b"first...........", b"second..........", b"third..........."):
        assert write_record(bench, text) == 0
        assert commit(bench)[0] == 0
    assert read_records(bench, 0, 1) == (0, b"third...........")
    assert read_records(bench, 1, 2) == (0, b"first..........." + b"second..........")
    assert read_records(bench)[1][:16] == b"first..........."


def test_trap_12_access_right_nibbles() -> None:
    """Rights 1230 travel as 30 12; each key may do its own commands only."""
    bench = example()
    settings = bench.card.image()["applications"]["A10001"]["files"]["01"]
    assert settings["rights"] == ["1230"]
    may = {}
    for number in (READ, WRITE, READ_WRITE, 4):
        bench.begin(number)
        reads = bench.run(0xAD, bytes((BACKUP,)) + le(0) + le(1))[0]
        bench.begin(number)
        writes = bench.run(0x8D, bytes((BACKUP,)) + le(0) + le(1), b"x")[0]
        may[number] = (reads, writes)
    assert may == {READ: (0, 0xAE), WRITE: (0xAE, 0), READ_WRITE: (0, 0), 4: (0xAE, 0xAE)}


def test_trap_13_debit_needs_only_read_and_credit_needs_read_write() -> None:
    may = {}
    for number in (READ, WRITE, READ_WRITE, 4):
        bench = example()
        bench.begin(number)
        debits = debit(bench, 1)
        bench.begin(number)
        may[number] = (debits, credit(bench, 1))
    assert may == {READ: (0, 0xAE), WRITE: (0, 0xAE), READ_WRITE: (0, 0), 4: (0xAE, 0xAE)}


def test_trap_15_crc_of_a_new_key_is_not_inverted() -> None:
    bench = example()
    bench.select()
    bench.authenticate(MASTER, ZERO)
    new = bytes.fromhex("01234567890123456789012345678901")
    mixed = bytes(a ^ b for a, b in zip(new, key(1), strict=True))
    inverted = bytes(255 - b for b in bytes.fromhex("A0A60868"))
    assert bench.run(0xC4, b"\x01", mixed + b"\x10" + inverted, FULL)[0] == 0x1E
    bench.select()
    bench.authenticate(MASTER, ZERO)
    bench.ok(0xC4, b"\x01", mixed + b"\x10" + bytes.fromhex("A0A60868"), FULL)
    bench.select()
    assert bench.authenticate(1, new) == 0


def test_trap_16_changing_the_authenticated_key_is_answered_without_mac() -> None:
    bench = example()
    bench.select()
    bench.authenticate(MASTER, ZERO)
    new = b"a new master key"
    assert bench.wrapped(0xC4, bench.protect(0xC4, b"\0", new + b"\x07", FULL)) == (0, b"")
    assert bench.wrapped(0xC4, bytes(25))[0] == 0xAE  # nobody is authenticated any more
    bench.select()
    assert bench.authenticate(MASTER, new) == 0


def test_trap_17_free_access_under_authentication_goes_plain() -> None:
    bench = example()
    bench.begin(4)
    answer = bench.ok(0xAD, bytes((STANDARD_FREE,)) + le(0) + le(8), b"", PLAIN)
    assert answer == bytes(8)
    assert bench.session is not None
    assert bench.session.counter == 1


def test_trap_18_transaction_mac_covers_plain_data_and_the_real_ins() -> None:
    """The value file travels enciphered, the record by the native-chained code: TMI has neither."""
    bench = example(proving=True)
    bench.begin(READ_WRITE)
    assert debit(bench, 38) == 0
    header = bytes((CYCLIC,)) + le(0) + le(16)
    bench.ok(0x3B, header, b"A record of 16 b")
    status, proof = commit(bench, b"\x01")
    assert status == 0
    tmi = (
        (b"\xdc\x03" + le(38, 4)).ljust(16, b"\0") + (b"\x3b" + header).ljust(16, b"\0") + b"A record of 16 b"
    )
    assert proof == le(1, 4) + expected_tmv(1, tmi)


def expected_tmv(counter: int, tmi: bytes) -> bytes:
    """The reference's formula, written out."""
    session_key = AesKey(AesKey(TMAC_KEY).cmac(bytes.fromhex("5A00010080") + le(counter, 4) + UID))
    return session_key.cmac(tmi)[1::2]


def test_trap_19_session_key_of_the_transaction_mac_uses_counter_plus_one() -> None:
    bench = example(proving=True)
    bench.begin(READ_WRITE)
    for counter in (1, 2, 3):
        bench.ok(0x8D, bytes((BACKUP,)) + le(0) + le(1), b"x")
        tmi = (b"\x8d" + bytes((BACKUP,)) + le(0) + le(1)).ljust(16, b"\0") + b"x".ljust(16, b"\0")
        assert commit(bench, b"\x01") == (0, le(counter, 4) + expected_tmv(counter, tmi))


def test_trap_20_previous_reader_is_not_enciphered_with_the_session_key() -> None:
    bench = example()
    bench.select()
    bench.authenticate(MASTER, ZERO)
    bench.ok(0xCE, bytes((TMAC,)) + bytes.fromhex("01301F02"), TMAC_KEY + b"\0", FULL)
    bench.begin(READ_WRITE)
    assert debit(bench, 1) == 0
    bench.ok(0xC8, b"", b"validator no. 1.")
    assert commit(bench)[0] == 0
    session = bench.session
    assert debit(bench, 1) == 0
    answer = bench.ok(0xC8, b"", b"validator no. 2.")
    cipher = AesKey(AesKey(TMAC_KEY).cmac(bytes.fromhex("A500010080") + le(2, 4) + UID))
    assert cipher.decrypt(ZERO_IV, answer) == b"validator no. 1."
    assert session is not None
    assert keys_in(session)[0].decrypt(ZERO_IV, answer) != b"validator no. 1."


def test_trap_21_second_commit_has_nothing_to_commit() -> None:
    bench = example(proving=True)
    bench.begin(READ_WRITE)
    assert debit(bench, 1) == 0
    assert commit(bench, b"\x01")[0] == 0
    assert commit(bench, b"\x01") == (0x0C, b"")
    assert bench.wrapped(0x6C, bytes((VALUE,)))[0] == 0xAE  # it was an error like any other


def test_trap_22_option_1_without_transaction_mac_is_a_parameter_error() -> None:
    bench = example()
    bench.begin(READ_WRITE)
    assert debit(bench, 1) == 0
    assert commit(bench, b"\x01") == (0x9E, b"")


def test_trap_23_selection_resets_everything_even_of_the_same_application() -> None:
    bench = example()
    bench.begin(READ_WRITE)
    assert debit(bench, 1) == 0
    bench.select()
    assert bench.wrapped(0x6C, bytes((VALUE,)))[0] == 0xAE
    bench.begin(READ_WRITE)
    assert commit(bench)[0] == 0x0C


def test_trap_24_a_lost_commit_answer_can_be_recovered() -> None:
    bench = example(proving=True)
    bench.begin(READ_WRITE)
    assert write_record(bench, b"the newest event") == 0
    _, lost = commit(bench, b"\x01")
    bench.card.power_off()
    bench.begin(READ)
    kept = bench.ok(0xAD, bytes((TMAC,)) + le(0) + le(12))
    assert kept == lost
    assert read_records(bench, 0, 1) == (0, b"the newest event")


def test_trap_25_iso_ids_are_little_endian_inside_native_commands_only() -> None:
    bench = example()
    bench.select()
    assert bench.wrapped(0x61) == (0, bytes.fromhex("00EF"))
    assert bench.transmit("00A4020C02EF00") == bytes.fromhex("9000")
    assert bench.transmit("00A4020C0200EF") == bytes.fromhex("6A82")
    bench.select(PICC)
    assert bench.chained(0x6D) == (0, AID + bytes.fromhex("5A4B") + DF_NAME)
    assert bench.transmit("00A4000C024B5A") == bytes.fromhex("9000")


def test_trap_26_standard_files_are_not_transactional() -> None:
    bench = example()
    bench.begin(READ_WRITE)
    bench.ok(0x8D, bytes((STANDARD_FULL,)) + le(0) + le(3), b"now", FULL)
    assert bench.ok(0xAD, bytes((STANDARD_FULL,)) + le(0) + le(3), b"", FULL) == b"now"
    assert commit(bench)[0] == 0x0C
    bench.begin(READ_WRITE)
    assert bench.ok(0xAD, bytes((STANDARD_FULL,)) + le(0) + le(3), b"", FULL) == b"now"


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ("60", "AF04010112001A05"),
        ("6A", "000100A1"),
        ("AF", "1C"),
        ("C7", "0C"),
        ("A7", "0C"),
        ("FC", "AE"),
        ("45", "000F81"),
        ("51", "AE"),
        ("6F", "9D"),
        ("90", "1C"),
        ("FF", "1C"),
    ],
)
def test_trap_27_one_byte_native_commands(message: str, answer: str) -> None:
    assert example().transmit(message) == bytes.fromhex(answer)


def test_authentication_offers_nothing_to_the_unauthenticated() -> None:
    bench = Bench(VirtualCard(UID, Counting()))
    assert bench.authenticate(0, b"not the card key") == 0xAE
    assert bench.authenticate(1, ZERO) == 0x40
    assert bench.wrapped(0x77, b"\0")[0] == 0x9D


def test_a_session_is_worth_65535_commands() -> None:
    bench = example()
    bench.begin(READ)
    session, inside = bench.session, bench.card._state.session
    assert isinstance(session, Session)
    assert inside is not None
    session.counter = inside.counter = 0xFFFE
    bench.ok(0x6F)
    assert bench.run(0x6F)[0] == 0x1E
