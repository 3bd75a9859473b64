"""Asking for what an issuing point carries out: what a lost card had and what a ride took, by the records."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from terminal.collector.approvals import Act
from terminal.collector.card_rides import CARD_REF, card_statement
from terminal.collector.denying import CardDenials
from terminal.collector.issuing_orders import (
    NO_ROW,
    IssuingOrder,
    IssuingState,
    IssuingSubject,
    card_now,
    decided_later,
)
from terminal.collector.office import Office
from terminal.collector.office_says import OfficeAnswer, OfficeCode
from terminal.collector.ride import FoundRide, NoSuchCode, find_ride, row_named
from terminal.collector.users import Who
from terminal.collector.views import OperatorViews
from terminal.journal.records import Intent
from terminal.journal.taps import End, TapId
from terminal.money import money
from terminal.texts import N_, translator

ORDERS: Final = {
    Act.REPLACE_CARD: N_("Card {card} lost, {sum} onto a new one"),
    Act.REPAY_RIDE: N_("{sum} back onto card {card}"),
    Act.SETTLE_LATER: N_("{sum} of later records settled on card {card}"),
    Act.FORGIVE_LATER: N_("{sum} of later records forgiven, card {card}"),
}
ISSUING_STATES: Final = {
    IssuingState.OPEN: N_("waits for the card"),
    IssuingState.BEGUN: N_("begun: finish it with the same card"),
    IssuingState.DONE: N_("done"),
    IssuingState.DROPPED: N_("given up"),
}
LATER: Final = N_("later records of the lost card took {sum} more")
UNDECIDED: Final = N_("of it {sum} not decided yet")
BROKEN: Final = N_("broken and denied: card {card}")
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


def deny_named(
    views: OperatorViews, office: Office, who: Who, named: str, reason: str, denials: CardDenials
) -> OfficeAnswer:
    """Have a card refused at once. Raises `CollectorError`, `PublishError`, `KeyFileError`."""
    card = card_named(views, named)
    return (
        OfficeAnswer(OfficeCode.NOT_FOUND) if card is None else office.deny_card(who, card, reason, denials)
    )


def ask_later(
    views: OperatorViews, office: Office, who: Who, what: Act, number: int, minor: int | None, comment: str
) -> OfficeAnswer:
    """Ask that `minor` of what came later to order `number`, or all that is not decided of it, is settled on the new
    card or forgiven. Raises `CollectorError`."""
    orders = office.orders()
    order = next((one for one in orders if one.number == number), None)
    if order is None or order.what is not Act.REPLACE_CARD or order.state is not IssuingState.DONE:
        return OfficeAnswer(OfficeCode.NOT_FOUND)
    if views.books.behind():
        return OfficeAnswer(OfficeCode.NOT_BOOKED)
    later = later_minor(views, orders, order)
    asked = later - decided_later(orders, number) if minor is None else minor
    if not asked:
        return OfficeAnswer(OfficeCode.TOO_MUCH)
    subject = IssuingSubject(order.onto, asked, order.subject.currency, (0, number))
    return office.order(who, what, subject, comment, later)


def later_minor(views: OperatorViews, orders: Collection[IssuingOrder], one: IssuingOrder) -> int:
    """What records that came later took from the balance that went onto the new one: of the lost card, and of cards
    that broke while it was issued. Below zero, it is owed to the passenger. Raises `CollectorError`."""
    if one.what is not Act.REPLACE_CARD or one.dropped:
        return 0
    if one.subject.row == NO_ROW:
        return decided_later(orders, one.number)
    held = [known_balance(views, orders, card) for card in (one.subject.card, *one.broken)]
    return sum(one.subject.minor - now.minor for now in held if now is not None)


class OrderView(NamedTuple):
    """An order with what came later: `later_minor` in all, `undecided_minor` of it no two people have decided on."""

    order: IssuingOrder
    later_minor: int
    undecided_minor: int

    def says(self, language: str) -> str:
        """One order for people."""
        one = self.order
        _, currency = translator(language).gettext, one.subject.currency
        what = _(ORDERS[one.what]).format(
            card=one.subject.card.hex(), sum=money(one.subject.minor, currency, language)
        )
        parts = [f"{one.number}  {what}, {_(ISSUING_STATES[one.state])}"]
        parts += [_(BROKEN).format(card=card.hex()) for card in one.broken]
        if self.later_minor:
            parts.append(_(LATER).format(sum=money(self.later_minor, currency, language)))
        if self.undecided_minor:
            parts.append(_(UNDECIDED).format(sum=money(self.undecided_minor, currency, language)))
        return "; ".join(parts)


def order_view(views: OperatorViews, orders: Collection[IssuingOrder], one: IssuingOrder) -> OrderView:
    """Raises `CollectorError`."""
    later = later_minor(views, orders, one)
    return OrderView(one, later, later - decided_later(orders, one.number))


def orders_of_card(views: OperatorViews, orders: Collection[IssuingOrder], card: bytes) -> list[OrderView]:
    """The orders that moved money of a card. Raises `CollectorError`."""
    return [
        order_view(views, orders, one) for one in orders if card in (one.subject.card, one.onto, *one.broken)
    ]


class KnownBalance(NamedTuple):
    """The balance of a card as far as records and orders tell, and the row it is from."""

    minor: int
    currency: str
    row: TapId


def known_balance(views: OperatorViews, orders: Collection[IssuingOrder], card: bytes) -> KnownBalance | None:
    """After the newest ride that the collector holds, or after an order carried out since; None where there is
    neither. Raises `CollectorError`."""
    statement, cards = card_statement(views, card), views.books.references(card)
    done = [one for one in orders if one.onto in cards and one.done_at_ms > statement.last_at_ms]
    if done:
        last = max(done, key=lambda one: one.done_at_ms)
        return KnownBalance(last.balance_minor, last.subject.currency, (0, last.number))
    if statement.balance_minor is None:
        return None
    return KnownBalance(statement.balance_minor, statement.currency, statement.last_row)


def _ride(views: OperatorViews, code: str) -> FoundRide | None:
    try:
        return find_ride(views.store, row_named(code))
    except NoSuchCode:
        return None
