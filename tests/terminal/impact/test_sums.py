"""Days whose sums are counted by hand: what `terminal policy impact` says of them to the kopeck."""

from __future__ import annotations

from pathlib import Path

import pytest

from terminal.errors import JournalError
from tests.terminal.impact.conftest import (
    COUNTER,
    FRONT,
    OTHER,
    Impact,
    changed,
    gaps_of,
    group,
    reload_point,
    ride,
    totals_of,
    town,
)

FARE = "transport_card = 2400"


def test_a_dearer_ride_empties_the_replayed_purse_earlier(tmp_path: Path, impact: Impact) -> None:
    """500.00 on the card, 21 rides.

    Old: 20 rides of 24.00 are 480.00, the 21st is refused. New: 19 rides of 26.00 are 494.00, the 20th and 21st are
    refused, of which the 20th is new.
    """
    with town(tmp_path / "days", "adult_purse") as opened:
        ride(opened, "adult_purse", 21)
    found = impact("demo", changed(tmp_path, FARE, "transport_card = 2600"), tmp_path / "days")
    assert totals_of(found) == (48_000, 48_000, 49_400)
    total = found["total"]
    assert (total["taps"], total["changed"], total["refused"], total["accepted"]) == (21, 20, 1, 0)
    assert (found["cards"], total["cards"], total["changed_cards"]) == (1, 1, 1)
    assert [(row["message"], row["taps"], row["cards"]) for row in found["refused"]] == [("no_funds", 1, 1)]
    paid = group(found, "right", "purse")
    assert (paid["taps"], paid["old_minor"], paid["new_minor"]) == (19, 45_600, 49_400)
    lost = group(found, "right", "purse", "refused")
    assert (lost["taps"], lost["old_minor"], lost["new_minor"]) == (1, 2_400, 0)
    assert gaps_of(found) == {"card_first_seen": 1}
    months = [(row["over_minor"], row["more"], row["less"]) for row in found["months"]]
    assert months[:2] == [(0, 1, 0), (5_000, 0, 0)], "14.00 more in its month"
    largest = found["largest"][0]
    assert largest["card"] == 1, "the one card, by number"
    assert (largest["old"]["charge_minor"], largest["new"]["charge_minor"]) == (2_400, 0)


def test_a_cheaper_ride_lets_the_rider_go_on(tmp_path: Path, impact: Impact) -> None:
    """21 rides of 20.00 are 420.00: the 21st, refused under the old document, is paid."""
    with town(tmp_path / "days", "adult_purse") as opened:
        ride(opened, "adult_purse", 21)
    found = impact("demo", changed(tmp_path, FARE, "transport_card = 2000"), tmp_path / "days")
    assert totals_of(found) == (48_000, 48_000, 42_000)
    assert (found["total"]["refused"], found["total"]["accepted"]) == (0, 1)
    assert [row["message"] for row in found["accepted"]] == ["no_funds"]


def test_money_from_a_reload_point_comes_in_both_replays(tmp_path: Path, impact: Impact) -> None:
    """After 21 rides 20.00 are left under the old document and 6.00 under the new one; 100.00 are put on the card.

    Five more rides: 5 of 24.00 under the old document, 4 of 26.00 under the new one, whose purse then holds 2.00.
    """
    with town(tmp_path / "days", "adult_purse") as opened:
        ride(opened, "adult_purse", 21)
        opened.clock.advance(60)
        reload_point(opened, "adult_purse").set_purse(12_000, opened.clock.now())
        ride(opened, "adult_purse", 5)
    found = impact("demo", changed(tmp_path, FARE, "transport_card = 2600"), tmp_path / "days")
    assert totals_of(found) == (60_000, 60_000, 59_800)
    assert found["total"]["refused"] == 2
    assert gaps_of(found) == {"card_first_seen": 1, "reload": 1}


def test_counts_are_carried_on_in_each_replay(tmp_path: Path, impact: Impact) -> None:
    """A student pays 20.00 for 50 rides a month under the old document, for 10 under the new one, then 24.00; the card
    has counted 7 rides already.

    Eight rides: 8 of 20.00 are 160.00; 3 of 20.00 and 5 of 24.00 are 180.00.
    """
    with town(tmp_path / "days", "student_half_price") as opened:
        ride(opened, "student_half_price", 8)
    new = changed(tmp_path, "trips = 50", "trips = 10")
    found = impact("demo", new, tmp_path / "days")
    assert totals_of(found) == (16_000, 16_000, 18_000)
    student = group(found, "concession", "2")
    assert (student["name"], student["taps"], student["changed"]) == (
        "student, half of the base tariff",
        8,
        5,
    )
    assert group(found, "right", "concession", "purse")["taps"] == 5


def test_routes_hours_and_cash_have_groups(tmp_path: Path, impact: Impact) -> None:
    """Two rides on route 15 at 8 and 10 o'clock, one on route 16 at 11: the new document adds 1.00 on 15 alone."""
    with town(tmp_path / "days", "adult_purse") as opened:
        for at, stop in (("08:00:00", FRONT), ("10:00:00", FRONT), ("11:30:00", OTHER)):
            opened.at(opened.clock.now().date(), at)
            opened.tap(stop.number, "adult_purse")
    only_15 = (
        "[guards]\n",
        '[[fares.rules]]\nid = "dear"\nkind = "flat"\nroutes = [15]\n'
        "by_medium = { transport_card = 2500, bank_card = 3000, cash = 3200 }\n[guards]\n",
    )
    new = changed(tmp_path, *only_15)
    found = impact("demo", new, tmp_path / "days")
    assert totals_of(found) == (7_200, 7_200, 7_400)
    assert [(row["old"], row["difference_minor"]) for row in found["groups"]["route"]] == [
        ("15", 200),
        ("16", 0),
    ]
    assert [(row["old"], row["changed"]) for row in found["groups"]["hour"]] == [
        ("08", 1),
        ("10", 1),
        ("11", 0),
    ]
    dear = group(found, "rule", "t-01:ordinary_fare", "t-01:ordinary_fare dear")
    assert (dear["taps"], dear["difference_minor"]) == (2, 200)
    of_16 = impact("demo", new, tmp_path / "days", "--routes", "16")
    assert totals_of(of_16) == (2_400, 2_400, 2_400)


def test_days_outside_are_left_out(tmp_path: Path, impact: Impact) -> None:
    """Three rides on one day, two on the next."""
    with town(tmp_path / "days", "adult_purse") as opened:
        ride(opened, "adult_purse", 3)
        opened.clock.advance(24 * 3_600)
        ride(opened, "adult_purse", 2)
    new, days = changed(tmp_path, FARE, "transport_card = 2600"), tmp_path / "days"
    assert totals_of(impact("demo", new, days, "--from", "2026-09-16"))[1:] == (4_800, 5_200)
    assert totals_of(impact("demo", new, days, "--to", "2026-09-15"))[1:] == (7_200, 7_800)


def test_meals_are_no_rides_and_move_the_card_on(tmp_path: Path, impact: Impact) -> None:
    with town(tmp_path / "days", "pupil_grade3", stops=(FRONT, COUNTER)) as opened:
        ride(opened, "pupil_grade3", 1)
        opened.at(opened.clock.now().date(), "09:45:00")
        opened.tap(COUNTER.number, "pupil_grade3")
        ride(opened, "pupil_grade3", 1)
    found = impact("demo", changed(tmp_path, FARE, "transport_card = 2600"), tmp_path / "days")
    assert gaps_of(found) == {"card_first_seen": 1, "meal": 1, "meal_between": 1}
    assert found["total"]["taps"] == 2


@pytest.mark.parametrize(("stop", "said"), [(COUNTER, "only meals"), (None, "no journal in")])
def test_where_there_is_nothing_to_replay_it_says_what_to_give(tmp_path: Path, run, stop, said: str) -> None:  # type: ignore[no-untyped-def]
    if stop is None:
        (tmp_path / "days").mkdir()
    else:
        with town(tmp_path / "days", "pupil_grade3", stops=(stop,)) as opened:
            opened.at(opened.clock.now().date(), "09:45:00")
            opened.tap(stop.number, "pupil_grade3")
    answer = run("policy", "impact", "demo", "demo", "--journal", tmp_path / "days")
    assert answer.returncode == JournalError.exit_code
    assert said in answer.stderr
    assert "give" in answer.stderr.lower()
