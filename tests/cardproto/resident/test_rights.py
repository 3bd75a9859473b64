from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardproto.errors import FormatError
from cardproto.resident.records.documented import parse_rights_with_schema
from cardproto.resident.records.rights import (
    RIGHTS_BYTES,
    Concession,
    Contract,
    Rights,
    build_rights,
    day_of,
    days_of,
    parse_rights,
)

# Written by hand from docs/card-layout.md, not by the encoder.
CARD_RAW = (
    "01" + "02" + "0022" + "0102030405060708" + "23AC" + "2C3A" + "23AC" + "0003"
    + "07" + "32" + "249F" + "25AF"
    + "00" * 6
    + "09" + "00" + "23AC" + "2C3A"
    + "002D" + "249F" + "24BC" + "2D" + "00"
    + "00" * 8
    + "A1A2A3A4A5A6A7A8" + "0000"
)  # fmt: skip
CARD = Rights(
    region=34,
    pseudonym=bytes(range(1, 9)),
    valid_from=date(2025, 1, 1),
    valid_to=date(2030, 12, 31),
    issued_on=date(2025, 1, 1),
    revision=3,
    inactive=True,
    concessions=(
        Concession(7, 50, date(2025, 9, 1), date(2026, 5, 31)),
        None,
        Concession(9, 0, date(2025, 1, 1), date(2030, 12, 31)),
    ),
    contracts=(Contract(45, date(2025, 9, 1), date(2025, 9, 30), 45), None),
    credential_digest=bytes.fromhex("A1A2A3A4A5A6A7A8"),
)

days = st.dates(date(2000, 1, 1), day_of(0xFFFF))
concessions = st.builds(Concession, st.integers(1, 255), st.integers(0, 255), days, days)
contracts = st.builds(Contract, st.integers(1, 0xFFFF), days, days, st.integers(0, 255))
cards = st.builds(
    Rights,
    region=st.integers(0, 0xFFFF),
    pseudonym=st.binary(min_size=8, max_size=8),
    valid_from=days,
    valid_to=days,
    issued_on=days,
    revision=st.integers(0, 0xFFFF),
    blocked=st.booleans(),
    inactive=st.booleans(),
    concessions=st.tuples(*[st.none() | concessions] * 3),
    contracts=st.tuples(*[st.none() | contracts] * 2),
    credential_digest=st.binary(min_size=8, max_size=8),
)


def test_a_file_written_by_hand() -> None:
    assert parse_rights(bytes.fromhex(CARD_RAW)) == CARD
    assert build_rights(CARD).hex().upper() == CARD_RAW


@given(cards)
def test_what_was_built_is_parsed_by_both_parsers(rights: Rights) -> None:
    raw = build_rights(rights)
    assert len(raw) == RIGHTS_BYTES
    assert parse_rights(raw) == rights
    assert parse_rights_with_schema(raw) == rights


def spoiled(rights: Rights, at: int, value: int) -> bytes:
    raw = bytearray(build_rights(rights))
    raw[at] = value
    return bytes(raw)


nearly = st.builds(spoiled, cards, st.integers(0, 63), st.integers(0, 255))


@given(
    st.binary(max_size=70) | st.binary(min_size=64, max_size=64).map(lambda b: b"\x01\x00" + b[2:]) | nearly
)
def test_the_fast_parser_is_the_schema_errors_included(raw: bytes) -> None:
    try:
        slow = parse_rights_with_schema(raw)
    except FormatError:
        with pytest.raises(FormatError):
            parse_rights(raw)
        return
    assert parse_rights(raw) == slow
    assert build_rights(slow) == raw, "every bit of an accepted file has a meaning"


@pytest.mark.parametrize("parse", [parse_rights, parse_rights_with_schema])
@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, 0),
        (0, 2),
        (1, 0x04),
        (1, 0x80),
        (45, 1),
        (53, 1),
        (62, 1),
        (63, 0x80),
        (27, 1),
        (26 + 5, 1),
        (46 + 3, 9),
        (52, 1),
    ],
)
def test_unknown_versions_reserved_bits_and_dirty_empty_slots(parse: object, at: int, value: int) -> None:
    with pytest.raises(FormatError, match=r"file 01 \(rights\)"):
        parse(spoiled(CARD, at, value))


@pytest.mark.parametrize("parse", [parse_rights, parse_rights_with_schema])
@pytest.mark.parametrize(
    "raw", [b"", bytes.fromhex(CARD_RAW)[:-1], bytes.fromhex(CARD_RAW) + b"\0", bytes(64)]
)
def test_another_length_or_an_empty_file(parse: object, raw: bytes) -> None:
    with pytest.raises(FormatError):
        parse(raw)


@pytest.mark.parametrize(
    "change",
    [
        {"region": 0x10000},
        {"revision": -1},
        {"pseudonym": b"short"},
        {"credential_digest": bytes(9)},
        {"valid_from": date(1999, 12, 31)},
        {"valid_to": date(2179, 6, 7)},
        {"concessions": (None, None)},
        {"contracts": (None,)},
        {"concessions": (Concession(0, 1, date(2025, 1, 1), date(2025, 1, 1)), None, None)},
        {"concessions": (Concession(256, 1, date(2025, 1, 1), date(2025, 1, 1)), None, None)},
        {"contracts": (Contract(0, date(2025, 1, 1), date(2025, 1, 1), 1), None)},
        {"contracts": (Contract(1, date(2025, 1, 1), date(2025, 1, 1), 256), None)},
    ],
)
def test_what_does_not_fit_or_would_read_back_differently_is_not_written(change: dict[str, object]) -> None:
    with pytest.raises(FormatError):
        build_rights(replace(CARD, **change))


def test_days_count_from_2000() -> None:
    assert (days_of(date(2000, 1, 1)), days_of(date(2025, 1, 1))) == (0, 0x23AC)
    assert day_of(0x23AC) == date(2025, 1, 1)
