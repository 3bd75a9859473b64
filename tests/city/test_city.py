"""Tiny cities whose results were reckoned by hand."""

from __future__ import annotations

from random import Random

import pytest

from terminal.lab.city.contact import CONTACTS, Contact
from terminal.lab.city.costs import CHANGED, HELD_BYTES, QUIET
from terminal.lab.city.load import day_load
from terminal.lab.city.rollout import BEGINS, WrongTariff, harm_of
from terminal.lab.city.run import CityPlan, play_city
from terminal.lab.city.spread import known_at, spread_of
from terminal.lab.city.timetable import DAY_S, HOUR_S, DaySpan, TerminalKind, Timetable, made_city

BY_MINUTE = Contact("60 s", 60)
HELD = Contact("held", 60, held=True)
STICKS = Contact("sticks", 60, sticks=True)
ALL_DAY = DaySpan(0, DAY_S)
NO_RANDOM = Random(0)


def bus(first_s: float = 0, **changes: object) -> Timetable:
    """Serves from 6 to 22 and looks since `first_s` after 5, until 23."""
    given = {
        "kind": TerminalKind.CONNECTED,
        "serves": DaySpan(6 * HOUR_S, 16 * HOUR_S),
        "hears": DaySpan(5 * HOUR_S + first_s, 18 * HOUR_S - first_s),
        **changes,
    }
    return Timetable(**given)  # type: ignore[arg-type]


def away(**changes: object) -> Timetable:
    """In its depot from 23 to 1, every third day, the first of them day 1."""
    hears = DaySpan(23 * HOUR_S, 2 * HOUR_S)
    return bus(kind=TerminalKind.AWAY, hears=hears, every_days=3, first_day=1, **changes)


@pytest.mark.parametrize(
    ("at", "looks"),
    [
        (0, 5 * HOUR_S + 10),  # it is off until five
        (5 * HOUR_S + 10, 5 * HOUR_S + 10),
        (5 * HOUR_S + 11, 5 * HOUR_S + 70),
        (10 * HOUR_S, 10 * HOUR_S + 10),
        (23 * HOUR_S, DAY_S + 5 * HOUR_S + 10),
        (DAY_S + 12 * HOUR_S + 11, DAY_S + 12 * HOUR_S + 70),
    ],
)
def test_a_bus_looks_each_minute_since_it_started(at: float, looks: float) -> None:
    assert bus(10).next_look(at, 60, NO_RANDOM) == looks


@pytest.mark.parametrize(
    ("at", "looks"),
    [
        (0, DAY_S + 23 * HOUR_S),
        (DAY_S + 24.5 * HOUR_S, 2 * DAY_S + 0.5 * HOUR_S),  # after midnight it is still there
        (DAY_S + 25 * HOUR_S, 4 * DAY_S + 23 * HOUR_S),
        (3 * DAY_S, 4 * DAY_S + 23 * HOUR_S),
    ],
)
def test_a_bus_that_is_away_looks_on_its_days(at: float, looks: float) -> None:
    assert away().next_look(at, 60, NO_RANDOM) == looks


def test_half_of_the_looks_of_a_bus_without_a_network_every_other_time_come_late() -> None:
    random = Random(5)
    waits = [bus(lost=0.5).next_look(12 * HOUR_S, 60, random) - 12 * HOUR_S for _ in range(4000)]
    assert sum(waits) / len(waits) == pytest.approx(60, rel=0.1), (
        "the mean number of lost looks before one is 1"
    )


def test_serving_is_counted_over_midnights() -> None:
    assert bus().serving_s(0, DAY_S) == 16 * HOUR_S
    assert bus().serving_s(12 * HOUR_S, 12 * HOUR_S + 60) == 60
    assert bus().serving_s(21 * HOUR_S, DAY_S + 7 * HOUR_S) == 2 * HOUR_S
    assert bus().served_at(21 * HOUR_S, 2 * HOUR_S) == DAY_S + 7 * HOUR_S
    assert bus().served_at(0, 16 * HOUR_S) == 22 * HOUR_S
    late = bus(serves=DaySpan(20 * HOUR_S, 10 * HOUR_S))
    assert late.serving_s(0, DAY_S) == 10 * HOUR_S, "6 h of the night before, 4 h of this day"


def test_the_collector_answers_one_after_the_other() -> None:
    three = [bus(), bus(), bus(30)]
    at = 12 * HOUR_S
    assert known_at(three, BY_MINUTE, at, NO_RANDOM, 1.0) == [at + 1, at + 2, at + 31]
    assert known_at(three, HELD, at, NO_RANDOM, 1.0) == [at + 1, at + 2, at + 3]


def test_an_entry_is_lost_rides_until_it_is_known() -> None:
    """One bus looks 30 s after noon; the other, away, at 23 of the next day: it serves 10 + 16 h till then."""
    pair = [bus(30), away()]
    found = spread_of(pair, BY_MINUTE, [12 * HOUR_S], 0, 4, cores=1e9, seed=1)
    assert found.all_s == pytest.approx((30, 35 * HOUR_S, 35 * HOUR_S, 35 * HOUR_S))
    assert found.in_contact_s == pytest.approx((30, 30, 30, 30))
    assert found.lost_rides == pytest.approx(4 * (30 + 26 * HOUR_S) / (32 * HOUR_S))


def test_an_entry_waits_half_of_the_time_between_two_issues() -> None:
    found = spread_of([bus()], HELD, [12 * HOUR_S], 600, 4, cores=1e9, seed=1)
    assert found.all_s[-1] == pytest.approx(300)


def test_a_stick_comes_in_the_evening_with_what_was_published_before_six() -> None:
    six, ten = 18 * HOUR_S, 22 * HOUR_S
    assert STICKS.hears_at(away(), six, NO_RANDOM) == ten
    assert STICKS.hears_at(away(), six + 1, NO_RANDOM) == DAY_S + ten
    assert STICKS.hears_at(bus(), 2 * HOUR_S, NO_RANDOM) == 5 * HOUR_S, "others have none"


def test_a_day_of_looks_is_counted() -> None:
    """A bus looks for 18 h each day, the other for 2 h each third day."""
    load = day_load([bus(), away()], BY_MINUTE, issues=24, content=1000)
    changed = 24 * 18 / 24 + 1 + (24 * 2 / 24 + 1) / 3  # and one for what came while it was away
    quiet = 1080 + 120 / 3 - changed
    assert load.looks == pytest.approx(1120)
    assert load.requests == pytest.approx(2 * quiet + CHANGED.requests * changed)
    assert load.overhead_bytes == pytest.approx(quiet * QUIET.size + changed * CHANGED.size)
    assert load.content_bytes == pytest.approx(1000 * changed)
    assert load.peak_looks == pytest.approx(2 / 60), "it begins at five, and looks within the same minute"
    assert load.burst == 0


def test_a_held_request_is_one_question_until_there_is_news() -> None:
    load = day_load([bus(), bus()], HELD, issues=24, content=1000)
    changed = 2 * 19
    assert load.requests == pytest.approx(2 * 1080 + CHANGED.requests * changed)
    assert load.overhead_bytes == pytest.approx(2 * 1080 * HELD_BYTES + changed * CHANGED.size)
    assert load.burst == 2


def test_the_collector_withdraws_a_wrong_tariff_after_two_hundred_taps() -> None:
    """Ten buses make 600 taps in 16 h each: 200 of all ten are there after 32 min, seen at the next minute's sums."""
    harm = harm_of([bus()] * 10, BY_MINUTE, [100], WrongTariff(0.1), 1)
    assert harm == (10, pytest.approx(0.1 * 200), 32 * 60, 32 * 60)


def test_a_terminal_that_is_not_heard_returns_by_itself() -> None:
    """It takes the tariff at 23, serves from 6 and has made 200 taps after 5 h 20 min."""
    harm = harm_of([away()], BY_MINUTE, [100], WrongTariff(0.1, judged=False), 1)
    assert harm.reached == 0, "a person withdraws it the next morning, and it hears of both in the evening"
    later = Timetable(TerminalKind.DEPOT, DaySpan(6 * HOUR_S, 16 * HOUR_S), DaySpan(23 * HOUR_S, HOUR_S))
    harm = harm_of([later], BY_MINUTE, [100], WrongTariff(0.1, judged=False), 1)
    assert harm == (1, pytest.approx(0.1 * 200), DAY_S, DAY_S + 80 * 60)


def test_a_step_that_never_comes_harms_none() -> None:
    harm = harm_of([bus()] * 100, BY_MINUTE, [2, 100], WrongTariff(0.1), 1)
    assert harm.reached == 2
    assert harm.withdrawn_s == 2 * HOUR_S + 40 * 60


def test_what_no_rule_sees_goes_on_until_a_person_looks() -> None:
    harm = harm_of([bus()], BY_MINUTE, [100], WrongTariff(0.03), 1)
    assert harm == (1, pytest.approx(0.03 * 600), DAY_S, DAY_S)
    assert BEGINS == 10 * HOUR_S


def test_a_city_is_the_same_for_its_seed_and_another_for_another() -> None:
    plan = CityPlan(terminals=200)
    assert play_city(plan) == play_city(plan)
    assert made_city(200, 1) != made_city(200, 2)
    assert {one.kind for one in made_city(2000, 1)} == set(TerminalKind)


def test_asking_more_often_is_known_sooner_and_costs_more() -> None:
    minute, five, fifteen, held, sticks = play_city(CityPlan(terminals=2000)).contacts
    halves = [one.spread.all_s[0] for one in (held, minute, five, fifteen)]
    assert halves == sorted(halves)
    looks = [one.load.looks for one in (minute, five, fifteen)]
    assert looks == sorted(looks, reverse=True)
    assert sticks.spread.lost_rides < five.spread.lost_rides
    assert [one.name for one in CONTACTS][-1] == sticks.contact.name
