"""What a ride was paid with, as it may leave the bus: the product sold, never the category (D-03)."""

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

CODES: Final[Mapping[PaidBy, str]] = MappingProxyType(
    {
        PaidBy.PURSE: "purse",
        PaidBy.TRANSFER: "transfer",
        PaidBy.GRACE: "grace",
        **dict.fromkeys(CONCESSIONS, "concession"),
        **dict.fromkeys(CONTRACTS, "contract"),
    }
)


def product_of(intent: Intent) -> int | None:
    """The number of the pass or pack that paid, None where none did or the row does not show it."""
    paid_by = PaidBy(intent.paid_by)
    if paid_by not in CONTRACTS:
        return None
    try:
        contract = snapshot_of(read_of(intent.proof)).rights.contracts[CONTRACTS.index(paid_by)]
    except CannotRecompute:
        return None
    return None if contract is None else contract.product


def payment_code(intent: Intent) -> str:
    """What paid, as a code: "product:170", else "purse", "concession" and the like."""
    product = product_of(intent)
    return CODES.get(PaidBy(intent.paid_by), "other") if product is None else f"product:{product}"


def product_name(intent: Intent, policy: Policy | None) -> str:
    """The product by its name in the region document; without the document by its sort."""
    product = product_of(intent)
    sold = {} if policy is None else {product.id: product.name for product in policy.document.products}
    if product in sold:
        return sold[product]
    return NAMES.get(PaidBy(intent.paid_by), "Other")


def rider_category(intent: Intent) -> str:
    """Only whether a concession was used: which one reveals too much."""
    return "Concession" if intent.paid_by in CONCESSIONS else "Ordinary"
