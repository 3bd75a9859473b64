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
CODES: Final[Mapping[PaidBy, str]] = MappingProxyType(
    {
        PaidBy.PURSE: "purse",
        PaidBy.TRANSFER: "transfer",
        PaidBy.GRACE: "grace",
        PaidBy.BANK: "bank",
        **dict.fromkeys(CONCESSIONS, "concession"),
        **dict.fromkeys(CONTRACTS, "contract"),
    }
)
NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "purse": "Single ride",
        "transfer": "Transfer",
        "grace": "Winter grace",
        "bank": "Bank card",
        "concession": "Concession",
        "contract": "Pass or pack",
        "other": "Other",
    }
)
"""Each sort of payment in words."""
PRODUCT: Final = "product:"


def payment_code(intent: Intent) -> str:
    """What paid, as a code: "product:170", else "purse", "concession" and the like."""
    paid_by = PaidBy(intent.paid_by)
    if paid_by in CONTRACTS:
        try:
            contract = snapshot_of(read_of(intent.proof)).rights.contracts[CONTRACTS.index(paid_by)]
        except CannotRecompute:
            contract = None
        if contract is not None:
            return f"{PRODUCT}{contract.product}"
    return CODES.get(paid_by, "other")


def payment_name(code: str, policy: Policy | None) -> str:
    """A `payment_code` in words: the product by its name in the region document, without the document by its sort."""
    if not code.startswith(PRODUCT):
        return NAMES[code]
    sold = () if policy is None else policy.document.products
    return next((product.name for product in sold if code == f"{PRODUCT}{product.id}"), NAMES["contract"])


def rider_category(intent: Intent) -> str:
    """Only whether a concession was used: which one reveals too much."""
    return "Concession" if intent.paid_by in CONCESSIONS else "Ordinary"
