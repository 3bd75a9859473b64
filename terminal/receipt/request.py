"""What a sale has to leave behind on paper: a ticket, and a request to a fiscal adapter (T-50 to T-53).

The terminal makes no fiscal document (T-51). It states what was sold, and names ticket and request alike by the
journal row of the sale, so that asking twice is the same request.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from terminal.codes import TicketKind
from terminal.errors import ReceiptError
from terminal.policy.base import FareMedium
from terminal.policy.document.schema import Receipts, ReceiptWay, Vat
from terminal.support_code import support_code


class ReceiptSale(Struct, frozen=True):
    """An accepted ride or a cash sale, as the journal knows it. `sum_minor` 0: nothing is paid for it."""

    terminal: int
    sequence: int
    at: datetime
    medium: FareMedium
    sum_minor: int
    currency: str
    route: int
    direction: int
    persons: int = 1
    vehicle: str = ""
    kind: TicketKind = TicketKind.FULL

    @property
    def ticket_id(self) -> str:
        """Unique for ever: sequence numbers never repeat on a terminal (T-63)."""
        return f"{self.terminal}-{self.sequence}"

    @property
    def support_code(self) -> str:
        """By which the office finds the row when a passenger reads it out."""
        return support_code(self.terminal, self.sequence)


class Means(Struct, frozen=True):
    """What the terminal at the point of sale can do, and whether the passenger left phone or e-mail beforehand."""

    printer: bool = False
    display: bool = False
    contact_known: bool = False


class Issue(StrEnum):
    """How a ticket reaches the passenger."""

    PRINTED = "printed"
    RECORDED = "recorded"
    """The registered ride is the ticket; nothing is printed at the door."""


class Ticket(Struct, frozen=True, omit_defaults=True):
    """The passenger's proof of the ride, also towards the insurer (T-52). `found_at`: where its receipt is found."""

    id: str
    at: datetime
    route: int
    direction: int
    vehicle: str
    persons: int
    sum_minor: int
    currency: str
    issue: Issue
    found_at: str | None = None
    support_code: str = ""
    kind: TicketKind = TicketKind.FULL


class ReceiptRequest(Struct, frozen=True, omit_defaults=True):
    """What a fiscal adapter is asked for: one receipt, by `id`. Nothing in it says who rode. `refunds`: the money
    of that sale was given back (T-54).
    """

    id: str
    at: datetime
    place: str
    vehicle: str
    route: int
    sum_minor: int
    currency: str
    vat: Vat
    medium: FareMedium
    way: ReceiptWay
    refunds: str = ""


class Paperwork(Struct, frozen=True):
    """What one sale leaves behind. No request: nothing was paid (T-52)."""

    ticket: Ticket
    request: ReceiptRequest | None


def paperwork(sale: ReceiptSale, receipts: Receipts, means: Means) -> Paperwork:
    """The ticket of a sale, and the receipt request if money was paid and the region's law asks for one (T-50).

    Raises `ReceiptError` when the region names no way this terminal has.
    """
    way = way_of(receipts, means) if sale.sum_minor and receipts.ways else None
    vat = receipts.vat
    request = None if way is None or vat is None else _request(sale, receipts.place, vat, way)
    return Paperwork(_ticket(sale, receipts, means, way), request)


def way_of(receipts: Receipts, means: Means) -> ReceiptWay:
    """T-50: the first of the region's ways that this terminal has."""
    possible = {
        ReceiptWay.PAPER: means.printer,
        ReceiptWay.ELECTRONIC: means.contact_known,
        ReceiptWay.QR: means.display,
        ReceiptWay.CONTROL_TICKET: True,
    }
    for way in receipts.ways:
        if possible[way]:
            return way
    raise ReceiptError(
        f"this terminal can give receipts in none of the region's ways: {', '.join(receipts.ways)}",
        "Add `control_ticket` to receipts.ways, or equip the terminal.",
    )


def _request(sale: ReceiptSale, place: str, vat: Vat, way: ReceiptWay) -> ReceiptRequest:
    return ReceiptRequest(
        id=sale.ticket_id,
        at=sale.at,
        place=place,
        vehicle=sale.vehicle,
        route=sale.route,
        sum_minor=sale.sum_minor,
        currency=sale.currency,
        vat=vat,
        medium=sale.medium,
        way=way,
    )


def _ticket(sale: ReceiptSale, receipts: Receipts, means: Means, way: ReceiptWay | None) -> Ticket:
    cash = sale.medium is FareMedium.CASH  # T-53: always a ticket in the hand, not on request
    on_paper = cash or (means.printer and way in (ReceiptWay.PAPER, ReceiptWay.CONTROL_TICKET))
    return Ticket(
        id=sale.ticket_id,
        at=sale.at,
        route=sale.route,
        direction=sale.direction,
        vehicle=sale.vehicle,
        persons=sale.persons,
        sum_minor=sale.sum_minor,
        currency=sale.currency,
        issue=Issue.PRINTED if on_paper else Issue.RECORDED,
        found_at=receipts.site if way is ReceiptWay.CONTROL_TICKET else None,
        support_code=sale.support_code,
        kind=sale.kind,
    )
