"""Which keys each role holds: one table, from which role files are cut and by which they are checked.

Master keys follow the card map (`cardproto.resident.layout.KEYS`): K1 opens cards for a tap, K2 and K4 write rights, K0
changes everything. A file of a terminal holds one of K1, K2, K3, K4 and never K0.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from cardproto.resident.layout import KeyNo


class KeyRole(StrEnum):
    """Who uses a key file. A terminal's profile is the role of the same name."""

    OFFICE = "office"
    ISSUE = "issue"
    BUS = "bus"
    CANTEEN = "canteen"
    INSPECTOR = "inspector"
    RELOAD = "reload"
    ENTITLE = "entitle"
    EXPORT = "export"
    COLLECTOR = "collector"
    BANK = "bank"
    AUDIT = "audit"


def _name(number: KeyNo) -> str:
    return number.name.lower()


MASTERS: Final = (
    "picc",
    "transaction_mac",
    *(_name(number) for number in KeyNo if number is not KeyNo.IDENTIFY),
)
"""Every master key by name; IDENTIFY follows from `validate`."""
UNVERSIONED: Final = ("picc", "transaction_mac")
"""Those that are in no key set of a card, so that they have one version."""
BANK_EPOCHS: Final = tuple(f"bank_{epoch}" for epoch in range(1, 10))
"""What tokens of bank cards are made with, by epoch; an office begins with the first."""
PURPOSES: Final = ("transport", "school", "staff", "export", BANK_EPOCHS[0])
LISTS: Final = ("deny", "grants")
BANK_RECORDS: Final = "bank_records"
"""The storage key that is the private half of the pair that taps of bank cards are sealed to."""
BANK_CARDS: Final = "bank_cards"
"""The one under which the back office knows bank cards again."""
REGISTRY: Final = "registry"
"""The storage key that seals card registries; one for the region."""
_OWN: Final = ("journal", "backup")


class RoleKeys(Struct, frozen=True):
    """What a role's file holds, by name. `of_terminal`: whether it is cut for one terminal, whose storage keys are its
    own. `addable`: masters that it holds only where the office names them."""

    masters: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    storage: tuple[str, ...] = ()
    addable: tuple[str, ...] = ()
    epochs: bool = False
    """Whether tokens of bank cards are made: it holds the keys of every epoch that the office has."""
    of_terminal: bool = False


_ON_BOARD: Final = (_name(KeyNo.ORDER), _name(KeyNo.ROLL))
ROLES: Final[Mapping[KeyRole, RoleKeys]] = MappingProxyType(
    {
        KeyRole.OFFICE: RoleKeys(MASTERS, PURPOSES, LISTS, (REGISTRY,), epochs=True),
        KeyRole.ISSUE: RoleKeys(MASTERS, ("transport", "school", "staff"), LISTS, (REGISTRY,)),
        KeyRole.BUS: RoleKeys(
            (_name(KeyNo.VALIDATE),),
            ("transport", "staff"),
            LISTS,
            _OWN,
            _ON_BOARD,
            epochs=True,
            of_terminal=True,
        ),
        KeyRole.CANTEEN: RoleKeys(
            (_name(KeyNo.VALIDATE),),
            ("school", "staff"),
            LISTS,
            (*_OWN, "roster"),
            _ON_BOARD,
            of_terminal=True,
        ),
        KeyRole.INSPECTOR: RoleKeys(
            (_name(KeyNo.INSPECT),), ("transport", "staff"), LISTS, _OWN, of_terminal=True
        ),
        KeyRole.RELOAD: RoleKeys(
            (_name(KeyNo.RELOAD),), ("transport", "staff"), LISTS, _OWN, of_terminal=True
        ),
        KeyRole.ENTITLE: RoleKeys(
            (_name(KeyNo.ENTITLE),), ("transport", "staff"), LISTS, _OWN, of_terminal=True
        ),
        KeyRole.EXPORT: RoleKeys(purposes=("export",), storage=("journal",), of_terminal=True),
        KeyRole.COLLECTOR: RoleKeys(lists=("grants",), storage=(REGISTRY,)),
        KeyRole.BANK: RoleKeys(lists=("deny",), storage=(BANK_RECORDS, BANK_CARDS), epochs=True),
        KeyRole.AUDIT: RoleKeys(storage=(REGISTRY,)),
    }
)
ISSUING: Final = (KeyRole.OFFICE, KeyRole.ISSUE)
"""Who holds what a card is issued with."""
