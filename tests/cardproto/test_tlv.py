from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardproto.errors import FormatError
from cardproto.tlv import Tlv, build_tlv, find, parse_tlv

# A payment directory entry as bank cards answer it (EMV book 1, annex B gives the coding).
FCI = "6F1A840E315041592E5359532E4444463031A5088801025F2D027275"

primitive_tags = st.sampled_from([0x50, 0x5A, 0x80, 0x84, 0x9F38, 0x5F2D, 0xDF8101])
objects = st.builds(Tlv, primitive_tags, st.binary(max_size=300))


def test_a_select_answer() -> None:
    (fci,) = parse_tlv(bytes.fromhex(FCI))
    assert fci.tag == 0x6F
    assert fci.constructed
    assert [child.tag for child in fci.children()] == [0x84, 0xA5]
    assert find([fci], 0x6F, 0x84) == b"1PAY.SYS.DDF01"
    assert find([fci], 0x6F, 0xA5, 0x5F2D) == b"ru"
    assert find([fci], 0x6F, 0xA5, 0x50) is None
    assert find([fci], 0x70) is None


@given(st.lists(objects, max_size=6))
def test_what_was_built_is_parsed(given_objects: list[Tlv]) -> None:
    assert parse_tlv(build_tlv(given_objects)) == tuple(given_objects)


@pytest.mark.parametrize(
    ("length", "coded"), [(0, "00"), (0x7F, "7F"), (0x80, "8180"), (0xFF, "81FF"), (0x100, "820100")]
)
def test_length_forms(length: int, coded: str) -> None:
    raw = Tlv(0x50, bytes(length)).to_bytes()
    assert raw[1:].hex().upper().startswith(coded)
    assert len(raw) == 1 + len(coded) // 2 + length
    assert parse_tlv(raw) == (Tlv(0x50, bytes(length)),)


def test_longer_length_forms_than_needed_are_read() -> None:
    assert parse_tlv(bytes.fromhex("5081020102")) == (Tlv(0x50, b"\x01\x02"),)
    assert parse_tlv(bytes.fromhex("508200020102")) == (Tlv(0x50, b"\x01\x02"),)


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ("5003AABB", "claims 3 bytes, 2 are left"),
        ("5081FFAA", "claims 255 bytes, 1 are left"),
        ("50", "ends before a length"),
        ("5081", "ends inside a length"),
        ("508201", "ends inside a length"),
        ("5080AA0000", "length form 80"),
        ("508301000000", "length form 83"),
        ("50FF", "length form FF"),
        ("9F", "ends inside a tag"),
        ("9F81818100", "tag of more than 3 bytes"),
        ("0000", "filler"),
        ("5001AA00", "filler"),
    ],
)
def test_refused(raw: str, problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        parse_tlv(bytes.fromhex(raw))


def test_filler_only_where_it_is_allowed() -> None:
    raw = bytes.fromhex("00FF5001AA00009F380155FFFF")
    assert parse_tlv(raw, skip_filler=True) == (Tlv(0x50, b"\xaa"), Tlv(0x9F38, b"\x55"))
    with pytest.raises(FormatError):
        parse_tlv(raw)


def test_a_primitive_object_has_no_children() -> None:
    with pytest.raises(FormatError, match="primitive"):
        Tlv(0x50, b"").children()


@pytest.mark.parametrize("tag", [0, -1, 0x9F, 0x5F80, 0x5001, 0x9F8101FF, 0x1F818101])
def test_what_is_no_tag_is_not_built(tag: int) -> None:
    with pytest.raises(FormatError, match="is no tag"):
        Tlv(tag, b"").to_bytes()


def test_a_value_that_no_accepted_length_can_say() -> None:
    with pytest.raises(FormatError, match="65536 bytes"):
        Tlv(0x50, bytes(0x10000)).to_bytes()


@given(st.binary(max_size=80), st.booleans())
def test_any_bytes_are_objects_or_an_error_of_ours(raw: bytes, skip_filler: bool) -> None:
    try:
        found = parse_tlv(raw, skip_filler=skip_filler)
    except FormatError:
        return
    assert sum(len(o.value) for o in found) <= len(raw)
    assert parse_tlv(build_tlv(found), skip_filler=skip_filler) == found
