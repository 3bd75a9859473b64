from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardproto.errors import FormatError
from cardproto.resident.records.documented import parse_event_with_schema
from cardproto.resident.records.event import (
    EVENT_BYTES,
    NO_JOURNEY,
    Event,
    EventKind,
    PaidBy,
    build_event,
    parse_event,
)

# Put together by hand, bit by bit from the table in docs/card-layout.md, not by the encoder.
RIDE_BITS = (
    "0010"  # version 2
    "0011"  # ride 3
    "000011001011100000111100000000"  # seconds since 2024-01-01 53350144
    "111111"  # period one day behind -1
    "00011000011010100001"  # terminal 100001
    "0000000000000000000000101010"  # sequence 42
    "000000110000110101000"  # balance 25000
    "000000000101110111000"  # amount 3000
    "1"  # direction 1
    "000000000100101"  # route 37
    "010"  # inside 2
    "00000000100101100"  # journey age 300
    "0001"  # transfers 1
    "0001"  # paid by the purse 1
    "0010"  # counter layout 2
    "1000000001"  # last order 513
    "00000101"  # meals 5
    "00000000000000000000000000000000000000000000000000000111"  # counters 7
)
RIDE_RAW = f"{int(RIDE_BITS, 2):064X}"
RIDE = Event(
    kind=EventKind.RIDE,
    at=datetime(2025, 9, 9, 11, 29, 4, tzinfo=UTC),
    terminal=100001,
    sequence=42,
    balance_after_minor=25_000,
    amount_minor=3_000,
    route=37,
    direction=1,
    journey_age_s=300,
    transfers=1,
    paid_by=PaidBy.PURSE,
    counter_layout=2,
    meals=5,
    counters=7,
    period_ahead=-1,
    inside=2,
    last_order=513,
)

events = st.builds(
    Event,
    kind=st.sampled_from(EventKind),
    at=st.integers(0, 2**30 - 1).map(lambda s: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=s)),
    terminal=st.integers(0, 2**20 - 1),
    sequence=st.integers(0, 2**28 - 1),
    balance_after_minor=st.integers(0, 2**21 - 1),
    amount_minor=st.integers(0, 2**21 - 1),
    route=st.integers(0, 0x7FFF),
    direction=st.integers(0, 1),
    journey_age_s=st.none() | st.integers(0, NO_JOURNEY - 1),
    transfers=st.integers(0, 15),
    paid_by=st.sampled_from(PaidBy),
    counter_layout=st.integers(0, 15),
    meals=st.integers(0, 255),
    counters=st.integers(0, 2**56 - 1),
    period_ahead=st.integers(-32, 31),
    inside=st.integers(0, 7),
    last_order=st.integers(0, 1023),
)


def test_a_record_written_by_hand() -> None:
    assert len(RIDE_BITS) == 256
    assert (RIDE.at - datetime(2024, 1, 1, tzinfo=UTC)).total_seconds() == 53_350_144
    assert parse_event(bytes.fromhex(RIDE_RAW)) == RIDE
    assert build_event(RIDE).hex().upper() == RIDE_RAW


@given(events)
def test_what_was_built_is_parsed_by_both_parsers(event: Event) -> None:
    raw = build_event(event)
    assert len(raw) == EVENT_BYTES
    assert parse_event(raw) == event
    assert parse_event_with_schema(raw) == event


def outcome(parse: Callable[[bytes], Event], raw: bytes) -> Event | tuple[str, int | None]:
    """The event, or where the parser says the mistake is."""
    try:
        return parse(raw)
    except FormatError as error:
        return error.where, error.offset


plausible = st.binary(min_size=31, max_size=31).map(lambda rest: bytes((0x20 | rest[0] % 10,)) + rest)


@given(st.binary(max_size=40) | st.binary(min_size=32, max_size=32) | plausible)
def test_the_fast_parser_is_the_schema_errors_included(raw: bytes) -> None:
    slow = outcome(parse_event_with_schema, raw)
    assert outcome(parse_event, raw) == slow
    if isinstance(slow, Event):
        assert build_event(slow) == raw, "every bit of an accepted record has a meaning"


@pytest.mark.parametrize("parse", [parse_event, parse_event_with_schema])
@pytest.mark.parametrize(
    ("change", "offset"),
    [
        ((0, 0x03), 0),
        ((0, 0x13), 0),
        ((0, 0x33), 0),
        ((0, 0x20), 0),
        ((0, 0x2A), 0),
        ((21, 0x03), 21),
        ((21, 0x07), 21),
    ],
)
def test_unknown_versions_and_codes(parse: object, change: tuple[int, int], offset: int) -> None:
    raw = bytearray.fromhex(RIDE_RAW)
    raw[change[0]] = change[1]
    with pytest.raises(FormatError, match=r"file 02 \(events\)") as error:
        parse(bytes(raw))
    assert error.value.offset == offset


@pytest.mark.parametrize("parse", [parse_event, parse_event_with_schema])
@pytest.mark.parametrize(
    "raw", [b"", bytes.fromhex(RIDE_RAW)[:-1], bytes.fromhex(RIDE_RAW) + b"\0", bytes(32)]
)
def test_another_length_or_an_empty_record(parse: object, raw: bytes) -> None:
    with pytest.raises(FormatError):
        parse(raw)


@pytest.mark.parametrize(
    "change",
    [
        {"at": RIDE.at.replace(tzinfo=None)},
        {"at": datetime(2025, 1, 1, microsecond=1, tzinfo=UTC)},
        {"at": datetime(2023, 12, 31, 23, 59, 59, tzinfo=UTC)},
        {"at": datetime(2058, 1, 10, 13, 37, 4, tzinfo=UTC)},
        {"terminal": 2**20},
        {"terminal": -1},
        {"sequence": 2**28},
        {"balance_after_minor": -1},
        {"balance_after_minor": 2**21},
        {"amount_minor": 2**21},
        {"route": 0x8000},
        {"direction": 2},
        {"journey_age_s": NO_JOURNEY},
        {"journey_age_s": -1},
        {"transfers": 16},
        {"period_ahead": -33},
        {"period_ahead": 32},
        {"inside": 8},
        {"last_order": 1024},
        {"counter_layout": 16},
        {"meals": 256},
        {"counters": 2**56},
    ],
)
def test_what_does_not_fit_is_not_written(change: dict[str, object]) -> None:
    with pytest.raises(FormatError):
        build_event(RIDE._replace(**change))


def test_a_record_of_the_first_layout_says_what_to_do() -> None:
    with pytest.raises(FormatError, match="record of layout 1, not 2: issue the card anew"):
        parse_event(bytes.fromhex("13") + bytes.fromhex(RIDE_RAW)[1:])


def test_a_time_in_another_zone_is_the_same_time() -> None:
    local = RIDE.at.astimezone(timezone(timedelta(hours=3)))
    assert build_event(RIDE._replace(at=local)) == build_event(RIDE)
