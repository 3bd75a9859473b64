"""What two people approved for a card and an issuing point carries out: a lost card's successor, a ride paid back,
what a lost card took after its balance had moved.

An order is a confirmed request. What became of it are rows of operations: `order_begun` with the card it is for, on
disk before that card is touched, and `order_done` with the balance that the card then stated. So the money of an order
stands in one place, on the card or still in the order, whatever ends in between: a begun order is for that card alone,
and the card itself says by its `last_order` whether it was carried out. A card that broke in the middle is left by
`order_moved`: it is denied before another one is begun, and what it may have taken counts as taken later.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from enum import StrEnum
from hashlib import sha256
from typing import Final, NamedTuple

from cardproto.resident.records.event import ORDER_NUMBERS
from terminal.collector.approvals import WAITS_MS, Act, Decided
from terminal.collector.store import Operation, OperationCode, note
from terminal.journal.taps import TapId

ISSUING_ACTS: Final = (Act.REPLACE_CARD, Act.REPAY_RIDE, Act.SETTLE_LATER, Act.FORGIVE_LATER)
LATER_ACTS: Final = (Act.SETTLE_LATER, Act.FORGIVE_LATER)
"""What is decided of a difference; its subject names the order it is about as row (0, number)."""
NO_ROW: Final = (0, 0)
"""Of an order whose card's holder was erased."""
_OPERATIONS: Final = (
    *(OperationCode.ORDER_BEGUN, OperationCode.ORDER_DONE, OperationCode.ORDER_MOVED),
    OperationCode.ORDER_DROPPED,
)


class IssuingCode(StrEnum):
    """Why nothing is asked for or begun."""

    NOT_FOUND = "not_found"
    ASKED_ALREADY = "asked_already"
    TOO_MUCH = "too_much"
    CARRIED_OUT = "carried_out"
    OTHER_CARD = "other_card"
    OTHER_ORDER = "other_order"
    BROKEN_CARD = "broken_card"
    NOT_BEGUN = "not_begun"
    BEGUN_ALREADY = "begun_already"
    NOT_REPLACED = "not_replaced"
    ERASED = "erased"


class IssuingState(StrEnum):
    """How far an order is."""

    OPEN = "open"
    BEGUN = "begun"
    DONE = "done"
    DROPPED = "dropped"


class IssuingSubject(NamedTuple):
    """What is asked for: the card by its reference, the sum, and the row it follows from: the newest ride of a lost
    card, the ride that is paid back, (0, number) of another order. A difference may be owed to the passenger: then its
    sum is below zero."""

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
    """One order. `onto`: the card it was begun with, empty before; `balance_minor`: what that card stated when done.
    `broken`: cards it was begun with before, given up."""

    number: int
    what: Act
    subject: IssuingSubject
    comment: str
    onto: bytes = b""
    done_at_ms: int = 0
    balance_minor: int = 0
    broken: tuple[bytes, ...] = ()
    dropped: bool = False

    @property
    def state(self) -> IssuingState:
        if self.dropped:
            return IssuingState.DROPPED
        if self.done_at_ms:
            return IssuingState.DONE
        return IssuingState.BEGUN if self.onto else IssuingState.OPEN

    @property
    def on_card(self) -> int:
        """Its number as a card keeps it."""
        return self.number % ORDER_NUMBERS


def issuing_orders(connection: sqlite3.Connection) -> dict[int, IssuingOrder]:
    """Every order by its number, oldest first."""
    places = ", ".join("?" * len(ISSUING_ACTS))
    query = (
        "SELECT id, what, subject, comment, decided_at_ms FROM request"  # noqa: S608 places alone
        f" WHERE outcome = ? AND what IN ({places}) ORDER BY id"
    )
    found = {
        number: IssuingOrder(
            number,
            Act(what),
            IssuingSubject.parse(subject),
            comment,
            done_at_ms=at_ms if what == Act.FORGIVE_LATER else 0,
        )
        for number, what, subject, comment, at_ms in connection.execute(
            query, (Decided.CONFIRMED, *ISSUING_ACTS)
        )
    }
    query = "SELECT what, about, at_ms FROM operation WHERE what IN (?, ?, ?, ?) ORDER BY id"
    for what, about, at_ms in connection.execute(query, _OPERATIONS):
        number, _, said = about.partition("/")
        found[int(number)] = _after(found[int(number)], OperationCode(what), said, at_ms)
    return found


def _after(order: IssuingOrder, what: OperationCode, said: str, at_ms: int) -> IssuingOrder:
    if what is OperationCode.ORDER_BEGUN:
        return order._replace(onto=bytes.fromhex(said))
    if what is OperationCode.ORDER_MOVED:
        return order._replace(onto=b"", broken=(*order.broken, bytes.fromhex(said)))
    if what is OperationCode.ORDER_DROPPED:
        return order._replace(dropped=True)
    return order._replace(done_at_ms=at_ms, balance_minor=int(said))


def hindrance(
    connection: sqlite3.Connection, what: Act, subject: IssuingSubject, most_minor: int, now_ms: int
) -> IssuingCode | None:
    """Why this cannot be asked for: a card is replaced once; of a ride, or of a difference, no more than `most_minor`
    is decided."""
    if erased_at(connection, subject.card):
        return IssuingCode.ERASED
    dropped = {one.number for one in issuing_orders(connection).values() if one.dropped}
    kinds = LATER_ACTS if what in LATER_ACTS else (what,)
    query = "SELECT id, what, subject, outcome, at_ms FROM request WHERE what IN (?, ?)"
    held = [
        (IssuingSubject.parse(written), kind == what, outcome == Decided.CONFIRMED)
        for number, kind, written, outcome, at_ms in connection.execute(query, (kinds[0], kinds[-1]))
        if number not in dropped
        and (outcome == Decided.CONFIRMED or (outcome == Decided.WAITING and at_ms > now_ms - WAITS_MS))
    ]
    # The same that waits already is answered with its number, and counts once.
    others = [one for one, same, confirmed in held if confirmed or not same or one != subject]
    if what is Act.REPLACE_CARD:
        return IssuingCode.ASKED_ALREADY if any(one.card == subject.card for one in others) else None
    decided = sum(one.minor for one in others if one.row == subject.row) + subject.minor
    within = decided <= most_minor if subject.minor > 0 else decided >= most_minor
    return None if within else IssuingCode.TOO_MUCH


def decided_later(orders: Collection[IssuingOrder], number: int) -> int:
    """How much of what came later to order `number` two people have decided on."""
    about = (0, number)
    return sum(
        one.subject.minor
        for one in orders
        if one.what in LATER_ACTS and one.subject.row == about and not one.dropped
    )


def begin(
    connection: sqlite3.Connection, number: int, onto: bytes, by: str, at_ms: int
) -> IssuingOrder | IssuingCode:
    """The order, from now on for the card `onto` alone; why it is not for it."""
    orders = issuing_orders(connection)
    order = orders.get(number)
    if order is None or order.dropped:
        return IssuingCode.NOT_FOUND
    if order.state is IssuingState.DONE:
        return IssuingCode.CARRIED_OUT
    refused = _unfit(orders, order, onto)
    if refused is not None:
        return refused
    if not order.onto:
        note(connection, Operation(at_ms, 0, OperationCode.ORDER_BEGUN, f"{number}/{onto.hex()}", by))
    return order._replace(onto=onto)


def _unfit(orders: dict[int, IssuingOrder], order: IssuingOrder, onto: bytes) -> IssuingCode | None:
    """Why the card `onto` is not the one for `order`."""
    if any(onto in one.broken for one in orders.values()):
        return IssuingCode.BROKEN_CARD
    if order.what is not Act.REPLACE_CARD and onto != card_now(orders.values(), order.subject.card):
        return IssuingCode.OTHER_CARD
    if order.onto not in (b"", onto) or (order.what is Act.REPLACE_CARD and onto == order.subject.card):
        return IssuingCode.OTHER_CARD
    if any(one.onto == onto and one.state is IssuingState.BEGUN for one in orders.values() if one != order):
        return IssuingCode.OTHER_ORDER
    return None


def finish(connection: sqlite3.Connection, number: int, balance_minor: int, by: str, at_ms: int) -> None:
    """The card has it; said once."""
    if issuing_orders(connection)[number].state is not IssuingState.DONE:
        note(connection, Operation(at_ms, 0, OperationCode.ORDER_DONE, f"{number}/{balance_minor}", by))


def movable(connection: sqlite3.Connection, number: int) -> bytes | IssuingCode:
    """The card that order `number` may leave for another one, or why it may not. What is paid onto a card that its
    holder has leaves it for its successor alone."""
    orders = issuing_orders(connection)
    order = orders.get(number)
    if order is None:
        return IssuingCode.NOT_FOUND
    if order.state is not IssuingState.BEGUN:
        return IssuingCode.CARRIED_OUT if order.state is IssuingState.DONE else IssuingCode.NOT_BEGUN
    if order.what is not Act.REPLACE_CARD and card_now(orders.values(), order.onto) == order.onto:
        return IssuingCode.NOT_REPLACED
    return order.onto


def droppable(connection: sqlite3.Connection, number: int) -> IssuingCode | None:
    """Why order `number` cannot be given up: money may be on a card as soon as it is begun."""
    order = issuing_orders(connection).get(number)
    if order is None or order.dropped:
        return IssuingCode.NOT_FOUND
    if order.state is IssuingState.DONE:
        return IssuingCode.CARRIED_OUT
    return None if order.state is IssuingState.OPEN and not order.broken else IssuingCode.BEGUN_ALREADY


def erased_mark(card: bytes) -> str:
    """What is kept of the reference of a card whose holder was erased, to know it when someone asks for it."""
    return sha256(b"erased card\n" + card).hexdigest()[:32]


def erased_at(connection: sqlite3.Connection, card: bytes) -> tuple[int, int] | None:
    """Request and moment of the erasure of a card's holder (`terminal.collector.erasing`)."""
    query = "SELECT about, at_ms FROM operation WHERE what = ?"
    for about, at_ms in connection.execute(query, (OperationCode.PERSON_ERASED,)):
        number, _, mark = about.partition("/")
        if mark == erased_mark(card):
            return int(number), int(at_ms)
    return None


def card_now(orders: Collection[IssuingOrder], card: bytes) -> bytes:
    """The card that has taken the place of `card`, or itself."""
    replaced = {
        one.subject.card: one.onto for one in orders if one.what is Act.REPLACE_CARD and one.done_at_ms
    }
    while card in replaced:
        card = replaced[card]
    return card
