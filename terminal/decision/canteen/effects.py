"""What the rules of the canteen do: meals, grounds, accounts, corrections."""

from __future__ import annotations

from terminal.trail import Effect


class MealEffect(Effect):
    """Whether a meal is served at all, and to whom."""

    DAY_CLOSED = "m-34:day_closed"
    NOTHING_SERVED_NOW = "m-15:nothing_served_now"
    NONE_FOR_SHIFT = "m-15:none_for_shift"
    NO_SUCH_MEAL = "m-15:no_such_meal"
    LOST_CARD = "m-35:lost_card"
    NONE_TODAY = "m-17:none_today"
    GETS_PARCEL = "m-18:gets_parcel"
    NOT_ENTITLED = "m-19:not_entitled"
    HAD_IT = "m-19:had_it"
    NOT_LISTED = "m-31:not_listed"
    ONLY_READ = "m-30:only_read"
    ASK_OTHER_ENTITLEMENT = "m-19:ask_other_entitlement"
    ASK_NOT_LISTED = "o-02:ask_not_listed"
    ASK_ELSEWHERE = "o-08:ask_elsewhere"
    CASHIER_DECIDED = "m-30:cashier_decided"


class GroundEffect(Effect):
    """What each ground of a pupil gives a day; a ground that reveals health is noted by what it gives (M-19)."""

    LIST_NEWER = "o-02:grant_list_newer"
    BLOCKED = "o-02:grant_blocked"
    NOT_TODAY = "m-20:grant_not_today"
    OTHER_GRADE_OR_SHIFT = "m-20:other_grade_or_shift"
    COMBINED = "m-16:combined"
    GRADE_FREE = "m-10:free_meals"
    GRADE_PART_PRICE = "m-10:part_price_meals"
    SPECIAL_NEEDS_FREE = "m-11:free_meals"
    SPECIAL_NEEDS_PART_PRICE = "m-11:part_price_meals"
    FAMILY_FREE = "m-12:free_meals"
    FAMILY_PART_PRICE = "m-12:part_price_meals"
    SERVICE_FAMILY_FREE = "m-13:free_meals"
    SERVICE_FAMILY_PART_PRICE = "m-13:part_price_meals"
    REGIONAL_FREE = "m-14:free_meals"
    REGIONAL_PART_PRICE = "m-14:part_price_meals"
    SENSITIVE_FREE = "m-19:free_meals"
    SENSITIVE_PART_PRICE = "m-19:part_price_meals"


class AccountEffect(Effect):
    """Whose money pays for a meal or a sale, and what stands against it."""

    FROM_BUDGET = "m-01:from_budget"
    FROM_HOT_ACCOUNT = "m-01:from_hot_account"
    FROM_BUFFET_ACCOUNT = "m-01:from_buffet_account"
    NO_PRICE = "m-01:no_price"
    NO_HOT_ACCOUNT = "m-01:no_account"
    NO_BUFFET_ACCOUNT = "o-03:no_account"
    ROSTER_EXPIRED = "o-03:roster_expired"
    SELLING_STOPPED = "o-06:selling_stopped"
    DOCUMENT_ENDED = "o-01:nothing_sold"
    NOT_ORDERED = "m-32:not_ordered"
    ASK_ORDER = "m-32:ask_order"
    ORDERED = "m-32:ordered"
    ORDER_DONE = "m-32:order_done"
    DAY_LIMIT = "m-02:day_limit"
    BUFFET_LIMIT = "m-02:buffet_limit"
    EXCLUDED = "m-02:excluded"
    BELOW_CREDIT = "m-36:below_credit"
    NO_CREDIT = "m-36:no_credit"
    IN_SPARE_LOG = "o-06:in_spare_log"
    ON_PAPER = "o-06:on_paper"


class CorrectionEffect(Effect):
    """Why something cannot be ordered, corrected, annulled or lent."""

    ORDER_TOO_LATE = "m-32:order_too_late"
    STILL_SERVED = "m-32:still_served"
    ATTENDANCE_TOO_LATE = "m-33:too_late"
    NOT_THE_LAST = "m-34:not_the_last"
    ANNULMENT_TOO_LATE = "m-34:too_late"
    SECOND_PERSON = "m-35:second_person"
    CARD_NOT_PRESENTED = "m-35:card_not_presented"
    PUPILS_OWN_CARD = "m-35:pupils_own_card"
    CARD_LENT_ALREADY = "m-35:card_lent_already"
