"""The facts of a trip by name: computed from the types, whole in a row, and never passed over."""

from __future__ import annotations

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from terminal.trip.facts import (
    BankFacts,
    ClockState,
    Freshness,
    Inspection,
    Place,
    PlaceQuality,
    PlaceSource,
    Spot,
    Trip,
)
from terminal.trip.pupil import CanteenContext, MealGrant, Pupil
from terminal.trip.stated import ROW_FIELDS, UnknownFact, fact_names, restore, stated

BARE = Trip("bus", 7, 1)
CODE = re.compile(r"[a-z0-9_.:-]*")
MARKS = st.none() | st.integers(0, 9000)
SPOTS = st.builds(Spot, st.integers(0, 9), st.integers(0, 3), MARKS)
TRIPS = st.builds(
    Trip,
    profile=st.just("bus"),
    terminal=st.integers(1, 9),
    sequence=st.integers(1, 999),
    shift=st.integers(0, 9),
    mode=st.sampled_from(("bus", "tram", "metro")),
    companions=st.integers(0, 3),
    on_break=st.booleans(),
    reader_ok=st.booleans(),
    place=st.builds(
        Place,
        st.integers(0, 9),
        st.integers(0, 3),
        MARKS,
        st.sampled_from(PlaceSource),
        st.sampled_from(PlaceQuality),
        st.integers(0, 900),
        coming=SPOTS,
        arriving=st.booleans(),
        origin=SPOTS,
        terminus=SPOTS,
        destination=SPOTS,
    ),
    clock=st.builds(ClockState, st.booleans(), st.booleans(), st.booleans()),
    freshness=st.builds(Freshness, st.integers(0, 99), st.integers(0, 99)),
    inspection=st.none() | st.builds(Inspection, st.booleans()),
    razzia=st.booleans(),
    bank=st.builds(BankFacts, st.integers(0, 9), st.integers(0, 99)),
    canteen=st.builds(CanteenContext, st.sampled_from(("", "school_1")), st.sampled_from(("", "lunch"))),
)


@given(TRIPS)
def test_everything_a_terminal_knew_comes_back_from_the_row(trip: Trip) -> None:
    in_fields = Trip(**{name: getattr(trip, name) for name in ROW_FIELDS})
    assert restore(in_fields, stated(trip)) == trip


@given(TRIPS)
def test_names_and_words_in_a_row_are_codes(trip: Trip) -> None:
    known = stated(trip)
    assert known.keys() <= fact_names()
    words = [*known, *(value for value in known.values() if isinstance(value, str))]
    assert [word for word in words if not CODE.fullmatch(word)] == []


def test_what_is_as_a_terminal_assumes_takes_no_room() -> None:
    assert stated(replace(BARE, shift=3, route=5)) == {}


def test_a_part_that_may_be_missing_is_there_or_not() -> None:
    assert stated(replace(BARE, inspection=Inspection())) == {"inspection": True}
    assert stated(replace(BARE, inspection=Inspection(misuse=True))) == {"inspection.misuse": True}
    assert restore(BARE, {"inspection": True}).inspection == Inspection()


def test_d_03_the_pupil_of_a_roster_stays_out_of_the_row() -> None:
    grant = MealGrant(11, date(2026, 9, 1), date(2027, 5, 31), date(2026, 9, 1))
    pupil = Pupil(b"who", "school_1", grants=(grant,), absent=True)
    known = stated(replace(BARE, canteen=CanteenContext("school_1", pupil=pupil)))
    assert known == {"canteen.school": "school_1", "canteen.pupil": True}
    assert restore(BARE, known, pupil).canteen == CanteenContext("school_1", pupil=pupil)


@pytest.mark.parametrize("school", ["", "school_12"])
def test_d_01_a_pupil_no_roster_lists_comes_back_without_a_pseudonym(school: str) -> None:
    pupil = Pupil(b"who", school, served=0b01, annulled=0b10, listed=False)
    known = stated(replace(BARE, canteen=CanteenContext(school, pupil=pupil)))
    assert b"who" not in known.values()
    assert restore(BARE, known).canteen == CanteenContext(school, pupil=replace(pupil, ref=b""))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("moon", 1, "moon: no such fact"),
        ("place.moon", 1, "place.moon: no such fact"),
        ("mode.moon", 1, "mode: has no parts"),
        ("place.zone", "north", "place.zone: Expected `int`"),
        ("place.source", "moon", "place.source: Invalid enum value"),
    ],
)
def test_a_fact_that_is_not_understood_is_named(name: str, value: int | str, said: str) -> None:
    with pytest.raises(UnknownFact, match=said):
        restore(BARE, {name: value})
