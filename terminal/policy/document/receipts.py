"""Receipts (54-ФЗ): how passengers of a region get them, and at which VAT rate fares are sold (T-50)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from terminal.policy.document.base import Section


class Vat(StrEnum):
    """The VAT rate of a fare; "none": free of VAT."""

    NONE = "none"
    VAT_0 = "vat_0"
    VAT_5 = "vat_5"
    VAT_7 = "vat_7"
    VAT_10 = "vat_10"
    VAT_20 = "vat_20"
    VAT_22 = "vat_22"


class ReceiptWay(StrEnum):
    """T-50: how a passenger gets the receipt of a paid ride."""

    PAPER = "paper"
    ELECTRONIC = "electronic"
    """To the phone or e-mail the passenger gave before paying."""
    CONTROL_TICKET = "control_ticket"
    """A ticket with what is needed to find the receipt on the operator's site the same day."""
    QR = "qr"
    """On a display at the moment of payment; then no paper."""


class Receipts(Section, frozen=True, kw_only=True):
    """What a receipt request says besides the ride. `ways` in the order they are tried; `place` is the place of
    settlement as receipts name it, `site` where a receipt is found by its ticket.
    """

    vat: Vat
    ways: Annotated[tuple[ReceiptWay, ...], Meta(min_length=1)]
    place: Annotated[str, Meta(min_length=1, max_length=200)]
    site: Annotated[str, Meta(pattern=r"^https://\S+$")] | None = None
