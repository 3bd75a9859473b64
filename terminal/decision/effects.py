"""What happened to a tap before any profile's own rules: effects of terminal, card, credential and inspection."""

from __future__ import annotations

from terminal.trail import Effect


class TerminalEffect(Effect):
    """What holds for this terminal, whatever is presented."""

    OUT_OF_SERVICE = "t-64:out_of_service"
    NO_SHIFT = "t-60:no_shift"
    ON_BREAK = "t-68:on_break"
    CLOCK_JUMPED = "o-05:clock_jumped"
    CLOCK_UNCONFIRMED = "o-05:clock_unconfirmed"
    PLACE_BY_HAND = "t-61:place_by_hand"
    PLACE_STALE = "t-61:place_stale"
    PLACE_ESTIMATED = "t-61:place_estimated"
    PLACE_TOO_OLD = "t-61:place_too_old"
    PLACE_CONTRADICTED = "t-61:place_contradicted"
    DATA_STALE = "o-03:data_stale"
    DATA_EXPIRED = "o-03:data_expired"
    DOCUMENT_STALE = "o-03:document_stale"
    BUNDLES_OLD = "o-14:bundles_old"
    BUNDLES_STOP = "o-14:bundles_stop"
    DOCUMENT_GOES_ON = "o-01:document_goes_on"
    DOCUMENT_ENDED = "o-01:document_ended"
    NO_PROFILE_RULES = "k-02:no_profile_rules"


class CardEffect(Effect):
    """What is wrong with a card as such."""

    BLOCKED_ON_CARD = "o-02:blocked_on_card"
    OTHER_MEDIUM_ACTIVE = "k-01:other_medium_active"
    CARD_DENIED = "o-02:card_denied"
    PERSON_DENIED = "o-02:person_denied"
    EXPIRED = "k-02:card_expired"
    NOT_YET_VALID = "k-02:card_not_yet_valid"
    OTHER_REGION = "k-03:other_region"
    EVENT_AHEAD = "o-05:event_ahead"
    PERIOD_AHEAD = "o-05:period_ahead"
    PERIOD_LOWERED = "o-05:period_lowered"


class CredentialEffect(Effect):
    """Why the rights on a card are not believed: the issuer's signed grant does not cover them."""

    MISSING = "credential:missing"
    OTHER_DIGEST = "credential:other_digest"
    OTHER_CARD = "credential:other_card"
    OTHER_RESIDENT = "credential:other_resident"
    NOT_GRANTED = "credential:not_granted"
    MALFORMED = "credential:malformed"
    UNKNOWN_ISSUER = "credential:unknown_issuer"
    BAD_SIGNATURE = "credential:bad_signature"
    WRONG_ISSUER = "credential:wrong_issuer"
    NOT_YET_VALID = "credential:not_yet_valid"
    EXPIRED = "credential:expired"


class PhoneEffect(Effect):
    """What a phone showed, and what it cannot do."""

    ANSWERED = "phone:answered"
    TOO_SLOW = "phone:too_slow"
    PAYS_NOTHING = "phone:pays_nothing"
    CODE_SHOWN = "phone:code_shown"
    CODE_USED = "phone:code_used"
    PRINTED = "phone:printed"
    PRINTED_CHECKED = "phone:printed_checked"
    NOT_ON_PAPER = "phone:not_on_paper"
    RODE_ELSEWHERE = "phone:rode_elsewhere"


class InspectionEffect(Effect):
    """What an inspector's tap found."""

    PAID_HERE = "t-70:paid_here"
    PAID_BY_VEHICLE = "t-70:paid_by_vehicle"
    NOT_PAID_HERE = "t-70:not_paid_here"
    BANK_CARD_SEEN = "t-70:bank_card_seen"
    BANK_CARD_NOT_SEEN = "t-70:bank_card_not_seen"
    BANK_CARD_CANNOT_TELL = "t-70:bank_card_cannot_tell"
    MISUSE_REPORTED = "t-71:misuse_reported"
    NO_CONCESSION = "t-71:no_concession"
