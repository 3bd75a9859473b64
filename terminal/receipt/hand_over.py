"""One sale to the adapter: its ticket where one is printed, its request where money was paid; and its refund."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from terminal.policy.document.schema import Receipts
from terminal.receipt.adapter import Accepted, ReceiptAdapter
from terminal.receipt.request import Issue, Means, ReceiptSale, paperwork


def hand_over(
    adapter: ReceiptAdapter, sale: ReceiptSale, receipts: Receipts, means: Means
) -> Accepted | None:
    """Give the adapter what `sale` leaves behind; None when there is nothing to ask for (T-50, T-52).

    Raises `ReceiptError`. Doing it again changes nothing.
    """
    papers = paperwork(sale, receipts, means)
    if papers.ticket.issue is Issue.PRINTED:
        adapter.print_ticket(papers.ticket)
    return None if papers.request is None else adapter.request(papers.request)


def hand_back(
    adapter: ReceiptAdapter, sale: ReceiptSale, receipts: Receipts, means: Means, at: datetime
) -> Accepted | None:
    """Ask for the refund of `sale`, which was cancelled (T-54); None where no receipt is asked for.

    Raises `ReceiptError`. Doing it again changes nothing.
    """
    request = paperwork(sale, receipts, means).request
    if request is None:
        return None
    return adapter.request(replace(request, id=f"{request.id}-refund", at=at, refunds=request.id))
