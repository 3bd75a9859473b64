"""Tickets for the printer: of rides that were paid and whose region wants paper (T-50)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from terminal.errors import ReceiptError
from terminal.journal.records import Intent
from terminal.periphery.ticket import ticket_lines
from terminal.receipt.request import Issue, Means, ReceiptSale, Ticket, paperwork
from terminal.receipt.sales import ride_sale

if TYPE_CHECKING:
    from terminal.periphery.printer import TicketLines
    from terminal.tap import Terminal


class Tickets(Struct, frozen=True):
    """Makes the lines of tickets, when they are asked for: on the printer's thread."""

    terminal: Terminal
    language: str
    vehicle: str

    def of_ride(self, sequence: int) -> tuple[str, TicketLines]:
        """The id and lines of the ride in row `sequence`, whose end is on record."""
        return f"{self.terminal.number}-{sequence}", lambda copy: self._of_ride(sequence, copy)

    def _of_ride(self, sequence: int, copy: bool) -> tuple[str, ...] | None:
        """None where nothing was paid, or the region wants no paper for it."""
        rows = self.terminal.journal.rows(sequence - 1, 1)
        intent = rows[0].record if rows and rows[0].sequence == sequence else None
        if not isinstance(intent, Intent) or intent.profile != "bus" or not intent.charge_minor:
            return None
        ticket = self._ticket(ride_sale(self.terminal.number, sequence, intent, self.vehicle))
        return None if ticket is None else self._shown(ticket, copy)

    def _ticket(self, sale: ReceiptSale) -> Ticket | None:
        receipts = self.terminal.policy.document.receipts
        if receipts is None:
            return None
        try:
            ticket = paperwork(sale, receipts, Means(printer=True)).ticket
        except ReceiptError:
            return None  # the region names no way this terminal has: its own check says so
        return ticket if ticket.issue is Issue.PRINTED else None

    def _shown(self, ticket: Ticket, copy: bool) -> tuple[str, ...]:
        return ticket_lines(ticket, self.language, self.terminal.policy.zone, copy=copy)
