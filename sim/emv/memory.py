"""What a bank chip keeps without power, as frozen values: applications with their records, keys by name, counters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

from sim.card.image import Json

SHOWN_DIGITS = 4


class ChipMethod(Enum):
    """How the card proves that it is no copy."""

    CDA = "CDA"
    FDDA = "fDDA"
    DDA = "DDA"
    STATIC = "static"


@dataclass(frozen=True, slots=True, repr=False)
class ChipApplication:
    """One application. `records` by SFI << 8 | number; `key` names a laboratory key; `atc` counts its transactions.

    `fields` false: GET PROCESSING OPTIONS answers in format 1, AIP and AFL without tags.
    """

    aid: bytes
    label: str
    priority: int
    method: ChipMethod
    key: str
    pan: str
    sequence: int
    pdol: bytes
    cdol_1: bytes
    cdol_2: bytes
    ddol: bytes
    aip: bytes
    afl: bytes
    records: Mapping[int, bytes]
    fields: bool
    blocked: bool
    atc: int


@dataclass(frozen=True, slots=True)
class ChipWallet:
    """What the chip shows at one time: applications in the order of its directory."""

    applications: tuple[ChipApplication, ...]

    def with_application(self, at: int, changed: ChipApplication) -> ChipWallet:
        return ChipWallet((*self.applications[:at], changed, *self.applications[at + 1 :]))


@dataclass(frozen=True, slots=True)
class ChipMemory:
    """Everything that survives power loss. A card has one wallet, a phone one for each of its tokens.

    `contacts`: it is read through its contacts, with their directory and T=0. `turn` counts the phone's transactions.
    """

    contacts: bool
    wallets: tuple[ChipWallet, ...]
    turn: int = 0

    @property
    def at(self) -> int:
        """Which wallet it shows."""
        return self.turn % len(self.wallets)

    @property
    def wallet(self) -> ChipWallet:
        return self.wallets[self.at]

    def with_wallet(self, changed: ChipWallet) -> ChipMemory:
        """The memory with the wallet it shows replaced."""
        return replace(self, wallets=(*self.wallets[: self.at], changed, *self.wallets[self.at + 1 :]))


def chip_image(memory: ChipMemory) -> dict[str, Json]:
    """As JSON values for comparing and looking at; of a card's number only the end is shown."""
    return {
        "contacts": memory.contacts,
        "turn": memory.turn,
        "applications": [_application(one) for wallet in memory.wallets for one in wallet.applications],
    }


def _application(one: ChipApplication) -> Json:
    return {
        "aid": one.aid.hex().upper(),
        "number": masked_number(one.pan),
        "sequence": one.sequence,
        "method": one.method.value,
        "blocked": one.blocked,
        "atc": one.atc,
        "records": len(one.records),
    }


def masked_number(pan: str) -> str:
    """The last four digits of a card's number, the others as X."""
    return "X" * (len(pan) - SHOWN_DIGITS) + pan[-SHOWN_DIGITS:]
