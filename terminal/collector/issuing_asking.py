"""Asking for what an issuing point carries out: what a lost card had and what a ride took, by the records."""

from __future__ import annotations

from typing import Final

from terminal.collector.approvals import Act
from terminal.collector.card_rides import CARD_REF
from terminal.collector.issuing_orders import (
    IssuingOrder,
    IssuingState,
    IssuingSubject,
    card_now,
    known_balance,
)
from terminal.collector.office import Office, OfficeAnswer, OfficeCode
from terminal.collector.ride import FoundRide, NoSuchCode, find_ride, row_named
from terminal.collector.users import Who
from terminal.collector.views import OperatorViews
from terminal.journal.records import Intent
from terminal.journal.taps import End
from terminal.money import money
from terminal.texts import N_, translator

ORDERS: Final = {
    Act.REPLACE_CARD: N_("Card {card} lost, {sum} onto a new one"),
    Act.REPAY_RIDE: N_("{sum} back onto card {card}"),
}
ISSUING_STATES: Final = {
    IssuingState.OPEN: N_("waits for the card"),
    IssuingState.BEGUN: N_("begun: finish it with the same card"),
    IssuingState.DONE: N_("done"),
}
LATER: Final = N_("later records of the lost card took {sum} more")
"""For people; translated where they are shown."""


def card_named(views: OperatorViews, named: str) -> bytes | None:
    """The card of this reference, or of the ride with this support code or row. Raises `CollectorError`."""
    if CARD_REF.fullmatch(named.lower()):
        return bytes.fromhex(named)
    found = _ride(views, named)
    record = None if found is None else found.tap.record
    return record.card_ref if isinstance(record, Intent) else None


def ask_replacement(views: OperatorViews, office: Office, who: Who, named: str, comment: str) -> OfficeAnswer:
    """Ask for a new card with the balance of the lost one as of the last record held. Raises `CollectorError`."""
    card = card_named(views, named)
    if card is None:
        return OfficeAnswer(OfficeCode.NOT_FOUND)
    if views.books.behind():
        return OfficeAnswer(OfficeCode.NOT_BOOKED)
    orders = office.orders()
    if card_now(orders, card) != card:
        return OfficeAnswer(OfficeCode.ASKED_ALREADY)
    found = known_balance(views, orders, card)
    if found is None:
        return OfficeAnswer(OfficeCode.NOT_FOUND)
    return office.order(who, Act.REPLACE_CARD, IssuingSubject(card, *found), comment)


def ask_repayment(
    views: OperatorViews, office: Office, who: Who, code: str, minor: int | None, comment: str
) -> OfficeAnswer:
    """Ask that `minor` of what a ride took, or all of it, is paid back onto its card. Raises `CollectorError`."""
    found = _ride(views, code)
    record = None if found is None else found.tap.record
    if found is None or not isinstance(record, Intent) or found.tap.end is not End.COMMITTED:
        return OfficeAnswer(OfficeCode.NOT_FOUND)
    taken_minor = found.tap.charge_minor
    if not taken_minor:
        return OfficeAnswer(OfficeCode.TOO_MUCH)
    row = (found.tap.terminal, found.tap.sequence)
    subject = IssuingSubject(record.card_ref, minor or taken_minor, record.currency, row)
    return office.order(who, Act.REPAY_RIDE, subject, comment, taken_minor)


def later_minor(views: OperatorViews, orders: list[IssuingOrder], one: IssuingOrder) -> int:
    """What records of a lost card that came later took from the balance that went onto the new one. Raises
    `CollectorError`."""
    now = known_balance(views, orders, one.subject.card) if one.what is Act.REPLACE_CARD else None
    return 0 if now is None else one.subject.minor - now.minor


def order_line(one: IssuingOrder, later: int, language: str) -> str:
    """One order for people; `later` is that of `later_minor`."""
    _, currency = translator(language).gettext, one.subject.currency
    what = _(ORDERS[one.what]).format(
        card=one.subject.card.hex(), sum=money(one.subject.minor, currency, language)
    )
    said = f"{one.number}  {what}, {_(ISSUING_STATES[one.state])}"
    return f"{said}; {_(LATER).format(sum=money(later, currency, language))}" if later else said


def _ride(views: OperatorViews, code: str) -> FoundRide | None:
    try:
        return find_ride(views.store, row_named(code))
    except NoSuchCode:
        return None
