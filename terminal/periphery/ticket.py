"""A ticket as lines for a narrow roll, in the language of the terminal (T-52), and those that staff ask for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from typing import TYPE_CHECKING

from terminal.codes import TicketKind
from terminal.messages import day
from terminal.money import money
from terminal.texts import N_, translator

if TYPE_CHECKING:
    from terminal.periphery.printer import Printer, PrintState
    from terminal.receipt.request import Ticket

COPY = N_("COPY")
TICKET, ROUTE, PERSONS, VEHICLE = N_("Ticket"), N_("Route"), N_("Persons"), N_("Vehicle")
KIND, PIECES = N_("Kind"), N_("Pieces")
KINDS = {TicketKind.CHILD: N_("Child"), TicketKind.LUGGAGE: N_("Luggage")}
"""What a ticket is for that is not an ordinary one."""
TIME, PAID, RECEIPT, CODE = N_("Time"), N_("Paid"), N_("Receipt"), N_("Support code")


def ticket_lines(ticket: Ticket, language: str, zone: tzinfo, *, copy: bool) -> tuple[str, ...]:
    """What is on the paper, in order; `copy`: one that may have been printed before says so first."""
    said = translator(language).gettext
    at = ticket.at.astimezone(zone)
    facts = (
        (ROUTE, str(ticket.route)),
        (VEHICLE, ticket.vehicle),
        (TIME, f"{day(at.date().isoformat(), language)} {at:%H:%M}"),
        (KIND, said(KINDS[ticket.kind]) if ticket.kind in KINDS else ""),
        (PIECES if ticket.kind is TicketKind.LUGGAGE else PERSONS, str(ticket.persons)),
        (PAID, money(ticket.sum_minor, ticket.currency, language)),
        (RECEIPT, ticket.found_at or ""),
        (CODE, ticket.support_code),
    )
    head = (*((said(COPY),) if copy else ()), f"{said(TICKET)} {ticket.id}")
    return (*head, *(f"{said(name)}: {value}" for name, value in facts if value))


class CounterTickets:
    """The tickets of sales at the counter, and their copies, on the printer's paper. All methods return at once.

    A row of the journal is printed once, by the process that wrote it: what an earlier one asked for may be on paper.
    `written_before`: the newest row of an earlier process.
    """

    def __init__(
        self, printer: Printer, language: str, zone: Callable[[], tzinfo], written_before: int
    ) -> None:
        self.printer = printer
        self._language = language
        self._zone = zone
        self._written_before = written_before

    def print_sale(self, ticket: Ticket, sale: int) -> None:
        """The ticket of the sale in row `sale`."""
        self._print(ticket, ticket.id, sale, copy=False)

    def print_copy(self, ticket: Ticket, copied: int) -> None:
        """A copy of it, as row `copied` has it on record."""
        self._print(ticket, _of_copy(ticket.id, copied), copied, copy=True)

    def state(self, ticket_id: str, copied: int = 0) -> PrintState | None:
        """How it stands with a ticket, or with its copy of row `copied`; None: this process printed none."""
        return self.printer.status(_of_copy(ticket_id, copied) if copied else ticket_id)

    def _print(self, ticket: Ticket, id: str, row: int, *, copy: bool) -> None:
        if row > self._written_before:
            self.printer.submit(
                id, lambda again: ticket_lines(ticket, self._language, self._zone(), copy=copy or again)
            )


def _of_copy(ticket_id: str, copied: int) -> str:
    return f"{ticket_id}/{copied}"
