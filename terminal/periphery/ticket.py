"""A ticket as lines for a narrow roll, in the language of the terminal (T-52)."""

from __future__ import annotations

from datetime import tzinfo
from typing import TYPE_CHECKING

from terminal.messages import day
from terminal.money import money
from terminal.texts import N_, translator

if TYPE_CHECKING:
    from terminal.receipt.request import Ticket

COPY = N_("COPY")
TICKET, ROUTE, PERSONS, VEHICLE = N_("Ticket"), N_("Route"), N_("Persons"), N_("Vehicle")
TIME, PAID, RECEIPT = N_("Time"), N_("Paid"), N_("Receipt")


def ticket_lines(ticket: Ticket, language: str, zone: tzinfo, *, copy: bool) -> tuple[str, ...]:
    """What is on the paper, in order; `copy`: one that may have been printed before says so first."""
    said = translator(language).gettext
    at = ticket.at.astimezone(zone)
    facts = (
        (ROUTE, str(ticket.route)),
        (VEHICLE, ticket.vehicle),
        (TIME, f"{day(at.date().isoformat(), language)} {at:%H:%M}"),
        (PERSONS, str(ticket.persons)),
        (PAID, money(ticket.sum_minor, ticket.currency, language)),
        (RECEIPT, ticket.found_at or ""),
    )
    head = (*((said(COPY),) if copy else ()), f"{said(TICKET)} {ticket.id}")
    return (*head, *(f"{said(name)}: {value}" for name, value in facts if value))
