"""From a profile to the bank chip it orders."""

from __future__ import annotations

from datetime import date
from typing import Final

from sim.days import parse_day
from sim.emv.memory import ChipMemory, ChipMethod
from sim.emv.personalise import ChipOrder, personalise_chip
from sim.profile import BankSection, CardProfile, ProfileFault

ISSUER_OF: Final = {
    "short": "short",
    "small": "short",
    "padded": "padded",
    "longest": "longest",
    "revoked": "revoked",
}
KEY_OF: Final = {
    "short": "card-1024",
    "small": "card-768",
    "padded": "card-1152-f4",
    "longest": "card-1408-f4",
    "revoked": "card-1024",
}
"""The longest whose signature fits into one answer beside its data."""
LONGEST_ALONE: Final = "card-1984-f4"
"""INTERNAL AUTHENTICATE answers with a signature alone, so it may be as long as the issuer's key."""
COPIED: Final = "card-1024-other"
"""The key of a copy: everything that can be read is right, what it signs is not."""


def chip_of(profile: CardProfile, today: date) -> ChipMemory:
    """The chip of a profile with a `[bank]` section, made `today`. Raises `ProfileFault`."""
    bank = profile.bank
    assert bank is not None, "the caller looked"
    try:
        return personalise_chip(_order(profile, bank, today), today)
    except (ValueError, OverflowError) as error:
        raise ProfileFault(f"profile {profile.name}: {error}", "Change the value it names.") from error


def _order(profile: CardProfile, bank: BankSection, today: date) -> ChipOrder:
    method = ChipMethod(bank.method)
    alone = bank.chain == "longest" and method is ChipMethod.DDA
    key = LONGEST_ALONE if alone else KEY_OF[bank.chain]
    card = profile.card
    return ChipOrder(
        method=method,
        digits=bank.digits,
        account=bank.account,
        sequence=bank.sequence,
        issuer=ISSUER_OF[bank.chain],
        key=key,
        signs_with=COPIED if bank.counterfeit else key,
        contacts=bank.interface == "contacts",
        fields=bank.fields,
        applications=bank.applications,
        tokens=bank.tokens,
        blocked=card.blocked and card.kind == "bank",
        valid_from=parse_day(card.valid_from).on(today),
        valid_to=parse_day(card.valid_to).on(today),
    )
