"""What an issuing point does with an approved order (`terminal.collector.issuing_orders`): a lost card's balance onto a
blank card, a ride paid back onto the card it was taken from, later records settled. Laboratory keys, or a signed
file's.

In the same order whatever ends in between: the lost card, and each that broke before, is denied, the order is bound to
the card on the reader, the card gets the money in its one transaction, the office notes it. Done again with the same
card it goes on from where it ended; the card says by its last order whether it has the money.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from cardproto.connection import CardConnection
from cardproto.desfire.channel import DesfireChannel
from cardproto.errors import CardError, CardGone, FormatError
from cardproto.resident.layout import PURSE_LIMIT_MINOR
from cardproto.resident.personalise import CardContent
from sim.days import service_days
from sim.issuing import CardView, ReloadPoint
from sim.profile import LAB_KEYS
from terminal.collector.approvals import Act
from terminal.collector.issuing_orders import IssuingOrder
from terminal.collector.office import Office
from terminal.collector.office_says import OfficeCode, refusal
from terminal.collector.registry import CardRegistry, RegisteredCard, register
from terminal.collector.users import Who
from terminal.errors import ReaderError
from terminal.keys.file import load_file_keys
from terminal.keys.limits import UNLIMITED
from terminal.keys.provider import card_token
from terminal.lab.issuing import issue_on, masters_of
from terminal.media.port import PURPOSE
from terminal.policy.load import load_region
from terminal.publish.deny.cards import RegisteredDenials
from terminal.publish.deny.register import DenyReason

Randomness = Callable[[int], bytes]


class IssuingTools(NamedTuple):
    """What an issuing point works with. `region` names its document, `keys` its key file; `None`: the laboratory's.
    `registry` is the collector's file of cards, to which a new card is added."""

    office: Office
    who: Who
    region: str
    keys: Path | None
    deny: Path
    registry: Path | None
    now: datetime
    random: Randomness
    production: bool = False


def carry_out(connection: CardConnection, order: IssuingOrder, tools: IssuingTools, resident: str) -> int:
    """The balance that the card on the reader states with the money of `order`; `resident` says what else is written
    on a new card.

    Raises `OfficeRefused` and `ReaderError` where nothing was changed on the card, `ReaderError` where it left too
    early: then do it again with the same card. Raises `PublishError`, `KeyFileError`, `ProfileError`, too.
    """
    header = load_region(tools.region).header
    if order.subject.currency != header.currency:
        raise ReaderError(f"the order is in {order.subject.currency}", "Give the region of the card.")
    for broken in order.broken:
        _deny(broken, DenyReason.REPLACED, tools)
    if order.what is Act.REPLACE_CARD:
        _deny(order.subject.card, DenyReason.LOST, tools)
        balance_minor = _replaced(connection, order, tools, resident)
    else:
        balance_minor = _repaid(connection, order, tools)
    tools.office.finish_order(tools.who, order, balance_minor)
    return balance_minor


def _replaced(connection: CardConnection, order: IssuingOrder, tools: IssuingTools, resident: str) -> int:
    uid, ref = card_of(connection, tools)
    point = point_of(connection, tools, uid)
    if any(ref in one.broken for one in tools.office.orders()):
        raise refusal(OfficeCode.BROKEN_CARD)
    if order.onto == ref:
        held = _issued(point)
        if held is not None and held.event.last_order == order.on_card:
            return held.purse_minor

    def about_to_issue() -> None:
        _begun(tools, order, ref)
        if tools.registry is not None:
            _register(tools, uid)

    issue_on(
        connection,
        resident,
        tools.region,
        tools.keys,
        tools.now.date(),
        tools.random,
        finish=order.onto == ref,
        production=tools.production,
        content=lambda content: _with_order(content, order),
        about_to_issue=about_to_issue,
    )
    return order.subject.minor


def _with_order(content: CardContent, order: IssuingOrder) -> CardContent:
    minor = order.subject.minor
    event = content.first_event._replace(
        balance_after_minor=minor, amount_minor=minor, last_order=order.on_card
    )
    return replace(content, first_event=event, purse_minor=minor)


def _repaid(connection: CardConnection, order: IssuingOrder, tools: IssuingTools) -> int:
    uid, ref = card_of(connection, tools)
    point = point_of(connection, tools, uid)
    try:
        held = point.read()
        if order.onto == ref and held.event.last_order == order.on_card:
            return held.purse_minor
        _require_room(held, order)
        _begun(tools, order, ref)
        return point.carry_out(order.on_card, _credit_minor(order), tools.now)
    except (CardError, FormatError) as error:
        raise ReaderError(
            f"the card left or failed: {error}",
            "Lay the same card on the reader again; it is paid once.",
        ) from error


def _credit_minor(order: IssuingOrder) -> int:
    """What the card gets; below zero, what is taken from it."""
    return -order.subject.minor if order.what is Act.SETTLE_LATER else order.subject.minor


def _require_room(held: CardView, order: IssuingOrder) -> None:
    after_minor = held.purse_minor + _credit_minor(order)
    if after_minor > PURSE_LIMIT_MINOR:
        raise ReaderError("the purse has no room for it", "Pay it back when less is on the card.")
    if after_minor < 0:
        raise ReaderError(
            f"the purse holds {held.purse_minor} minor units, less than the order takes",
            "Wait for more on the card, or give the order up, and have less settled and the rest forgiven.",
        )
    if held.event.last_order == order.on_card:
        raise ReaderError(
            "the card's last order has the same number as this one",
            "Let another order of this card come first.",
        )


def _issued(point: ReloadPoint) -> CardView | None:
    """What the card holds; None for one that is not issued."""
    try:
        return point.read()
    except CardGone as error:
        raise ReaderError(f"the card left: {error}", "Lay the same card on the reader again.") from error
    except (CardError, FormatError):
        return None


def _begun(tools: IssuingTools, order: IssuingOrder, ref: bytes) -> None:
    begun = tools.office.begin_order(tools.who, order.number, ref)
    if isinstance(begun, OfficeCode):
        raise refusal(begun)


def card_of(connection: CardConnection, tools: IssuingTools) -> tuple[bytes, bytes]:
    """UID, and the reference that rows of buses call it by."""
    try:
        uid = DesfireChannel(connection).read_uid()
    except CardError as error:
        raise ReaderError(f"the card left or failed: {error}", "Lay it on the reader again.") from error
    return uid, card_token(load_file_keys(tools.keys or LAB_KEYS, UNLIMITED), PURPOSE["bus"], uid)


def point_of(connection: CardConnection, tools: IssuingTools, uid: bytes) -> ReloadPoint:
    header = load_region(tools.region).header
    masters = masters_of(tools.keys, production=tools.production)
    days = service_days(header.time_zone, header.service_day_end_hour)
    return ReloadPoint(connection, masters.for_card(uid, header.region), tools.random, days)


def _register(tools: IssuingTools, uid: bytes) -> None:
    assert tools.registry is not None, "asked for with a registry alone"
    provider = load_file_keys(tools.keys or LAB_KEYS, UNLIMITED)
    masters = masters_of(tools.keys, production=tools.production)
    key = masters.for_card(uid, load_region(tools.region).header.region).transaction_mac
    names = [card_token(provider, purpose, uid) for purpose in PURPOSE.values()]
    register(tools.registry, [RegisteredCard(name, uid, key) for name in names], provider)


def _deny(card_ref: bytes, reason: DenyReason, tools: IssuingTools) -> None:
    """With every profile's terminals where the registry says which card it is, else with those whose rows name it."""
    provider = load_file_keys(tools.keys or LAB_KEYS, UNLIMITED)
    known = None if tools.registry is None else CardRegistry.load(tools.registry, provider)
    RegisteredDenials(tools.deny, lambda: known, lambda: tools.now).deny(card_ref, reason, tools.who.ref)
