"""Value files: limits, accumulation, limited credit."""

from __future__ import annotations

import pytest

from tests.sim.bench import (
    FULL,
    MAC,
    PLAIN,
    READ_WRITE,
    VALUE,
    WRITE,
    commit,
    credit,
    debit,
    example,
    get_value,
    le,
    limited_credit,
)


def allowance(bench) -> int:
    return bench.card.image()["applications"]["A10001"]["files"]["03"]["allowance"]


def test_changes_accumulate_until_the_commit() -> None:
    bench = example()
    bench.begin(READ_WRITE)
    assert (credit(bench, 500), debit(bench, 200), debit(bench, 100)) == (0, 0, 0)
    assert commit(bench)[0] == 0
    assert get_value(bench) == 1200


def test_a_debit_may_use_a_pending_credit() -> None:
    bench = example()
    bench.begin(READ_WRITE)
    assert (credit(bench, 500), debit(bench, 1500)) == (0, 0)
    assert commit(bench)[0] == 0
    assert get_value(bench) == 0


@pytest.mark.parametrize("changes", [(debit, 1001), (credit, 99_001), (credit, 0x7FFFFFFF)])
def test_limits_are_a_boundary_error(changes) -> None:
    change, amount = changes
    bench = example()
    bench.begin(READ_WRITE)
    assert change(bench, amount) == 0xBE


def test_the_last_kopeck_can_be_spent() -> None:
    bench = example()
    bench.begin(READ_WRITE)
    assert debit(bench, 1000) == 0
    assert commit(bench)[0] == 0
    assert get_value(bench) == 0


@pytest.mark.parametrize("ins", [0xDC, 0x0C, 0x1C])
@pytest.mark.parametrize("amount", [0x80000000, 0xFFFFFFFF])
def test_negative_amounts_are_parameter_errors(ins: int, amount: int) -> None:
    bench = example()
    bench.begin(READ_WRITE)
    assert bench.run(ins, bytes((VALUE,)), le(amount, 4), FULL)[0] == 0x9E


@pytest.mark.parametrize("length", [0, 3, 5])
def test_amounts_are_four_bytes(length: int) -> None:
    bench = example()
    bench.begin(READ_WRITE)
    assert bench.run(0xDC, bytes((VALUE,)), bytes(length), FULL)[0] == 0x7E


def test_limited_credit_gives_back_at_most_the_last_debits_once() -> None:
    bench = example()
    bench.begin(READ_WRITE)
    assert limited_credit(bench, 1) == 0xBE  # nothing was ever debited
    bench.begin(READ_WRITE)
    assert (debit(bench, 100), debit(bench, 50)) == (0, 0)
    assert commit(bench)[0] == 0
    assert allowance(bench) == 150
    bench.begin(WRITE)
    assert limited_credit(bench, 151) == 0xBE
    bench.begin(WRITE)
    assert limited_credit(bench, 150) == 0
    assert commit(bench)[0] == 0
    assert (allowance(bench), get_value(bench)) == (0, 1000)
    assert limited_credit(bench, 1) == 0xBE


def test_limited_credit_works_once_in_a_transaction() -> None:
    bench = example()
    bench.begin(READ_WRITE)
    assert debit(bench, 100) == 0
    assert commit(bench)[0] == 0
    assert limited_credit(bench, 10) == 0
    assert limited_credit(bench, 10) == 0xBE


def test_debit_in_the_same_transaction_does_not_raise_the_allowance() -> None:
    bench = example()
    bench.begin(READ_WRITE)
    assert debit(bench, 100) == 0
    assert limited_credit(bench, 100) == 0xBE


def test_credit_leaves_the_allowance_and_limited_credit_of_0_clears_it() -> None:
    bench = example()
    bench.begin(READ_WRITE)
    assert debit(bench, 100) == 0
    assert commit(bench)[0] == 0
    assert credit(bench, 100) == 0
    assert commit(bench)[0] == 0
    assert allowance(bench) == 100
    assert limited_credit(bench, 0) == 0
    assert commit(bench)[0] == 0
    assert allowance(bench) == 0


def test_limited_credit_needs_the_file_to_allow_it() -> None:
    bench = example()
    bench.select()
    bench.authenticate(0, bytes(16))
    create = bytes((9,)) + b"\x01" + bytes.fromhex("3012") + le(0, 4) + le(100, 4) + le(50, 4) + b"\0"
    bench.ok(0xCC, create)
    bench.begin(READ_WRITE)
    assert bench.run(0x1C, b"\x09", le(0, 4))[0] == 0x9D


def test_free_get_value_is_plain_for_everybody() -> None:
    bench = example()
    bench.select()
    bench.authenticate(0, bytes(16))
    lower, value = (-50).to_bytes(4, "little", signed=True), (-7).to_bytes(4, "little", signed=True)
    bench.ok(0xCC, bytes((9,)) + b"\x01" + bytes.fromhex("3012") + lower + le(100, 4) + value + b"\x02")
    assert bench.ok(0x6C, b"\x09", b"", PLAIN) == value
    bench.select()
    assert bench.wrapped(0x6C, b"\x09") == (0, value)
    bench.begin(READ_WRITE)
    assert bench.ok(0x6C, b"\x09", b"", MAC) == value  # a key that may read reads in the file's mode
