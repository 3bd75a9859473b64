"""Rows of a canteen terminal: exact bytes, room for growth, and rows written before there were any."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.errors import JournalFull
from terminal.journal import canteen_records as canteen
from terminal.journal.canteen_records import ServedBy
from terminal.journal.journal import Journal
from terminal.journal.records import RECORD_VERSION, Intent, Started, build_record, parse_record
from terminal.trail import TrailEntry
from tests.terminal.journal.samples import INTENT, intent

INT = st.integers(0, 2**32)
TEXT = st.text(max_size=20)
HOW = st.sampled_from(ServedBy)
REF = st.binary(min_size=8, max_size=8)
FLAGS = st.lists(TEXT, max_size=3).map(tuple)
INPUTS = st.dictionaries(TEXT, st.one_of(INT, TEXT), max_size=3)
TRAIL = st.lists(st.builds(TrailEntry, TEXT, INPUTS), max_size=3).map(tuple)
MEAL = st.builds(
    canteen.MealLine, TEXT, TEXT, TEXT, TEXT, st.dictionaries(TEXT, INT, max_size=3), TEXT, FLAGS, INT
)
SALE_LINES = st.lists(st.builds(canteen.SaleLine, TEXT, INT, INT), max_size=3).map(tuple)
ANY = st.one_of(
    st.builds(canteen.MealServed, INT, REF, INT, HOW, TEXT, MEAL, TEXT, TRAIL, TEXT, INT),
    st.builds(canteen.BuffetSale, INT, REF, INT, TEXT, TEXT, TEXT, TEXT, SALE_LINES, TEXT, FLAGS, INT),
    st.builds(canteen.Annulment, INT, REF, INT, TEXT, TEXT, INT, INT),
    st.builds(canteen.NotCollected, INT, REF, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, INT),
    st.builds(canteen.AttendanceCorrected, INT, REF, TEXT, TEXT, TEXT, st.booleans(), TEXT, INT),
    st.builds(canteen.DayClosed, INT, TEXT, TEXT, st.dictionaries(TEXT, INT, max_size=4)),
    st.builds(canteen.CardLent, INT, REF, REF, TEXT, TEXT, TEXT),
    st.builds(canteen.RosterLoaded, INT, TEXT, INT, INT, INT),
    st.builds(canteen.IssueRefused, INT, REF, INT, HOW, TEXT, TEXT, TEXT, TRAIL),
    st.builds(canteen.CardTied, INT, REF, REF, REF, st.sampled_from(canteen.CardUse), TEXT, TEXT),
    st.builds(
        canteen.AccountCredited,
        INT,
        REF,
        TEXT,
        TEXT,
        st.sampled_from(canteen.CanteenAccount),
        INT,
        TEXT,
        TEXT,
    ),
    st.builds(canteen.MealOrdered, INT, REF, TEXT, TEXT, TEXT, TEXT, st.booleans(), TEXT),
    MEAL.map(lambda meal: intent(profile="canteen", meal=meal)),
)

# Written out by hand from the msgpack specification: version 1, then [kind, fields…].
VECTORS = [
    (
        canteen.Annulment(at_ms=1, pupil=b"\xaa", of=300, day="d", operator="o", shift=2, returned_minor=0),
        "01 9b 16 01 c401aa cd012c a164 a16f 02 00 a0 a0 a0",
    ),
    (
        canteen.MealServed(
            at_ms=1,
            pupil=b"\xaa",
            shift=2,
            how=ServedBy.CLASS_LIST,
            operator="o",
            meal=canteen.MealLine("s", "3a", "lunch", "d", {"federal": 5}, "10"),
            tariff="t",
            currency="RUB",
        ),
        "01 9d 14 01 c401aa 02 aa636c6173735f6c697374 a16f"
        "98 a173 a23361 a56c756e6368 a164 81a76665646572616c05 a23130 90 00"
        "a174 90 a0 00 a0 a3 525542",
    ),
]


@pytest.mark.parametrize(("record", "text"), VECTORS)
def test_bytes_are_those_of_the_specification(record, text):
    assert build_record(record) == bytes.fromhex(text)
    assert parse_record(bytes.fromhex(text)) == record


@given(ANY)
def test_every_kind_survives(record):
    assert parse_record(build_record(record)) == record


def test_a_tap_written_before_there_were_canteen_records_is_readable():
    fields = list(msgspec.structs.astuple(INTENT))[: Intent.__struct_fields__.index("meal")]
    old = bytes([RECORD_VERSION]) + msgspec.msgpack.encode([4, *fields])
    assert parse_record(old) == msgspec.structs.replace(INTENT, currency="")
    assert INTENT.meal is None


def test_an_annulment_written_before_rows_named_their_action_is_readable():
    assert parse_record(bytes.fromhex("01 98 16 01 c401aa cd012c a164 a16f 02 00")) == VECTORS[0][0]


def test_an_annulment_written_before_a_second_person_confirmed_one_is_readable():
    assert parse_record(bytes.fromhex("01 9a 16 01 c401aa cd012c a164 a16f 02 00 a0 a0")) == VECTORS[0][0]


def test_fields_that_newer_software_appends_are_passed_over():
    record, text = VECTORS[0]
    assert parse_record(bytes.fromhex(text.replace("01 9b", "01 9c", 1)) + b"\x07") == record


def test_tags_are_those_of_the_first_day():
    """A tag once used means the same for ever: rows of many years lie side by side at the collector."""
    tags = {kind.cls.__name__: kind.tag for kind in msgspec.inspect.type_info(canteen.CanteenRecord).types}
    assert tags == {
        "MealServed": 20,
        "BuffetSale": 21,
        "Annulment": 22,
        "NotCollected": 23,
        "AttendanceCorrected": 24,
        "DayClosed": 25,
        "CardLent": 26,
        "RosterLoaded": 27,
        "IssueRefused": 28,
        "CardTied": 29,
        "AccountCredited": 30,
        "MealOrdered": 31,
    }


@pytest.mark.parametrize(("category", "taken"), [("10", True), ("meals_2", True), ("paid", False)])
def test_o_06_a_full_journal_takes_entitled_meals_only(tmp_path: Path, category: str, taken: bool) -> None:
    line = canteen.MealLine("s", "3a", "lunch", "2026-09-15", {"federal": 5}, category)
    records = [
        canteen.MealServed(1, b"pupil", 1, "class_list", "o", line, "t"),
        intent(profile="canteen", meal=line),
        canteen.Annulment(1, b"pupil", 1, "2026-09-15", "o", 1, 0),
    ]
    journal = Journal.open(tmp_path / "journal.db", 7, capacity_rows=1)
    try:
        journal.append(Started(at_ms=0, software="test"))
        assert journal.full
        for record in records[:2]:
            if taken:
                journal.append(record)
            else:
                with pytest.raises(JournalFull):
                    journal.append(record)
        assert journal.append(records[2]) == journal.next_sequence - 1, "what undoes is always taken"
    finally:
        journal.close()
