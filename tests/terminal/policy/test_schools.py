"""School meals as data: the sourced norms of three regions, and what a document about schools must satisfy."""

from __future__ import annotations

from datetime import date, time

import pytest

from terminal.decision.canteen.entitlement import Entitlement, entitlement
from terminal.decision.canteen.serving import decide_portion
from terminal.decision.meal import Serving
from terminal.decision.outcome import Message
from terminal.decision.tap import Trail
from terminal.errors import RegionDocumentError
from terminal.policy.document.fares import FareSource
from terminal.policy.load import DEMO_REGION, REGIONS, load_region, parse_region
from terminal.policy.meals.index import SchoolDay
from terminal.policy.policy import Policy
from terminal.trip.pupil import Account, MealGrant, Pupil
from tests.said import mistakes_at
from tests.terminal.decision.rider import Rider, local

VOLGOGRAD, CHELYABINSK, BASHKORTOSTAN = (
    Policy.of(load_region(name)) for name in ("volgograd", "chelyabinsk", "bashkortostan")
)
TODAY = date(2026, 9, 15)
FIRST, LAST = date(2026, 9, 1), date(2027, 5, 31)


def pupil(*codes: int, grade: int = 3, shift: int = 1, **fields: object) -> Pupil:
    grants = tuple(MealGrant(code, FIRST, LAST, FIRST) for code in codes)
    return Pupil(b"pupil", grade=grade, shift=shift, grants=grants, **fields)


def right(policy: Policy, *codes: int, grade: int = 3, shift: int = 1) -> Entitlement:
    return entitlement(pupil(*codes, grade=grade, shift=shift), policy.meals, TODAY, Trail())


def sums(found: Entitlement) -> dict[str, int]:
    return {kind: sum(p.sum_minor for p in portions) for kind, portions in found.portions.items()}


def day_minor(policy: Policy, *codes: int, grade: int = 3, shift: int = 1) -> int:
    return sum(sums(right(policy, *codes, grade=grade, shift=shift)).values())


# the sourced norms, per day


@pytest.mark.parametrize(
    ("policy", "minor"), [(BASHKORTOSTAN, 7109), (CHELYABINSK, 7878)], ids=["bashkortostan", "chelyabinsk"]
)
def test_m_10_one_free_meal_in_grades_1_to_4(policy: Policy, minor: int) -> None:
    for grade in (1, 4):
        assert sums(right(policy, 10, grade=grade)) == {"breakfast": minor}
    assert sums(right(policy, 10, shift=2)) == {"lunch": minor}, "M-15"
    assert right(policy, 10, grade=5) == Entitlement({})


def test_m_11_two_meals_for_special_needs_include_that_of_m_10() -> None:
    assert day_minor(BASHKORTOSTAN, 11, grade=4) == day_minor(BASHKORTOSTAN, 10, 11, grade=4) == 15082
    assert day_minor(BASHKORTOSTAN, 11, grade=5) == 16804
    both = right(BASHKORTOSTAN, 10, 11)
    assert (set(both.portions), both.category) == ({"breakfast", "lunch"}, "meals_2")
    assert set(right(BASHKORTOSTAN, 11, shift=2).portions) == {"lunch", "snack"}


def test_m_12_large_family_and_low_income() -> None:
    assert sums(right(BASHKORTOSTAN, 12, grade=9)) == {"breakfast": 7802}
    assert right(BASHKORTOSTAN, 12, grade=10) == Entitlement({})
    assert day_minor(BASHKORTOSTAN, 10, 12, grade=3) == 7802, "the larger sum, never both (M-16)"


def test_m_12_part_paid_by_the_region_and_part_by_the_parents() -> None:
    """Chelyabinsk, second shift: the norm pays 78.78 of a lunch of 125.00."""
    kind = CHELYABINSK.meals.kinds["lunch"]
    older = pupil(12, grade=7, shift=2, hot=Account(4622), orders=frozenset())
    meal = decide_portion(older, kind, TODAY, CHELYABINSK.meals, Trail())
    assert isinstance(meal, Serving)
    assert dict(meal.sources) == {"municipal": 7878, "parents": 4622}
    assert meal.entitled


def test_m_13_children_of_service_members_have_two_meals() -> None:
    assert day_minor(CHELYABINSK, 13, grade=8) == 15392
    assert day_minor(BASHKORTOSTAN, 13, grade=8) == 16804
    assert day_minor(CHELYABINSK, 10, 13, grade=2) == 15392, "instead of the one meal of M-10"
    assert set(right(CHELYABINSK, 13).portions) == {"breakfast", "lunch"}


@pytest.mark.parametrize("code", [12, 14, 15, 16])
def test_m_14_volgograd_feeds_grades_5_to_11_by_list(code: int) -> None:
    assert set(right(VOLGOGRAD, code, grade=5).portions) == {"breakfast"}
    assert set(right(VOLGOGRAD, code, grade=11, shift=2).portions) == {"lunch"}
    assert right(VOLGOGRAD, code, grade=4) == Entitlement({}), "who has that of grades 1-4"
    assert set(right(VOLGOGRAD, 10, code, grade=4).portions) == {"breakfast"}


def test_m_16_volgograd_never_adds_two_lists() -> None:
    assert day_minor(VOLGOGRAD, 12, 14, 15, 16, grade=6) == 9000


def test_m_16_a_region_may_add_a_supplement_to_grades_1_to_4() -> None:
    """Komi: 82.00 for low income in addition to M-10 [S59]."""
    others, large_family = DEMO_REGION.read_text(encoding="utf-8").split("# M-12:")
    text = others + "# " + large_family.replace("7802", "8200")
    komi = parse_region(text + '\n[[meals.combine]]\nkind = "add"\ncodes = [10, 12]\n', "komi.toml")
    assert sums(right(Policy.of(komi), 10, 12)) == {"breakfast": 7109 + 8200}
    assert right(Policy.of(komi), 10, 12).category == "10+12"


def test_the_pupil_of_domain_5_2_in_the_district() -> None:
    """Grade 3, special needs and large family, first shift, 15 September."""
    found = right(BASHKORTOSTAN, 10, 11, 12)
    assert sums(found) == {"breakfast": 7109, "lunch": 7973}
    assert found.category == "meals_2"


def test_parents_pay_what_the_document_says_for_the_grade() -> None:
    lunch, breakfast = (CHELYABINSK.meals.kinds[kind] for kind in ("lunch", "breakfast"))
    assert [CHELYABINSK.meals.price_minor(lunch, grade) for grade in (4, 5, 11)] == [11000, 12500, 12500]
    assert CHELYABINSK.meals.price_minor(breakfast, 5) == 8500
    assert CHELYABINSK.meals.price_minor(lunch, 0) is None, "a price that depends on a grade nobody knows"
    assert BASHKORTOSTAN.meals.price_minor(BASHKORTOSTAN.meals.kinds["breakfast"], 7) == 7802


def test_funders_add_up_in_every_supplied_region() -> None:
    for path in REGIONS.glob("*.toml"):
        for ground in load_region(path).meals.entitlements:
            funded = sum(funder.sum_minor for portion in ground.portions for funder in portion.funders)
            assert funded == ground.day_sum_minor, f"{path.name} code {ground.code}"


# schools


@pytest.mark.parametrize(
    ("day", "state"),
    [
        (date(2026, 8, 31), SchoolDay.HOLIDAY),
        (date(2026, 9, 1), SchoolDay.ATTENDED),
        (date(2026, 9, 5), SchoolDay.ATTENDED),  # a Saturday: six days a week
        (date(2026, 9, 6), SchoolDay.HOLIDAY),
        (date(2026, 12, 31), SchoolDay.HOLIDAY),
        (date(2027, 8, 31), SchoolDay.HOLIDAY),
        (date(2027, 9, 1), SchoolDay.SILENT),
    ],
)
def test_m_17_two_school_years_follow_one_another(day: date, state: SchoolDay) -> None:
    assert BASHKORTOSTAN.meals.day_of(day, "village_school") is state
    assert BASHKORTOSTAN.meals.day_of(day, "another_school") is SchoolDay.ATTENDED


def test_m_17_a_break_is_of_whom_the_document_says() -> None:
    of = CHELYABINSK.meals.day_of
    day = date(2026, 11, 16)
    assert of(day, "city_school", "1a", 1) is SchoolDay.BREAK
    assert of(day, "city_school", "5a", 5) is SchoolDay.ATTENDED
    assert of(day, "city_school") is SchoolDay.ATTENDED, "a grade nobody knows is in no grade's break"
    assert of(date(2027, 2, 20), "city_school") is SchoolDay.ATTENDED, "a Saturday that is worked"


def test_m_15_a_school_may_serve_at_its_own_times() -> None:
    at = CHELYABINSK.meals.kind_at
    assert at(time(11, 45)) is CHELYABINSK.meals.kinds["lunch"]
    assert at(time(11, 45), "city_school") is None
    assert at(time(12, 0), "city_school") is CHELYABINSK.meals.kinds["lunch"]


def test_m_20_a_grade_moves_up_on_the_documents_day() -> None:
    grade_on = VOLGOGRAD.meals.grade_on
    assert grade_on(4, FIRST, date(2027, 8, 31)) == 4
    assert grade_on(4, FIRST, date(2027, 9, 1)) == 5
    assert grade_on(4, date(2024, 2, 29), TODAY) == 7, "in February 2024 grade 4 was that of 2023"
    assert grade_on(11, FIRST, date(2027, 9, 1)) == 12
    assert grade_on(0, FIRST, date(2027, 9, 1)) == 0, "not stated stays not stated"
    assert grade_on(1, date(2027, 9, 1), FIRST) == 1, "a list of next year does not move anybody down to 0"


def test_a_school_authoritys_document_refuses_every_ride() -> None:
    for policy in (CHELYABINSK, BASHKORTOSTAN):
        assert policy.document.fares.source is FareSource.NONE
        rider = Rider(policy=policy, region=policy.document.header.region)
        ride = rider.tap(local("08:00"))
        assert (ride.outcome.accepted, ride.outcome.charge_minor, ride.write_plan) == (False, 0, None)
        assert ride.outcome.message is not Message.OK_PAID


def test_a_document_about_rides_must_state_fares() -> None:
    text = DEMO_REGION.read_text(encoding="utf-8")
    fares = text[text.index("[fares]") : text.index("[[transfers]]")]
    with pytest.raises(RegionDocumentError, match="fares: rules of rides but no fares"):
        parse_region(text.replace(fares, ""), "demo.toml")


# what is wrong is named with its place and a way out

BASE = (REGIONS / "bashkortostan.toml").read_text(encoding="utf-8")
SCHOOL = 'calendars = ["year_2025_26", "year_2026_27"]'
WRONG = [
    ('[[meals.by_shift]]\nshift = 2\nkind = "lunch"\n', "", "meals.by_shift", "Name a kind for every shift"),
    ('shift = 2\nkind = "lunch"', 'shift = 1\nkind = "lunch"', "meals.by_shift[1].shift", "each its own"),
    (
        'shift = 2\nkind = "lunch"',
        'shift = 2\nkind = "tea"',
        "meals.by_shift[1].kind",
        "breakfast, lunch, snack",
    ),
    ('id = "snack"', 'id = "by_shift"', "meals.kinds[2].id", "Use another name"),
    ('kind = "lunch"\nprice_minor', 'kind = "tea"\nprice_minor', "meals.prices[1].kind", "breakfast"),
    (
        'kind = "lunch"\nprice_minor',
        'kind = "breakfast"\nprice_minor',
        "meals.prices[1]",
        "Keep their `grades` apart",
    ),
    (
        'kind = "lunch"\nprice_minor',
        'kind = "lunch"\ngrades = { first = 1, last = 9 }\nprice_minor',
        "meals.prices",
        "State a price for every grade",
    ),
    (
        'funders = [{ source = "regional", sum_minor = 7802 }] }]\n\n[[meals.entitlements]]  # M-13',
        'funders = [{ source = "parents", sum_minor = 7802 }] }]\n\n[[meals.entitlements]]  # M-13',
        "meals.entitlements[5].portions[0].funders",
        "Name a budget",
    ),
    (
        'grades = { first = 1, last = 9 }\nday_sum_minor = 7802\nportions = [{ kind = "by_shift", sum_minor = 7802, '
        'funders = [{ source = "regional", sum_minor = 7802 }] }]',
        'day_sum_minor = 9000\nportions = [{ kind = "by_shift", sum_minor = 9000, funders = ['
        '{ source = "regional", sum_minor = 100 }, { source = "parents", sum_minor = 8900 }] }]',
        "meals.entitlements[5].portions[0].funders",
        "never costs more than none",
    ),
    (
        '{ kind = "lunch", sum_minor = 7973',
        '{ kind = "by_shift", sum_minor = 7973',
        "meals.entitlements[1].portions",
        "shift 1 would have `breakfast` twice",
    ),
    (SCHOOL, 'calendars = ["year_2026_27"]', "meals.calendars[0]", "Name it in a school"),
    (SCHOOL, SCHOOL.replace("]", ', "year_2030"]'), "meals.schools[0].calendars[2]", "year_2025_26"),
    (
        "last = 2026-08-31\n",
        "last = 2026-08-30\n",
        "meals.calendars[0].holidays[6]",
        "between 2025-09-01 and 2026-08-30",
    ),
    (
        "first = 2026-09-01\nlast",
        "first = 2026-09-03\nlast",
        "meals.schools[0].calendars",
        "until 2026-09-02",
    ),
    ("first = 2026-09-01\nlast", "first = 2026-08-20\nlast", "meals.schools[0].calendars", "on 2026-08-19"),
    (
        "first = 2025-09-01\nlast = 2026-08-31",
        "first = 2025-09-01\nlast = 2025-08-31",
        "meals.calendars[0].last",
        "",
    ),
    (
        "{ first = 2026-02-23, last = 2026-02-23",
        "{ first = 2025-11-04, last = 2026-02-23",
        "meals.calendars[0].holidays[2]",
        "Join them",
    ),
    (
        '"fri", "sat"]\nholidays = [\n  { first = 2025',
        '"fri", "fri"]\nholidays = [\n  { first = 2025',
        "meals.calendars[0].weekdays[5]",
        "",
    ),
    (
        SCHOOL,
        SCHOOL + '\nwindows = [{ kind = "tea", served_from = 08:00:00, served_until = 09:00:00 }]',
        "meals.schools[0].windows[0].kind",
        "breakfast",
    ),
    (
        SCHOOL,
        SCHOOL + '\nwindows = [{ kind = "snack", served_from = 14:00:00, served_until = 16:00:00 }]',
        "meals.schools[0].windows[0].served_from",
        "End one before",
    ),
    (
        SCHOOL,
        SCHOOL + "\nbreaks = [{ first = 2026-09-02, last = 2026-09-01 }]",
        "meals.schools[0].breaks[0].last",
        "",
    ),
    (
        SCHOOL,
        SCHOOL + '\nby_shift = [{ shift = 1, kind = "lunch" }]',
        "meals.schools[0].by_shift",
        "every shift",
    ),
    ("until = 09:00:00", "until = '09:00:00+05:00'", "meals.attendance.until", "local time"),
]


@pytest.mark.parametrize(("old", "new", "path", "advice"), WRONG)
def test_what_is_wrong_is_named_with_its_place(old: str, new: str, path: str, advice: str) -> None:
    assert old in BASE
    with pytest.raises(RegionDocumentError) as caught:
        parse_region(BASE.replace(old, new, 1), "region.toml")
    assert advice in mistakes_at(caught.value, path), caught.value
