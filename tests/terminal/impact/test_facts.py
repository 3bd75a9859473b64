"""What rows hold is read fast and says the same: trips, and taps that a list of the terminal decided."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cardproto.resident.records.rights import Concession
from terminal.app.simulated import laboratory_keys
from terminal.impact.facts import AGES, TripFacts
from terminal.journal.records import Unwritten
from terminal.keys.file import load_file_keys
from terminal.policy.grants import LocalGrants, build_grants, load_grants
from terminal.policy.keyed_file import ListIssue
from terminal.trip.facts import Trip
from terminal.trip.stated import Fact, UnknownFact, restore
from tests.terminal.impact.conftest import FRONT, REGION, Impact, gaps_of, reload_point, ride, totals_of, town

KNOWN = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.integers(0, 1 << 30) for name in AGES},
        "place.stop": st.integers(0, 9),
        "place.coming.zone": st.integers(0, 9),
        "place.source": st.sampled_from(("hand", "vehicle")),
        "clock.suspect": st.booleans(),
        "companions": st.integers(0, 6),
        "mode": st.sampled_from(("bus", "tram")),
        "inspection": st.just(True),
        "reader_ok": st.booleans(),
    },
)


def row(known: dict[str, Fact]) -> Unwritten:
    return Unwritten(0, None, "bus", 3, "no_funds", "refused", "demo:1", (), 0, 0, (), 4, 15, 1, (), known)  # type: ignore[arg-type]


@given(st.lists(KNOWN, max_size=5))
def test_a_trip_is_the_one_that_rows_are_restored_to(all_known: list[dict[str, Fact]]) -> None:
    facts = TripFacts()
    for sequence, known in enumerate(all_known, 1):
        stated = Trip("bus", 7, sequence, shift=3, turn=4, route=15, direction=1)
        assert facts.trip(7, sequence, row(known)) == restore(stated, known)


@pytest.mark.parametrize("known", [{"place.age_s": "old"}, {"weather": 1}, {"freshness.grants_age_s": True}])
def test_facts_that_are_not_understood_are_refused_as_elsewhere(known: dict[str, Fact]) -> None:
    with pytest.raises(UnknownFact):
        TripFacts().trip(7, 1, row(known))


def test_a_list_of_grants_counts_where_it_is_at_hand(tmp_path: Path, impact: Impact) -> None:
    """By the list the adult is a pensioner and rides free twice; the third tap, without the list, costs 24.00."""
    keys, listed = load_file_keys(laboratory_keys()), tmp_path / "grants"
    with town(tmp_path / "days", "adult_purse") as opened:
        holder = reload_point(opened, "adult_purse").read().rights.pseudonym
        free = Concession(1, 0, date(2026, 1, 1), date(2027, 1, 1))
        grants = LocalGrants(date(2026, 9, 10), (free, None, None))
        issue = ListIssue(1, REGION, datetime(2026, 9, 14, tzinfo=UTC))
        build_grants(listed, keys.list_key("grants"), issue, [(holder, grants)])
        terminal = opened.terminals[FRONT.number]
        plain = terminal.policy
        terminal.policy = replace(plain, grants=load_grants(listed, keys.list_key("grants")))
        ride(opened, "adult_purse", 2)
        terminal.policy = plain
        ride(opened, "adult_purse", 1)
    without = impact("demo", "demo", tmp_path / "days")
    assert gaps_of(without) == {"card_first_seen": 1, "grants_missing": 2}
    assert without["total"]["taps"] == 1
    at_hand = impact("demo", "demo", tmp_path / "days", "--grants", listed)
    assert gaps_of(at_hand) == {"card_first_seen": 1}
    assert totals_of(at_hand) == (2_400, 2_400, 2_400)
    assert at_hand["total"]["taps"] == 3
