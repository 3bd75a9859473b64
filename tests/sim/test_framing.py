"""The three framings, the reader's pseudo APDUs, and ISO 7816-4 commands."""

from __future__ import annotations

import pytest

from tests.sim.bench import BACKUP, FULL, PICC, PLAIN, READ, STANDARD_FREE, UID, VALUE, example, le


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        pytest.param("90600000", "917E", id="no Le"),
        pytest.param("906000000000", "917E", id="Lc 0"),
        pytest.param("90600000FF", "917E", id="Le not 00"),
        pytest.param("905A000003000000", "917E", id="cut short"),
        pytest.param("905A00000400000000", "917E", id="Lc too large"),
        pytest.param("905A0000020000000000", "917E", id="Lc too small"),
        pytest.param("9060010000", "6A86", id="P1"),
        pytest.param("9060000100", "6A86", id="P2"),
        pytest.param("9000", "917E", id="two bytes"),
        pytest.param("90000000000000", "917E", id="extended length"),
        pytest.param("", "6700", id="nothing"),
    ],
)
def test_malformed_wrapping_is_answered(message: str, answer: str) -> None:
    assert example().transmit(message) == bytes.fromhex(answer)


def test_malformed_wrapping_ends_the_session_like_any_error() -> None:
    bench = example()
    bench.begin(READ)
    bench.transmit("9060010000")
    assert bench.wrapped(0x6C, bytes((VALUE,)))[0] == 0xAE


def test_native_framing_speaks_the_same_commands() -> None:
    bench = example()
    assert bench.transmit("5A0100A1") == b"\0"
    assert bench.transmit(b"\xad" + bytes((STANDARD_FREE,)) + le(0) + le(4)) == b"\0" + bytes(4)
    assert bench.transmit(b"\xbd" + bytes((STANDARD_FREE,)) + le(0) + le(0))[:1] == b"\xaf"
    assert bench.transmit("AF") == b"\0" + bytes(5)
    assert bench.transmit("7101") == b"\x7e"


def test_reader_answers_uid_and_ats() -> None:
    bench = example()
    assert bench.transmit("FFCA000000") == UID + b"\x90\x00"
    assert bench.transmit("FFCA010000") == bytes.fromhex("067577810280") + b"\x90\x00"
    for other in ("FFCA020000", "FFCA0000", "FF00000000", "FFCA00000000"):
        assert bench.transmit(other) == bytes.fromhex("6A81"), other


def test_pseudo_apdus_disturb_no_session() -> None:
    bench = example()
    bench.begin(READ)
    bench.transmit("FFCA000000")
    assert bench.ok(0x6F)


def test_atr_is_what_every_pcsc_program_expects() -> None:
    assert example().card.atr.hex().upper() == "3B8180018080"


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        pytest.param("00A4040C05F054455354", "9000", id="DF name"),
        pytest.param("00A4040005F05445535400", "9000", id="DF name with FCI"),
        pytest.param("00A4040C04F0544553", "6A82", id="part of a DF name"),
        pytest.param("00A4040C07D2760000850100", "9000", id="the PICC's DF name"),
        pytest.param("00A4040C", "6700", id="no name"),
        pytest.param("00A4000C024B5A", "9000", id="DF id"),
        pytest.param("00A4010C024B5A", "9000", id="child DF"),
        pytest.param("00A4000C023F00", "9000", id="master file"),
        pytest.param("00A4000C", "9000", id="master file by nothing"),
        pytest.param("00A4030C", "9000", id="parent"),
        pytest.param("00A4020C02EF00", "6A82", id="EF at the PICC"),
        pytest.param("00A4000C03EF0000", "6700", id="three-byte id"),
        pytest.param("00A4000C020000", "6A82", id="id 0000"),
        pytest.param("00A4050C024B5A", "6A86", id="P1"),
        pytest.param("00A40401024B5A", "6A86", id="P2"),
        pytest.param("00A4040C05F0544553", "6700", id="cut short"),
        pytest.param("0084000008", "6D00", id="GET CHALLENGE"),
        pytest.param("00", "6700", id="one byte"),
    ],
)
def test_iso_select(message: str, answer: str) -> None:
    assert example().transmit(message) == bytes.fromhex(answer)


def test_iso_selection_resets_the_session_and_selects_for_native_commands() -> None:
    bench = example()
    bench.begin(READ)
    bench.session = None
    assert bench.transmit("00A4040C05F054455354") == b"\x90\x00"
    assert bench.wrapped(0x6C, bytes((VALUE,)))[0] == 0xAE
    assert bench.authenticate(READ) == 0
    assert bench.ok(0x6C, bytes((VALUE,)), mode=FULL) == le(1000, 4)


def test_selection_with_fci_gives_file_1f() -> None:
    bench = example()
    bench.select()
    bench.authenticate(0, bytes(16))
    bench.ok(0xCD, b"\x1f" + bytes.fromhex("0000EE") + le(8))
    bench.ok(0x8D, b"\x1f" + le(0) + le(8), bytes.fromhex("6F066F046F026F00"), PLAIN)
    assert bench.transmit("00A4040005F05445535400") == bytes.fromhex("6F066F046F026F009000")
    assert bench.transmit("00A4040C05F054455354") == b"\x90\x00"


def iso_file():
    """A bench with the example's free file selected by its ISO id."""
    bench = example()
    bench.select()
    assert bench.transmit("00A4020C02EF00") == b"\x90\x00"
    return bench


def test_update_and_read_binary() -> None:
    bench = iso_file()
    assert bench.transmit("00D600020362696E") == b"\x90\x00"
    assert bench.transmit("00B0000104") == b"\0bin\x90\x00"
    assert bench.transmit("00B0003F01") == b"\0\x90\x00"
    assert len(bench.transmit("00B0000000")) == 64 + 2
    assert bench.transmit("00B0800203") == b"bin\x90\x00"  # short id 0


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        pytest.param("00B0004001", "6700", id="behind the end"),
        pytest.param("00B0003F02", "6700", id="across the end"),
        pytest.param("00D600400100", "6700", id="write behind the end"),
        pytest.param("00D60000", "6700", id="write nothing"),
        pytest.param("00B0810001", "6982", id="file that needs a key"),
        pytest.param("00B0820001", "6A82", id="record file"),
        pytest.param("00B09E0001", "6A82", id="no such file"),
        pytest.param("00B00000", "6700", id="no Le"),
    ],
)
def test_binary_commands_refuse(message: str, answer: str) -> None:
    assert iso_file().transmit(message) == bytes.fromhex(answer)


def test_binary_commands_are_refused_in_a_session_and_beside_a_transaction_mac() -> None:
    bench = iso_file()
    bench.authenticate(READ)
    assert bench.transmit("00B0000001") == bytes.fromhex("6982")
    bench = example(proving=True)
    bench.select()
    bench.transmit("00A4020C02EF00")
    assert bench.transmit("00B0000001") == bytes.fromhex("6985")
    bench = example()
    bench.select()
    assert bench.transmit("00B0000001") == bytes.fromhex("6985")  # no file selected


def test_iso_chained_answers_fit_one_short_apdu_or_are_refused() -> None:
    bench = example()
    bench.select()
    bench.authenticate(0, bytes(16))
    bench.ok(0xCD, b"\x09" + bytes.fromhex("00EEEE") + le(300))
    assert len(bench.ok(0xAD, b"\x09" + le(0) + le(256), mode=PLAIN)) == 256
    assert bench.run(0xAD, b"\x09" + le(0) + le(257), mode=PLAIN)[0] == 0x7E
    bench.select()
    assert len(bench.chained(0xBD, b"\x09" + le(0) + le(0))[1]) == 300


def test_select_of_two_applications_is_not_supported() -> None:
    bench = example()
    assert bench.wrapped(0x5A, bytes(6))[0] == 0x9E
    assert bench.wrapped(0x5A, bytes(2))[0] == 0x7E
    assert bench.select(PICC) == 0


def test_a_backup_file_is_not_written_by_iso_commands() -> None:
    bench = example()
    bench.select()
    bench.authenticate(0, bytes(16))
    bench.ok(0xCB, b"\x09" + bytes.fromhex("00EEEE") + le(8))
    bench.select()
    assert bench.transmit("00D689000178") == bytes.fromhex("6985")
    assert BACKUP in bench.wrapped(0x6F)[1]
