from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardproto.apdu import SW, CommandApdu, ResponseApdu, describe
from cardproto.errors import CardError, ProtocolError

byte = st.integers(0, 255)


@pytest.mark.parametrize(
    ("command", "raw"),
    [
        (CommandApdu(0x00, 0xA4, 4, 0), "00A40400"),
        (CommandApdu(0xFF, 0xCA, le=0), "FFCA000000"),
        (CommandApdu(0x00, 0xA4, 4, 0, b"\xa0\x00"), "00A4040002A000"),
        (CommandApdu(0x90, 0x5A, data=b"\x01\x5a\x4b", le=0), "905A000003015A4B00"),
        (CommandApdu(0x00, 0xB0, le=0x100), "00B00000000100"),
        (CommandApdu(0x00, 0xB0, le=0x10000), "00B00000000000"),
        (CommandApdu(0x00, 0xD6, data=bytes(256)), "00D60000000100" + "00" * 256),
        (CommandApdu(0x00, 0xD6, data=bytes(256), le=0x10000), "00D60000000100" + "00" * 256 + "0000"),
    ],
)
def test_commands_by_the_standard(command: CommandApdu, raw: str) -> None:
    assert command.to_bytes().hex().upper() == raw
    assert CommandApdu.parse(bytes.fromhex(raw)) == command


@given(byte, byte, byte, byte, st.binary(max_size=300), st.none() | st.integers(0, 0x10000))
def test_what_was_built_is_parsed(cla: int, ins: int, p1: int, p2: int, data: bytes, le: int | None) -> None:
    command = CommandApdu(cla, ins, p1, p2, data, le)
    parsed = CommandApdu.parse(command.to_bytes())
    if le == 0 and len(data) > 255:
        command = CommandApdu(cla, ins, p1, p2, data, 0x10000)
    assert parsed == command


@given(st.binary(max_size=300))
def test_any_bytes_are_a_command_or_an_error_of_ours(raw: bytes) -> None:
    try:
        command = CommandApdu.parse(raw)
    except CardError:
        return
    assert CommandApdu.parse(command.to_bytes()) == command


@pytest.mark.parametrize(
    "raw", ["", "00A404", "00A4040003A000", "00A4040001A00000", "00A404000000", "00A40400000003AABB"]
)
def test_lengths_that_lie_are_refused(raw: str) -> None:
    with pytest.raises(ProtocolError):
        CommandApdu.parse(bytes.fromhex(raw))


def test_what_no_apdu_can_hold_is_not_built() -> None:
    with pytest.raises(ValueError, match="65536 data bytes"):
        CommandApdu(0, 0, data=bytes(0x10000)).to_bytes()
    with pytest.raises(ValueError, match="Le -1"):
        CommandApdu(0, 0, le=-1).to_bytes()


def test_answers() -> None:
    assert ResponseApdu.parse(b"\x01\x02\x91\xae") == ResponseApdu(b"\x01\x02", SW.DESFIRE_AUTHENTICATION)
    assert ResponseApdu(b"\x01", 0x9000).to_bytes() == b"\x01\x90\x00"
    for short in (b"", b"\x90"):
        with pytest.raises(ProtocolError, match=f"{len(short)} bytes"):
            ResponseApdu.parse(short)


@pytest.mark.parametrize(
    ("sw", "words"),
    [
        (0x6A82, "file not found"),
        (0x91AE, "authentication"),
        (0x6112, "more data waiting"),
        (0x6C10, "wrong expected length"),
        (0x1234, "unknown status word"),
    ],
)
def test_status_words_in_words(sw: int, words: str) -> None:
    assert describe(sw) == words
