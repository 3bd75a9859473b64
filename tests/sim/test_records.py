"""Record and data files: bounds, the pending record, cyclic overwriting, both chaining families."""

from __future__ import annotations

import pytest

from tests.sim.bench import (
    BACKUP,
    CYCLIC,
    FULL,
    LINEAR,
    MAC,
    READ,
    READ_WRITE,
    STANDARD_FULL,
    commit,
    example,
    le,
    read_records,
    write_record,
)


def record(number: int) -> bytes:
    return b"record %09d" % number


def update(bench, number: int, offset: int, data: bytes, file: int = CYCLIC, ins: int = 0xBA) -> int:
    return bench.run(ins, bytes((file,)) + le(number) + le(offset) + le(len(data)), data)[0]


def filled(count: int, file: int = CYCLIC):
    bench = example()
    bench.begin(READ_WRITE)
    for number in range(count):
        assert write_record(bench, record(number), file) == 0
        assert commit(bench)[0] == 0
    return bench


def test_cyclic_file_keeps_one_record_less_than_created_and_drops_the_oldest() -> None:
    bench = filled(5)
    assert read_records(bench) == (0, record(2) + record(3) + record(4))
    settings = bench.ok(0xF5, bytes((CYCLIC,)))
    assert settings == bytes.fromhex("04013012") + le(16) + le(4) + le(3)


def test_linear_file_is_full_at_its_number() -> None:
    bench = filled(2, LINEAR)
    assert write_record(bench, record(2), LINEAR) == 0xBE
    bench.begin(READ_WRITE)
    assert read_records(bench, file=LINEAR) == (0, record(0) + record(1))


def test_repeated_writes_fill_the_same_pending_record_which_starts_zero() -> None:
    bench = filled(1)
    assert write_record(bench, b"ab", offset=0) == 0
    assert write_record(bench, b"yz", offset=14) == 0
    assert commit(bench)[0] == 0
    assert read_records(bench) == (0, record(0) + b"ab" + bytes(12) + b"yz")


@pytest.mark.parametrize(("offset", "length"), [(0, 17), (16, 1), (15, 2), (0xFFFFFF, 1)])
def test_writing_past_the_record_is_a_boundary_error(offset: int, length: int) -> None:
    bench = filled(1)
    assert write_record(bench, bytes(length), offset=offset) == 0xBE


@pytest.mark.parametrize(("first", "count"), [(2, 0), (2, 1), (0, 3), (1, 2), (0xFFFFFF, 0)])
def test_reading_records_that_are_not_there_is_a_boundary_error(first: int, count: int) -> None:
    bench = filled(2)
    assert read_records(bench, first, count)[0] == 0xBE


def test_an_empty_record_file_cannot_be_read() -> None:
    bench = filled(0)
    assert read_records(bench)[0] == 0xBE


def test_update_record_changes_the_committed_record_at_commit() -> None:
    bench = filled(3)
    assert update(bench, 1, 0, b"RECORD") == 0
    assert read_records(bench, 1, 1) == (0, record(1))
    assert commit(bench)[0] == 0
    assert read_records(bench) == (0, record(0) + b"RECORD" + record(1)[6:] + record(2))


@pytest.mark.parametrize("first", ["write", "update", "clear"])
def test_new_changed_and_cleared_records_do_not_mix(first: str) -> None:
    actions = {
        "write": lambda b: write_record(b, record(9)),
        "update": lambda b: update(b, 0, 0, b"x"),
        "clear": lambda b: b.run(0xEB, bytes((CYCLIC,)))[0],
    }
    for second in {"write", "update"} - {first}:
        bench = filled(2)
        assert actions[first](bench) == 0
        assert actions[second](bench) == 0x9D


def test_clear_empties_the_file_at_commit() -> None:
    bench = filled(2)
    bench.ok(0xEB, bytes((CYCLIC,)))
    assert read_records(bench) == (0, record(0) + record(1))
    assert commit(bench)[0] == 0
    assert read_records(bench)[0] == 0xBE


@pytest.mark.parametrize(("offset", "length"), [(64, 1), (0, 65), (63, 2), (64, 0), (0xFFFFFF, 0)])
def test_reading_past_the_file_is_a_boundary_error(offset: int, length: int) -> None:
    bench = example()
    bench.begin(READ)
    assert bench.run(0xAD, bytes((BACKUP,)) + le(offset) + le(length))[0] == 0xBE


def test_length_0_reads_to_the_end() -> None:
    bench = example()
    bench.begin(READ)
    assert bench.ok(0xAD, bytes((BACKUP,)) + le(60) + le(0)) == bytes(4)


@pytest.mark.parametrize("announced", [4, 6])
def test_announced_and_sent_length_must_agree(announced: int) -> None:
    bench = example()
    bench.begin(READ_WRITE)
    assert bench.run(0x8D, bytes((BACKUP,)) + le(0) + le(announced), b"five!")[0] == 0x7E


@pytest.mark.parametrize(("ins", "data"), [(0x8D, b""), (0x8B, b"")])
def test_writing_nothing_is_a_parameter_error(ins: int, data: bytes) -> None:
    bench = example()
    bench.begin(READ_WRITE)
    file = BACKUP if ins == 0x8D else CYCLIC
    assert bench.run(ins, bytes((file,)) + le(0) + le(0), data)[0] == 0x9E


@pytest.mark.parametrize("ins", [0xAD, 0x8D, 0xDC, 0x6C])
def test_commands_for_another_file_type_are_refused(ins: int) -> None:
    bench = example()
    bench.begin(READ_WRITE)
    header = bytes((CYCLIC,)) + (le(0) + le(1) if ins in (0xAD, 0x8D) else b"")
    assert bench.run(ins, header, b"")[0] == 0x9D


def chain(bench, ins: int, payload: bytes, frame: int) -> tuple[int, bytes]:
    """Send a native-chained command in frames of this size."""
    status, answer = bench.wrapped(ins, payload[:frame])
    for at in range(frame, len(payload), frame):
        assert (status, answer) == (0xAF, b"")
        status, answer = bench.wrapped(0xAF, payload[at : at + frame])
    return status, answer


@pytest.mark.parametrize("frame", [20, 54, 255])
@pytest.mark.parametrize(("file", "mode"), [(BACKUP, MAC), (STANDARD_FULL, FULL)])
def test_native_chained_write_is_one_command(frame: int, file: int, mode) -> None:
    bench = example()
    bench.begin(READ_WRITE)
    data = bytes(range(64))
    payload = bench.protect(0x3D, bytes((file,)) + le(0) + le(64), data, mode)
    status, answer = chain(bench, 0x3D, payload, frame)
    assert status == 0
    assert bench.accept(answer, mode) == b""
    if file == BACKUP:
        assert commit(bench)[0] == 0
    status, answer = bench.wrapped(0xBD, bench.protect(0xBD, bytes((file,)) + le(0) + le(0), b"", mode))
    assert (status, len(answer)) == (0xAF, 59)
    status, rest = bench.wrapped(0xAF)
    assert status == 0
    assert bench.accept(answer + rest, mode) == data


def test_native_chained_record_commands() -> None:
    bench = example()
    bench.begin(READ_WRITE)
    for ins, place in ((0x3B, b""), (0xDB, le(0))):
        payload = bench.protect(ins, bytes((CYCLIC,)) + place + le(0) + le(16), record(ins), MAC)
        status, answer = chain(bench, ins, payload, 12)
        assert status == 0
        bench.accept(answer, MAC)
        assert commit(bench)[0] == 0
    assert read_records(bench) == (0, record(0xDB))


@pytest.mark.parametrize(
    ("message", "answer"),
    [("906F000000", "91CA"), ("00A4040000", "6985"), ("905A00000300000000", "91CA")],
)
def test_another_command_inside_a_chain_aborts_it(message: str, answer: str) -> None:
    bench = example()
    bench.begin(READ_WRITE)
    payload = bench.protect(0x3D, bytes((BACKUP,)) + le(0) + le(4), b"new!", MAC)
    assert bench.wrapped(0x3D, payload[:9]) == (0xAF, b"")
    assert bench.transmit(message) == bytes.fromhex(answer)
    assert bench.wrapped(0xAF, payload[9:]) == (0x1C, b"")
    bench.begin(READ_WRITE)
    assert commit(bench)[0] == 0x0C


def test_too_much_in_the_last_frame_is_refused() -> None:
    bench = example()
    bench.begin(READ_WRITE)
    payload = bench.protect(0x3D, bytes((BACKUP,)) + le(0) + le(4), b"new!", MAC)
    assert bench.wrapped(0x3D, payload[:9]) == (0xAF, b"")
    assert bench.wrapped(0xAF, payload[9:] + b"more")[0] == 0x1E


def test_a_hostile_length_is_refused_before_anything_is_collected() -> None:
    bench = example()
    bench.begin(READ_WRITE)
    assert bench.wrapped(0x3D, bytes((BACKUP,)) + le(0) + le(0xFFFFFF))[0] == 0xBE
