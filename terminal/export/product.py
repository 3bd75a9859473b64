"""What a ride was paid with, in words that may leave the bus: the product sold, never the category (D-03)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from cardproto.resident.records.event import PaidBy
from terminal.decision.recompute import CannotRecompute, read_of, snapshot_of
from terminal.journal.records import Intent
from terminal.policy.policy import Policy

CONTRACTS: Final = (PaidBy.CONTRACT_A, PaidBy.CONTRACT_B)
CONCESSIONS: Final = (PaidBy.CONCESSION_A, PaidBy.CONCESSION_B, PaidBy.CONCESSION_C)
NAMES: Final[Mapping[PaidBy, str]] = MappingProxyType(
    {
        PaidBy.PURSE: "Single ride",
        PaidBy.TRANSFER: "Transfer",
        PaidBy.GRACE: "Winter grace",
        **dict.fromkeys(CONCESSIONS, "Concession"),
        **dict.fromkeys(CONTRACTS, "Pass or pack"),
    }
)


def product_name(intent: Intent, policy: Policy | None) -> str:
    """The product by its name in the region document; without the document by its sort."""
    paid_by = PaidBy(intent.paid_by)
    if paid_by in CONTRACTS and policy is not None:
        try:
            contract = snapshot_of(read_of(intent.proof)).rights.contracts[CONTRACTS.index(paid_by)]
        except CannotRecompute:
            contract = None
        sold = {product.id: product.name for product in policy.document.products}
        if contract is not None and contract.product in sold:
            return sold[contract.product]
    return NAMES.get(paid_by, "Other")


def rider_category(intent: Intent) -> str:
    """Only whether a concession was used: which one reveals too much."""
    return "Concession" if intent.paid_by in CONCESSIONS else "Ordinary"
