"""What may be wrong with meals in a region document beyond their types: codes and words."""

from __future__ import annotations

from terminal.errors import MistakeCode
from terminal.texts import N_


class MealMistake(MistakeCode):
    """What may be wrong with kinds of meals, prices, entitlements and schools."""

    LIMIT_WITH_OFFSET = (
        "limit_with_offset",
        N_("a time with an offset"),
        N_("Write a local time: 18:00:00."),
    )
    RESERVED_KIND = ("reserved_kind", N_("`{kind}` means the meal of the shift"), N_("Use another name."))
    TWO_PRICES = (
        "two_prices",
        N_("a pupil has two prices for `{kind}`, this one and [{other}]"),
        N_("Keep their `grades` apart."),
    )
    GRADE_WITHOUT_PRICE = (
        "grade_without_price",
        N_("`{kind}` has no price in grade {grade}"),
        N_("State a price for every grade, or none at all when the kind is not for sale."),
    )
    TWO_ENTITLEMENTS = (
        "two_entitlements",
        N_("a pupil of code {concession} may fall under this one and under [{other}]"),
        N_("Keep their `grades` or `shift` apart."),
    )
    DAY_SUM = (
        "day_sum",
        N_("the portions cost {total_minor} a day, not {stated_minor}"),
        N_("Write {total_minor} or correct the portions."),
    )
    NO_MEAL_BY_SHIFT = (
        "no_meal_by_shift",
        N_("the document assigns no meal to a shift"),
        N_("Add [[meals.by_shift]] tables."),
    )
    FUNDERS_SUM = (
        "funders_sum",
        N_("the funders give {funded_minor}, the portion costs {sum_minor}"),
        N_("Correct a share by {difference_minor} or change `sum_minor`."),
    )
    PARENTS_PAY_ALL = (
        "parents_pay_all",
        N_("parents pay all of it"),
        N_("Name a budget, or remove the entitlement."),
    )
    PARENTS_PAY_MORE = (
        "parents_pay_more",
        N_("parents pay {parents_minor}, more than the {price_minor} of a pupil without entitlement"),
        N_("Lower their share: an entitlement never costs more than none."),
    )
    MEAL_TWICE = (
        "meal_twice",
        N_("shift {shift} would have `{kind}` twice"),
        N_("Name the kinds, or narrow the entitlement to a shift."),
    )
    PAIR_WITH_ITSELF = (
        "pair_with_itself",
        N_("pairs code {concession} with itself"),
        N_("Name two different codes."),
    )
    SECOND_PAIR = (
        "second_pair",
        N_("a second rule for the codes {one} and {other}"),
        N_("Keep one of them."),
    )
    CIRCLE = ("circle", N_("the codes replace each other in a circle"), N_("Let one of them win."))
    SERVING_WITH_OFFSET = (
        "serving_with_offset",
        N_("times with an offset"),
        N_("Write local times such as 07:30:00."),
    )
    SERVING_EMPTY = (
        "serving_empty",
        N_("the serving window of `{kind}` is empty"),
        N_("Put it after `served_from` on the same day."),
    )
    SERVING_OVERLAP = (
        "serving_overlap",
        N_("the windows of `{one}` and `{other}` overlap"),
        N_("End one before the other begins (`{one}` is {begins} to {ends})."),
    )
    SHIFT_WITHOUT_MEAL = (
        "shift_without_meal",
        N_("shift {shift} is assigned no meal"),
        N_("Name a kind for every shift."),
    )
    NO_GRADE = ("no_grade", N_("no grade is included"), N_("Put `first` before `last`."))
    NO_SCHOOL_DAY = ("no_school_day", N_("no day is attended"), N_('Name them: ["mon", "tue", …].'))
    SCHOOL_CALENDAR_NOT_USED = (
        "school_calendar_not_used",
        N_("no school uses calendar `{calendar}`"),
        N_("Name it in a school or remove it."),
    )
    HOLIDAYS_OVERLAP = (
        "holidays_overlap",
        N_("overlaps the holiday of {first} to {last}"),
        N_("Join them or keep them apart."),
    )
    OUTSIDE_CALENDAR = (
        "outside_calendar",
        N_("{first} to {last} lies outside the calendar, so it can never apply"),
        N_("Keep it between {begins} and {ends}."),
    )
    ENDS_FIRST = ("ends_first", N_("ends before it begins"), N_("Put it on or after `first`."))
    CALENDARS_OVERLAP = (
        "calendars_overlap",
        N_("`{one}` and `{other}` both state {day}"),
        N_("End `{one}` on {before}."),
    )
    DAYS_WITHOUT_CALENDAR = (
        "days_without_calendar",
        N_("no calendar states {first} to {last}"),
        N_("Let `{calendar}` last until {last}; holidays are stated too."),
    )
