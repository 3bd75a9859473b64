"""What the office answers: codes, which programs and tests go by, and their words for people."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from terminal.errors import OfficeRefused
from terminal.texts import N_


class OfficeCode(StrEnum):
    """What came of what was asked."""

    DONE = "done"
    WAITS = "waits"
    NOT_FOR_ROLE = "not_for_role"
    NOT_FOUND = "not_found"
    SAME_PERSON = "same_person"
    DECIDED = "decided"
    EXPIRED = "expired"
    CHANGED = "changed"
    ASKER_GONE = "asker_gone"
    NOTHING_STAGED = "nothing_staged"
    TOO_MANY = "too_many"
    NOT_OVER = "not_over"
    CLOSED_ALREADY = "closed_already"
    NOT_BOOKED = "not_booked"
    ASKED_ALREADY = "asked_already"
    DENIED_ALREADY = "denied_already"
    TOO_MUCH = "too_much"
    CARRIED_OUT = "carried_out"
    OTHER_CARD = "other_card"
    OTHER_ORDER = "other_order"
    BROKEN_CARD = "broken_card"
    NOT_BEGUN = "not_begun"
    BEGUN_ALREADY = "begun_already"
    NOT_REPLACED = "not_replaced"
    NO_REGISTER = "no_register"
    ORDERS_OPEN = "orders_open"
    DIFFERENCE_OPEN = "difference_open"
    TAPS_OPEN = "taps_open"
    DAYS_OPEN = "days_open"
    IN_DEBT = "in_debt"
    ERASED = "erased"


ANSWERS: Final = {
    OfficeCode.DONE: N_("Done."),
    OfficeCode.WAITS: N_("Request {number} waits for a second person to confirm it."),
    OfficeCode.NOT_FOR_ROLE: N_("This is not for your role."),
    OfficeCode.NOT_FOUND: N_("There is no such thing."),
    OfficeCode.SAME_PERSON: N_("Another person has to confirm what you asked for."),
    OfficeCode.DECIDED: N_("This request is decided already."),
    OfficeCode.EXPIRED: N_("This request has waited too long. Ask again."),
    OfficeCode.CHANGED: N_("It has changed since it was asked for. Look again, and ask again."),
    OfficeCode.ASKER_GONE: N_("The person who asked is no user for this any more. Ask again."),
    OfficeCode.NOTHING_STAGED: N_("Nothing is staged that is newer than what is served."),
    OfficeCode.TOO_MANY: N_("Too many requests wait. Decide some of them first."),
    OfficeCode.NOT_OVER: N_("This month is not over yet."),
    OfficeCode.CLOSED_ALREADY: N_("This month, or a later one, is closed already."),
    OfficeCode.NOT_BOOKED: N_("There are records that are not booked yet. Try again in a moment."),
    OfficeCode.ASKED_ALREADY: N_("A new card was asked for already in the place of this one."),
    OfficeCode.DENIED_ALREADY: N_("This card is denied already."),
    OfficeCode.TOO_MUCH: N_("No more than the ride has cost is paid back, in all."),
    OfficeCode.CARRIED_OUT: N_("This order is carried out already."),
    OfficeCode.OTHER_CARD: N_("This order is for another card."),
    OfficeCode.OTHER_ORDER: N_("Another order is begun with this card. Finish that one first."),
    OfficeCode.BROKEN_CARD: N_("This card was given up as broken. Take another one."),
    OfficeCode.NOT_BEGUN: N_("This order is not begun: take any card for it."),
    OfficeCode.BEGUN_ALREADY: N_("This order is begun: its money may be on a card. Move it to another card."),
    OfficeCode.NOT_REPLACED: N_("Have its card replaced first: the order goes over to the new one."),
    OfficeCode.NO_REGISTER: N_(
        "This collector knows no deny register. Start it with --deny, or use terminal deny add."
    ),
    OfficeCode.ORDERS_OPEN: N_(
        "An order for this card, or a request for one, is not done. Finish it, or give it up."
    ),
    OfficeCode.DIFFERENCE_OPEN: N_(
        "What later records of the lost card took is not decided. Settle or forgive it."
    ),
    OfficeCode.TAPS_OPEN: N_(
        "A tap of this card has an unknown end. Wait for the card, or for the terminal's rows."
    ),
    OfficeCode.DAYS_OPEN: N_(
        "A ride of this card lies in a month that is not closed. Close the month first."
    ),
    OfficeCode.IN_DEBT: N_("This card is denied for a debt. It has to be paid or written off first."),
    OfficeCode.ERASED: N_("What named the holder of this card was erased at the holder's request."),
}
"""For people; translated where they are shown."""


class OfficeAnswer(NamedTuple):
    """`number` is that of the request that waits or was decided; `code` a terminal's one-time code."""

    says: OfficeCode
    number: int = 0
    code: str = ""


def refusal(code: OfficeCode) -> OfficeRefused:
    """What a command ends with where nothing was done."""
    return OfficeRefused(code, ANSWERS[code])
