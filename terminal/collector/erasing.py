"""A person's request to be erased: what names the holder of a card goes, the rows and their chain of hashes stay.

Rows call a card by a keyed hash; the sums of every day, settlement and audit come from them, so they are not touched.
What leads from that hash to a card or a person is taken away, in this order, each step as often as it is done:

    deny register   entries that ended and are on no list
    bank ledger     the back office's hash of the card and its other tokens; what rows sealed
    card registry   UID and key; the session keys of past transactions stay, so what was proven stays proven
    collector.db    orders and requests name an invented card, without comment and row; comments on alarms about its
                    rows go; from then on the office answers that the holder was erased

The last is one transaction and is what makes it done. A request that ended in between is carried out again.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from terminal.collector import approvals, sealed_rows
from terminal.collector.approvals import Act, Decided
from terminal.collector.bank.demands import DemandState
from terminal.collector.bank.ledger import BANK_FOLDER, LEDGER_FILE, open_ledger
from terminal.collector.bank.statement import statement_of
from terminal.collector.books_reader import books_failures
from terminal.collector.denying import DEBT, CardDenials
from terminal.collector.issuing_asking import order_view
from terminal.collector.issuing_orders import (
    ISSUING_ACTS,
    LATER_ACTS,
    NO_ROW,
    IssuingOrder,
    IssuingState,
    IssuingSubject,
    erased_at,
    erased_mark,
    issuing_orders,
)
from terminal.collector.office import Office
from terminal.collector.office_says import OfficeAnswer, OfficeCode
from terminal.collector.registry import CardRegistry, erase
from terminal.collector.store import Operation, OperationCode, connect, note, read_only
from terminal.collector.users import OfficeRole, Who
from terminal.collector.views import OperatorViews
from terminal.journal.records import Committed, Intent, UnreadableRecord, parse_record
from terminal.journal.taps import TapId
from terminal.keys.file import FileKeys

REFERENCE_BYTES: Final = 8
NO_COUNTER: Final = -1
_ABOUT_ORDERS: Final = (OperationCode.ORDER_BEGUN, OperationCode.ORDER_MOVED)
_NAMING: Final = (*_ABOUT_ORDERS, OperationCode.PERSON_COPIED, OperationCode.CARD_DENIED)


class ErasureFiles(NamedTuple):
    """What lies outside the collector's database. `registry_keys` opens a sealed registry."""

    folder: Path
    registry: Path | None
    registry_keys: FileKeys | None
    denials: CardDenials | None


class HeldOfCards(NamedTuple):
    """What rows hold of cards: those that name them, the counters of their commits, and when they were."""

    rows: frozenset[TapId]
    counters: frozenset[int]
    times_ms: tuple[int, ...]


class ErasedPerson(NamedTuple):
    """What was done. `denied` entries stay on deny lists until they end; `rows` stay, under a hash that leads nowhere
    from here."""

    number: int
    cards: int
    rows: int
    denied: int
    registry: bool


def was_erased(office: Office, card: bytes) -> tuple[int, int] | None:
    """As `erased_at`. Raises `CollectorError`."""
    with office.store.changing() as connection:
        return erased_at(connection, card)


def ask_erasure(
    views: OperatorViews, office: Office, who: Who, card: bytes, comment: str, files: ErasureFiles
) -> OfficeAnswer:
    """Ask that what names the holder of `card` is erased. Raises `CollectorError`, `KeyFileError`, `PublishError`."""
    if OfficeRole.MONEY not in who.roles:
        return OfficeAnswer(OfficeCode.NOT_FOR_ROLE)
    if was_erased(office, card):
        return OfficeAnswer(OfficeCode.ERASED)
    cards = cards_of(views, card, office.orders(), _registry(files))
    refused = kept_by_law(views, office, cards, held_of(views, cards), files)
    if refused is not None:
        return OfficeAnswer(refused)
    return office.ask_erasure(who, ",".join(sorted(one.hex() for one in cards)), comment)


def cards_of(
    views: OperatorViews, card: bytes, orders: Collection[IssuingOrder], registry: CardRegistry | None
) -> frozenset[bytes]:
    """Every reference of the holder's cards that is known here: those the registry has for one card, and the cards
    that took the place of each other."""
    found, todo = set[bytes](), {card}
    while todo:
        one = todo.pop()
        found.add(one)
        near = set(views.books.references(one))
        near |= set() if registry is None else registry.references(one)
        for order in orders:
            linked = {order.subject.card, order.onto, *order.broken} - {b""}
            if one in linked:
                near |= linked
        todo |= near - found
    return frozenset(found)


def held_of(views: OperatorViews, cards: Collection[bytes]) -> HeldOfCards:
    """All records are read for it. Raises `CollectorError`."""
    rows, counters, times = set[TapId](), set[int](), list[int]()
    for one in views.store.records():
        try:
            record = parse_record(one.body)
        except UnreadableRecord:
            continue
        if getattr(record, "card_ref", None) in cards:
            rows.add((one.terminal, one.sequence))
            if isinstance(record, Intent):
                times.append(record.at_ms)
        elif isinstance(record, Committed) and (one.terminal, record.intent) in rows:
            counters.add(NO_COUNTER if record.tmc is None else record.tmc)
    return HeldOfCards(frozenset(rows), frozenset(counters - {NO_COUNTER}), tuple(times))


def kept_by_law(
    views: OperatorViews, office: Office, cards: Collection[bytes], held: HeldOfCards, files: ErasureFiles
) -> OfficeCode | None:
    """Why the holder cannot be erased now: money of the cards is still under way, owed, or not settled."""
    orders = office.orders()
    about = [one for one in orders if {one.subject.card, one.onto, *one.broken} & set(cards)]
    with office.store.changing() as connection:
        if _orders_open(connection, cards, office.now_ms()):
            return OfficeCode.ORDERS_OPEN
    if any(order_view(views, orders, one).undecided_minor for one in about):
        return OfficeCode.DIFFERENCE_OPEN
    return _days_open(views, office, cards, held) or _debt(files, cards)


def _days_open(
    views: OperatorViews, office: Office, cards: Collection[bytes], held: HeldOfCards
) -> OfficeCode | None:
    if views.books.behind():
        return OfficeCode.NOT_BOOKED
    if _unresolved(views, cards):
        return OfficeCode.TAPS_OPEN
    return None if _settled(views, office, held) else OfficeCode.DAYS_OPEN


def _debt(files: ErasureFiles, cards: Collection[bytes]) -> OfficeCode | None:
    denials = files.denials
    if denials is not None and any(DEBT in denials.reasons(card) for card in cards):
        return OfficeCode.IN_DEBT
    return _owed_to_bank(files.folder, cards)


def _orders_open(connection: sqlite3.Connection, cards: Collection[bytes], now_ms: int) -> bool:
    """Whether an order about the cards is not done, or a request for one waits."""
    named = {card.hex() for card in cards}
    orders = issuing_orders(connection)
    for order in orders.values():
        about = {order.subject.card, order.onto, *order.broken}
        if about & set(cards) and order.state in (IssuingState.OPEN, IssuingState.BEGUN):
            return True
    return any(
        one.what in ISSUING_ACTS and IssuingSubject.parse(one.subject).card.hex() in named
        for one in approvals.waiting(connection, now_ms)
    )


def _unresolved(views: OperatorViews, cards: Collection[bytes]) -> bool:
    places = ", ".join("?" * len(cards))
    query = f"SELECT 1 FROM watched WHERE end = 'unresolved' AND card IN ({places}) LIMIT 1"  # noqa: S608 places alone
    with books_failures(views.books.path), closing(read_only(views.books.path)) as books:
        return books.execute(query, tuple(cards)).fetchone() is not None


def _settled(views: OperatorViews, office: Office, held: HeldOfCards) -> bool:
    """Every day of the cards is over; where carriers are settled with, its month is closed."""
    calendar = views.books.calendar()
    days = {calendar.day_of(at_ms) for at_ms in held.times_ms}
    if not office.settlement.carriers.version:
        return all(day < calendar.day_of(office.now_ms()) for day in days)
    closed = {month for month, one in office.settlement.months() if one is not None}
    return {day[:7] for day in days} <= closed


def _owed_to_bank(folder: Path, cards: Collection[bytes]) -> OfficeCode | None:
    if not (folder / BANK_FOLDER / LEDGER_FILE).exists():
        return None
    with open_ledger(folder, reading=True) as ledger:
        for card in cards:
            if not ledger.cards.by_token(card):
                continue
            found = statement_of(ledger, card)
            if found.owed or found.denied:
                return OfficeCode.IN_DEBT
            if any(found.open_minor.values()) or any(one.state is DemandState.ASKED for one in found.demands):
                return OfficeCode.ORDERS_OPEN
    return None


def carry_out_erasure(
    views: OperatorViews, office: Office, who: Who, number: int, files: ErasureFiles
) -> ErasedPerson | OfficeCode:
    """Erase what request `number` is about; done again it goes on from where it ended. Raises `CollectorError`,
    `KeyFileError`, `PublishError`."""
    if OfficeRole.MONEY not in who.roles:
        return OfficeCode.NOT_FOR_ROLE
    cards = _cards_asked(office, number)
    if cards is None:
        return OfficeCode.NOT_FOUND
    if not cards:
        _off_the_disk(office)
        return OfficeCode.CARRIED_OUT
    held = held_of(views, cards)
    refused = kept_by_law(views, office, cards, held, files)
    if refused is not None:
        return refused
    denied = 0 if files.denials is None else sum(map(files.denials.forget, cards))
    _forget_bank(files.folder, cards)
    registry = files.registry is not None and erase(files.registry, cards, held.counters, files.registry_keys)
    with office.store.changing() as connection:
        if _orders_open(connection, cards, office.now_ms()):
            return OfficeCode.ORDERS_OPEN
        _unname(connection, number, cards, held.rows, who.ref, office.now_ms())
    _off_the_disk(office)
    return ErasedPerson(number, len(cards), len(held.rows), denied, registry)


def _cards_asked(office: Office, number: int) -> frozenset[bytes] | None:
    """The cards of a confirmed request; none of one that is carried out; None where there is none."""
    with office.store.changing() as connection:
        one = approvals.approval(connection, number)
    if one is None or one.what is not Act.ERASE_PERSON or one.outcome is not Decided.CONFIRMED:
        return None
    return frozenset(bytes.fromhex(card) for card in one.subject.split(",") if card)


def _forget_bank(folder: Path, cards: Collection[bytes]) -> None:
    if (folder / BANK_FOLDER / LEDGER_FILE).exists():
        with open_ledger(folder) as ledger, ledger.changing():
            for card in cards:
                if ledger.cards.by_token(card):
                    ledger.cards.forget(card)


def _unname(
    connection: sqlite3.Connection,
    number: int,
    cards: Collection[bytes],
    rows: Collection[TapId],
    by: str,
    at_ms: int,
) -> None:
    """Everything in the collector's database, in the caller's transaction."""
    one = approvals.approval(connection, number)
    if one is None or not one.subject:
        return  # another process was faster
    invented = {card: secrets.token_bytes(REFERENCE_BYTES) for card in cards}
    alarms = {
        str(id_)
        for terminal, sequence in rows
        for (id_,) in connection.execute(
            "SELECT id FROM alarm WHERE terminal = ? AND sequence = ?", (terminal, sequence)
        )
    }
    connection.executemany("UPDATE alarm SET comment = '' WHERE id = ?", [(int(one),) for one in alarms])
    for id_, subject in list(_unnamed_requests(connection, invented, alarms)):
        connection.execute("UPDATE request SET subject = ?, comment = '' WHERE id = ?", (subject, id_))
    for id_, about in list(_unnamed_operations(connection, invented)):
        connection.execute("UPDATE operation SET about = ? WHERE id = ?", (about, id_))
    sealed_rows.drop(connection, list(rows))
    for card in sorted(cards):
        note(
            connection,
            Operation(at_ms, 0, OperationCode.PERSON_ERASED, f"{number}/{erased_mark(card)}", by),
        )


def _unnamed_requests(
    connection: sqlite3.Connection, invented: dict[bytes, bytes], alarms: Collection[str]
) -> Iterator[tuple[int, str]]:
    """Requests about the cards, with what takes the place of their subjects."""
    named = {card.hex(): new.hex() for card, new in invented.items()}
    for id_, what, subject in connection.execute("SELECT id, what, subject FROM request").fetchall():
        if what in ISSUING_ACTS:
            found = IssuingSubject.parse(subject)
            if found.card in invented:
                row = found.row if what in LATER_ACTS else NO_ROW
                yield id_, str(found._replace(card=invented[found.card], row=row))
        elif what == Act.MOVE_ORDER and subject.partition("/")[2] in named:
            order, _, card = subject.partition("/")
            yield id_, f"{order}/{named[card]}"
        elif what == Act.ERASE_PERSON and set(subject.split(",")) & named.keys():
            yield id_, ""
        elif what == Act.ACKNOWLEDGE and subject.partition("/")[0] in alarms:
            yield id_, subject


def _unnamed_operations(
    connection: sqlite3.Connection, invented: dict[bytes, bytes]
) -> Iterator[tuple[int, str]]:
    """Rows of operations about the cards, with what takes the place of what they are about."""
    named = {card.hex(): new.hex() for card, new in invented.items()}
    query = "SELECT id, what, about FROM operation WHERE what IN (?, ?, ?, ?)"
    for id_, what, about in connection.execute(query, _NAMING).fetchall():
        first, _, last = about.partition("/")
        if what in _ABOUT_ORDERS and last in named:
            yield id_, f"{first}/{named[last]}"
        elif what not in _ABOUT_ORDERS and first in named:
            yield id_, f"/{last}" if last else ""


def _off_the_disk(office: Office) -> None:
    """What was written over lies in the log beside the database until that is emptied."""
    with closing(connect(office.store.path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _registry(files: ErasureFiles) -> CardRegistry | None:
    if files.registry is None:
        return None
    return CardRegistry.load(files.registry, files.registry_keys)
