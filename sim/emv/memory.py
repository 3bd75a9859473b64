"""What a bank chip keeps without power, as frozen values: applications with their records, keys by name, counters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from cardproto.emv import tags
from sim.card.image import Json
from sim.emv.lab_rsa import LAB_KEYS

SHOWN_DIGITS: Final = 4
MOST_WALLETS: Final = 4
MOST_APPLICATIONS: Final = 8
MOST_TRANSACTIONS: Final = 0xFFFF
LONGEST_RECORD: Final = 256
PAN_DIGITS: Final = range(13, 20)
_LONG_TAG: Final = 0x1F


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


def dol_entries(dol: bytes) -> list[tuple[int, int]]:
    """(tag, length) of each object a card's list asks for. Raises `ValueError` for a list that ends inside one."""
    found, at = [], 0
    while at < len(dol):
        size = 2 if dol[at] & _LONG_TAG == _LONG_TAG else 1
        if at + size >= len(dol):
            raise ValueError("a list of objects ends inside one")
        found.append((int.from_bytes(dol[at : at + size], "big"), dol[at + size]))
        at += size + 1
    return found


def check_chip(memory: ChipMemory) -> None:
    """Raise `ValueError` for what no chip of the simulator holds: it would fail in the middle of a tap."""
    if not 1 <= len(memory.wallets) <= MOST_WALLETS or memory.turn < 0:
        raise ValueError(f"bank: 1 to {MOST_WALLETS} wallets, turn from 0")
    for wallet in memory.wallets:
        if not 1 <= len(wallet.applications) <= MOST_APPLICATIONS:
            raise ValueError(f"bank: 1 to {MOST_APPLICATIONS} applications in a wallet")
        for one in wallet.applications:
            _check_application(one)


def _check_application(one: ChipApplication) -> None:
    asked = {
        "pdol": (one.pdol, _SIGNED_AT_ONCE if one.method is ChipMethod.FDDA else {}),
        "cdol_1": (one.cdol_1, _RANDOM),
        "cdol_2": (one.cdol_2, _RANDOM),
        "ddol": (one.ddol, _RANDOM),
    }
    for name, (dol, needed) in asked.items():
        if not needed.items() <= dict(dol_entries(dol)).items():
            raise ValueError(f"bank: {name} does not ask for what is signed")
    fits = {
        "aid": len(one.aid) in tags.AID_BYTES,
        "label": one.label.isascii() and len(one.label) <= 16,
        "priority": 0 <= one.priority <= 15,
        "key": one.key in LAB_KEYS,
        "pan": one.pan.isdecimal() and one.pan.isascii() and len(one.pan) in PAN_DIGITS,
        "sequence": 0 <= one.sequence <= 99,
        "aip": len(one.aip) == 2,
        "afl": len(one.afl) % 4 == 0 and len(one.afl) <= 64,
        "records": all(_is_record(place, content) for place, content in one.records.items()),
        "atc": 0 <= one.atc <= MOST_TRANSACTIONS,
    }
    wrong = [name for name, is_right in fits.items() if not is_right]
    if wrong:
        raise ValueError(f"bank: no chip has this {wrong[0]}")


_RANDOM: Final = {tags.TAG_UNPREDICTABLE: 4}
_SIGNED_AT_ONCE: Final = {tags.TAG_TTQ: 4, tags.TAG_AMOUNT: 6, tags.TAG_CURRENCY: 2, **_RANDOM}


def _is_record(place: int, content: bytes) -> bool:
    return 1 <= place >> 8 <= 30 and bool(place & 0xFF) and len(content) <= LONGEST_RECORD
