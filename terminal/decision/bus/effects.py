"""What the rules of the bus do: fares, rights, transfers, check-in, repeated taps, bank cards."""

from __future__ import annotations

from terminal.trail import Effect


class FareEffect(Effect):
    """What a ride costs, and what the purse pays."""

    ORDINARY = "t-01:ordinary_fare"
    CASH = "t-01:cash_fare"
    CHILD = "t-55:child_ticket"
    LUGGAGE = "t-55:luggage_ticket"
    NO_SUCH_TICKET = "t-55:no_such_ticket"
    BANK = "t-01:bank_fare"
    TO_TERMINUS = "t-01:fare_to_terminus"
    FROM_ORIGIN = "t-01:fare_from_origin"
    DEAREST = "t-01:dearest_fare"
    UNKNOWN = "t-01:fare_unknown"
    COMPANIONS_UNKNOWN = "t-01:companions_unknown"
    ASKED_BY_CREW = "t-34:asked_by_crew"
    ASKED_BY_RIDER = "t-34:asked_by_rider"
    PAYS_FOR_OTHERS = "t-34:pays_for_others"
    NOT_ENOUGH_MONEY = "t-01:not_enough_money"
    REST_OF_CAP = "cap:rest_of_cap"
    RIDES_PAID = "cap:rides_paid"
    SOLD_TODAY = "t-16:sold_today"
    NOT_SOLD_TODAY = "t-16:not_sold_today"


class BankEffect(Effect):
    """What a tap with a bank card came to."""

    NOT_TAKEN = "k-02:bank_cards_not_taken"
    UNREADABLE = "t-40:unreadable"
    NOT_AUTHENTIC = "t-40:not_authentic"
    EXPIRED = "t-40:expired"
    DEFERRED = "t-40:deferred"
    UNPAID = "t-41:unpaid"
    LIST_TOO_OLD = "t-43:list_too_old"
    WITHIN_STALE_CAP = "t-43:within_stale_cap"
    NOT_LATER = "o-14:not_paid_later"
    RESIDENT_FIRST = "k-02:resident_could_not_pay"
    """The resident application of the same card was asked first."""


class PassEffect(Effect):
    """What a pass gives on this ride."""

    COVERS = "k-02:pass_covers"
    FROM_FIRST_RIDE = "k-02:pass_from_first_ride"
    NOT_TODAY = "k-02:pass_not_today"
    RUN_OUT = "k-02:pass_run_out"
    CANNOT_START = "k-02:pass_cannot_start"
    FIRST_USE_LATE = "k-02:pass_first_use_late"
    START_UNREADABLE = "o-04:pass_start_unreadable"


class ContractEffect(Effect):
    """What a trip pack, a tariff plan or a limit of either gives on this ride."""

    PACK_TRIP = "t-10:pack_trip"
    CARRIED_OVER_PACK_TRIP = "t-11:pack_trip"
    PACK_NOT_TODAY = "t-10:pack_not_today"
    PACK_LAPSED = "t-10:pack_lapsed"
    PACK_USED_UP = "t-10:pack_used_up"
    COUNT_UNREADABLE = "o-04:count_unreadable"
    PLAN_FARE = "t-34:plan_fare"
    PLAN_NOT_TODAY = "t-34:plan_not_today"
    NOT_ON_THIS_RIDE = "t-17:product_not_here"
    LIMIT_REACHED = "t-13:limit_reached"


class ConcessionEffect(Effect):
    """What a concession gives on this ride; its price and limits have enums of their own."""

    EXPIRED = "m-20:concession_expired"
    NOT_YET_VALID = "m-20:concession_not_yet_valid"
    OUT_OF_SEASON = "t-15:out_of_season"
    NOT_ON_THIS_RIDE = "t-17:concession_not_here"
    DATA_TOO_OLD = "o-03:data_too_old"
    LIST_NEWER = "o-02:list_newer"
    COMPANIONS = "t-20:companions"
    COMPANION = "t-20:companion"
    GRACE_RIDE = "t-18:grace_ride"
    GRACE_USED_UP = "t-18:grace_used_up"


class RepeatEffect(Effect):
    """Why a tap is no new ride."""

    SAME_TERMINAL = "t-35:same_terminal"
    PAID_ON_ROUTE = "k-03:paid_on_route"
    JUST_CHECKED = "t-07:just_checked"
    PASSED_BACK = "t-36:passed_back"


class TransferEffect(Effect):
    """What an open journey makes of this ride."""

    FREE = "t-30:free_transfer"
    REDUCED = "t-31:reduced_trip"
    MIXED_FREE = "t-32:free_transfer"
    FREE_NONE_LEFT = "t-30:none_left"
    REDUCED_NONE_LEFT = "t-31:none_left"
    MIXED_NONE_LEFT = "t-32:none_left"
    FREE_OTHER_MODE = "t-30:other_mode"
    REDUCED_OTHER_MODE = "t-31:other_mode"
    MIXED_OTHER_MODE = "t-32:other_mode"
    MODE_ENTERED_BEFORE = "t-32:mode_entered_before"
    SAME_ROUTE = "t-33:same_route"
    ORDINARY_CHEAPER = "t-31:ordinary_cheaper"
    CONCESSION_CHEAPER = "t-31:concession_cheaper"
    TOP_UP = "t-38:top_up"
    TOP_UP_FREE = "t-38:free_transfer"
    TOP_UP_NONE_LEFT = "t-38:none_left"
    TOP_UP_OTHER_MODE = "t-38:other_mode"
    PAID_UNREADABLE = "t-38:paid_unreadable"


class ReturnEffect(Effect):
    """What an outward ride makes of the way back."""

    WAY_BACK = "t-39:way_back"
    OTHER_CHEAPER = "t-39:other_cheaper"


class CheckInEffect(Effect):
    """What check-in and check-out made of the price."""

    HELD = "t-07:held"
    CHARGED = "t-07:charged"
    NO_CHECK_OUT = "t-07:no_check_out"
    PURSE_SHORT = "t-07:purse_short"
    TOO_MANY = "t-07:too_many_persons"
    TOO_MUCH = "t-07:too_much_to_hold"
    FROM_FIRST_STOP = "t-07:from_first_stop"
    BOARDING_UNKNOWN = "t-07:boarding_unknown"
    CHEAPER_STOP = "t-07:cheaper_stop"
    CHEAPEST_RIDE = "t-07:cheapest_ride"
