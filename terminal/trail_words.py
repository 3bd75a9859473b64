"""A trail in words: one table of what each effect did, one of the rules' names, one of what was looked at.

Decisions, rows and comparisons know codes; this module alone makes words of them, in the language that is asked for.
The words stand in the catalogues (`decision.po`); an effect or rule of other software, which has none here, is shown
as its code.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from terminal.decision.bus.effects import (
    BankEffect,
    CheckInEffect,
    ConcessionEffect,
    ContractEffect,
    FareEffect,
    PassEffect,
    RepeatEffect,
    ReturnEffect,
    TransferEffect,
)
from terminal.decision.canteen.effects import AccountEffect, CorrectionEffect, GroundEffect, MealEffect
from terminal.decision.effects import CardEffect, CredentialEffect, InspectionEffect, TerminalEffect
from terminal.money import money
from terminal.policy.gtfs.matching import FeedEffect
from terminal.policy.rights.index import LimitEffect, PriceEffect
from terminal.texts import N_, NP_, translator
from terminal.trail import Effect, Reason, TrailEntry

ENGLISH: Final = "en"
"""The language of error texts, logs and tables of commands."""
FUNDED_BY: Final = "M-01"
"""The rule whose steps name each funder with the sum it pays."""

ROOMS: Final[tuple[type[Effect], ...]] = (
    TerminalEffect,
    CardEffect,
    CredentialEffect,
    InspectionEffect,
    FareEffect,
    BankEffect,
    ContractEffect,
    PassEffect,
    ConcessionEffect,
    RepeatEffect,
    TransferEffect,
    ReturnEffect,
    CheckInEffect,
    MealEffect,
    GroundEffect,
    AccountEffect,
    CorrectionEffect,
    LimitEffect,
    PriceEffect,
    FeedEffect,
)
"""Every enum of effects of this software."""

WORDS: Final[Mapping[Effect, str]] = MappingProxyType(
    {
        TerminalEffect.OUT_OF_SERVICE: N_("staff took the terminal out of service"),
        TerminalEffect.NO_SHIFT: N_("no sale before a shift is open"),
        TerminalEffect.CLOCK_JUMPED: N_("the clock is in doubt"),
        TerminalEffect.CLOCK_UNCONFIRMED: N_("the clock is in doubt: a service card has to confirm the time"),
        TerminalEffect.PLACE_BY_HAND: N_("the place was entered by hand"),
        TerminalEffect.PLACE_STALE: N_("the vehicle's place is some time old: the last known one counts"),
        TerminalEffect.PLACE_ESTIMATED: N_("the vehicle calls its place an estimate"),
        TerminalEffect.PLACE_TOO_OLD: N_("the vehicle's place is too old: it is not known"),
        TerminalEffect.PLACE_CONTRADICTED: N_("the vehicle's place is not on its route: it is not known"),
        TerminalEffect.DATA_STALE: N_("the terminal's data are old"),
        TerminalEffect.DATA_EXPIRED: N_("the terminal's data are too old"),
        TerminalEffect.DOCUMENT_STALE: N_("the region document is old"),
        TerminalEffect.DOCUMENT_GOES_ON: N_("the region document has ended; it says to go on for now"),
        TerminalEffect.DOCUMENT_ENDED: N_("the region document has ended"),
        TerminalEffect.NO_PROFILE_RULES: N_("no rules for this profile"),
        CardEffect.BLOCKED_ON_CARD: N_("the card carries the blocked flag"),
        CardEffect.OTHER_MEDIUM_ACTIVE: N_("another medium of the holder is the active one"),
        CardEffect.CARD_DENIED: N_("this card is on the deny list: no right on it counts"),
        CardEffect.PERSON_DENIED: N_("the holder is on the deny list: no card of theirs counts"),
        CardEffect.EXPIRED: N_("card expired"),
        CardEffect.NOT_YET_VALID: N_("card not yet valid"),
        CardEffect.OTHER_REGION: N_("card of another region"),
        CardEffect.EVENT_AHEAD: N_("newest event lies ahead of the clock"),
        CardEffect.PERIOD_AHEAD: N_("the card counts in a later period: its counts stay"),
        CardEffect.PERIOD_LOWERED: N_("the card counted in a later period: put back, its counts stay"),
        CredentialEffect.MISSING: N_("no signed grant on the card"),
        CredentialEffect.OTHER_DIGEST: N_("the signed grant is not the one the rights name"),
        CredentialEffect.OTHER_CARD: N_("the signed grant is of another card"),
        CredentialEffect.OTHER_RESIDENT: N_("the signed grant is of another resident"),
        CredentialEffect.NOT_GRANTED: N_("the signed grant does not cover the rights"),
        CredentialEffect.MALFORMED: N_("the signed grant cannot be read"),
        CredentialEffect.UNKNOWN_ISSUER: N_("the issuer of the grant is not known"),
        CredentialEffect.BAD_SIGNATURE: N_("the signature of the grant is wrong"),
        CredentialEffect.WRONG_ISSUER: N_("the grant names another issuer than signed it"),
        CredentialEffect.NOT_YET_VALID: N_("the signed grant is not yet valid"),
        CredentialEffect.EXPIRED: N_("the signed grant has expired"),
        InspectionEffect.PAID_HERE: N_("paid on this vehicle"),
        InspectionEffect.NOT_PAID_HERE: N_("no payment on this vehicle"),
        InspectionEffect.BANK_CARD_SEEN: N_("a tap with this bank card on this vehicle"),
        InspectionEffect.BANK_CARD_NOT_SEEN: N_("no tap with this bank card here"),
        InspectionEffect.MISUSE_REPORTED: N_("concession card in the wrong hands: reported, not blocked"),
        InspectionEffect.NO_CONCESSION: N_("no concession on this card: nothing to report"),
        FareEffect.ORDINARY: N_("ordinary fare of the transport card"),
        FareEffect.CASH: N_("cash fare"),
        FareEffect.BANK: N_("ordinary fare of the bank card"),
        FareEffect.TO_TERMINUS: N_("destination not known: the fare to the terminus"),
        FareEffect.FROM_ORIGIN: N_("boarding not known: the fare from where the turn began"),
        FareEffect.DEAREST: N_("destination not known: the dearest fare"),
        FareEffect.UNKNOWN: N_("no fare is known for this ride: refused"),
        FareEffect.COMPANIONS_UNKNOWN: N_("the fare of the companions is not known"),
        FareEffect.ASKED_BY_CREW: N_("asked for by the crew before the tap"),
        FareEffect.ASKED_BY_RIDER: N_("asked for by the passenger before the tap"),
        FareEffect.PAYS_FOR_OTHERS: N_("the purse pays for others"),
        FareEffect.NOT_ENOUGH_MONEY: N_("not enough money in the purse"),
        FareEffect.REST_OF_CAP: N_("the rest of the cap"),
        FareEffect.RIDES_PAID: N_("enough rides paid in this period"),
        FareEffect.SOLD_TODAY: N_("sold today"),
        FareEffect.NOT_SOLD_TODAY: N_("not sold today"),
        BankEffect.NOT_TAKEN: N_("this profile takes no bank cards"),
        BankEffect.UNREADABLE: N_("the card could not be read"),
        BankEffect.NOT_AUTHENTIC: N_("offline data authentication failed"),
        BankEffect.EXPIRED: N_("card expired"),
        BankEffect.DEFERRED: N_("registered; the bank charges it later"),
        BankEffect.UNPAID: N_("an earlier charge is unpaid"),
        BankEffect.LIST_TOO_OLD: N_("deny list too old for more taps of this card today"),
        BankEffect.WITHIN_STALE_CAP: N_("deny list is old: tap taken within the cap"),
        PassEffect.COVERS: N_("pass covers the ride"),
        PassEffect.FROM_FIRST_RIDE: N_("pass from its first ride covers the ride"),
        PassEffect.NOT_TODAY: N_("pass does not hold today"),
        PassEffect.RUN_OUT: N_("pass has run out"),
        PassEffect.CANNOT_START: N_("pass cannot start today"),
        PassEffect.FIRST_USE_LATE: N_("first used too late for the counter on the card"),
        PassEffect.START_UNREADABLE: N_("the start of the pass cannot be read"),
        ContractEffect.PACK_TRIP: N_("one trip of the pack"),
        ContractEffect.CARRIED_OVER_PACK_TRIP: N_("one trip of the pack"),
        ContractEffect.PACK_NOT_TODAY: N_("trip pack does not hold today"),
        ContractEffect.PACK_USED_UP: N_("trip pack used up"),
        ContractEffect.PACK_LAPSED: N_("the trips of the pack were those of another month"),
        ContractEffect.COUNT_UNREADABLE: N_("the trips used cannot be read: counted under another tariff"),
        ContractEffect.PLAN_FARE: N_("fare of the tariff plan"),
        ContractEffect.PLAN_NOT_TODAY: N_("tariff plan does not hold today"),
        ContractEffect.NOT_ON_THIS_RIDE: N_("the product does not hold on this ride"),
        ContractEffect.LIMIT_REACHED: N_("limit reached: ordinary fare"),
        ConcessionEffect.EXPIRED: N_("concession expired"),
        ConcessionEffect.NOT_YET_VALID: N_("concession not yet valid"),
        ConcessionEffect.OUT_OF_SEASON: N_("out of season: the concession does not hold"),
        ConcessionEffect.NOT_ON_THIS_RIDE: N_("the concession does not hold on this ride"),
        ConcessionEffect.DATA_TOO_OLD: N_("data too old: ordinary fare"),
        ConcessionEffect.LIST_NEWER: N_("the terminal's list is newer than the card"),
        ConcessionEffect.COMPANIONS: N_("companions ride on the same terms"),
        ConcessionEffect.COMPANION: N_("a companion rides on the same terms"),
        ConcessionEffect.GRACE_RIDE: N_("ride on credit"),
        ConcessionEffect.GRACE_USED_UP: N_("unpaid rides used up: to be cleared in person"),
        RepeatEffect.SAME_TERMINAL: N_("same card on the same terminal: ignored"),
        RepeatEffect.PAID_ON_ROUTE: N_("paid at a validator of this route: not charged again"),
        RepeatEffect.JUST_CHECKED: N_("tapped in or out here just before: the same tap"),
        RepeatEffect.PASSED_BACK: N_("right already used: cannot be passed back"),
        TransferEffect.FREE: N_("free transfer"),
        TransferEffect.REDUCED: N_("reduced following trip"),
        TransferEffect.MIXED_FREE: N_("free transfer"),
        TransferEffect.FREE_NONE_LEFT: N_("no transfer left on this journey"),
        TransferEffect.REDUCED_NONE_LEFT: N_("no transfer left on this journey"),
        TransferEffect.MIXED_NONE_LEFT: N_("no transfer left on this journey"),
        TransferEffect.FREE_OTHER_MODE: N_("no transfer to this mode"),
        TransferEffect.REDUCED_OTHER_MODE: N_("no transfer to this mode"),
        TransferEffect.MIXED_OTHER_MODE: N_("no transfer to this mode"),
        TransferEffect.MODE_ENTERED_BEFORE: N_("this mode was already entered on this journey"),
        TransferEffect.SAME_ROUTE: N_("same route and direction: a new trip"),
        TransferEffect.ORDINARY_CHEAPER: N_("the ordinary fare is less"),
        TransferEffect.CONCESSION_CHEAPER: N_("the concession costs less"),
        TransferEffect.TOP_UP: N_("a dearer ride of the journey: the difference is due"),
        TransferEffect.TOP_UP_FREE: N_("free transfer: no dearer than what was paid"),
        TransferEffect.TOP_UP_NONE_LEFT: N_("no transfer left on this journey"),
        TransferEffect.TOP_UP_OTHER_MODE: N_("no transfer to this mode"),
        TransferEffect.PAID_UNREADABLE: N_("what was paid cannot be read: counted under another tariff"),
        ReturnEffect.WAY_BACK: N_("the way back of a paid ride: it costs less"),
        ReturnEffect.OTHER_CHEAPER: N_("another right costs less than the way back"),
        CheckInEffect.HELD: N_("held until the rider checks out"),
        CheckInEffect.CHARGED: N_("charged for the ride"),
        CheckInEffect.NO_CHECK_OUT: N_("no check-out: all that was held is charged"),
        CheckInEffect.PURSE_SHORT: N_("the purse holds less than was held"),
        CheckInEffect.TOO_MANY: N_("more persons than a card can check in: refused"),
        CheckInEffect.TOO_MUCH: N_("more money than the card can count as held: refused"),
        CheckInEffect.FROM_FIRST_STOP: N_("place not known: the ride counts from the first stop"),
        CheckInEffect.BOARDING_UNKNOWN: N_("where the ride begins is not known"),
        CheckInEffect.CHEAPER_STOP: N_("the exit is an estimate: the cheaper stop counts"),
        CheckInEffect.CHEAPEST_RIDE: N_("an end of the ride is not known: the cheapest ride counts"),
        MealEffect.DAY_CLOSED: N_("the day is closed"),
        MealEffect.NOTHING_SERVED_NOW: N_("nothing is served at this hour"),
        MealEffect.NONE_FOR_SHIFT: N_("no meal is assigned to this shift"),
        MealEffect.NO_SUCH_MEAL: N_("no such meal in the region document"),
        MealEffect.LOST_CARD: N_("a lost card: the pupil has a newer one"),
        MealEffect.NONE_TODAY: N_("no meals today"),
        MealEffect.GETS_PARCEL: N_("gets a parcel or money instead"),
        MealEffect.NOT_ENTITLED: N_("not entitled to this meal"),
        MealEffect.HAD_IT: N_("one portion of each kind a day"),
        MealEffect.NOT_LISTED: N_("not in the roster of this school"),
        GroundEffect.LIST_NEWER: N_("the list is newer than the card"),
        GroundEffect.BLOCKED: N_("the list blocks this grant"),
        GroundEffect.NOT_TODAY: N_("grant does not hold today"),
        GroundEffect.OTHER_GRADE_OR_SHIFT: N_("grant does not cover this grade or shift"),
        GroundEffect.COMBINED: N_("several grounds combined"),
        GroundEffect.GRADE_FREE: N_("free meals a day"),
        GroundEffect.GRADE_PART_PRICE: N_("meals at a reduced price"),
        GroundEffect.SPECIAL_NEEDS_FREE: N_("free meals a day"),
        GroundEffect.SPECIAL_NEEDS_PART_PRICE: N_("meals at a reduced price"),
        GroundEffect.FAMILY_FREE: N_("free meals a day"),
        GroundEffect.FAMILY_PART_PRICE: N_("meals at a reduced price"),
        GroundEffect.SERVICE_FAMILY_FREE: N_("free meals a day"),
        GroundEffect.SERVICE_FAMILY_PART_PRICE: N_("meals at a reduced price"),
        GroundEffect.REGIONAL_FREE: N_("free meals a day"),
        GroundEffect.REGIONAL_PART_PRICE: N_("meals at a reduced price"),
        GroundEffect.SENSITIVE_FREE: N_("free meals a day"),
        GroundEffect.SENSITIVE_PART_PRICE: N_("meals at a reduced price"),
        AccountEffect.FROM_BUDGET: N_("paid from the budget"),
        AccountEffect.FROM_HOT_ACCOUNT: N_("paid from the hot-meal account"),
        AccountEffect.FROM_BUFFET_ACCOUNT: N_("paid from the buffet account"),
        AccountEffect.NO_PRICE: N_("no price for it"),
        AccountEffect.NO_HOT_ACCOUNT: N_("no account known here"),
        AccountEffect.NO_BUFFET_ACCOUNT: N_("no account known here"),
        AccountEffect.ROSTER_EXPIRED: N_("the roster has expired"),
        AccountEffect.DOCUMENT_ENDED: N_("nothing is sold by a region document that has ended"),
        AccountEffect.SELLING_STOPPED: N_("nothing is sold while the journal takes no records"),
        AccountEffect.NOT_ORDERED: N_("not ordered before the cut-off"),
        AccountEffect.ORDERED: N_("ordered, with the money put aside"),
        AccountEffect.ORDER_DONE: N_("not ordered, or the order is done with"),
        AccountEffect.DAY_LIMIT: N_("the parents' limit of the day is reached"),
        AccountEffect.BUFFET_LIMIT: N_("the parents' limit for the buffet is reached"),
        AccountEffect.EXCLUDED: N_("excluded by the parents"),
        AccountEffect.BELOW_CREDIT: N_("the credit is used up"),
        AccountEffect.NO_CREDIT: N_("the buffet gives no credit"),
        AccountEffect.IN_SPARE_LOG: N_("written into the spare log"),
        AccountEffect.ON_PAPER: N_("no disk takes it: note it on paper"),
        CorrectionEffect.ORDER_TOO_LATE: N_("ordered after the cut-off"),
        CorrectionEffect.STILL_SERVED: N_("still being served"),
        CorrectionEffect.ATTENDANCE_TOO_LATE: N_("too late for a correction"),
        CorrectionEffect.NOT_THE_LAST: N_("not the last record of this pupil"),
        CorrectionEffect.ANNULMENT_TOO_LATE: N_("too late to annul"),
        CorrectionEffect.SECOND_PERSON: N_("a second person has to confirm"),
        CorrectionEffect.CARD_NOT_PRESENTED: N_("this card was not presented here"),
        CorrectionEffect.PUPILS_OWN_CARD: N_("this card is a pupil's own"),
        CorrectionEffect.CARD_LENT_ALREADY: N_("this card is lent to another pupil today"),
        LimitEffect.TRIP: N_("one ride of the limit"),
        LimitEffect.MONTH_TRIP: N_("one ride of the month's limit"),
        LimitEffect.COUNTED_HERE: N_("one of the rides counted here"),
        LimitEffect.DAY_TRIP: N_("one ride of the day's ceiling"),
        PriceEffect.PERCENT: N_("concession"),
        PriceEffect.AMOUNT_OFF: N_("concession"),
        PriceEffect.FIXED: N_("concession"),
        PriceEffect.FREE: N_("concession"),
        PriceEffect.PERCENT_OF_UNKNOWN: N_("the fare of this ride is not known"),
        PriceEffect.AMOUNT_OFF_UNKNOWN: N_("the fare of this ride is not known"),
        FeedEffect.LEG: N_("fare of the leg"),
        FeedEffect.TRANSFER: N_("transfer"),
        FeedEffect.JOINED: N_("one leg with the leg before"),
        FeedEffect.DEAREST: N_("dearest fare that can be reached, corrected at the tap-off"),
        FeedEffect.CORRECTED: N_("corrected at the tap-off"),
        FeedEffect.NO_TAP_OFF: N_("no tap-off seen: what was taken stays"),
        FeedEffect.NO_FARE_TO_STOP: N_("no fare to this stop: what was taken stays"),
        FeedEffect.NO_RIDE_OPEN: N_("no ride to tap off from"),
        FeedEffect.NO_FARE: N_("no fare for this leg, rider and medium"),
        FeedEffect.UNKNOWN_ROUTE: N_("the route is not in the feed"),
        FeedEffect.UNKNOWN_STOP: N_("the stop is not in the feed"),
        FeedEffect.FALLBACK: N_("the document's fare for unknown rides"),
        FeedEffect.OVERPAID: N_("more is paid than the journey costs: counts for what follows"),
    }
)
"""What an effect did, as the catalogues know it."""

RULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "K-01": N_("one medium of the holder is active"),
        "K-02": N_("the first right that holds, in profile order"),
        "K-03": N_("unfinished writes and foreign cards"),
        "T-01": N_("the fare depends on the medium"),
        "T-02": N_("a share of the base tariff"),
        "T-03": N_("a fixed amount off"),
        "T-04": N_("a fixed price"),
        "T-05": N_("free travel"),
        "T-06": N_("fare by distance"),
        "T-07": N_("check-in and check-out"),
        "T-08": N_("rounding to the minor unit"),
        "T-10": N_("a pack of trips"),
        "T-11": N_("a pack whose rest is carried over"),
        "T-12": N_("a limit of trips"),
        "T-13": N_("over the limit the ordinary fare"),
        "T-14": N_("the service day"),
        "T-15": N_("season of a concession"),
        "T-16": N_("days of sale"),
        "T-17": N_("where it holds"),
        "T-18": N_("winter grace for a child without money"),
        "T-19": N_("city and suburban trips counted apart"),
        "T-20": N_("the companion"),
        "T-30": N_("free transfer"),
        "T-31": N_("cheaper following trips"),
        "T-32": N_("mixed window: the metro once"),
        "T-33": N_("the same route is a new trip"),
        "T-34": N_("a purse may pay for several"),
        "T-35": N_("repeated tap"),
        "T-36": N_("a card cannot be passed back"),
        "T-37": N_("daily ceiling"),
        "T-38": N_("a dearer ride pays the difference"),
        "T-39": N_("return discount"),
        "T-40": N_("bank card: charged later"),
        "T-41": N_("debt of a bank card"),
        "T-42": N_("deny list of bank cards"),
        "T-43": N_("a deny list that is too old"),
        "T-60": N_("no sale without a shift"),
        "T-61": N_("place of the vehicle"),
        "T-62": N_("turns of the vehicle"),
        "T-64": N_("out of service"),
        "T-70": N_("inspection"),
        "T-71": N_("a card in the wrong hands"),
        "M-01": N_("whose money pays"),
        "M-02": N_("parents' limits"),
        "M-03": N_("parents' money"),
        "M-10": N_("grades 1-4: a free hot meal"),
        "M-11": N_("special needs: two free meals"),
        "M-12": N_("large and low-income families"),
        "M-13": N_("children of service members"),
        "M-14": N_("categories of the region"),
        "M-15": N_("the meal of the shift"),
        "M-16": N_("several grounds"),
        "M-17": N_("days of attendance"),
        "M-18": N_("home schooled"),
        "M-19": N_("one portion of each kind a day"),
        "M-20": N_("valid from and to, both included"),
        "M-30": N_("way of serving"),
        "M-31": N_("group issue"),
        "M-32": N_("pre-order"),
        "M-33": N_("attendance"),
        "M-34": N_("annulment"),
        "M-35": N_("lent card"),
        "M-36": N_("parents' credit"),
        "M-37": N_("no child is turned away"),
        "M-38": N_("privacy at the counter"),
        "O-01": N_("everything needed is on the terminal"),
        "O-02": N_("card, list and block"),
        "O-03": N_("age of data"),
        "O-04": N_("counters on the card"),
        "O-05": N_("clocks"),
        "O-06": N_("storage"),
        "O-08": N_("served twice"),
        "O-09": N_("without deny lists"),
        "CAP": N_("cap of a day, week or month"),
        "G-01": N_("fare of a GTFS leg"),
        "G-02": N_("GTFS transfer"),
        "G-03": N_("legs that count as one"),
        "G-04": N_("the destination is not known"),
        "G-05": N_("correction at the tap-off"),
        "G-06": N_("no tap-off"),
        "G-07": N_("no fare in the feed"),
        "G-08": N_("the fare for unknown rides"),
        "G-09": N_("more is paid than it costs"),
        "CREDENTIAL": N_("the issuer's signature"),
    }
)
"""The rules by their ids, each in one short line."""

INPUTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "age_s": NP_("trail input", "age"),
        "balance_minor": NP_("trail input", "balance"),
        "base_minor": NP_("trail input", "base"),
        "behind_s": NP_("trail input", "behind"),
        "calendar": NP_("trail input", "calendar"),
        "cap": NP_("trail input", "cap"),
        "charge_minor": NP_("trail input", "charge"),
        "charged_minor": NP_("trail input", "charged"),
        "closes": NP_("trail input", "closes"),
        "code": NP_("trail input", "code"),
        "companions": NP_("trail input", "companions"),
        "credit_minor": NP_("trail input", "credit"),
        "data_age_s": NP_("trail input", "data age"),
        "document_age_s": NP_("trail input", "age of the document"),
        "day": NP_("trail input", "day"),
        "days": NP_("trail input", "days"),
        "due_minor": NP_("trail input", "due"),
        "event_at": NP_("trail input", "event"),
        "expires_on": NP_("trail input", "expires on"),
        "fare": NP_("trail input", "fare"),
        "fare_minor": NP_("trail input", "fare"),
        "free_minor": NP_("trail input", "free"),
        "from_group": NP_("trail input", "from group"),
        "from_origin": NP_("trail input", "from origin"),
        "grade": NP_("trail input", "grade"),
        "grounds": NP_("trail input", "grounds"),
        "held_minor": NP_("trail input", "held"),
        "journey_age_s": NP_("trail input", "journey age"),
        "jump_s": NP_("trail input", "jump"),
        "kept": NP_("trail input", "kept"),
        "leg_rule": NP_("trail input", "leg rule"),
        "length_s": NP_("trail input", "length"),
        "limit_minor": NP_("trail input", "limit"),
        "meal": NP_("trail input", "meal"),
        "meals": NP_("trail input", "meals"),
        "mode": NP_("trail input", "mode"),
        "month": NP_("trail input", "month"),
        "of": NP_("trail input", "of"),
        "opens": NP_("trail input", "opens"),
        "own_minor": NP_("trail input", "own price"),
        "paid": NP_("trail input", "paid"),
        "paid_minor": NP_("trail input", "paid so far"),
        "persons": NP_("trail input", "persons"),
        "price_minor": NP_("trail input", "price"),
        "product": NP_("trail input", "product"),
        "profile": NP_("trail input", "profile"),
        "region": NP_("trail input", "region"),
        "reserved_minor": NP_("trail input", "reserved"),
        "return": NP_("trail input", "return"),
        "route": NP_("trail input", "route"),
        "sequence": NP_("trail input", "row"),
        "serving": NP_("trail input", "serving"),
        "since_at": NP_("trail input", "since"),
        "slot": NP_("trail input", "slot"),
        "spent_minor": NP_("trail input", "spent"),
        "sum_minor": NP_("trail input", "sum"),
        "taps": NP_("trail input", "taps"),
        "terminal": NP_("trail input", "terminal"),
        "time": NP_("trail input", "time"),
        "to_group": NP_("trail input", "to group"),
        "to_mark_m": NP_("trail input", "to metre"),
        "to_stop": NP_("trail input", "to stop"),
        "to_zone": NP_("trail input", "to zone"),
        "transfer_minor": NP_("trail input", "transfer"),
        "transfer_rule": NP_("trail input", "transfer rule"),
        "transfers": NP_("trail input", "transfers"),
        "type": NP_("trail input", "type"),
        "unpaid": NP_("trail input", "unpaid"),
        "until": NP_("trail input", "until"),
        "used": NP_("trail input", "used"),
        "valid_from": NP_("trail input", "valid from"),
        "valid_to": NP_("trail input", "valid to"),
        "window_s": NP_("trail input", "window"),
    }
)
"""What a step looked at; an input without a word keeps its name."""


def effect_words(code: str, language: str = ENGLISH) -> str:
    """What the effect did: "one ride of the month's limit". Raises `TerminalError` for a language without texts."""
    words = _BY_CODE.get(code)
    return code if words is None else translator(language).gettext(words)


def rule_title(rule: str, language: str = ENGLISH) -> str:
    """The name of a rule, empty for one of other software."""
    title = RULES.get(rule)
    return "" if title is None else translator(language).gettext(title)


def step_line(
    step: Reason | TrailEntry, currency: str, language: str = ENGLISH, *, titled: bool = True
) -> str:
    """One step of a trail: "T-12 (a limit of trips): one ride of the month's limit [used 3, of 50]".

    Its sums are in `currency`. `titled` adds the rule's name to its id.
    """
    title = rule_title(step.rule, language) if titled else ""
    named = f"{step.rule} ({title})" if title else step.rule
    funded = step.rule == FUNDED_BY
    inputs = ", ".join(_input(name, value, currency, language, funded) for name, value in step.inputs.items())
    return f"{named}: {effect_words(step.code, language)}{f' [{inputs}]' if inputs else ''}"


def _input(name: str, value: int | str, currency: str, language: str, funded: bool) -> str:
    t = translator(language)
    label = t.pgettext("trail input", INPUTS[name]) if name in INPUTS else _bare(name)
    if isinstance(value, str):
        return f"{label} {value}"
    if name.endswith("_minor") or funded:
        return f"{label} {money(value, currency, language)}"
    if name.endswith("_at"):
        return f"{label} {datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%SZ}"
    if name.endswith("_s"):
        return f"{label} {t.gettext('{n} s').format(n=value)}"
    return f"{label} {value}"


def _bare(name: str) -> str:
    return name.removesuffix("_minor").removesuffix("_s").removesuffix("_at")


_BY_CODE: Final[Mapping[str, str]] = {effect.code: words for effect, words in WORDS.items()}
