"""The port to the maker of fiscal documents: a cash register, an on-line till, the operator's service (T-51)."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from terminal.receipt.request import ReceiptRequest, Ticket


class Accepted(Struct, frozen=True):
    """The adapter has the request. `new` is False when it had it before: it makes one receipt, not two."""

    id: str
    new: bool


class ReceiptAdapter(Protocol):
    """Takes requests, at most one receipt for each id, and prints tickets where there is a printer."""

    def request(self, request: ReceiptRequest) -> Accepted:
        """Hand over a request. Raises `ReceiptError` when it cannot be taken, or differs from one of the same id."""
        ...

    def print_ticket(self, ticket: Ticket) -> None:
        """Put a ticket into the passenger's hand. Raises `ReceiptError`."""
        ...
