"""The card's period day under clocks that are right, suspect, authenticated or wrong (T-14, O-05, M-37, ADR 26)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cardproto.resident.records.event import (
    FIRST_AT,
    MOST_DAYS_AHEAD,
    MOST_DAYS_BACK,
    Event,
    EventKind,
    PaidBy,
)
from cardproto.resident.records.rights import Concession, Contract
from terminal.decision.outcome import Decision
from terminal.decision.tap import of_boarding, rebase
from tests.properties import examples
from tests.terminal.decision.region import small
from tests.terminal.decision.rider import DEMO, PENSIONER, STUDENT, Rider, issued, local, trip_at

OCT_31, NOV_1, NOV_2 = date(2026, 10, 31), date(2026, 11, 1), date(2026, 11, 2)
DAY = timedelta(days=1)
SUSPECT = {"clock_suspect": True, "clock_confirmed": True}
SIGNED = {"clock_authenticated": True}


HALF_PRICE = """
[[concessions]]
code = 2
name = "student"
fare = { kind = "percent_of_base", pays_percent = 50 }
limits = [{ kind = "trips", trips = 50, counter = "month" }]
[[products]]
kind = "trip_pack"
id = 145
name = "pack"
trips = 45
lapses = "monthly"
"""
STUDENTS = small(HALF_PRICE, slots='{ name = "month", bits = 8, period = "service_month" },\n')
"""Fifty rides a month at half price, and no transfers."""


def noon(day: date, minute: int = 0) -> datetime:
    return local(f"12:{minute:02}", day)


def student(used: int = 0, at: date = NOV_1) -> Rider:
    holder = Rider(concessions=(STUDENT,), balance_minor=900_000, policy=STUDENTS)
    counters = STUDENTS.card.by_name["month"].write(0, used)
    holder.event = issued(900_000)._replace(at=noon(at), counter_layout=1, counters=counters)
    return holder


def used(decision: Decision) -> int | str:
    """How many of the month's trips the tap found used."""
    return next(reason.inputs["used"] for reason in decision.facts if "used" in reason.inputs)


def days(holder: Rider) -> tuple[date, date]:
    """The service day of the newest event and the card's period day, as the card states them."""
    newest = holder.newest
    day = STUDENTS.service_date(newest.at.astimezone(STUDENTS.zone))
    return day, day + newest.period_ahead * DAY


def marks(decision: Decision) -> list[tuple[str, int, int, int]]:
    """What marks the row of a card that is ahead: the effect, days, terminal and row."""
    return [
        (reason.code, *(int(reason.inputs[name]) for name in ("days", "terminal", "sequence")))
        for reason in decision.facts
        if reason.code.startswith("o-05:period")
    ]


# clocks nobody suspects


def test_s_a_bus_a_day_behind_does_not_open_the_month_again() -> None:
    holder = student()
    seen = [
        used(holder.tap(noon(day, minute), route=minute))
        for minute, day in enumerate((NOV_1, OCT_31, NOV_1), 1)
    ]
    assert seen == [0, 1, 2]
    assert days(holder) == (NOV_1, NOV_1)


def test_a_bus_behind_states_its_own_time_and_the_period_of_the_card() -> None:
    holder = student()
    holder.tap(noon(NOV_2))
    decision = holder.tap(noon(OCT_31), terminal=8)
    assert days(holder) == (OCT_31, NOV_2)
    assert decision.flags == ("period_ahead",)
    assert marks(decision) == [("o-05:period_ahead", 2, 7, 100)]


def test_a_card_one_day_ahead_is_nothing_to_speak_of() -> None:
    holder = student()
    holder.tap(noon(NOV_1))
    decision = holder.tap(noon(OCT_31))
    assert (decision.flags, marks(decision)) == ((), [])


CAP = '[[caps]]\nkind = "amount_cap"\nid = "day"\nspent = "day_spent"\ntiers = [{ amount_minor = 600 }]\n'
"""At most 6.00 a service day."""
TWO_ROUBLES = {
    "fares": "[fares]\nbase_minor = 200\n[fares.by_medium]\ntransport_card = 200\nbank_card = 200\ncash = 200\n",
    "slots": '{ name = "day_spent", bits = 5, period = "service_day", unit_minor = 50 },\n',
}
"""A ride costs 2.00."""


@pytest.mark.parametrize("clock", [{}, SUSPECT])
def test_s_the_days_cap_holds_over_a_bus_with_yesterdays_date(clock: dict[str, bool]) -> None:
    holder = Rider(policy=small(CAP, **TWO_ROUBLES), balance_minor=10_000)
    charged = [holder.tap(noon(NOV_2, minute), route=minute).outcome.charge_minor for minute in range(3)]
    charged.append(holder.tap(noon(NOV_1, 30), route=30, **clock).outcome.charge_minor)
    charged += [holder.tap(noon(NOV_2, minute), route=minute).outcome.charge_minor for minute in (40, 50)]
    assert sum(charged) == 600
    assert charged == [200, 200, 200, 0, 0, 0]


# suspect clocks


@pytest.mark.parametrize("off", [-20_000, -400, -40, -31, -1, 0, 1, 31, 40, 400, 10_000])
def test_s_a_full_month_stays_full_after_a_suspect_bus_however_far_off(off: int) -> None:
    holder = student(used=50, at=NOV_1)
    assert holder.tap(noon(NOV_2, 1)).outcome.message == "limit_reached"
    wrong = max(noon(NOV_2, 2) + off * DAY, datetime(1970, 1, 1, 12, tzinfo=UTC))
    holder.tap(wrong, route=6, **SUSPECT)
    holder.tap(wrong + timedelta(minutes=5), route=9, **SUSPECT)
    for minute, clock in enumerate(({}, SIGNED, {}), 10):
        assert holder.tap(noon(NOV_2, minute), route=minute, **clock).outcome.message == "limit_reached"
    assert days(holder)[0] == NOV_2


@pytest.mark.parametrize("off", [-20_000, -400, -40, 40, 400, 10_000])
def test_a_card_that_met_a_clock_far_off_is_in_order_with_the_next_right_one(off: int) -> None:
    holder = student(used=50, at=NOV_1)
    holder.tap(max(noon(NOV_2) + off * DAY, datetime(1970, 1, 1, 12, tzinfo=UTC)), **SUSPECT)
    right = holder.tap(noon(NOV_2 + 8 * DAY), route=9)
    assert (used(right), days(holder)[1]) == (50, NOV_2 + 8 * DAY)
    assert right.flags == ()
    assert used(holder.tap(noon(date(2026, 12, 1)))) == 0


def test_a_suspect_clock_neither_ends_a_month_nor_begins_one() -> None:
    holder = student(used=7, at=date(2026, 11, 30))
    decision = holder.tap(noon(date(2026, 12, 1), 1), **SUSPECT)
    assert (used(decision), decision.flags) == (7, ("clock_suspect",))
    assert days(holder) == (date(2026, 12, 1), date(2026, 11, 30))
    assert used(holder.tap(noon(date(2026, 12, 1), 9), route=6, **SUSPECT)) == 8
    assert used(holder.tap(noon(date(2026, 12, 1), 20), route=7)) == 0
    assert days(holder) == (date(2026, 12, 1), date(2026, 12, 1))


def test_signed_time_of_a_suspect_clock_moves_nothing() -> None:
    holder = student(used=7, at=NOV_2 + 9 * DAY)
    holder.tap(noon(NOV_2), **SUSPECT, **SIGNED)
    assert days(holder) == (NOV_2, NOV_2 + 9 * DAY)


def test_a_card_idle_for_months_has_its_new_month_after_a_suspect_clock_that_was_right() -> None:
    holder = student(used=50, at=date(2026, 9, 5))
    assert used(holder.tap(noon(date(2026, 12, 20), 1), **SUSPECT)) == 50
    assert holder.newest.period_ahead == -MOST_DAYS_BACK
    assert used(holder.tap(noon(date(2026, 12, 20), 9), route=6, **SUSPECT)) == 50
    assert holder.newest.period_ahead == -MOST_DAYS_BACK
    assert used(holder.tap(noon(date(2026, 12, 20), 20), route=7)) == 0


def test_a_clock_outside_of_what_a_card_can_state_is_suspect_whatever_it_says() -> None:
    holder = student(used=9)
    holder.valid_from = date(2000, 1, 1)
    holder.tap(datetime(2001, 1, 1, tzinfo=UTC), **SIGNED)
    assert (holder.newest.at, holder.newest.period_ahead) == (FIRST_AT, MOST_DAYS_AHEAD)
    assert used(holder.tap(noon(NOV_2))) == 9


def test_a_suspect_bus_sells_on_a_service_card_only() -> None:
    holder = student()
    assert holder.tap(noon(NOV_1), clock_suspect=True).outcome.message == "clock_unconfirmed"
    assert holder.newest.kind is EventKind.ISSUE


# authenticated clocks


def ahead_by_a_wrong_bus(used: int) -> Rider:
    """A card that a bus with an unsuspected clock has put six days ahead, into December."""
    holder = student(used=used, at=date(2026, 11, 26))
    holder.tap(noon(date(2026, 12, 4)), terminal=9)
    return holder


def test_signed_time_puts_a_card_back_and_keeps_every_count() -> None:
    holder = ahead_by_a_wrong_bus(used=20)
    decision = holder.tap(noon(date(2026, 11, 28)), route=6, **SIGNED)
    assert used(decision) == 1, "what the wrong bus began anew is gone"
    assert decision.flags == ("period_lowered",)
    assert marks(decision) == [("o-05:period_lowered", 6, 9, 100)]
    assert days(holder) == (date(2026, 11, 28), date(2026, 11, 28))
    assert used(holder.tap(noon(date(2026, 12, 1)))) == 0


def test_without_signed_time_the_card_keeps_its_period_and_every_row_says_so() -> None:
    holder = ahead_by_a_wrong_bus(used=20)
    first = holder.tap(noon(date(2026, 11, 28)), route=6)
    second = holder.tap(noon(date(2026, 11, 29)), route=8, terminal=11)
    assert (used(first), used(second)) == (1, 2)
    assert marks(first) == [("o-05:period_ahead", 6, 9, 100)]
    assert marks(second) == [("o-05:period_ahead", 5, 7, 101)], "by the row before it one comes to terminal 9"
    assert days(holder) == (date(2026, 11, 29), date(2026, 12, 4))
    assert used(holder.tap(noon(date(2026, 12, 1)))) == 3


def test_signed_time_leaves_a_card_alone_that_is_a_day_ahead() -> None:
    holder = student(used=5, at=NOV_2)
    decision = holder.tap(noon(NOV_1), **SIGNED)
    assert (decision.flags, days(holder)) == ((), (NOV_1, NOV_2))


# contracts and rides over the border of the day


def test_a_contracts_count_survives_every_clock() -> None:
    pack = Contract(145, date(2026, 11, 10), date(2026, 11, 30), 45)
    counter = STUDENTS.card.contracts[0]
    for off in (-400, -40, -10, 10, 40, 400):
        holder = Rider(
            policy=STUDENTS, contracts=(pack,), event=issued()._replace(at=noon(date(2026, 11, 9)))
        )
        holder.tap(noon(date(2026, 11, 12)))
        assert counter.read(holder.newest.counters) == 1
        holder.tap(noon(date(2026, 11, 12)) + off * DAY, route=6, **SUSPECT)
        rode = counter.read(holder.newest.counters)
        holder.tap(noon(date(2026, 11, 13)), route=7)
        assert counter.read(holder.newest.counters) == rode + 1


def test_a_contract_that_begins_after_all_the_card_has_seen_starts_at_0() -> None:
    holder = Rider(policy=STUDENTS, contracts=(Contract(145, NOV_2, date(2026, 11, 30), 45),))
    spent = STUDENTS.card.contracts[0].write(0, 12)
    holder.event = issued()._replace(at=noon(OCT_31), period_ahead=1, counter_layout=1, counters=spent)
    assert holder.tap(noon(NOV_2)).outcome.values == {"n": 44}
    holder.event = issued()._replace(at=noon(OCT_31), period_ahead=2, counter_layout=1, counters=spent)
    assert holder.tap(noon(NOV_2)).outcome.values == {"n": 32}


def test_at_the_far_end_of_a_distance_a_contract_may_have_been_used_and_at_the_near_end_not() -> None:
    """A month ahead means that far or further: a clock there may have counted a contract that begins later still."""
    last, spent = date(2026, 12, 31), STUDENTS.card.contracts[0].write(0, 12)
    at = {"counter_layout": 1, "counters": spent}
    later = Rider(policy=STUDENTS, contracts=(Contract(145, date(2026, 12, 10), last, 45),))
    later.event = issued()._replace(at=noon(OCT_31), period_ahead=MOST_DAYS_AHEAD, **at)
    assert later.tap(noon(NOV_2)).outcome.accepted
    assert STUDENTS.card.contracts[0].read(later.newest.counters) == 12
    for clock in ({}, SUSPECT):
        sooner = Rider(policy=STUDENTS, contracts=(Contract(145, NOV_2 + DAY, last, 45),))
        sooner.event = issued()._replace(at=noon(NOV_2), period_ahead=-MOST_DAYS_BACK, **at)
        assert sooner.tap(noon(NOV_2 + DAY), **clock).outcome.values == {"n": 44}


def test_t_07_the_end_of_a_ride_is_of_the_period_it_began_in() -> None:
    holder = student(used=12, at=OCT_31)
    tap = rebase(holder.snapshot, STUDENTS, trip_at(), noon(NOV_1))
    counter = STUDENTS.card.by_name["month"]
    assert (counter.read(tap.counters), tap.period_day) == (0, NOV_1)
    boarding = of_boarding(tap)
    assert (counter.read(boarding.counters), boarding.period_day, boarding.periods.written) == (
        12,
        OCT_31,
        -1,
    )
    assert of_boarding(boarding) == boarding
    lowered = rebase(student(at=NOV_1 + 9 * DAY).snapshot, STUDENTS, trip_at(**SIGNED), noon(NOV_1))
    assert of_boarding(lowered) == lowered


# meals


PUPIL = Concession(10, 0x03, date(2026, 9, 1), date(2027, 5, 31))


def child() -> Rider:
    return Rider(
        concessions=(PUPIL,), balance_minor=90_000, event=issued(90_000)._replace(at=noon(date(2026, 9, 10)))
    )


def breakfast(day: date) -> datetime:
    return local("09:00", day)


MON, TUE, WED = date(2026, 9, 14), date(2026, 9, 15), date(2026, 9, 16)


@pytest.mark.parametrize(
    ("off", "clock"),
    [(0, {}), (-1, {}), (2, {}), (-1, SUSPECT), (40, SUSPECT), (-40, SUSPECT), (-16_000, SUSPECT)],
)
def test_m_37_a_canteens_clock_turns_no_child_away_and_feeds_none_twice(
    off: int, clock: dict[str, bool]
) -> None:
    holder = child()
    for day in (MON, TUE, WED):
        now = breakfast(day) + off * DAY
        assert holder.tap(noon(day - DAY, 30)).outcome.accepted, "a bus with the right time the day before"
        fed = [holder.eat(now, **clock).outcome.message, holder.eat(now, **clock).outcome.message]
        within = off > -16_000
        assert fed == ["meal_ok", "meal_already" if within else "meal_ok"], (
            "in 1970 the till's own rows know (M-19)"
        )
        assert holder.tap(noon(day)).outcome.accepted, "and one after it"
    assert holder.newest.meals == (0b1 if off in (0, 2) else 0), (
        "one that was not suspect has opened that day"
    )


@pytest.mark.parametrize("off", [-9, -1, 0, 9])
def test_m_37_a_suspect_bus_in_between_leaves_a_meal_on_the_card(off: int) -> None:
    holder = child()
    assert holder.eat(breakfast(TUE)).outcome.message == "meal_ok"
    holder.tap(noon(TUE) + off * DAY, **SUSPECT)
    assert holder.newest.meals == 0b1
    assert holder.eat(breakfast(TUE)).outcome.message == "meal_already"
    assert holder.eat(breakfast(WED)).outcome.message == "meal_ok"


@pytest.mark.parametrize("off", [-16_000, -40, 40, 400])
def test_m_37_where_the_day_of_a_meal_is_not_known_it_is_given(off: int) -> None:
    holder = child()
    assert holder.eat(breakfast(TUE)).outcome.message == "meal_ok"
    holder.tap(max(noon(TUE) + off * DAY, datetime(1970, 1, 1, tzinfo=UTC)), **SUSPECT)
    assert holder.eat(breakfast(WED)).outcome.message == "meal_ok"


def test_m_37_a_period_that_is_not_known_keeps_no_meal_where_a_bound_of_it_happens_to_be_the_meals_day() -> (
    None
):
    """A suspect canteen served a card whose period was as far ahead as it can state; a bus as far behind follows."""
    holder = child()
    holder.event = holder.newest._replace(period_ahead=MOST_DAYS_AHEAD)
    assert holder.eat(breakfast(TUE), **SUSPECT).outcome.message == "meal_ok"
    assert holder.newest.period_ahead == MOST_DAYS_AHEAD
    holder.tap(noon(TUE) - MOST_DAYS_AHEAD * DAY, **SUSPECT)
    assert holder.newest.meals == 0
    for ahead, clock in ((-MOST_DAYS_BACK, SUSPECT), (MOST_DAYS_AHEAD, {})):
        holder.event = holder.newest._replace(at=noon(MON), period_ahead=ahead, meals=0b1)
        assert holder.tap(noon(TUE), **clock).outcome.accepted
        assert holder.newest.meals == 0


def test_t_07_a_meal_while_the_holder_is_checked_in_keeps_the_ride_and_says_who_paid_the_meal() -> None:
    holder = child()
    riding = holder.newest._replace(
        kind=EventKind.CHECK_IN, route=12, direction=1, paid_by=PaidBy.PURSE, inside=2
    )
    holder.event = riding._replace(at=breakfast(TUE) - timedelta(minutes=30), last_order=77)
    decision = holder.eat(breakfast(TUE))
    newest = holder.newest
    assert (newest.kind, newest.route, newest.direction, newest.inside) == (EventKind.MEAL, 12, 1, 2)
    assert (newest.paid_by, newest.last_order) == (PaidBy.PURSE, 77)
    assert decision.write_plan is not None
    assert decision.write_plan.paid_by is PaidBy.BUDGET


# whatever the clocks


class Met(NamedTuple):
    """One tap of a sequence: the days since the one before it, how far its clock is off, and what it knows of it."""

    after: int
    off: int
    clock: dict[str, bool]


MOST = 3
LIMITED = """
[[concessions]]
code = 1
name = "free, three a month"
fare = { kind = "free" }
limits = [{ kind = "trips", trips = 3, counter = "month" }]
"""
THREE_A_MONTH = small(LIMITED, slots='{ name = "month", bits = 4, period = "service_month" },\n')
START = date(2026, 9, 5)
OFF = st.integers(-40, 40) | st.integers(-20_000, 11_000) | st.sampled_from((-32, -31, -30, 30, 31, 32))
RIGHT = st.builds(Met, st.integers(0, 45), st.just(0), st.sampled_from(({}, SIGNED)))
WRONG = st.builds(Met, st.integers(0, 45), OFF, st.just(SUSPECT))


def pensioner() -> Rider:
    holder = Rider(concessions=(replace(PENSIONER, valid_to=date(2059, 1, 1)),), policy=THREE_A_MONTH)
    holder.balance_minor = 1_000_000
    holder.valid_from, holder.valid_to = date(1970, 1, 1), date(2059, 1, 1)
    holder.concessions = (replace(PENSIONER, valid_from=date(1970, 1, 1), valid_to=date(2059, 1, 1)),)
    holder.event = issued(1_000_000)._replace(at=noon(START))
    return holder


def month(day: date) -> int:
    return day.year * 12 + day.month


def free_rides(taps: list[Met]) -> list[tuple[date, bool, bool]]:
    """Of each tap: the true day, whether its clock was suspect, and whether the ride was free."""
    holder, day, seen = pensioner(), START, []
    for number, met in enumerate(taps):
        day += met.after * DAY
        now = max(noon(day) + met.off * DAY + timedelta(minutes=number), datetime(1970, 1, 1, 12, tzinfo=UTC))
        decision = holder.tap(now, route=number + 1, **met.clock)
        seen.append((day, met.clock is SUSPECT, decision.outcome.message == "ok_benefit"))
    return seen


@examples(300)
@given(st.lists(RIGHT, max_size=20))
def test_right_clocks_give_exactly_each_months_rides(taps: list[Met]) -> None:
    ridden: dict[int, int] = {}
    for day, _, free in free_rides(taps):
        assert free == (ridden.get(month(day), 0) < MOST)
        ridden[month(day)] = ridden.get(month(day), 0) + free


@examples(600)
@given(st.lists(RIGHT | WRONG, max_size=25))
@example([Met(0, 0, {})] * 3 + [Met(0, -20_000, SUSPECT), Met(0, 11_000, SUSPECT), Met(1, 0, {})])
@example([Met(0, 0, {})] * 3 + [Met(0, 9_000, SUSPECT), Met(0, -700, SUSPECT), Met(1, 0, {})])
@example([Met(0, 0, {})] * 3 + [Met(0, 400, SUSPECT), Met(0, 360, SUSPECT), Met(1, 0, {})])
def test_no_suspect_clock_gives_a_ride_more_than_the_months_that_right_clocks_begin(taps: list[Met]) -> None:
    begun, ridden = month(START), 0
    for day, suspect, free in free_rides(taps):
        if not suspect and month(day) > begun:
            begun, ridden = month(day), 0
        ridden += free
        assert ridden <= MOST


@examples(600)
@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from(({}, SIGNED, SUSPECT))), max_size=30))
def test_no_wrong_clock_within_a_month_begins_a_period_twice(taps: list[tuple[int, dict[str, bool]]]) -> None:
    """Nothing says which clock is right: a month begins once, with the first that is not suspect, unless signed time
    takes it back.
    """
    holder, top, ridden = pensioner(), date(2026, 10, 15), 0
    holder.event = issued(1_000_000)._replace(at=noon(top))
    for number, (offset, clock) in enumerate(taps):
        day = date(2026, 10, 15) + offset * DAY
        decision = holder.tap(noon(day, number), route=number + 1, **clock)
        if clock is not SUSPECT and day > top:
            ridden = ridden if month(day) == month(top) else 0
            top = day
        elif clock is SIGNED and (top - day).days > 1:
            top = day
        free = decision.outcome.message == "ok_benefit"
        assert free == (ridden < MOST)
        ridden += free
        stated = holder.newest.at.astimezone(THREE_A_MONTH.zone).date() + holder.newest.period_ahead * DAY
        assert stated == top


@given(
    st.integers(-MOST_DAYS_BACK, MOST_DAYS_AHEAD),
    st.integers(-60, 60),
    st.sampled_from(({}, SIGNED, SUSPECT)),
)
def test_what_is_written_can_be_read_and_never_states_an_earlier_day_than_it_keeps(
    ahead: int, off: int, clock: dict[str, bool]
) -> None:
    event: Event = issued()._replace(at=noon(NOV_2), period_ahead=ahead, counter_layout=1)
    holder = Rider(event=event)
    tap = rebase(holder.snapshot, DEMO, trip_at(**clock), noon(NOV_2) + off * DAY)
    assert -MOST_DAYS_BACK <= tap.periods.written <= MOST_DAYS_AHEAD
    if tap.periods.lifted:
        assert clock is not SUSPECT
    if tap.periods.lowered:
        assert clock is SIGNED
