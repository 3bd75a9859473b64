"""What two people approved for a card and an issuing point carries out: a lost card's successor, a ride paid back.

An order is a confirmed request. What became of it are rows of operations: `order_begun` with the card it is for, on
disk before that card is touched, and `order_done` with the balance that the card then stated. So the money of an order
stands in one place, on the card or still in the order, whatever ends in between: a begun order is for that card alone,
and the card itself says by its `last_order` whether it was carried out.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from enum import StrEnum
from typing import Final, NamedTuple

from cardproto.resident.records.event import ORDER_NUMBERS
from terminal.collector.approvals import WAITS_MS, Act, Decided
from terminal.collector.card_rides import card_statement
from terminal.collector.store import Operation, OperationCode, note
from terminal.collector.views import OperatorViews
from terminal.journal.taps import TapId

ISSUING_ACTS: Final = (Act.REPLACE_CARD, Act.REPAY_RIDE)


class IssuingCode(StrEnum):
    """Why nothing is asked for or begun."""

    NOT_FOUND = "not_found"
    ASKED_ALREADY = "asked_already"
    TOO_MUCH = "too_much"
    CARRIED_OUT = "carried_out"
    OTHER_CARD = "other_card"
    OTHER_ORDER = "other_order"


class IssuingState(StrEnum):
    """How far an order is."""

    OPEN = "open"
    BEGUN = "begun"
    DONE = "done"


class IssuingSubject(NamedTuple):
    """What is asked for: the card by its reference, the sum, and the row it follows from: the newest ride of a lost
    card, the ride that is paid back."""

    card: bytes
    minor: int
    currency: str
    row: TapId

    def __str__(self) -> str:
        return f"{self.card.hex()}/{self.minor}/{self.currency}/{self.row[0]}:{self.row[1]}"

    @classmethod
    def parse(cls, written: str) -> IssuingSubject:
        """What `str` wrote."""
        card, minor, currency, row = written.split("/")
        terminal, _, sequence = row.partition(":")
        return cls(bytes.fromhex(card), int(minor), currency, (int(terminal), int(sequence)))


class IssuingOrder(NamedTuple):
    """One order. `onto`: the card it was begun with, empty before; `balance_minor`: what that card stated when done."""

    number: int
    what: Act
    subject: IssuingSubject
    comment: str
    onto: bytes = b""
    done_at_ms: int = 0
    balance_minor: int = 0

    @property
    def state(self) -> IssuingState:
        if self.done_at_ms:
            return IssuingState.DONE
        return IssuingState.BEGUN if self.onto else IssuingState.OPEN

    @property
    def on_card(self) -> int:
        """Its number as a card keeps it."""
        return self.number % ORDER_NUMBERS


def issuing_orders(connection: sqlite3.Connection) -> dict[int, IssuingOrder]:
    """Every order by its number, oldest first."""
    query = "SELECT id, what, subject, comment FROM request WHERE outcome = ? AND what IN (?, ?) ORDER BY id"
    found = {
        number: IssuingOrder(number, Act(what), IssuingSubject.parse(subject), comment)
        for number, what, subject, comment in connection.execute(query, (Decided.CONFIRMED, *ISSUING_ACTS))
    }
    query = "SELECT what, about, at_ms FROM operation WHERE what IN (?, ?) ORDER BY id"
    for what, about, at_ms in connection.execute(
        query, (OperationCode.ORDER_BEGUN, OperationCode.ORDER_DONE)
    ):
        number, _, said = about.partition("/")
        order = found[int(number)]
        if what == OperationCode.ORDER_BEGUN:
            found[order.number] = order._replace(onto=bytes.fromhex(said))
        else:
            found[order.number] = order._replace(done_at_ms=at_ms, balance_minor=int(said))
    return found


def hindrance(
    connection: sqlite3.Connection, what: Act, subject: IssuingSubject, most_minor: int, now_ms: int
) -> IssuingCode | None:
    """Why this cannot be asked for: a card is replaced once; of a ride no more than `most_minor` is paid back."""
    query = (
        "SELECT subject FROM request WHERE what = ? AND (outcome = ? OR (outcome = ? AND at_ms > ?))"
        " AND subject <> ?"
    )
    values = (what, Decided.CONFIRMED, Decided.WAITING, now_ms - WAITS_MS, str(subject))
    others = [IssuingSubject.parse(row[0]) for row in connection.execute(query, values)]
    confirmed = "SELECT count(*) FROM request WHERE what = ? AND outcome = ? AND subject = ?"
    (same,) = connection.execute(confirmed, (what, Decided.CONFIRMED, str(subject))).fetchone()
    if what is Act.REPLACE_CARD:
        asked = same or any(one.card == subject.card for one in others)
        return IssuingCode.ASKED_ALREADY if asked else None
    paid_back = sum(one.minor for one in others if one.row == subject.row) + same * subject.minor
    return IssuingCode.TOO_MUCH if paid_back + subject.minor > most_minor else None


def begin(
    connection: sqlite3.Connection, number: int, onto: bytes, by: str, at_ms: int
) -> IssuingOrder | IssuingCode:
    """The order, from now on for the card `onto` alone; why it is not for it."""
    orders = issuing_orders(connection)
    order = orders.get(number)
    if order is None:
        return IssuingCode.NOT_FOUND
    if order.state is IssuingState.DONE:
        return IssuingCode.CARRIED_OUT
    if order.what is Act.REPAY_RIDE and onto != card_now(orders.values(), order.subject.card):
        return IssuingCode.OTHER_CARD
    if order.onto not in (b"", onto) or (order.what is Act.REPLACE_CARD and onto == order.subject.card):
        return IssuingCode.OTHER_CARD
    if any(one.onto == onto and one.state is IssuingState.BEGUN for one in orders.values() if one != order):
        return IssuingCode.OTHER_ORDER
    if not order.onto:
        note(connection, Operation(at_ms, 0, OperationCode.ORDER_BEGUN, f"{number}/{onto.hex()}", by))
    return order._replace(onto=onto)


def finish(connection: sqlite3.Connection, number: int, balance_minor: int, by: str, at_ms: int) -> None:
    """The card has it; said once."""
    if issuing_orders(connection)[number].state is not IssuingState.DONE:
        note(connection, Operation(at_ms, 0, OperationCode.ORDER_DONE, f"{number}/{balance_minor}", by))


def card_now(orders: Collection[IssuingOrder], card: bytes) -> bytes:
    """The card that has taken the place of `card`, or itself."""
    replaced = {
        one.subject.card: one.onto for one in orders if one.what is Act.REPLACE_CARD and one.done_at_ms
    }
    while card in replaced:
        card = replaced[card]
    return card


class KnownBalance(NamedTuple):
    """The balance of a card as far as records and orders tell, and the row it is from."""

    minor: int
    currency: str
    row: TapId


def known_balance(views: OperatorViews, orders: Collection[IssuingOrder], card: bytes) -> KnownBalance | None:
    """After the newest ride that the collector holds, or after an order carried out since; None where there is
    neither. Raises `CollectorError`."""
    statement = card_statement(views, card)
    cards = views.books.references(card)
    done = [one for one in orders if one.onto in cards and one.done_at_ms > statement.last_at_ms]
    if done:
        last = max(done, key=lambda one: one.done_at_ms)
        return KnownBalance(last.balance_minor, last.subject.currency, (0, last.number))
    if statement.balance_minor is None:
        return None
    return KnownBalance(statement.balance_minor, statement.currency, statement.last_row)
