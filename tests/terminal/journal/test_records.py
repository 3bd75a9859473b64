"""Row bodies: exact bytes, room for growth, and nothing taken for what it is not."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.codes import ReturnCause, SkipCause
from terminal.devices import ExtensionRole
from terminal.journal import records
from terminal.journal.operation_records import (
    AnswerRepeated,
    ExtensionLoaded,
    NumbersSkipped,
    RazziaChanged,
    SelfRecomputed,
    SetReturned,
    ShadowCompared,
)
from terminal.journal.records import SettledBy, UnreadableRecord, build_record, parse_record
from tests.terminal.journal.samples import INTENT, REFUSED, committed

INT = st.integers(0, 2**32)
TEXT = st.text(max_size=20)
SETTLED = st.sampled_from(records.SettledBy)
ANY = st.one_of(
    st.builds(records.Started, INT, TEXT),
    st.builds(records.ShiftOpened, INT, INT, TEXT, TEXT, INT, INT),
    st.builds(records.ShiftClosed, INT, INT, st.dictionaries(TEXT, INT, max_size=4)),
    st.builds(records.Committed, INT, INT, st.none() | INT, st.binary(max_size=8), SETTLED),
    st.builds(records.NotCommitted, INT, INT, SETTLED),
    st.builds(records.Unresolved, INT, INT, st.sampled_from(records.UnresolvedCause)),
    st.builds(records.Fault, INT, TEXT, st.dictionaries(TEXT, INT | TEXT, max_size=3)),
    st.builds(ExtensionLoaded, INT, st.sampled_from(ExtensionRole), TEXT, TEXT, TEXT, st.binary(max_size=32)),
    st.builds(AnswerRepeated, INT, INT),
    st.builds(RazziaChanged, INT, st.booleans(), TEXT),
    st.builds(NumbersSkipped, INT, INT, INT, INT, st.sampled_from(SkipCause)),
    st.builds(
        SelfRecomputed,
        *[INT] * 5,
        st.lists(INT, max_size=2).map(tuple),
        st.dictionaries(TEXT, INT, max_size=2),
        st.lists(st.binary(max_size=32), max_size=2).map(tuple),
        TEXT,
    ),
    st.builds(
        SetReturned,
        *(INT, TEXT, INT, st.binary(max_size=32), st.sampled_from(ReturnCause), INT, st.binary(max_size=32)),
        *[INT] * 4,
    ),
    st.builds(
        ShadowCompared,
        *(INT, TEXT, INT, st.binary(max_size=32), TEXT),
        *[INT] * 10,
        st.lists(st.tuples(INT, TEXT, INT, TEXT, INT), max_size=2).map(tuple),
    ),
    st.just(INTENT),
    st.just(REFUSED),
)

# Written out by hand from the msgpack specification: version 1, then [kind, fields…].
VECTORS = [
    (records.Fault(at_ms=1, code="x"), "01 94 09 01 a1 78 80"),
    (
        records.NotCommitted(at_ms=128, intent=300, how=SettledBy.RECOVERED),
        "01 94 06 cc80 cd012c a9 7265636f7665726564",
    ),
    (
        records.Committed(at_ms=0, intent=1, tmc=None, tmv=b"\xaa", how=SettledBy.ANSWERED),
        "01 96 05 00 01 c0 c401aa a8 616e737765726564",
    ),
    (records.ShiftClosed(at_ms=2, shift=3, totals={"t": 4}), "01 96 03 02 03 81 a1 74 04 a0 a0"),
    (
        SetReturned(1, "x", 2, b"\xaa", ReturnCause.FAILED, 1, b"\xbb", 5, 4, 3, 0),
        "01 9c 3c 01 a1 78 02 c401aa a6 6661696c6564 01 c401bb 05 04 03 00",
    ),
    (
        ShadowCompared(1, "x", 2, b"\xaa", "RUB", 9, 1, 1, 1, 1, 1, 1, 2, 1, -5, ((7, "a", 3, "b", 4),)),
        "01 dc0011 3d 01 a1 78 02 c401aa a3 525542 09 01 01 01 01 01 01 02 01 fb 91 95 07 a1 61 03 a1 62 04",
    ),
    (RazziaChanged(at_ms=1, razzia=True, source="gpsd"), "01 94 2f 01 c3 a4 67707364"),
    (
        NumbersSkipped(at_ms=1, first=5, last=9, stored=6, cause=SkipCause.ROWS_LOST),
        "01 96 30 01 05 09 06 a9 726f77735f6c6f7374",
    ),
    (
        SelfRecomputed(
            at_ms=1,
            first=1,
            through=9,
            recomputed=6,
            differing=1,
            rows=(4,),
            unproven={"uid": 1},
            documents=(b"\x01",),
            software="x",
        ),
        "01 9b 31 01 01 09 06 01 91 04 81 a3 756964 01 91 c40101 a1 78 a0",
    ),
]


@pytest.mark.parametrize(("record", "text"), VECTORS)
def test_bytes_are_those_of_the_specification(record, text):
    assert build_record(record) == bytes.fromhex(text)
    assert parse_record(bytes.fromhex(text)) == record


@given(ANY)
def test_every_kind_survives(record):
    assert parse_record(build_record(record)) == record


def test_a_row_written_before_rows_named_their_action_is_readable():
    assert parse_record(bytes.fromhex("01 94 03 02 03 81 a1 74 04")) == VECTORS[3][0]


def test_a_field_appended_by_newer_software_is_passed_over():
    assert parse_record(bytes.fromhex("01 95 09 01 a1 78 80 07")) == records.Fault(at_ms=1, code="x")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "02 93 09 01 a1 78",
        "01",
        "01 93 63 01 a1 78",
        "01 92 09 01",
        "01 93 09 a1 78 01",
        "01 93 09 01 a1 78 00",
        "01 c0",
    ],
)
def test_anything_else_is_unreadable(body):
    with pytest.raises(UnreadableRecord):
        parse_record(bytes.fromhex(body))


def test_a_tap_takes_little_room():
    event_and_proof = 32 + 64 + 12
    assert len(build_record(INTENT)) < event_and_proof + 120
    assert len(build_record(committed(1_000_000, tmc=70_000))) < 60


def test_no_field_can_hold_an_identity():
    forbidden = {"uid", "pan", "name", "phone", "key", "holder", "snils"}
    for kind in msgspec.inspect.type_info(records.AnyRecord).types:
        assert not forbidden & {field.name for field in kind.fields}
