"""The rules of the canteen as the staff meets them, each test named after its rule. Cards are in tests/flows."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from terminal.canteen.closing import close_day
from terminal.canteen.corrections import annul, correct_attendance, lend_card, mark_not_collected
from terminal.canteen.issuing import How, ServingList, issue, pupils_of
from terminal.canteen.roster import Roster
from terminal.decision.outcome import Message
from terminal.errors import CanteenRefused
from terminal.journal.canteen_records import Annulment, BuffetSale, IssueRefused, MealServed, NotCollected
from terminal.journal.records import parse_record
from terminal.policy.load import REGIONS, parse_region
from terminal.policy.policy import Policy
from terminal.trip.shifts import close_shift
from tests.terminal.canteen.conftest import OpenCanteen
from tests.terminal.canteen.school import (
    CASHIER,
    TEACHER,
    TODAY,
    Canteen,
    child,
    grant,
    local,
    order,
    ref,
    region_with,
    roster_document,
)

PAYING = {"hot_minor": 10_000, "buffet_minor": 10_000}
ONE_MEAL = '[meals.credit]  # M-36 [E]: as much as the meal that is being served\nkind = "one_meal"'
NO_CREDIT = (ONE_MEAL, '[meals.credit]\nkind = "none"')
CREDIT_50 = (ONE_MEAL, '[meals.credit]\nkind = "amount"\nlimit_minor = 5000')
BREAKFAST_TIMES = "served_from = 07:30:00  # [E]\nserved_until"


def records(canteen: Canteen) -> list[object]:
    assert canteen.canteen.journal is not None
    return [parse_record(row.body) for row in canteen.canteen.journal.rows(limit=1000)]


def rules(facts: object) -> list[str]:
    return [fact.rule for fact in facts]


# accounts


def test_m_01_two_accounts_are_not_mixed_and_each_line_names_its_source(canteen: OpenCanteen) -> None:
    school = canteen(child(1, 10, **PAYING), child(2, grade=7, class_id="7b", **PAYING))
    free, paid = school.give(1, 2, serving="breakfast")
    assert free.meal is not None
    assert paid.meal is not None
    assert dict(free.meal.sources) == {"federal": 4265, "regional": 2134, "municipal": 710}
    assert dict(paid.meal.sources) == {"parents": 7802}
    assert school.sell(2, bun=2).decision.sold_minor == 7000
    assert (school.hot_minor(2), school.buffet_minor(2)) == (2198, 3000)
    assert (school.hot_minor(1), school.buffet_minor(1)) == (10_000, 10_000), "free: neither account moves"
    assert school.sell(2, bun=1).decision.outcome.message == "no_funds", "hot-meal money buys no bun"
    assert school.told(2, serving="lunch", at="12:00") == ["meal_ok"], "and buffet money no lunch: credit"


def test_m_02_a_forbidden_food_is_refused_even_with_money(canteen: OpenCanteen) -> None:
    school = canteen(child(1, 10, forbidden=("nuts",), **PAYING), child(2, forbidden=("bun",), **PAYING))
    refused = school.sell(1, nut_bar=1, bun=1)
    assert refused.decision.outcome.message == "meal_forbidden"
    assert refused.decision.forbidden == ("nut_bar",)
    assert refused.sequence is None
    assert school.buffet_minor(1) == 10_000, "sold whole or not at all"
    assert school.sell(1, bun=1).decision.outcome.accepted
    assert school.sell(2, bun=1).decision.outcome.message == "meal_forbidden", "by the product's own name"


def test_m_02_the_parents_limits_hold_for_their_money_only(canteen: OpenCanteen) -> None:
    school = canteen(
        child(1, 10, buffet_limit_minor=7000, **PAYING),
        child(2, grade=7, class_id="7b", day_limit_minor=10_000, **PAYING),
        child(3, 10, day_limit_minor=0, **PAYING),
    )
    assert school.sell(1, bun=2).decision.outcome.accepted, "exactly the limit"
    assert school.sell(1, juice=1).decision.outcome.message == "meal_limit"
    assert school.told(2, serving="breakfast") == ["meal_ok"]
    assert school.sell(2, bun=1).decision.outcome.message == "meal_limit", "7802 and 3500 are more than 10000"
    assert school.told(2, serving="lunch", at="12:00") == ["meal_limit"]
    assert school.told(3, serving="breakfast") == ["meal_ok"], "a limit of nothing withholds no free meal"


def test_m_02_yesterdays_spending_is_not_todays(canteen: OpenCanteen) -> None:
    school = canteen(child(1, buffet_limit_minor=3500, **PAYING))
    assert school.sell(1, bun=1).decision.outcome.accepted
    assert school.sell(1, bun=1).decision.outcome.message == "meal_limit"
    school.day += timedelta(days=1)
    assert school.sell(1, bun=1).decision.outcome.accepted


def test_m_03_subsidy_never_comes_back(canteen: OpenCanteen) -> None:
    policy = region_with(
        (
            '{ source = "regional", sum_minor = 7802 }] }]\n\n[[meals.entitlements]]\ncode = 12',
            '{ source = "regional", sum_minor = 5802 }, { source = "parents", sum_minor = 2000 }] }]\n\n'
            "[[meals.entitlements]]\ncode = 12",
        ),
    )
    school = canteen(child(1, 10, **PAYING), child(2, 12, grade=7, class_id="7b", **PAYING), policy=policy)
    school.give(1, 2, serving="breakfast")
    assert (school.hot_minor(1), school.hot_minor(2)) == (10_000, 8_000)
    free = annul(school.canteen, ref(1), CASHIER, school.at("09:01"))
    partly = annul(school.canteen, ref(2), CASHIER, school.at("09:01"))
    assert (free.returned_minor, partly.returned_minor) == (0, 2000)
    assert (school.hot_minor(1), school.hot_minor(2)) == (10_000, 10_000)
    assert school.report().sources == {}, "and the budgets are not asked for it"


# entitlement


def test_the_row_of_domain_5_2(canteen: OpenCanteen) -> None:
    """Grade 3, special needs and large family, first shift, 15 September; the bun from the buffet account only."""
    school = canteen(child(1, 10, 11, 12, **PAYING))
    breakfast, *_ = school.give(1, at="09:00")
    assert breakfast.meal is not None
    assert (breakfast.meal.kind, breakfast.meal.sum_minor) == ("breakfast", 7109)
    assert "municipal" not in breakfast.meal.sources, "the special-needs rate, not that of M-10"
    assert school.told(1, at="09:05") == ["meal_already"]
    lunch, *_ = school.give(1, at="12:30")
    assert lunch.meal is not None
    assert (lunch.meal.kind, lunch.meal.sum_minor) == ("lunch", 7973)
    assert school.sell(1, at="12:40", bun=1).decision.outcome.accepted
    assert (school.hot_minor(1), school.buffet_minor(1)) == (10_000, 6_500)
    report = school.report()
    assert (report.sources["federal"], report.sources["regional"]) == (4265, 2844 + 7973)
    assert "parents" not in report.sources
    assert (report.buffet_minor, report.control.difference_minor) == (3500, 0)


def test_m_15_each_shift_has_the_meal_it_is_assigned(canteen: OpenCanteen) -> None:
    school = canteen(child(1, 10), child(2, 10, shift=2))
    stream = school.give(1, 2, serving="by_shift", how=How.STREAM, at="11:45")
    assert [one.meal.kind for one in stream if one.meal] == ["breakfast", "lunch"]


def test_m_15_a_school_may_assign_otherwise(canteen: OpenCanteen) -> None:
    text = (REGIONS / "volgograd.toml").read_text(encoding="utf-8")
    own = 'by_shift = [{ shift = 1, kind = "lunch" }, { shift = 2, kind = "breakfast" }]\ncalendars ='
    ordinary, other = (
        Policy.of(parse_region(told, "volgograd.toml")) for told in (text, text.replace("calendars =", own))
    )
    for number, (policy, kinds) in enumerate(
        ((ordinary, ["breakfast", "lunch"]), (other, ["lunch", "breakfast"])), 80_001
    ):
        school = canteen(child(1, 10), child(2, 10, shift=2), policy=policy, terminal=number)
        given = school.give(1, 2, serving="by_shift", how=How.STREAM)
        assert [one.meal.kind for one in given if one.meal] == kinds


def test_m_15_a_shift_without_a_meal_and_an_hour_without_one_are_said_apart(canteen: OpenCanteen) -> None:
    school = canteen(child(1, 10, shift=3))
    (by_shift,) = school.give(1, serving="by_shift", how=How.STREAM)
    assert by_shift.outcome.message is Message.MEAL_NOT_ARRANGED
    assert [reason.code for reason in by_shift.facts] == ["m-15:none_for_shift"]
    (too_early,) = school.give(1, serving="", at="03:30:00")
    assert too_early.outcome.message is Message.NO_MEAL_NOW
    assert [reason.code for reason in too_early.facts] == ["m-15:nothing_served_now"]


@pytest.mark.parametrize(
    ("day", "grade", "class_id", "message"),
    [
        (date(2026, 9, 15), 3, "3a", "meal_ok"),
        (date(2026, 9, 19), 3, "3a", "meal_ok"),  # a Saturday that is worked
        (date(2026, 9, 20), 3, "3a", "no_meal_today"),  # Sunday
        (date(2026, 10, 26), 3, "3a", "no_meal_today"),  # first day of the autumn holidays
        (date(2026, 11, 4), 3, "3a", "no_meal_today"),  # last day of them
        (date(2026, 11, 5), 3, "3a", "meal_ok"),
        (date(2026, 9, 28), 4, "4a", "no_meal_today"),  # a break in the primary wing
        (date(2026, 9, 28), 5, "5a", "meal_ok"),
        (date(2026, 10, 5), 7, "7b", "no_meal_today"),  # one class is out
        (date(2026, 10, 5), 7, "7a", "meal_ok"),
    ],
)
def test_m_17_meals_are_given_on_days_of_attendance(
    canteen: OpenCanteen, day: date, grade: int, class_id: str, message: str
) -> None:
    school = canteen(child(1, 11, 12, grade=grade, class_id=class_id), day=day)
    assert school.told(1, serving="breakfast") == [message]


def test_m_17_a_day_no_calendar_states_turns_nobody_away(canteen: OpenCanteen) -> None:
    day = date(2027, 9, 1)
    grants = (grant(10, last=date(2028, 5, 31)),)
    school = canteen(child(1, grade=2, grants=grants), day=day, valid_to=local("00:00", date(2028, 9, 1)))
    given, *_ = school.give(1, serving="breakfast")
    assert given.meal is not None
    assert given.meal.flags == ("calendar_silent",)


def test_m_18_the_home_schooled_are_not_on_site(canteen: OpenCanteen) -> None:
    school = canteen(child(1, 10, home_schooled=True), child(2, 10))
    assert school.told(1, 2, serving="breakfast") == ["not_on_site", "meal_ok"]
    assert pupils_of(school.canteen, "3a", [], school.at("09:00")) == [ref(2)]
    assert sum(group.entitled for group in school.report().groups) == 1


def test_m_19_one_portion_of_each_kind_a_day_however_it_is_issued(canteen: OpenCanteen) -> None:
    school = canteen(child(1, 11))
    assert school.told(1, serving="breakfast") == ["meal_ok"]
    for how in (How.COVERED_TABLE, How.STREAM, How.CLASS_LIST):
        assert school.told(1, serving="breakfast", how=how) == ["meal_already"]
    assert school.told(1, serving="lunch", at="12:00") == ["meal_ok"]
    school.day += timedelta(days=1)
    assert school.told(1, serving="breakfast") == ["meal_ok"]


def test_m_20_on_1_september_a_new_fifth_grader_loses_m_10(canteen: OpenCanteen) -> None:
    """Both days are school days here, and the grant itself goes on: only the grade changes."""
    policy = region_with(
        ('  { first = 2026-08-01, last = 2026-08-31, name = "summer" },\n', ""),
        (
            'code = 10\nrule = "M-10"\nshift',
            'code = 10\nrule = "M-10"\ngrades = { first = 1, last = 4 }\nshift',
        ),
    )
    fourth = child(1, grade=4, class_id="4a", grants=(grant(10, date(2025, 9, 1), date(2027, 5, 31)),))
    header = {"grades_on": date(2025, 9, 1), "valid_from": local("00:00", date(2026, 8, 1))}
    before = canteen(fourth, policy=policy, day=date(2026, 8, 31), **header)
    assert before.told(1, serving="breakfast") == ["meal_ok"]
    before.day = date(2026, 9, 1)
    refused, *_ = before.give(1, serving="breakfast")
    assert refused.outcome.message == "meal_not_arranged"
    assert "M-20" in rules(refused.facts)
    known = before.canteen.pupil(ref(1), before.at("09:00"))
    assert known is not None
    assert known.grade == 5


def test_m_20_the_service_day_decides_not_midnight(canteen: OpenCanteen) -> None:
    """A night meal at 02:59 still belongs to 31 May, the last day of the grant; at 03:00 it does not."""
    policy = region_with((BREAKFAST_TIMES, "served_from = 02:00:00\nserved_until"))
    last = child(1, grants=(grant(11, last=date(2026, 9, 15)),))
    school = canteen(last, policy=policy)
    school.day = date(2026, 9, 16)
    assert school.told(1, serving="", at="02:59:59") == ["meal_ok"]
    assert school.told(1, serving="", at="03:00:00") == ["meal_not_arranged"]
    assert {meal.day for meal in school.canteen.ledger.meals.values()} == {"2026-09-15"}


# serving


@pytest.mark.parametrize("how", [How.CLASS_LIST, How.COVERED_TABLE, How.STREAM])
def test_m_30_every_way_to_issue_gives_the_same_portion(canteen: OpenCanteen, how: How) -> None:
    school = canteen(child(1, 10))
    given, *_ = school.give(1, serving="by_shift" if how is How.STREAM else "breakfast", how=how)
    assert given.meal is not None
    assert (given.meal.kind, given.meal.sum_minor) == ("breakfast", 7109)
    served = [record for record in records(school) if isinstance(record, MealServed)]
    assert [(record.how, record.operator) for record in served] == [(how.value, CASHIER)]


def test_m_31_each_pupil_has_his_own_record_and_one_refusal_blocks_nobody(canteen: OpenCanteen) -> None:
    school = canteen(
        child(1, 10),
        child(2, grade=7, class_id="3a", hot_minor=-100_000),
        child(3, grade=7, class_id="3a", **PAYING),
        child(4, class_id="3a"),
    )
    told = school.told(1, 2, 99, 3, 4, serving="breakfast")
    assert told == ["meal_ok", "no_funds", "pupil_unknown", "meal_ok", "meal_not_arranged"]
    served = [record for record in records(school) if isinstance(record, MealServed)]
    assert [(record.pupil, set(record.meal.sources)) for record in served] == [
        (ref(1), {"federal", "regional", "municipal"}),
        (ref(3), {"parents"}),
    ]


def test_m_31_the_ticked_are_the_class_without_the_absent(canteen: OpenCanteen) -> None:
    school = canteen(child(1, 10), child(2, 10), child(3, 10), child(4, 10, class_id="4b"))
    correct_attendance(school.canteen, [ref(3)], [], TEACHER, school.at("08:30"))
    assert pupils_of(school.canteen, "3a", [ref(2)], school.at("09:00")) == [ref(1)]
    with pytest.raises(CanteenRefused, match=r"no class '9z'.*3a, 4b"):
        pupils_of(school.canteen, "9z", [], school.at("09:00"))


@pytest.mark.parametrize(
    ("placed", "in_time"),
    [
        ("2026-09-14T18:00:00", True),
        ("2026-09-14T18:00:01", False),
        ("2026-09-11T20:00:00", True),
        ("2026-09-15T07:00:00", False),
    ],
)
def test_m_32_orders_are_taken_until_the_cut_off_of_the_school_day_before(
    canteen: OpenCanteen, placed: str, in_time: bool
) -> None:
    school = canteen(child(1, grade=7, class_id="7b", orders=(order("lunch", placed=placed),), **PAYING))
    assert school.told(1, serving="lunch", at="12:00", how=How.PRE_ORDER) == [
        "meal_ok" if in_time else "meal_not_ordered"
    ]
    assert school.canteen.roster is not None
    assert school.canteen.roster.late_orders == (0 if in_time else 1)


def test_m_32_the_cut_off_for_monday_is_on_friday(canteen: OpenCanteen) -> None:
    monday = date(2026, 9, 21)  # the Saturday before it is worked
    pupils = [
        child(number, grade=7, class_id="7b", orders=(order("lunch", monday, placed),), **PAYING)
        for number, placed in ((1, "2026-09-19T18:00"), (2, "2026-09-20T10:00"))
    ]
    school = canteen(*pupils, day=monday)
    assert school.told(1, 2, serving="lunch", at="12:00", how=How.PRE_ORDER) == [
        "meal_ok",
        "meal_not_ordered",
    ]


@pytest.mark.parametrize(
    ("days", "last"), [(0, "2026-09-21T18:00"), (1, "2026-09-19T18:00"), (2, "2026-09-18T18:00")]
)
def test_m_32_the_cut_off_is_so_many_school_days_before_as_the_document_says(
    canteen: OpenCanteen, days: int, last: str
) -> None:
    monday = date(2026, 9, 21)
    policy = region_with(("school_days_before = 1", f"school_days_before = {days}"))
    late = (datetime.fromisoformat(last) + timedelta(minutes=1)).isoformat()
    pupils = [
        child(number, grade=7, class_id="7b", orders=(order("lunch", monday, placed),), **PAYING)
        for number, placed in ((1, last), (2, late))
    ]
    school = canteen(*pupils, day=monday, policy=policy)
    said = school.told(1, 2, serving="lunch", at="12:00", how=How.PRE_ORDER)
    assert said == ["meal_ok", "meal_not_ordered"]


def test_m_32_an_order_is_redeemed_with_the_money_put_aside_for_it(canteen: OpenCanteen) -> None:
    school = canteen(
        child(1, grade=7, class_id="7b", orders=(order("lunch"),), hot_minor=9002, day_limit_minor=0),
        policy=region_with(NO_CREDIT),
    )
    refused, *_ = school.give(1, serving="breakfast")
    assert refused.outcome.message == "meal_limit"
    assert school.told(1, serving="lunch", at="12:00", how=How.PRE_ORDER) == ["meal_ok"]
    assert school.hot_minor(1) == 0
    assert school.told(1, serving="lunch", at="12:01", how=How.PRE_ORDER) == ["meal_already"]


def test_m_32_what_is_put_aside_for_lunch_is_not_spent_at_breakfast(canteen: OpenCanteen) -> None:
    pupil = child(1, grade=7, class_id="7b", orders=(order("lunch"),), hot_minor=9002 + 7801)
    school = canteen(pupil, policy=region_with(NO_CREDIT))
    assert school.told(1, serving="breakfast") == ["no_funds"]
    assert school.told(1, serving="lunch", at="12:00") == ["meal_ok"]


def test_m_32_uncollected_orders_charge_nobody_and_claim_nothing(canteen: OpenCanteen) -> None:
    school = canteen(
        child(1, 11, orders=(order("lunch"),), **PAYING),
        child(2, grade=7, class_id="7b", orders=(order("lunch"),), **PAYING),
        child(3, grade=7, class_id="7b", orders=(order("lunch"),), **PAYING),
    )
    assert school.told(3, serving="lunch", at="12:00", how=How.PRE_ORDER) == ["meal_ok"]
    with pytest.raises(CanteenRefused, match="M-32: still being served"):
        mark_not_collected(school.canteen, "lunch", CASHIER, school.at("14:59:59"))
    marked = mark_not_collected(school.canteen, "lunch", CASHIER, school.at("15:00"))
    assert [(record.pupil, record.category) for record in marked] == [(ref(1), "meals_2"), (ref(2), "paid")]
    assert mark_not_collected(school.canteen, "lunch", CASHIER, school.at("15:01")) == []
    assert (school.hot_minor(1), school.hot_minor(2)) == (10_000, 10_000)
    report = school.report()
    assert sum(group.not_collected for group in report.groups) == 2
    assert report.sources == {"parents": 9002}, "only what was eaten"
    assert school.told(1, serving="lunch", at="15:05", how=How.PRE_ORDER) == ["meal_not_ordered"]
    assert school.told(1, serving="lunch", at="15:05") == ["meal_ok"], "entitled all the same (M-37)"
    assert sum(group.not_collected for group in school.report().groups) == 1


def test_m_32_an_uncollected_order_is_of_the_category_of_its_day(canteen: OpenCanteen) -> None:
    lapsed = (grant(11, last=TODAY - timedelta(days=1)),)
    school = canteen(child(1, grants=lapsed, orders=(order("lunch"),), **PAYING))
    (marked,) = mark_not_collected(school.canteen, "lunch", CASHIER, school.at("15:00"))
    assert marked.category == "paid"


def test_m_32_tomorrows_order_is_not_todays(canteen: OpenCanteen) -> None:
    tomorrow = order("lunch", TODAY + timedelta(days=1), "2026-09-14T10:00")
    school = canteen(child(1, grade=7, class_id="7b", orders=(tomorrow,), **PAYING))
    assert school.told(1, serving="lunch", at="12:00", how=How.PRE_ORDER) == ["meal_not_ordered"]
    assert mark_not_collected(school.canteen, "lunch", CASHIER, school.at("15:00")) == []
    school.day += timedelta(days=1)
    assert school.told(1, serving="lunch", at="12:00", how=How.PRE_ORDER) == ["meal_ok"]


def test_m_32_where_paid_meals_need_an_order_entitled_ones_do_not(canteen: OpenCanteen) -> None:
    policy = region_with(("school_days_before = 1", "school_days_before = 1\npaid_needs_order = true"))
    school = canteen(child(1, 10), child(2, grade=7, class_id="7b", **PAYING), policy=policy)
    assert school.told(1, 2, serving="breakfast") == ["meal_ok", "meal_not_ordered"]


def test_m_33_attendance_is_corrected_until_the_documents_time(canteen: OpenCanteen) -> None:
    school = canteen(child(1, 10), child(2, 10))
    assert len(correct_attendance(school.canteen, [ref(1), ref(2)], [], TEACHER, school.at("08:59:59"))) == 2
    assert len(correct_attendance(school.canteen, [ref(1)], [ref(2)], TEACHER, school.at("08:59:59"))) == 1
    with pytest.raises(CanteenRefused, match="M-33: too late"):
        correct_attendance(school.canteen, [ref(2)], [], TEACHER, school.at("09:00:00"))
    with pytest.raises(CanteenRefused, match="not in the roster"):
        correct_attendance(school.canteen, [ref(9)], [], TEACHER, school.at("08:00"))
    groups = {group.kind: group for group in school.report().groups}
    assert (groups["breakfast"].entitled, groups["breakfast"].absent) == (2, 1)


def test_m_33_who_comes_after_all_eats_and_is_looked_at(canteen: OpenCanteen) -> None:
    school = canteen(child(1, 10))
    correct_attendance(school.canteen, [ref(1)], [], TEACHER, school.at("08:00"))
    given, *_ = school.give(1, serving="breakfast")
    assert given.meal is not None
    assert given.meal.flags == ("was_absent",)
    report = school.report()
    assert [(finding.what, finding.flags) for finding in report.uncertain] == [("flagged", ("was_absent",))]
    assert sum(group.absent for group in report.groups) == 0


def test_m_34_the_last_record_within_five_minutes_and_the_last_second_counts(canteen: OpenCanteen) -> None:
    school = canteen(child(1, 10), child(2, 10))
    first, second = (one.sequence for one in school.give(1, 2, serving="breakfast"))
    undone = annul(school.canteen, ref(1), CASHIER, school.at("09:05:00"))
    assert (undone.of, undone.pupil) == (first, ref(1))
    with pytest.raises(CanteenRefused, match=r"M-34: too late to annul.*age 301 s"):
        annul(school.canteen, ref(2), CASHIER, school.at("09:05:01"))
    with pytest.raises(CanteenRefused, match=r"M-34: too late to annul.*age 301 s"):
        annul(school.canteen, ref(2), CASHIER, school.at("08:54:59"))  # a clock set back
    assert second is not None
    kept = [record for record in records(school) if isinstance(record, MealServed | Annulment)]
    assert [type(record).__name__ for record in kept] == ["MealServed", "MealServed", "Annulment"], (
        "rows stay"
    )
    assert school.told(1, serving="breakfast", at="09:06") == ["meal_ok"], "and the right child eats"


def test_m_34_only_the_last_record_of_a_pupil(canteen: OpenCanteen) -> None:
    school = canteen(child(1, 10, **PAYING), child(2, 10, **PAYING))
    meal, *_ = school.give(1, serving="breakfast")
    school.sell(1, at="09:01", bun=1)
    with pytest.raises(CanteenRefused, match="M-34: not the last record"):
        annul(school.canteen, ref(1), CASHIER, school.at("09:02"), of=meal.sequence)
    assert annul(school.canteen, ref(1), CASHIER, school.at("09:02")).returned_minor == 3500
    assert school.buffet_minor(1) == 10_000
    with pytest.raises(CanteenRefused, match="no meal or sale"):
        annul(school.canteen, ref(2), CASHIER, school.at("09:02"))


def test_m_34_not_after_the_day_is_closed(canteen: OpenCanteen) -> None:
    school = canteen(child(1, 10), child(2, 10))
    school.give(1, serving="breakfast")
    close_day(school.canteen, CASHIER, school.at("09:01"))
    with pytest.raises(CanteenRefused, match="M-34: the day is closed"):
        annul(school.canteen, ref(1), CASHIER, school.at("09:02"))
    assert school.told(2, serving="breakfast", at="09:02") == ["serving_closed"]
    with pytest.raises(CanteenRefused, match="closed already"):
        close_day(school.canteen, CASHIER, school.at("09:03"))


def test_m_34_not_on_another_service_day(canteen: OpenCanteen) -> None:
    policy = region_with(("window_s = 300", "window_s = 86400"))
    school = canteen(child(1, 10), policy=policy)
    school.give(1, serving="breakfast")
    school.day += timedelta(days=1)
    with pytest.raises(CanteenRefused, match="M-34: the day is closed"):
        annul(school.canteen, ref(1), CASHIER, school.at("08:00"))


def test_m_35_a_forgotten_card_needs_a_second_person(canteen: OpenCanteen) -> None:
    school = canteen(child(1, 10))
    for confirmed_by in ("", CASHIER):
        with pytest.raises(CanteenRefused, match="M-35: a second person"):
            school.give(1, serving="breakfast", how=How.FORGOTTEN_CARD, confirmed_by=confirmed_by)
    given, *_ = school.give(1, serving="breakfast", how=How.FORGOTTEN_CARD, confirmed_by=TEACHER)
    assert given.outcome.accepted
    served = [record for record in records(school) if isinstance(record, MealServed)]
    assert [(record.operator, record.confirmed_by) for record in served] == [(CASHIER, TEACHER)]


def test_m_35_a_lent_card_stands_for_its_borrower_for_that_day(canteen: OpenCanteen) -> None:
    school = canteen(child(1, 10), child(2, 10))
    spare, keeper, now = ref(0xCA4D), ref(0x5C001), school.at("08:00")
    with pytest.raises(CanteenRefused, match="not presented here") as unseen:
        lend_card(school.canteen, spare, ref(1), CASHIER, TEACHER, now)
    school.present(spare, keeper)
    with pytest.raises(CanteenRefused, match="M-35: a second person"):
        lend_card(school.canteen, spare, ref(1), CASHIER, CASHIER, now)
    lend_card(school.canteen, spare, ref(1), CASHIER, TEACHER, now)
    known = school.canteen.context(spare, keeper, school.at("09:00")).pupil
    assert known is not None
    assert (known.ref, known.listed) == (ref(1), True)
    lend_card(school.canteen, spare, ref(1), CASHIER, TEACHER, now)
    with pytest.raises(CanteenRefused, match="lent to another pupil") as lent:
        lend_card(school.canteen, spare, ref(2), CASHIER, TEACHER, now)
    own_card = ref(0xCA02)
    school.present(own_card, ref(2))
    with pytest.raises(CanteenRefused, match="a pupil's own") as own:
        lend_card(school.canteen, own_card, ref(1), CASHIER, TEACHER, now)
    codes = [refusal.value.code for refusal in (unseen, lent, own)]
    assert codes == ["m-35:card_not_presented", "m-35:card_lent_already", "m-35:pupils_own_card"]
    another = school.canteen.context(ref(0xCA4E), keeper, school.at("09:00")).pupil
    assert another is not None
    assert another.ref == keeper, "one card was lent, not all of its holder"
    school.day += timedelta(days=1)
    stranger = school.canteen.context(spare, keeper, school.at("09:00")).pupil
    assert stranger is not None
    assert (stranger.ref, stranger.listed) == (keeper, False)


@pytest.mark.parametrize(
    ("credit", "balance_minor", "message"),
    [
        (None, 0, "meal_ok"),  # one meal: exactly the price below zero
        (None, -1, "no_funds"),
        (NO_CREDIT, 7802, "meal_ok"),
        (NO_CREDIT, 7801, "no_funds"),
        (CREDIT_50, 2802, "meal_ok"),
        (CREDIT_50, 2801, "no_funds"),
    ],
)
def test_m_36_the_hot_account_goes_below_zero_to_the_limit(
    canteen: OpenCanteen, credit: tuple[str, str] | None, balance_minor: int, message: str
) -> None:
    policy = region_with() if credit is None else region_with(credit)
    school = canteen(child(1, grade=7, class_id="7b", hot_minor=balance_minor), policy=policy)
    assert school.told(1, serving="breakfast") == [message]


def test_m_36_the_buffet_never_gives_credit(canteen: OpenCanteen) -> None:
    school = canteen(child(1, hot_minor=50_000, buffet_minor=3499), child(2, hot_minor=0))
    assert school.sell(1, bun=1).decision.outcome.message == "no_funds"
    assert school.sell(2, bun=1).decision.outcome.message == "online_only", "no account is not an empty one"


@pytest.mark.parametrize(
    ("hours", "flags"),
    [(24, ()), (25, ("stale_roster",)), (168, ("stale_roster",)), (169, ("expired_roster",))],
)
def test_m_37_an_old_roster_turns_no_child_away(
    canteen: OpenCanteen, hours: int, flags: tuple[str, ...]
) -> None:
    issued_at = local("09:00") - timedelta(hours=hours)
    school = canteen(child(1, 10, **PAYING), child(2, grade=7, class_id="7b", **PAYING), issued_at=issued_at)
    for one in school.give(1, 2, serving="breakfast"):
        assert one.meal is not None
        assert one.meal.flags == flags
    sale = school.sell(1, at="09:00", bun=1).decision
    assert sale.outcome.accepted is (hours <= 168), "the buffet gives no credit to old balances (O-03)"
    assert (len(school.report().uncertain) > 0) is bool(flags)


@pytest.mark.parametrize("day", [date(1970, 1, 1), date(2026, 10, 27), date(2028, 1, 9), date(2036, 1, 9)])
def test_m_37_a_class_list_of_a_suspect_clock_turns_no_child_away(canteen: OpenCanteen, day: date) -> None:
    """Neither holidays nor the dates of a grant, and no grade moves: large families have grades 5 to 9."""
    pupils = (child(1, 10), child(2, 12, grade=9, class_id="9b"), child(3, 10, grade=4, class_id="4a"))
    school = canteen(*pupils, issued_at=local("06:00"))
    school.day = day
    assert "meal_ok" not in school.told(1, 2, 3, serving="breakfast")
    school.canteen.clock_suspect = lambda: True
    given = school.give(1, 2, 3, serving="breakfast")
    assert [one.outcome.message for one in given] == ["meal_ok"] * 3
    assert all(one.meal is not None and "clock_suspect" in one.meal.flags for one in given)
    assert school.told(1, 2, 3, serving="breakfast") == ["meal_already"] * 3
    school.canteen.clock_suspect = lambda: False
    school.day = TODAY
    assert school.told(1, 2, 3, serving="breakfast") == ["meal_ok"] * 3, "marked by nothing when all is well"


def test_m_38_the_display_says_the_same_whoever_pays(canteen: OpenCanteen) -> None:
    school = canteen(
        child(1, 10), child(2, 11), child(3, 12, grade=7, class_id="7b"), child(4, grade=7, **PAYING)
    )
    shown = {
        (one.outcome.message, tuple(one.outcome.values.items()), one.outcome.charge_minor)
        for one in school.give(1, 2, 3, 4, serving="breakfast")
    }
    assert shown == {("meal_ok", (("meal", "breakfast"),), 0)}


def test_m_38_a_sale_shows_no_balance(canteen: OpenCanteen) -> None:
    outcome = canteen(child(1, **PAYING)).sell(1, bun=1).decision.outcome
    assert (outcome.message, dict(outcome.values), outcome.charge_minor) == ("meal_ok", {}, 0)


def test_m_40_the_totals_equal_the_records_to_the_kopeck(canteen: OpenCanteen) -> None:
    """A day worked by hand; the property test in test_reports.py does the same for any day."""
    school = canteen(
        child(1, 10, **PAYING),
        child(2, 11, **PAYING),
        child(3, 12, grade=7, class_id="7b", orders=(order("lunch"),), **PAYING),
        child(4, 10, class_id="3b"),
        child(5, grade=7, class_id="7b", hot_minor=10_000, buffet_minor=20_000),
    )
    correct_attendance(school.canteen, [ref(4)], [], TEACHER, school.at("08:00"))
    school.give(1, 2, 3, 5, serving="breakfast")
    annul(school.canteen, ref(1), CASHIER, school.at("09:03"))
    school.sell(5, at="10:00", bun=1, juice=2)
    school.sell(3, at="10:00", bun=1)
    school.give(2, serving="lunch", at="12:00")
    mark_not_collected(school.canteen, "lunch", CASHIER, school.at("15:30"))
    report = close_day(school.canteen, CASHIER, school.at("16:00"))
    table = {
        (g.class_id, g.category, g.kind): (g.entitled, g.served, g.not_collected, g.absent, g.sum_minor)
        for g in report.groups
    }
    assert table == {
        ("3a", "10", "breakfast"): (1, 0, 0, 0, 0),
        ("3a", "meals_2", "breakfast"): (1, 1, 0, 0, 7109),
        ("3a", "meals_2", "lunch"): (1, 1, 0, 0, 7973),
        ("3b", "10", "breakfast"): (1, 0, 0, 1, 0),
        ("7b", "12", "breakfast"): (1, 1, 0, 0, 7802),
        ("7b", "paid", "breakfast"): (0, 1, 0, 0, 7802),
        ("7b", "paid", "lunch"): (0, 0, 1, 0, 0),
    }
    assert report.sources == {"federal": 4265, "parents": 7802, "regional": 2844 + 7973 + 7802}
    assert [(p.product, p.count, p.sum_minor) for p in report.products] == [
        ("bun", 2, 7000),
        ("juice", 2, 9000),
    ]
    written = sum(r.meal.sum_minor for r in records(school) if isinstance(r, MealServed))
    written += sum(r.sum_minor for r in records(school) if isinstance(r, BuffetSale))
    control = report.control
    assert (control.records_minor, control.annulled_minor, control.difference_minor) == (written, 7109, 0)
    assert sum(isinstance(record, NotCollected) for record in records(school)) == 1
    assert report.closed


def test_d_03_no_record_or_report_holds_the_code_of_a_ground_that_reveals_health(
    canteen: OpenCanteen,
) -> None:
    school = canteen(child(1, 10, 11), child(2, 11, orders=(order("lunch"),)))
    school.give(1, 2, serving="breakfast")
    mark_not_collected(school.canteen, "lunch", CASHIER, school.at("15:00"))
    for record in records(school):
        if isinstance(record, MealServed):
            assert record.meal.category == "meals_2"
            assert "11" not in str(record.reasons)
        if isinstance(record, NotCollected):
            assert record.category == "meals_2"
    assert {group.category for group in school.report().groups} == {"meals_2"}


def test_o_02_of_card_and_list_the_newer_issue_wins_and_a_block_always(canteen: OpenCanteen) -> None:
    school = canteen(child(1, grants=(grant(10, blocked=True), grant(12))))
    given, *_ = school.give(1, serving="breakfast")
    assert given.meal is not None
    assert given.meal.category == "12"
    assert "O-02" in rules(given.facts)


def test_t_60_nothing_is_served_without_a_shift(canteen: OpenCanteen) -> None:
    school = canteen(child(1, 10, **PAYING))
    assert school.canteen.journal is not None
    close_shift(school.canteen.journal, school.at("08:00"))
    assert school.told(1, serving="breakfast") == ["shift_closed"]
    assert school.sell(1, bun=1).decision.outcome.message == "shift_closed"


def test_t_66_a_shift_counts_what_was_done_without_cards(canteen: OpenCanteen) -> None:
    school = canteen(child(1, 10, **PAYING), child(2), child(3, 10))
    school.give(1, 2, 3, serving="breakfast")
    annul(school.canteen, ref(3), CASHIER, school.at("09:01"))
    school.sell(1, bun=1)
    school.sell(1, nut_bar=2)
    assert school.canteen.journal is not None
    totals = close_shift(school.canteen.journal, school.at("17:00")).totals
    assert {name: count for name, count in totals.items() if name not in ("unsent_rows", "unresolved")} == {
        "taps": 0,
        "accepted": 0,
        "inside": 0,
        "refused": 0,
        "not_committed": 0,
        "charged_minor": 0,
        "meals_without_card": 2,
        "annulled": 1,
        "buffet_sales": 1,
        "buffet_minor": 3500,
        "refused_without_card": 2,
        "message_meal_not_arranged": 1,
        "message_no_funds": 1,
    }
    refused = [record for record in records(school) if isinstance(record, IssueRefused)]
    assert [(record.how, record.pupil) for record in refused] == [("class_list", ref(2)), ("buffet", ref(1))]


def test_lists_and_sales_of_nonsense_are_refused(canteen: OpenCanteen) -> None:
    school = canteen(child(1, **PAYING))
    with pytest.raises(CanteenRefused, match=r"no meal 'brunch'.*breakfast, lunch, snack, by_shift"):
        school.give(1, serving="brunch")
    with pytest.raises(CanteenRefused, match=r"no product 'crisps'.*bun, juice, nut_bar"):
        school.sell(1, crisps=1)
    with pytest.raises(CanteenRefused, match="0 of 'bun'"):
        school.sell(1, bun=0)
    with pytest.raises(CanteenRefused, match="nothing is being sold"):
        school.sell(1)
    with pytest.raises(CanteenRefused, match="not in the roster"):
        school.sell(9, bun=1)


def test_balances_are_those_of_the_roster_moved_by_rows_it_does_not_include(canteen: OpenCanteen) -> None:
    school = canteen(child(1, grade=7, class_id="7b", **PAYING))
    given, *_ = school.give(1, serving="breakfast")
    school.sell(1, bun=1)
    assert (school.hot_minor(1), school.buffet_minor(1)) == (2198, 6500)
    school_counter = school.canteen
    assert school_counter.journal is not None
    newer = child(1, grade=7, class_id="7b", hot_minor=2198, buffet_minor=10_000)
    document = roster_document(newer, through={"80001": given.sequence}, sequence=8)
    school_counter.roster = Roster.of(document, school_counter.policy)
    assert (school.hot_minor(1), school.buffet_minor(1)) == (2198, 6500)
    annul(school_counter, ref(1), CASHIER, school.at("10:01"))
    assert school.buffet_minor(1) == 10_000


def test_balances_are_uncertain_once_rows_they_do_not_include_have_left(canteen: OpenCanteen) -> None:
    school = canteen(child(1, grade=7, class_id="7b", **PAYING))
    school.give(1, serving="breakfast")
    journal = school.canteen.journal
    assert journal is not None
    journal.acknowledge(*journal.head, at_ms=0)
    assert journal.purge(0, 1) == journal.base.sequence
    given, *_ = school.give(1, serving="lunch", at="12:00")
    assert given.meal is not None
    assert given.meal.flags == ("balance_uncertain",)
    assert school.sell(1, bun=1).decision.flags == ("balance_uncertain",)


def test_datetimes_of_other_zones_mean_the_same_moment(canteen: OpenCanteen) -> None:
    school = canteen(child(1, 10))
    utc = datetime.fromisoformat("2026-09-15T06:00:00+00:00")  # 09:00 in Volgograd
    given, *_ = issue(school.canteen, [ref(1)], ServingList("", How.CLASS_LIST, CASHIER, utc))
    assert given.meal is not None
    assert (given.meal.kind, given.meal.day) == ("breakfast", TODAY)
