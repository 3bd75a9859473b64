"""What a decision is made of. Refusals are values; nothing here raises."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from cardproto.resident.records.event import Event, EventKind, PaidBy
from terminal.codes import Admission
from terminal.decision.meal import Serving
from terminal.trail import Reason


class Message(StrEnum):
    """What the passenger reads and hears; codes are stable, texts are per profile (docs/rules.md)."""

    OK_PAID = "ok_paid"
    OK_PAID_BY_BANK = "ok_paid_by_bank"
    """The bank application of a card whose resident application could not pay."""
    OK_PASS = "ok_pass"  # noqa: S105 a travel pass
    OK_PACK = "ok_pack"
    """One trip of a pack that was bought (T-10, T-11)."""
    OK_BENEFIT = "ok_benefit"
    OK_BENEFIT_UNLIMITED = "ok_benefit_unlimited"
    OK_GRACE = "ok_grace"
    """Taken along unpaid (T-18)."""
    OK_TRANSFER = "ok_transfer"
    OK_CHECKIN = "ok_checkin"
    OK_CHECKOUT = "ok_checkout"
    LIMIT_REACHED = "limit_reached"
    """A concession has no trips left (T-13)."""
    PACK_USED_UP = "pack_used_up"
    PACK_LAPSED = "pack_lapsed"
    """Its trips were those of another month (T-10)."""
    COUNT_UNREADABLE = "count_unreadable"
    PASS_USED_UP = "pass_used_up"  # noqa: S105 a travel pass
    """As often as a pass may be used (T-37)."""
    ALREADY_PAID = "already_paid"
    NO_FUNDS = "no_funds"
    DEBT = "debt"
    """Unpaid rides used up (T-18)."""
    DENY_LIST = "deny_list"
    BLOCKED = "blocked"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    OTHER_REGION = "other_region"
    CREDENTIAL_EXPIRED = "credential_expired"
    """What the issuer signed is not in force now."""
    CREDENTIAL_NOT_TRUSTED = "credential_not_trusted"
    """What the card says is not what an issuer signed."""
    BENEFIT_EXPIRED = "benefit_expired"
    BENEFIT_OUT_OF_SEASON = "benefit_out_of_season"
    BENEFIT_NOT_CHECKED = "benefit_not_checked"
    """The terminal's lists are too old to grant it (O-03)."""
    MEDIUM_INACTIVE = "medium_inactive"
    READ_AGAIN = "read_again"
    ONE_CARD = "one_card"
    UNKNOWN_CARD = "unknown_card"
    BANK_CLOSED = "bank_closed"
    """Bank cards cannot be taken now: the terminal lacks what proves them, or whom to seal their taps to."""
    NOT_ACCEPTED = "not_accepted"
    """A bank card that did not prove itself."""
    UNLOCK_PHONE = "unlock_phone"
    """Its holder has to open it before it shows anything."""
    NO_RIGHT_IN_PHONE = "no_right_in_phone"
    """A phone holds no money, and none of its rights covers the ride."""
    CODE_USED = "code_used"
    """A code that was shown here before."""
    CODE_TOO_OLD = "code_too_old"
    CODE_AHEAD = "code_ahead"
    """Of a phone whose clock is ahead of the terminal's."""
    CODE_OF_OTHERS = "code_of_others"
    """No code of a resident card, and none of those below."""
    CODE_OF_BANK = "code_of_bank"
    """It asks for a payment from a bank account."""
    CODE_OF_RAIL = "code_of_rail"
    """A railway's ticket."""
    CODE_OF_HEALTH = "code_of_health"
    """A health certificate."""
    CODE_IS_LINK = "code_is_link"
    """The address of a web page."""
    CODE_PRINTED = "code_printed"
    """On paper, where the phone has to show it."""
    CODE_CHECK = "code_check"
    """On paper, as the document allows: staff see first whose it is (M-35)."""
    CODE_NOT_ACCEPTED = "code_not_accepted"
    """What a scanner read, where nothing takes codes."""
    SHIFT_CLOSED = "shift_closed"
    CLOCK_UNCONFIRMED = "clock_unconfirmed"
    """A service card has to confirm the clock first (O-05)."""
    CLOCK_CONFIRMED = "clock_confirmed"
    """A service card has confirmed the time of a clock in doubt (O-05)."""
    OUT_OF_ORDER = "out_of_order"
    FARE_UNKNOWN = "fare_unknown"
    TOO_MANY_PERSONS = "too_many_persons"
    """More than a card can check in, or than the money held can be counted for (T-07)."""
    STAFF_CARD = "staff_card"
    INSPECTION_PAID = "inspection_paid"
    INSPECTION_UNPAID = "inspection_unpaid"
    MEAL_OK = "meal_ok"
    MEAL_ALREADY = "meal_already"
    MEAL_NOT_ORDERED = "meal_not_ordered"
    MEAL_ASK = "meal_ask"
    CARD_READ = "card_read"
    """It is given on order only, and no order stands (M-32)."""
    MEAL_NOT_ARRANGED = "meal_not_arranged"
    """The pupil neither is entitled to this meal nor can buy it."""
    NO_MEAL_NOW = "no_meal_now"
    """Nothing is served at this hour (M-15)."""
    NO_MEAL_TODAY = "no_meal_today"
    """No school day (M-17)."""
    MEAL_FORBIDDEN = "meal_forbidden"
    MEAL_LIMIT = "meal_limit"
    SERVING_CLOSED = "serving_closed"
    """The day is closed at this counter (M-34)."""
    SELLING_STOPPED = "selling_stopped"
    """Records cannot be kept: only entitled meals go on (O-06)."""
    PUPIL_UNKNOWN = "pupil_unknown"
    NOT_ON_SITE = "not_on_site"
    ONLINE_ONLY = "online_only"
    DISCOUNT_OK = "discount_ok"
    PERMIT_OK = "permit_ok"
    PERMIT_NONE = "permit_none"


LEFT_TO_OTHERS: Final = frozenset(
    (Message.NO_FUNDS, Message.EXPIRED, Message.NOT_YET_VALID, Message.OTHER_REGION)
)
"""Refusals after which another application of the same card may still pay (K-02): this one cannot, and nothing speaks
against its holder."""
NO_VALUES: Final[Mapping[str, int | str]] = MappingProxyType({})


DENY_CARD: Final = "deny.card"
DENY_PERSON: Final = "deny.person"
DENY_REFERENCE: Final = "deny.reference"
DENY_BANK: Final = "deny.bank"
DENY_MEDIUM: Final = "deny.medium"
GRANTS: Final = "grants"
"""Lists a decision may rely on (O-02), of the deny list by what it was asked about."""
_NO_LISTS: Final[Mapping[str, str]] = MappingProxyType({})


class Outcome(Struct, frozen=True, gc=False):
    """The result for the rider: `admission` says whether to open, `values` fill the message ({n}, {date}, {time},
    {meal}).

    `message` is a `Message`, or the code of one that a medium brought (`terminal.messages.register`).

    Dates and times in `values` are already local and in ISO form; the message table formats them per
    language.
    """

    message: str
    admission: Admission
    charge_minor: int = 0
    values: Mapping[str, int | str] = NO_VALUES

    @property
    def accepted(self) -> bool:
        """Exactly *let in*: a new ride or meal, or a repeated tap of the same rider."""
        return self.admission is Admission.LET_IN


class WritePlan(Struct, frozen=True, gc=False):
    """What the card must become: one appended event and, for a purse tap, one debit; atomic by one commit.

    `payer` is what pays for this tap where the event holds another: what pays for the ride of those who are checked
    in (T-07), which a meal in between leaves as it is.
    """

    event: Event
    debit_minor: int = 0
    payer: PaidBy | None = None

    @property
    def paid_by(self) -> PaidBy:
        """What pays for this tap, as its row states it."""
        return self.event.paid_by if self.payer is None else self.payer


BOARDINGS: Final = (EventKind.RIDE, EventKind.CHECK_IN)


class Decision(Struct, frozen=True, gc=False):
    """All that follows from (snapshot, policy, trip, now). No write plan: the card stays as it is.

    `flags` mark the record for those who read it later (`terminal.decision.flags`).
    `lists` names the lists of the terminal that spoke of this card, with their versions: deciding again needs them.
    """

    outcome: Outcome
    write_plan: WritePlan | None
    facts: tuple[Reason, ...]
    flags: tuple[str, ...] = ()
    meal: Serving | None = None
    """The portion that was given, when the decision is about a meal."""
    lists: Mapping[str, str] = _NO_LISTS

    @property
    def boards(self) -> bool:
        """Whether riders get on with this tap, or would if it were not refused; an exit or a repeated tap is none."""
        if self.write_plan is None:
            return self.outcome.admission is Admission.REFUSED
        return self.write_plan.event.kind in BOARDINGS
