"""Commit, abort, authentication inside a transaction, the transaction MAC file and CommitReaderID."""

from __future__ import annotations

import pytest

from tests.sim.bench import (
    BACKUP,
    CYCLIC,
    FULL,
    MASTER,
    READ,
    READ_WRITE,
    STANDARD_FREE,
    STANDARD_FULL,
    TMAC,
    TMAC_KEY,
    VALUE,
    WRITE,
    ZERO,
    Bench,
    commit,
    debit,
    example,
    get_value,
    le,
    read_records,
    write_record,
)
from tests.sim.test_traps import expected_tmv

READER = b"validator no. 7."


def with_tmac(read_write: int) -> Bench:
    """The example card with a transaction MAC file whose ReadWrite nibble is this."""
    bench = example()
    bench.select()
    bench.authenticate(MASTER, ZERO)
    rights = bytes((read_write << 4, 0x1F))
    bench.ok(0xCE, bytes((TMAC, 0x01)) + rights + b"\x02", TMAC_KEY + b"\0", FULL)
    return bench


def zeros(data: bytes) -> bytes:
    return data + bytes(-len(data) % 16)


def test_a_commit_is_all_files_at_once() -> None:
    bench = example()
    bench.begin(READ_WRITE)
    bench.ok(0x8D, bytes((BACKUP,)) + le(0) + le(4), b"new!")
    assert write_record(bench, b"a whole record..") == 0
    assert debit(bench, 300) == 0
    before = bench.card.image()
    assert bench.card.clone().image() == before
    assert commit(bench)[0] == 0
    after = bench.card.image()
    files = after["applications"]["A10001"]["files"]
    assert files["01"]["content"].startswith("6E657721")
    assert (files["03"]["value"], len(files["02"]["records"])) == (700, 1)
    assert before["applications"]["A10001"]["files"]["03"]["value"] == 1000


@pytest.mark.parametrize("loss", ["power", "reset", "select", "abort", "error"])
def test_everything_pending_is_lost_together(loss: str) -> None:
    bench = example()
    bench.begin(READ_WRITE)
    bench.ok(0x8D, bytes((BACKUP,)) + le(0) + le(4), b"new!")
    assert write_record(bench, b"a whole record..") == 0
    assert debit(bench, 300) == 0
    before = bench.card.image()
    match loss:
        case "power":
            bench.card.power_off()
            bench.card.power_on()
        case "reset":
            bench.card.reset()
        case "select":
            bench.select()
        case "abort":
            bench.ok(0xA7)
        case _:
            bench.run(0xF5, b"\x1e")
    bench.begin(READ_WRITE)
    assert commit(bench)[0] == 0x0C
    assert bench.card.image() == before


def test_abort_keeps_the_authentication() -> None:
    bench = example()
    bench.begin(READ_WRITE)
    assert debit(bench, 300) == 0
    bench.ok(0xA7)
    assert get_value(bench) == 1000


def test_abort_of_nothing_is_no_changes_and_an_error() -> None:
    bench = example()
    bench.begin(READ_WRITE)
    assert bench.run(0xA7) == (0x0C, b"")
    assert bench.wrapped(0x6C, bytes((VALUE,)))[0] == 0xAE


def test_authentication_inside_a_transaction_does_not_end_it() -> None:
    bench = example()
    bench.begin(READ)
    assert debit(bench, 300) == 0
    assert bench.authenticate(WRITE, non_first=True) == 0
    bench.ok(0x8D, bytes((BACKUP,)) + le(0) + le(4), b"new!")
    assert bench.authenticate(READ_WRITE) == 0
    assert commit(bench)[0] == 0
    assert get_value(bench) == 700
    assert bench.ok(0xAD, bytes((BACKUP,)) + le(0) + le(4)) == b"new!"


def test_non_first_keeps_identifier_and_counter() -> None:
    bench = example()
    bench.begin(READ)
    bench.ok(0x6F)
    before = bench.session
    assert bench.authenticate(WRITE, non_first=True) == 0
    assert before is not None
    assert bench.session is not None
    assert (bench.session.ti, bench.session.counter) == (before.ti, 1)
    bench.ok(0x6F)


def test_commit_takes_one_option_byte_of_0_or_1() -> None:
    for option, status in ((b"\x02", 0x9E), (b"\x00\x00", 0x7E), (b"\x00", 0)):
        bench = example()
        bench.begin(READ_WRITE)
        assert debit(bench, 1) == 0
        assert commit(bench, option) == (status, b"")


def test_a_transaction_that_only_read_is_proved() -> None:
    bench = example(proving=True)
    bench.begin(READ_WRITE)
    assert get_value(bench) == 1000
    assert bench.ok(0xAD, bytes((BACKUP,)) + le(60) + le(0)) == bytes(4)
    status, proof = commit(bench, b"\x01")
    tmi = zeros(b"\x6c\x03" + le(1000, 4)) + zeros(b"\xad\x01" + le(60) + le(4)) + zeros(bytes(4))
    assert (status, proof) == (0, le(1, 4) + expected_tmv(1, tmi))


def test_every_data_command_enters_the_proof_in_order() -> None:
    bench = example(proving=True)
    bench.begin(READ_WRITE)
    for record in (b"first record....", b"second record..."):
        assert write_record(bench, record) == 0
        assert commit(bench)[0] == 0
    assert bench.ok(0xAB, bytes((CYCLIC,)) + le(0) + le(0)) == b"first record....second record..."
    tmi = zeros(b"\xab" + bytes((CYCLIC,)) + le(0) + le(2)) + b"first record....second record..."
    header = bytes((CYCLIC,)) + le(0) + le(4) + le(3)
    bench.ok(0xBA, header, b"NEW")
    tmi += zeros(b"\xba" + header) + zeros(b"NEW")
    bench.ok(0x8D, bytes((STANDARD_FULL,)) + le(0) + le(2), b"ab", FULL)
    tmi += zeros(b"\x8d" + bytes((STANDARD_FULL,)) + le(0) + le(2)) + zeros(b"ab")
    bench.ok(0xEB, bytes((5,)))
    tmi += zeros(b"\xeb\x05")
    bench.ok(0x0C, bytes((VALUE,)), le(7, 4), FULL)
    tmi += zeros(b"\x0c\x03" + le(7, 4))
    assert commit(bench, b"\x01") == (0, le(3, 4) + expected_tmv(3, tmi))


def test_reading_the_transaction_mac_file_is_not_proved() -> None:
    bench = example(proving=True)
    bench.begin(READ)
    assert bench.ok(0xAD, bytes((TMAC,)) + le(0) + le(0)) == bytes(12)
    assert commit(bench, b"\x01")[0] == 0x0C


def test_abort_clears_the_proof_and_the_counter_is_used_again() -> None:
    bench = example(proving=True)
    bench.begin(READ_WRITE)
    assert get_value(bench) == 1000
    bench.ok(0xA7)
    assert debit(bench, 1) == 0
    assert commit(bench, b"\x01") == (0, le(1, 4) + expected_tmv(1, zeros(b"\xdc\x03" + le(1, 4))))


def test_commit_without_asking_still_counts() -> None:
    bench = example(proving=True)
    bench.begin(READ)
    assert debit(bench, 1) == 0
    assert commit(bench) == (0, b"")
    assert bench.ok(0xAD, bytes((TMAC,)) + le(0) + le(4)) == le(1, 4)


def test_reader_id_is_required_where_the_file_says_so() -> None:
    bench = with_tmac(READ_WRITE)
    bench.begin(READ_WRITE)
    assert debit(bench, 1) == 0
    assert commit(bench)[0] == 0x9D
    bench.begin(READ_WRITE)
    assert get_value(bench) == 1000


def test_reader_id_is_the_named_keys_alone_and_once() -> None:
    bench = with_tmac(READ_WRITE)
    bench.begin(READ)
    assert bench.run(0xC8, b"", READER)[0] == 0xAE
    bench.begin(READ_WRITE)
    bench.ok(0xC8, b"", READER)
    assert bench.run(0xC8, b"", READER)[0] == 0x9D


def test_reader_id_disabled_or_without_transaction_mac() -> None:
    for bench in (example(), example(proving=True)):
        bench.begin(READ_WRITE)
        assert bench.run(0xC8, b"", READER)[0] == 0x9D


def test_reader_id_alone_makes_a_transaction_and_is_remembered_after_commit_only() -> None:
    bench = with_tmac(READ_WRITE)
    bench.begin(READ_WRITE)
    bench.ok(0xC8, b"", READER)
    bench.ok(0xA7)
    previous = lambda: bench.card.image()["applications"]["A10001"]["files"]["0F"]["previous_reader"]  # noqa: E731
    assert previous() == "00" * 16
    answer = bench.ok(0xC8, b"", READER)
    proof = commit(bench, b"\x01")
    assert proof == (0, le(1, 4) + expected_tmv(1, zeros(b"\xc8" + READER + answer)))
    assert previous() == READER.hex().upper()


def test_the_commit_reader_id_right_does_not_open_the_file_for_reading() -> None:
    bench = with_tmac(14)
    bench.begin(WRITE)
    assert bench.run(0xAD, bytes((TMAC,)) + le(0) + le(0))[0] == 0xAE
    bench.begin(READ)
    assert bench.ok(0xAD, bytes((TMAC,)) + le(0) + le(0)) == bytes(12)


def test_reader_id_may_be_required_of_anybody() -> None:
    bench = with_tmac(14)
    bench.begin(READ)
    assert debit(bench, 1) == 0
    assert commit(bench)[0] == 0x9D
    bench.begin(READ)
    assert debit(bench, 1) == 0
    assert len(bench.ok(0xC8, b"", READER)) == 16
    assert commit(bench)[0] == 0


def test_transaction_limit_stops_data_commands_and_shows_in_selection() -> None:
    bench = with_tmac(15)
    bench.ok(0x5F, bytes((TMAC,)), bytes.fromhex("21F01F") + le(1, 4), FULL)
    assert bench.ok(0xF5, bytes((TMAC,))) == bytes.fromhex("0521F01F0200") + le(1, 4)
    bench.begin(READ)
    assert debit(bench, 1) == 0
    assert commit(bench)[0] == 0
    for ins, header in (
        (0x6C, bytes((VALUE,))),
        (0xAD, bytes((STANDARD_FREE,)) + le(0) + le(1)),
        (0xAB, bytes((CYCLIC,)) + bytes(6)),
        (0xC8, READER),
    ):
        bench.begin(READ)
        assert bench.run(ins, header)[0] == 0x9D, f"{ins:02X}"
    bench.begin(READ)
    assert bench.ok(0xAD, bytes((TMAC,)) + le(0) + le(4)) == le(1, 4)
    assert bench.transmit("00A4040C05F054455354") == bytes.fromhex("6283")


def test_unauthenticated_operations_may_be_left_out_of_the_proof() -> None:
    bench = with_tmac(15)
    bench.ok(0x5F, bytes((TMAC,)), bytes.fromhex("11F01F"), FULL)
    bench.select()
    read = bytes((STANDARD_FREE,)) + le(0) + le(1)
    assert bench.wrapped(0xAD, read) == (0, b"\0")
    assert bench.wrapped(0xC7)[0] == 0x0C


def test_creating_the_transaction_mac_file_ends_the_running_transaction() -> None:
    bench = example()
    bench.begin(READ_WRITE)
    assert debit(bench, 1) == 0
    bench.authenticate(MASTER, ZERO)
    bench.ok(0xCE, bytes((TMAC,)) + bytes.fromhex("01F01F02"), TMAC_KEY + b"\0", FULL)
    assert commit(bench)[0] == 0x0C


def test_deleting_and_creating_it_again_starts_counting_anew() -> None:
    bench = example(proving=True)
    bench.begin(READ)
    assert debit(bench, 1) == 0
    assert commit(bench)[0] == 0
    bench.select()
    bench.authenticate(MASTER, ZERO)
    bench.ok(0xDF, bytes((TMAC,)))
    bench.ok(0xCE, bytes((TMAC,)) + bytes.fromhex("01F01F02"), TMAC_KEY + b"\0", FULL)
    bench.begin(READ)
    assert bench.ok(0xAD, bytes((TMAC,)) + le(0) + le(0)) == bytes(12)


def test_changes_of_a_clone_do_not_reach_the_original() -> None:
    bench = example()
    twin = Bench(bench.card.clone())
    twin.begin(READ_WRITE)
    assert write_record(twin, b"a whole record..") == 0
    assert commit(twin)[0] == 0
    bench.begin(READ)
    assert read_records(bench)[0] == 0xBE
    assert twin.card.image() != bench.card.image()
