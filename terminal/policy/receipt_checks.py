"""What the [receipts] of a region document must satisfy beyond its types."""

from __future__ import annotations

from collections.abc import Iterator

from terminal.policy.document.receipts import ReceiptWay
from terminal.policy.document.schema import RegionDocument
from terminal.policy.problem import Problem, unique


def receipt_problems(document: RegionDocument) -> Iterator[Problem]:
    """Everything wrong with the section; nothing when there is none."""
    receipts = document.receipts
    if receipts is None:
        return
    yield from unique("receipts.ways", receipts.ways)
    controlled = ReceiptWay.CONTROL_TICKET in receipts.ways
    if controlled and receipts.site is None:
        yield Problem(
            "receipts.site",
            "a control ticket must say where the receipt is found",
            "Add `site`, or take `control_ticket` out of `ways`.",
        )
    if controlled and receipts.ways[-1] is not ReceiptWay.CONTROL_TICKET:
        yield Problem(
            "receipts.ways",
            "no way after `control_ticket` can ever be taken",
            "Put `control_ticket` last: every terminal can do that.",
        )
