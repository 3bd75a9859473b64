"""The canteen: M-10, M-11, M-15, M-16, M-19, M-20, M-37, and what must not be told (D-03)."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from cardproto.resident.records.event import EventKind, PaidBy
from cardproto.resident.records.rights import Concession
from terminal.decision.decide import decide
from terminal.decision.outcome import Decision, Message
from terminal.trip.pupil import CanteenContext, MealGrant, Pupil
from tests.terminal.decision.rider import FIRST, LAST, TODAY, Rider, demo_with, issued, local, rules, trip_at

BREAKFAST, LUNCH, SNACK = local("09:00"), local("12:30"), local("16:00")
GRADE_3, GRADE_7, SECOND_SHIFT = 0x03, 0x07, 0x20


def code(number: int, parameter: int = 0) -> Concession:
    return Concession(number, parameter, FIRST, LAST)


def pupil(*grants: Concession, **fields: object) -> Rider:
    return Rider(concessions=grants, balance_minor=0, **fields)


def told(decision: Decision) -> tuple[str, str | int | None]:
    return decision.outcome.message.value, decision.outcome.values.get("meal")


def funded(decision: Decision) -> dict[str, int | str]:
    return next(dict(reason.inputs) for reason in decision.facts if reason.rule == "M-01")


def test_m_10_one_free_hot_meal_a_day() -> None:
    child = pupil(code(10, GRADE_3))
    decision = child.eat(BREAKFAST)
    assert told(decision) == ("meal_ok", "breakfast")
    assert decision.write_plan is not None
    assert decision.write_plan.debit_minor == 0
    assert (child.newest.kind, child.newest.paid_by, child.newest.amount_minor) == (
        EventKind.MEAL,
        PaidBy.BUDGET,
        0,
    )
    assert (child.newest.meals, child.newest.balance_after_minor) == (0b1, 0)
    assert funded(decision) == {
        "meal": "breakfast",
        "sum_minor": 7109,
        "federal": 4265,
        "regional": 2134,
        "municipal": 710,
    }
    assert told(child.eat(LUNCH)) == ("meal_not_arranged", None)


@pytest.mark.parametrize("parameter", [SECOND_SHIFT, SECOND_SHIFT | GRADE_3])
def test_m_15_the_second_shift_has_lunch(parameter: int) -> None:
    child = pupil(code(10, parameter))
    assert told(child.eat(BREAKFAST)) == ("meal_not_arranged", None)
    assert told(child.eat(LUNCH)) == ("meal_ok", "lunch")


def test_m_11_two_free_meals_include_the_one_of_m_10() -> None:
    child = pupil(code(10, GRADE_3), code(11, GRADE_3))
    assert [told(child.eat(now)) for now in (BREAKFAST, LUNCH, SNACK)] == [
        ("meal_ok", "breakfast"),
        ("meal_ok", "lunch"),
        ("meal_not_arranged", None),
    ]
    assert child.newest.meals == 0b11


@pytest.mark.parametrize(
    ("parameter", "day_minor"), [(GRADE_3, 15082), (GRADE_7, 16804), (0, 15082), (0x0B, 16804), (0x05, 16804)]
)
def test_m_11_the_day_costs_what_the_grade_says(parameter: int, day_minor: int) -> None:
    child = pupil(code(11, parameter))
    served = [funded(child.eat(now)) for now in (BREAKFAST, LUNCH)]
    assert sum(int(meal["sum_minor"]) for meal in served) == day_minor


def test_the_row_of_section_5_2() -> None:
    """Grade 3, special needs and large family, first shift, 15 September; the buffet is not built yet."""
    child = pupil(code(10, GRADE_3), code(11, GRADE_3), code(12, GRADE_3))
    breakfast = child.eat(BREAKFAST)
    assert (told(breakfast), funded(breakfast)["sum_minor"]) == (("meal_ok", "breakfast"), 7109)
    assert "municipal" not in funded(breakfast), "the special-needs rate, not that of M-10"
    assert told(child.eat(BREAKFAST + timedelta(minutes=5))) == ("meal_already", "breakfast")
    lunch = child.eat(LUNCH)
    assert (told(lunch), funded(lunch)["sum_minor"]) == (("meal_ok", "lunch"), 7973)


def test_m_16_by_default_more_meals_win_then_the_larger_sum_never_both() -> None:
    assert funded(pupil(code(10, GRADE_3), code(12, GRADE_3)).eat(BREAKFAST))["sum_minor"] == 7802
    both_ways = [
        funded(pupil(*grants).eat(BREAKFAST))
        for grants in ((code(11, GRADE_3), code(12, GRADE_3)), (code(12, GRADE_3), code(11, GRADE_3)))
    ]
    assert both_ways[0] == both_ways[1]
    assert both_ways[0]["sum_minor"] == 7109, "two meals of 150.82 beat one of 78.02"


def test_m_16_replace_wins_even_with_fewer_meals() -> None:
    policy = demo_with(("winner = 11\nloser = 10", "winner = 10\nloser = 11"))
    child = pupil(code(10, GRADE_3), code(11, GRADE_3), policy=policy)
    assert funded(child.eat(BREAKFAST))["municipal"] == 710
    assert told(child.eat(LUNCH)) == ("meal_not_arranged", None)


def test_m_16_add_gives_both_in_one_portion() -> None:
    policy = demo_with(('kind = "replace"', 'kind = "add"'), ("winner = 11\nloser = 10", "codes = [10, 12]"))
    child = pupil(code(10, GRADE_3), code(12, GRADE_3), policy=policy)
    both = funded(child.eat(BREAKFAST))
    assert both == {
        "meal": "breakfast",
        "sum_minor": 7109 + 7802,
        "federal": 4265,
        "regional": 2134 + 7802,
        "municipal": 710,
    }
    assert told(child.eat(BREAKFAST)) == ("meal_already", "breakfast"), (
        "still one portion of each kind (M-19)"
    )


def test_m_16_a_lapsed_ground_replaces_nothing() -> None:
    lapsed = Concession(11, GRADE_3, FIRST, TODAY - timedelta(days=1))
    assert funded(pupil(code(10, GRADE_3), lapsed).eat(BREAKFAST))["municipal"] == 710


def test_m_19_one_portion_of_each_kind_a_day() -> None:
    child = pupil(code(11, GRADE_3))
    assert told(child.eat(local("07:30"))) == ("meal_ok", "breakfast")
    second = child.eat(local("10:29:59"), terminal=71)
    assert (told(second), second.write_plan, second.outcome.accepted) == (
        ("meal_already", "breakfast"),
        None,
        False,
    )
    assert told(child.eat(LUNCH)) == ("meal_ok", "lunch")
    assert told(child.eat(local("09:00", TODAY + timedelta(days=1)))) == ("meal_ok", "breakfast")


def test_m_19_a_bus_ride_in_between_forgets_no_meal() -> None:
    child = pupil(code(11, GRADE_3))
    child.event = issued(5000)
    child.eat(BREAKFAST)
    child.tap(BREAKFAST + timedelta(minutes=10))
    assert told(child.eat(BREAKFAST + timedelta(minutes=20))) == ("meal_already", "breakfast")
    assert child.newest.balance_after_minor == 2600


@pytest.mark.parametrize(
    ("clock", "message"),
    [
        ("07:29:59", "no_meal_now"),
        ("07:30:00", "meal_ok"),
        ("10:29:59", "meal_ok"),
        ("10:30:00", "no_meal_now"),
        ("11:29:59", "no_meal_now"),
        ("14:59:59", "meal_ok"),
        ("15:00:00", "no_meal_now"),
    ],
)
def test_a_window_includes_its_first_second_and_not_its_end(clock: str, message: str) -> None:
    assert told(pupil(code(11, GRADE_3)).eat(local(clock)))[0] == message


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        (TODAY, TODAY, "meal_ok"),
        (date(2025, 9, 1), date(2026, 8, 31), "meal_not_arranged"),
        (TODAY + timedelta(days=1), LAST, "meal_not_arranged"),
    ],
)
def test_m_20_the_grant_ends_with_its_last_day(first: date, last: date, message: str) -> None:
    assert told(pupil(Concession(10, GRADE_3, first, last)).eat(BREAKFAST))[0] == message


def test_m_12_a_grade_outside_the_grant_gives_nothing() -> None:
    assert told(pupil(code(12, 0x0A)).eat(BREAKFAST))[0] == "meal_not_arranged"
    assert told(pupil(code(12, 0x09)).eat(BREAKFAST))[0] == "meal_ok"


def test_m_37_neither_an_empty_purse_nor_a_wrong_clock_turns_a_child_away() -> None:
    child = pupil(code(10, GRADE_3))
    child.event = issued(0)._replace(at=BREAKFAST + timedelta(days=3), meals=0b111)
    assert told(child.eat(BREAKFAST)) == ("meal_ok", "breakfast")


@pytest.mark.parametrize("years", [-50, -1, 0, 1, 2, 20])
def test_m_37_no_year_of_a_wrong_clock_moves_a_pupil_into_another_grade(years: int) -> None:
    """Large families have grades 1 to 9; the grant holds for years, so a clock that is ahead stays within it."""
    child = pupil(Concession(12, 0x09, FIRST, date(FIRST.year + 3, 8, 31)))
    now = BREAKFAST.replace(year=BREAKFAST.year + years)
    assert told(child.eat(now, clock_suspect=True)) == ("meal_ok", "breakfast")


@pytest.mark.parametrize(
    ("now", "meals"),
    [
        (local("03:10"), ["breakfast", None]),  # nothing is served at this hour
        (SNACK, ["breakfast", None]),  # what is served is not his
        (LUNCH, ["lunch", "lunch"]),  # his own: the second tap is told so
    ],
)
def test_m_37_no_hour_of_a_wrong_clock_withholds_the_first_meal(
    now: datetime, meals: list[str | None]
) -> None:
    child = pupil(code(10, GRADE_3), code(11, GRADE_3))
    assert told(child.eat(now, clock_suspect=True)) == ("meal_ok", meals[0])
    assert child.eat(now, clock_suspect=True).outcome.values.get("meal") == meals[1]
    payer = pupil()
    assert told(payer.eat(local("03:10"), clock_suspect=True))[0] == "no_meal_now"


def test_nobody_else_eats() -> None:
    assert told(pupil(code(1)).eat(BREAKFAST))[0] == "meal_not_arranged"
    assert told(pupil().eat(BREAKFAST))[0] == "meal_not_arranged"


LISTED_LATER = {
    "valid_from": FIRST,
    "valid_to": TODAY - timedelta(days=1),
    "issued_on": FIRST + timedelta(days=1),
}


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ((), "meal_ok"),
        ((MealGrant(10, **LISTED_LATER),), "meal_not_arranged"),  # the list is newer: it ended
        ((MealGrant(10, **LISTED_LATER | {"issued_on": FIRST}),), "meal_ok"),  # of the same day: the card
        ((MealGrant(10, **LISTED_LATER | {"issued_on": FIRST, "blocked": True}),), "meal_not_arranged"),
        ((MealGrant(12, **LISTED_LATER),), "meal_ok"),  # another ground
    ],
)
def test_o_02_of_card_and_list_the_newer_wins_and_a_block_always(
    listed: tuple[MealGrant, ...], message: str
) -> None:
    card = pupil(code(10, GRADE_3))
    known = Pupil(b"pupil", grade=3, shift=1, grants=listed)
    trip = trip_at("canteen", 70, 1, canteen=CanteenContext(pupil=known))
    assert decide(card.snapshot, card.policy, trip, BREAKFAST).outcome.message == message


def test_o_02_an_older_grant_of_the_list_hides_none_behind_it_and_only_what_is_replaced_is_noted() -> None:
    older = MealGrant(10, **LISTED_LATER | {"issued_on": FIRST})
    newer = MealGrant(12, FIRST, LAST, FIRST + timedelta(days=1))
    card = pupil(code(10, GRADE_3))
    known = Pupil(b"pupil", grade=3, shift=1, grants=(older, newer))
    trip = trip_at("canteen", 70, 1, canteen=CanteenContext(pupil=known))
    decision = decide(card.snapshot, card.policy, trip, BREAKFAST)
    assert funded(decision)["sum_minor"] == 7802, "code 12, which only the list has"
    assert "o-02:grant_list_newer" not in trail_of(decision)
    known = Pupil(b"pupil", grade=3, shift=1, grants=(MealGrant(10, FIRST, LAST, FIRST + timedelta(days=1)),))
    trip = trip_at("canteen", 70, 1, canteen=CanteenContext(pupil=known))
    assert "o-02:grant_list_newer" in trail_of(decide(card.snapshot, card.policy, trip, BREAKFAST))


def trail_of(decision: Decision) -> list[str]:
    return [reason.code for reason in decision.facts]


@pytest.mark.parametrize(
    "before",
    [
        code(1),  # gives no meal
        Concession(12, GRADE_3, FIRST, TODAY - timedelta(days=1)),  # has ended
        code(12, 0x0B),  # holds in grades 1 to 9
    ],
)
def test_a_ground_that_gives_nothing_hides_none_behind_it(before: Concession) -> None:
    assert told(pupil(before, code(10, GRADE_3)).eat(BREAKFAST)) == ("meal_ok", "breakfast")


def test_a_blocked_ground_hides_none_behind_it() -> None:
    issued_on = FIRST + timedelta(days=1)
    listed = (MealGrant(12, FIRST, LAST, issued_on, blocked=True), MealGrant(11, FIRST, LAST, issued_on))
    known = Pupil(b"pupil", grade=3, shift=1, grants=listed)
    trip = trip_at("canteen", 70, 1, canteen=CanteenContext(pupil=known))
    card = pupil()
    assert decide(card.snapshot, card.policy, trip, BREAKFAST).outcome.message == "meal_ok"


def test_the_trail_says_what_a_ground_gives_and_of_one_alone_no_combination() -> None:
    free, sensitive = (trail_of(pupil(code(number, GRADE_3)).eat(BREAKFAST)) for number in (10, 11))
    assert "m-10:free_meals" in free
    assert "m-19:free_meals" in sensitive
    assert "m-16:combined" not in free + sensitive
    assert "m-16:combined" in trail_of(pupil(code(10, GRADE_3), code(12, GRADE_3)).eat(BREAKFAST))
    policy = demo_with(('"municipal", sum_minor = 710', '"parents", sum_minor = 710'))
    assert "m-10:part_price_meals" in trail_of(pupil(code(10, GRADE_3), policy=policy).eat(BREAKFAST))


def test_a_card_no_roster_lists_is_served_by_its_own_grants_and_flagged() -> None:
    """Where the document says to serve without a question; what it says nothing of, is asked of the cashier (O-02)."""
    serves = demo_with(("[meals.pre_order]", '[meals.ask]\nnot_listed = "serve"\n\n[meals.pre_order]'))
    unlisted = Pupil(b"p", "school_12", listed=False)
    for policy, known, message, flags in (
        (serves, unlisted, "meal_ok", ("not_in_roster",)),
        (serves, None, "meal_ok", ()),
        (None, unlisted, "meal_ask", ()),
    ):
        card = pupil(code(10, GRADE_3)) if policy is None else pupil(code(10, GRADE_3), policy=policy)
        trip = trip_at("canteen", 70, 1, canteen=CanteenContext(school="school_12", pupil=known))
        decision = decide(card.snapshot, card.policy, trip, BREAKFAST)
        assert (decision.outcome.message, decision.flags) == (message, flags)
        assert (trail_of(decision)[-1] == "o-02:ask_not_listed") is (message == "meal_ask")


def test_m_15_a_card_that_states_no_shift_has_the_meal_of_the_first() -> None:
    """Of the second there is none, although its hour has come."""
    card = pupil(code(10, GRADE_3))
    trip = trip_at("canteen", 70, 1, canteen=CanteenContext(serving="by_shift"))
    assert told(decide(card.snapshot, card.policy, trip, LUNCH)) == ("meal_ok", "breakfast")


def test_m_15_the_shift_of_the_roster_counts_before_that_of_the_card() -> None:
    card = pupil(code(10, GRADE_3 | 0x10))
    second = CanteenContext(serving="by_shift", pupil=Pupil(b"pupil", grade=3, shift=2))
    trip = trip_at("canteen", 70, 1, canteen=second)
    assert told(decide(card.snapshot, card.policy, trip, LUNCH)) == ("meal_ok", "lunch")


@pytest.mark.parametrize(
    ("served", "annulled", "messages"),
    [
        (0b00, 0b00, ("meal_already", "meal_ok")),
        (0b00, 0b01, ("meal_ok", "meal_ok")),
        (0b01, 0b01, ("meal_already", "meal_ok")),
        (0b10, 0b00, ("meal_already", "meal_already")),
        (0b10, 0b01, ("meal_ok", "meal_already")),
        (0b11, 0b01, ("meal_already", "meal_already")),
        (0b00, 0b10, ("meal_already", "meal_ok")),
    ],
)
def test_m_19_card_and_rows_together_say_what_was_served(
    served: int, annulled: int, messages: tuple[str, str]
) -> None:
    """The card holds its breakfast. What was annulled here it had not; what was served here without it, it had."""
    child = pupil(code(10, GRADE_3), code(11, GRADE_3))
    child.eat(BREAKFAST)
    known = Pupil(b"pupil", grade=3, shift=1, served=served, annulled=annulled)
    trip = trip_at("canteen", 70, 1, canteen=CanteenContext(pupil=known))
    decisions = [decide(child.snapshot, child.policy, trip, now) for now in (BREAKFAST, LUNCH)]
    assert tuple(decision.outcome.message for decision in decisions) == messages
    written = [one.write_plan.event.meals for one in decisions if one.write_plan is not None]
    before = 0b01 & ~annulled | served
    assert written == [before | bit for bit, said in zip((1, 2), messages, strict=True) if said == "meal_ok"]


@pytest.mark.parametrize(("days", "message"), [(0, "meal_ok"), (1, "blocked")])
def test_m_35_a_card_issued_before_the_present_one_is_lost(days: int, message: str) -> None:
    card = pupil(code(10, GRADE_3))
    since = card.snapshot.rights.issued_on + timedelta(days=days)
    known = Pupil(b"pupil", grade=3, shift=1, cards_since=since)
    trip = trip_at("canteen", 70, 1, canteen=CanteenContext(pupil=known))
    assert decide(card.snapshot, card.policy, trip, BREAKFAST).outcome.message == message


def test_m_16_of_two_grounds_that_give_as_much_the_lower_code_pays() -> None:
    dearer, same = "sum_minor = 7802", "sum_minor = 7109"
    portion = f'{dearer}, funders = [{{ source = "regional", {dearer} }}] }}]'
    policy = demo_with((portion, portion.replace(dearer, same)), (f"day_{dearer}", f"day_{same}"))
    for grants in ((code(10, GRADE_3), code(12, GRADE_3)), (code(12, GRADE_3), code(10, GRADE_3))):
        assert "municipal" in funded(pupil(*grants, policy=policy).eat(BREAKFAST)), "the rate of M-10"


def test_an_unknown_meal_to_serve_is_no_meal() -> None:
    card = pupil(code(10, GRADE_3))
    trip = trip_at("canteen", 70, 1, canteen=CanteenContext(serving="tea"))
    assert decide(card.snapshot, card.policy, trip, BREAKFAST).outcome.message == "no_meal_now"


def test_d_03_the_trail_of_a_special_needs_pupil_tells_the_number_of_meals_only() -> None:
    taps = (pupil(code(10, GRADE_3), code(11, GRADE_3)).eat(BREAKFAST), pupil(code(11)).eat(SNACK))
    for decision in taps:
        assert any(reason.inputs.get("meals") == 2 for reason in decision.facts)
        assert not {"M-11", "D-03"} & set(rules(decision)), "nor that there is something not to be told"
        assert all(reason.inputs.get("code") != 11 for reason in decision.facts)
        assert "m-11" not in "".join(reason.code for reason in decision.facts)


def test_the_same_words_whoever_pays() -> None:
    """M-38: nothing on the display tells one pupil's ground from another's."""
    outcomes = {
        (d.outcome.message, tuple(d.outcome.values.items()))
        for d in (pupil(code(number, GRADE_3)).eat(BREAKFAST) for number in (10, 11, 12))
    }
    assert outcomes == {(Message.MEAL_OK, (("meal", "breakfast"),))}
